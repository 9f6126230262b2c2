// Package stshelper serves temporary AWS credentials over HTTP: callers name a role, and get a
// session of it if the operator lets them. The broker's own credentials never leave the server.
//
// It answers what the STS helpers of other systems answer (`POST /assume-role`), what AWS SDKs ask a
// container endpoint for (`GET /credentials/NAME`), `GET /health`, and, for keys that may, whether a
// role really asks for its External ID (`POST /probe-external-id`).
package stshelper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// Options configure a Handler. Broker, Client, Cache and Keys are required.
type Options struct {
	// Broker calls AssumeRole, and BrokerName names it in labels.
	Broker     credentials.Identity
	BrokerName string

	// Client calls STS.
	Client *sts.Client

	// Cache holds the sessions, so that one serves many calls.
	Cache Cache

	// Keys are what callers authenticate with.
	Keys []Key

	// Duration is how long sessions last. Default: 1 h.
	Duration time.Duration

	// OptionalExternalID also serves requests without an External ID. A role whose trust policy
	// does not ask for one can be assumed on behalf of whoever knows its ARN.
	OptionalExternalID bool

	// Region is whose STS is called if the request names no region. Default: the environment's
	// if it is in the role's partition, else the partition's default.
	Region string

	// Regions are those that a request may name. Default: any of the role's partition.
	Regions []string

	// IgnoreRegion checks the region of a request and does not use it.
	IgnoreRegion bool

	// HealthRegion is what GET /health names. Default: Region.
	HealthRegion string

	// AllowOrigins are the web origins, such as https://app.example.com, that a browser may call
	// from. Default: none, and no CORS header at all.
	AllowOrigins []string

	// PlainHTTP says from where requests without TLS are answered. Default: PlainHTTPPrivate.
	PlainHTTP PlainHTTP

	// ProxiedFor returns the address of the client for whom a proxy that is trusted sent a request,
	// and whether one did; the address is zero if nobody knows it. Such a proxy's X-Forwarded-Proto
	// says whether the client used TLS. Default: no proxy is trusted.
	ProxiedFor func(*http.Request) (client netip.Addr, proxied bool)

	// BodyLimit is the largest request body in bytes. Default: 64 KiB.
	BodyLimit int64

	// Audit is called once for each call that asks for credentials or a probe, after the answer
	// was decided and before it is sent. Default: nothing is called.
	Audit func(*http.Request, Entry)
}

// Cache is what the helper needs of a credentials.Cache.
type Cache interface {
	// Get returns the credentials of an identity.
	Get(context.Context, credentials.Identity) (*credentials.Credentials, error)

	// Renew returns newer ones than those, or an error if there are none soon.
	Renew(context.Context, credentials.Identity, *credentials.Credentials) (*credentials.Credentials, error)
}

// Defaults of Options.
const (
	DefaultDuration  = time.Hour
	DefaultBodyLimit = 64 << 10
)

// Handler is the STS helper. It is safe for concurrent use and answers every request itself; what
// is none of its paths gets 404.
type Handler struct {
	opts    Options
	keys    []*key
	secrets []secret
	origins map[string]bool
	atLeast time.Duration
}

// New returns the handler for some options. An error names the field as the JSON configuration does.
func New(o Options) (*Handler, error) {
	o.Duration = cmp.Or(o.Duration, DefaultDuration)
	o.BodyLimit = cmp.Or(o.BodyLimit, DefaultBodyLimit)
	o.PlainHTTP = cmp.Or(o.PlainHTTP, PlainHTTPPrivate)
	o.HealthRegion = cmp.Or(o.HealthRegion, o.Region)
	if o.Audit == nil {
		o.Audit = func(*http.Request, Entry) {}
	}
	if o.ProxiedFor == nil {
		o.ProxiedFor = func(*http.Request) (netip.Addr, bool) { return netip.Addr{}, false }
	}
	h := &Handler{opts: o, origins: make(map[string]bool), atLeast: minimumLife(o.Duration)}
	if err := h.checkOptions(); err != nil {
		return nil, err
	}
	if len(o.Keys) == 0 {
		return nil, errors.New("keys: there are none, so nobody could authenticate: write api_key NAME SECRET")
	}
	for i, k := range o.Keys {
		if err := h.addKey(k); err != nil {
			return nil, fmt.Errorf("keys[%d].%w", i, err)
		}
	}
	return h, nil
}

