package awssigv4

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// hostChange is what the header operations of a reverse_proxy (`header_up`) do
// to Host. It is read from the configuration, because a request can't tell: a
// client may send the very Host that the operator sets.
type hostChange struct {
	// fixed is the Host that is set, if no placeholder is in it.
	fixed string

	// byRequest is the operation by which a request may choose the Host, or "".
	byRequest string

	// exists tells whether there is any; repeats, that it sets what the client
	// sent anyway, which is never signed.
	exists, repeats bool
}

// signed tells whether the Host that the operations leave is the one to sign.
func (c *hostChange) signed() bool { return c.exists && !c.repeats }

func hostChangeOf(proxy *reverseproxy.Handler) *hostChange {
	c := new(hostChange)
	if proxy.Headers == nil || proxy.Headers.Request == nil {
		return c
	}
	ops := proxy.Headers.Request
	for name, values := range ops.Set {
		if isHost(name) && len(values) > 0 {
			c.sets(values[len(values)-1])
		}
	}
	for name, values := range ops.Add {
		if isHost(name) && len(values) > 0 {
			c.sets(values[len(values)-1])
		}
	}
	for name, replacements := range ops.Replace {
		if name == "*" || isHost(name) {
			c.replaces(replacements)
		}
	}
	return c
}

func (c *hostChange) sets(value string) {
	c.exists = true
	switch {
	case value == "{http.request.host}" || value == "{http.request.hostport}":
		c.repeats = true
	case sources.NeedsRequest(harmlessHosts.Replace(value)):
		c.byRequest = value
	case !strings.Contains(value, "{"):
		c.fixed = value
	}
}

// replaces notes replacements in Host. What they work on may be what the
// client sent, so what comes out is its choice too.
func (c *hostChange) replaces(replacements []headers.Replacement) {
	for _, r := range replacements {
		c.exists, c.repeats, c.fixed = true, false, ""
		c.byRequest = "replace " + r.Search + r.SearchRegexp
	}
}

// isHost tells whether an operation on a header of that name may be on Host. A
// name with a placeholder may be any.
func isHost(name string) bool {
	return http.CanonicalHeaderKey(name) == "Host" || strings.Contains(name, "{")
}

// harmlessHosts drops the placeholders that don't let a request choose a Host:
// what the upstream is, and what the handler chose by its own rules.
var harmlessHosts = strings.NewReplacer(
	"{http.reverse_proxy.upstream.hostport}", "", "{http.reverse_proxy.upstream.host}", "", "{http.aws_sigv4.host}", "",
)

// holdsRequest tells whether a module's configuration holds a placeholder that
// a request fills.
func holdsRequest(config json.RawMessage) bool {
	var decoded any
	if len(config) == 0 || json.Unmarshal(config, &decoded) != nil {
		return false
	}
	return anyNeedsRequest(decoded)
}

func anyNeedsRequest(v any) bool {
	switch v := v.(type) {
	case string:
		return sources.NeedsRequest(v)
	case []any:
		return slices.ContainsFunc(v, anyNeedsRequest)
	case map[string]any:
		for _, one := range v {
			if anyNeedsRequest(one) {
				return true
			}
		}
	}
	return false
}
