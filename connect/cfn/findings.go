package cfn

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
)

// Finding is something that the operator, or a customer, should know of a template.
type Finding struct {
	// Code is the kind of finding. Programs and translations go by it.
	Code Code

	// Where is the logical ID of the resource, or the name of the parameter; empty for the whole
	// template.
	Where string

	// Detail is what was found there, for example an action.
	Detail string

	// Text says it in a sentence.
	Text string
}

// Code is a kind of finding.
type Code string

// The kinds of findings.
const (
	// TrustAnyone is a role that anybody can assume.
	TrustAnyone Code = "trust_anyone"
	// TrustNoExternalID is a role that can be assumed without an External ID.
	TrustNoExternalID Code = "trust_no_external_id"
	// TrustOtherExternalID is one that wants another External ID than that of the parameter.
	TrustOtherExternalID Code = "trust_other_external_id"
	// TrustOtherPrincipal is one that trusts somebody else than account or principal of the
	// parameters.
	TrustOtherPrincipal Code = "trust_other_principal"
	// TrustUser is one that trusts an IAM user, who has keys that do not expire.
	TrustUser Code = "trust_user"
	// Opaque is a policy that can't be read here.
	Opaque Code = "opaque"
	// GrantsWrite is an action that is more than reading, in a template that calls itself read-only.
	GrantsWrite Code = "grants_write"
	// GrantsAll is every action of every service, or all but a few.
	GrantsAll Code = "grants_all"
	// GrantsIAM is an action by which the role could give itself more rights.
	GrantsIAM Code = "grants_iam"
	// FixedPartition is an ARN that begins with arn:aws:, and is wrong in China or GovCloud.
	FixedPartition Code = "fixed_partition"
	// FixedName is a resource of IAM whose name is fixed, so that an account can have one stack
	// only.
	FixedName Code = "fixed_name"
	// LiteralVariable is ${Name} in a text that Fn::Sub does not read, so that it stays as it is.
	LiteralVariable Code = "literal_variable"
	// LongLivedKeys is an IAM user or an access key.
	LongLivedKeys Code = "long_lived_keys"
	// RunsCode is a resource that runs code in the customer's account while the stack is made.
	RunsCode Code = "runs_code"
	// NestedStack is a template within the template, which is not read.
	NestedStack Code = "nested_stack"
	// Transformed is a macro: what it makes of the template is not read.
	Transformed Code = "transformed"
	// NoRole is a template that makes no role that others could assume.
	NoRole Code = "no_role"
	// NoRoleOutput is one whose outputs do not tell the role's ARN.
	NoRoleOutput Code = "no_role_output"
	// ExternalIDDefault is a default for the External ID, which would be the same for all customers.
	ExternalIDDefault Code = "external_id_default"
	// ExternalIDHidden is an External ID that is NoEcho, and so can't be in a link.
	ExternalIDHidden Code = "external_id_hidden"
	// HiddenValue is a configured value of a NoEcho parameter, which no customer is given.
	HiddenValue Code = "hidden_value"
)

// Findings returns what is to be known of the template under the settings, in the template's order.
// What customers are told of it (ID, label, description) shows whether it calls itself read-only; its
// own description does, too.
func (t *Template) Findings(s Settings, told ...string) []Finding {
	f := &finder{template: t, settings: s, known: map[Finding]bool{}, readOnly: readOnly.MatchString(strings.Join(append(slices.Clip(told), t.Description), "\n"))}
	for _, macro := range t.Transforms {
		f.add(Transformed, "", macro, "the macro %s changes the template while the stack is made: what is granted can't be told", macro)
	}
	for _, role := range t.Roles {
		f.role(role)
	}
	for _, p := range t.Policies {
		f.statements(p.LogicalID, p.Statements)
	}
	for _, r := range t.Others {
		f.other(r)
	}
	f.literals()
	f.parameters()
	f.outputs()
	return f.found
}

var readOnly = regexp.MustCompile(`(?i)\bread[-_ ]?only|readonly`)

type finder struct {
	template *Template
	settings Settings
	readOnly bool
	outside  []string // the logical IDs of roles that others can assume
	found    []Finding
	known    map[Finding]bool
}

func (f *finder) add(code Code, where, detail, format string, args ...any) {
	one := Finding{code, where, detail, fmt.Sprintf(format, args...)}
	if !f.known[one] {
		f.known[one] = true
		f.found = append(f.found, one)
	}
}

func (f *finder) role(role Role) {
	f.trust(role)
	for _, p := range role.Policies {
		f.statements(role.LogicalID, p.Statements)
	}
	for _, policy := range role.ManagedPolicies {
		switch {
		case strings.HasSuffix(policy.Text, ":iam::aws:policy/AdministratorAccess"):
			f.add(GrantsAll, role.LogicalID, policy.Text, "role %s is an administrator", role.LogicalID)
		case f.readOnly && !isReadPolicy(policy.Text):
			f.add(GrantsWrite, role.LogicalID, policy.Text, "role %s has the policy %s, which is not known to be read-only", role.LogicalID, policy.Text)
		}
	}
	if role.Name != "" && !strings.Contains(role.Name, "${") {
		f.add(FixedName, role.LogicalID, role.Name, "role %s is always named %s: an account can have one stack only", role.LogicalID, role.Name)
	}
}

