package integration_test

import (
	"sync/atomic"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// TestCallsThatNobodyAuthenticates: where whoever comes may use the one connection that is configured, they
// don't choose where it calls, nor how often.
func TestCallsThatNobodyAuthenticates(t *testing.T) {
	var fails atomic.Bool
	b := newCallBed(t, func(*wireverify.Request) (wireverify.Action, bool) {
		return wireverify.Action{Respond: func(*wireverify.Request) wireverify.Response {
			return wireverify.Response{Status: 503, Headers: []wireverify.Header{{Name: "Retry-After", Value: "0"}}}
		}}, fails.Load()
	})
	second := newTLSEndpoint(t, b.keys, nil)
	target := "base_url https://" + b.up.Addr() + "/public\nallow_hosts " + b.up.Addr() + " " + second.Addr()
	b.start(b.config(callParts{target: target}))
	id := b.connected("globex", customerRole)
	b.get("/proxy/x", as(id, "Base-Url-Override: https://"+second.Addr())...).expect(t, 200)

	b.reload(b.config(callParts{target: target, options: "id " + id + "\nstrip_prefix /proxy\n"}))
	b.get("/proxy/x", "Base-Url-Override: ").expect(t, 200)
	for _, host := range []string{second.Addr(), b.up.Addr()} {
		b.get("/proxy/x", "Base-Url-Override: https://"+host).expectError(t, 403, "base_url_override_not_allowed")
		b.get("/proxy/x", as(id, "Base-Url-Override: https://"+host)...).expectError(t, 403, "base_url_override_not_allowed")
	}
	fails.Store(true)
	b.get("/proxy/x", "Retries: 5").expect(t, 503)
	if got := b.up.all(2)[0].Target; got != "/public/x" {
		t.Errorf("arrived as %q", got)
	}
	second.all(1)
	b.settle()
}
