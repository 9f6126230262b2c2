package awssigv4

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/payload"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// Signing is the configuration that the handler and the transport share.
type Signing struct {
	Target
	Allow

	// How the body is covered by the signature. `signed`: its SHA-256, for
	// which it is held. `unsigned`: not at all, only over TLS. `auto`: whatever
	// the service takes; a hash where both are possible and the body is at most
	// `body_memory` or has no known length. Default: `auto`.
	Payload payload.Mode `json:"payload,omitempty"`

	// The size, in bytes, up to which a body that has to be held is held in
	// memory; a larger one goes into a private temporary file. Default: 1 MiB.
	BodyMemory int64 `json:"body_memory,omitempty"`

	// The largest body, in bytes, that is accepted; a larger one is answered
	// 413. Default: 1 GiB for bodies that are held, no limit for those that
	// are streamed unsigned.
	BodyLimit int64 `json:"body_limit,omitempty"`

	// Request headers to sign. A first entry `+` adds the rest to those that
	// are always signed (`host` and every `x-amz-*`) and to `content-type` and
	// `content-md5`; without it they replace the latter two. Headers that a
	// hop may change can't be signed.
	SignHeaders []string `json:"sign_headers,omitempty"`

	app    *App
	logger *zap.Logger
	rules  *sigv4.HeaderRules
	parsed *hostCache
}

// provision checks everything that can be checked without a request, for the
// Caddyfile and for JSON alike.
func (s *Signing) provision(ctx caddy.Context) error {
	s.logger = ctx.Logger()
	s.parsed = new(hostCache)
	mod, err := ctx.App(appName)
	if err != nil {
		return fmt.Errorf("getting the %s app: %w", appName, err)
	}
	s.app = mod.(*App)
	if err := s.Allow.check(); err != nil {
		return err
	}
	if err := payload.CheckMode(s.Payload); err != nil {
		return fieldError("payload", err)
	}
	if s.BodyLimit < 0 {
		return fieldError("body_limit", fmt.Errorf("%d is negative: write a size such as 10MiB", s.BodyLimit))
	}
	if s.BodyMemory < 0 {
		return fieldError("body_memory", fmt.Errorf("%d is negative: write a size such as 1MiB", s.BodyMemory))
	}
	if s.rules, err = headerRules(s.SignHeaders); err != nil {
		return fieldError("sign_headers", err)
	}
	if err := s.Target.provision(ctx, s.app, &s.Allow); err != nil {
		return err
	}
	return payload.CheckService(s.Payload, s.Target.service.fixed)
}

// bodyOptions returns what the configuration says of bodies.
func (s *Signing) bodyOptions() bodyOptions {
	return bodyOptions{mode: s.Payload, memory: s.BodyMemory, limit: s.BodyLimit, spool: s.app.spool}
}

// headerRules builds the choice of signed headers that SignHeaders describes.
func headerRules(names []string) (*sigv4.HeaderRules, error) {
	if len(names) == 0 {
		return nil, nil
	}
	first, extra := strings.CutPrefix(names[0], "+")
	list := names
	if extra {
		list = names[1:]
		if first != "" {
			list = append([]string{first}, list...)
		}
		if len(list) == 0 {
			return nil, fmt.Errorf("`+` stands alone: write the names of the headers to add after it")
		}
		return sigv4.NewHeaderRules(list...)
	}
	return sigv4.OnlyHeaderRules(list...)
}

// destination is where one attempt at a request goes, and how it is signed.
type destination struct {
	host, service, region string
	path                  sigv4.PathRule
	payload               sigv4.PayloadRule
}

// locate completes what is configured with what the host tells. The allow-lists
// are part of it, so that nothing leaves without them.
func (s *Signing) locate(host, service, region string) (destination, error) {
	d := destination{host: host, service: service, region: region}
	if err := s.Allow.permitHost(host); err != nil {
		return d, err
	}
	inferred, err := s.parsed.lookup(host)
	if err := enough(host, service, region, inferred, err); err != nil {
		return d, refuse(http.StatusForbidden, "%w", err)
	}
	if service == "" {
		d.service = inferred.Service
	}
	if region == "" {
		d.region = inferred.Region
	}
	if err := s.Allow.permitService(d.service); err != nil {
		return d, err
	}
	if err := s.Allow.permitRegion(d.region); err != nil {
		return d, err
	}
	d.path = sigv4.PathRuleFor(d.service)
	d.payload = sigv4.PayloadRuleFor(d.service)
	return d, nil
}

// enough reports what is missing to sign for a host: what is configured, with
// what the host tells or the error that it doesn't.
func enough(host, service, region string, inferred endpoint.Endpoint, err error) error {
	if err == nil && inferred.Algorithm != endpoint.SigV4 {
		return fmt.Errorf("host %s needs algorithm %s, which can't be signed yet", host, inferred.Algorithm)
	}
	if service != "" && region != "" {
		return nil
	}
	return err
}

// checkPayload reports a payload mode that can't work for d, before there is
// any body.
func (s *Signing) checkPayload(d destination, tls bool) error {
	_, err := payload.Question{Mode: s.Payload, Rule: d.payload, TLS: tls, HasBody: true, Length: 1}.Decide()
	return err
}

