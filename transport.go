package awssigv4

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/payload"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// Transport is Caddy's HTTP transport, with all its options, that signs what
// it sends with AWS Signature Version 4: every attempt, for the upstream that
// is really dialled, after everything else in `reverse_proxy` has changed the
// request, health checks too. It signs a copy, so that no log of Caddy's holds
// the signature or the session token.
//
// An `upstreams` entry for the dialled upstream comes first, then what a
// handler `aws_sigv4` before it decided, then the transport's own options.
//
// A request that can't be signed is not sent. If the fault is the client's,
// the transport answers it itself with 400, 403, 413 or 501, so that no client
// can make an upstream look unhealthy. If there are no credentials, it reports
// a dial error, so that `reverse_proxy` tries the next upstream; with
// `fail_duration` that counts against the upstream, which Caddy gives a
// transport no way to avoid. A handler `aws_sigv4` before it, as in the short
// form, sends both through Caddy's error routes before any upstream is chosen.
type Transport struct {
	*reverseproxy.HTTPTransport
	Signing

	// Other credentials, service, region or host for single upstreams. The
	// most exact match wins.
	Upstreams []*UpstreamTarget `json:"upstreams,omitempty"`

	// Refuse upstreams that no entry of `upstreams` matches.
	UpstreamOnly bool `json:"upstream_only,omitempty"`
}

// UpstreamTarget is what is signed differently for some upstreams.
type UpstreamTarget struct {
	// The dialled upstream: `HOST[:PORT]`, or `*.suffix` for every host below
	// a suffix. Without a port it matches every port.
	Match string `json:"match"`

	Target
}

// CaddyModule returns the Caddy module information.
func (Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID: "http.reverse_proxy.transport.aws_sigv4",
		// The Caddyfile adapter calls EnableTLS on a value that was never
		// provisioned, so the embedded transport has to be there.
		New: func() caddy.Module { return &Transport{HTTPTransport: new(reverseproxy.HTTPTransport)} },
	}
}

// Provision sets up the transport. It does not touch the network.
func (t *Transport) Provision(ctx caddy.Context) error {
	if t.HTTPTransport == nil {
		t.HTTPTransport = new(reverseproxy.HTTPTransport)
	}
	if err := t.HTTPTransport.Provision(ctx); err != nil {
		return err
	}
	if err := t.Signing.provision(ctx); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for i, u := range t.Upstreams {
		path := fmt.Sprintf("upstreams[%d]", i)
		if err := checkHostPattern(u.Match); err != nil {
			return fieldError(path+".match", err)
		}
		u.Match = strings.ToLower(u.Match)
		if seen[u.Match] {
			return fieldError(path+".match", fmt.Errorf("%q is there twice", u.Match))
		}
		seen[u.Match] = true
		if err := u.provision(ctx, t.app, &t.Allow); err != nil {
			return fieldError(path, err)
		}
	}
	if t.UpstreamOnly && len(t.Upstreams) == 0 {
		return fieldError("upstream_only", errors.New("no upstream is described, so all would be refused: add an `upstream` block"))
	}
	return t.checkUpstreams(ctx)
}

