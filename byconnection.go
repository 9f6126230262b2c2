package awssigv4

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/web"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// ByConnection makes a handler sign as a customer who has connected an AWS account, in place of one of the
// vendor's own identities: never as anybody else, whatever is wrong with the connection. Requests are then
// calls on that customer's behalf. The connection also says where they go; see `base_url` of an
// integration. Behind the handler stands a `reverse_proxy` with `dynamic aws_sigv4` and
// `transport aws_sigv4`; the short form `aws_sigv4 connection` puts them there.
type ByConnection struct {
	// The ID of the connection to sign as. It may come from the request, as
	// `{http.request.header.connection-id}`; then `keys` or `authenticated_by_caddy` is required.
	Connection string `json:"connection,omitempty"`

	// The key of the integration that the connection must belong to, as
	// `{http.request.header.provider-config-key}`. Default: any.
	Integration string `json:"integration,omitempty"`

	// What the vendor's own programs authenticate with, as `Authorization: Bearer SECRET`. Their
	// scopes must include `proxy`, which is the default here.
	Keys []ConnectKey `json:"keys,omitempty"`

	// Take requests that a handler before this one has authenticated: `{http.auth.user.id}` must not
	// be empty. With `keys`, either will do. What a page of another site has a browser send is refused.
	AuthenticatedByCaddy bool `json:"authenticated_by_caddy,omitempty"`

	// Call hosts without TLS whose base URL begins with `http://` and that are written in full in
	// `allow_hosts`, for tests and for servers on this machine.
	Insecure bool `json:"insecure,omitempty"`

	connects *connect.Service
	keyring  *web.Keyring
	// configured are the integrations of the configuration, whose allow-lists the operator wrote.
	configured              map[string]*Integration
	connection, integration value
	// storage tells calls apart whose integrations have the same key.
	storage string
}

// byConnection says whether requests are calls on a customer's behalf.
func (b *ByConnection) byConnection() bool { return b.Connection != "" }

var errConnectionAlone = errors.New("there is no connection that it is about: write `connection ID`")

// lonely returns a field that means nothing without a connection, if one is set.
func (b *ByConnection) lonely() string {
	switch {
	case b.Integration != "":
		return "integration"
	case len(b.Keys) > 0:
		return "keys"
	case b.AuthenticatedByCaddy:
		return "authenticated_by_caddy"
	case b.Insecure:
		return "insecure"
	}
	return ""
}

// provisionConnection checks the configuration. It does not touch the network.
func (h *Handler) provisionConnection(ctx caddy.Context) error {
	b := &h.ByConnection
	if !b.byConnection() {
		if field := b.lonely(); field != "" {
			return fieldError(field, errConnectionAlone)
		}
		return nil
	}
	if err := h.checkConnection(); err != nil {
		return err
	}
	if h.app.connect == nil {
		return fieldError("connection", errNoConnections)
	}
	b.storage = storageKey(ctx.Storage())
	b.connects, b.configured = h.app.connect.Service, h.app.Integrations
	var err error
	if b.connection, err = newValue(b.Connection, checkConnectionID); err != nil {
		return fieldError("connection", err)
	}
	if b.integration, err = newValue(b.Integration, connect.CheckIntegrationKey); err != nil {
		return fieldError("integration", err)
	}
	keys := make([]web.Key, 0, len(b.Keys))
	for i := range b.Keys {
		key, err := b.Keys[i].resolve(h.logger)
		if err != nil {
			return fieldError(fmt.Sprintf("keys[%d]", i), err)
		}
		if len(key.Scopes) == 0 {
			key.Scopes = []web.Scope{web.ScopeProxy}
		}
		for _, name := range key.Integrations {
			if _, ok := b.connects.Integration(name); !ok && b.connects.Runtime() == nil {
				return fieldError(fmt.Sprintf("keys[%d]", i), fmt.Errorf("key %s: there is no integration %q", key.Name, name))
			}
		}
		keys = append(keys, key)
	}
	if b.keyring, err = web.NewKeyring(keys); err != nil {
		return fieldError("keys", err)
	}
	return nil
}

