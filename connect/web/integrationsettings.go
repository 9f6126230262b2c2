package web

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// settingsJSON is all that there is to know of an integration but its names, without secrets.
func settingsJSON(c *connect.Configured) map[string]any {
	out := map[string]any{}
	put := func(name string, value any, there bool) {
		if there {
			out[name] = value
		}
	}
	put("service", c.Service, c.Service != "")
	put("region", c.Region, c.Region != "")
	put("regions", c.Regions, len(c.Regions) > 0)
	put("base_url", c.BaseURL, c.BaseURL != "")
	out["limits"] = limitsJSON(&c.Limits)
	put("allow_accounts", c.AllowAccounts, len(c.AllowAccounts) > 0)
	put("deny_accounts", c.DenyAccounts, len(c.DenyAccounts) > 0)
	put("duration", c.Duration.String(), c.Duration != 0)
	put("tags", c.Tags, len(c.Tags) > 0)
	put("policy", c.Policy, c.Policy != "")
	put("templates", withoutFiles(c.Templates), len(c.Templates) > 0)
	put("instructions", c.Instructions, len(c.Instructions) > 0)
	put("test_call", c.TestCall, c.TestCall != nil)
	put("external_id_probe", c.ExternalIDProbe, c.ExternalIDProbe != "")
	if c.Stored != nil {
		out["sts"] = c.Stored.Assume.HidesSecrets()
	}
	return out
}

// withoutFiles leaves out where on this server templates are.
func withoutFiles(templates []connect.Template) []connect.Template {
	templates = slices.Clone(templates)
	for n := range templates {
		if templates[n].File != "" {
			templates[n].File = "…"
		}
	}
	return templates
}

// stsWays are the members of sts that exclude each other.
var stsWays = [][]string{{"credentials"}, {"access_key_id", "secret_access_key"}, {"helper"}}

// stsSecrets are members that may be left blank to keep what there is.
var stsSecrets = []string{"secret_access_key", "api_key", "basic_password"}

// readSettings changes an integration by the member settings: a member of it that is there takes the place of
// the one before, and null takes it away; within sts, each member counts on its own.
func readSettings(f *fields, i *connect.Stored) {
	raw, there := f.take("settings")
	if !there {
		f.problem("invalid_type", "write an object", "settings")
		return
	}
	given, err := readObject(raw)
	if err != nil {
		f.problem("invalid_type", err.Error(), "settings")
		return
	}
	before := asMembers(settingsJSON(&connect.Configured{Integration: i.Integration, Stored: i}))
	sts, err := overlaySTS(before["sts"], given["sts"])
	if err != nil {
		f.problem("invalid_type", err.Error(), "settings", "sts")
		return
	}
	maps.Copy(before, given)
	if before["sts"] = sts; sts == nil {
		delete(before, "sts")
	}
	s := &fields{path: append(slices.Clone(f.path), "settings"), problems: f.problems, asked: map[string]bool{}, members: before}
	i.Service, i.Region, i.Regions, i.BaseURL = s.text("service"), s.text("region"), s.texts("regions"), s.text("base_url")
	i.Limits = connect.Limits{}
	if l := s.object("limits"); l != nil {
		i.Limits = limits(l)
	}
	i.AllowAccounts, i.DenyAccounts = s.texts("allow_accounts"), s.texts("deny_accounts")
	i.Duration = s.duration("duration")
	i.Tags, i.Policy = s.textMap("tags"), s.text("policy")
	i.Templates, i.Instructions = nil, nil
	for _, t := range s.objects("templates") {
		i.Templates = append(i.Templates, readTemplate(t))
	}
	for _, in := range s.objects("instructions") {
		i.Instructions = append(i.Instructions, connect.Instruction{Label: in.text("label"), URL: in.text("url"), Description: in.text("description")})
		in.done()
	}
	i.TestCall = nil
	if c := s.object("test_call"); c != nil {
		i.TestCall = &connect.TestCall{Method: c.text("method"), URL: c.text("url"), Status: 200}
		c.into("status", &i.TestCall.Status, "a number")
		c.done()
	}
	i.ExternalIDProbe = connect.ProbeMode(s.text("external_id_probe"))
	i.Assume = connect.Assume{}
	if a := s.object("sts"); a != nil {
		i.Assume = readAssume(a)
	}
	s.done()
}

