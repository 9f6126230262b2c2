package awssigv4

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// unmarshalIntegration reads a part of the global option. Syntax:
//
//	integration <key> {
//	    display_name      <name>
//	    logo              <url>
//	    service           <name>
//	    region            <name>
//	    regions           <names...>
//	    base_url          <url>
//	    allow_services    <names...>
//	    allow_regions     <names...>
//	    allow_hosts       <hosts...>
//	    allow_methods     <methods...>
//	    allow_paths       <paths...>
//	    rate_limit        <calls> <duration>
//	    sts credentials   <name>
//	    sts credentials   <source> [<args...>] {
//	        ...
//	    }
//	    sts helper        <url> {
//	        principal          <arn>|<account>
//	        probe
//	        api_key            <key> [header <name>]
//	        basic              <user> <password>
//	        bearer             <token>
//	        client_certificate <file> <key_file>
//	        ca                 <file>
//	        timeout            <duration>
//	        insecure
//	    }
//	    sts_region        <name>
//	    sts_endpoint      <url>
//	    fips
//	    allow_accounts    <accounts...>
//	    deny_accounts     <accounts...>
//	    duration          <duration>
//	    tag               <key> <value>
//	    policy            `<json>`
//	    template          <id> {
//	        label                 <text>
//	        description           <text>
//	        url                   <url>
//	        file                  <path>
//	        stack_name            <name>
//	        parameter             <name> <value>
//	        external_id_parameter <name>
//	        account_parameter     <name>
//	        principal_parameter   <name>
//	    }
//	    instructions {
//	        label       <text>
//	        url         <url>
//	        description <text>
//	    }
//	    test_call         <method> <url> [<status>]
//	    external_id_probe require|warn|off
//	}
//
// integration, and in it tag, template, parameter and instructions, may be given several times.
func (a *App) unmarshalIntegration(d *caddyfile.Dispenser) error {
	at := *d
	key, err := sources.OneArg(d)
	if err != nil {
		return err
	}
	if err := connect.CheckIntegrationKey(key); err != nil {
		return d.WrapErr(err)
	}
	if _, ok := a.Integrations[key]; ok {
		return d.Errf("integration %s is there twice: give one another key", key)
	}
	i := new(Integration)
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := i.unmarshalOption(d, key, seen); err != nil {
			return err
		}
		// Here, the error has the option's line.
		if err := i.checkWritten(key); err != nil {
			return d.WrapErr(err)
		}
	}
	if err := i.checkComplete(key); err != nil {
		return at.WrapErr(err)
	}
	if a.Integrations == nil {
		a.Integrations = make(map[string]*Integration)
	}
	a.Integrations[key] = i
	return nil
}

var integrationOptions = []string{
	"display_name", "logo", "service", "region", "regions", "base_url", "allow_services", "allow_regions", "allow_hosts",
	"allow_methods", "allow_paths", "rate_limit", "sts", "sts_region", "sts_endpoint", "fips", "allow_accounts",
	"deny_accounts", "duration", "tag", "policy", "template", "instructions", "test_call", "external_id_probe",
}