// sign changes out, which must be the caller's own copy (ownCopy, handedOn),
// into the signed request for d: what is in out afterwards is what was signed,
// byte for byte.
func (s *Signing) sign(out *http.Request, target sigv4.Target, d destination, creds *credentials.Credentials, rules *sigv4.HeaderRules, hash string) error {
	var trace *sigv4.Trace
	check := s.logger.Check(zapcore.DebugLevel, "signed")
	if check != nil {
		trace = new(sigv4.Trace)
	}
	err := creds.Signer.Sign(sigv4.Input{
		Method:        out.Method,
		Host:          d.host,
		Target:        target,
		Header:        out.Header,
		Rules:         rules,
		PayloadHash:   hash,
		PayloadHeader: d.payload != sigv4.PayloadHash || hash == sigv4.UnsignedPayload,
		Service:       d.service,
		Region:        d.region,
		Time:          time.Now(),
		Trace:         trace,
	})
	if err != nil {
		return refuse(http.StatusInternalServerError, "signing for %s: %w", d.host, err)
	}
	requestsSigned.Inc()
	target.SetURL(out.URL)
	out.Host = d.host
	if check != nil {
		check.Write(
			zap.String("host", d.host),
			zap.String("service", d.service),
			zap.String("region", d.region),
			zap.String("access_key_id", creds.Value.AccessKeyID),
			zap.String("canonical_request", trace.Redacted()),
			zap.String("string_to_sign", trace.StringToSign),
		)
	}
	return nil
}

// identityOf returns the identity that is configured here, or the default one,
// if the allow-list has it. The client's connection is nil if it is none of TLS.
func (s *Signing) identityOf(client *tls.ConnectionState, repl *caddy.Replacer) (credentials.Identity, error) {
	if s.namesCredentials() {
		return s.allowedIdentity(&s.Target, client, repl)
	}
	src, err := s.app.defaultSource()
	if err != nil {
		return credentials.Identity{}, err
	}
	id, err := src.Identity(nil)
	if err != nil {
		return id, err
	}
	return id, s.Allow.permitRole(id)
}

// allowedIdentity returns the identity that t names for this request.
func (s *Signing) allowedIdentity(t *Target, client *tls.ConnectionState, repl *caddy.Replacer) (credentials.Identity, error) {
	id, err := t.resolveIdentity(client, repl)
	if err != nil {
		return id, refuse(http.StatusForbidden, "credentials: %w", err)
	}
	return id, s.Allow.permitRole(id)
}

func (s *Signing) marshalLog(enc zapcore.ObjectEncoder) error {
	enc.AddString("service", s.Service)
	enc.AddString("region", s.Region)
	enc.AddString("host", s.Host)
	enc.AddString("credentials_name", s.CredentialsName)
	enc.AddString("payload", string(s.Payload))
	return nil
}

// rawTarget is the path and query as the client sent them, without what it
// sent to authenticate itself.
type rawTarget struct{ path, query string }

func rawTargetOf(r *http.Request) rawTarget {
	return rawTarget{path: sigv4.RawPath(r), query: sigv4.StripAuthQuery(r.URL.RawQuery)}
}

func (t rawTarget) canonical(rule sigv4.PathRule) (sigv4.Target, error) {
	return sigv4.Canonicalize(t.path, t.query, rule)
}

// isOf tells whether t is what stands on a request line.
func (t rawTarget) isOf(requestURI string) bool {
	path, query, hasQuery := strings.Cut(requestURI, "?")
	return path == t.path && query == t.query && hasQuery == (t.query != "")
}

// ownCopy returns a copy of r that can be changed, but for the values of its
// headers, without what a client sent to authenticate itself: for the
// transport, behind which only net/http reads it. It is not Request.Clone,
// which would also copy the Trailer map that net/http and reverse_proxy fill in
// while the body is read.
func ownCopy(r *http.Request) *http.Request {
	// What lives equally long is made at once.
	c := &struct {
		request http.Request
		url     url.URL
	}{*r, *r.URL}
	out := &c.request
	out.URL = &c.url
	out.Header = make(http.Header, roomFor(r.Header, signatureHeaders))
	for name, values := range r.Header {
		if !sigv4.IsAuthHeader(name) {
			out.Header[name] = values
		}
	}
	return out
}

// handedOn is ownCopy for the handlers behind, with their context and room for
// more headers. They may change values in place, so these are copied too.
func handedOn(ctx context.Context, r *http.Request, more int) *http.Request {
	out := r.WithContext(ctx)
	u := *r.URL
	out.URL = &u
	out.Header = make(http.Header, roomFor(r.Header, more))
	all := make([]string, 0, len(r.Header))
	for name, values := range r.Header {
		switch {
		case sigv4.IsAuthHeader(name):
		case values == nil:
			// To net/http and reverse_proxy, that is another thing than none.
			out.Header[name] = nil
		default:
			start := len(all)
			all = append(all, values...)
			// Full, so that an append to it copies.
			out.Header[name] = all[start:len(all):len(all)]
		}
	}
	return out
}

// roomFor returns how many headers are in h, without an Authorization, with
// some more: a map that is larger than that costs as much as one that grows.
func roomFor(h http.Header, more int) int {
	n := len(h) + more
	if _, ok := h["Authorization"]; ok {
		n--
	}
	return n
}

// signatureHeaders is how many headers signing adds for most services.
const signatureHeaders = 3

// hostCache remembers what hosts turned out to be, if anything. It is bounded
// because a host may depend on the request.
type hostCache struct {
	m sync.Map // host → endpoint.Endpoint
	n atomic.Int64
}

func (c *hostCache) lookup(host string) (endpoint.Endpoint, error) {
	if ep, ok := c.m.Load(host); ok {
		return ep.(endpoint.Endpoint), nil
	}
	ep, err := endpoint.Parse(host)
	if err == nil && c.n.Add(1) <= 1024 {
		c.m.Store(host, ep)
	}
	return ep, err
}