// trust looks at who outside of the customer's account can assume a role.
func (f *finder) trust(role Role) {
	outside, asExpected := false, false
	for _, s := range role.Trust {
		if s.Opaque != "" {
			f.add(Opaque, role.LogicalID, s.Opaque, "who role %s trusts can't be read: %s", role.LogicalID, s.Opaque)
			outside = true
			continue
		}
		if s.Effect == "Deny" || !allows(s, "sts:AssumeRole") {
			continue
		}
		who := outsiders(s)
		if len(who) == 0 {
			continue
		}
		outside = true
		for _, p := range who {
			f.principal(role, p)
			asExpected = asExpected || f.expected(p)
		}
		f.externalID(role, s)
	}
	if !outside {
		return
	}
	f.outside = append(f.outside, role.LogicalID)
	if !asExpected && (f.settings.AccountParameter != "" || f.settings.PrincipalParameter != "") {
		f.add(TrustOtherPrincipal, role.LogicalID, "", "role %s trusts nobody whom the template's parameters name", role.LogicalID)
	}
}

// outsiders are the principals of a statement that are not the customer's own.
func outsiders(s Statement) []Principal {
	var who []Principal
	for _, p := range s.NotPrincipals {
		who = append(who, Principal{"*", p.Entry}) // All but a few are anybody.
	}
	for _, p := range s.Principals {
		if p.Kind == "*" || p.Kind == "AWS" && !refers(p.Entry, "AWS::AccountId") {
			who = append(who, p)
		}
	}
	return who
}

func (f *finder) principal(role Role, p Principal) {
	switch {
	case p.Kind == "*" || p.Text == "*":
		f.add(TrustAnyone, role.LogicalID, p.Text, "role %s trusts anybody", role.LogicalID)
	case strings.Contains(p.Text, ":user/"):
		f.add(TrustUser, role.LogicalID, p.Text, "role %s trusts the user %s, whose keys do not expire: trust a role", role.LogicalID, p.Text)
	}
}

// expected says whether a principal is what the settings' parameters say.
func (f *finder) expected(p Principal) bool {
	for _, name := range []string{f.settings.AccountParameter, f.settings.PrincipalParameter} {
		if name != "" && refers(p.Entry, name) {
			return true
		}
	}
	return false
}

// externalID looks for a condition that always holds the caller to the External ID.
func (f *finder) externalID(role Role, s Statement) {
	for _, c := range s.Conditions {
		if !strings.EqualFold(c.Key, "sts:ExternalId") || !isEquality(c.Operator) {
			continue
		}
		for _, value := range c.Values {
			if name := value.node.alias(); name == "" || name != f.settings.ExternalIDParameter {
				f.add(TrustOtherExternalID, role.LogicalID, value.Text,
					"role %s wants the External ID %s, which is not the parameter's", role.LogicalID, value.Text)
			}
			if when := strings.Join(and(c.When, value.When), ", "); when != "" {
				f.add(TrustNoExternalID, role.LogicalID, when, "role %s wants an External ID only under the condition %s", role.LogicalID, when)
			}
		}
		if len(c.Values) > 0 {
			return
		}
	}
	f.add(TrustNoExternalID, role.LogicalID, "", "the trust policy of role %s does not require sts:ExternalId", role.LogicalID)
}

// isEquality says whether a condition's operator fails when the key is absent. Those that end in
// IfExists, and those for all values, do not.
func isEquality(operator string) bool {
	operator = strings.TrimPrefix(operator, "ForAnyValue:")
	return slices.Contains([]string{"StringEquals", "StringEqualsIgnoreCase", "StringLike"}, operator)
}

// escalations are actions by which a role could give itself, or others, more rights.
var escalations = []string{
	"iam:AttachRolePolicy", "iam:AttachUserPolicy", "iam:CreateAccessKey", "iam:CreatePolicyVersion", "iam:CreateUser", "iam:PassRole",
	"iam:PutRolePolicy", "iam:PutUserPolicy", "iam:SetDefaultPolicyVersion", "iam:UpdateAssumeRolePolicy", "sts:AssumeRole",
}

func (f *finder) statements(where string, statements []Statement) {
	for _, s := range statements {
		switch {
		case s.Opaque != "":
			f.add(Opaque, where, s.Opaque, "a policy of %s can't be read: %s", where, s.Opaque)
			continue
		case s.Effect == "Deny":
			continue
		case len(s.NotActions) > 0:
			f.add(GrantsAll, where, "NotAction", "%s is allowed everything but a few actions", where)
			continue
		}
		for _, action := range s.Actions {
			f.action(where, action.Text)
		}
	}
}