func readTemplate(t *fields) connect.Template {
	defer t.done()
	return connect.Template{
		ID: t.text("id"), Label: t.text("label"), Description: t.text("description"), URL: t.text("url"), File: t.text("file"),
		StackName: t.text("stack_name"), Parameters: t.textMap("parameters"), ExternalIDParameter: t.text("external_id_parameter"),
		AccountParameter: t.text("account_parameter"), PrincipalParameter: t.text("principal_parameter"),
	}
}

func readAssume(a *fields) connect.Assume {
	defer a.done()
	assume := connect.Assume{
		Credentials: a.text("credentials"), AccessKeyID: a.text("access_key_id"), SecretAccessKey: a.text("secret_access_key"), Region: a.text("region"),
	}
	a.into("fips", &assume.FIPS, "true or false")
	if h := a.object("helper"); h != nil {
		assume.Helper = &connect.AssumeHelper{
			URL: h.text("url"), Principal: h.text("principal"), APIKey: h.text("api_key"), APIKeyHeader: h.text("api_key_header"),
			BasicUser: h.text("basic_user"), BasicPassword: h.text("basic_password"),
		}
		h.into("probe", &assume.Helper.Probe, "true or false")
		h.done()
	}
	return assume
}

// overlaySTS changes how roles are assumed. Who names another way means that one instead.
func overlaySTS(before, given json.RawMessage) (json.RawMessage, error) {
	switch {
	case given == nil:
		return before, nil
	case string(given) == "null":
		return nil, nil
	}
	change, err := readObject(given)
	if err != nil {
		return nil, err
	}
	all := map[string]json.RawMessage{}
	if before != nil {
		if all, err = readObject(before); err != nil {
			return nil, err
		}
	}
	for n, way := range stsWays {
		if !slices.ContainsFunc(way, func(name string) bool { v, ok := change[name]; return ok && string(v) != "null" }) {
			continue
		}
		for m, other := range stsWays {
			for _, name := range other {
				if m != n {
					delete(all, name)
				}
			}
		}
	}
	if h, ok := change["helper"]; ok && string(h) != "null" && all["helper"] != nil {
		was, err := readObject(all["helper"])
		if err != nil {
			return nil, err
		}
		is, err := readObject(h)
		if err != nil {
			return nil, err
		}
		keepBlank(is, was)
		maps.Copy(was, is)
		change["helper"] = asRaw(was)
	}
	keepBlank(change, all)
	maps.Copy(all, change)
	return asRaw(all), nil
}

// keepBlank leaves secrets as they were that are blank.
func keepBlank(is, was map[string]json.RawMessage) {
	for _, name := range stsSecrets {
		if was[name] != nil && string(is[name]) == `""` {
			is[name] = was[name]
		}
	}
}

func asRaw(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // It consists of texts and numbers.
	}
	return text
}

// asMembers returns an object's members.
func asMembers(v any) map[string]json.RawMessage {
	members, err := readObject(asRaw(v))
	if err != nil {
		panic(err) // It was just written.
	}
	return members
}

// duration returns a member that is a duration, as Go writes it.
func (f *fields) duration(name string) time.Duration {
	text := f.text(name)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		f.problem("invalid_type", "write a duration with its unit, such as 1h", name)
	}
	return d
}

// objects returns a member that is an array of objects.
func (f *fields) objects(name string) []*fields {
	var raw []json.RawMessage
	f.into(name, &raw, "an array of objects")
	all := make([]*fields, 0, len(raw))
	for n, r := range raw {
		inner := &fields{path: append(slices.Clone(f.path), name, n), problems: f.problems}
		inner.read(r)
		all = append(all, inner)
	}
	return all
}
