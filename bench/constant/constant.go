// Package constant has a transport for Caddy that adds headers which are always
// the same: what is left of signing if to sign took no time.
package constant

import (
	"maps"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

func init() { caddy.RegisterModule(new(Transport)) }

// Transport is Caddy's HTTP transport, on a copy of the request with more
// headers. Only the benchmark's Caddy has it.
type Transport struct {
	*reverseproxy.HTTPTransport

	// Header is what is added.
	Header http.Header `json:"header,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.constant_headers",
		New: func() caddy.Module { return &Transport{HTTPTransport: new(reverseproxy.HTTPTransport)} },
	}
}

// RoundTrip sends a copy of the request.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	out := *r
	out.Header = make(http.Header, len(r.Header)+len(t.Header))
	maps.Copy(out.Header, r.Header)
	maps.Copy(out.Header, t.Header)
	return t.HTTPTransport.RoundTrip(&out)
}

// UnmarshalCaddyfile sets up the transport from Caddyfile tokens. Syntax:
//
//	transport constant_headers {
//	    <name> <value>
//	}
func (t *Transport) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the transport's name
	if d.NextArg() {
		return d.ArgErr()
	}
	t.Header = make(http.Header)
	for d.NextBlock(0) {
		name := d.Val()
		var value string
		if !d.Args(&value) {
			return d.ArgErr()
		}
		t.Header.Set(name, value)
	}
	return nil
}

var (
	_ caddy.Provisioner     = (*Transport)(nil)
	_ http.RoundTripper     = (*Transport)(nil)
	_ caddyfile.Unmarshaler = (*Transport)(nil)
)
