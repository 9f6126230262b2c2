package cfn

import (
	"regexp"
	"strconv"
	"strings"
)

// maxShort bounds the length of the short form of a value, which substitutions could make grow
// without end.
const maxShort = 1024

// short returns a value as people read it: what is written, ${Name} for a reference, and
// Function(…) for what has no shorter form.
func short(n *node) string { return limited(render(n)) }

func limited(text string) string {
	if len(text) <= maxShort {
		return text
	}
	cut := maxShort
	for cut > 0 && text[cut]&0xc0 == 0x80 { // Not within a character.
		cut--
	}
	return text[:cut] + "…"
}

func render(n *node) string {
	if n == nil {
		return ""
	}
	name, argument := n.function()
	if name == "Sub" {
		if text, ok := renderSub(argument); ok {
			return text
		}
	}
	switch {
	case name == "Ref" && argument.kind == scalar:
		return "${" + argument.text + "}"
	case name == "GetAtt" && argument.kind == list && len(argument.items) == 2:
		return "${" + short(argument.items[0]) + "." + short(argument.items[1]) + "}"
	case name == "GetAtt" && argument.kind == scalar:
		return "${" + argument.text + "}"
	case name == "Join" && argument.kind == list && len(argument.items) == 2 && argument.items[0].kind == scalar && argument.items[1].kind == list:
		return join(argument.items[1].items, argument.items[0].text, short)
	case name != "" && argument.kind == list:
		return name + "(" + join(argument.items, ", ", operand) + ")"
	case name != "":
		return name + "(" + operand(argument) + ")"
	}
	switch n.kind {
	case scalar:
		return n.text
	case list:
		return "[" + join(n.items, ", ", operand) + "]"
	case mapping:
		return "{" + join(n.fields, ", ", func(f field) string { return f.key + ": " + operand(f.value) }) + "}"
	default:
		return ""
	}
}

// operand is short for a value among others, which is quoted where it would run into them.
func operand(n *node) string {
	text := short(n)
	if n.kind == scalar && (text == "" || strings.ContainsAny(text, ",()[]{}\"") || strings.TrimSpace(text) != text) {
		return strconv.Quote(text)
	}
	return text
}

func join[T any](items []T, separator string, as func(T) string) string {
	var b strings.Builder
	for i, item := range items {
		if b.Len() > maxShort {
			break
		}
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(as(item))
	}
	return b.String()
}

// A variable in the text of Fn::Sub; one that begins with ! is the text ${…} itself.
var variable = regexp.MustCompile(`\$\{([^{}$]*)\}`)

// renderSub puts in the values that Fn::Sub brings along, and leaves its other variables as they
// are, because they look as references do here.
func renderSub(argument *node) (string, bool) {
	text, values := subParts(argument)
	if text == nil {
		return "", false
	}
	known := map[string]string{}
	for _, f := range values {
		known[f.key] = short(f.value)
	}
	var b strings.Builder
	rest := limited(text.text)
	for b.Len() <= maxShort {
		at := variable.FindStringSubmatchIndex(rest)
		if at == nil {
			break
		}
		b.WriteString(rest[:at[0]])
		name := rest[at[2]:at[3]]
		switch value, ok := known[strings.TrimSpace(name)]; {
		case ok:
			b.WriteString(value)
		case strings.HasPrefix(name, "!"):
			b.WriteString("${" + name[1:] + "}")
		default:
			b.WriteString("${" + strings.TrimSpace(name) + "}")
		}
		rest = rest[at[1]:]
	}
	b.WriteString(rest)
	return b.String(), true
}

// subParts returns the text of Fn::Sub and the values that it brings along.
func subParts(argument *node) (text *node, values []field) {
	switch {
	case argument.kind == scalar:
		return argument, nil
	case argument.kind == list && len(argument.items) == 2 && argument.items[0].kind == scalar && argument.items[1].kind == mapping:
		return argument.items[0], argument.items[1].fields
	}
	return nil, nil
}

// uses adds what a value refers to, by Ref, Fn::GetAtt and Fn::Sub, to a set of names.
func uses(n *node, names map[string]bool) {
	if n == nil {
		return
	}
	name, argument := n.function()
	switch name {
	case "Ref":
		names[argument.scalarText()] = true
	case "GetAtt":
		target := argument.scalarText()
		if argument.kind == list && len(argument.items) > 0 {
			target = argument.items[0].scalarText()
		}
		target, _, _ = strings.Cut(target, ".")
		names[target] = true
	case "Sub":
		text, values := subParts(argument)
		own := map[string]bool{}
		for _, f := range values {
			own[f.key] = true
		}
		for _, match := range variable.FindAllStringSubmatch(text.scalarText(), -1) {
			name, _, _ := strings.Cut(strings.TrimSpace(match[1]), ".")
			if !own[name] && !strings.HasPrefix(name, "!") {
				names[name] = true
			}
		}
	}
	for _, item := range n.items {
		uses(item, names)
	}
	for _, f := range n.fields {
		uses(f.value, names)
	}
}
