package standin

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// permissions is a policy that says what a session may do: the part of IAM's policy language that session policies and
// managed policies are written in. As in trust policies, what is not understood is an error.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session.
type permissions struct{ statements []permission }

type permission struct {
	deny                                         bool
	actions, notActions, resources, notResources []string
	conditions                                   []condition
}

// decision is what policies say of one action. The values are those of versitygw's own type, which it does not export.
type decision int

const (
	noMatch decision = iota
	allow
	deny
)

// decide asks policies, of which each may allow and each may deny, about an action.
func decide(policies []*permissions, action, resource string, ctx policyContext) decision {
	found := noMatch
	for _, p := range policies {
		for _, s := range p.statements {
			switch {
			case !s.covers(action, resource, ctx):
			case s.deny:
				return deny
			default:
				found = allow
			}
		}
	}
	return found
}

func (p *permission) covers(action, resource string, ctx policyContext) bool {
	isAction := func(pattern string) bool { return like(strings.ToLower(pattern), strings.ToLower(action)) }
	isResource := func(pattern string) bool { return likeWithVariables(pattern, resource, ctx) }
	return (slices.ContainsFunc(p.actions, isAction) || p.notActions != nil && !slices.ContainsFunc(p.notActions, isAction)) &&
		(slices.ContainsFunc(p.resources, isResource) || p.notResources != nil && !slices.ContainsFunc(p.notResources, isResource)) &&
		!slices.ContainsFunc(p.conditions, func(c condition) bool { return !c.holds(ctx) })
}

var variable = regexp.MustCompile(`\$\{([^}]*)\}`)

// likeWithVariables is like with policy variables, such as ${aws:PrincipalTag/team}, whose values hold no wildcards. A
// variable without a value matches nothing.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html.
func likeWithVariables(pattern, value string, ctx policyContext) bool {
	var quoted strings.Builder
	rest := 0
	for _, m := range variable.FindAllStringSubmatchIndex(pattern, -1) {
		values := ctx[strings.ToLower(pattern[m[2]:m[3]])]
		if len(values) != 1 {
			return false
		}
		quoted.WriteString(quoteWildcards(pattern[rest:m[0]]) + regexp.QuoteMeta(values[0]))
		rest = m[1]
	}
	return regexp.MustCompile(`(?s)^` + quoted.String() + quoteWildcards(pattern[rest:]) + `$`).MatchString(value)
}

// sessionKeys are the condition keys of a session's requests that the stand-in gives values to, in lower case, as knownKeys
// are those of AssumeRole.
var sessionKeys = []string{"s3:prefix", "s3:delimiter", "s3:max-keys", "aws:principalarn", "aws:principalaccount", "aws:userid", "aws:principaltag/"}

// A policy that IAM would refuse, and one that holds what only the stand-in does not know.
type (
	malformedError struct{ error }
	beyondError    struct{ error }
)

