package awssigv4

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/payload"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// targetOptions and signingOptions are what a Target and a Signing read.
var (
	targetOptions  = []string{"service", "region", "host", "credentials"}
	signingOptions = append(slices.Clone(targetOptions),
		"payload", "body_memory", "body_limit", "sign_headers", "allow_services", "allow_regions", "allow_hosts", "allow_roles")
)

// unmarshalOption reads one option of a Target.
func (t *Target) unmarshalOption(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "service":
		return oneValue(d, &t.Service, endpoint.CheckService)
	case "region":
		return oneValue(d, &t.Region, endpoint.CheckRegion)
	case "host":
		return oneValue(d, &t.Host, checkHost)
	}
	return t.unmarshalCredentials(d)
}

// unmarshalCredentials reads `credentials NAME` or `credentials SOURCE …`. A
// name is never that of a source, so one argument means one thing.
func (t *Target) unmarshalCredentials(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Errf("credentials need a name from the global option aws_sigv4, or a source: one of %v", sources.Names())
	}
	first := d.Val()
	if sources.IsSource(first) {
		var err error
		t.CredentialsRaw, err = sources.UnmarshalSource(d, first)
		return err
	}
	if err := checkCredentialsName(first); err != nil {
		return d.WrapErr(err)
	}
	t.CredentialsName = first
	if d.NextArg() {
		return d.Errf("there is no source %q: write one of %v, or a name alone", first, sources.Names())
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		return d.Errf("credentials %s is a name, and takes no block; define it in the global option aws_sigv4, or write a source: one of %v", first, sources.Names())
	}
	return nil
}

