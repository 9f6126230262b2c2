package cfn

import "strings"

// readVerbs begin the names of IAM actions that only read. IAM has no list of them that could be
// used without asking AWS; the convention holds for nearly all services, and those that break it
// are in the exceptions.
var readVerbs = strings.Fields(`BatchGet BatchDescribe BatchCheck Check Describe Detect Discover Download Estimate Filter Get Head
	List Lookup Preview Query Read Scan Search Select Simulate Summarize Validate Verify View`)

// notReads are actions that begin like reads and change something, or hand out what lets their
// caller act as somebody else.
var notReads = map[string]bool{
	"ec2:getpassworddata":                        true,
	"ecr:getauthorizationtoken":                  true,
	"cognito-identity:getcredentialsforidentity": true,
	"cognito-identity:getopenidtoken":            true,
	"secretsmanager:getsecretvalue":              true,
	"sso:getrolecredentials":                     true,
	"sts:getfederationtoken":                     true,
	"sts:getsessiontoken":                        true,
}

// isRead says whether an action, or all that its pattern matches, only reads.
func isRead(action string) bool {
	_, name, ok := strings.Cut(action, ":")
	if !ok || notReads[strings.ToLower(action)] || strings.Contains(action, "${") {
		return false
	}
	// Only what stands before a wildcard is known.
	head, _, _ := strings.Cut(name, "*")
	head, _, _ = strings.Cut(head, "?")
	for _, verb := range readVerbs {
		if len(head) >= len(verb) && strings.EqualFold(head[:len(verb)], verb) {
			return true
		}
	}
	return false
}

// covers says whether an action's pattern matches an action: * stands for any characters, ? for
// one, and case does not matter.
func covers(pattern, action string) bool {
	return wildcard(strings.ToLower(pattern), strings.ToLower(action))
}

func wildcard(pattern, text string) bool {
	// The last * is where to go on from when the rest does not match.
	star, from := -1, 0
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			from++
			p, t = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// readPolicies end the names of AWS's own policies that only read.
var readPolicies = []string{"ReadOnlyAccess", "ReadOnly", "ReadAccess", "ViewOnlyAccess", "SecurityAudit"}

// isReadPolicy says whether the ARN is one of a policy of AWS's that only reads.
func isReadPolicy(arn string) bool {
	_, name, ok := strings.Cut(arn, ":iam::aws:policy/")
	if !ok {
		return false
	}
	for _, suffix := range readPolicies {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}
