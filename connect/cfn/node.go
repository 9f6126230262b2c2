package cfn

import "strings"

// kind is what a node is.
type kind uint8

const (
	null kind = iota
	scalar
	list
	mapping
)

// A node is a value of a template, the same whether it was written in JSON or YAML. Functions in
// their short form are mappings like those in their long form.
type node struct {
	kind   kind
	text   string // of a scalar, as it is written
	items  []*node
	fields []field
	line   int
}

type field struct {
	key   string
	value *node
}

// get returns a mapping's value of a key; nil where there is none, or null.
func (n *node) get(key string) *node {
	if n == nil || n.kind != mapping {
		return nil
	}
	for _, f := range n.fields {
		if f.key == key && f.value.kind != null {
			return f.value
		}
	}
	return nil
}

// scalarText returns a scalar's text, or nothing.
func (n *node) scalarText() string {
	if n == nil || n.kind != scalar {
		return ""
	}
	return n.text
}

// function returns the name of the intrinsic function that a mapping calls, without Fn::, and what
// it is called with. See
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html.
func (n *node) function() (name string, argument *node) {
	if n == nil || n.kind != mapping || len(n.fields) != 1 {
		return "", nil
	}
	f := n.fields[0]
	if f.key == "Ref" || f.key == "Condition" && f.value.kind == scalar {
		return f.key, f.value
	}
	if name, ok := strings.CutPrefix(f.key, "Fn::"); ok {
		return name, f.value
	}
	return "", nil
}

// ref returns what a node refers to by Ref, or nothing.
func (n *node) ref() string {
	if name, argument := n.function(); name == "Ref" {
		return argument.scalarText()
	}
	return ""
}

// alias returns the name that a node stands for as a whole, by Ref or by Fn::Sub of ${Name} alone.
func (n *node) alias() string {
	name, argument := n.function()
	if name == "Sub" && argument.kind == scalar {
		if match := variable.FindStringSubmatch(argument.text); match != nil && match[0] == argument.text {
			return strings.TrimSpace(match[1])
		}
	}
	return n.ref()
}

// A choice is a node that holds under conditions of the template.
type choice struct {
	node *node
	when []string
}

// choices takes apart what Fn::If and lists put together: each element and each branch by itself.
// A branch that is AWS::NoValue is none.
func (n *node) choices(when []string) []choice {
	switch name, argument := n.function(); {
	case n == nil || n.kind == null || n.ref() == "AWS::NoValue":
		return nil
	case name == "If" && argument.kind == list && len(argument.items) == 3 && argument.items[0].kind == scalar:
		condition := argument.items[0].text
		then := argument.items[1].choices(and(when, []string{condition}))
		return append(then, argument.items[2].choices(and(when, []string{"not " + condition}))...)
	case n.kind == list:
		var all []choice
		for _, item := range n.items {
			all = append(all, item.choices(when)...)
		}
		return all
	}
	return []choice{{n, when}}
}