// checkUpstreams looks at the upstreams of the reverse_proxy that this
// transport belongs to, so that a host that can't be inferred is found before
// any request.
func (t *Transport) checkUpstreams(ctx caddy.Context) error {
	var proxy *reverseproxy.Handler
	for _, m := range ctx.Modules() {
		if rp, ok := m.(*reverseproxy.Handler); ok {
			proxy = rp
		}
	}
	if proxy == nil {
		return nil
	}
	headerUpHost := ""
	if proxy.Headers != nil && proxy.Headers.Request != nil {
		headerUpHost = proxy.Headers.Request.Set.Get("Host")
	}
	if len(t.Allow.Hosts) == 0 && sources.NeedsRequest(harmlessHosts.Replace(headerUpHost)) {
		return fieldError("allow_hosts", fmt.Errorf("`header_up Host %s` is filled from the request: say with allow_hosts which hosts may be signed for", headerUpHost))
	}
	for i, u := range proxy.Upstreams {
		path := fmt.Sprintf("upstreams[%d].dial", i)
		if sources.NeedsRequest(u.Dial) && len(t.Allow.Hosts) == 0 && !t.UpstreamOnly {
			return fieldError(path, fmt.Errorf("%q is filled from the request: say with allow_hosts which hosts may be signed for", u.Dial))
		}
		addr, err := caddy.ParseNetworkAddress(u.Dial)
		if err != nil || strings.Contains(u.Dial, "{") || strings.Contains(headerUpHost, "{") {
			continue
		}
		dialled := addr.JoinHostPort(0)
		err = t.checkUpstream(dialled, headerUpHost)
		if _, ok := errors.AsType[*endpoint.Error](err); ok && t.app.handlersChoose {
			// A handler before may say it. Which one is before this transport
			// can't be seen here, but health checks have none.
			if proxy.HealthChecks == nil || proxy.HealthChecks.Active == nil {
				continue
			}
			err = fmt.Errorf("health checks pass through no handler: %w in `transport aws_sigv4`", err)
		}
		if err != nil {
			return fieldError(path, err)
		}
	}
	return nil
}

// harmlessHosts drops the placeholders that don't let a request choose a Host:
// what the upstream is, what the handler chose by its own rules, and what is
// never signed.
var harmlessHosts = strings.NewReplacer(
	"{http.reverse_proxy.upstream.hostport}", "", "{http.reverse_proxy.upstream.host}", "",
	"{http.aws_sigv4.host}", "", "{http.request.host}", "", "{http.request.hostport}", "",
)

func (t *Transport) checkUpstream(dialled, headerUpHost string) error {
	block, err := t.blockFor(dialled)
	if err != nil {
		return err
	}
	host, service, region := t.host, t.service, t.region
	if block != nil {
		host, service, region = overlay(block.host, host), overlay(block.service, service), overlay(block.region, region)
	}
	if host.perRequest() || service.perRequest() || region.perRequest() {
		return nil
	}
	name := host.fixed
	if name == "" {
		name = headerUpHost
	}
	if name == "" {
		name = dialled
	}
	if !t.TLSEnabled() && endpointPort(dialled) == "443" {
		return fmt.Errorf("%s is dialled without TLS: write https:// before it, or `tls` in the transport", dialled)
	}
	dest, err := t.locate(sigv4.StripDefaultPort(name, t.scheme()), service.fixed, region.fixed)
	if err != nil {
		return err
	}
	return t.checkPayload(dest, t.TLSEnabled())
}

func (t *Transport) scheme() string {
	if t.TLSEnabled() {
		return "https"
	}
	return "http"
}

func overlay(inner, outer value) value {
	if inner.raw != "" {
		return inner
	}
	return outer
}

func endpointPort(hostport string) string {
	_, port := splitHostPort(hostport)
	return port
}

// blockFor returns the most exact block for a dialled upstream, or nil.
func (t *Transport) blockFor(dialled string) (*UpstreamTarget, error) {
	var best *UpstreamTarget
	bestExactness := -1
	for _, u := range t.Upstreams {
		if exactness, ok := matchHost(u.Match, dialled); ok && exactness > bestExactness {
			best, bestExactness = u, exactness
		}
	}
	if best == nil && t.UpstreamOnly {
		return nil, refuse(http.StatusForbidden, "upstream %q has no `upstream` block, and upstream_only is set", dialled)
	}
	return best, nil
}

// RoundTrip signs a copy of the request and sends it.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	out, err := t.signedCopy(req)
	if err != nil {
		return t.notSent(req, err)
	}
	res, err := t.HTTPTransport.RoundTrip(out)
	if r, ok := asRefusal(err); ok {
		// The body turned out to be too long while it was streamed.
		return answer(req, r), nil
	}
	if res != nil {
		// No copy that holds credentials leaves this place.
		res.Request = req
	}
	return res, err
}

