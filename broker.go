package awssigv4

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
)

// broker returns the identity that assumes roles for others, and what the configuration calls it. It is
// named, or stands in the field CredentialsRaw of holder; default is the AWS SDK's default chain.
func (a *App) broker(ctx caddy.Context, holder any, name string, raw json.RawMessage) (credentials.Identity, string, error) {
	var src credentials.Source
	var none credentials.Identity
	var err error
	field := "credentials"
	switch {
	case name != "" && len(raw) > 0:
		return none, "", fieldError("credentials_name", errors.New("credentials are given too: write one of the two"))
	case name != "":
		field = "credentials_name"
		src, err = a.Source(name)
	case len(raw) > 0:
		src, name, err = a.inlineSource(ctx, holder, raw)
	default:
		name = "default"
		src, err = a.defaultSource()
	}
	if err != nil {
		return none, "", fieldError(field, err)
	}
	if src.PerRequest() {
		return none, "", fieldError(field, errors.New("the broker's credentials depend on the request: write fixed ones"))
	}
	id, err := src.Identity(nil)
	if err != nil {
		return none, "", fieldError(field, err)
	}
	return id, name, nil
}

func (a *App) inlineSource(ctx caddy.Context, holder any, raw json.RawMessage) (credentials.Source, string, error) {
	var inline struct{ Source string }
	if err := json.Unmarshal(raw, &inline); err != nil {
		return nil, "", err
	}
	mod, err := ctx.LoadModule(holder, "CredentialsRaw")
	if err != nil {
		return nil, "", err
	}
	src, ok := mod.(credentials.Source)
	if !ok {
		return nil, "", fmt.Errorf("module %T is not a source of credentials", mod)
	}
	if chained, ok := src.(credentials.Chained); ok {
		if err := chained.SetResolver(a); err != nil {
			return nil, "", err
		}
	}
	return src, inline.Source, nil
}
