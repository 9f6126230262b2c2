package integration_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestConnectCustomerDocument has the page for customers explain everything that the Connect page says when something goes
// wrong, in its own words.
func TestConnectCustomerDocument(t *testing.T) {
	document := readText(t, "docs", "connect-customer.md")
	var texts map[string]string
	if err := json.Unmarshal([]byte(readText(t, "connect", "web", "texts", "en.json")), &texts); err != nil {
		t.Fatal(err)
	}
	// Each stands in the first column of a table.
	said := map[string]bool{}
	for line := range strings.Lines(document) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for text := range strings.SplitSeq(cells[1], " · ") {
				said[strings.TrimSpace(text)] = true
			}
		}
	}
	codes := 0
	for key, text := range texts {
		if strings.HasPrefix(key, "code.") {
			codes++
			if text = strings.ReplaceAll(text, "{vendor}", "Acme Analytics"); !said[text] {
				t.Errorf("%s: the page says %q, and docs/connect-customer.md does not say what that means", key, text)
			}
		}
	}
	if codes < 30 {
		t.Errorf("%d codes were found", codes)
	}
	// So are the ways to connect, and what the page calls them.
	for _, key := range []string{"card.launch", "card.other_ways", "byhand.title", "submit", "error.details"} {
		if text := texts[key]; text == "" || !strings.Contains(document, "*"+text+"*") {
			t.Errorf("the document does not name %s, %q", key, text)
		}
	}
}

func readText(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
