package awssigv4

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
)

// The events of Caddy's event system that the app emits, each when a state
// changes, not at every attempt. Their data are `identity`, `name` if the
// credentials have one, and with failures `error` and, if requests are not yet
// affected, `valid_until`.
const (
	eventFailed    = "aws_sigv4.credentials_failed"
	eventRecovered = "aws_sigv4.credentials_recovered"
)

// fetchEvents emits events.
type fetchEvents struct {
	ctx  caddy.Context
	app  *caddyevents.App
	name func(key string) string
}

// newFetchEvents finds Caddy's event system.
func newFetchEvents(ctx caddy.Context, name func(key string) string) (fetchEvents, error) {
	mod, err := ctx.App("events")
	if err != nil {
		return fetchEvents{}, fmt.Errorf("getting the events app: %w", err)
	}
	app, ok := mod.(*caddyevents.App)
	if !ok {
		return fetchEvents{}, errors.New("the events app is not Caddy's own")
	}
	return fetchEvents{ctx, app, name}, nil
}

func (f fetchEvents) Fetched(e credentials.Event) {
	if e.Attempt > 1 {
		f.app.Emit(f.ctx, eventRecovered, f.data(e))
	}
}

func (f fetchEvents) Failed(e credentials.Event) {
	if e.Attempt > 1 {
		return
	}
	data := f.data(e)
	data["error"] = e.Err.Error()
	if !e.ValidUntil.IsZero() {
		data["valid_until"] = e.ValidUntil
	}
	f.app.Emit(f.ctx, eventFailed, data)
}

func (f fetchEvents) data(e credentials.Event) map[string]any {
	data := map[string]any{"identity": e.Label}
	if name := f.name(e.Key); name != "" {
		data["name"] = name
	}
	return data
}
