package sts

import (
	"net/http"
	"regexp"
	"strings"
)

// denial is what a refusal of IAM's says: who may not do what to whom, and which kind of policy
// decided. AWS leaves out what the caller should not learn, so every field may be empty.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html.
type denial struct {
	caller, action, resource string

	explicit bool   // a policy denies it, instead of none allowing it
	reason   bool   // the message says why
	policy   string // the kind of policy that decided: one of policyKinds
}

// policyKinds are AWS's names of the kinds of policies, in lower case.
const (
	trustPolicy    = "role trust policy"
	resourcePolicy = "resource-based policy"
	identityPolicy = "identity-based policy"
	boundary       = "permissions boundary"
	sessionPolicy  = "session policy"
	servicePolicy  = "service control policy"
	resourceSCP    = "resource control policy"
	endpointPolicy = "vpc endpoint policy"
)

var policyKinds = []string{trustPolicy, resourcePolicy, identityPolicy, boundary, sessionPolicy, servicePolicy, resourceSCP, endpointPolicy}

var deniedMessage = regexp.MustCompile(`(?:User: (\S+) )?is not authorized to perform: ([A-Za-z0-9-]+:[A-Za-z]+)(?: on resource: (\S+))?(.*)$`)

// denial takes AWS's message apart, if IAM refused.
func (e *Error) denial() (denial, bool) {
	if !e.answered || e.Status != http.StatusForbidden || !isAccessDenied(e.Code) {
		return denial{}, false
	}
	m := deniedMessage.FindStringSubmatch(e.Message)
	if m == nil {
		return denial{}, false
	}
	d := denial{caller: m[1], action: m[2], resource: m[3]}
	rest := strings.ToLower(m[4])
	d.explicit = strings.Contains(rest, "explicit deny")
	d.reason = strings.TrimSpace(strings.Trim(rest, ".")) != ""
	for _, kind := range policyKinds {
		if strings.Contains(rest, kind) || strings.Contains(rest, strings.Replace(kind, "policy", "policies", 1)) {
			d.policy = kind
			break
		}
	}
	return d, true
}

func isAccessDenied(code string) bool {
	return code == "AccessDenied" || code == "AccessDeniedException"
}

// byTrust says whether the role's trust policy refused the caller, as far as AWS tells: across accounts
// it names no policy. Another kind of policy says nothing about the trust policy.
func (d denial) byTrust() bool {
	if d.action != "sts:AssumeRole" {
		return false
	}
	return !d.reason || d.policy == trustPolicy || d.policy == resourcePolicy
}

// byOther says whether AWS names another kind of policy than the role's own.
func (d denial) byOther() bool {
	return d.policy != "" && d.policy != trustPolicy && d.policy != resourcePolicy
}
