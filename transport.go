package awssigv4

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
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

	// hostChange is what the reverse_proxy around does to Host; nil if there
	// is none around.
	hostChange *hostChange
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
	if err := t.checkForwardProxy(); err != nil {
		return err
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
	if err := t.checkUpstreams(ctx); err != nil {
		return err
	}
	return t.guardDialing(ctx)
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

// RoundTrip signs a copy of the request and sends it; a call on a customer's
// behalf several times, if its caller asks for that.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if p := planOf(req.Context()); p != nil && p.call != nil && p.call.controls.retries > 0 && p.claim(t) {
		return t.retry(req, p.call)
	}
	return t.attempt(req)
}

// attempt signs a copy of the request and sends it.
func (t *Transport) attempt(req *http.Request) (*http.Response, error) {
	var by signedBy
	out, err := t.signedCopy(req, &by)
	if err != nil {
		return t.notSent(req, err)
	}
	res, err := t.HTTPTransport.RoundTrip(out)
	if r, ok := asRefusal(err); ok {
		// The body turned out to be too long while it was streamed.
		return answer(req, r), nil
	}
	if res != nil {
		res = t.resign(req, by, res)
		// No copy that holds credentials leaves this place.
		res.Request = req
	}
	return res, err
}

// signedCopy takes one attempt's way: which upstream, which block, whose
// identity, which host; then cleans, covers the body and signs. It also tells as
// whom.
func (t *Transport) signedCopy(req *http.Request, by *signedBy) (*http.Request, error) {
	ctx := req.Context()
	out := ownCopy(req)
	dialled := req.URL.Host
	if info, ok := reverseproxy.GetDialInfo(ctx); ok {
		dialled = info.Address
	}
	p := planOf(ctx)
	if p != nil && !p.claim(t) {
		p = nil
	}
	if p != nil && p.call != nil {
		out.URL.Scheme = p.call.target.scheme
	}
	t.SetScheme(out)
	block, err := t.blockFor(dialled)
	if err != nil {
		return nil, err
	}
	if p != nil && p.call != nil {
		if err := p.call.reaches(dialled); err != nil {
			return nil, err
		}
		block = nil // Nobody but the connection says who signs, and for what.
	}
	if err := t.Allow.permitHost(dialled); err != nil {
		return nil, err
	}
	repl, _ := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	c := &choice{t: t, block: block, plan: p, repl: repl, client: req.TLS}
	host, err := c.host(func() string { return t.userHost(req, repl, dialled) }, dialled)
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
	if err := refuseForm(req, dest.service); err != nil {
		return nil, err
	}
	target, err := p.canonical(rawTargetOf(req), dest.path)
	if err != nil {
		return nil, err
	}
	if p != nil && p.call != nil {
		// Something behind the handler may have changed the request.
		if err := p.call.permit(out.Method, out.Header, dest, target); err != nil {
			return nil, err
		}
	}
	if *by, err = c.credentials(ctx); err != nil {
		return nil, err
	}
	by.service = dest.service
	bodies, rules := c.options()
	hash, err := bodyFor(out, p).cover(out, bodies, dest.payload, out.URL.Scheme == "https")
	if err != nil {
		return nil, err
	}
	if err := t.sign(out, target, dest, by.creds, rules, hash); err != nil {
		return nil, err
	}
	// Only servers have one; whoever reads it gets nothing that is outdated.
	out.RequestURI = ""
	return out, nil
}

// bodyFor is bodyOf for a request that may have no body, of which there is
// nothing to remember.
func bodyFor(out *http.Request, p *plan) *clientBody {
	if out.Body == nil || out.Body == http.NoBody {
		return &noBody
	}
	return bodyOf(out.Context(), p)
}

// noBody is all requests' without a body: to cover one changes nothing in it.
var noBody clientBody

// notSent ends an attempt at which nothing was sent. But for credentials that
// are missing, the transport answers itself: an error would count against the
// upstream, which is not to blame.
func (t *Transport) notSent(req *http.Request, err error) (*http.Response, error) {
	countUnsigned(err)
	repl, _ := req.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	tellErrorRoutes(repl, err, t.app.nameOf)
	if req.Body != nil {
		if strings.EqualFold(req.Header.Get("Expect"), "100-continue") {
			// A read of no bytes has the server tell the client to go on. It
			// reads the body before it answers, which would not come.
			_, _ = req.Body.Read(nil)
		}
		req.Body.Close()
	}
	r, ok := asRefusal(err)
	if !ok {
		if _, isCredentials := errors.AsType[*credentials.Error](err); isCredentials || req.Context().Err() != nil {
			return nil, newUnsent(err)
		}
		he, _ := errors.AsType[caddyhttp.HandlerError](handlerError(err))
		r = &refusal{he.StatusCode, err}
	}
	if c := t.logger.Check(zapcore.WarnLevel, "request not signed"); c != nil {
		c.Write(append([]zap.Field{zap.Int("status", r.status), zap.Error(r)}, explanationFields(r)...)...)
	}
	return answer(req, r), nil
}

// answer is what the client gets for a request that was not sent.
func answer(req *http.Request, r *refusal) *http.Response {
	text := r.clientText()
	header := http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}}
	if p := planOf(req.Context()); p != nil && p.call != nil {
		e := asCallError(r)
		text = string(e.body())
		e.head(header)
	}
	return &http.Response{
		Status:        strconv.Itoa(r.status) + " " + http.StatusText(r.status),
		StatusCode:    r.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          ownAnswer{strings.NewReader(text)},
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
