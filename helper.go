package awssigv4

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/stshelper"
)

// STSHelper hands out temporary credentials of AWS roles to callers with a key, within the limits that
// are set for each key. It assumes the roles with credentials of its own, the broker's, which no
// caller sees.
//
// `POST /assume-role` takes `{"role_arn","external_id","region","service"}`, and `GET /credentials/NAME`
// is a container credentials endpoint for AWS SDKs, for the one role of the key of that name. A key is
// sent as `X-Api-Key`, as `Authorization`, with or without `Bearer`, or by HTTP basic authentication.
// `GET /health` needs none. The paths are exact: put the handler into a `handle_path` to have them
// below another path. Every other path is answered 404; nothing is passed on.
//
// Each call leaves one line in the log of `http.handlers.aws_sts_helper`, and the key's name is
// `{http.auth.user.id}`, so that the access log shows it.
type STSHelper struct {
	// The name of the broker's credentials, which the `aws_sigv4` app defines. Excludes
	// `credentials`.
	CredentialsName string `json:"credentials_name,omitempty"`

	// Where the broker's credentials come from, if they are not among the named ones. They must
	// not depend on the request. Default: the AWS SDK's default chain.
	CredentialsRaw json.RawMessage `json:"credentials,omitempty" caddy:"namespace=aws_sigv4.credentials inline_key=source"`

	// What callers authenticate with, and what each may ask for.
	Keys []HelperKey `json:"keys,omitempty"`

	// How long sessions last: 15 minutes to 12 hours, but not longer than the roles allow, and at
	// most one hour if the broker is a role itself. Default: `1h`.
	Duration caddy.Duration `json:"duration,omitempty"`

	// Whether a request without an External ID is refused. Default: true.
	RequireExternalID *bool `json:"require_external_id,omitempty"`

	// The name of sessions, which the roles' owners see in CloudTrail; `{key}` stands for the
	// name of the caller's key. Default: `{key}`.
	SessionName string `json:"session_name,omitempty"`

	// Session tags by key, at most 50; `{key}` stands for the name of the caller's key. The roles'
	// trust policies must allow `sts:TagSession`. Default: none.
	Tags map[string]string `json:"tags,omitempty"`

	// Whose STS is called if a request names no region. Default: the environment's region
	// (`AWS_REGION` or the shared configuration file) if it is in the role's partition, else the
	// partition's default.
	Region string `json:"region,omitempty"`

	// The regions that a request may name. Default: any of the role's partition.
	Regions []string `json:"regions,omitempty"`

	// Check the region of a request, and don't use it.
	IgnoreRegion bool `json:"ignore_region,omitempty"`

	// Web origins, such as `https://app.example.com`, from which browsers may call. Default: none.
	AllowOrigins []string `json:"allow_origins,omitempty"`

	// From where requests without TLS are answered: `loopback`, `private` (loopback and private
	// addresses) or `any`. The address is that of the connection; if that is one of the server's
	// `trusted_proxies` and its `X-Forwarded-Proto` is `http`, also that of its client. Default:
	// `private`.
	PlainHTTP stshelper.PlainHTTP `json:"plain_http,omitempty"`

	// The largest request body in bytes. Default: 64 KiB.
	BodyLimit int64 `json:"body_limit,omitempty"`

	app      *App
	logger   *zap.Logger
	handler  *stshelper.Handler
	warnOnce sync.Once
}

