package awssigv4

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap/zapcore"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/payload"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// Handler chooses the AWS identity of a request, gets its credentials, reads
// the body if it has to be hashed, and signs the request with AWS Signature
// Version 4 for the `reverse_proxy` that follows. Whatever goes wrong is an
// error for Caddy's error routes, and nothing is forwarded: 400 for a request
// that can't be signed, 403 for one outside the allow-lists, 413 for a body
// that is too large, 502 or 503 if there are no credentials.
//
// What a client sent to authenticate itself to AWS is removed: Authorization,
// X-Amz-Date, X-Amz-Security-Token and the like, and their query parameters.
//
// A handler acts before `reverse_proxy` chooses an upstream and changes the
// request, so by itself it is right for one upstream, or for several that take
// the same Host, with no `rewrite` and `method` in `reverse_proxy` and no
// `header_up` but for Host. Behind an https upstream write
// `header_up Host {http.aws_sigv4.host}`; without it Caddy sends the port too.
// Health checks don't pass through handlers and are not signed. The transport
// `aws_sigv4` has none of these limits; with it, the handler's identity and
// target are used there.
//
// Without a `host`, the handler does not sign: it leaves that to the transport
// `aws_sigv4`, and puts an Authorization on the request that no AWS service
// accepts, in case another transport follows.
//
// The handler sets these placeholders:
//
// Placeholder | Description
// ------------|-------------
// `{http.aws_sigv4.host}` | The Host that is signed, without a default port
// `{http.aws_sigv4.service}` | The signing name
// `{http.aws_sigv4.region}` | The region
// `{http.aws_sigv4.identity}` | Which identity signs: source and role, no secret
// `{http.aws_sigv4.connection}` | The ID of the connection whose customer the request is made for, empty if none
// `{http.aws_sigv4.integration}` | The key of that connection's integration
// `{http.aws_sigv4.error.message}` | In error routes: why the request was not signed
// `{http.aws_sigv4.error.identity}` | In error routes: whose credentials could not be fetched, empty if that is not why
// `{http.aws_sigv4.error.name}` | In error routes: the name of those credentials, if the configuration gave them one and no request has a say in them
// `{http.aws_sigv4.error.reason}` | In error routes: of a call by connection, the code of the error that its caller would have got, such as `unknown_connection`; else empty
// `{http.aws_sigv4.error.code}` | In error routes: AWS's code, such as `AccessDenied`, if it answered
// `{http.aws_sigv4.error.request_id}` | In error routes: AWS's request ID, if it answered
// `{http.aws_sigv4.error.cause}` | In error routes: the likeliest cause, if there is more to say than the message does
// `{http.aws_sigv4.error.remedy}` | In error routes: what to do then
type Handler struct {
	Signing
	ByConnection

	// What is removed from the beginning of the path, such as `/proxy`, from the bytes that the
	// client sent: nothing else in the path changes, as with `handle_path` or `uri strip_prefix`,
	// which merge slashes. A path that does not begin so is answered 404. Default: nothing.
	StripPrefix string `json:"strip_prefix,omitempty"`

	// Leave signing to the transport behind, although `host` is known. The
	// short form sets it; by hand there is no need to.
	Defer bool `json:"defer,omitempty"`

	// Leave the credentials to the transport behind, because its `upstreams`
	// name others. The short form sets it.
	DeferCredentials bool `json:"defer_credentials,omitempty"`

	// The upstreams of the `reverse_proxy` behind, as URLs. The short form sets
	// them, so that what is wrong with them is found before any request, and
	// bodies can be read before an upstream is chosen.
	ForUpstreams []string `json:"for_upstreams,omitempty"`

	behind []upstreamURL
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.aws_sigv4",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision sets up the handler. It does not touch the network.
func (h *Handler) Provision(ctx caddy.Context) error {
	if err := h.Signing.provision(ctx); err != nil {
		return err
	}
	if h.StripPrefix != "" {
		if err := checkPrefix(h.StripPrefix); err != nil {
			return fieldError("strip_prefix", err)
		}
	}
	if err := h.provisionConnection(ctx); err != nil {
		return err
	}
	if !h.Defer && (h.byConnection() || h.Host != "" || h.Service != "" || h.Region != "") {
		h.app.handlersChoose = true
	}
	for i, raw := range h.ForUpstreams {
		u, err := parseUpstreamURL(raw)
		if err != nil {
			return fieldError(fmt.Sprintf("for_upstreams[%d]", i), err)
		}
		h.behind = append(h.behind, u)
	}
	if h.host.fixed != "" && !h.service.perRequest() && !h.region.perRequest() && !h.aimsLater() {
		_, err := h.locate(sigv4.StripDefaultPort(h.host.fixed, "https"), h.service.fixed, h.region.fixed)
		if err != nil {
			return fieldError("host", err)
		}
	}
	if h.signs() && h.logger.Core().Enabled(zapcore.DebugLevel) {
		h.logger.Warn("debug logging is on, and Caddy's line \"upstream roundtrip\" prints the headers that this handler signed, " +
			"with the session token: use `transport aws_sigv4` in reverse_proxy, or the short form, which don't")
	}
	return nil
}

// signs tells whether the handler signs by itself.
func (h *Handler) signs() bool { return !h.Defer && !h.DeferCredentials && h.Host != "" }

// ServeHTTP plans, signs unless the transport will, and hands on a copy.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	p, out, err := h.prepare(r, repl)
	if h.byConnection() {
		return h.serveCall(w, r, out, p, err, next)
	}
	if err != nil {
		countUnsigned(err)
		tellErrorRoutes(repl, err, h.app.nameOf)
		return answerOrError(w, r, h.logger, err)
	}
	return next.ServeHTTP(newResponseWriter(w, h.logger, p, h.signs()), out)
}