func (i *Integration) unmarshalOption(d *caddyfile.Dispenser, key string, seen map[string]bool) error {
	option := d.Val()
	if !slices.Contains(integrationOptions, option) {
		return sources.Unknown(d, integrationOptions...)
	}
	switch option {
	case "tag":
		return keyAndValue(d, &i.Tags)
	case "template":
		return i.unmarshalTemplate(d, key)
	case "instructions":
		return i.unmarshalInstructions(d)
	}
	if err := sources.Once(d, seen); err != nil {
		return err
	}
	one := map[string]*string{
		"display_name": &i.DisplayName, "logo": &i.Logo, "service": &i.Service, "region": &i.Region,
		"sts_region": &i.STS.Region, "sts_endpoint": &i.STS.Endpoint, "base_url": &i.BaseURL,
	}[option]
	many := map[string]*[]string{
		"regions": &i.Regions, "allow_accounts": &i.AllowAccounts, "deny_accounts": &i.DenyAccounts,
		"allow_services": &i.AllowServices, "allow_regions": &i.AllowRegions, "allow_hosts": &i.AllowHosts,
		"allow_methods": &i.AllowMethods, "allow_paths": &i.AllowPaths,
	}[option]
	var err error
	switch {
	case one != nil:
		*one, err = someText(d)
	case many != nil:
		*many, err = sources.Args(d, 1, 1<<10)
	case option == "sts":
		err = i.STS.unmarshal(d)
	case option == "rate_limit":
		i.RateLimit, err = aRate(d)
	case option == "fips":
		_, err = sources.Args(d, 0, 0)
		i.STS.FIPS = true
	case option == "duration":
		i.Duration, err = aDuration(d, "write 15m to 12h, with the unit")
	case option == "policy":
		if d.CountRemainingArgs() != 1 {
			return d.Err("a policy is JSON, in which blanks and braces mean something to a Caddyfile too: write it between backticks")
		}
		i.Policy, err = sources.OneArg(d)
		if err == nil {
			if _, wrong := checkedPolicy(i.Policy); wrong != nil {
				err = d.WrapErr(fieldError("policy", wrong))
			}
		}
	case option == "test_call":
		err = i.unmarshalTestCall(d)
	case option == "external_id_probe":
		var mode string
		mode, err = someText(d)
		i.ExternalIDProbe = connect.ProbeMode(mode)
	}
	return err
}

// aRate reads an option's two arguments as a number of calls and a time.
func aRate(d *caddyfile.Dispenser) (*RateLimit, error) {
	args, err := sources.Args(d, 2, 2)
	if err != nil {
		return nil, err
	}
	calls, err := strconv.Atoi(args[0])
	per, durationErr := caddy.ParseDuration(args[1])
	if err != nil || durationErr != nil {
		return nil, d.Errf("rate_limit %s %s: write the number of calls, and in which time, as in `rate_limit 100 1m`", args[0], args[1])
	}
	return &RateLimit{Calls: calls, Per: caddy.Duration(per)}, nil
}

// someText reads an option's only argument, which must not be empty.
func someText(d *caddyfile.Dispenser) (string, error) {
	option := d.Val()
	text, err := sources.OneArg(d)
	if err == nil && text == "" {
		err = d.Errf("%s is empty: write a value, or leave the option out", option)
	}
	return text, err
}

// keyAndValue reads an option's two arguments into a map, in which no key is given twice.
func keyAndValue(d *caddyfile.Dispenser, into *map[string]string) error {
	option := d.Val()
	args, err := sources.Args(d, 2, 2)
	if err != nil {
		return err
	}
	if _, ok := (*into)[args[0]]; ok {
		return d.Errf("%s %s is given twice: keep one", option, args[0])
	}
	if *into == nil {
		*into = make(map[string]string)
	}
	(*into)[args[0]] = args[1]
	return nil
}

func (i *Integration) unmarshalTestCall(d *caddyfile.Dispenser) error {
	args, err := sources.Args(d, 1, 3)
	switch {
	case err != nil:
		return err
	case strings.Contains(args[0], "://"):
		return d.Err("test_call METHOD URL [STATUS]: the method is missing: write GET or HEAD before the URL")
	case len(args) == 1:
		return d.Err("test_call METHOD URL [STATUS]: the URL is missing")
	}
	if err := checkCallPlaceholders(args[1]); err != nil {
		return d.WrapErr(err)
	}
	i.TestCall = &connect.TestCall{Method: args[0], URL: args[1], Status: 200}
	if len(args) == 3 {
		if i.TestCall.Status, err = strconv.Atoi(args[2]); err != nil {
			return d.Errf("test_call: %q is no status to expect: write one like 200", args[2])
		}
	}
	return nil
}

