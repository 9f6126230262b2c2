package cfn

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func parseFile(t *testing.T, name string) *Template {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	template, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return template
}

func parse(t *testing.T, text string) *Template {
	t.Helper()
	template, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return template
}

// describe writes all that a page could show of a template, a row each.
func describe(t *Template) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("description %s", t.Description)
	for _, p := range t.Parameters {
		line("parameter %+v", p)
	}
	for _, c := range t.Conditions {
		line("condition %s = %s", c.Name, c.Expression)
	}
	for _, r := range t.Roles {
		line("role %s name=%q path=%q boundary=%q session=%q%s", r.LogicalID, r.Name, r.Path, r.Boundary, r.MaxSessionDuration, when(r.When))
		writeStatements(&b, "  trust", r.Trust)
		for _, entry := range r.ManagedPolicies {
			line("  managed policy %s%s", entry.Text, when(entry.When))
		}
		for _, p := range r.Policies {
			line("  policy %q %s%s", p.Name, p.LogicalID, when(p.When))
			writeStatements(&b, "    ", p.Statements)
		}
	}
	for _, p := range t.Policies {
		line("policy %q %s%s", p.Name, p.LogicalID, when(p.When))
		writeStatements(&b, "  ", p.Statements)
	}
	for _, r := range t.Others {
		line("other %s %s%s", r.LogicalID, r.Type, when(r.When))
	}
	for _, o := range t.Outputs {
		line("output %s = %s (%s)%s", o.Name, o.Value, o.Description, when(o.When))
	}
	line("transforms %v", t.Transforms)
	line("capabilities %v", t.Capabilities)
	return b.String()
}

func writeStatements(b *strings.Builder, indent string, statements []Statement) {
	for _, s := range statements {
		if s.Opaque != "" {
			fmt.Fprintf(b, "%s opaque %s%s\n", indent, s.Opaque, when(s.When))
			continue
		}
		fmt.Fprintf(b, "%s %s %s%s\n", indent, s.Effect, s.Sid, when(s.When))
		for _, principals := range []struct {
			word string
			list []Principal
		}{{"principal", s.Principals}, {"not principal", s.NotPrincipals}} {
			for _, p := range principals.list {
				fmt.Fprintf(b, "%s   %s %s: %s%s\n", indent, principals.word, p.Kind, p.Text, when(p.When))
			}
		}
		for _, entries := range []struct {
			word string
			list []Entry
		}{{"action", s.Actions}, {"not action", s.NotActions}, {"on", s.Resources}, {"not on", s.NotResources}} {
			for _, entry := range entries.list {
				fmt.Fprintf(b, "%s   %s %s%s\n", indent, entries.word, entry.Text, when(entry.When))
			}
		}
		for _, c := range s.Conditions {
			fmt.Fprintf(b, "%s   if %s %s%s", indent, c.Key, c.Operator, when(c.When))
			for _, value := range c.Values {
				fmt.Fprintf(b, " %s%s", value.Text, when(value.When))
			}
			b.WriteByte('\n')
		}
	}
}

func when(conditions []string) string {
	if len(conditions) == 0 {
		return ""
	}
	return " [" + strings.Join(conditions, " and ") + "]"
}