// prepare takes the request's way up to where it is handed on.
func (h *Handler) prepare(r *http.Request, repl *caddy.Replacer) (*plan, *http.Request, error) {
	p := &plan{rules: h.rules, bodies: h.bodyOptions()}
	p.allow = p.own[:0]
	if outer := planOf(r.Context()); outer != nil {
		p.allow = slices.Clone(outer.allow)
	}
	p.allow = append(p.allow, &h.Allow)
	r, err := withoutPrefix(r, h.StripPrefix)
	if err != nil {
		return p, nil, err
	}
	if h.byConnection() {
		if r, err = h.begin(p, r, repl); err != nil {
			return p, nil, err
		}
	} else if err := h.choose(p, r.TLS, repl); err != nil {
		return p, nil, err
	}
	if err := refuseFraming(r.Header); err != nil {
		return p, nil, err
	}
	if err := h.permitKnown(p); err != nil {
		return p, nil, err
	}
	dest, known, err := h.destination(p)
	if err == nil && dest.host != "" {
		err = p.permit(dest.destination, "")
	}
	if err == nil {
		err = refuseForm(r, dest.service)
	}
	if err != nil {
		return p, nil, err
	}
	p.dest, p.raw = dest.destination, rawTargetOf(r)
	// If the service is not known yet, the rule is not either; what can be
	// wrong is the same for both.
	p.rule = cmp.Or(dest.path, sigv4.PathSingle)
	if p.target, err = p.raw.canonical(p.rule); err != nil {
		return p, nil, err
	}
	if p.call != nil {
		if err = p.call.permit(r.Method, r.Header, p.dest, p.target); err == nil {
			err = p.call.count(time.Now(), h.storage)
		}
		if err != nil {
			return p, nil, err
		}
	}
	creds, err := h.fetch(r.Context(), p)
	if err != nil {
		return p, nil, err
	}
	more := 1 // see withhold
	if h.signs() {
		more = signatureHeaders
	}
	out := handedOn(withPlan(r.Context(), p), r, more)
	if out.ContentLength == 0 {
		// In a server's request that means none, whatever Caddy has put around
		// it; reverse_proxy sees it so, too.
		out.Body = http.NoBody
	}
	removeConnectionHeaders(out.Header)
	upgrade := isExtendedConnect(r)
	hash := emptyHash(dest.payload)
	if known && !upgrade {
		if hash, err = p.body.cover(out, p.bodies, dest.payload, dest.tls); err != nil {
			return p, nil, err
		}
	}
	p.show(repl)
	if !h.signs() {
		withhold(out, p.raw)
		return p, out, nil
	}
	if upgrade {
		// reverse_proxy makes this a GET with an Upgrade header.
		out.Method = http.MethodGet
	}
	if err := h.sign(out, p.target, p.dest, creds, h.rules, hash); err != nil {
		return p, nil, err
	}
	out.Method = r.Method
	out.RequestURI = p.target.RequestURI()
	return p, out, nil
}

// choose decides whom to sign as, and for what.
func (h *Handler) choose(p *plan, client *tls.ConnectionState, repl *caddy.Replacer) error {
	var err error
	if p.host, err = h.host.resolve(repl); err != nil {
		return refuse(http.StatusForbidden, "host: %w", err)
	}
	p.hostIsFixed = h.host.fixed != ""
	if p.service, err = h.service.resolve(repl); err != nil {
		return refuse(http.StatusForbidden, "service: %w", err)
	}
	if p.region, err = h.region.resolve(repl); err != nil {
		return refuse(http.StatusForbidden, "region: %w", err)
	}
	if !h.namesCredentials() {
		return nil
	}
	p.identity, p.perRequest = h.identity, h.source.PerRequest()
	if p.identity == nil {
		id, err := h.allowedIdentity(&h.Target, client, repl)
		if err != nil {
			return err
		}
		p.identity = &id
	}
	// One of the lists is the handler's own.
	return p.permitRole(*p.identity)
}

