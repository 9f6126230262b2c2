package cfn

// Entry is a value as people read it, and when it holds.
type Entry struct {
	// Text is the value as it is written; ${Name} is a reference to a parameter, a resource or one
	// of AWS's own names, and what has no such form is Function(…).
	Text string

	// When are the template's conditions under which the value holds, all together: the name of
	// one, or "not " and the name. Empty means always.
	When []string

	node *node
}

// Policy is a policy of a role, or one for others to use.
type Policy struct {
	// LogicalID is the policy's in the template; empty for one that is written in its role.
	LogicalID string

	// Name is its name; empty if CloudFormation makes one up.
	Name string

	// When are the conditions under which it is made, as in Entry.
	When []string

	// Statements are what it allows and denies.
	Statements []Statement
}

// Statement is a statement of a policy. See
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html.
type Statement struct {
	// Sid is its name in the policy; mostly empty.
	Sid string

	// Effect is Allow or Deny.
	Effect string

	// Principals are whom a trust policy speaks of; with NotPrincipals all others.
	Principals, NotPrincipals []Principal

	// Actions are what it speaks of; with NotActions everything else.
	Actions, NotActions []Entry

	// Resources are on what; with NotResources on everything else.
	Resources, NotResources []Entry

	// Conditions narrow it down.
	Conditions []Condition

	// When are the conditions of the template under which it is there, as in Entry.
	When []string

	// Opaque is the statement as text, where it is none that can be read: a macro, say. All else is
	// empty then.
	Opaque string
}

// Principal is whom a trust policy speaks of.
type Principal struct {
	// Kind is AWS, Service, Federated, CanonicalUser, or * for anybody.
	Kind string
	Entry
}

// Condition is a condition of a statement.
type Condition struct {
	// Operator is how it compares, for example StringEquals, and Key what, for example
	// sts:ExternalId. Both are empty for what can't be read, which is then the only value.
	Operator, Key string

	// Values are what it is compared with: one of them is enough.
	Values []Entry

	// When are the conditions of the template under which it is there, as in Entry.
	When []string
}

func entries(n *node, when []string) []Entry {
	found := n.choices(when)
	all := make([]Entry, 0, len(found))
	for _, c := range found {
		all = append(all, Entry{Text: short(c.node), When: c.when, node: c.node})
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// statements reads a policy document, or several that exclude each other.
func statements(document *node) []Statement {
	var all []Statement
	for _, doc := range document.choices(nil) {
		if name, _ := doc.node.function(); name != "" || doc.node.get("Statement") == nil {
			all = append(all, Statement{When: doc.when, Opaque: short(doc.node)})
			continue
		}
		for _, c := range doc.node.get("Statement").choices(doc.when) {
			all = append(all, statement(c))
		}
	}
	return all
}

func statement(c choice) Statement {
	n := c.node
	if name, _ := n.function(); name != "" || n.kind != mapping {
		return Statement{When: c.when, Opaque: short(n)}
	}
	return Statement{
		Sid:           short(n.get("Sid")),
		Effect:        short(n.get("Effect")),
		Principals:    principals(n.get("Principal")),
		NotPrincipals: principals(n.get("NotPrincipal")),
		Actions:       entries(n.get("Action"), nil),
		NotActions:    entries(n.get("NotAction"), nil),
		Resources:     entries(n.get("Resource"), nil),
		NotResources:  entries(n.get("NotResource"), nil),
		Conditions:    conditions(n.get("Condition")),
		When:          c.when,
	}
}

func principals(n *node) []Principal {
	var all []Principal
	for _, c := range n.choices(nil) {
		name, _ := c.node.function()
		switch {
		case c.node.kind == mapping && name == "":
			for _, f := range c.node.fields {
				for _, entry := range entries(f.value, c.when) {
					all = append(all, Principal{f.key, entry})
				}
			}
		default:
			all = append(all, Principal{"*", Entry{Text: short(c.node), When: c.when, node: c.node}})
		}
	}
	return all
}

func conditions(n *node) []Condition {
	var all []Condition
	for _, c := range n.choices(nil) {
		if name, _ := c.node.function(); name != "" || c.node.kind != mapping {
			all = append(all, Condition{When: c.when, Values: []Entry{{Text: short(c.node), node: c.node}}})
			continue
		}
		for _, operator := range c.node.fields {
			for _, keys := range operator.value.choices(c.when) {
				if name, _ := keys.node.function(); name != "" || keys.node.kind != mapping {
					all = append(all, Condition{Operator: operator.key, When: keys.when, Values: []Entry{{Text: short(keys.node), node: keys.node}}})
					continue
				}
				for _, key := range keys.node.fields {
					all = append(all, Condition{Operator: operator.key, Key: key.key, When: keys.when, Values: entries(key.value, nil)})
				}
			}
		}
	}
	return all
}