// unmarshalOption reads one option of a Signing.
func (s *Signing) unmarshalOption(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "payload":
		var mode string
		if err := oneValue(d, &mode, func(v string) error { return payload.CheckMode(payload.Mode(v)) }); err != nil {
			return err
		}
		s.Payload = payload.Mode(mode)
		return nil
	case "body_memory":
		var err error
		s.BodyMemory, err = size(d)
		return err
	case "body_limit":
		var err error
		s.BodyLimit, err = size(d)
		return err
	case "sign_headers":
		return list(d, &s.SignHeaders, func(names []string) error { _, err := headerRules(names); return err })
	case "allow_services":
		return list(d, &s.Allow.Services, each(endpoint.CheckService))
	case "allow_regions":
		return list(d, &s.Allow.Regions, each(endpoint.CheckRegion))
	case "allow_hosts":
		return list(d, &s.Allow.Hosts, each(checkHostPattern))
	case "allow_roles":
		return list(d, &s.Allow.Roles, each(sts.CheckRolePattern))
	}
	return s.Target.unmarshalOption(d)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	aws_sigv4 [<matcher>] {
//	    service        <name>
//	    region         <name>
//	    host           <name[:port]>
//	    credentials    <name>
//	    credentials    <source> [<args...>] {
//	        ...
//	    }
//	    payload        auto|signed|unsigned
//	    body_memory    <size>
//	    body_limit     <size>
//	    sign_headers   [+] <names...>
//	    allow_services <names...>
//	    allow_regions  <names...>
//	    allow_hosts    <hosts...>
//	    allow_roles    <arn patterns...>
//	    strip_prefix   <path>
//	    connection     <id>
//	    integration    <key>
//	    api_key        <name> <secrets...> {
//	        scopes       <scopes...>
//	        integrations <keys...>
//	    }
//	    authenticated_by_caddy
//	    insecure
//	}
//
// With connection, it has no service, region, host and credentials: the connection says them.
// api_key may be given several times.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	if err := noLoneSemicolons(d); err != nil {
		return err
	}
	if d.NextArg() {
		return d.Errf("the handler aws_sigv4 takes no arguments, but got %q", d.Val())
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		if slices.Contains(transportOptions, d.Val()) {
			return d.Errf("%s belongs to `transport aws_sigv4`, or to the short form with upstreams: the handler acts before an upstream is chosen", d.Val())
		}
		if slices.Contains(handlerOptions, d.Val()) {
			if err := h.unmarshalHandlerOption(d, seen); err != nil {
				return err
			}
			continue
		}
		if !slices.Contains(signingOptions, d.Val()) {
			return sources.Unknown(d, slices.Concat(signingOptions, handlerOptions)...)
		}
		if err := sources.Once(d, seen); err != nil {
			return err
		}
		if err := h.unmarshalOption(d); err != nil {
			return err
		}
	}
	if err := h.checkCalls(d); err != nil {
		return err
	}
	if h.Host != "" && !sources.HasPlaceholder(h.Host) {
		if err := h.inferable(h.Host); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

// inferable reports, while file and line are known, a host that does not tell
// what is not configured.
func (t *Target) inferable(host string) error {
	inferred, err := endpoint.Parse(host)
	return enough(host, t.Service, t.Region, inferred, err)
}

// transportOptions are the options of the transport that the handler lacks.
var transportOptions = []string{"upstream", "upstream_only"}

// UnmarshalCaddyfile sets up the transport from Caddyfile tokens: all options
// of the handler, those of Caddy's transport http, and two of its own. Syntax:
//
//	transport aws_sigv4 {
//	    upstream <host[:port]>|<*.suffix> {
//	        service     <name>
//	        region      <name>
//	        host        <name[:port]>
//	        credentials ...
//	    }
//	    upstream_only
//	    ...
//	}
func (t *Transport) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the transport's name
	write := &tokenWriter{at: d.Token()}
	if err := noLoneSemicolons(d); err != nil {
		return err
	}
	if d.NextArg() {
		return d.Errf("transport aws_sigv4 takes no arguments, but got %q", d.Val())
	}
	seen := make(map[string]bool)
	var rest []caddyfile.Segment
	for d.NextBlock(0) {
		option := d.Val()
		if option == "upstream" {
			if err := t.unmarshalUpstream(d); err != nil {
				return err
			}
			continue
		}
		ours := option == "upstream_only" || slices.Contains(signingOptions, option)
		if !ours {
			rest = append(rest, d.NextSegment())
			continue
		}
		if err := sources.Once(d, seen); err != nil {
			return err
		}
		if option == "upstream_only" {
			if d.NextArg() {
				return d.Errf("upstream_only takes no arguments, but got %q", d.Val())
			}
			t.UpstreamOnly = true
			continue
		}
		if err := t.Signing.unmarshalOption(d); err != nil {
			return err
		}
	}
	if t.HTTPTransport == nil {
		t.HTTPTransport = new(reverseproxy.HTTPTransport)
	}
	err := t.HTTPTransport.UnmarshalCaddyfile(caddyfile.NewDispenser(write.block([]string{"http"}, rest)))
	return unrecognized(err, "beside the options of Caddy's transport http, transport aws_sigv4 has upstream, upstream_only, ", signingOptions)
}

// unrecognized adds to Caddy's error about an option that it does not know
// which ones there are.
func unrecognized(err error, which string, options []string) error {
	if err == nil || !strings.Contains(err.Error(), "unrecognized subdirective") {
		return err
	}
	what, where, _ := strings.Cut(err.Error(), ", at ")
	return fmt.Errorf("%s: %s%s, at %s", what, which, strings.Join(options, ", "), where)
}

func (t *Transport) unmarshalUpstream(d *caddyfile.Dispenser) error {
	u := new(UpstreamTarget)
	if err := oneValue(d, &u.Match, checkHostPattern); err != nil {
		return err
	}
	for _, other := range t.Upstreams {
		if other.Match == u.Match {
			return d.Errf("upstream %s is there twice", u.Match)
		}
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if !slices.Contains(targetOptions, d.Val()) {
			return sources.Unknown(d, targetOptions...)
		}
		if err := sources.Once(d, seen); err != nil {
			return err
		}
		if err := u.unmarshalOption(d); err != nil {
			return err
		}
	}
	t.Upstreams = append(t.Upstreams, u)
	return nil
}