// signedCopy takes one attempt's way: which upstream, which block, whose
// identity, which host; then cleans, covers the body and signs.
func (t *Transport) signedCopy(req *http.Request) (*http.Request, error) {
	ctx := req.Context()
	out := ownCopy(req)
	t.SetScheme(out)
	dialled := req.URL.Host
	if info, ok := reverseproxy.GetDialInfo(ctx); ok {
		dialled = info.Address
	}
	block, err := t.blockFor(dialled)
	if err != nil {
		return nil, err
	}
	if err := t.Allow.permitHost(dialled); err != nil {
		return nil, err
	}
	repl, _ := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	c := &choice{t: t, block: block, plan: planOf(ctx), expand: expander(repl)}
	host, err := c.host(userHost(req, repl, dialled), dialled)
	if err != nil {
		return nil, err
	}
	service, region, err := c.scope()
	if err != nil {
		return nil, err
	}
	dest, err := t.locate(sigv4.StripDefaultPort(host, out.URL.Scheme), service, region)
	if err != nil {
		return nil, err
	}
	if err := c.allowedByPlan(dest, dialled); err != nil {
		return nil, err
	}
	if err := refuseFraming(req.Header); err != nil {
		return nil, err
	}
	target, err := rawTargetOf(req).canonical(dest.path)
	if err != nil {
		return nil, err
	}
	creds, err := c.credentials(ctx)
	if err != nil {
		return nil, err
	}
	mode, limit, rules := c.options()
	hash, err := bodyOf(ctx).cover(out, mode, dest.payload, out.URL.Scheme == "https", limit)
	if err != nil {
		return nil, err
	}
	if err := t.sign(out, target, dest, creds, rules, hash); err != nil {
		return nil, err
	}
	// Only servers have one; whoever reads it gets nothing that is outdated.
	out.RequestURI = ""
	if c.plan != nil {
		c.plan.taken.Store(true)
	}
	return out, nil
}

// choice puts together what the upstream's block, the handler's plan and the
// transport's own options say, in this order.
type choice struct {
	t      *Transport
	block  *UpstreamTarget
	plan   *plan
	expand credentials.Expander
}

func (c *choice) pick(of func(*Target) value, planned func(*plan) string) (string, error) {
	if c.block != nil && of(&c.block.Target).raw != "" {
		return of(&c.block.Target).resolve(c.expand)
	}
	if c.plan != nil {
		if v := planned(c.plan); v != "" {
			return v, nil
		}
	}
	return of(&c.t.Target).resolve(c.expand)
}

func (c *choice) host(user, dialled string) (string, error) {
	host, err := c.pick(func(t *Target) value { return t.host }, func(p *plan) string { return p.host })
	switch {
	case err != nil:
		return "", refuse(http.StatusForbidden, "host: %w", err)
	case host != "":
		return host, nil
	case user != "":
		return user, nil
	}
	return dialled, nil
}

func (c *choice) scope() (service, region string, err error) {
	if service, err = c.pick(func(t *Target) value { return t.service }, func(p *plan) string { return p.service }); err != nil {
		return "", "", refuse(http.StatusForbidden, "service: %w", err)
	}
	if region, err = c.pick(func(t *Target) value { return t.region }, func(p *plan) string { return p.region }); err != nil {
		return "", "", refuse(http.StatusForbidden, "region: %w", err)
	}
	return service, region, nil
}

// allowedByPlan asks the handler's allow-lists too, now that the destination
// is known.
func (c *choice) allowedByPlan(d destination, dialled string) error {
	if c.plan == nil || c.plan.allow == &c.t.Allow {
		return nil
	}
	a := c.plan.allow
	return errors.Join(a.permitService(d.service), a.permitRegion(d.region), a.permitHost(d.host), a.permitHost(dialled))
}