func (h *Handler) checkOptions() error {
	o := &h.opts
	if err := sts.CheckDuration(o.Duration); err != nil {
		return fmt.Errorf("duration: %w", err)
	}
	if o.Broker.RoleARN != "" {
		if err := sts.CheckChainedDuration(o.Duration); err != nil {
			return fmt.Errorf("duration: %w", err)
		}
	}
	if o.BodyLimit < 0 {
		return fmt.Errorf("body_limit: %d is negative: write a size such as 64KiB", o.BodyLimit)
	}
	if err := CheckPlainHTTP(o.PlainHTTP); err != nil {
		return fmt.Errorf("plain_http: %w", err)
	}
	if o.Region != "" {
		if err := CheckRegion(o.Region); err != nil {
			return fmt.Errorf("region: %w", err)
		}
		if o.Broker.RoleARN != "" {
			if err := sts.CheckPartitions(o.Broker.RoleARN, o.Region); err != nil {
				return fmt.Errorf("region: %w", err)
			}
		}
	}
	for i, r := range o.Regions {
		if err := CheckRegion(r); err != nil {
			return fmt.Errorf("regions[%d]: %w", i, err)
		}
	}
	for i, origin := range o.AllowOrigins {
		if err := CheckOrigin(origin); err != nil {
			return fmt.Errorf("allow_origins[%d]: %w", i, err)
		}
		h.origins[origin] = true
	}
	return nil
}

// The paths that are served.
const (
	pathHealth      = "/health"
	pathAssumeRole  = "/assume-role"
	pathCredentials = "/credentials/"
	pathProbe       = "/probe-external-id"
)

// ServeHTTP answers a request by the exact path of its URL.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")

	var serve func(http.ResponseWriter, *http.Request)
	var methods []string
	switch path := r.URL.Path; {
	case path == pathHealth:
		serve, methods = h.serveHealth, []string{http.MethodGet, http.MethodHead}
	case path == pathAssumeRole:
		serve, methods = h.audited(pathAssumeRole, h.assumeRole), []string{http.MethodPost}
	case path == pathProbe && h.probes():
		serve, methods = h.audited(pathProbe, h.probe), []string{http.MethodPost}
	case strings.HasPrefix(path, pathCredentials) && !strings.Contains(path[len(pathCredentials):], "/"):
		serve, methods = h.audited(pathCredentials, h.containerCredentials), []string{http.MethodGet}
	default:
		writeFailure(w, &failure{status: http.StatusNotFound, word: "not_found", message: "there is POST /assume-role, GET /credentials/NAME and GET /health"})
		return
	}
	if h.crossOrigin(w, r, methods) {
		return
	}
	if slices.Contains(methods, r.Method) {
		serve(w, r)
		return
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	writeFailure(w, &failure{status: http.StatusMethodNotAllowed, word: "method_not_allowed", message: "use " + strings.Join(methods, " or ")})
}

// serveHealth says that the server runs. It tells nothing about the broker, as anyone may ask.
func (h *Handler) serveHealth(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		Status string `json:"status"`
		Region string `json:"region"`
	}{"ok", h.opts.HealthRegion})
}

// audited serves one of the calls that need a key. Each leaves one entry, whatever becomes of it.
func (h *Handler) audited(endpoint string, serve func(http.ResponseWriter, *http.Request, *call) *failure) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{begun: time.Now(), entry: Entry{Endpoint: strings.TrimSuffix(endpoint, "/")}}
		f := h.admit(r, c)
		if f == nil {
			f = serve(w, r, c)
		}
		if f == nil {
			return
		}
		c.entry.fail(f)
		h.opts.Audit(r, c.entry)
		if f.status == http.StatusUnauthorized {
			w.Header().Set("Www-Authenticate", h.challenge())
		}
		f.container = endpoint == pathCredentials
		writeFailure(w, f)
	}
}

// answer notes that a call succeeded, and sends what it gets.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, c *call, body any) {
	c.entry.Status = http.StatusOK
	h.opts.Audit(r, c.entry)
	writeJSON(w, http.StatusOK, body)
}

// call is one call under way.
type call struct {
	begun time.Time
	key   *key
	entry Entry
}
