package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
)

// adminRoutes has the operator's pages behind a login, below a path. The hash is that of adminPassword.
const (
	adminPassword = "correct horse battery"
	adminRoutes   = `
	handle_path /ops/* {
		basic_auth {
			operator $2a$04$eXDamyEFP7NQ/Y.yCevHmOX2FnJODUL5S6DvwDuWvZWAErkSlv8o2
		}
		aws_connect_admin
	}`
)

// TestConnectAdminInBrowser has Chromium go through the operator's pages, on a desk and on a phone, in both themes, with
// JavaScript and without. On each page axe-core looks for barriers. With CONNECT_SCREENSHOTS=DIR it also makes pictures.
func TestConnectAdminInBrowser(t *testing.T) {
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
	b.connectTo(connectParts{
		sts: byBroker, propagation: "30s", integrations: "runtime_integrations {\ncredentials broker\nsts_region <region>\n}", routes: adminRoutes,
	})
	c := b.follow(b.session("globex"))
	b.customersRole(customerRole, trustPolicy(c.read(shownPrincipal), c.read(shownExternalID)))
	c.submit(customerRole, "").expect(t, "the form", 303)
	c.wait("succeeded")

	in, err := json.Marshal(map[string]any{
		"program": program, "site": "http://" + b.site, "user": "operator", "password": adminPassword, "screenshots": os.Getenv("CONNECT_SCREENSHOTS"),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // Alone it takes some seconds.
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join("browser", "admin.mjs"))
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var told struct{ Problems, Seen []string }
	if err := json.Unmarshal(out, &told); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, p := range told.Problems {
		t.Error(p)
	}
	all := strings.Join(told.Seen, "\n")
	for _, want := range []string{
		"desk: integrations:", "plain: nothing: There is nothing here", "loopback address", "The role was verified just now.", "The connection is paused.",
		"part of the server's configuration", "session_token=", "444455556666",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no page says %q", want)
		}
	}
	if t.Failed() {
		t.Log(all)
	}
}
