package sources

import (
	"maps"
	"slices"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// roleValues are the values of AssumeRole that may hold placeholders.
type roleValues struct {
	roleARN, externalID, sessionName template
	tags                             []tagTemplate // sorted by key
}

type tagTemplate struct {
	key   string
	value template
}

// roleValues makes a template of each value.
func (a *AssumeRole) roleValues(of func(string) (template, error)) (roleValues, error) {
	var t roleValues
	for _, f := range []struct {
		name, value string
		into        *template
	}{
		{"role_arn", a.RoleARN, &t.roleARN},
		{"external_id", a.ExternalID, &t.externalID},
		{"session_name", a.SessionName, &t.sessionName},
	} {
		var err error
		if *f.into, err = of(f.value); err != nil {
			return t, inField(f.name, err)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(a.Tags)) {
		v, err := of(a.Tags[k])
		if err != nil {
			return t, inField("tags."+k, err)
		}
		t.tags = append(t.tags, tagTemplate{k, v})
	}
	return t, nil
}

// check checks every value that is known without a request. The role's ARN is the only one that must
// be there.
func (v roleValues) check() error {
	for _, f := range []struct {
		name     string
		value    template
		optional bool
		check    func(string) error
	}{
		{"role_arn", v.roleARN, false, sts.CheckRoleARN},
		{"external_id", v.externalID, true, sts.CheckExternalID},
		{"session_name", v.sessionName, true, sts.CheckSessionName},
	} {
		if f.value.perRequest() || f.optional && f.value.isEmpty() {
			continue
		}
		known, err := f.value.resolve(nil)
		if err != nil {
			return inField(f.name, err)
		}
		if err := f.check(known); err != nil {
			return inField(f.name, err)
		}
	}
	tags := make([]sts.Tag, len(v.tags))
	for i, t := range v.tags {
		tags[i].Key = t.key
		if t.value.perRequest() {
			continue
		}
		var err error
		if tags[i].Value, err = t.value.resolve(nil); err != nil {
			return inField("tags."+t.key, err)
		}
	}
	return inField("tags", sts.CheckTags(tags))
}

// perRequest says whether a value needs the request.
func (v roleValues) perRequest() bool {
	return v.roleARN.perRequest() || v.externalID.perRequest() || v.sessionName.perRequest() ||
		slices.ContainsFunc(v.tags, func(t tagTemplate) bool { return t.value.perRequest() })
}

// resolve returns what goes into the call in one request; without one, expand is nil.
func (v roleValues) resolve(expand credentials.Expander) (sts.AssumeRoleInput, error) {
	var in sts.AssumeRoleInput
	for _, f := range []struct {
		name  string
		value template
		into  *string
	}{
		{"role_arn", v.roleARN, &in.RoleARN},
		{"external_id", v.externalID, &in.ExternalID},
		{"session_name", v.sessionName, &in.SessionName},
	} {
		var err error
		if *f.into, err = f.value.resolve(expand); err != nil {
			return in, inField(f.name, err)
		}
	}
	for _, t := range v.tags {
		value, err := t.value.resolve(expand)
		if err != nil {
			return in, inField("tags."+t.key, err)
		}
		in.Tags = append(in.Tags, sts.Tag{Key: t.key, Value: value})
	}
	return in, nil
}
