package awssigv4

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// parseDirective reads the directive aws_sigv4: the handler, or with upstreams
// the short form of handler, reverse_proxy and transport:
//
//	aws_sigv4 [<matcher>] <upstreams...> {
//	    # options of the handler and of the transport,
//	    # and any subdirective of reverse_proxy
//	}
//
// With the word connection in place of upstreams, a connection says where to; see parseConnectionForm.
//
// What `transport aws_sigv4 { … }` holds in the short form goes to Caddy's
// HTTP transport.
func parseDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	if !h.Next() {
		return nil, h.ArgErr()
	}
	directive := h.Token()
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	// The matcher is gone, and the dispenser is back at its beginning; it
	// holds the tokens of this directive alone.
	d := h.Dispenser
	if err := noLoneSemicolons(d); err != nil {
		return nil, err
	}
	d.Next() // consume the directive's name
	upstreams := d.RemainingArgsAsTokens()
	if len(upstreams) == 0 {
		return parseHandler(h, d, matcher)
	}
	if upstreams[0].Text == connectionWord {
		if len(upstreams) > 1 {
			return nil, d.Err("aws_sigv4 connection has no upstreams: the connection says where to; an upstream of that name is written http://connection")
		}
		return parseConnectionForm(h, d, directive, matcher)
	}
	return parseShortForm(h, d, directive, upstreams, matcher)
}

func parseHandler(h httpcaddyfile.Helper, d *caddyfile.Dispenser, matcher caddy.ModuleMap) ([]httpcaddyfile.ConfigValue, error) {
	handler := new(Handler)
	d.Reset()
	if err := handler.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	if err := knownCredentials(h, d, &handler.Target); err != nil {
		return nil, err
	}
	if err := knownIntegrations(h, d, &handler.ByConnection); err != nil {
		return nil, err
	}
	return h.NewRoute(matcher, handler), nil
}

// parseShortForm deals the tokens out: to the handler, to the transport, and
// to reverse_proxy with that transport in it. Each reads its share itself, so
// whatever they can, the short form can.
func parseShortForm(h httpcaddyfile.Helper, d *caddyfile.Dispenser, directive caddyfile.Token, upstreams []caddyfile.Token, matcher caddy.ModuleMap) ([]httpcaddyfile.ConfigValue, error) {
	var forHandler, forTransport, forProxy []caddyfile.Segment
	seenTransport := false
	for d.NextBlock(0) {
		option := d.Val()
		switch {
		case slices.Contains(signingOptions, option):
			segment := d.NextSegment()
			forHandler = append(forHandler, segment)
			forTransport = append(forTransport, segment)
		case slices.Contains(callOptions, option):
			return nil, d.Errf("%s: the upstreams are given here; a connection says its own: write `aws_sigv4 connection` with a block, and no upstream", option)
		case slices.Contains(handlerOptions, option):
			forHandler = append(forHandler, d.NextSegment())
		case slices.Contains(transportOptions, option):
			forTransport = append(forTransport, d.NextSegment())
		case option == "transport":
			if seenTransport {
				return nil, d.Err("transport is there twice")
			}
			seenTransport = true
			more, err := httpTransportOptions(d)
			if err != nil {
				return nil, err
			}
			forTransport = append(forTransport, more...)
		case option == "dynamic":
			return nil, d.Err("the short form has its upstreams: write a reverse_proxy of your own with `dynamic` and `transport aws_sigv4`")
		default:
			forProxy = append(forProxy, d.NextSegment())
		}
	}

	write := &tokenWriter{at: directive}
	handler := &Handler{Defer: true}
	if err := handler.UnmarshalCaddyfile(caddyfile.NewDispenser(write.block([]string{"aws_sigv4"}, forHandler))); err != nil {
		return nil, err
	}
	transport := new(Transport)
	if err := transport.UnmarshalCaddyfile(caddyfile.NewDispenser(write.block([]string{"aws_sigv4"}, forTransport))); err != nil {
		return nil, err
	}
	targets := []*Target{&handler.Target}
	for _, u := range transport.Upstreams {
		targets = append(targets, &u.Target)
		handler.DeferCredentials = handler.DeferCredentials || u.CredentialsName != "" || len(u.CredentialsRaw) > 0
	}
	if err := knownCredentials(h, d, targets...); err != nil {
		return nil, err
	}

	to := append(caddyfile.Segment{write.here("to")}, upstreams...)
	forProxy = append([]caddyfile.Segment{to}, forProxy...)
	forProxy = append(forProxy, write.block([]string{"transport", "aws_sigv4"}, forTransport))
	proxy := new(reverseproxy.Handler)
	err := proxy.UnmarshalCaddyfile(caddyfile.NewDispenser(write.block([]string{"reverse_proxy"}, forProxy)))
	if err := unrecognized(err, "beside the subdirectives of reverse_proxy, the short form has "+
		"transport aws_sigv4 (in whose block options of Caddy's transport http stand), upstream, upstream_only, ", signingOptions); err != nil {
		return nil, err
	}
	if err := proxy.FinalizeUnmarshalCaddyfile(h); err != nil {
		return nil, err
	}
	if handler.ForUpstreams, err = upstreamsOf(proxy, transport, handler.Host); err != nil {
		return nil, err
	}
	if err := handler.checkBehind(); err != nil {
		at := caddyfile.NewDispenser(upstreams)
		at.Next()
		return nil, at.WrapErr(err)
	}
	return signingRoute(matcher, handler, proxy), nil
}

