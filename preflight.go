package awssigv4

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// checkUpstreams looks at the upstreams of the reverse_proxy that this
// transport belongs to, so that a host that can't be inferred is found before
// any request.
func (t *Transport) checkUpstreams(ctx caddy.Context) error {
	proxy := enclosingProxy(ctx)
	if proxy == nil {
		return nil
	}
	t.hostChange = hostChangeOf(proxy)
	if len(t.Allow.Hosts) == 0 && t.hostChange.byRequest != "" {
		return fieldError("allow_hosts", fmt.Errorf("the Host is filled from the request (%s): say with allow_hosts which hosts may be signed for", t.hostChange.byRequest))
	}
	if len(t.Allow.Hosts) == 0 && !t.UpstreamOnly && holdsRequest(proxy.DynamicUpstreamsRaw) {
		return fieldError("allow_hosts", errors.New("the dynamic upstreams are filled from the request: say with allow_hosts which hosts may be signed for"))
	}
	for i, u := range proxy.Upstreams {
		path := fmt.Sprintf("upstreams[%d].dial", i)
		if sources.NeedsRequest(u.Dial) && len(t.Allow.Hosts) == 0 && !t.UpstreamOnly {
			return fieldError(path, fmt.Errorf("%q is filled from the request: say with allow_hosts which hosts may be signed for", u.Dial))
		}
		addr, err := caddy.ParseNetworkAddress(u.Dial)
		if err != nil || strings.Contains(u.Dial, "{") || t.hostChange.signed() && t.hostChange.fixed == "" {
			continue
		}
		dialled := addr.JoinHostPort(0)
		err = t.checkUpstream(dialled, t.hostChange.fixed)
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

// enclosingProxy returns the reverse_proxy that a transport belongs to, or nil.
func enclosingProxy(ctx caddy.Context) *reverseproxy.Handler {
	var proxy *reverseproxy.Handler
	for _, m := range ctx.Modules() {
		if rp, ok := m.(*reverseproxy.Handler); ok {
			proxy = rp
		}
	}
	return proxy
}

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
	if _, err := t.parsed.lookup(name); err == nil && !t.TLSEnabled() {
		t.logger.Warn("an AWS host is dialled without TLS, and the session token can be read on the way: write https:// before the upstream",
			zap.String("host", name), zap.String("upstream", dialled))
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
