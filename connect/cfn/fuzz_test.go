package cfn

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func addTemplates(f *testing.F) {
	f.Helper()
	for _, name := range []string{"reports.yaml", "reports.json", "careless.json"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, text := range []string{
		"Resources: {R: {Type: T}}", "a: &a [*a]", "a: !Sub ['${a}', {a: !Ref b}]\nResources: {R: {Type: T}}", "- - -", "? a\n: !GetAtt b.c",
		`{"Resources":{"R":{"Type":"T","Properties":{"Fn::If":["a",{},[null,1.5e3,true]]}}}}`, "--- |\n a\n...", "a: !If [x, !If [y, 1, 2]]",
	} {
		f.Add([]byte(text))
	}
}

// FuzzParse: no panic; the same answer twice; an error is one printable line, and what is read is
// short, valid text whatever is done with it.
func FuzzParse(f *testing.F) {
	addTemplates(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		template, err := Parse(data)
		if err != nil {
			if template != nil || len(err.Error()) > 500 || !printable(err.Error()) {
				t.Fatalf("%+v, %q", template, err)
			}
			return
		}
		if template.Format == "json" && !json.Valid(bytes.TrimPrefix(data, []byte("\ufeff"))) {
			t.Fatalf("%q is no JSON", data)
		}
		text := describe(template)
		if again, err := Parse(data); err != nil || describe(again) != text {
			t.Fatalf("%q is read in two ways", data)
		}
		if !utf8.ValidString(text) {
			t.Fatalf("%q", text)
		}
		for _, role := range template.Roles {
			for _, s := range role.Trust {
				for _, entry := range s.Actions {
					if len(entry.Text) > maxShort+len("…") {
						t.Fatalf("%d bytes", len(entry.Text))
					}
				}
			}
		}
		settings := Settings{ExternalIDParameter: "ExternalId", PrincipalParameter: "Principal", Parameters: map[string]string{"Bucket": "b"}}
		for _, finding := range template.Findings(settings, "read-only") {
			if finding.Code == "" || finding.Text == "" {
				t.Fatalf("%+v", finding)
			}
		}
		arguments, err := template.Arguments(settings, Values{ExternalID: "id", Principal: "p"})
		if (err == nil) != (len(arguments) > 0) || err != nil && !printable(err.Error()) {
			t.Fatalf("%+v, %v", arguments, err)
		}
	})
}

func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// FuzzJSONIsYAML has each of the two readers check the other: what is JSON without escapes and
// tabs, and with short keys, is YAML that says the same.
func FuzzJSONIsYAML(f *testing.F) {
	addTemplates(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1000 || bytes.ContainsAny(data, "\\\t\ufeff\u0085\u2028\u2029\x7f") || !utf8.Valid(data) || bytes.ContainsFunc(data, func(r rune) bool { return r > 0x7e }) {
			return
		}
		a, err := readJSON(data)
		if err != nil {
			return
		}
		b, err := readYAML(data)
		if err != nil {
			if strings.Contains(err.Error(), "merge key") {
				return
			}
			t.Fatalf("%q: %v", data, err)
		}
		if x, y := short(a), short(b); x != y || !same(a, b) {
			t.Fatalf("%q: %q as JSON and %q as YAML", data, x, y)
		}
	})
}

func same(a, b *node) bool {
	if a.kind != b.kind || a.text != b.text || len(a.items) != len(b.items) || len(a.fields) != len(b.fields) {
		return false
	}
	for i := range a.items {
		if !same(a.items[i], b.items[i]) {
			return false
		}
	}
	for i := range a.fields {
		if a.fields[i].key != b.fields[i].key || !same(a.fields[i].value, b.fields[i].value) {
			return false
		}
	}
	return true
}
