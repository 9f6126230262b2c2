package standin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// policy is a trust policy: the part of IAM's policy language that trust policies are written in. What is not
// understood is an error, so that no condition is ever skipped.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html.
type policy struct{ statements []statement }

type statement struct {
	deny       bool
	principals []string // ARNs, account IDs or *; none that could be an AWS principal if empty
	actions    []string
	conditions []condition
}

// condition is one operator applied to one key.
type condition struct {
	text     string // as it is written, for errors
	set      string // ForAnyValue, ForAllValues or ""
	operator string
	ifExists bool
	key      string // lower-case
	values   []string
}

// policyContext are the condition keys of a request, in lower case. A key that is not there is missing, which
// conditions tell from an empty value.
type policyContext map[string][]string

// allows tells whether a principal may do an action: whether a statement allows it and none denies it.
func (p *policy) allows(who *principal, action string, ctx policyContext) bool {
	allowed := false
	for _, s := range p.statements {
		if !s.covers(who, action, ctx) {
			continue
		}
		if s.deny {
			return false
		}
		allowed = true
	}
	return allowed
}

func (s *statement) covers(who *principal, action string, ctx policyContext) bool {
	return slices.ContainsFunc(s.principals, who.is) &&
		slices.ContainsFunc(s.actions, func(pattern string) bool { return like(strings.ToLower(pattern), strings.ToLower(action)) }) &&
		!slices.ContainsFunc(s.conditions, func(c condition) bool { return !c.holds(ctx) })
}

// is tells whether an element of Principal names the principal. An account stands for everyone in it.
func (p *principal) is(element string) bool {
	switch element {
	case "*", p.arn, p.account:
		return true
	case "":
		return false
	}
	account := strings.HasSuffix(element, ":root") && accountOf(element) == p.account
	return account || element == p.roleARN
}

func (c *condition) holds(ctx policyContext) bool {
	values, there := ctx[c.key]
	if c.operator == "Null" {
		return slices.Contains(c.values, fmt.Sprint(!there))
	}
	switch {
	case !there && c.ifExists, !there && c.set == "ForAllValues":
		return true
	case c.set == "ForAnyValue":
		return slices.ContainsFunc(values, c.matches)
	case c.set == "ForAllValues":
		return !slices.ContainsFunc(values, func(v string) bool { return !c.matches(v) })
	case !there:
		return negated(c.operator)
	}
	return c.matches(values[0])
}

// matches compares a value with those of the condition: any of them, or none if the operator is a negated one.
func (c *condition) matches(value string) bool {
	compare := operators[strings.Replace(c.operator, "Not", "", 1)]
	return slices.ContainsFunc(c.values, func(v string) bool { return compare(v, value) }) != negated(c.operator)
}

func negated(operator string) bool { return strings.Contains(operator, "Not") }

// operators are those that are known; each but Bool has its Not form.
var operators = map[string]func(pattern, value string) bool{
	"StringEquals":           func(p, v string) bool { return p == v },
	"StringEqualsIgnoreCase": strings.EqualFold,
	"StringLike":             like,
	"ArnEquals":              like,
	"ArnLike":                like,
	"Bool":                   strings.EqualFold,
}

// like matches * with any characters and ? with one.
func like(pattern, value string) bool {
	return regexp.MustCompile(`(?s)^` + quoteWildcards(pattern) + `$`).MatchString(value)
}

