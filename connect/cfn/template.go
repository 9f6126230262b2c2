// Package cfn reads CloudFormation templates: their parameters, and what they would grant to whom,
// so that a customer sees it before making a stack. It is pure.
package cfn

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
)

// The limits of CloudFormation, from
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html.
const (
	// MaxSize is how many bytes a template has at most.
	MaxSize = 1 << 20

	maxResources = 500
)

// Template is what a template says, as far as a role for others is concerned.
type Template struct {
	// Format is the language that it is written in: json or yaml.
	Format string

	// Size is its size in bytes.
	Size int

	// Description is its own.
	Description string

	// Parameters are in the order in which they are written, and so is all else.
	Parameters []Parameter

	// Conditions are the names that When speaks of, with what they mean.
	Conditions []NamedCondition

	// Roles are what it makes for others to assume, with all that they are allowed.
	Roles []Role

	// Policies are those that belong to no role of the template.
	Policies []Policy

	// Others are the other resources that it makes.
	Others []Resource

	// Outputs are what the stack says of itself when it is made.
	Outputs []Output

	// Transforms are the macros that CloudFormation runs over the template: what they make of it
	// can't be read here.
	Transforms []string

	// Capabilities are what the customer has to acknowledge: CAPABILITY_IAM or CAPABILITY_NAMED_IAM,
	// CAPABILITY_AUTO_EXPAND. See
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html.
	Capabilities []string

	root *node
}

// NamedCondition is a condition of a template.
type NamedCondition struct {
	// Name is its name, and Expression what it says, for example Equals(${Write}, true).
	Name, Expression string
}

// Role is an IAM role that a template makes.
type Role struct {
	// LogicalID is the role's in the template.
	LogicalID string

	// Name is the role's; empty if CloudFormation makes one up.
	Name string

	// Path is the role's; empty means /.
	Path string

	// When are the conditions under which it is made, as in Entry.
	When []string

	// Trust says who may assume it.
	Trust []Statement

	// ManagedPolicies are the ARNs of policies from elsewhere.
	ManagedPolicies []Entry

	// Policies are those in the role, and those of the template that are attached to it.
	Policies []Policy

	// Boundary is the ARN of a policy beyond which it is allowed nothing; mostly empty.
	Boundary string

	// MaxSessionDuration is how many seconds a session may last; empty means one hour.
	MaxSessionDuration string
}

// Resource is something else that a template makes.
type Resource struct {
	// LogicalID is the resource's in the template, and Type what it is, for example
	// AWS::S3::Bucket.
	LogicalID, Type string

	// When are the conditions under which it is made, as in Entry.
	When []string
}

// Output is what a stack says of itself.
type Output struct {
	Name, Description, Value string

	// When are the conditions under which it is there, as in Entry.
	When []string

	node *node
}

// Parse reads a template in JSON or YAML. What CloudFormation would refuse, or what could be read
// in two ways, is an error that says where: aliases, keys that come twice, several documents,
// functions that do not exist, more than MaxSize bytes or 64 levels.
func Parse(data []byte) (*Template, error) {
	root, format, err := read(data)
	if err != nil {
		return nil, err
	}
	if root.kind != mapping {
		return nil, errors.New("the template is no mapping of sections: write one with Parameters and Resources")
	}
	resources := root.get("Resources")
	if resources == nil || resources.kind != mapping || len(resources.fields) == 0 {
		return nil, errors.New("the template has no Resources: is it one of CloudFormation?")
	}
	if len(resources.fields) > maxResources {
		return nil, fmt.Errorf("the template has %d resources, and CloudFormation takes %d", len(resources.fields), maxResources)
	}
	t := &Template{Format: format, Size: len(data), Description: short(root.get("Description")), root: root}
	if t.Parameters, err = parseParameters(root.get("Parameters")); err != nil {
		return nil, err
	}
	if section := root.get("Conditions"); section != nil {
		for _, f := range section.fields {
			t.Conditions = append(t.Conditions, NamedCondition{clip.Text(f.key), short(f.value)})
		}
	}
	for _, entry := range entries(root.get("Transform"), nil) {
		t.Transforms = append(t.Transforms, entry.Text)
	}
	if err := t.readResources(resources); err != nil {
		return nil, err
	}
	if section := root.get("Outputs"); section != nil {
		for _, f := range section.fields {
			value := f.value.get("Value")
			t.Outputs = append(t.Outputs, Output{clip.Text(f.key), short(f.value.get("Description")), short(value), condition(f.value), value})
		}
	}
	return t, nil
}

// condition returns the condition that a resource or an output names.
func condition(n *node) []string {
	if name := n.get("Condition").scalarText(); name != "" {
		return []string{name}
	}
	return nil
}

// policyTypes are the resources that are policies, with the property that names what they are for.
var policyTypes = map[string]string{
	"AWS::IAM::Policy":        "Roles",
	"AWS::IAM::ManagedPolicy": "Roles",
	"AWS::IAM::RolePolicy":    "RoleName",
}