// options returns how the body and which headers are covered: as the transport
// says, else as the handler does.
func (c *choice) options() (payload.Mode, int64, *sigv4.HeaderRules) {
	mode, limit, rules := c.t.Payload, c.t.BodyLimit, c.t.rules
	if p := c.plan; p != nil {
		mode = cmp.Or(mode, p.mode)
		limit = cmp.Or(limit, p.bodyLimit)
		rules = cmp.Or(rules, p.rules)
	}
	return mode, limit, rules
}

// credentials returns the credentials of whoever signs this attempt.
func (c *choice) credentials(ctx context.Context) (*credentials.Credentials, error) {
	var id credentials.Identity
	var err error
	switch {
	case c.block != nil && c.block.namesCredentials():
		id, err = c.t.allowedIdentity(&c.block.Target, c.expand)
	case c.plan != nil:
		id = c.plan.identity
		err = c.t.Allow.permitRole(id)
	default:
		id, err = c.t.identityOf(c.expand)
	}
	if err != nil {
		return nil, err
	}
	if c.plan != nil {
		if err := c.plan.allow.permitRole(id); err != nil {
			return nil, err
		}
	}
	return c.t.app.credentials(ctx, id)
}

// userHost returns the Host that the operator put on the request, with
// `header_up Host` or `health_headers Host`, or "". What differs from neither
// the client's own Host nor the upstream's address was put there by nobody.
func userHost(req *http.Request, repl *caddy.Replacer, dialled string) string {
	host := req.Host
	if host == "" || strings.EqualFold(host, dialled) || strings.EqualFold(host, req.URL.Host) {
		return ""
	}
	if repl != nil {
		for _, name := range [...]string{"http.request.hostport", "http.request.host"} {
			if client, ok := repl.GetString(name); ok && strings.EqualFold(host, client) {
				return ""
			}
		}
	}
	return host
}

// notSent ends an attempt at which nothing was sent.
func (t *Transport) notSent(req *http.Request, err error) (*http.Response, error) {
	if req.Body != nil {
		req.Body.Close()
	}
	if r, ok := asRefusal(err); ok {
		if c := t.logger.Check(zapcore.InfoLevel, "request refused"); c != nil {
			c.Write(zap.Int("status", r.status), zap.Error(r))
		}
		return answer(req, r), nil
	}
	if _, ok := errors.AsType[*credentials.Error](err); ok {
		return nil, newUnsent(err)
	}
	return nil, handlerError(err)
}

// answer is what the client gets for a request that it has to change.
func answer(req *http.Request, r *refusal) *http.Response {
	text := r.Error() + "\n"
	return &http.Response{
		Status:        strconv.Itoa(r.status) + " " + http.StatusText(r.status),
		StatusCode:    r.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}},
		Body:          io.NopCloser(strings.NewReader(text)),
		ContentLength: int64(len(text)),
		Request:       req,
	}
}

// Cleanup closes idle connections.
func (t *Transport) Cleanup() error {
	if t.HTTPTransport == nil || t.HTTPTransport.Transport == nil {
		return nil
	}
	return t.HTTPTransport.Cleanup()
}

// MarshalLogObject keeps secrets that are written literally out of logs.
func (t *Transport) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	return t.Signing.marshalLog(enc)
}

var (
	_ caddy.Provisioner                      = (*Transport)(nil)
	_ caddy.CleanerUpper                     = (*Transport)(nil)
	_ http.RoundTripper                      = (*Transport)(nil)
	_ reverseproxy.TLSTransport              = (*Transport)(nil)
	_ reverseproxy.H2CTransport              = (*Transport)(nil)
	_ reverseproxy.RequestHeaderOpsTransport = (*Transport)(nil)
	_ reverseproxy.ProxyProtocolTransport    = (*Transport)(nil)
	_ zapcore.ObjectMarshaler                = (*Transport)(nil)
)