// parsePermissions reads a policy that says what a session may do.
func parsePermissions(document string) (*permissions, error) {
	var d struct {
		Version   string
		ID        string `json:"Id"`
		Statement oneOrMore[struct {
			Sid                                      string
			Effect                                   string
			Action, NotAction, Resource, NotResource oneOrMore[string]
			Condition                                map[string]map[string]oneOrMore[text]
		}]
	}
	if err := strict([]byte(document), &d); err != nil {
		return nil, malformedError{err}
	}
	malformed := func(format string, args ...any) (*permissions, error) {
		return nil, malformedError{fmt.Errorf(format, args...)}
	}
	if d.Version != "2012-10-17" {
		return nil, beyondError{fmt.Errorf("the Version is %q: write 2012-10-17", d.Version)}
	}
	if len(d.Statement) == 0 {
		return malformed("it has no Statement")
	}
	p := &permissions{}
	for i, s := range d.Statement {
		st := permission{deny: s.Effect == "Deny", actions: s.Action, notActions: s.NotAction, resources: s.Resource, notResources: s.NotResource}
		switch {
		case s.Effect != "Allow" && s.Effect != "Deny":
			return malformed("statement %d: the Effect is %q", i+1, s.Effect)
		case (len(s.Action) == 0) == (len(s.NotAction) == 0):
			return malformed("statement %d must have one of Action and NotAction", i+1)
		case (len(s.Resource) == 0) == (len(s.NotResource) == 0):
			return malformed("statement %d must have one of Resource and NotResource", i+1)
		}
		for _, action := range slices.Concat(s.Action, s.NotAction) {
			if !actionText.MatchString(action) {
				return malformed("statement %d: Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc., not %q", i+1, action)
			}
		}
		for _, resource := range slices.Concat(s.Resource, s.NotResource) {
			if resource != "*" && !resourceText.MatchString(resource) {
				return malformed(`statement %d: Resource %s must be in ARN format or "*".`, i+1, resource)
			}
			for _, m := range variable.FindAllStringSubmatch(resource, -1) {
				if !isKnown(strings.ToLower(m[1]), sessionKeys) {
					return nil, beyondError{fmt.Errorf("statement %d: the stand-in does not know the variable %s", i+1, m[0])}
				}
			}
		}
		for operator, keys := range s.Condition {
			for key, values := range keys {
				c, err := newCondition(operator, key, values, sessionKeys)
				if err != nil {
					return nil, beyondError{fmt.Errorf("statement %d: %w", i+1, err)}
				}
				st.conditions = append(st.conditions, c)
			}
		}
		p.statements = append(p.statements, st)
	}
	return p, nil
}

var (
	actionText   = regexp.MustCompile(`^(\*|[a-zA-Z0-9-]+:[a-zA-Z0-9*?]+)$`)
	resourceText = regexp.MustCompile(`^(arn|\*):[^:]*:[^:]*:[^:]*:[^:]*:.+$|^arn:\*$`)
)

// maxPolicies bounds the characters of a session policy and of the ARNs of managed ones together.
const maxPolicies = 2048

// limits returns the policies that limit the session besides the role's own; nil if the call names none.
func (in *assumeRoleInput) limits(d *directory) ([]*permissions, *refusal) {
	var limits []*permissions
	size := len([]rune(in.policy))
	if in.policy != "" {
		p, err := parsePermissions(in.policy)
		switch {
		case errors.As(err, new(beyondError)):
			return nil, refuse(http.StatusNotImplemented, "NotImplemented", "The session policy: %v", err)
		case err != nil:
			return nil, refuse(http.StatusBadRequest, "MalformedPolicyDocument", "The policy is not in the valid JSON format or is malformed: %v", err)
		}
		limits = append(limits, p)
	}
	for _, arn := range in.policyARNs {
		size += len(arn)
		if owner := accountOf(arn + "::::"); owner != "aws" && owner != accountOf(in.roleARN) {
			return nil, invalid("The policy %s is of another account than the role.", arn)
		}
		p, ok := d.managedPolicy(arn)
		if !ok {
			return nil, invalid("The policy %s does not exist or is not attachable.", arn)
		}
		limits = append(limits, p)
	}
	if size > maxPolicies {
		return nil, invalid("1 validation error detected: the session policies have %d characters of %d.", size, maxPolicies)
	}
	if share := in.packed(); share > 100 {
		return nil, refuse(http.StatusBadRequest, "PackedPolicyTooLarge", "Packed policy consumes %d%% of allotted space, please use smaller policy.", share)
	}
	return limits, nil
}

// packed returns how much of the space for policies and tags they take when they are packed, in percent. How AWS packs
// them, only AWS knows.
func (in *assumeRoleInput) packed() int {
	const space = 4096
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression) // The level is one that there is.
	for _, key := range slices.Sorted(maps.Keys(in.tags)) {
		fmt.Fprint(w, key, "\x00", in.tags[key], "\x00")
	}
	fmt.Fprint(w, in.policy, strings.Join(in.policyARNs, "\x00"))
	_ = w.Close() // A buffer takes everything.
	return (b.Len()*100 + space - 1) / space
}

// deniedBySession is what AWS says where a session policy of the caller's decides.
func deniedBySession(who *principal, action, resource string, d decision) *refusal {
	f := denied(who, action, resource)
	if d == deny {
		f.message += " with an explicit deny in a session policy"
	} else {
		f.message += " because no session policy allows the " + action + " action"
	}
	return f
}
