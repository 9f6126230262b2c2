package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
)

// TestConnectInBrowser has Chromium connect roles through the page, with JavaScript and without: one that is right, and one for
// each way in which a role can be wrong. axe-core looks at each page, in both themes, on a phone and on a desk.
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
	const arn = "arn:aws:iam::444455556666:role/sts-helper/"
	type seen struct {
		Name, Title, Text, Code, Typed string
		Problems                       []string
	}
	for _, javaScript := range []bool{true, false} {
		t.Run(fmt.Sprintf("JavaScript %t", javaScript), func(t *testing.T) {
			b := newBed(t)
			b.connectTo(connectParts{sts: byBroker, propagation: "off", integration: "deny_accounts 666677778888"})
			type driven struct {
				Name  string `json:"name"`
				Link  string `json:"link"`
				Role  string `json:"role"`
				Dark  bool   `json:"dark"`
				Phone bool   `json:"phone"`

				code, text, trust string
			}
			cases := []*driven{
				{Name: "right", Role: arn + "Right", text: "connected to Acme Analytics", trust: trustPolicy(brokerARN, "<id>")},
				{Name: "another External ID", Role: arn + "Another", code: "assume_role_denied", text: "External ID", trust: trustPolicy(brokerARN, "another-id")},
				{Name: "no External ID", Role: arn + "Open", code: "external_id_not_enforced", text: "External ID", trust: strings.ReplaceAll(trustPolicy(brokerARN, "<id>"), "StringEquals", "StringEqualsIfExists")},
				{Name: "not there", Role: arn + "NotThere", code: "assume_role_denied", text: "What to do"},
				{Name: "no ARN", Role: "arn:aws:iam::444455556666:user/x", code: "invalid_role_arn", text: "Copy the whole ARN"},
				{Name: "the vendor's account", Role: "arn:aws:iam::111122223333:role/sts-helper/Own", code: "account_not_allowed", text: "your own account"},
				{Name: "a denied account", Role: "arn:aws:iam::666677778888:role/sts-helper/Other", code: "account_not_allowed", text: "your own account"},
				{Name: "another partition", Role: "arn:aws-cn:iam::444455556666:role/sts-helper/China", code: "partition_mismatch", text: "What to do"},
			}
			// The customer's account: it makes the role of a case with the External ID that the page shows.
			account := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var asked struct {
					Case       string `json:"case"`
					ExternalID string `json:"external_id"`
				}
				if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
					t.Error(err)
				}
				for _, c := range cases {
					if c.Name == asked.Case && c.trust != "" {
						if err := b.PutRole(standin.Role{ARN: c.Role, TrustPolicy: strings.ReplaceAll(c.trust, "<id>", asked.ExternalID)}); err != nil {
							t.Error(err)
						}
					}
				}
			}))
			defer account.Close()
			for i, c := range cases {
				c.Link, c.Dark, c.Phone = b.session(fmt.Sprintf("customer-%d", i)), i%2 == 1, i%4 >= 2
			}
			in, err := json.Marshal(map[string]any{"program": program, "cases": cases, "javaScript": javaScript, "account": account.URL})
			if err != nil {
				t.Fatal(err)
			}
			out, err := run(bytes.NewReader(in), nil, "node", filepath.Join("browser", "connect.mjs"))
			if err != nil {
				t.Fatal(err)
			}
			var all []seen
			if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != len(cases) {
				t.Fatalf("%v: %s", err, out)
			}
			for i, c := range cases {
				got := all[i]
				if got.Code != c.code || !strings.Contains(got.Text+got.Title, c.text) || c.code != "" && got.Typed != c.Role {
					t.Errorf("%s: saw %+v, want %q and %q", c.Name, got, c.code, c.text)
				}
				for _, p := range got.Problems {
					t.Errorf("%s: %s", c.Name, p)
				}
			}
		})
	}
}
