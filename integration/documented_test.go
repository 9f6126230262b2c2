package integration_test

import (
	"crypto/sha256"
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	caddyfileBlock = regexp.MustCompile("(?ms)^[ \t]*```(?:caddyfile|Caddyfile)[^\n]*\n(.*?)^[ \t]*```")
	envPlaceholder = regexp.MustCompile(`\{env\.([A-Za-z0-9_]+)\}`)
	envDefault     = regexp.MustCompile(`\{\$[A-Za-z0-9_]+:([^{}]*)\}`)
	filePath       = regexp.MustCompile(`\{file\.([^}]+)\}`)
)

// TestDocumentedCaddyfiles puts every Caddyfile in examples/, README.md and
// docs/ through the real adapter and `caddy validate`, which calls no network.
func TestDocumentedCaddyfiles(t *testing.T) {
	sts := newSTS(t)
	for name, caddyfile := range documentedCaddyfiles(t) {
		t.Run(name, func(t *testing.T) {
			for _, m := range envPlaceholder.FindAllStringSubmatch(caddyfile, -1) {
				t.Setenv(m[1], "value-of-the-test-"+m[1]) // Secrets have to differ.
			}
			caddyfile = envDefault.ReplaceAllString(caddyfile, "$1")
			// Files that a document names exist where it is written for.
			dir := tempDir(t)
			for i, m := range filePath.FindAllStringSubmatch(caddyfile, -1) {
				secret, text := filepath.Join(dir, strconv.Itoa(i)), "value-of-the-test"
				if strings.Contains(m[1], "seal-key") {
					sum := sha256.Sum256([]byte(m[1]))
					text = base64.StdEncoding.EncodeToString(sum[:])
				}
				if err := os.WriteFile(secret, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				caddyfile = strings.Replace(caddyfile, m[0], "{file."+secret+"}", 1)
			}
			t.Chdir("..") // Examples name files as seen from the root of the repository.
			if err := validate(t, caddyfile); err != nil {
				t.Error(err)
			}
		})
	}
	if calls := len(sts.Requests()); calls > 0 {
		t.Errorf("validating called STS %d times", calls)
	}
}

// documentedCaddyfiles returns them by where they stand.
func documentedCaddyfiles(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, pattern := range []string{"examples/*/Caddyfile*", "examples/*/*/Caddyfile*", "README.md", "docs/*.md", "examples/*/*.md", "examples/*/*/*.md"} {
		files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name := strings.TrimPrefix(filepath.ToSlash(file), "../")
			if !strings.HasSuffix(name, ".md") {
				found[name] = string(text)
				continue
			}
			for _, at := range caddyfileBlock.FindAllStringSubmatchIndex(string(text), -1) {
				line := 1 + strings.Count(string(text[:at[2]]), "\n")
				found[name+", line "+strconv.Itoa(line)] = string(text[at[2]:at[3]])
			}
		}
	}
	examples := 0
	for name := range found {
		if strings.HasPrefix(name, "examples/") {
			examples++
		}
	}
	if examples < 5 || len(found)-examples < 5 {
		t.Errorf("%d Caddyfiles in examples/ and %d in documents were found, want 5 of each at least", examples, len(found)-examples)
	}
	return found
}
