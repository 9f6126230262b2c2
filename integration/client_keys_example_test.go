package integration_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestClientKeysExample: nothing that a client sends to authenticate itself is in any log of the example, also where a
// handler ends in an error, and whoever has no key of it is refused.
func TestClientKeysExample(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "examples", "client-keys", "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	newSTS(t)
	t.Setenv("TOOLS_EXTERNAL_ID", "tools-external-id")
	t.Setenv("AGENT1_SECRET", "agent-1-secret-0123456789abcdef")
	t.Setenv("AGENT2_SECRET", "agent-2-secret-0123456789abcdef")
	config := strings.Replace(string(text), "s3.internal.example.com {", "http://<site> {", 1)
	config = strings.Replace(config, "{\n", "{\n\torder error first\n", 1)
	s := startCaddy(t, strings.Replace(config, "\taws_sigv4_auth {", "\terror /broken 500\n\taws_sigv4_auth {", 1))
	headers := []string{
		"Authorization: AWS4-HMAC-SHA256 Credential=AGENT1/shown-credential", "X-Amz-Security-Token: shown-token", "X-Api-Key: shown-api-key",
	}
	s.do("GET", "/bucket/key", "", headers...).expect(t, 401)
	s.do("GET", "/broken", "", headers...).expect(t, 500)
	all := s.logged()
	if !strings.Contains(all, "handled request") || !strings.Contains(all, "http.log.error") || !strings.Contains(all, "request not authenticated") {
		t.Errorf("the logs miss a line: %s", all)
	}
	if strings.Contains(all, "shown-") {
		t.Errorf("the logs hold what a client authenticates itself with: %s", all)
	}
}
