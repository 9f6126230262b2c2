package integration_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// TestCallByConnection is a call on a customer's behalf as the vendor's program makes it with curl, and what
// AWS answers.
func TestCallByConnection(t *testing.T) {
	b := newCallBed(t, nil)
	b.start(b.config(callParts{}))
	id := b.connected("globex", customerRole)
	assumed := b.assumed(customerRole)

	b.get("/proxy/bucket/a%20b/%C3%A9?list-type=2&prefix=x%2Fy", as(id)...).expect(t, 200, "ASIAACME", "signed for s3 in eu-west-1")
	b.do("PUT", "/proxy/bucket/key", "hello", as(id, "Content-Type: text/plain", "X-Amz-Meta-A: b")...).expect(t, 200)
	b.do("HEAD", "/proxy//bucket//..", "", as(id)...).expect(t, 200)
	b.get("/proxy", as(id)...).expect(t, 200)
	got := b.up.all(4)
	for i, want := range []string{"/bucket/a%20b/%C3%A9?list-type=2&prefix=x%2Fy", "/bucket/key", "//bucket//..", "/"} {
		if got[i].Target != want {
			t.Errorf("arrived as %q, want %q", got[i].Target, want)
		}
	}
	bodyIs("hello")(t, got[1])
	if got[1].Get("Content-Type") != "text/plain" || got[1].Get("X-Amz-Meta-A") != "b" {
		t.Errorf("ordinary headers did not arrive:\n%s", wire(got[1]))
	}
	if n := b.assumed(customerRole) - assumed; n != 1 {
		t.Errorf("the role was assumed %d times, want 1", n)
	}
	log := b.everything()
	if !strings.Contains(log, `"aws_connection":"`+id+`"`) || !strings.Contains(log, `"aws_integration":"acme-s3"`) {
		t.Error("the access log does not tell whose call it was")
	}
	for _, secret := range []string{callSecret, "issued-secret", "issued-token"} {
		if at := strings.Index(log, secret); at >= 0 {
			t.Errorf("the log holds %q: %s", secret, log[max(0, at-300):min(len(log), at+100)])
		}
	}
	b.settle()
}

// TestCallsWithReverseProxyOfOnesOwn: the handler's options, before a reverse_proxy that is written out; and
// a user whom Caddy has authenticated, in place of a key.
func TestCallsWithReverseProxyOfOnesOwn(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("wonderland"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	b := newCallBed(t, nil)
	own := func(before, options, proxy string) string {
		return b.config(callParts{proxy: "route {\n" + before + "\naws_sigv4 {\nconnection {header.connection-id}\nintegration acme-s3\nstrip_prefix /proxy\n" + options + "\n}\n" +
			"header >X-Connection {http.aws_sigv4.connection}/{http.aws_sigv4.integration}/{http.aws_sigv4.service}/{http.aws_sigv4.region}\n" +
			"reverse_proxy " + proxy + "\n}"})
	}
	const dynamic = "{\ndynamic aws_sigv4\ntransport aws_sigv4 {\ntls_insecure_skip_verify\n}\n}"
	b.start(own("", "api_key a {env.CALL_KEY}", dynamic))
	id := b.connected("globex", customerRole)
	r := b.get("/proxy/bucket", as(id)...)
	r.expect(t, 200, "signed for s3")
	if got := r.header.Get("X-Connection"); got != id+"/acme-s3/s3/eu-west-1" {
		t.Errorf("the placeholders say %q", got)
	}
	b.up.all(1)

	user := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("alice:wonderland"))
	b.reload(own("basic_auth {\nalice "+string(hash)+"\n}", "authenticated_by_caddy", dynamic))
	b.get("/proxy/bucket", "Connection-Id: "+id, user).expect(t, 200, "signed for s3")
	b.get("/proxy/bucket", "Connection-Id: "+id).expect(t, 401)
	b.reload(own("", "authenticated_by_caddy", dynamic))
	b.get("/proxy/bucket", "Connection-Id: "+id, user).expectError(t, 401, "not_authenticated")
	b.get("/proxy/bucket", as(id)...).expectError(t, 401, "not_authenticated")
	b.up.all(2)

	// Another upstream gets no signature, nor does an upstream's block say who signs.
	other := newEndpoint(t, newKeyring(), nil)
	b.reload(own("", "api_key a {env.CALL_KEY}", "https://"+other.Addr()+" {\ntransport aws_sigv4 {\ntls_insecure_skip_verify\n}\n}"))
	b.get("/proxy/bucket", as(id)...).expectError(t, 502, "wrong_upstream")
	b.reload(own("", "api_key a {env.CALL_KEY}", other.Addr()))
	b.get("/proxy/bucket", as(id)...).expect(t, 403, "SignatureDoesNotMatch")
	if got := other.last(); !strings.Contains(got.Get("Authorization"), "unsigned") || strings.Contains(wire(got), callSecret) {
		t.Errorf("another transport sent\n%s", wire(got))
	}
	b.reload(own("", "api_key a {env.CALL_KEY}", "{\ndynamic aws_sigv4\ntransport aws_sigv4 {\nservice sqs\nregion us-east-1\nupstream "+b.up.Addr()+" {\nservice sqs\nregion us-east-1\n"+alice+"\n}\ntls_insecure_skip_verify\n}\n}"))
	b.get("/proxy/bucket", as(id)...).expect(t, 200, "ASIAACME", "signed for s3 in eu-west-1")
	b.settle()
}

