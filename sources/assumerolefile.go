package sources

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	assume_role <role_arn> {
//	    from            <name>
//	    external_id     <id>
//	    session_name    <name>
//	    duration        <duration>
//	    policy          `<json>`
//	    policy_file     <path>
//	    policy_arns     <arns...>
//	    tag             <key> <value>
//	    transitive_tags <keys...>
//	    source_identity <name>
//	    mfa_serial      <serial>
//	    mfa_secret      <secret>
//	    mfa_command     <command> [<args...>]
//	    sts_region      <region>
//	    sts_endpoint    <url>
//	    fips
//	}
//
// tag may be given several times, with different keys.
func (a *AssumeRole) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	var err error
	if a.RoleARN, err = OneArg(d); err != nil {
		return err
	}
	if err := a.checkWritten(); err != nil {
		return d.WrapErr(err)
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		if err := a.unmarshalOption(d, seen); err != nil {
			return err
		}
		// Here, the error has the option's line. Placeholders are not resolved yet.
		if err := a.checkWritten(); err != nil {
			return d.WrapErr(err)
		}
	}
	v, err := a.roleValues(unresolved)
	if err == nil {
		err = a.checkComplete(v)
	}
	if err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (a *AssumeRole) unmarshalOption(d *caddyfile.Dispenser, seen map[string]bool) error {
	option := d.Val()
	switch option {
	case "tag":
		return a.unmarshalTag(d)
	case "mfa_code", "token_code":
		return d.Errf("%s: a code works once, and credentials have to be renewed without anybody at hand: write mfa_secret {file./PATH} or mfa_command", option)
	case "tags":
		return d.Err("tags are written one by one: write `tag KEY VALUE` for each")
	}
	one := map[string]*string{
		"from": &a.From, "external_id": &a.ExternalID, "session_name": &a.SessionName, "policy": &a.Policy, "policy_file": &a.PolicyFile,
		"source_identity": &a.SourceIdentity, "mfa_serial": &a.MFASerial, "mfa_secret": &a.MFASecret,
		"sts_region": &a.STSRegion, "sts_endpoint": &a.STSEndpoint, "duration": new(string),
	}[option]
	many := map[string]*[]string{"policy_arns": &a.PolicyARNs, "transitive_tags": &a.TransitiveTags, "mfa_command": &a.MFACommand}[option]
	if one == nil && many == nil && option != "fips" {
		return Unknown(d, "from", "external_id", "session_name", "duration", "policy", "policy_file", "policy_arns", "tag", "transitive_tags",
			"source_identity", "mfa_serial", "mfa_secret", "mfa_command", "sts_region", "sts_endpoint", "fips")
	}
	if err := Once(d, seen); err != nil {
		return err
	}
	switch {
	case option == "fips":
		_, err := Args(d, 0, 0)
		a.FIPS = err == nil
		return err
	case many != nil:
		var err error
		*many, err = Args(d, 1, 1<<10)
		return err
	case option == "policy" && d.CountRemainingArgs() != 1:
		return d.Err("a policy is JSON, in which blanks and braces mean something to a Caddyfile too: write it between backticks, or write policy_file PATH")
	}
	var err error
	if *one, err = OneArg(d); err != nil {
		return err
	}
	if *one == "" {
		return d.Errf("%s is empty: write a value, or leave the option out", option)
	}
	if option != "duration" {
		return nil
	}
	duration, err := caddy.ParseDuration(*one)
	if err != nil || duration == 0 {
		return d.Errf("duration %q: write 15m to 12h, with the unit", *one)
	}
	a.Duration = caddy.Duration(duration)
	return nil
}

func (a *AssumeRole) unmarshalTag(d *caddyfile.Dispenser) error {
	tag, err := Args(d, 2, 2)
	if err != nil {
		return err
	}
	if _, ok := a.Tags[tag[0]]; ok {
		return d.Errf("tag %s is given twice: keep one", tag[0])
	}
	if a.Tags == nil {
		a.Tags = make(map[string]string)
	}
	a.Tags[tag[0]] = tag[1]
	return nil
}

// checkWritten is Validate for a Caddyfile that is being read: all placeholders are still open, and
// options may follow.
func (a *AssumeRole) checkWritten() error {
	v, err := a.roleValues(unresolved)
	if err != nil {
		return err
	}
	v.policy = policyTemplate{parsePolicy(a.Policy)}
	return a.check(v)
}

// unresolved makes a template in which all placeholders are open.
func unresolved(value string) (template, error) { return template{parse(value)}, nil }
