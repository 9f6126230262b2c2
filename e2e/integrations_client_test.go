package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
)

// TestClientLibraryWritesIntegrations: the client library of another product writes integrations as it does with its own server,
// and each answer is one that the OpenAPI document has. Neither an answer nor the log holds a secret.
func TestClientLibraryWritesIntegrations(t *testing.T) {
	cmd, err := node("integrations.mjs")
	if err == nil {
		if _, statErr := os.Stat("clients/js/node_modules/@nangohq/node"); statErr != nil {
			err = statErr
		}
	}
	if err != nil {
		absent.Skip(t, "node", err.Error())
	}
	b := newBed(t)
	b.connectTo(connectParts{
		sts: byBroker, propagation: "off", integrations: "runtime_integrations {\nhelper_principal " + brokerARN + "\n}",
		routes: "handle /integrations* {\naws_connect {\napi_key writer writer-key-of-32-letters-or-more {\nscopes integrations:read integrations:write\n}\n}\n}",
	})
	heard := listen(t, "http://"+b.site)
	cmd.Env = append(os.Environ(), "HOST="+heard.url, "API_KEY=writer-key-of-32-letters-or-more")
	got := b.talk(cmd)
	for name, want := range map[string]any{
		"made": []any{"reports", "aws-sigv4", "***"}, "twice": "400 invalid_body", "other": "400 invalid_body", "changed": []any{"More reports", "custom", "***"},
		"kept": []any{"us-east-1", "***"}, "elsewhere": "400 invalid_body", "read": []any{"reports", nil, nil},
		"listed": []any{"acme-s3 aws-sigv4", "reports aws-sigv4"}, "renamed": "archive",
		"readOnly": []any{"409 integration_read_only", "409 integration_read_only"}, "deleted": true, "gone": "404 not_found",
	} {
		g, err := json.Marshal(got[name])
		if err != nil {
			t.Fatal(err)
		}
		if w, err := json.Marshal(want); err != nil || !bytes.Equal(g, w) {
			t.Errorf("%s: %s, want %s", name, g, w)
		}
	}
	heard.check(t, "POST integrations", "GET integrations", "PATCH integrations", "DELETE integrations")
	log, err := os.ReadFile(b.log)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range heard.heard {
		log = append(log, x.got...)
	}
	for _, secret := range []string{"a-secret-of-the-vendor", "a-key-of-the-helper"} {
		if strings.Contains(string(log), secret) {
			t.Errorf("%s was told", secret)
		}
	}
}