// TestRefusedCalls are calls that are not made, with what the caller learns, and that what it may not use
// looks as if it did not exist. Nothing is sent, and no other identity is used.
func TestRefusedCalls(t *testing.T) {
	b := newCallBed(t, nil)
	config := b.config(callParts{
		options: "id {header.connection-id}\nintegration {header.provider-config-key}\nstrip_prefix /proxy\n" +
			"api_key backend {env.CALL_KEY}\napi_key narrow narrow-key-0123456789abcdef {\nintegrations other\n}\n" +
			"api_key reader reader-key-0123456789abcdef {\nscopes connections:read\n}\n",
		integration: "allow_methods GET PUT\nallow_paths /bucket/* /list\nallow_regions eu-west-1 us-east-1",
		more:        "integration other {\nservice s3\nregion eu-west-1\nsts credentials broker\nbase_url https://" + b.up.Addr() + "\nallow_hosts " + b.up.Addr() + "\n}",
	})
	b.start(config)
	id := b.connected("globex", customerRole)
	b.get("/proxy/list", as(id)...).expect(t, 200)
	assumed := b.assumed(customerRole)

	nobody := "00000000-0000-4000-8000-000000000000"
	key := func(secret string) string { return "Authorization: Bearer " + secret }
	for _, tt := range []struct {
		name, method, target string
		lines                []string
		status               int
		code                 string
	}{
		{"no key", "GET", "/proxy/list", without(as(id), "Authorization"), 401, "missing_auth_header"},
		{"a wrong key", "GET", "/proxy/list", without(as(id), "Authorization", key("wrong-key-0123456789abcdef")), 401, "unknown_account"},
		{"a key of Connect", "GET", "/proxy/list", without(as(id), "Authorization", key(connectSecret)), 401, "unknown_account"},
		{"basic", "GET", "/proxy/list", without(as(id), "Authorization", "Authorization: Basic YTpi"), 401, "malformed_auth_header"},
		{"two keys", "GET", "/proxy/list", as(id, key(callSecret)), 401, "malformed_auth_header"},
		{"a key without the scope", "GET", "/proxy/list", without(as(id), "Authorization", key("reader-key-0123456789abcdef")), 403, "forbidden"},
		{"a key of another integration", "GET", "/proxy/list", without(as(id), "Authorization", key("narrow-key-0123456789abcdef")), 404, "unknown_provider_config"},
		{"an integration that is not there", "GET", "/proxy/list", without(as(id), "Provider-Config-Key", "Provider-Config-Key: nobody"), 404, "unknown_provider_config"},
		{"the connection of another integration", "GET", "/proxy/list", without(as(id), "Provider-Config-Key", "Provider-Config-Key: other"), 404, "unknown_connection"},
		{"that with a key of that integration", "GET", "/proxy/list", append(without(without(as(id), "Provider-Config-Key", "Provider-Config-Key: other"), "Authorization"), key("narrow-key-0123456789abcdef")), 404, "unknown_connection"},
		{"a connection that is not there", "GET", "/proxy/list", as(nobody), 404, "unknown_connection"},
		{"a connection that can't be", "GET", "/proxy/list", as("../../x"), 404, "unknown_connection"},
		{"a template for an ID", "GET", "/proxy/list", as("{env.CALL_KEY}"), 404, "unknown_connection"},
		{"an empty ID", "GET", "/proxy/list", as(""), 400, "invalid_headers"},
		{"no ID", "GET", "/proxy/list", without(as(id), "Connection-Id"), 400, "invalid_headers"},
		{"no integration", "GET", "/proxy/list", without(as(id), "Provider-Config-Key"), 400, "invalid_headers"},
		{"an integration that can't be", "GET", "/proxy/list", without(as(id), "Provider-Config-Key", "Provider-Config-Key: a/b"), 400, "invalid_headers"},
		{"two IDs", "GET", "/proxy/list", as(id, "Connection-Id: "+nobody), 404, "unknown_connection"},
		{"a long ID", "GET", "/proxy/list", as(strings.Repeat("x", 300)), 400, "invalid_headers"},
		{"retries", "GET", "/proxy/list", as(id, "Retries: many"), 400, "invalid_headers"},
		{"retries below none", "GET", "/proxy/list", as(id, "Retries: -1"), 400, "invalid_headers"},
		{"retry-on", "GET", "/proxy/list", as(id, "Retry-On: 5xx"), 400, "invalid_headers"},
		{"two overrides", "GET", "/proxy/list", as(id, "Base-Url-Override: https://a.example", "Base-Url-Override: https://b.example"), 400, "invalid_headers"},

		{"a method", "DELETE", "/proxy/bucket/x", as(id), 403, "not_permitted"},
		{"a path", "GET", "/proxy/other/x", as(id), 403, "not_permitted"},
		{"a path by dots", "GET", "/proxy/bucket/../other", as(id), 403, "not_permitted"},
		{"a path by encoded dots", "GET", "/proxy/bucket/%2e%2E/other", as(id), 403, "not_permitted"},
		{"a path by an encoded slash", "GET", "/proxy/bucket%2F..%2Fother", as(id), 403, "not_permitted"},
		{"a source outside", "PUT", "/proxy/bucket/x", as(id, "X-Amz-Copy-Source: /other/secret"), 403, "not_permitted"},
		{"a rename from outside", "PUT", "/proxy/bucket/x", as(id, "X-Amz-Rename-Source: %2Fother%2Fsecret"), 403, "not_permitted"},
		{"a source by its prefix", "PUT", "/proxy/bucket/x", as(id, "Nango-Proxy-X-Amz-Copy-Source: other/secret"), 403, "not_permitted"},
		{"an escape that is none", "GET", "/proxy/bucket/%zz", as(id), 400, ""},
		{"a path outside of the prefix", "GET", "/proxyx/list", as(id), 404, "not_signed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := b.do(tt.method, tt.target, "", tt.lines...)
			if tt.code == "" {
				r.expect(t, tt.status)
				return
			}
			r.expectError(t, tt.status, tt.code)
			if tt.status == 401 && r.header.Get("Www-Authenticate") == "" {
				t.Error("a 401 does not say how to authenticate")
			}
		})
	}
	b.do("PUT", "/proxy/bucket/x", "", as(id, "X-Amz-Copy-Source: /bucket/y%20z?versionId=1")...).expect(t, 200)
	b.up.all(2)
	if b.assumed(customerRole) != assumed {
		t.Error("a refused call assumed the role")
	}
	b.settle()
}

