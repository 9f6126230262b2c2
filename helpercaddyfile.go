package awssigv4

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/stshelper"
)

// parseHelperDirective reads the directive aws_sts_helper.
func parseHelperDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	helper := new(STSHelper)
	if err := helper.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	if err := knownCredentials(h, h.Dispenser, &Target{CredentialsName: helper.CredentialsName}); err != nil {
		return nil, err
	}
	return helper, nil
}

var helperOptions = []string{
	"credentials", "duration", "require_external_id", "session_name", "tag", "region", "regions", "ignore_region",
	"api_key", "basic_auth", "allow_origins", "plain_http", "body_limit",
}

// UnmarshalCaddyfile sets up the helper from Caddyfile tokens. Syntax:
//
//	aws_sts_helper [<matcher>] {
//	    credentials         <name>
//	    credentials         <source> [<args...>] {
//	        ...
//	    }
//	    duration            <duration>
//	    require_external_id [on|off]
//	    session_name        <name>
//	    tag                 <key> <value>
//	    region              <name>
//	    regions             <names...>
//	    ignore_region
//	    api_key             <name> <secrets...> {
//	        roles           <arn patterns...>
//	        external_ids    <patterns...>
//	        role            <arn>
//	        external_id     <id>
//	        probe
//	    }
//	    basic_auth          <name> <user> <passwords...> {
//	        ...
//	    }
//	    allow_origins       <origins...>
//	    plain_http          loopback|private|any
//	    body_limit          <size>
//	}
//
// tag, api_key and basic_auth may be given several times.
func (h *STSHelper) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	if err := noLoneSemicolons(d); err != nil {
		return err
	}
	if d.NextArg() {
		return d.Errf("aws_sts_helper takes a block and no arguments, but got %q", d.Val())
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		switch d.Val() {
		case "api_key", "basic_auth":
			if err := h.unmarshalKey(d); err != nil {
				return err
			}
		case "tag":
			if err := h.unmarshalTag(d); err != nil {
				return err
			}
		default:
			if err := sources.Once(d, seen); err != nil {
				return err
			}
			if err := h.unmarshalOption(d); err != nil {
				return err
			}
		}
	}
	if len(h.Keys) == 0 {
		return d.Err("aws_sts_helper has no key, so nobody could authenticate: write `api_key NAME SECRET` with a block in its block")
	}
	return nil
}

func (h *STSHelper) unmarshalOption(d *caddyfile.Dispenser) error {
	var err error
	switch d.Val() {
	case "credentials":
		var t Target
		err = t.unmarshalCredentials(d)
		h.CredentialsName, h.CredentialsRaw = t.CredentialsName, t.CredentialsRaw
	case "duration":
		var text string
		if text, err = sources.OneArg(d); err != nil {
			return err
		}
		duration, parseErr := caddy.ParseDuration(text)
		if parseErr != nil {
			return d.Errf("duration %q: write 15m to 12h, with the unit", text)
		}
		if err := sts.CheckDuration(duration); err != nil {
			return d.WrapErr(err)
		}
		h.Duration = caddy.Duration(duration)
	case "require_external_id":
		var args []string
		if args, err = sources.Args(d, 0, 1); err != nil {
			return err
		}
		required := len(args) == 0 || args[0] == "on"
		if !required && args[0] != "off" {
			return d.Errf("require_external_id %q: write on or off", args[0])
		}
		h.RequireExternalID = &required
	case "session_name":
		h.SessionName, err = sources.OneArg(d)
	case "region":
		err = oneValue(d, &h.Region, stshelper.CheckRegion)
	case "regions":
		err = appendValues(d, &h.Regions, stshelper.CheckRegion)
	case "ignore_region":
		_, err = sources.Args(d, 0, 0)
		h.IgnoreRegion = true
	case "allow_origins":
		err = appendValues(d, &h.AllowOrigins, stshelper.CheckOrigin)
	case "plain_http":
		var mode string
		err = oneValue(d, &mode, func(v string) error { return stshelper.CheckPlainHTTP(stshelper.PlainHTTP(v)) })
		h.PlainHTTP = stshelper.PlainHTTP(mode)
	case "body_limit":
		h.BodyLimit, err = size(d)
	default:
		err = sources.Unknown(d, helperOptions...)
	}
	return err
}