// checkConnection says what does not go together, for the Caddyfile and for JSON alike.
func (h *Handler) checkConnection() error {
	b := &h.ByConnection
	for _, f := range []struct {
		name  string
		isSet bool
	}{
		{"host", h.Host != ""},
		{"service", h.Service != ""},
		{"region", h.Region != ""},
		{"credentials", h.CredentialsName != "" || len(h.CredentialsRaw) > 0 || h.namesCredentials()},
		{"for_upstreams", len(h.ForUpstreams) > 0},
	} {
		if f.isSet {
			return fieldError(f.name, errors.New("the connection says it: leave this out, or the connection"))
		}
	}
	if sources.NeedsRequest(b.Connection) && len(b.Keys) == 0 && !b.AuthenticatedByCaddy {
		return fieldError("connection", fmt.Errorf("%q is filled from the request, so whoever comes could choose a customer: "+
			"write `api_key NAME SECRET`, or `authenticated_by_caddy` behind a handler that authenticates", b.Connection))
	}
	if !sources.NeedsRequest(b.Connection) && sources.NeedsRequest(b.Integration) {
		return fieldError("integration", errors.New("the connection is fixed, and its integration with it: leave this out"))
	}
	if b.Insecure && !slices.ContainsFunc(h.Allow.Hosts, func(p string) bool { return !strings.HasPrefix(p, "*.") }) && !h.someIntegrationAllowsHosts() {
		return fieldError("insecure", errors.New("only hosts that are in allow_hosts in full are called without TLS, and there is none: write one, or leave insecure out"))
	}
	return nil
}

// someIntegrationAllowsHosts says whether the hosts of an integration may be called without TLS. In a
// Caddyfile that is being read the integrations are not known yet; it is asked again with all of them.
func (h *Handler) someIntegrationAllowsHosts() bool {
	if h.app == nil {
		return true
	}
	for _, i := range h.app.Integrations {
		if i != nil && len(i.AllowHosts) > 0 {
			return true
		}
	}
	return h.app.connect != nil && h.app.connect.Runtime() != nil
}

// checkConnectionID reports what can't be the ID of a connection, however it was chosen.
func checkConnectionID(id string) error {
	if id == "" || len(id) > 255 || strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errors.New("write the ID of a connection: 1 to 255 characters")
	}
	return nil
}

// call is a request on a customer's behalf, in its plan.
type call struct {
	connection  *connect.Connection
	integration *connect.Integration
	target      callTarget
	controls    controls

	// allowed are hosts that may be dialled without being AWS's.
	allowed []string

	connects *connect.Service
}

// begin authenticates the caller, finds the connection and where the call goes, and plans that. It
// returns the request as AWS is to get it, but for what signing adds.
func (h *Handler) begin(p *plan, r *http.Request, repl *caddy.Replacer) (*http.Request, error) {
	b := &h.ByConnection
	key, err := b.authenticate(r, repl)
	if err != nil {
		return nil, err
	}
	c := new(call)
	p.call = c
	if err := b.find(r.Context(), c, key, repl); err != nil {
		return nil, err
	}
	logCall(r, c)
	if c.controls, err = readControls(r.Header); err != nil {
		return nil, err
	}
	if !b.authenticates() {
		// Whoever comes uses the connection as the operator wrote it.
		c.controls.retries = 0
		if c.controls.baseURL != "" {
			return nil, newCallError(http.StatusForbidden, "base_url_override_not_allowed",
				"Base-Url-Override: nobody here is known, so the operator alone says where to: leave it out, or have the operator write api_key")
		}
	}
	t := targeting{
		connection: c.connection, integration: c.integration, allowed: c.allowed, insecure: b.Insecure,
	}
	t.allowed = append(slices.Clip(t.allowed), h.Allow.Hosts...)
	c.allowed = t.allowed
	if c.target, err = t.of(c.controls.baseURL); err != nil {
		return nil, err
	}
	p.host, p.service, p.region = c.target.host, c.target.service, c.target.region
	identity, err := b.connects.Identity(*c.connection)
	if err != nil {
		return nil, err
	}
	p.identity, p.perRequest = &identity, true
	if err := p.permitRole(identity); err != nil {
		return nil, err
	}
	out, err := belowPath(r, c.target.path, c.target.service)
	if err != nil {
		return nil, err
	}
	cleaned := *out
	cleaned.Header = clean(r.Header)
	return &cleaned, nil
}

