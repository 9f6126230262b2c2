package awssigv4

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/dustin/go-humanize"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/payload"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// parseGlobalOption reads the global option. Syntax:
//
//	aws_sigv4 {
//	    credentials <name> <source> [<args...>] {
//	        ...
//	    }
//	    spool_dir   <path>
//	    spool_limit <size>
//	    connections {
//	        ...
//	    }
//	    integration <key> {
//	        ...
//	    }
//	    runtime_integrations {
//	        ...
//	    }
//	}
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		return nil, d.Err("the global option aws_sigv4 is there twice: put everything into one block")
	}
	d.Next() // consume the option's name
	if err := noLoneSemicolons(d); err != nil {
		return nil, err
	}
	if d.NextArg() {
		return nil, d.Errf("the global option aws_sigv4 takes a block and no arguments, but got %q", d.Val())
	}
	app := App{CredentialsRaw: make(map[string]json.RawMessage)}
	definitions := make(map[string]caddyfile.Dispenser)
	seen := make(map[string]bool)
	integrations := make(map[string]caddyfile.Dispenser)
	var runtime *caddyfile.Dispenser
	for d.NextBlock(0) {
		if d.Val() == "integration" {
			at := *d
			if err := app.unmarshalIntegration(d); err != nil {
				return nil, err
			}
			at.NextArg()
			integrations[at.Val()] = at
			continue
		}
		if d.Val() == "runtime_integrations" {
			at := *d
			runtime = &at
		}
		if d.Val() != "credentials" {
			if err := app.unmarshalOption(d, seen); err != nil {
				return nil, err
			}
			continue
		}
		if !d.NextArg() {
			return nil, d.Err("credentials need a name and a source: credentials NAME SOURCE")
		}
		name := d.Val()
		if err := checkCredentialsName(name); err != nil {
			return nil, d.WrapErr(err)
		}
		if _, ok := app.CredentialsRaw[name]; ok {
			return nil, d.Errf("credentials %q are defined twice", name)
		}
		if !d.NextArg() {
			return nil, d.Errf("credentials %s need a source: write one of %v after the name", name, sources.Names())
		}
		definitions[name] = *d
		raw, err := sources.UnmarshalSource(d, d.Val())
		if err != nil {
			return nil, err
		}
		app.CredentialsRaw[name] = raw
	}
	for _, name := range slices.Sorted(maps.Keys(definitions)) {
		if err := app.checkFrom(name); err != nil {
			return nil, whereWritten(definitions[name], "from").WrapErr(err)
		}
	}
	if err := app.checkIntegrations(integrations); err != nil {
		return nil, err
	}
	if err := app.checkRuntime(runtime); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: appName, Value: caddyconfig.JSON(app, nil)}, nil
}

// unmarshalOption reads an option of the app that is not credentials.
func (a *App) unmarshalOption(d *caddyfile.Dispenser, seen map[string]bool) error {
	if err := sources.Once(d, seen); err != nil {
		return err
	}
	var err error
	switch d.Val() {
	case "spool_dir":
		a.SpoolDir, err = sources.OneArg(d)
	case "spool_limit":
		a.SpoolLimit, err = size(d)
	case "connections":
		a.Connections = new(Connections)
		err = a.Connections.unmarshal(d)
	case "runtime_integrations":
		a.RuntimeIntegrations = new(RuntimeIntegrations)
		err = a.RuntimeIntegrations.unmarshal(d)
	default:
		err = sources.Unknown(d, "credentials", "spool_dir", "spool_limit", "connections", "integration", "runtime_integrations")
	}
	return err
}

// checkFrom reports credentials that stand on a name that is not defined, while
// file and line are known.
func (a *App) checkFrom(name string) error {
	var chained struct {
		From string `json:"from"`
	}
	if err := json.Unmarshal(a.CredentialsRaw[name], &chained); err != nil {
		return err
	}
	_, ok := a.CredentialsRaw[chained.From]
	if ok || chained.From == "" || sources.IsSource(chained.From) {
		return nil
	}
	return fmt.Errorf("credentials %s: from: %w", name, unknownCredentials(chained.From, slices.Sorted(maps.Keys(a.CredentialsRaw))))
}

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

// oneValue reads an option's only argument, and checks it at once if it holds
// no placeholder, so that the error has file and line.
func oneValue(d *caddyfile.Dispenser, into *string, check func(string) error) error {
	v, err := sources.OneArg(d)
	if err != nil {
		return err
	}
	if !sources.HasPlaceholder(v) {
		if err := check(v); err != nil {
			return d.WrapErr(err)
		}
	}
	*into = v
	return nil
}

// size reads an option's only argument as a number of bytes.
func size(d *caddyfile.Dispenser) (int64, error) {
	v, err := sources.OneArg(d)
	if err != nil {
		return 0, err
	}
	n, err := humanize.ParseBytes(v)
	if err != nil || n == 0 || n > 1<<62 {
		return 0, d.Errf("%q is not a size: write a number of bytes, or one such as 10MiB", v)
	}
	return int64(n), nil
}

// list reads an option's arguments, of which there must be one at least.
func list(d *caddyfile.Dispenser, into *[]string, check func([]string) error) error {
	option := d.Val()
	*into = d.RemainingArgs()
	if len(*into) == 0 {
		return d.Errf("%s needs at least one value", option)
	}
	if err := check(*into); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func each(check func(string) error) func([]string) error {
	return func(values []string) error {
		for _, v := range values {
			if err := check(v); err != nil {
				return err
			}
		}
		return nil
	}
}

// knownCredentials reports a name that the global option does not define,
// while file and line are still known.
func knownCredentials(h httpcaddyfile.Helper, d *caddyfile.Dispenser, targets ...*Target) error {
	app := new(App)
	if opt, ok := h.Option(appName).(httpcaddyfile.App); ok {
		if err := json.Unmarshal(opt.Value, app); err != nil {
			return err
		}
	}
	for _, t := range targets {
		if _, ok := app.CredentialsRaw[t.CredentialsName]; !ok && t.CredentialsName != "" {
			directive := *d
			directive.Reset()
			return whereWritten(directive, "credentials", t.CredentialsName).WrapErr(unknownCredentials(t.CredentialsName, slices.Sorted(maps.Keys(app.CredentialsRaw))))
		}
	}
	return nil
}

// whereWritten returns the dispenser where an option follows, with these values at its beginning, so that
// an error has its line; where it is not found, the dispenser as it is.
func whereWritten(d caddyfile.Dispenser, option string, values ...string) *caddyfile.Dispenser {
	for at := d; at.Next(); {
		if at.Val() != option {
			continue
		}
		if args := at.RemainingArgs(); len(args) >= len(values) && slices.Equal(args[:len(values)], values) {
			return &at
		}
	}
	return &d
}

// noLoneSemicolons refuses `;`, which looks like the end of an option and is
// an argument. It looks at everything that the dispenser still holds.
func noLoneSemicolons(d *caddyfile.Dispenser) error {
	ahead := *d
	for ahead.Next() {
		if ahead.Val() == ";" {
			return ahead.Err("`;` does not separate options in a Caddyfile: write each option on a line of its own")
		}
	}
	return nil
}