// quoteWildcards makes a regular expression of a pattern.
func quoteWildcards(pattern string) string {
	return strings.ReplaceAll(strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`), `\?`, `.`)
}

// knownKeys are the condition keys that the stand-in gives values to, in lower case; those with a slash at the end are
// followed by a tag's key.
var knownKeys = []string{
	"sts:externalid", "sts:rolesessionname", "sts:sourceidentity", "sts:transitivetagkeys",
	"aws:principalarn", "aws:principalaccount", "aws:tagkeys", "aws:securetransport", "aws:multifactorauthpresent",
	"aws:requesttag/", "aws:principaltag/",
}

// parsePolicy reads a trust policy.
func parsePolicy(document string) (*policy, error) {
	var d struct {
		Version   string
		ID        string `json:"Id"`
		Statement oneOrMore[struct {
			Sid       string
			Effect    string
			Principal principals
			Action    oneOrMore[string]
			Condition map[string]map[string]oneOrMore[text]
		}]
	}
	decoder := json.NewDecoder(strings.NewReader(document))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return nil, err
	}
	if d.Version != "2012-10-17" {
		return nil, fmt.Errorf("the Version is %q: write 2012-10-17", d.Version)
	}
	if len(d.Statement) == 0 {
		return nil, errors.New("it has no Statement")
	}
	p := &policy{}
	for i, s := range d.Statement {
		st := statement{deny: s.Effect == "Deny", principals: s.Principal, actions: s.Action}
		switch {
		case s.Effect != "Allow" && s.Effect != "Deny":
			return nil, fmt.Errorf("statement %d: the Effect is %q: write Allow or Deny", i+1, s.Effect)
		case s.Principal == nil:
			return nil, fmt.Errorf("statement %d has no Principal", i+1)
		case len(s.Action) == 0:
			return nil, fmt.Errorf("statement %d has no Action", i+1)
		}
		for operator, keys := range s.Condition {
			for key, values := range keys {
				c, err := newCondition(operator, key, values, knownKeys)
				if err != nil {
					return nil, fmt.Errorf("statement %d: %w", i+1, err)
				}
				st.conditions = append(st.conditions, c)
			}
		}
		p.statements = append(p.statements, st)
	}
	return p, nil
}

func newCondition(operator, key string, values []text, known []string) (condition, error) {
	c := condition{text: operator + " " + key, operator: operator, key: strings.ToLower(key)}
	if set, rest, ok := strings.Cut(c.operator, ":"); ok {
		if c.set, c.operator = set, rest; set != "ForAnyValue" && set != "ForAllValues" {
			return c, fmt.Errorf("condition %s: %q is unknown: write ForAnyValue or ForAllValues", c.text, set)
		}
	}
	c.operator, c.ifExists = strings.CutSuffix(c.operator, "IfExists")
	if operators[strings.Replace(c.operator, "Not", "", 1)] == nil && c.operator != "Null" || c.operator == "NotBool" {
		return c, fmt.Errorf("condition %s: the stand-in does not know this operator", c.text)
	}
	if !isKnown(c.key, known) {
		return c, fmt.Errorf("condition %s: the stand-in does not know this key", c.text)
	}
	for _, v := range values {
		if strings.Contains(string(v), "${") {
			return c, fmt.Errorf("condition %s: the stand-in does not know policy variables", c.text)
		}
		c.values = append(c.values, string(v))
	}
	return c, nil
}

func isKnown(key string, known []string) bool {
	return slices.ContainsFunc(known, func(k string) bool {
		return key == k || strings.HasSuffix(k, "/") && strings.HasPrefix(key, k) && len(key) > len(k)
	})
}

// oneOrMore is a JSON value, or an array of them.
type oneOrMore[T any] []T

func (o *oneOrMore[T]) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return strict(b, (*[]T)(o))
	}
	*o = make([]T, 1)
	return strict(b, &(*o)[0])
}

// text is a string, or a boolean or a number that is taken for one.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(t))
	}
	if bytes.ContainsAny(b, "[{") || string(b) == "null" {
		return fmt.Errorf("%s is no value", b)
	}
	*t = text(b)
	return nil
}

// principals are the values of Principal's AWS, or *. Federated users and AWS services never call this STS.
type principals []string

func (p *principals) UnmarshalJSON(b []byte) error {
	if string(b) == `"*"` {
		*p = principals{"*"}
		return nil
	}
	var d struct{ AWS, Service, Federated oneOrMore[string] }
	if err := strict(b, &d); err != nil {
		return fmt.Errorf("the Principal: %w", err)
	}
	*p = principals{}
	for _, element := range d.AWS {
		if element != "*" && !accountID.MatchString(element) && !principalARN.MatchString(element) {
			return fmt.Errorf("the Principal %q is invalid: write an account or the ARN of an account, a user or a role", element)
		}
		*p = append(*p, element)
	}
	return nil
}

var (
	accountID    = regexp.MustCompile(`^\d{12}$`)
	principalARN = regexp.MustCompile(`^arn:aws[a-z-]*:(iam|sts)::\d{12}:(root|(user|role|assumed-role)/[\x21-\x7e]+)$`)
)

// strict decodes JSON and refuses fields that it does not know.
func strict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