// authenticates says whether callers have to show who they are.
func (b *ByConnection) authenticates() bool { return len(b.Keys) > 0 || b.AuthenticatedByCaddy }

// authenticate returns the caller's key; nil if Caddy has authenticated the request, or nobody has to.
func (b *ByConnection) authenticate(r *http.Request, repl *caddy.Replacer) (*web.Key, error) {
	if !b.authenticates() {
		return nil, nil //nolint:nilnil // the connection is fixed, and whoever reaches the handler may use it
	}
	err := web.ErrNoKey
	if len(b.Keys) > 0 {
		var key *web.Key
		if key, err = b.keyring.Of(r.Header); err == nil {
			switch {
			case !web.TakesSecrets(r, overHTTPS(r)):
				return nil, newCallError(http.StatusForbidden, "https_required", "secrets are taken by HTTPS only")
			case !key.May(web.ScopeProxy):
				return nil, newCallError(http.StatusForbidden, "forbidden", "the API key does not have the scope proxy")
			}
			return key, nil
		}
	}
	if b.AuthenticatedByCaddy {
		if user, ok := repl.GetString("http.auth.user.id"); ok && user != "" {
			if isForged(r) {
				return nil, newCallError(http.StatusForbidden, "cross_site", "a page of another site has a browser make this call")
			}
			return nil, nil //nolint:nilnil // Caddy knows who it is
		}
		if len(b.Keys) == 0 {
			return nil, newCallError(http.StatusUnauthorized, "not_authenticated", "nobody has authenticated this request")
		}
	}
	code := "malformed_auth_header"
	switch {
	case errors.Is(err, web.ErrNoKey):
		code = "missing_auth_header"
	case errors.Is(err, web.ErrUnknownKey):
		code = "unknown_account"
	}
	return nil, newCallError(http.StatusUnauthorized, code, err.Error())
}

// find looks up the connection and its integration. What a key may not use does not exist for it.
func (b *ByConnection) find(ctx context.Context, c *call, key *web.Key, repl *caddy.Replacer) error {
	var named string
	var err error
	if b.Integration != "" {
		if named, err = b.integration.resolve(repl); err != nil {
			return newCallError(http.StatusBadRequest, "invalid_headers", "which integration? "+err.Error())
		}
		if err := b.findIntegration(c, named, key); err != nil {
			return err
		}
	}
	id, err := b.connection.resolve(repl)
	if err != nil {
		return newCallError(http.StatusBadRequest, "invalid_headers", "which connection? "+err.Error())
	}
	connection, err := b.connects.Lookup(ctx, id)
	switch {
	case err != nil:
		return err
	case named != "" && connection.Integration != named, key != nil && !key.MayUse(connection.Integration):
		return errUnknownConnection
	}
	if named == "" {
		if err := b.findIntegration(c, connection.Integration, nil); err != nil {
			return err
		}
	}
	c.connection, c.connects = &connection, b.connects
	return nil
}

