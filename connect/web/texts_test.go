package web

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/cfn"
)

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// TestEveryTextInEveryLanguage: the catalogues have the same keys, and the texts of a key the same
// values and the same code in them.
func TestEveryTextInEveryLanguage(t *testing.T) {
	all, err := readCatalogues()
	if err != nil {
		t.Fatal(err)
	}
	parts := func(text string) []string {
		found := append(placeholder.FindAllString(text, -1), codeMark.FindAllString(text, -1)...)
		slices.Sort(found)
		return slices.Compact(found)
	}
	first := all[languages[0].Tag]
	for _, l := range languages[1:] {
		if got, want := slices.Sorted(maps.Keys(all[l.Tag])), slices.Sorted(maps.Keys(first)); !slices.Equal(got, want) {
			t.Errorf("%s has other keys than %s:\n%v\n%v", l.Name, languages[0].Name, got, want)
		}
	}
	for _, l := range languages {
		for key, text := range all[l.Tag] {
			if text == "" || text != strings.TrimSpace(text) || strings.ContainsAny(text, "<>\n\t") || strings.Count(text, "`")%2 != 0 {
				t.Errorf("%s %s: %q", l.Tag, key, text)
			}
			if got, want := parts(text), parts(first[key]); !slices.Equal(got, want) {
				t.Errorf("%s %s has %v in it, and %s %v", l.Tag, key, got, languages[0].Tag, want)
			}
		}
	}
}

// TestEveryTextIsUsed: no text is unused, and no text that is used is missing: also for every code of
// the packages below this one.
func TestEveryTextIsUsed(t *testing.T) {
	all, err := readCatalogues()
	if err != nil {
		t.Fatal(err)
	}
	have := all[languages[0].Tag]
	used := map[string]bool{}
	use := func(key, by string) {
		used[key] = true
		if !have.has(key) {
			t.Errorf("there is no text %s for %s", key, by)
		}
	}
	inTemplate := regexp.MustCompile(`[TH] "([a-z0-9_.]+)"`)
	for _, name := range glob(t, "pages/*.html") {
		for _, m := range inTemplate.FindAllStringSubmatch(read(t, name), -1) {
			use(m[1], name)
		}
	}
	for _, name := range glob(t, "*.go") {
		if !strings.HasSuffix(name, "_test.go") {
			for _, s := range literals(t, name) {
				if have.has(s) {
					use(s, name)
				}
			}
		}
	}
	for _, code := range constants(t, "..", "Code") {
		use("code."+code, "a code of package connect")
		use("next."+code, "a code of package connect")
	}
	for _, code := range []string{"unknown_link", "no_cookie", "forged", "too_large", "not_found", "https_required", "server_error"} {
		use("code."+code, "the page's own code")
		use("next."+code, "the page's own code")
	}
	for _, step := range constants(t, "..", "Step") {
		if step != "input" { // It is over when the steps are shown.
			use("step."+step, "a step of package connect")
		}
	}
	for _, state := range []string{"done", "now", "todo"} {
		use("step.state_"+state, "a state of a step")
	}
	for _, reason := range constants(t, "../quickcreate", "Reason") {
		use("nolink."+reason, "a reason of package quickcreate")
	}
	for code := range told {
		use("finding."+string(code), "a finding of package cfn")
	}
	for key := range have {
		if !used[key] {
			t.Errorf("nobody uses the text %s", key)
		}
	}
}

// TestEveryFindingIsSorted: it was decided of each finding of a template whether customers are told.
func TestEveryFindingIsSorted(t *testing.T) {
	forOperators := map[cfn.Code]bool{
		cfn.FixedPartition: true, cfn.FixedName: true, cfn.LiteralVariable: true, cfn.NoRole: true,
		cfn.ExternalIDDefault: true, cfn.ExternalIDHidden: true, cfn.HiddenValue: true,
	}
	for _, code := range constants(t, "../cfn", "Code") {
		if told[cfn.Code(code)] == forOperators[cfn.Code(code)] {
			t.Errorf("are customers told of %s?", code)
		}
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatal(pattern, err)
	}
	return names
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func parse(t *testing.T, name string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// literals are the strings in a Go file.
func literals(t *testing.T, name string) (all []string) {
	t.Helper()
	ast.Inspect(parse(t, name), func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			if s, err := strconv.Unquote(l.Value); err == nil {
				all = append(all, s)
			}
		}
		return true
	})
	return all
}

// constants are the values of the string constants of a type in a package.
func constants(t *testing.T, dir, typeName string) (all []string) {
	t.Helper()
	for _, name := range glob(t, dir+"/*.go") {
		ast.Inspect(parse(t, name), func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) == 0 {
				return true
			}
			if id, ok := spec.Type.(*ast.Ident); !ok || id.Name != typeName {
				return true
			}
			if l, ok := spec.Values[0].(*ast.BasicLit); ok {
				s, err := strconv.Unquote(l.Value)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, s)
			}
			return true
		})
	}
	if len(all) == 0 {
		t.Fatalf("there is no %s in %s", typeName, dir)
	}
	return all
}
