package awssigv4

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/dial"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// dialGuard keeps a transport's connections from addresses that whoever chose
// the upstream has no business with.
type dialGuard struct {
	// hosts are those that the configuration names: upstreams, `upstream`
	// blocks and allow_hosts.
	hosts []string

	// ownUpstreams tells that no request has a say in where the upstreams are,
	// so that whatever is dialled is the operator's choice.
	ownUpstreams bool
}

// checkForwardProxy refuses a forward proxy that a request chooses: nothing is
// known of where it is, and it sees what is sent. It has to be asked before the
// embedded transport is provisioned, which forgets its configuration.
func (t *Transport) checkForwardProxy() error {
	for _, f := range []struct {
		name     string
		isChosen bool
	}{
		{"network_proxy", holdsRequest(t.NetworkProxyRaw)},
		{"forward_proxy_url", sources.NeedsRequest(t.ForwardProxyURL)},
	} {
		if f.isChosen {
			return fieldError(f.name, errors.New("a request would choose the proxy that signed requests are sent through: write its URL, or {env.NAME}"))
		}
	}
	return nil
}

// guardDialing has each connection of the embedded transport checked when it is
// made, by the address that its name really led to.
func (t *Transport) guardDialing(ctx caddy.Context) error {
	g := &dialGuard{hosts: slices.Clone(t.Allow.Hosts)}
	for _, u := range t.Upstreams {
		g.hosts = append(g.hosts, u.Match)
	}
	if proxy := enclosingProxy(ctx); proxy != nil {
		if err := g.addUpstreams(proxy); err != nil {
			return err
		}
		if !g.ownUpstreams && slices.Equal(t.Versions, []string{"3"}) {
			return fieldError("versions", errors.New("over HTTP/3 the address of an upstream that a request chooses can't be checked: write 1.1 and 2"))
		}
	}
	rt := t.Transport
	rt.DialContext = g.around(rt.DialContext)
	if rt.DialTLSContext != nil {
		rt.DialTLSContext = g.around(rt.DialTLSContext)
	}
	rt.Proxy = g.aroundProxy(rt.Proxy)
	return nil
}

// addUpstreams notes the upstreams of a reverse_proxy that its configuration
// names.
func (g *dialGuard) addUpstreams(proxy *reverseproxy.Handler) error {
	g.ownUpstreams = !holdsRequest(proxy.DynamicUpstreamsRaw) && !usesPlannedUpstream(proxy.DynamicUpstreamsRaw)
	dials := make([]string, 0, len(proxy.Upstreams)+1)
	for _, u := range proxy.Upstreams {
		dials = append(dials, u.Dial)
	}
	if proxy.HealthChecks != nil && proxy.HealthChecks.Active != nil {
		dials = append(dials, proxy.HealthChecks.Active.Upstream)
	}
	for i, d := range dials {
		if sources.NeedsRequest(d) {
			g.ownUpstreams = false
			continue
		}
		// What is wrong with an address is Caddy's to say.
		resolved, err := sources.ResolveFixed(d)
		if err != nil {
			continue
		}
		addr, err := caddy.ParseNetworkAddress(resolved)
		if err != nil || addr.Host == "" {
			continue
		}
		g.hosts = append(g.hosts, addr.Host)
		if ip, err := netip.ParseAddr(addr.Host); err == nil {
			if err := (&dial.Policy{Operator: g.hosts}).Check(addr.Host, ip); err != nil {
				return fieldError(fmt.Sprintf("upstreams[%d].dial", i), err)
			}
		}
	}
	return nil
}

// usesPlannedUpstream tells whether dynamic upstreams, or some of several, are
// what the handler before chose.
func usesPlannedUpstream(config json.RawMessage) bool {
	var decoded any
	if len(config) == 0 || json.Unmarshal(config, &decoded) != nil {
		return false
	}
	return anyIsPlannedUpstream(decoded)
}

func anyIsPlannedUpstream(v any) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, anyIsPlannedUpstream)
	case map[string]any:
		if v["source"] == appName {
			return true
		}
		for _, one := range v {
			if anyIsPlannedUpstream(one) {
				return true
			}
		}
	}
	return false
}

// around returns next with a check of each connection that it makes. One that
// is refused is a dial error: nothing was sent, and reverse_proxy may try
// another upstream.
func (g *dialGuard) around(next dial.Func) dial.Func {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, policy := address, &dial.Policy{Operator: []string{address}}
		if !isProxy(ctx, address) {
			host = dialled(ctx, address)
			policy = g.policy(ctx, host)
		}
		conn, err := policy.Guard(ctx, host, func(ctx context.Context) (net.Conn, error) {
			return next(ctx, network, address)
		})
		if refused, ok := errors.AsType[*dial.Error](err); ok {
			err = undialledError{reverseproxy.NewDialError(refused), refused}
		}
		return conn, err
	}
}

// undialledError is a connection that was refused: to reverse_proxy a dial error, which doesn't tell what it wraps.
type undialledError struct {
	dial    reverseproxy.DialError
	refused error
}

func (n undialledError) Error() string   { return n.dial.Error() }
func (n undialledError) Unwrap() []error { return []error{n.dial, n.refused} }

// aroundProxy returns next with a check of the upstream that a proxy is to be
// asked for.
func (g *dialGuard) aroundProxy(next func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(req *http.Request) (*url.URL, error) {
		proxy, err := next(req)
		if proxy == nil || err != nil {
			return proxy, err
		}
		host := dialled(req.Context(), req.URL.Host)
		if err := g.policy(req.Context(), host).CheckProxied(host); err != nil {
			return nil, undialledError{reverseproxy.NewDialError(err), err}
		}
		return proxy, nil
	}
}

// policy returns what is permitted for the upstream of one request.
func (g *dialGuard) policy(ctx context.Context, host string) *dial.Policy {
	p := &dial.Policy{Operator: g.hosts, AWS: isAWSHost}
	if g.ownUpstreams {
		p.Operator = []string{host}
		return p
	}
	if plan := planOf(ctx); plan != nil {
		p.Operator = slices.Clone(p.Operator)
		if plan.hostIsFixed {
			p.Operator = append(p.Operator, plan.host)
		}
		for _, a := range plan.allow {
			p.Operator = append(p.Operator, a.Hosts...)
		}
		if plan.call != nil {
			p.Operator = append(p.Operator, plan.call.allowed...)
		}
	}
	return p
}

func isAWSHost(host string) bool {
	_, err := endpoint.Parse(host)
	return err == nil
}

// dialled returns the upstream that a connection is for. The request's URL may
// hold something else, such as the client's address for the PROXY protocol.
func dialled(ctx context.Context, address string) string {
	if info, ok := reverseproxy.GetDialInfo(ctx); ok {
		return info.Address
	}
	return address
}

// isProxy tells whether a connection is to the proxy that Caddy notes for the
// request, which the operator chose, rather than to the upstream.
func isProxy(ctx context.Context, address string) bool {
	u, ok := caddyhttp.GetVar(ctx, "reverse_proxy.proxy").(*url.URL)
	if !ok || u == nil {
		return false
	}
	if info, ok := reverseproxy.GetDialInfo(ctx); ok && strings.HasPrefix(info.Network, "unix") {
		return false
	}
	host, _ := splitHostPort(address)
	proxy, _ := splitHostPort(u.Host)
	return host == proxy
}
