package awssigv4

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// PlannedUpstream is a dynamic upstream: the host that the `aws_sigv4` handler
// before it chose for the request, on port 443 if it names none. Without such
// a handler, or if it chose no host, there is no upstream, and Caddy answers
// 503.
//
// The transport is told separately to use TLS: `transport aws_sigv4 { tls }`. For
// calls by `connection` it does so in any case.
type PlannedUpstream struct{}

// CaddyModule returns the Caddy module information.
func (PlannedUpstream) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.upstreams.aws_sigv4",
		New: func() caddy.Module { return new(PlannedUpstream) },
	}
}

// GetUpstreams returns the one upstream that was chosen, or none. It returns
// no error, upon which reverse_proxy would use its static upstreams.
func (PlannedUpstream) GetUpstreams(r *http.Request) ([]*reverseproxy.Upstream, error) {
	p := planOf(r.Context())
	if p == nil || p.host == "" {
		return nil, nil
	}
	host, port := splitHostPort(p.host)
	if port == "" {
		port = "443"
		if p.call != nil && p.call.target.scheme == "http" {
			port = "80"
		}
	}
	return []*reverseproxy.Upstream{{Dial: net.JoinHostPort(host, port)}}, nil
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	dynamic aws_sigv4
func (PlannedUpstream) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	if d.NextArg() {
		return d.Errf("dynamic aws_sigv4 takes no arguments, but got %q: the handler aws_sigv4 says where to", d.Val())
	}
	for d.NextBlock(0) {
		return d.Errf("dynamic aws_sigv4 has no options, but got %q", d.Val())
	}
	return nil
}

// upstreamURL is one upstream of the short form.
type upstreamURL struct {
	host          string // without a default port
	tls           bool
	isPlaceholder bool
	later         bool // dialledUpstream
}

// dialledUpstream stands for an upstream for which a block of the transport
// says more than the handler knows.
const dialledUpstream = "{http.reverse_proxy.upstream.hostport}"

// parseUpstreamURL reads an upstream's address as reverse_proxy's Caddyfile
// takes it: a URL, or HOST:PORT for plaintext http.
func parseUpstreamURL(raw string) (upstreamURL, error) {
	scheme, rest, found := strings.Cut(raw, "://")
	if !found {
		scheme, rest = "http", raw
	}
	u := upstreamURL{isPlaceholder: strings.Contains(raw, "{"), later: rest == dialledUpstream}
	switch scheme {
	case "https", "wss":
		u.tls = true
	case "http", "ws", "h2c":
	default:
		return u, fmt.Errorf("%q has scheme %q: write https://HOST or http://HOST", raw, scheme)
	}
	if u.isPlaceholder {
		return u, nil
	}
	parsed, err := url.Parse("//" + rest)
	if err != nil || parsed.Host == "" || parsed.Path != "" || parsed.RawQuery != "" || parsed.User != nil {
		return u, errors.Join(fmt.Errorf("%q is not an upstream: write https://HOST or https://HOST:PORT", raw), err)
	}
	u.host = parsed.Host
	_, port := splitHostPort(parsed.Host)
	if u.tls && port == "443" || !u.tls && port == "80" {
		u.host = strings.TrimSuffix(parsed.Host, ":"+port)
	}
	return u, nil
}

var (
	_ reverseproxy.UpstreamSource = PlannedUpstream{}
	_ caddyfile.Unmarshaler       = PlannedUpstream{}
)