func (b *ByConnection) findIntegration(c *call, name string, key *web.Key) error {
	configured, ok := b.connects.Integration(name)
	if !ok {
		if _, err := b.connects.Integrations(); err != nil {
			return err
		}
		return errUnknownIntegration
	}
	if key != nil && !key.MayUse(name) {
		return errUnknownIntegration
	}
	c.integration = &configured.Integration
	if _, ok := b.configured[name]; ok {
		c.allowed = configured.Limits.Hosts
	} else if runtime := b.connects.Runtime(); runtime != nil {
		c.allowed = runtime.Hosts
	}
	return nil
}

// goesOn says whether the connection is still there to be used, and for the role that the call began with.
func (c *call) goesOn(ctx context.Context) bool {
	now, err := c.connects.Lookup(ctx, c.connection.ID)
	if err == nil {
		_, err = c.connects.Identity(now)
	}
	was := c.connection
	return err == nil && now.Integration == was.Integration && now.RoleARN == was.RoleARN && now.ExternalID == was.ExternalID && now.Region == was.Region
}

// logCall has the access log tell whose call it was.
func logCall(r *http.Request, c *call) {
	if extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Set(zap.String("aws_connection", c.connection.ID))
		extra.Set(zap.String("aws_integration", c.integration.Key))
	}
}

// permit says whether what is really signed keeps to the limits of the integration and of the connection.
func (c *call) permit(method string, h http.Header, d destination, target sigv4.Target) error {
	for _, l := range []*connect.Limits{&c.integration.Limits, &c.connection.Limits} {
		if err := permitPaths(l, method, h, d, target); err != nil {
			return newCallError(http.StatusForbidden, "not_permitted", err.Error())
		}
	}
	return nil
}

func permitPaths(l *connect.Limits, method string, h http.Header, d destination, target sigv4.Target) error {
	path := target.Path
	if len(l.Paths) > 0 {
		var err error
		if path, err = url.PathUnescape(target.Path); err != nil {
			return errors.New("the path can't be decoded")
		}
		for _, name := range sourceHeaders {
			for _, from := range h.Values(name) {
				if err := permitSource(l, from, method, d); err != nil {
					return fmt.Errorf("%s %w", name, err)
				}
			}
		}
	}
	return l.Permit(method, d.host, path, d.service, d.region)
}

// sourceHeaders name objects that S3 is to copy or to rename.
var sourceHeaders = []string{"X-Amz-Copy-Source", "X-Amz-Rename-Source"}

// permitSource asks the limits for the object that S3 is to copy: it is read as if it were asked for by its
// path.
func permitSource(l *connect.Limits, from, method string, d destination) error {
	from, _, _ = strings.Cut(from, "?")
	path, err := url.PathUnescape(from)
	if err != nil {
		return errors.New("can't be decoded")
	}
	if err := l.Permit(method, d.host, "/"+strings.TrimPrefix(path, "/"), d.service, d.region); err != nil {
		return errors.New("is not among the paths that may be called")
	}
	return nil
}

// reaches says whether what is dialled is what the call is for. Another upstream, one that stands beside
// `dynamic aws_sigv4` say, gets nobody's signature.
func (c *call) reaches(dialled string) error {
	host, port := splitHostPort(withPort(&c.target))
	if h, p := splitHostPort(dialled); h == host && p == port {
		return nil
	}
	return newCallError(http.StatusBadGateway, "wrong_upstream",
		"the call is for another host than the upstream: the operator's reverse_proxy needs `dynamic aws_sigv4`, and no other upstream")
}

// count counts a call, or says that there were too many.
func (c *call) count(now time.Time, storage string) error {
	wait := callRates.take(
		now,
		counted{storage + " integration " + c.integration.Key, c.integration.Limits.Rate},
		counted{storage + " connection " + c.connection.ID, c.connection.Limits.Rate},
	)
	if wait <= 0 {
		return nil
	}
	e := newCallError(http.StatusTooManyRequests, "too_many_request", "there were too many calls: wait as long as Retry-After says")
	e.retryAfter = wait
	return e
}
