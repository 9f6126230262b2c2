package awssigv4

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/web"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/stshelper"
)

// Connect serves what a vendor's customers connect their own AWS accounts with: an API by which the vendor
// makes connect sessions and reads connections, and the page on which a customer grants a role. What can
// be connected are the integrations of the `aws_sigv4` app, which also keeps the connections.
//
// The paths are `/connect/sessions`, `/connect/sessions/reconnect`, `/connect/session`, `/auth/aws-sigv4/INTEGRATION`,
// `/connections` and what is below it, and everything else below `/connect/` for the page. To have them below another path,
// put the handler into a `handle` for it, and write that path into `base_url`. Every other path is
// answered 404; nothing is passed on, and no error is returned to Caddy's error routes.
//
// A request whose URL holds the token of a connect session, which is the link that a customer follows, is
// left out of the access log, and so is one with a token in a header that Caddy logs. Handlers in front of
// this one may log it: at the level DEBUG Caddy's `rewrite`, `uri` and `handle_path` do.
type Connect struct {
	// What the vendor's own programs authenticate with, as `Authorization: Bearer SECRET`. Without
	// any, the API answers nobody.
	Keys []ConnectKey `json:"keys,omitempty"`

	// The URLs that customers may be sent to from the page: https, or http on the loopback. One
	// without a path, or whose path ends with a slash, allows all below it. Default: none.
	ReturnURLs []string `json:"return_urls,omitempty"`

	// What programs in customers' browsers authenticate with, together with a proof of the vendor's.
	// Default: none; a connect session is what they need else.
	PublicKeys []ConnectPublicKey `json:"public_keys,omitempty"`

	// The origins, such as `https://app.example.com`, whose pages may call `/connect/session` and
	// `/auth/` as a customer, with the token of a session or a public key (CORS). No other path is ever
	// answered for other origins. Default: none.
	AllowOrigins []string `json:"allow_origins,omitempty"`

	// The origins, such as `https://app.example.com`, whose pages may have the Connect page in a
	// frame. Default: none.
	FrameAncestors []string `json:"frame_ancestors,omitempty"`

	// Where customers reach this handler, such as `https://connect.example.com`, with the path that
	// it is below, if any, which it then takes away from requests. Default: the host that the API
	// is called at.
	BaseURL string `json:"base_url,omitempty"`

	handler *web.Handler
	path    string // of base_url
}

// ConnectKey is what a program of the vendor's authenticates with, and what it may do.
type ConnectKey struct {
	// The name of the key, in logs: up to 64 letters, digits, `-`, `_` and `.`.
	Name string `json:"name,omitempty"`

	// The secrets, of at least 16 visible ASCII characters; several while one takes over from
	// another. Write placeholders such as `{env.CONNECT_KEY}` or `{file./run/secrets/connect}`:
	// Caddy keeps literal values in its autosaved configuration.
	Secrets []string `json:"secrets,omitempty"`

	// What the key may do: any of `connect_sessions:write`, `connections:list`, `connections:read`,
	// `connections:read_credentials`, `connections:update` and `connections:delete`. Default:
	// `connect_sessions:write` and `connections:read`.
	Scopes []web.Scope `json:"scopes,omitempty"`

	// The integrations that it may do that with. Default: all.
	Integrations []string `json:"integrations,omitempty"`
}

