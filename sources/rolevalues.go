package sources

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// roleValues are the values of AssumeRole that may hold placeholders.
type roleValues struct {
	// These may be filled by a request.
	roleARN, externalID, sessionName, sourceIdentity template
	policy                                           policyTemplate
	tags                                             []tagTemplate // sorted by key

	// These may not.
	policyARNs, transitiveTags        []template
	mfaSerial, stsRegion, stsEndpoint template
	mfa                               *sts.MFA
}

type tagTemplate struct {
	key   string
	value template
}

// roleValues makes a template of each value but the policy.
func (a *AssumeRole) roleValues(of func(string) (template, error)) (roleValues, error) {
	var t roleValues
	for _, f := range []struct {
		name, value string
		into        *template
	}{
		{"role_arn", a.RoleARN, &t.roleARN},
		{"external_id", a.ExternalID, &t.externalID},
		{"session_name", a.SessionName, &t.sessionName},
		{"source_identity", a.SourceIdentity, &t.sourceIdentity},
		{"mfa_serial", a.MFASerial, &t.mfaSerial},
		{"sts_region", a.STSRegion, &t.stsRegion},
		{"sts_endpoint", a.STSEndpoint, &t.stsEndpoint},
	} {
		var err error
		if *f.into, err = of(f.value); err != nil {
			return t, inField(f.name, err)
		}
	}
	for _, l := range []struct {
		name   string
		values []string
		into   *[]template
	}{
		{"policy_arns", a.PolicyARNs, &t.policyARNs},
		{"transitive_tags", a.TransitiveTags, &t.transitiveTags},
	} {
		for i, value := range l.values {
			v, err := of(value)
			if err != nil {
				return t, inField(fmt.Sprintf("%s[%d]", l.name, i), err)
			}
			*l.into = append(*l.into, v)
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

// check checks everything that is known without a request. Options may still follow, so nothing is said
// of what is missing but the role's ARN, which comes first.
func (a *AssumeRole) check(v roleValues) error {
	for _, f := range a.IdentityFields() {
		if err := CheckIdentityPlaceholders(f.Name, f.Value); err != nil {
			return err
		}
	}
	if err := a.checkFixedFields(); err != nil {
		return err
	}
	if err := v.checkKnown(); err != nil {
		return err
	}
	if err := a.checkPolicies(v); err != nil {
		return err
	}
	if a.Duration != 0 {
		if err := sts.CheckDuration(time.Duration(a.Duration)); err != nil {
			return inField("duration", err)
		}
	}
	if HasPlaceholder(a.From) {
		return inField("from", fmt.Errorf("%q holds a placeholder: write a name", a.From))
	}
	return v.checkWhere(a.FIPS)
}

// checkFixedFields refuses placeholders that only a request can fill, where nobody can say what it may fill
// in: which STS gets the External ID, and what widens a session.
func (a *AssumeRole) checkFixedFields() error {
	fields := []credentials.Field{
		{Name: "mfa_serial", Value: a.MFASerial},
		{Name: "mfa_secret", Value: a.MFASecret},
		{Name: "policy_file", Value: a.PolicyFile},
		{Name: "sts_region", Value: a.STSRegion},
		{Name: "sts_endpoint", Value: a.STSEndpoint},
	}
	for _, l := range []struct {
		name   string
		values []string
	}{
		{"policy_arns", a.PolicyARNs},
		{"transitive_tags", a.TransitiveTags},
		{"mfa_command", a.MFACommand},
	} {
		for i, value := range l.values {
			fields = append(fields, credentials.Field{Name: fmt.Sprintf("%s[%d]", l.name, i), Value: value})
		}
	}
	for _, f := range fields {
		for _, p := range parse(f.Value) {
			if p.needsRequest() {
				return inField(f.Name, fmt.Errorf("%s is filled by a request, which has no say in this: write {env.NAME}, {file./PATH} or the value itself", p.text))
			}
		}
	}
	return nil
}

// checkKnown checks every value that is known.
func (v roleValues) checkKnown() error {
	for _, f := range []struct {
		name     string
		value    template
		optional bool
		check    func(string) error
	}{
		{"role_arn", v.roleARN, false, sts.CheckRoleARN},
		{"external_id", v.externalID, true, sts.CheckExternalID},
		{"session_name", v.sessionName, true, sts.CheckSessionName},
		{"source_identity", v.sourceIdentity, true, sts.CheckSourceIdentity},
		{"mfa_serial", v.mfaSerial, true, sts.CheckMFASerial},
		{"sts_endpoint", v.stsEndpoint, true, sts.CheckEndpoint},
		{"sts_region", v.stsRegion, true, checkRegion},
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

func checkRegion(region string) error {
	if _, ok := endpoint.PartitionOf(region); !ok {
		return fmt.Errorf("%q is not the name of an AWS region: write one like us-east-1", region)
	}
	return nil
}

// checkWhere checks that role, region and endpoint go together.
func (v roleValues) checkWhere(fips bool) error {
	if v.roleARN.perRequest() || v.stsRegion.perRequest() || v.stsEndpoint.perRequest() {
		return nil
	}
	role, region, url := v.roleARN.known(), v.stsRegion.known(), v.stsEndpoint.known()
	if region != "" {
		if err := sts.CheckPartitions(role, region); err != nil {
			return inField("sts_region", err)
		}
	}
	return inField("sts_endpoint", sts.Where{Region: region, Endpoint: url, FIPS: fips}.Check())
}

// checkComplete checks what can only be said when all options are there.
func (a *AssumeRole) checkComplete(v roleValues) error {
	switch {
	case a.Policy != "" && a.PolicyFile != "":
		return inField("policy", errors.New("policy_file is given too: write one of the two"))
	case a.MFASerial != "" && a.MFASecret == "" && len(a.MFACommand) == 0:
		return inField("mfa_serial", errors.New("its codes have to come from somewhere: write mfa_secret {file./PATH} or mfa_command"))
	case a.MFASerial == "" && (a.MFASecret != "" || len(a.MFACommand) > 0):
		return inField("mfa_serial", errors.New("it is missing: write the serial number or ARN of the device that the codes are of"))
	case a.MFASecret != "" && len(a.MFACommand) > 0:
		return inField("mfa_secret", errors.New("mfa_command is given too: write one of the two"))
	case a.MFASerial != "" && a.filledByRequest(v):
		return inField("mfa_serial", errMFAPerRequest)
	}
	tags := make([]sts.Tag, len(v.tags))
	for i, t := range v.tags {
		tags[i].Key = t.key
	}
	if keys, ok := allKnown(v.transitiveTags); ok {
		return inField("transitive_tags", sts.CheckTransitiveTags(keys, tags))
	}
	return nil
}

// errMFAPerRequest is said of a device whose codes, of which there is one in 30 seconds, any client could use up: each
// of its requests would be another session.
var errMFAPerRequest = errors.New("a request has a say in this role's sessions, and each takes a code of the device, so one client could lock out " +
	"the others: write it where credentials of a fixed role are defined, and name these in from")

// filledByRequest says whether a request fills in anything, whether or not {env.NAME} and the like are resolved yet.
func (a *AssumeRole) filledByRequest(v roleValues) bool {
	return slices.ContainsFunc(a.IdentityFields(), func(f credentials.Field) bool { return NeedsRequest(f.Value) }) ||
		slices.ContainsFunc(v.policy.parts, part.needsRequest)
}

// perRequest says whether a value needs the request.
func (v roleValues) perRequest() bool {
	return v.roleARN.perRequest() || v.externalID.perRequest() || v.sessionName.perRequest() || v.sourceIdentity.perRequest() ||
		v.policy.perRequest() || slices.ContainsFunc(v.tags, func(t tagTemplate) bool { return t.value.perRequest() })
}

// resolve returns what goes into the call in one request; without one, expand is nil.
func (v roleValues) resolve(expand credentials.Expander) (sts.AssumeRoleInput, error) {
	in := sts.AssumeRoleInput{MFA: v.mfa}
	for _, f := range []struct {
		name  string
		value template
		into  *string
	}{
		{"role_arn", v.roleARN, &in.RoleARN},
		{"external_id", v.externalID, &in.ExternalID},
		{"session_name", v.sessionName, &in.SessionName},
		{"source_identity", v.sourceIdentity, &in.SourceIdentity},
		{"sts_region", v.stsRegion, &in.Region},
		{"sts_endpoint", v.stsEndpoint, &in.Endpoint},
	} {
		var err error
		if *f.into, err = f.value.resolve(expand); err != nil {
			return in, inField(f.name, err)
		}
	}
	var err error
	if in.Policy, err = v.policy.resolve(expand); err != nil {
		return in, inField("policy", err)
	}
	in.PolicyARNs, _ = allKnown(v.policyARNs)
	in.TransitiveTagKeys, _ = allKnown(v.transitiveTags)
	for _, t := range v.tags {
		value, err := t.value.resolve(expand)
		if err != nil {
			return in, inField("tags."+t.key, err)
		}
		in.Tags = append(in.Tags, sts.Tag{Key: t.key, Value: value})
	}
	return in, nil
}

// known returns the value of a template without open placeholders.
func (t template) known() string {
	v, err := t.resolve(nil)
	if err != nil {
		return ""
	}
	return v
}

// allKnown returns the values of templates; false if one has an open placeholder.
func allKnown(templates []template) ([]string, bool) {
	var values []string
	for _, t := range templates {
		if t.perRequest() {
			return nil, false
		}
		values = append(values, t.known())
	}
	return values, true
}
