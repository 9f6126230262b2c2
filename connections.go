package awssigv4

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/seal"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// Connections says how connect sessions and customers' connections are kept: in Caddy's storage, sealed
// with AES-256-GCM, so that whoever can read the storage learns neither roles nor External IDs.
type Connections struct {
	// The seal key: 32 random bytes in base64 or hexadecimal, as `openssl rand -base64 32` prints
	// them. Write a placeholder such as `{file./run/secrets/seal-key}`: Caddy keeps literal values
	// in its autosaved configuration. Who loses the key loses the connections. Required.
	Key string `json:"key,omitempty"`

	// Keys that records may still be sealed with. To rotate, write the new key as `key` and the one
	// before here; every record is then sealed anew in the background.
	OldKeys []string `json:"old_keys,omitempty"`

	// How long a connect session lasts from its creation, and from each time that the customer's
	// browser renews it: 1 minute to 8 hours. Default: `30m`.
	SessionLife caddy.Duration `json:"session_life,omitempty"`

	// How long a role that can't be assumed is tried again before that is taken for the answer:
	// IAM needs a while until a new role counts everywhere. At most 10 minutes; a negative
	// duration does not wait. Default: `1m`.
	PropagationWait caddy.Duration `json:"propagation_wait,omitempty"`

	// How often each connection's role is assumed to see whether it still can be; at least a minute.
	// A negative duration never does. Default: `24h`.
	RecheckEvery caddy.Duration `json:"recheck_every,omitempty"`

	// How long connections that are known are served while the storage does not answer: 10 seconds to
	// 24 hours. What another instance changes meanwhile, for example pauses, is not known here until
	// the storage answers again; after that time calls are refused with 503. Default: `15m`.
	MaxStale caddy.Duration `json:"max_stale,omitempty"`

	// On how many days (UTC) in a row a connection's role must have failed until it is no longer
	// tried: calls then fail with the reason, and it is rechecked once a week. A negative number
	// never gives up. Default: `4`.
	ExhaustedAfter int `json:"exhausted_after,omitempty"`

	// Where the vendor is told what happens to connections. Default: nowhere.
	Webhooks []Webhook `json:"webhooks,omitempty"`
}

const (
	minSessionLife     = time.Minute
	maxSessionLife     = 8 * time.Hour
	maxPropagationWait = 10 * time.Minute
	minRecheckEvery    = time.Minute
	minMaxStale        = 10 * time.Second // Less would be a poll that was late.
	maxMaxStale        = 24 * time.Hour
	maxExhaustedAfter  = 365
)

// checkTimes says which of the durations can't be.
func (c *Connections) checkTimes() error {
	life, wait, every := time.Duration(c.SessionLife), time.Duration(c.PropagationWait), time.Duration(c.RecheckEvery)
	stale := time.Duration(c.MaxStale)
	switch {
	case life != 0 && (life < minSessionLife || life > maxSessionLife):
		return fieldError("session_life", fmt.Errorf("%v: write 1m to 8h", life))
	case wait > maxPropagationWait:
		return fieldError("propagation_wait", fmt.Errorf("%v: write at most 10m", wait))
	case every > 0 && every < minRecheckEvery:
		return fieldError("recheck_every", fmt.Errorf("%v: write at least 1m", every))
	case stale != 0 && (stale < minMaxStale || stale > maxMaxStale):
		return fieldError("max_stale", fmt.Errorf("%v: write 10s to 24h", stale))
	case c.ExhaustedAfter > maxExhaustedAfter:
		return fieldError("exhausted_after", fmt.Errorf("%d: write at most %d days", c.ExhaustedAfter, maxExhaustedAfter))
	}
	return nil
}

// errNoSealKey says what is missing where there are integrations.
var errNoSealKey = errors.New("customers' connections are sealed and never stored in clear, so a seal key is needed: " +
	"make one with `openssl rand -base64 32`, and name its file in the global option aws_sigv4, as `key {file./run/secrets/seal-key}` in a block `connections`")