func (f *finder) action(where, action string) {
	if strings.Trim(action, "*:") == "" {
		f.add(GrantsAll, where, action, "%s is allowed everything", where)
		return
	}
	for _, escalation := range escalations {
		if covers(action, escalation) {
			f.add(GrantsIAM, where, action, "%s is allowed %s, by which it could get more rights than these", where, action)
			break
		}
	}
	if f.readOnly && !isRead(action) {
		f.add(GrantsWrite, where, action, "the template is called read-only, and grants %s %s", where, action)
	}
}

func (f *finder) other(r Resource) {
	switch {
	case r.Type == "AWS::IAM::User" || r.Type == "AWS::IAM::AccessKey":
		f.add(LongLivedKeys, r.LogicalID, r.Type, "%s is an %s, which stands for keys that do not expire", r.LogicalID, r.Type)
	case r.Type == "AWS::CloudFormation::CustomResource" || strings.HasPrefix(r.Type, "Custom::"):
		f.add(RunsCode, r.LogicalID, r.Type, "%s runs code while the stack is made", r.LogicalID)
	case r.Type == "AWS::CloudFormation::Stack" || r.Type == "AWS::CloudFormation::StackSet" || strings.HasSuffix(r.Type, "::MODULE"):
		f.add(NestedStack, r.LogicalID, r.Type, "%s is a template of its own, which is not read here", r.LogicalID)
	}
}

func (f *finder) parameters() {
	if p, ok := f.template.parameter(f.settings.ExternalIDParameter); ok {
		if p.HasDefault {
			f.add(ExternalIDDefault, p.Name, "", "parameter %s has a default: all who launch the template by itself would have the same External ID", p.Name)
		}
		if p.NoEcho {
			f.add(ExternalIDHidden, p.Name, "", "parameter %s is NoEcho: a link can't fill it in, and an External ID is no secret", p.Name)
		}
	}
	for _, p := range f.template.Parameters {
		if _, ok := f.settings.Parameters[p.Name]; ok && p.NoEcho {
			f.add(HiddenValue, p.Name, "", "parameter %s is NoEcho: the value that is configured for it is given to nobody", p.Name)
		}
	}
}

func (f *finder) outputs() {
	if len(f.outside) == 0 {
		f.add(NoRole, "", "", "the template makes no role that somebody outside of the account could assume")
		return
	}
	for _, output := range f.template.Outputs {
		names := map[string]bool{}
		uses(output.node, names)
		if slices.ContainsFunc(f.outside, func(id string) bool { return names[id] }) {
			return
		}
	}
	f.add(NoRoleOutput, "", "", "no output of the template tells the role's ARN: the customer has to look for it")
}

// literals looks for texts in resources of IAM that say something else than was meant.
func (f *finder) literals() {
	known := map[string]bool{}
	for _, p := range f.template.Parameters {
		known[p.Name] = true
	}
	resources := f.template.root.get("Resources")
	for _, r := range resources.fields {
		known[r.key] = true
	}
	for _, r := range resources.fields {
		if strings.HasPrefix(r.value.get("Type").scalarText(), "AWS::IAM::") {
			f.literal(r.key, r.value.get("Properties"), known, false)
		}
	}
}

func (f *finder) literal(where string, n *node, known map[string]bool, substituted bool) {
	if n == nil {
		return
	}
	if n.kind == scalar {
		if strings.Contains(n.text, "arn:aws:") {
			f.add(FixedPartition, where, limited(n.text), "%s names %s, which is wrong outside of the partition aws: write arn:${AWS::Partition}:", where, clip.Text(n.text))
		}
		if strings.Contains(n.text, "{{resolve:") {
			f.add(Opaque, where, limited(n.text), "%s has the text %s, which is looked up in the customer's account", where, clip.Text(n.text))
		}
		if substituted {
			return
		}
		for _, match := range variable.FindAllStringSubmatch(n.text, -1) {
			name, _, _ := strings.Cut(match[1], ".")
			if known[name] || strings.HasPrefix(name, "AWS::") {
				f.add(LiteralVariable, where, limited(n.text), "%s has the text %s without Fn::Sub, so that it stays as it is", where, clip.Text(n.text))
			}
		}
		return
	}
	name, _ := n.function()
	for _, item := range n.items {
		// Of a list, Fn::Sub reads the first element.
		f.literal(where, item, known, substituted && item == n.items[0])
	}
	for _, field := range n.fields {
		f.literal(where, field.value, known, name == "Sub")
	}
}

// allows says whether one of a statement's actions covers an action.
func allows(s Statement, action string) bool {
	if len(s.NotActions) > 0 {
		return !slices.ContainsFunc(s.NotActions, func(e Entry) bool { return covers(e.Text, action) })
	}
	return slices.ContainsFunc(s.Actions, func(e Entry) bool { return covers(e.Text, action) || strings.Contains(e.Text, "${") })
}

// refers says whether an entry refers to a parameter, a resource or one of AWS's own names.
func refers(e Entry, name string) bool {
	names := map[string]bool{}
	uses(e.node, names)
	return names[name]
}