func (h *STSHelper) unmarshalTag(d *caddyfile.Dispenser) error {
	tag, err := sources.Args(d, 2, 2)
	if err != nil {
		return err
	}
	if _, ok := h.Tags[tag[0]]; ok {
		return d.Errf("tag %s is given twice: keep one", tag[0])
	}
	if h.Tags == nil {
		h.Tags = make(map[string]string)
	}
	h.Tags[tag[0]] = tag[1]
	return nil
}

// unmarshalKey reads an api_key or a basic_auth with its block. Errors do not repeat secrets.
func (h *STSHelper) unmarshalKey(d *caddyfile.Dispenser) error {
	var k HelperKey
	option, values := d.Val(), d.RemainingArgs()
	basic := option == "basic_auth"
	switch {
	case basic && len(values) < 3:
		return d.Err("basic_auth has a name, a user and a password: basic_auth NAME USER PASSWORD")
	case basic:
		k.Name, k.User, k.Secrets = values[0], values[1], values[2:]
	case len(values) < 2:
		return d.Err("api_key has a name and a secret: api_key NAME SECRET")
	default:
		k.Name, k.Secrets = values[0], values[1:]
	}
	if err := stshelper.CheckKeyName(k.Name); err != nil {
		return d.WrapErr(err)
	}
	for _, other := range h.Keys {
		if other.Name == k.Name {
			return d.Errf("there are two keys %q: give each a name of its own, or one key two secrets", k.Name)
		}
	}
	for _, secret := range k.Secrets {
		if sources.HasPlaceholder(secret) {
			continue
		}
		if err := stshelper.CheckSecret(secret, basic); err != nil {
			return d.WrapErr(err)
		}
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := k.unmarshalOption(d, seen); err != nil {
			return err
		}
	}
	if len(k.Roles) == 0 && k.Role == "" {
		return d.Errf("%s %s may ask for no role: write `roles` with the ARNs or patterns that it may ask for, or `role` with the one of GET /credentials/%s, in its block", option, k.Name, k.Name)
	}
	h.Keys = append(h.Keys, k)
	return nil
}

func (k *HelperKey) unmarshalOption(d *caddyfile.Dispenser, seen map[string]bool) error {
	switch d.Val() {
	case "roles":
		return appendValues(d, &k.Roles, sts.CheckRolePattern)
	case "external_ids":
		return appendValues(d, &k.ExternalIDs, stshelper.CheckExternalIDPattern)
	case "role", "external_id", "probe":
		if err := sources.Once(d, seen); err != nil {
			return err
		}
	}
	switch d.Val() {
	case "role":
		return oneValue(d, &k.Role, sts.CheckRoleARN)
	case "external_id":
		return oneValue(d, &k.ExternalID, sts.CheckExternalID)
	case "probe":
		_, err := sources.Args(d, 0, 0)
		k.Probe = true
		return err
	}
	return sources.Unknown(d, "roles", "external_ids", "role", "external_id", "probe")
}

// appendValues reads an option's arguments, of which there must be one at least; the option may be
// there again. Those without placeholders are checked at once, so that the error has file and line.
func appendValues(d *caddyfile.Dispenser, into *[]string, check func(string) error) error {
	option, values := d.Val(), d.RemainingArgs()
	if len(values) == 0 {
		return d.Errf("%s needs at least one value", option)
	}
	for _, v := range values {
		if sources.HasPlaceholder(v) {
			continue
		}
		if err := check(v); err != nil {
			return d.WrapErr(err)
		}
	}
	*into = append(*into, values...)
	return nil
}

var _ caddyfile.Unmarshaler = (*STSHelper)(nil)