// ConnectPublicKey is what a program in a customer's browser authenticates with. Which connection it may make, or
// renew, the vendor's server proves by HMAC.
type ConnectPublicKey struct {
	// The public key itself: a UUID. It is no secret.
	ID string `json:"id,omitempty"`

	// The secrets of the vendor's server, of at least 16 visible ASCII characters; several while one
	// takes over from another. The proof is the HMAC-SHA256 of `INTEGRATION:CONNECTION-ID`, in
	// hexadecimal. Required.
	HMACKeys []string `json:"hmac_keys,omitempty"`

	// The integrations that may be connected with it. Default: all.
	Integrations []string `json:"integrations,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Connect) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.aws_connect",
		New: func() caddy.Module { return new(Connect) },
	}
}

var errNoIntegrations = errors.New("aws_connect has nothing to connect: define it in the global option aws_sigv4, as `integration KEY` with a block")

// Provision sets up the handler. It does not touch the network.
func (c *Connect) Provision(ctx caddy.Context) error {
	logger := ctx.Logger()
	mod, err := ctx.App(appName)
	if err != nil {
		return fmt.Errorf("getting the %s app: %w", appName, err)
	}
	app := mod.(*App)
	if app.connect == nil {
		return errNoIntegrations
	}
	o := web.Options{
		Service:     app.connect.Service,
		Credentials: app.connectionCredentials,
		HTTPS:       overHTTPS,
		Report:      func(err error) { logger.Error("connect", zap.Error(err)) },
	}
	for _, k := range c.Keys {
		key, err := k.resolve(logger)
		if err != nil {
			return fieldError("api_key "+k.Name, err)
		}
		o.Keys = append(o.Keys, key)
	}
	for _, k := range c.PublicKeys {
		key, err := k.resolve(logger)
		if err != nil {
			return fieldError("public_key "+k.ID, err)
		}
		o.PublicKeys = append(o.PublicKeys, key)
	}
	if o.AllowOrigins, err = resolveAll("allow_origins", c.AllowOrigins); err != nil {
		return err
	}
	returns, err := resolveAll("return_urls", c.ReturnURLs)
	if err != nil {
		return err
	}
	if o.ReturnURLs, err = connect.ParseReturnList(returns); err != nil {
		return fieldError("return_urls", err)
	}
	if o.FrameAncestors, err = resolveAll("frame_ancestors", c.FrameAncestors); err != nil {
		return err
	}
	if o.BaseURL, err = sources.ResolveFixed(c.BaseURL); err != nil {
		return fieldError("base_url", err)
	}
	if c.handler, err = web.New(o); err != nil {
		return err
	}
	base, err := web.ParseBaseURL(o.BaseURL)
	if base != nil {
		c.path = base.Path
	}
	return err
}

// connectionCredentials returns the credentials of a connection's role from the cache, or from a fetch of
// their own.
func (a *App) connectionCredentials(ctx context.Context, c connect.Connection, fresh bool) (sigv4.Credentials, time.Time, error) {
	id, err := a.connect.Identity(c)
	if err != nil {
		return sigv4.Credentials{}, time.Time{}, err
	}
	get := a.credentials
	if fresh {
		get = a.cache.Refresh
	}
	creds, err := get(ctx, id)
	if err != nil {
		return sigv4.Credentials{}, time.Time{}, err
	}
	return creds.Value, creds.Expires, nil
}

// resolve fills the placeholders of a key.
func (k *ConnectKey) resolve(logger *zap.Logger) (web.Key, error) {
	key := web.Key{Name: k.Name, Scopes: k.Scopes}
	var err error
	if key.Secrets, err = resolveAll("secrets", k.Secrets); err != nil {
		return key, err
	}
	if key.Integrations, err = resolveAll("integrations", k.Integrations); err != nil {
		return key, err
	}
	warnOfSecrets(logger, k.Name, k.Secrets, key.Secrets)
	return key, nil
}

// resolve fills the placeholders of a public key.
func (k *ConnectPublicKey) resolve(logger *zap.Logger) (web.PublicKey, error) {
	key := web.PublicKey{}
	var err error
	if key.ID, err = sources.ResolveFixed(k.ID); err != nil {
		return key, fieldError("id", err)
	}
	if key.HMACKeys, err = resolveAll("hmac_keys", k.HMACKeys); err != nil {
		return key, err
	}
	if key.Integrations, err = resolveAll("integrations", k.Integrations); err != nil {
		return key, err
	}
	warnOfSecrets(logger, k.ID, k.HMACKeys, key.HMACKeys)
	return key, nil
}

// warnOfSecrets tells the operator of a key's secrets that are literal, or short.
func warnOfSecrets(logger *zap.Logger, key string, written, resolved []string) {
	for i, secret := range resolved {
		if !sources.HasPlaceholder(written[i]) {
			logger.Warn("a key's secret stands literally in the configuration, which Caddy also saves and shows at its admin endpoint: write {env.NAME} or {file./PATH} instead", zap.String("key", key))
		}
		if len(secret) < stshelper.ShortSecret {
			logger.Warn(fmt.Sprintf("a key's secret has fewer than %d characters: write a longer one, such as what `openssl rand -hex 32` prints", stshelper.ShortSecret), zap.String("key", key))
		}
	}
}

// overHTTPS says whether a request came by HTTPS to this server, or to a proxy that the server trusts.
func overHTTPS(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	scheme := r.Header.Values("X-Forwarded-Proto")
	return trusted && len(scheme) == 1 && strings.EqualFold(scheme[0], "https")
}

// ServeHTTP answers every request.
func (c *Connect) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if web.HoldsToken(r) {
		caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
	}
	answerBeforeBody(w, r)
	c.handler.ServeHTTP(w, c.belowBase(r))
	return nil
}

// belowBase takes the path of base_url away from a request, unless something before has.
func (c *Connect) belowBase(r *http.Request) *http.Request {
	rest, ok := strings.CutPrefix(r.URL.Path, c.path+"/")
	if c.path == "" || !ok {
		return r
	}
	u := *r.URL
	u.Path, u.RawPath = "/"+rest, ""
	if raw, ok := strings.CutPrefix(r.URL.RawPath, c.path+"/"); ok {
		u.RawPath = "/" + raw
	}
	below := *r
	below.URL = &u
	return &below
}

// MarshalLogObject keeps secrets that are written literally out of logs.
func (c *Connect) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddInt("keys", len(c.Keys))
	return nil
}

var (
	_ caddy.Provisioner           = (*Connect)(nil)
	_ caddyhttp.MiddlewareHandler = (*Connect)(nil)
	_ zapcore.ObjectMarshaler     = (*Connect)(nil)
)
