package standin

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// assumeRoleInput are the parameters of AssumeRole.
// See https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html.
type assumeRoleInput struct {
	roleARN, name, externalID, sourceIdentity string
	duration                                  time.Duration
	tags                                      map[string]string
	transitive                                []string
}

// assumeRole begins a session if the role's trust policy, the caller's own policy and the limits let it.
func (s *stsServer) assumeRole(who *principal, form url.Values, encrypted bool) (*session, *refusal) {
	in, refused := parseAssumeRole(form)
	if refused != nil {
		return nil, refused
	}
	r, ok := s.directory.role(in.roleARN)
	if !ok {
		// As when it is there and does not trust the caller, so that nobody learns which roles there are.
		return nil, denied(who, "sts:AssumeRole", in.roleARN)
	}
	if refused := in.authorize(who, &r, encrypted); refused != nil {
		return nil, refused
	}
	switch {
	case in.duration > r.MaxSessionDuration:
		return nil, invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	case who.isSession() && in.duration > time.Hour:
		return nil, invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}

	x := session{Session: Session{
		RoleARN: in.roleARN, ARN: sessionARN(in.roleARN, in.name), Name: in.name, Issued: time.Now(),
		Tags: in.tags, SourceIdentity: in.sourceIdentity, By: who.arn,
	}, transitive: in.transitive, noS3: r.NoS3}
	for _, key := range who.transitive {
		if _, ok := find(x.Tags, key); ok {
			return nil, refuse(http.StatusBadRequest, "InvalidParameterValue", "One or more tag keys were inherited and can't be set again: %s", key)
		}
		x.Tags[key] = who.tags[key]
		x.transitive = append(x.transitive, key)
	}
	if x.SourceIdentity == "" {
		x.SourceIdentity = who.sourceIdentity
	}
	life := in.duration
	if r.Lifetime > 0 {
		life = r.Lifetime
	}
	x.Expires = x.Issued.Add(life)
	return s.directory.issue(x), nil
}

// authorize asks the caller's own policy and the role's trust policy, for each action that the call consists of.
func (in *assumeRoleInput) authorize(who *principal, r *role, encrypted bool) *refusal {
	actions := []string{"sts:AssumeRole"}
	if len(in.tags) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if in.sourceIdentity != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	ctx := in.context(who, encrypted)
	for _, action := range actions {
		if who.revoked {
			f := denied(who, action, in.roleARN)
			f.message += " with an explicit deny in an identity-based policy"
			return f
		}
		if who.mayAssume != nil && !slices.ContainsFunc(who.mayAssume, func(pattern string) bool { return like(pattern, in.roleARN) }) {
			f := denied(who, action, in.roleARN)
			f.message += " because no identity-based policy allows the " + action + " action"
			return f
		}
		if !r.trust.allows(who, action, ctx) {
			return denied(who, action, in.roleARN)
		}
	}
	return nil
}

// context returns the values of the condition keys in a trust policy.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html.
func (in *assumeRoleInput) context(who *principal, encrypted bool) policyContext {
	ctx := policyContext{
		"sts:rolesessionname":  {in.name},
		"aws:principalarn":     {who.identityARN()},
		"aws:principalaccount": {who.account},
		"aws:securetransport":  {fmt.Sprint(encrypted)},
	}
	if in.externalID != "" {
		ctx["sts:externalid"] = []string{in.externalID}
	}
	if in.sourceIdentity != "" {
		ctx["sts:sourceidentity"] = []string{in.sourceIdentity}
	}
	if len(in.transitive) > 0 {
		ctx["sts:transitivetagkeys"] = in.transitive
	}
	for key, value := range in.tags {
		ctx["aws:requesttag/"+strings.ToLower(key)] = []string{value}
		ctx["aws:tagkeys"] = append(ctx["aws:tagkeys"], key)
	}
	for key, value := range who.tags {
		ctx["aws:principaltag/"+strings.ToLower(key)] = []string{value}
	}
	return ctx
}

// denied is what AWS says in every case, be it that the role is not there, trusts somebody else, or wants another
// External ID.
func denied(who *principal, action, resource string) *refusal {
	return refuse(http.StatusForbidden, "AccessDenied", "User: %s is not authorized to perform: %s on resource: %s", who.arn, action, resource)
}

func invalid(format string, args ...any) *refusal {
	return refuse(http.StatusBadRequest, "ValidationError", format, args...)
}

// unfulfilled is how AWS says that a parameter is not as its API's model says.
func unfulfilled(value, name, constraint string) *refusal {
	return invalid("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: %s", value, name, constraint)
}

var tagParameter = regexp.MustCompile(`^(?:Tags\.member\.([1-9]\d*)\.(Key|Value)|TransitiveTagKeys\.member\.([1-9]\d*))$`)

