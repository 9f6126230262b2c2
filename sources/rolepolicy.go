package sources

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// policyTemplate is a session policy, taken apart. Most of its braces are JSON's.
type policyTemplate struct{ parts []part }

// policyPlaceholder is a brace and a name that can be no JSON: a key of an object would stand between
// quotes. `${aws:username}` is a variable of IAM's.
var policyPlaceholder = regexp.MustCompile(`\{([A-Za-z][^"{}\\\s]*)\}`)

// parsePolicy takes a policy apart.
func parsePolicy(policy string) []part {
	var parts []part
	begun := 0
	add := func(end int) {
		if end > begun {
			parts = append(parts, part{text: policy[begun:end], isText: true})
		}
	}
	for _, m := range policyPlaceholder.FindAllStringSubmatchIndex(policy, -1) {
		if m[0] > 0 && policy[m[0]-1] == '$' {
			continue
		}
		add(m[0])
		parts = append(parts, part{text: policy[m[0]:m[1]], placeholder: policy[m[2]:m[3]]})
		begun = m[1]
	}
	add(len(policy))
	return parts
}

// loadPolicy reads the policy from where it is, and resolves the placeholders that need no request.
func (a *AssumeRole) loadPolicy() (policyTemplate, error) {
	policy, field := a.Policy, "policy"
	if a.PolicyFile != "" {
		field = "policy_file"
		path, err := ResolveFixed(a.PolicyFile)
		if err != nil {
			return policyTemplate{}, inField(field, err)
		}
		read, err := os.ReadFile(path)
		if err != nil {
			return policyTemplate{}, inField(field, err)
		}
		if policy = string(read); strings.TrimSpace(policy) == "" {
			return policyTemplate{}, inField(field, fmt.Errorf("%s is empty: write a JSON policy document into it", path))
		}
	}
	var t policyTemplate
	for _, p := range parsePolicy(policy) {
		if !p.isText && !p.needsRequest() {
			v, err := fixed(p)
			if err != nil {
				return policyTemplate{}, inField(field, err)
			}
			p = part{text: v, isText: true}
		}
		t.parts = append(t.parts, p)
	}
	return t, nil
}

// checkPolicies checks the session policies as far as they are known. A request fills in no syntax: with
// any letter in the place of each placeholder, the policy must be right.
func (a *AssumeRole) checkPolicies(v roleValues) error {
	if err := checkPlaceholders("policy", v.policy.parts); err != nil {
		return err
	}
	var policy string
	if !v.policy.perServer() {
		var err error
		policy, err = v.policy.resolve(func(string) (string, error) { return "x", nil })
		if err == nil && policy != "" {
			err = sts.CheckPolicy(policy)
		}
		if err != nil {
			return inField("policy", err)
		}
	}
	arns, ok := allKnown(v.policyARNs)
	if !ok {
		return nil
	}
	role := ""
	if !v.roleARN.perRequest() {
		role = v.roleARN.known()
	}
	if err := sts.CheckPolicyARNs(arns, role); err != nil {
		return inField("policy_arns", err)
	}
	return inField("policy", sts.CheckPolicySize(policy, arns))
}

// perServer says whether a placeholder is still open that needs no request.
func (t policyTemplate) perServer() bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return !p.isText && !p.needsRequest() })
}

// perRequest says whether a placeholder is still open.
func (t policyTemplate) perRequest() bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return !p.isText })
}

// resolve returns the policy of one request, without needless blanks; without a request, expand is nil.
func (t policyTemplate) resolve(expand credentials.Expander) (string, error) {
	if len(t.parts) == 0 {
		return "", nil
	}
	var b strings.Builder
	for _, p := range t.parts {
		v := p.text
		if !p.isText {
			var err error
			if v, err = (template{[]part{p}}).resolve(expand); err != nil {
				return "", err
			}
			if err := checkPolicyValue(p.text, v); err != nil {
				return "", err
			}
		}
		b.WriteString(v)
	}
	return sts.CompactPolicy(b.String())
}

// checkPolicyValue refuses what means more than itself in a policy, whose wildcards and variables are
// in its strings, and what could make one part of an ARN two.
func checkPolicyValue(placeholder, v string) error {
	for _, r := range v {
		if !strings.ContainsRune("_+=,.@-", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return fmt.Errorf("%s is %q in this request: only letters, digits, and _+=,.@- go into a policy", placeholder, r)
		}
	}
	if len(v) > 256 {
		return errors.New(placeholder + " has more than 256 characters in this request")
	}
	return nil
}