// ring returns the seal keys.
func (c *Connections) ring(logger *zap.Logger) (*seal.Ring, []string, error) {
	if c == nil || c.Key == "" {
		return nil, nil, fieldError("connections.key", errNoSealKey)
	}
	var keys []seal.Key
	var ids []string
	for i, text := range append([]string{c.Key}, c.OldKeys...) {
		field := "connections.key"
		if i > 0 {
			field = fmt.Sprintf("connections.old_keys[%d]", i-1)
		}
		resolved, err := sources.ResolveFixed(text)
		if err != nil {
			return nil, nil, fieldError(field, fmt.Errorf("%w; `openssl rand -base64 32` makes a key", err))
		}
		key, err := seal.ParseKey(resolved)
		if err != nil {
			return nil, nil, fieldError(field, err)
		}
		if !sources.HasPlaceholder(text) {
			logger.Warn("a seal key stands literally in the configuration, which Caddy also saves and shows at its admin endpoint: write {file./PATH} or {env.NAME} instead", zap.String("field", field))
		}
		keys, ids = append(keys, key), append(ids, key.ID())
	}
	ring, err := seal.NewRing(keys[0], keys[1:]...)
	if err != nil {
		return nil, nil, fieldError("connections", err)
	}
	return ring, ids, nil
}

// connectSTS is shared by all integrations, as is its connection pool. It holds no credentials.
var connectSTS = sts.NewClient(sts.Config{})

// provisionConnect gets the service that keeps connections, if the configuration has any use for it. It
// does not touch the network.
func (a *App) provisionConnect(ctx caddy.Context) error {
	if a.Connections == nil && len(a.Integrations) == 0 && a.RuntimeIntegrations == nil {
		return nil
	}
	ring, keyIDs, err := a.Connections.ring(a.logger)
	if err != nil {
		return err
	}
	if err := a.Connections.checkTimes(); err != nil {
		return fieldError("connections", err)
	}
	webhooks, webhooksKey, err := a.Connections.webhooks(a.logger)
	if err != nil {
		return err
	}
	integrations := make(map[string]*connect.Configured, len(a.Integrations))
	key := []string{storageKey(ctx.Storage()), strings.Join(keyIDs, " "), fmt.Sprint(
		a.Connections.SessionLife, a.Connections.PropagationWait, a.Connections.RecheckEvery, a.Connections.MaxStale, a.Connections.ExhaustedAfter,
	), webhooksKey}
	for _, name := range slices.Sorted(maps.Keys(a.Integrations)) {
		c, way, err := a.configure(ctx, name, a.Integrations[name])
		if err != nil {
			return fieldError("integrations."+name, err)
		}
		integrations[name] = c
		text, err := json.Marshal(c.Integration)
		if err != nil {
			return err
		}
		key = append(key, way, string(text))
	}
	runtime, way, err := a.runtime()
	if err != nil {
		return fieldError("runtime_integrations", err)
	}
	key = append(key, "runtime", way)
	pooled := credentials.NewKey(key...)
	shared, _, err := connectServices.LoadOrNew(pooled, func() (caddy.Destructor, error) {
		return newSharedConnect(ctx.Storage(), ring, a.Connections, integrations, runtime, webhooks)
	})
	if err != nil {
		return fieldError("connections", err)
	}
	a.connect, a.connectKey = shared.(*sharedConnect), pooled
	if err := a.connect.CheckTemplateFiles(); err != nil {
		return fieldError("integrations", err)
	}
	return nil
}

// startConnect lets the service use this configuration's storage and log, and begins what it does by
// itself, unless a configuration before has.
func (a *App) startConnect(ctx caddy.Context) {
	if a.connect == nil {
		return
	}
	a.release = append(a.release, a.connect.storage.attach(ctx.Storage()), a.connect.listener.attach(&connectLog{a.logger, a.events}))
	a.connect.start.Do(a.connect.begin)
}

// stopConnect gives the service back. With the last configuration that used it, it ends: it is told to
// while its storage and its log are still there.
func (a *App) stopConnect() error {
	if a.connectKey == "" {
		return nil
	}
	_, err := connectServices.Delete(a.connectKey)
	a.connectKey = ""
	return err
}
