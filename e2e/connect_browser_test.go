package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
)

// TestConnectInBrowser has Chromium go through the Connect page as customers do, with JavaScript and without: to success, and to
// each failure that there is a text for. On every page on the way axe-core looks for barriers, in both themes, on phones and on
// desks. With CONNECT_SCREENSHOTS=DIR it also makes pictures of all of them, for people to look at.
func TestConnectInBrowser(t *testing.T) {
	program, err := exec.LookPath("chromium")
	if err != nil {
		absent.Skip(t, "chromium", "clients/install installs it")
	}
	if _, err := exec.LookPath("node"); err != nil {
		absent.Skip(t, "node", "clients/install installs it")
	}
	if _, err := os.Stat(filepath.Join("browser", "node_modules")); err != nil {
		absent.Skip(t, "playwright-core in browser/node_modules", "clients/install installs it")
	}
	b := newBed(t)
	embedder := b.embedder()
	b.connectTo(connectParts{
		sts: byBroker, propagation: "off", integration: "deny_accounts 666677778888",
		integrations: strings.ReplaceAll(browserIntegrations, "<nobody>", freePort(t, "127.0.0.1")),
		routes:       strings.ReplaceAll(browserRoutes, "<ancestor>", embedder),
	})
	cases := map[string]*pageCase{}
	var ask []*pageCase
	for _, javaScript := range []bool{true, false} {
		for _, c := range b.pageCases(javaScript, embedder) {
			if !javaScript {
				c.Name += ", no JavaScript"
			}
			cases[c.Name], ask = c, append(ask, c)
		}
	}
	texts := pageTexts(t)
	for key := range texts["en"] {
		if code, ok := strings.CutPrefix(key, "code."); ok && !slices.ContainsFunc(ask, func(c *pageCase) bool { return c.code == code }) {
			t.Errorf("no case leads to %s", code)
		}
	}

	in, err := json.Marshal(map[string]any{
		"program": program, "cases": ask, "account": b.customersAccount(cases), "screenshots": os.Getenv("CONNECT_SCREENSHOTS"),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute) // Alone it takes half a minute.
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join("browser", "connect.mjs"))
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var seen []pageSeen
	if err := json.Unmarshal(out, &seen); err != nil || len(seen) != len(ask) {
		t.Fatalf("%v: %s", err, out)
	}
	for _, s := range seen {
		t.Run(s.Name, func(t *testing.T) { s.check(t, cases[s.Name], texts) })
	}
}

// pageSeen is where a case has led.
type pageSeen struct {
	Name, Title, Text, Language, Code, Typed, Status string
	Refused                                          bool
	Problems                                         []string
}

func (s *pageSeen) check(t *testing.T, c *pageCase, texts map[string]map[string]string) {
	t.Helper()
	for _, p := range s.Problems {
		t.Error(p)
	}
	if c.Refused {
		if !s.Refused {
			t.Error("the frame shows the page")
		}
		return
	}
	key, status := "code."+c.code, "failure"
	switch {
	case c.code == "":
		key, status = "done.title", "success"
	case s.Code == "":
		status = "ended"
	case s.Code != c.code:
		t.Errorf("the code is %q, want %q", s.Code, c.code)
	case s.Typed != c.Role:
		t.Errorf("the page has %q for what was typed, want %q", s.Typed, c.Role)
	}
	words := []string{strings.TrimRight(strings.ReplaceAll(texts[c.Language][key], "{vendor}", "Acme Analytics"), "."), c.text}
	if s.Status != status || s.Language != c.Language || !strings.Contains(s.Text, words[0]) || !strings.Contains(s.Text, words[1]) {
		t.Errorf("%s %s: %q, %.1000s; want %s %s: %q", s.Status, s.Language, s.Title, s.Text, status, c.Language, words)
	}
}

// customersAccount plays the customer's AWS account: it makes the role of a case with the External ID that the page shows.
func (b *bed) customersAccount(cases map[string]*pageCase) string {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var at struct {
			Name, Moment string
			ExternalID   string `json:"external_id"`
		}
		if err := json.NewDecoder(r.Body).Decode(&at); err != nil {
			b.t.Error(err)
			return
		}
		c := cases[at.Name]
		do := c.onRunning
		if at.Moment == "page" {
			do = c.onPage
			if role := c.role; role.ARN != "" {
				role.TrustPolicy = strings.ReplaceAll(role.TrustPolicy, "<id>", at.ExternalID)
				if err := b.PutRole(role); err != nil {
					b.t.Error(err)
				}
			}
		}
		if do != nil {
			do()
		}
	}))
	b.t.Cleanup(s.Close)
	return s.URL
}

// pageTexts are the texts of the page by language and key.
func pageTexts(t *testing.T) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	names, err := filepath.Glob(filepath.Join("..", "connect", "web", "texts", "*.json"))
	if err != nil || len(names) == 0 {
		t.Fatalf("there are no texts: %v", err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts := map[string]string{}
		if err := json.Unmarshal(data, &texts); err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(name), ".json")] = maps.Clone(texts)
	}
	return all
}