// checkWritten checks what is written so far. Placeholders are still open, and options may follow.
func (i *Integration) checkWritten(key string) error {
	w := i.written(key)
	if w.TestCall != nil {
		w.Service = cmp.Or(w.Service, "s3") // It may follow.
	}
	if err := w.Check(); err != nil {
		return err
	}
	if i.STS.Helper != nil && (i.Duration != 0 || len(i.Tags) > 0 || i.Policy != "") {
		return fmt.Errorf("integration %s: sts helper: %w", key, errHelperSessions)
	}
	where := IntegrationSTS{Region: known(i.STS.Region, ""), Endpoint: known(i.STS.Endpoint, ""), FIPS: i.STS.FIPS}
	_, err := where.where()
	return err
}

// checkComplete checks what can only be said when all options are there.
func (i *Integration) checkComplete(key string) error {
	if h := i.STS.Helper; h != nil && h.provesNothing(i.ExternalIDProbe) {
		return fmt.Errorf("integration %s: sts helper: %w", key, errHelperProbe)
	}
	w := i.written(key)
	if sources.HasPlaceholder(i.Service) {
		w.Service = "s3"
	}
	return w.Check()
}

// written is the integration without what is not known before placeholders are resolved.
func (i *Integration) written(key string) *connect.Integration {
	w := &connect.Integration{
		Key: key, Logo: known(i.Logo, ""), Service: known(i.Service, ""), Region: known(i.Region, ""),
		Regions: allKnown(i.Regions), AllowAccounts: allKnown(i.AllowAccounts), DenyAccounts: allKnown(i.DenyAccounts),
		Duration: time.Duration(i.Duration), Tags: maps.Clone(i.Tags), ExternalIDProbe: i.ExternalIDProbe,
		BaseURL: known(i.BaseURL, ""), Limits: connect.Limits{
			Services: allKnown(i.AllowServices), Regions: allKnown(i.AllowRegions), Hosts: allKnown(i.AllowHosts),
			Methods: allKnown(i.AllowMethods), Paths: allKnown(i.AllowPaths),
		},
	}
	if i.RateLimit != nil {
		w.Limits.Rate = connect.Rate{Calls: i.RateLimit.Calls, Per: time.Duration(i.RateLimit.Per)}
	}
	if len(w.Regions) < len(i.Regions) {
		w.Region = "" // It may be among those that are not known.
	}
	for k, v := range w.Tags {
		w.Tags[k] = known(v, "x")
	}
	for _, t := range i.Templates {
		t.URL, t.StackName = known(t.URL, exampleURL), known(t.StackName, "")
		if t.URL == "" && t.File == "" {
			t.URL = exampleURL // It may follow.
		}
		w.Templates = append(w.Templates, t)
	}
	for _, in := range i.Instructions {
		w.Instructions = append(w.Instructions, connect.Instruction{URL: known(in.URL, exampleURL)})
	}
	if c := i.TestCall; c != nil && !sources.HasPlaceholder(callPlaceholders.Replace(c.URL)) {
		w.TestCall = c
	}
	return w
}

const exampleURL = "https://example.com/"

// known returns a value, or another one in its place if it holds a placeholder.
func known(value, otherwise string) string {
	if sources.HasPlaceholder(value) {
		return otherwise
	}
	return value
}

func allKnown(values []string) []string {
	return slices.DeleteFunc(slices.Clone(values), sources.HasPlaceholder)
}

// checkIntegrations reports, while file and line are known, integrations without a seal key, and those
// that name credentials that are not defined.
func (a *App) checkIntegrations(definitions map[string]caddyfile.Dispenser) error {
	keys := slices.Sorted(maps.Keys(definitions))
	for _, key := range keys {
		at := definitions[key]
		if a.Connections == nil {
			which := "integration " + key
			if last := len(keys) - 1; last > 0 {
				which = "integrations " + strings.Join(keys[:last], ", ") + " and " + keys[last]
			}
			return at.WrapErr(fmt.Errorf("%s: %w", which, errNoSealKey))
		}
		name := a.Integrations[key].STS.CredentialsName
		if _, ok := a.CredentialsRaw[name]; !ok && name != "" {
			err := unknownCredentials(name, slices.Sorted(maps.Keys(a.CredentialsRaw)))
			return at.WrapErr(fmt.Errorf("integration %s: sts: %w", key, err))
		}
	}
	return nil
}
