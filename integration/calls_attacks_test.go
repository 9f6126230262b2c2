package integration_test

import (
	"fmt"
	"strings"
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

// TestSourcesOfCalls: what S3 is to copy, or to rename, counts as a path, however its header comes.
func TestSourcesOfCalls(t *testing.T) {
	b := newCallBed(t, nil)
	b.start(b.config(callParts{integration: "allow_paths /bucket/*"}))
	id := b.connected("globex", customerRole)
	for _, name := range []string{"X-Amz-Copy-Source", "x-amz-rename-source"} {
		for _, from := range []string{"/other/secret", "other/secret", "%2Fother%2Fsecret", "/bucket/../other", "bucket/%2e%2e/other", "/bucket%zz", "bucket/x?versionId=1/../.."} {
			for _, prefix := range []string{"", "Nango-Proxy-", "nAnGo-pRoXy-"} {
				r := b.do("PUT", "/proxy/bucket/x", "", as(id, prefix+name+": "+from)...)
				if !strings.Contains(from, "?") {
					r.expectError(t, 403, "not_permitted")
				}
			}
		}
		b.do("PUT", "/proxy/bucket/x", "", as(id, name+": /bucket/y", name+": /other/secret")...).expectError(t, 403, "not_permitted")
		b.do("PUT", "/proxy/bucket/x", "", as(id, name+": /bucket/y")...).expect(t, 200)
	}
	for _, r := range b.up.Requests() {
		if strings.Contains(wire(r), "other") || strings.Contains(wire(r), "secret") {
			t.Errorf("arrived as\n%s", wire(r))
		}
	}
	b.settle()
}

// TestSmuggledCalls: whatever a client does to headers, and to where a request ends, AWS gets one request, which
// is the one that is signed, as the customer and nobody else.
func TestSmuggledCalls(t *testing.T) {
	b := newCallBed(t, nil)
	b.start(b.config(callParts{}))
	id := b.connected("globex", customerRole)
	const forged = "FORGED0123456789"
	// Each gets the status, or 0 if net/http may break the connection or say what it likes.
	for _, tt := range []struct {
		name   string
		status int
		lines  []string
		body   string
	}{
		{"our headers are named as hops", 200, []string{"Connection: Authorization, X-Amz-Date, X-Amz-Security-Token, X-Amz-Content-Sha256, Host"}, ""},
		{"control headers are named as hops", 200, []string{"Connection: Base-Url-Override, Connection-Id, Provider-Config-Key", "Base-Url-Override: "}, ""},
		{"odd case", 200, []string{"nANGO-pROXY-aUTHORIZATION: " + forged, "NANGO-PROXY-X-AMZ-SECURITY-TOKEN: " + forged, "nango-proxy-x-AMZ-date: " + forged, "cOOKIE: " + forged}, ""},
		{"twice the prefix", 200, []string{"Nango-Proxy-Nango-Proxy-Authorization: " + forged, "Nango-Proxy-Nango-Proxy-Nango-Proxy-Host: " + forged}, ""},
		{"another host", 200, []string{"Nango-Proxy-Host: " + forged, "X-Forwarded-Host: " + forged, "Nango-Proxy-X-Forwarded-Host: " + forged}, ""},
		{"another length", 200, []string{"Nango-Proxy-Content-Length: 1", "Nango-Proxy-Transfer-Encoding: chunked", "Nango-Proxy-Te: trailers", "Nango-Proxy-Trailer: " + forged}, "hello"},
		{"another signature's body", 501, []string{"Nango-Proxy-Content-Encoding: aws-chunked"}, "hello"},
		{"a signature in the query", 200, []string{"X-Amz-Meta-A: b"}, ""},
		{"a value folded", 0, []string{"X-Amz-Meta-A: b\r\n Authorization: " + forged}, ""},
		{"a bare CR", 0, []string{"X-Amz-Meta-A: b\rAuthorization: " + forged}, ""},
		{"a blank before the colon", 400, []string{"Nango-Proxy-Authorization : " + forged}, ""},
		{"two lengths", 400, []string{"Content-Length: 3"}, "hello"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := "/proxy/key"
			if strings.Contains(tt.name, "query") {
				target += "?X-Amz-Signature=" + forged + "&X-Amz-Security-Token=" + forged + "&x-amz-credential=" + forged
			}
			before := len(b.up.Requests())
			r, err := tryExchange(b.addr(), requestText("PUT", target, b.addr(), tt.body, as(id, tt.lines...)...))
			if tt.status != 0 && (err != nil || r.status != tt.status) {
				t.Errorf("answered %v, %v; want %d", r, err, tt.status)
			}
			for _, got := range b.up.Requests()[before:] {
				_, err := b.up.verify(got)
				if text := wire(got); err != nil || strings.Contains(text, callSecret) || strings.Contains(text, id) ||
					strings.Contains(text, forged) && tt.status != 0 || !strings.Contains(got.Get("Authorization"), "ASIAACME") || len(got.Values("Authorization")) != 1 {
					t.Errorf("%v: arrived as\n%s", err, text)
				}
			}
		})
	}
	// What follows a length that counts for nothing is a request of its own, and has no key.
	before := len(b.up.Requests())
	hidden := "GET /proxy/hidden HTTP/1.1\r\nHost: " + b.addr() + "\r\nConnection-Id: " + id + "\r\n\r\n"
	text := requestText("PUT", "/proxy/first", b.addr(), "", as(id, fmt.Sprintf("Content-Length: %d", 5+len(hidden)), "Transfer-Encoding: chunked")...)
	_, _ = tryExchange(b.addr(), text+"0\r\n\r\n"+hidden)
	for _, got := range b.up.Requests()[before:] {
		if strings.Contains(got.Target, "hidden") || len(got.Body) > 0 {
			t.Errorf("arrived as\n%s", wire(got))
		}
	}
	if bad := b.up.Malformed(); len(bad) > 0 {
		t.Errorf("AWS got what is no request: %v", bad)
	}
	b.settle()
}