// parseAssumeRole reads and checks the parameters. One that the stand-in does not know is an error, since to leave out
// a session policy or an MFA code would be to let too much happen.
func parseAssumeRole(form url.Values) (*assumeRoleInput, *refusal) {
	type tag struct{ key, value *string }
	in := &assumeRoleInput{duration: time.Hour, tags: map[string]string{}}
	tags, transitive := map[int]tag{}, map[int]string{}
	for name, values := range form {
		value := values[0]
		if len(values) > 1 {
			return nil, refuse(http.StatusBadRequest, "MalformedInput", "The parameter %s is there more than once.", name)
		}
		switch m := tagParameter.FindStringSubmatch(name); {
		case m != nil && m[2] != "":
			i, _ := strconv.Atoi(m[1])
			t := tags[i]
			if m[2] == "Key" {
				t.key = &value
			} else {
				t.value = &value
			}
			tags[i] = t
		case m != nil:
			i, _ := strconv.Atoi(m[3])
			transitive[i] = value
		case name == "RoleArn":
			in.roleARN = value
		case name == "RoleSessionName":
			in.name = value
		case name == "ExternalId":
			in.externalID = value
		case name == "SourceIdentity":
			in.sourceIdentity = value
		case name == "DurationSeconds":
			seconds, err := strconv.ParseInt(value, 10, 32)
			if err != nil {
				return nil, refuse(http.StatusBadRequest, "MalformedInput", "DurationSeconds is no number: %s", clip(value))
			}
			in.duration = time.Duration(seconds) * time.Second
		case name == "Action", name == "Version", strings.HasPrefix(name, "X-Amz-"):
		default:
			return nil, refuse(http.StatusNotImplemented, "NotImplemented", "The stand-in does not know the parameter %s.", name)
		}
	}
	for _, i := range slices.Sorted(maps.Keys(tags)) {
		t := tags[i]
		if t.key == nil || t.value == nil {
			return nil, unfulfilled("null", fmt.Sprintf("tags.%d.member.%s", i, map[bool]string{true: "key", false: "value"}[t.key == nil]), "Member must not be null")
		}
		if refused := in.addTag(i, *t.key, *t.value); refused != nil {
			return nil, refused
		}
	}
	for _, i := range slices.Sorted(maps.Keys(transitive)) {
		in.transitive = append(in.transitive, transitive[i])
	}
	return in, in.check(form)
}

func (in *assumeRoleInput) addTag(i int, key, value string) *refusal {
	at := fmt.Sprintf("tags.%d.member.", i)
	switch {
	case utf8.RuneCountInString(key) < 1 || utf8.RuneCountInString(key) > 128:
		return unfulfilled(key, at+"key", "Member must have length less than or equal to 128, and greater than or equal to 1")
	case utf8.RuneCountInString(value) > 256:
		return unfulfilled(value, at+"value", "Member must have length less than or equal to 256")
	case !tagText.MatchString(key):
		return unfulfilled(key, at+"key", `Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+`)
	case !tagText.MatchString(value):
		return unfulfilled(value, at+"value", `Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]*`)
	case strings.HasPrefix(strings.ToLower(key), "aws:"):
		return refuse(http.StatusBadRequest, "InvalidParameterValue", "The tag key %s begins with aws:, which is reserved.", key)
	}
	if _, twice := find(in.tags, key); twice {
		return refuse(http.StatusBadRequest, "InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
	}
	in.tags[key] = value
	return nil
}

var (
	tagText         = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
	sessionNameText = regexp.MustCompile(`^[\w+=,.@-]*$`)
	externalIDText  = regexp.MustCompile(`^[\w+=,.@:/-]*$`)
)

// check checks what is no tag, in the order in which the API's model lists it.
func (in *assumeRoleInput) check(form url.Values) *refusal {
	text := func(value, name string, low, high int, pattern *regexp.Regexp) *refusal {
		switch {
		case len(value) < low:
			return unfulfilled(value, name, fmt.Sprintf("Member must have length greater than or equal to %d", low))
		case len(value) > high:
			return unfulfilled(value, name, fmt.Sprintf("Member must have length less than or equal to %d", high))
		case !pattern.MatchString(value):
			return unfulfilled(value, name, "Member must satisfy regular expression pattern: "+strings.Trim(pattern.String(), "^$"))
		}
		return nil
	}
	for _, name := range []string{"RoleArn", "RoleSessionName"} {
		if !form.Has(name) {
			return invalid("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", strings.ToLower(name[:1])+name[1:])
		}
	}
	if refused := text(in.roleARN, "roleArn", 20, 2048, regexp.MustCompile(`^[\x{9}\x{a}\x{d}\x{20}-\x{7e}\x{85}\x{a0}-\x{d7ff}\x{e000}-\x{fffd}\x{10000}-\x{10ffff}]+$`)); refused != nil {
		return refused
	}
	if !roleARN.MatchString(in.roleARN) {
		return invalid("%s is invalid", in.roleARN)
	}
	if refused := text(in.name, "roleSessionName", 2, 64, sessionNameText); refused != nil {
		return refused
	}
	switch seconds := int(in.duration / time.Second); {
	case seconds < 900:
		return unfulfilled(strconv.Itoa(seconds), "durationSeconds", "Member must have value greater than or equal to 900")
	case seconds > 43200:
		return unfulfilled(strconv.Itoa(seconds), "durationSeconds", "Member must have value less than or equal to 43200")
	}
	if len(in.tags) > 50 {
		return unfulfilled("", "tags", "Member must have length less than or equal to 50")
	}
	for _, key := range in.transitive {
		if _, ok := find(in.tags, key); !ok {
			return refuse(http.StatusBadRequest, "InvalidParameterValue", "The transitive tag key %s is not among the tags.", key)
		}
	}
	if form.Has("ExternalId") {
		if refused := text(in.externalID, "externalId", 2, 1224, externalIDText); refused != nil {
			return refused
		}
	}
	if form.Has("SourceIdentity") {
		if refused := text(in.sourceIdentity, "sourceIdentity", 2, 64, sessionNameText); refused != nil {
			return refused
		}
	}
	return nil
}

// find returns the value of a tag, whose key has no case.
func find(tags map[string]string, key string) (string, bool) {
	for k, v := range tags {
		if strings.EqualFold(k, key) {
			return v, true
		}
	}
	return "", false
}
