package integration_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	markdownLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	markdownHeading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	codeFence       = regexp.MustCompile("(?ms)^[ \t]*```.*?^[ \t]*```")
	notInAnchor     = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// TestDocumentedLinks follows the links from one document of this repository to another, and to their headings.
func TestDocumentedLinks(t *testing.T) {
	var files []string
	for _, pattern := range []string{"README.md", "docs/*.md", "examples/*/*.md", "examples/*/*/*.md", "e2e/clients/*.md"} {
		found, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	links := 0
	for _, file := range files {
		for _, m := range markdownLink.FindAllStringSubmatch(codeFence.ReplaceAllString(readText(t, strings.TrimPrefix(file, "../")), ""), -1) {
			path, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(path, ":") {
				continue
			}
			links++
			target := filepath.Join(filepath.Dir(file), path)
			if path == "" {
				target = file
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", file, m[1])
			} else if anchor != "" && !anchors(readText(t, strings.TrimPrefix(target, "../")))[anchor] {
				t.Errorf("%s links to %s, and there is no such heading", file, m[1])
			}
		}
	}
	if links < 40 {
		t.Errorf("%d links were found", links)
	}
}

// anchors returns the names of a document's headings, as GitHub makes them.
func anchors(document string) map[string]bool {
	names := map[string]bool{}
	for _, m := range markdownHeading.FindAllStringSubmatch(codeFence.ReplaceAllString(document, ""), -1) {
		names[strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return names
}