// TestCallsTellNoSecret: what Caddy says of calls, good and bad, anywhere: in logs at the level DEBUG, in metrics,
// at its admin endpoint, in answers, and in what the API and the operator's pages show of the connection.
func TestCallsTellNoSecret(t *testing.T) {
	b := newCallBed(t, func(head *wireverify.Request) (wireverify.Action, bool) {
		return wireverify.Action{Die: true, BodyBytes: 1 << 20}, head.Target == "/dies"
	})
	b.admin = freePort(t)
	config := b.config(callParts{global: "metrics", options: callOptions, errors: "handle /ops* {\nbasic_auth {\nalice " + adminHash + "\n}\nuri strip_prefix /ops\naws_connect_admin\n}"})
	b.start(config)
	id := b.connected("globex", customerRole)
	var told strings.Builder
	say := func(where string, r reply) {
		fmt.Fprintf(&told, "%s: %v %v\n", where, r, r.header)
	}
	for name, lines := range map[string][]string{
		"good": nil, "elsewhere": {"Base-Url-Override: https://user:" + callSecret + "@evil.example"}, "control": {"Retries: " + callSecret},
		"key in the ID": {"Connection-Id: " + callSecret}, "two keys": {"Authorization: Bearer " + callSecret}, "prefix": {"Nango-Proxy-Range: bytes=0-1"},
	} {
		r := b.get("/proxy/x", as(id, lines...)...)
		if name != "elsewhere" && name != "control" { // Who writes a secret there gets no more of it, but is logged by Caddy.
			say(name, r)
		}
		r.body = strings.ReplaceAll(r.body, "signed for", "")
		if strings.Contains(r.body, callSecret) || strings.Contains(r.body, "issued-") {
			t.Errorf("%s is answered %v", name, r)
		}
	}
	say("dies", b.get("/proxy/dies", as(id)...))
	say("connection", b.api("GET", "/connections/"+id, ""))
	say("openapi", b.get("/openapi.json"))
	say("page", b.get("/ops/connections/"+id+"/", operator{b.connectBed, "alice"}.lines()[0]))
	for _, path := range []string{"/metrics", "/aws_sigv4/credentials", "/config/apps/http", "/reverse_proxy/upstreams"} {
		say(path, b.administer("GET", path)) // The broker's key stands literally in the rest of the configuration.
	}
	if !strings.Contains(told.String(), "caddy_aws_sigv4_calls_total") || !strings.Contains(told.String(), "Logged in as") {
		t.Error("the test looks at too little")
	}
	for _, secret := range []string{callSecret, "issued-secret", "issued-token", connectSecret, b.sealKey, "broker/secret+key"} {
		for _, spelled := range spellings(secret) {
			if at := strings.Index(told.String(), spelled); at >= 0 {
				t.Errorf("%q is told: %s", spelled, told.String()[max(0, at-300):at])
			}
		}
	}
	log := b.everything()
	for _, secret := range []string{"issued-secret", "issued-token", connectSecret, b.sealKey, "broker/secret+key", "Bearer " + callSecret} {
		if at := strings.Index(log, secret); at >= 0 {
			t.Errorf("the log holds %q: %s", secret, log[max(0, at-300):at])
		}
	}
	b.settle()
}

// TestCallsAreForNoOtherOrigin: allow_origins is for what customers' browsers ask, and never for calls.
func TestCallsAreForNoOtherOrigin(t *testing.T) {
	b := newCallBed(t, nil)
	b.start(strings.Replace(b.config(callParts{}), "api_key updater", "allow_origins https://app.example.com\napi_key updater", 1))
	id := b.connected("globex", customerRole)
	preflight := []string{"Origin: https://app.example.com", "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization"}
	if r := b.do("OPTIONS", "/connect/session", "", preflight...); r.status != 204 || r.header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("/connect/session: %v %v", r, r.header)
	}
	for name, r := range map[string]reply{
		"a preflight": b.do("OPTIONS", "/proxy/x", "", preflight...), "a call": b.get("/proxy/x", as(id, preflight[0])...),
		"a call that fails": b.get("/proxy/x", preflight[0]), "the connection": b.do("OPTIONS", "/connections/"+id, "", preflight...),
	} {
		for header := range r.header {
			if strings.HasPrefix(header, "Access-Control-") {
				t.Errorf("%s has %s", name, header)
			}
		}
	}
	b.up.all(1)
	b.settle()
}