// fetch gets the credentials, unless that is the transport's business.
func (h *Handler) fetch(ctx context.Context, p *plan) (*credentials.Credentials, error) {
	if h.DeferCredentials || p.identity == nil && !h.signs() && !h.Defer {
		return nil, nil
	}
	if p.identity != nil {
		return h.app.credentials(ctx, *p.identity)
	}
	id, err := h.identityOf(nil, nil)
	if err != nil {
		return nil, err
	}
	if err := p.permitRole(id); err != nil {
		return nil, err
	}
	return h.app.credentials(ctx, id)
}

// handlerDestination is a destination that the handler may know before an
// upstream is chosen.
type handlerDestination struct {
	destination
	tls bool
}

// permitKnown asks the allow-lists as far as the request's destination is
// known from the configuration alone. The rest is asked when it is known.
func (h *Handler) permitKnown(p *plan) error {
	if p.service != "" {
		if err := h.Allow.permitService(p.service); err != nil {
			return err
		}
	}
	if p.region != "" {
		return h.Allow.permitRegion(p.region)
	}
	return nil
}

// destination works out where the request goes, as far as it can be known
// here. known is false if the body has to be left to the transport.
func (h *Handler) destination(p *plan) (d handlerDestination, known bool, err error) {
	switch {
	case h.aimsLater():
		return d, false, nil
	case p.host != "":
		d.tls = h.dialsTLS() || p.call != nil && p.call.target.scheme == "https"
		d.destination, err = h.locate(sigv4.StripDefaultPort(p.host, "https"), p.service, p.region)
		return d, err == nil, err
	case len(h.behind) > 0:
		for i, u := range h.behind {
			if u.isPlaceholder {
				return d, false, nil
			}
			one, err := h.locate(u.host, p.service, p.region)
			if err != nil {
				return d, false, err
			}
			switch {
			case i == 0:
				d = handlerDestination{one, u.tls}
			case one.payload != d.payload || u.tls != d.tls:
				return handlerDestination{}, false, nil
			default:
				d.destination = d.common(one)
			}
		}
		return d, true, nil
	case p.service != "":
		d.service, d.region = p.service, p.region
		// Only what a hash is certain for can be read before the scheme of the
		// upstream is known.
		d.payload = sigv4.PayloadRuleFor(p.service)
		hashed := d.payload == sigv4.PayloadHash || d.payload == sigv4.PayloadHashHeader
		return d, hashed && h.Payload != payload.Unsigned, nil
	}
	return d, false, nil
}

// common returns what d and another destination have in common.
func (d destination) common(other destination) destination {
	if d.host != other.host {
		d.host = ""
	}
	if d.service != other.service {
		d.service = ""
	}
	if d.region != other.region {
		d.region = ""
	}
	if d.path != other.path {
		d.path = ""
	}
	return d
}

// aimsLater tells whether an upstream is signed for by more than is known here.
func (h *Handler) aimsLater() bool {
	return slices.ContainsFunc(h.behind, func(u upstreamURL) bool { return u.later })
}

// dialsTLS tells whether the upstream is dialled with TLS. By itself a handler
// can't see that, so it leaves a body unsigned only if the operator says so.
func (h *Handler) dialsTLS() bool {
	if len(h.behind) == 0 {
		return h.Payload == payload.Unsigned
	}
	for _, u := range h.behind {
		if !u.tls {
			return false
		}
	}
	return true
}

// withhold makes sure that a request that the transport is to sign is not
// accepted by any AWS endpoint should another transport send it.
func withhold(out *http.Request, raw rawTarget) {
	out.Header["Authorization"] = []string{withheldAuthorization}
	out.URL.RawQuery = raw.query
	switch {
	case raw.isOf(out.RequestURI):
	case raw.query == "":
		out.RequestURI = raw.path
	default:
		out.RequestURI = raw.path + "?" + raw.query
	}
}

const withheldAuthorization = "AWS4-HMAC-SHA256 unsigned: reverse_proxy lacks `transport aws_sigv4`"

// isExtendedConnect recognises WebSockets over HTTP/2 and HTTP/3.
func isExtendedConnect(r *http.Request) bool {
	return r.Method == http.MethodConnect &&
		(r.ProtoMajor == 2 && r.Header.Get(":protocol") == "websocket" || r.ProtoMajor == 3 && r.Proto == "websocket")
}

// removeConnectionHeaders removes what the client's Connection header names,
// as every proxy does, and the header itself but for an upgrade. reverse_proxy
// would do so after the handler: a client could name our Authorization there.
func removeConnectionHeaders(h http.Header) {
	values := h["Connection"]
	if len(values) == 0 {
		return
	}
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.TrimSpace(name); name != "" && !strings.EqualFold(name, "Upgrade") {
				h.Del(name)
			}
		}
	}
	if httpguts.HeaderValuesContainsToken(values, "Upgrade") {
		h["Connection"] = []string{"Upgrade"}
	} else {
		h.Del("Connection")
	}
}

// MarshalLogObject keeps secrets that are written literally out of logs.
func (h *Handler) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	return h.Signing.marshalLog(enc)
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ zapcore.ObjectMarshaler     = (*Handler)(nil)
)
