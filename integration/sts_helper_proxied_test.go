package integration_test

import (
	"strings"
	"testing"
)

// TestHelperBehindAProxy: what a proxy that Caddy trusts says of its client's way counts.
func TestHelperBehindAProxy(t *testing.T) {
	newSTS(t)
	from := func(s *server, lines ...string) reply {
		return s.do("POST", "/assume-role", ask("Acme", "acme:1"), append(lines, jsonType, "X-Api-Key: "+helperKey)...)
	}
	s := startCaddy(t, helperSite("servers {\ntrusted_proxies static 127.0.0.0/8 ::1/128\n}\n", acmeKey))
	from(s, "X-Forwarded-For: 8.8.8.8", "X-Forwarded-Proto: http").expect(t, 403, "https_required")
	from(s, "X-Forwarded-For: 8.8.8.8", "X-Forwarded-Proto: https").expect(t, 200)
	from(s, "X-Forwarded-For: 10.7.7.7", "X-Forwarded-Proto: http").expect(t, 200)
	if !strings.Contains(s.logged(), `"client_ip":"8.8.8.8"`) {
		t.Error("the log does not name the client")
	}
	s.reload(helperSite("", acmeKey))
	from(s, "X-Forwarded-For: 8.8.8.8", "X-Forwarded-Proto: http").expect(t, 200)
}
