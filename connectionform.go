package awssigv4

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// connectionWord stands in place of upstreams in the short form by connection. An upstream of that name is
// written http://connection.
const connectionWord = "connection"

// callOptions are those of ByConnection, handlerOptions all that the handler has and the transport lacks.
var (
	callOptions    = []string{"connection", "integration", "api_key", "authenticated_by_caddy", "insecure"}
	handlerOptions = append(slices.Clone(callOptions), "strip_prefix")
)

// unmarshalHandlerOption reads one of handlerOptions.
func (h *Handler) unmarshalHandlerOption(d *caddyfile.Dispenser, seen map[string]bool) error {
	if d.Val() == "api_key" {
		c := Connect{Keys: h.Keys}
		err := c.unmarshalKey(d)
		h.Keys = c.Keys
		return err
	}
	if err := sources.Once(d, seen); err != nil {
		return err
	}
	switch d.Val() {
	case "connection":
		return oneValue(d, &h.Connection, checkConnectionID)
	case "integration":
		return oneValue(d, &h.ByConnection.Integration, connect.CheckIntegrationKey)
	case "strip_prefix":
		prefix, err := sources.OneArg(d)
		if err == nil {
			if err = checkPrefix(prefix); err != nil {
				return d.WrapErr(err)
			}
		}
		h.StripPrefix = prefix
		return err
	case "authenticated_by_caddy":
		h.AuthenticatedByCaddy = true
	default:
		h.Insecure = true
	}
	_, err := sources.Args(d, 0, 0)
	return err
}

// checkCalls reports, while file and line are known, what does not go together.
func (h *Handler) checkCalls(d *caddyfile.Dispenser) error {
	start := *d
	start.Reset()
	if !h.byConnection() {
		option := h.lonely()
		if option == "keys" {
			option = "api_key"
		}
		if option == "" {
			return nil
		}
		return whereWritten(start, option).WrapErr(fieldError(option, errConnectionAlone))
	}
	if err := h.checkConnection(); err != nil {
		// The error names the option first.
		option, _, _ := strings.Cut(err.Error(), ":")
		return whereWritten(start, option).WrapErr(err)
	}
	return nil
}