// customNames are the properties by which resources of IAM get names of the template's choice.
var customNames = map[string]string{
	"AWS::IAM::Role":            "RoleName",
	"AWS::IAM::User":            "UserName",
	"AWS::IAM::Group":           "GroupName",
	"AWS::IAM::ManagedPolicy":   "ManagedPolicyName",
	"AWS::IAM::InstanceProfile": "InstanceProfileName",
}

func (t *Template) readResources(resources *node) error {
	type attached struct {
		Policy
		roles     []Entry
		elsewhere bool // attached to something else, too
	}
	var policies []attached
	named := map[string]string{}
	iam, namedIAM, nested := false, false, false
	for _, f := range resources.fields {
		id, kind := f.key, f.value.get("Type").scalarText()
		if strings.HasPrefix(id, "Fn::ForEach::") || id == "Fn::Transform" {
			t.Transforms = append(t.Transforms, clip.Text(id))
			continue
		}
		if !logicalID.MatchString(id) {
			return fmt.Errorf("line %d: the resource's name %q is not 1 to 255 letters and digits", f.value.line, clip.Text(id))
		}
		if kind == "" {
			return fmt.Errorf("line %d: resource %s has no Type", f.value.line, clip.Text(id))
		}
		properties, when := f.value.get("Properties"), condition(f.value)
		iam = iam || strings.HasPrefix(kind, "AWS::IAM::")
		if name, ok := customNames[kind]; ok && len(properties.get(name).choices(nil)) > 0 {
			namedIAM = true
		}
		nested = nested || kind == "AWS::CloudFormation::Stack" || strings.HasSuffix(kind, "::MODULE")
		switch property, isPolicy := policyTypes[kind]; {
		case kind == "AWS::IAM::Role":
			role := parseRole(id, properties, when)
			if role.Name != "" {
				named[role.Name] = id
			}
			t.Roles = append(t.Roles, role)
		case isPolicy:
			p := attached{Policy: parsePolicy(properties, when), roles: entries(properties.get(property), nil)}
			p.LogicalID = id
			p.elsewhere = properties.get("Users") != nil || properties.get("Groups") != nil
			policies = append(policies, p)
		default:
			t.Others = append(t.Others, Resource{id, clip.Text(kind), when})
		}
	}
	for _, p := range policies {
		if !t.attach(p.Policy, p.roles, named) || p.elsewhere {
			t.Policies = append(t.Policies, p.Policy)
		}
	}
	switch {
	case namedIAM:
		t.Capabilities = append(t.Capabilities, "CAPABILITY_NAMED_IAM")
	case iam:
		t.Capabilities = append(t.Capabilities, "CAPABILITY_IAM")
	}
	if len(t.Transforms) > 0 || nested {
		t.Capabilities = append(t.Capabilities, "CAPABILITY_AUTO_EXPAND")
	}
	return nil
}

func parseRole(id string, properties *node, when []string) Role {
	role := Role{
		LogicalID:          id,
		Name:               short(properties.get("RoleName")),
		Path:               short(properties.get("Path")),
		When:               when,
		Trust:              statements(properties.get("AssumeRolePolicyDocument")),
		ManagedPolicies:    entries(properties.get("ManagedPolicyArns"), nil),
		Boundary:           short(properties.get("PermissionsBoundary")),
		MaxSessionDuration: short(properties.get("MaxSessionDuration")),
	}
	for _, c := range properties.get("Policies").choices(nil) {
		if name, _ := c.node.function(); name != "" || c.node.kind != mapping {
			role.Policies = append(role.Policies, Policy{When: c.when, Statements: []Statement{{Opaque: short(c.node)}}})
			continue
		}
		role.Policies = append(role.Policies, parsePolicy(c.node, c.when))
	}
	return role
}

func parsePolicy(n *node, when []string) Policy {
	name := n.get("PolicyName")
	if name == nil {
		name = n.get("ManagedPolicyName")
	}
	return Policy{Name: short(name), When: when, Statements: statements(n.get("PolicyDocument"))}
}

// attach gives a policy to the roles that it names, and to those that name it. It says whether all
// of those are the template's.
func (t *Template) attach(p Policy, roles []Entry, named map[string]string) bool {
	all, found := true, false
	give := func(role *Role, when []string) {
		given := p
		given.When = and(p.When, when)
		role.Policies = append(role.Policies, given)
		found = true
	}
	for _, entry := range roles {
		id := entry.node.ref()
		if id == "" {
			id = named[entry.Text]
		}
		i := slices.IndexFunc(t.Roles, func(r Role) bool { return r.LogicalID == id })
		if i < 0 {
			all = false
			continue
		}
		give(&t.Roles[i], entry.When)
	}
	for i := range t.Roles {
		role := &t.Roles[i]
		role.ManagedPolicies = slices.DeleteFunc(role.ManagedPolicies, func(entry Entry) bool {
			if entry.node.ref() != p.LogicalID {
				return false
			}
			give(role, entry.When)
			return true
		})
	}
	return all && found
}

// and returns the conditions of both lists, each once.
func and(a, b []string) []string {
	all := slices.Clone(a)
	for _, condition := range b {
		if !slices.Contains(all, condition) {
			all = append(all, condition)
		}
	}
	return all
}
