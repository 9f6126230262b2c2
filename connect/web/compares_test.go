package web

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// secretName is how secrets are called in this program.
var secretName = regexp.MustCompile(`(?i)(secret|token|digest|password|hmac|mac)s?$`)

// leaky are functions that take longer the more of two texts is equal.
var leaky = regexp.MustCompile(`^(bytes\.(Equal|Compare|HasPrefix|Contains)|strings\.(EqualFold|Compare|HasPrefix|Contains)|slices\.(Equal|Compare|Contains|Index)|reflect\.DeepEqual|cmp\.Compare)$`)

// TestSecretsAreComparedInConstantTime: the time that a comparison takes tells nobody how much of a guess was
// right. Measured times differ for many reasons, so the comparisons themselves are looked at: in what decides
// on API keys, tokens, cookies, forms and records, none of a secret is made by == or by what stops at the
// first difference.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	const both = "holds: c.Value == token" // The same browser sent the two.
	seen, constant := 0, 0
	for _, dir := range []string{".", "..", "../store", "../seal"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			seen++
			in := ""
			source := func(n ast.Node) string {
				return string(text[set.Position(n.Pos()).Offset:set.Position(n.End()).Offset])
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					in = n.Name.Name
				case *ast.BinaryExpr:
					if n.Op != token.EQL && n.Op != token.NEQ || constantValue(n.X) || constantValue(n.Y) || !isSecret(n.X) && !isSecret(n.Y) {
						return true
					}
					if in+": "+source(n) != both {
						t.Errorf("%s: %s: compare secrets with hmac.Equal or subtle.ConstantTimeCompare", set.Position(n.Pos()), source(n))
					}
				case *ast.CallExpr:
					called := source(n.Fun)
					if called == "hmac.Equal" || called == "subtle.ConstantTimeCompare" {
						constant++
					}
					if !leaky.MatchString(called) {
						return true
					}
					for _, arg := range n.Args {
						if isSecret(arg) {
							t.Errorf("%s: %s: compare secrets in constant time", set.Position(n.Pos()), source(n))
						}
					}
				}
				return true
			})
		}
	}
	if seen < 40 || constant < 3 {
		t.Errorf("%d files with %d comparisons in constant time were found, so this test sees too little", seen, constant)
	}
}

// constantValue says whether an expression is nil, a literal, or a count: to compare with these tells nothing.
func constantValue(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.Ident:
		return e.Name == "nil"
	case *ast.CallExpr:
		f, ok := e.Fun.(*ast.Ident)
		return ok && f.Name == "len"
	}
	return false
}

func isSecret(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return secretName.MatchString(e.Name)
	case *ast.SelectorExpr:
		return secretName.MatchString(e.Sel.Name)
	case *ast.IndexExpr:
		return isSecret(e.X)
	case *ast.CallExpr:
		if len(e.Args) == 1 && isSecret(e.Args[0]) { // A conversion, say.
			return true
		}
		f, ok := e.Fun.(*ast.SelectorExpr)
		return ok && (secretName.MatchString(f.Sel.Name) || f.Sel.Name == "PostFormValue")
	}
	return false
}