// TestCallsWithoutAnIntegration: a key counts for the connection's own integration; and a connection that is
// written in the configuration is the only one, whatever the caller asks for.
func TestCallsWithoutAnIntegration(t *testing.T) {
	b := newCallBed(t, nil)
	other := "integration other {\nservice s3\nsts credentials broker\n}"
	b.start(b.config(callParts{more: other, options: "id {header.connection-id}\nstrip_prefix /proxy\napi_key backend {env.CALL_KEY}\n" +
		"api_key narrow narrow-key-0123456789abcdef {\nintegrations other\n}\n"}))
	id := b.connected("globex", customerRole)
	b.get("/proxy/x", without(as(id), "Provider-Config-Key")...).expect(t, 200)
	b.get("/proxy/x", without(as(id), "Authorization", "Authorization: Bearer narrow-key-0123456789abcdef")...).expectError(t, 404, "unknown_connection")

	b.reload(b.config(callParts{more: other, options: "id " + id + "\nstrip_prefix /proxy\n"}))
	b.get("/proxy/x").expect(t, 200, "ASIAACME")
	b.get("/proxy/x", as("00000000-0000-4000-8000-000000000000")...).expect(t, 200, "ASIAACME")
	b.reload(b.config(callParts{more: other, options: "id " + id + "\nintegration other\nstrip_prefix /proxy\n"}))
	b.get("/proxy/x").expectError(t, 404, "unknown_connection")
	b.up.all(3)
	b.settle()
}
