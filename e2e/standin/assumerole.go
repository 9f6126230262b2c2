package standin

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// assumeRoleInput are the parameters of AssumeRole.
// See https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html.
type assumeRoleInput struct {
	roleARN, name, externalID, sourceIdentity string
	duration                                  time.Duration
	tags                                      map[string]string
	transitive                                []string
	policy                                    string
	policyARNs                                []string
	serial, code                              string // of an MFA device
}

// assumeRole begins a session if the role's trust policy, the caller's own policy and the limits let it.
func (s *stsServer) assumeRole(who *principal, form url.Values, encrypted bool) (*session, *refusal) {
	in, refused := parseAssumeRole(form)
	if refused != nil {
		return nil, refused
	}
	if refused := s.directory.checkMFA(who, in, time.Now()); refused != nil {
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
	limits, refused := in.limits(s.directory)
	if refused != nil {
		return nil, refused
	}

	x := session{Session: Session{
		RoleARN: in.roleARN, ARN: sessionARN(in.roleARN, in.name), Name: in.name, Issued: time.Now(),
		Tags: in.tags, SourceIdentity: in.sourceIdentity, By: who.arn,
		Policy: in.policy, PolicyARNs: in.policyARNs, MFA: in.code != "",
	}, transitive: in.transitive, limits: limits, noS3: r.NoS3}
	for _, key := range who.transitive {
		if _, ok := find(x.Tags, key); ok {
			return nil, refuse(http.StatusBadRequest, "InvalidParameterValue", "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
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

// authorize asks the caller's own policies and the role's trust policy, for each action that the call consists of. What
// is inherited from a session needs the same permissions as what is sent.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_role-chaining and
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html.
func (in *assumeRoleInput) authorize(who *principal, r *role, encrypted bool) *refusal {
	actions := []string{"sts:AssumeRole"}
	if len(in.tags) > 0 || len(who.transitive) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if in.sourceIdentity != "" || who.sourceIdentity != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	if in.sourceIdentity != "" && who.sourceIdentity != "" && in.sourceIdentity != who.sourceIdentity {
		return denied(who, "sts:SetSourceIdentity", in.roleARN)
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
		if who.limits != nil {
			if d := decide(who.limits, action, in.roleARN, who.context()); d != allow {
				return deniedBySession(who, action, in.roleARN, d)
			}
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
	if in.code != "" {
		// It was checked before. Without a code, the key is missing.
		ctx["aws:multifactorauthpresent"] = []string{"true"}
	}
	if identity := cmp.Or(in.sourceIdentity, who.sourceIdentity); identity != "" {
		ctx["sts:sourceidentity"] = []string{identity}
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

// find returns the value of a tag, whose key has no case.
func find(tags map[string]string, key string) (string, bool) {
	for k, v := range tags {
		if strings.EqualFold(k, key) {
			return v, true
		}
	}
	return "", false
}