// HelperKey is what a caller authenticates with, and what it may ask for.
type HelperKey struct {
	// The name of the key, in logs and in `/credentials/NAME`: up to 64 letters, digits, `-`, `_`
	// and `.`.
	Name string `json:"name,omitempty"`

	// The user, if the key is for HTTP basic authentication. May be a placeholder such as
	// `{env.HELPER_USER}`.
	User string `json:"user,omitempty"`

	// The secrets, or passwords if there is a user, of at least 8 characters; several while one
	// takes over from another. Write placeholders such as `{env.HELPER_KEY}` or
	// `{file./run/secrets/helper}`: Caddy keeps literal values in its autosaved configuration.
	Secrets []string `json:"secrets,omitempty"`

	// The roles that may be asked for: ARNs or patterns, which are compared field by field: `*`
	// and `?` match neither `:` nor `/`.
	Roles []string `json:"roles,omitempty"`

	// The External IDs that may be sent along, exact or as patterns like those of roles. Default:
	// any.
	ExternalIDs []string `json:"external_ids,omitempty"`

	// The ARN of the role that `GET /credentials/NAME` gives. Default: none.
	Role string `json:"role,omitempty"`

	// The External ID of that role.
	ExternalID string `json:"external_id,omitempty"`

	// Whether the key may have it found out if a role really asks for its External ID, with
	// `POST /probe-external-id`.
	Probe bool `json:"probe,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*STSHelper) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.aws_sts_helper",
		New: func() caddy.Module { return new(STSHelper) },
	}
}

// helperSTS is shared by all helpers, as is its connection pool. It holds no credentials.
var helperSTS = sts.NewClient(sts.Config{})

// Provision sets up the helper. It does not touch the network.
func (h *STSHelper) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	mod, err := ctx.App(appName)
	if err != nil {
		return fmt.Errorf("getting the %s app: %w", appName, err)
	}
	h.app = mod.(*App)
	o := stshelper.Options{
		Client:             helperSTS,
		Cache:              helperCache{h.app},
		Duration:           time.Duration(h.Duration),
		OptionalExternalID: h.RequireExternalID != nil && !*h.RequireExternalID,
		IgnoreRegion:       h.IgnoreRegion,
		PlainHTTP:          h.PlainHTTP,
		BodyLimit:          h.BodyLimit,
		Audit:              h.audit,
		ProxiedFor:         proxiedFor,
	}
	if o.Broker, o.BrokerName, err = h.app.broker(ctx, h, h.CredentialsName, h.CredentialsRaw); err != nil {
		return err
	}
	h.app.brokers = append(h.app.brokers, o.Broker)
	if o.Region, err = sources.ResolveFixed(h.Region); err != nil {
		return fieldError("region", err)
	}
	if o.Regions, err = resolveAll("regions", h.Regions); err != nil {
		return err
	}
	if o.AllowOrigins, err = resolveAll("allow_origins", h.AllowOrigins); err != nil {
		return err
	}
	// What the client of STS would choose for most roles.
	o.HealthRegion = cmp.Or(o.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), "us-east-1")
	for i, k := range h.Keys {
		resolved, err := h.resolveKey(k)
		if err != nil {
			return fieldError(fmt.Sprintf("keys[%d]", i), err)
		}
		o.Keys = append(o.Keys, resolved)
	}
	if h.PlainHTTP == stshelper.PlainHTTPAny {
		h.logger.Warn("plain_http any: secrets and credentials may pass networks where others can read them")
	}
	h.handler, err = stshelper.New(o)
	return err
}

// keyPlaceholder stands for the name of the caller's key.
const keyPlaceholder = "{key}"

// resolveKey fills the placeholders of a key.
func (h *STSHelper) resolveKey(k HelperKey) (stshelper.Key, error) {
	out := stshelper.Key{Name: k.Name, Probe: k.Probe}
	for _, f := range []struct {
		name, value string
		into        *string
	}{
		{"user", k.User, &out.User},
		{"role", k.Role, &out.Role},
		{"external_id", k.ExternalID, &out.ExternalID},
		{"session_name", strings.ReplaceAll(h.SessionName, keyPlaceholder, k.Name), &out.SessionName},
	} {
		var err error
		if *f.into, err = sources.ResolveFixed(f.value); err != nil {
			return out, fieldError(f.name, err)
		}
	}
	for _, f := range []struct {
		name   string
		values []string
		into   *[]string
	}{
		{"secrets", k.Secrets, &out.Secrets},
		{"roles", k.Roles, &out.Roles},
		{"external_ids", k.ExternalIDs, &out.ExternalIDs},
	} {
		var err error
		if *f.into, err = resolveAll(f.name, f.values); err != nil {
			return out, err
		}
	}
	for _, tag := range slices.Sorted(maps.Keys(h.Tags)) {
		value, err := sources.ResolveFixed(strings.ReplaceAll(h.Tags[tag], keyPlaceholder, k.Name))
		if err != nil {
			return out, fieldError("tags."+tag, err)
		}
		out.Tags = append(out.Tags, sts.Tag{Key: tag, Value: value})
	}
	for i, secret := range out.Secrets {
		if !sources.HasPlaceholder(k.Secrets[i]) {
			h.logger.Warn("a key's secret stands literally in the configuration, which Caddy also saves and shows at its admin endpoint: write {env.NAME} or {file./PATH} instead", zap.String("key", k.Name))
		}
		if len(secret) < stshelper.ShortSecret {
			h.logger.Warn(fmt.Sprintf("a key's secret has fewer than %d characters: write a longer one, such as what `openssl rand -hex 32` prints", stshelper.ShortSecret), zap.String("key", k.Name))
		}
	}
	return out, nil
}

func resolveAll(field string, values []string) ([]string, error) {
	var all []string
	for i, v := range values {
		resolved, err := sources.ResolveFixed(v)
		if err != nil {
			return nil, fieldError(fmt.Sprintf("%s[%d]", field, i), err)
		}
		all = append(all, resolved)
	}
	return all, nil
}

// ServeHTTP answers every request.
func (h *STSHelper) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	answerBeforeBody(w, r)
	if r.TLS == nil && r.URL.Path != "/health" && !fromLoopback(r.RemoteAddr) {
		h.warnOnce.Do(func() {
			h.logger.Warn("a caller came over plain HTTP, where others may read its secret and its credentials: use TLS, unless the network is yours alone", zap.String("remote", r.RemoteAddr))
		})
	}
	h.handler.ServeHTTP(w, r)
	return nil
}

// proxiedFor returns the client of a proxy that the server trusts.
func proxiedFor(r *http.Request) (netip.Addr, bool) {
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); !trusted {
		return netip.Addr{}, false
	}
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	addr, _ := netip.ParseAddr(ip)
	return addr, true
}

func fromLoopback(remote string) bool {
	addr, err := netip.ParseAddrPort(remote)
	return err != nil || addr.Addr().Unmap().IsLoopback()
}

// audit logs one call.
func (h *STSHelper) audit(r *http.Request, e stshelper.Entry) {
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok && e.Key != "" {
		repl.Set("http.auth.user.id", e.Key)
	}
	level := zapcore.WarnLevel // The caller's doing, or the role's.
	switch e.Outcome {
	case stshelper.Issued, stshelper.Probed:
		level = zapcore.InfoLevel
	case stshelper.Failed:
		level = zapcore.ErrorLevel
	default:
	}
	check := h.logger.Check(level, "sts helper call")
	if check == nil {
		return
	}
	fields := []zap.Field{zap.String("outcome", string(e.Outcome)), zap.String("endpoint", e.Endpoint), zap.Int("status", e.Status)}
	for _, f := range []struct{ name, value string }{
		{"key", e.Key},
		{"role_arn", e.RoleARN},
		{"external_id_seal", e.ExternalID},
		{"region", e.Region},
		{"service", e.Service},
		{"access_key_id", e.AccessKeyID},
		{"probe", e.Probe},
		{"code", e.Code},
		{"request_id", e.RequestID},
		{"message", e.Message},
		{"advice", e.Advice},
		{"remote", r.RemoteAddr},
	} {
		if f.value != "" {
			fields = append(fields, zap.String(f.name, f.value))
		}
	}
	if ip, ok := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string); ok {
		fields = append(fields, zap.String("client_ip", ip))
	}
	if e.Secret > 0 {
		fields = append(fields, zap.Int("secret", e.Secret))
	}
	if !e.Expires.IsZero() {
		fields = append(fields, zap.Bool("cached", e.Cached), zap.Time("expires", e.Expires))
	}
	if e.Err != nil {
		fields = append(fields, zap.Error(e.Err))
	}
	check.Write(fields...)
}

// helperCache is the app's cache for the helper.
type helperCache struct{ app *App }

func (c helperCache) Get(ctx context.Context, id credentials.Identity) (*credentials.Credentials, error) {
	return c.app.credentials(ctx, id)
}

func (c helperCache) Renew(ctx context.Context, id credentials.Identity, than *credentials.Credentials) (*credentials.Credentials, error) {
	return c.app.cache.Renew(ctx, id, than)
}

// MarshalLogObject keeps secrets that are written literally out of logs.
func (h *STSHelper) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddInt("keys", len(h.Keys))
	return nil
}

var (
	_ caddy.Provisioner           = (*STSHelper)(nil)
	_ caddyhttp.MiddlewareHandler = (*STSHelper)(nil)
	_ zapcore.ObjectMarshaler     = (*STSHelper)(nil)
)
