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

// TestCallsOfAnotherSitesPages: a browser sends a password that it knows, or a cookie, also with what a page
// of another site asks for. What only a script with the server's leave can send shows that it is none.
func TestCallsOfAnotherSitesPages(t *testing.T) {
	b := newCallBed(t, nil)
	before := "basic_auth {\nalice " + adminHash + "\n}\n"
	const dynamic = "reverse_proxy {\ndynamic aws_sigv4\ntransport aws_sigv4 {\ntls_insecure_skip_verify\n}\n}"
	b.start(b.config(callParts{proxy: "route {\n" + before + "aws_sigv4 {\nconnection {query.c}\nintegration acme-s3\nstrip_prefix /proxy\nauthenticated_by_caddy\n}\n" + dynamic + "\n}"}))
	id := b.connected("globex", customerRole)
	alice := operator{b.connectBed, "alice"}.lines()[0]
	at, called := "/proxy/?c="+id, 0
	for _, tt := range []struct {
		method string
		ok     bool
		lines  []string
	}{
		{"GET", true, nil}, // no browser
		{"GET", true, []string{"Sec-Fetch-Site: none"}},
		{"POST", true, []string{"Sec-Fetch-Site: same-origin", "Origin: http://" + b.addr()}},
		{"POST", true, []string{"Origin: http://" + b.addr()}},
		{"POST", true, []string{"Sec-Fetch-Site: cross-site", "Origin: https://app.example", "Provider-Config-Key: acme-s3"}},
		{"POST", true, []string{"Sec-Fetch-Site: cross-site", "Origin: https://app.example", "Connection-Id: x"}},
		{"GET", false, []string{"Sec-Fetch-Site: cross-site"}},
		{"GET", false, []string{"Sec-Fetch-Site: same-site"}},
		{"GET", false, []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"}},
		{"POST", false, []string{"Sec-Fetch-Site: cross-site", "Origin: http://" + b.addr()}},
		{"POST", false, []string{"Origin: https://evil.example"}},
		{"POST", false, []string{"Origin: null"}},
		{"POST", false, []string{"Origin: http://" + b.addr(), "Origin: https://evil.example"}},
	} {
		r := b.do(tt.method, at, "Action=DeleteEverything", append(tt.lines, alice)...)
		if tt.ok {
			called++
			r.expect(t, 200)
		} else {
			r.expectError(t, 403, "cross_site")
		}
	}
	b.up.all(called)
	b.settle()
}

// TestRetriesEndWithTheConnection: who asked for retries before a connection was paused gets none after.
func TestRetriesEndWithTheConnection(t *testing.T) {
	var b *callBed
	var id string
	b = newCallBed(t, func(*wireverify.Request) (wireverify.Action, bool) {
		return wireverify.Action{Respond: func(*wireverify.Request) wireverify.Response {
			b.do("POST", "/connections/"+id+"/pause", "", "Authorization: Bearer "+updateSecret).expect(t, 200)
			return wireverify.Response{Status: 503, Headers: []wireverify.Header{{Name: "Retry-After", Value: "0"}}, Body: "try again"}
		}}, true
	})
	b.start(b.config(callParts{}))
	id = b.connected("globex", customerRole)
	b.get("/proxy/x", as(id, "Retries: 5")...).expect(t, 503, "try again")
	b.up.all(1)
	b.get("/proxy/x", as(id)...).expectError(t, 403, "connection_paused")
	b.settle()
}