// signingRoute is what a short form expands to.
func signingRoute(matcher caddy.ModuleMap, handler *Handler, proxy *reverseproxy.Handler) []httpcaddyfile.ConfigValue {
	return []httpcaddyfile.ConfigValue{{
		Class: "route",
		Value: caddyhttp.Route{
			MatcherSetsRaw: matcherSets(matcher),
			HandlersRaw: []json.RawMessage{
				caddyconfig.JSONModuleObject(handler, "handler", "aws_sigv4", nil),
				caddyconfig.JSONModuleObject(proxy, "handler", "reverse_proxy", nil),
			},
		},
	}}
}

func matcherSets(matcher caddy.ModuleMap) caddyhttp.RawMatcherSets {
	if matcher == nil {
		return nil
	}
	return caddyhttp.RawMatcherSets{matcher}
}

// httpTransportOptions reads `transport aws_sigv4 { … }` inside of the short
// form, which takes the options of Caddy's transport; ours stand beside it.
func httpTransportOptions(d *caddyfile.Dispenser) ([]caddyfile.Segment, error) {
	name, err := sources.OneArg(d)
	if err != nil {
		return nil, err
	}
	if name != "aws_sigv4" && name != "http" {
		return nil, d.Errf("the short form always sends through transport aws_sigv4, not %q", name)
	}
	var segments []caddyfile.Segment
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if slices.Contains(signingOptions, d.Val()) || slices.Contains(transportOptions, d.Val()) {
			return nil, d.Errf("in the short form %s stands beside `transport`, not in it", d.Val())
		}
		segments = append(segments, d.NextSegment())
	}
	return segments, nil
}

// checkBehind reports, while file and line are known, an upstream whose host
// does not tell what is not configured.
func (h *Handler) checkBehind() error {
	if h.Host != "" {
		return nil
	}
	for _, raw := range h.ForUpstreams {
		u, err := parseUpstreamURL(raw)
		if err != nil {
			return err
		}
		if u.isPlaceholder {
			continue
		}
		if err := h.inferable(u.host); err != nil {
			return err
		}
	}
	return nil
}

// upstreamsOf returns the upstreams of a reverse_proxy as URLs with the Host
// that they are sent, for the handler before it. One that a block of the
// transport has more to say about is dialledUpstream.
func upstreamsOf(proxy *reverseproxy.Handler, transport *Transport, host string) ([]string, error) {
	var http struct {
		TLS *json.RawMessage `json:"tls"`
	}
	if err := json.Unmarshal(proxy.TransportRaw, &http); err != nil {
		return nil, err
	}
	scheme := "http://"
	if http.TLS != nil {
		scheme = "https://"
	}
	hostUp := ""
	if change := hostChangeOf(proxy); change.signed() {
		hostUp = cmp.Or(change.fixed, "{http.request.header.Host}")
	}
	var urls []string
	for _, u := range proxy.Upstreams {
		addr, err := caddy.ParseNetworkAddress(u.Dial)
		switch {
		case err == nil && transport.aimsElsewhere(addr.JoinHostPort(0)):
			urls = append(urls, scheme+dialledUpstream)
		case hostUp != "":
			urls = append(urls, scheme+hostUp)
		case err != nil || strings.Contains(u.Dial, "{"):
			urls = append(urls, scheme+u.Dial)
		case addr.IsUnixNetwork() && host != "":
			urls = append(urls, scheme+host)
		case addr.IsUnixNetwork():
			return nil, fmt.Errorf("upstream %s is a socket, which has no Host to sign: write `host NAME`", u.Dial)
		default:
			urls = append(urls, scheme+strings.TrimSuffix(addr.JoinHostPort(0), defaultPort(scheme)))
		}
	}
	return slices.Compact(urls), nil
}

// aimsElsewhere tells whether a block says for which host, service or region
// requests to an upstream are signed. What the handler knows is then not it.
func (t *Transport) aimsElsewhere(dialled string) bool {
	block, err := t.blockFor(dialled)
	return err == nil && block != nil && (block.Host != "" || block.Service != "" || block.Region != "")
}

func defaultPort(scheme string) string {
	if scheme == "https://" {
		return ":443"
	}
	return ":80"
}

// tokenWriter builds the tokens of directives that nobody wrote. Caddy's
// parser tells lines apart by number, and tokens of different files are always
// on different lines: so each line that is made up gets a file name with
// another number of blanks behind it, which no reader of an error sees.
type tokenWriter struct {
	at    caddyfile.Token
	lines int
}

// line returns words that stand on a line of their own.
func (w *tokenWriter) line(words ...string) []caddyfile.Token {
	w.lines++
	tokens := make([]caddyfile.Token, len(words))
	for i, word := range words {
		tokens[i] = w.at.Clone()
		tokens[i].Text = word
		tokens[i].File += strings.Repeat(" ", w.lines)
	}
	return tokens
}

// block returns words followed by a block that holds segments.
func (w *tokenWriter) block(words []string, segments []caddyfile.Segment) caddyfile.Segment {
	if len(segments) == 0 {
		return w.line(words...)
	}
	tokens := w.line(append(slices.Clone(words), "{")...)
	for _, s := range segments {
		tokens = append(tokens, s...)
	}
	return append(tokens, w.line("}")...)
}

// here returns a word on the very line of the directive.
func (w *tokenWriter) here(word string) caddyfile.Token {
	t := w.at.Clone()
	t.Text = word
	return t
}
