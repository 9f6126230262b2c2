package awssigv4

import (
	"net"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"
)

// announce logs where requests come in that are signed, as a line that can be
// pasted into a terminal.
func (a *App) announce() {
	app, err := a.ctx.AppIfConfigured("http")
	if err != nil {
		return
	}
	for _, server := range app.(*caddyhttp.App).Servers {
		hosts := signingHosts(server.Routes, nil)
		if len(hosts) == 0 || len(server.Listen) == 0 {
			continue
		}
		addr, err := caddy.ParseNetworkAddress(server.Listen[0])
		if err != nil || addr.IsUnixNetwork() {
			continue
		}
		for _, host := range hosts {
			a.logger.Info("requests that come in here are signed", zap.String("try", "curl "+siteURL(host, addr, server)))
		}
	}
}

func siteURL(host string, addr caddy.NetworkAddress, server *caddyhttp.Server) string {
	if host == "" {
		host = addr.Host
	}
	if host == "" || strings.Contains(host, "*") {
		host = "localhost"
	}
	_, port, _ := net.SplitHostPort(addr.JoinHostPort(0))
	switch {
	case port == "443":
		return "https://" + host + "/"
	case len(server.TLSConnPolicies) > 0:
		return "https://" + net.JoinHostPort(host, port) + "/"
	case port == "80":
		return "http://" + host + "/"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}

// signingHosts returns the hosts whose routes sign, "" for any host.
func signingHosts(routes caddyhttp.RouteList, within []string) []string {
	var found []string
	for _, route := range routes {
		hosts := within
		for _, set := range route.MatcherSets {
			for _, m := range set {
				if h, ok := m.(*caddyhttp.MatchHost); ok {
					hosts = *h
				}
			}
		}
		for _, handler := range route.Handlers {
			switch h := handler.(type) {
			case *caddyhttp.Subroute:
				found = append(found, signingHosts(h.Routes, hosts)...)
				continue
			case *reverseproxy.Handler:
				if _, ok := h.Transport.(*Transport); !ok {
					continue
				}
			case *Handler:
			default:
				continue
			}
			if len(hosts) == 0 {
				found = append(found, "")
			}
			found = append(found, hosts...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