// parseConnectionForm reads the short form whose upstream is what a connection says:
//
//	aws_sigv4 [<matcher>] connection {
//	    id                     <id>
//	    integration            <key>
//	    api_key                <name> <secrets...> {
//	        scopes       <scopes...>
//	        integrations <keys...>
//	    }
//	    authenticated_by_caddy
//	    strip_prefix           <path>
//	    insecure
//	    # payload, body_memory, body_limit, sign_headers, allow_services, allow_regions,
//	    # allow_hosts and allow_roles, as the handler has them,
//	    # transport aws_sigv4 { … }, in whose block options of Caddy's transport http stand,
//	    # and any subdirective of reverse_proxy
//	}
func parseConnectionForm(h httpcaddyfile.Helper, d *caddyfile.Dispenser, directive caddyfile.Token, matcher caddy.ModuleMap) ([]httpcaddyfile.ConfigValue, error) {
	var forHandler, forTransport, forProxy []caddyfile.Segment
	at := *d
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		option := d.Val()
		switch {
		case option == "id":
			ahead := *d
			if _, err := sources.OneArg(&ahead); err != nil {
				return nil, err
			}
			if err := sources.Once(d, seen); err != nil {
				return nil, err
			}
			segment := slices.Clone(d.NextSegment())
			segment[0] = segment[0].Clone()
			segment[0].Text = "connection"
			forHandler = append(forHandler, segment)
		case option == "connection":
			return nil, d.Err("in the block of aws_sigv4 connection, write `id` in place of `connection`")
		case slices.Contains(targetOptions, option):
			return nil, d.Errf("%s: the connection says it: leave this out", option)
		case slices.Contains(transportOptions, option):
			return nil, d.Errf("%s: the connection says where to: leave this out", option)
		case slices.Contains(handlerOptions, option), slices.Contains(signingOptions, option):
			forHandler = append(forHandler, d.NextSegment())
		case option == "transport":
			if forTransport != nil {
				return nil, d.Err("transport is there twice")
			}
			more, err := httpTransportOptions(d)
			if err != nil {
				return nil, err
			}
			forTransport = append([]caddyfile.Segment{}, more...)
		case option == "to", option == "dynamic":
			return nil, d.Errf("%s: the connection says where to: leave this out", option)
		default:
			forProxy = append(forProxy, d.NextSegment())
		}
	}
	if !seen["id"] {
		return nil, at.Err("whose connection? Write `id {header.connection-id}` in the block, or the ID itself")
	}
	write := &tokenWriter{at: directive}
	handler := &Handler{Defer: true}
	if err := handler.UnmarshalCaddyfile(caddyfile.NewDispenser(write.block([]string{"aws_sigv4"}, forHandler))); err != nil {
		return nil, err
	}
	if err := knownIntegrations(h, d, &handler.ByConnection); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(forTransport, func(s caddyfile.Segment) bool { return s.Directive() == "compression" }) {
		// Nothing is asked for, and unpacked, that the caller did not ask for.
		forTransport = append(forTransport, write.line("compression", "off"))
	}
	forTransport = append(forTransport, write.line("tls"))
	forProxy = append([]caddyfile.Segment{write.line("dynamic", "aws_sigv4")}, forProxy...)
	forProxy = append(forProxy, write.block([]string{"transport", "aws_sigv4"}, forTransport))
	proxy := new(reverseproxy.Handler)
	err := proxy.UnmarshalCaddyfile(caddyfile.NewDispenser(write.block([]string{"reverse_proxy"}, forProxy)))
	if err := unrecognized(err, "beside the subdirectives of reverse_proxy, aws_sigv4 connection has "+
		"transport aws_sigv4 (in whose block options of Caddy's transport http stand), id, ", slices.Concat(handlerOptions[1:], signingOptions[len(targetOptions):])); err != nil {
		return nil, err
	}
	if err := proxy.FinalizeUnmarshalCaddyfile(h); err != nil {
		return nil, err
	}
	return signingRoute(matcher, handler, proxy), nil
}

var errNoConnections = errors.New("there are no connections: define `connections` and an `integration` in the global option aws_sigv4")

// knownIntegrations reports integrations that the global option does not define, and that there are no
// connections at all, while file and line are known.
func knownIntegrations(h httpcaddyfile.Helper, d *caddyfile.Dispenser, b *ByConnection) error {
	if !b.byConnection() {
		return nil
	}
	app := new(App)
	if opt, ok := h.Option(appName).(httpcaddyfile.App); ok {
		if err := json.Unmarshal(opt.Value, app); err != nil {
			return err
		}
	}
	start := *d
	start.Reset()
	if app.Connections == nil {
		start.Next()
		return start.WrapErr(errNoConnections)
	}
	defined := slices.Sorted(maps.Keys(app.Integrations))
	unknown := func(at *caddyfile.Dispenser, who, name string) error {
		if sources.HasPlaceholder(name) || slices.Contains(defined, name) || app.RuntimeIntegrations != nil {
			return nil
		}
		return at.WrapErr(fmt.Errorf("%sthere is no integration %q: define it in the global option aws_sigv4 (defined: %s)", who, name, strings.Join(defined, ", ")))
	}
	if b.Integration != "" {
		if err := unknown(whereWritten(start, "integration", b.Integration), "", b.Integration); err != nil {
			return err
		}
	}
	for _, k := range b.Keys {
		for _, name := range k.Integrations {
			if err := unknown(whereWritten(start, "api_key", k.Name), "api_key "+k.Name+": ", name); err != nil {
				return err
			}
		}
	}
	return nil
}
