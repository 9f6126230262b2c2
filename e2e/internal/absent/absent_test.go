package absent

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var skip = regexp.MustCompile(`\b[bft]\.Skip(f|Now)?\(`)

// TestSkipsAreInTheTable finds tests that skip by themselves, past the table.
func TestSkipsAreInTheTable(t *testing.T) {
	files := 0
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "absent"):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go"):
			return nil
		}
		files++
		text, err := os.ReadFile(path)
		if call := skip.Find(text); call != nil {
			t.Errorf("%s calls %s: use absent.Skip", path, call)
		}
		return err
	})
	if err != nil || files < 20 {
		t.Errorf("%d files, %v", files, err)
	}
}

// fake takes what Skip says in place of a test.
type fake struct {
	testing.TB
	skipped, failed bool
}

func (*fake) Helper()                 {}
func (f *fake) Skipf(string, ...any)  { f.skipped = true }
func (f *fake) Fatalf(string, ...any) { f.failed = true }

func TestSkip(t *testing.T) {
	for _, tt := range []struct {
		what, variable string
		fails          bool
	}{
		{"moto_server", "", false},
		{"moto_server", "1", false},
		{"curl", "", false},
		{"curl", "1", true},
		{"", "1", true},
	} {
		t.Setenv(Variable, tt.variable)
		var f fake
		Skip(&f, tt.what, "install it")
		if f.failed != tt.fails {
			t.Errorf("%q, %s=%q: failed %t, want %t", tt.what, Variable, tt.variable, f.failed, tt.fails)
		}
	}
}
