package integration_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// TestHeadersOfCalls: the API key, cookies and what is meant for the proxy never reach AWS, whether they come
// as they are or with the prefix that clients put before headers for AWS; and what is meant for AWS does.
func TestHeadersOfCalls(t *testing.T) {
	b := newCallBed(t, nil)
	b.start(b.config(callParts{}))
	id := b.connected("globex", customerRole)
	smuggled := "smuggled-0123456789"
	lines := as(
		id,
		"Cookie: session="+smuggled, "Cookie2: "+smuggled, "Retries: 0", "Retry-On: 418", "Base-Url-Override: ", "Decompress: "+smuggled,
		"Forward-Headers-On-Redirect: "+smuggled, "Nango-Activity-Log-Id: "+smuggled, "Nango-Is-Sync: "+smuggled, "Nango-Is-Dry-Run: "+smuggled,
		"Nango-Anything: "+smuggled, "X-Amz-Security-Token: "+smuggled, "X-Amz-Date: "+smuggled, "Date: "+smuggled, "Proxy-Authorization: "+smuggled,
		"Connection: X-Hop", "X-Hop: "+smuggled,
	)
	for _, name := range []string{
		"Authorization", "X-Amz-Security-Token", "x-amz-date", "X-Amz-Content-Sha256", "X-Amz-S3session-Token", "Proxy-Authorization", "Cookie", "Connection-Id",
		"Provider-Config-Key", "Retries", "Base-Url-Override", "Nango-Proxy-Authorization", "Nango-Is-Sync", "Host", "Connection", "Transfer-Encoding",
		"Content-Length", "Upgrade", "Te", "Trailer", "Keep-Alive", "Expect", "",
	} {
		lines = append(lines, "Nango-Proxy-"+name+": "+smuggled)
	}
	b.get("/proxy/key", append(
		lines, "nango-proxy-x-amz-meta-a: b", "Nango-Proxy-Range: bytes=0-1", "Nango-Proxy-Content-Type: text/csv", "Content-Type: application/json",
		"Accept: */*", "X-Amz-Acl: private", "Accept-Language: en",
	)...).expect(t, 200)
	got := b.up.all(1)[0]
	text := wire(got)
	for _, never := range []string{
		smuggled, callSecret, id, "Nango", "nango", "Provider-Config", "Connection-Id", "Retr", "Base-Url", "Decompress", "Cookie", "application/json",
	} {
		if strings.Contains(text, never) {
			t.Errorf("%q arrived:\n%s", never, text)
		}
	}
	for name, want := range map[string]string{
		"X-Amz-Meta-A": "b", "Range": "bytes=0-1", "Content-Type": "text/csv", "Accept": "*/*", "X-Amz-Acl": "private", "Accept-Language": "en",
	} {
		if v := got.Values(name); !slices.Equal(v, []string{want}) {
			t.Errorf("%s arrived as %q, want %q", name, v, want)
		}
	}
	if !strings.Contains(got.Get("Authorization"), "ASIAACME") || got.Get("Accept-Encoding") != "" {
		t.Errorf("arrived as\n%s", text)
	}
	b.settle()
}

// TestNothingIsATemplate: what a caller sends is never filled in, neither Caddy's way nor the other system's.
func TestNothingIsATemplate(t *testing.T) {
	b := newCallBed(t, nil)
	b.start(b.config(callParts{}))
	id := b.connected("globex", customerRole)
	for _, tt := range []struct{ target, want string }{
		{"/proxy/b/${secret_access_key}", "/b/%24%7Bsecret_access_key%7D"},
		{"/proxy/b/{env.CALL_KEY}", "/b/%7Benv.CALL_KEY%7D"},
		{"/proxy/b/{http.vars.x}?a={http.request.header.Authorization}", "/b/%7Bhttp.vars.x%7D?a=%7Bhttp.request.header.Authorization%7D"},
		{"/proxy/%7Benv.CALL_KEY%7D", "/%7Benv.CALL_KEY%7D"},
	} {
		b.get(tt.target, as(id, "X-Amz-Meta-A: {env.CALL_KEY}${session_token}", "Nango-Proxy-X-Amz-Meta-B: ${secret_access_key}")...).expect(t, 200)
		got := b.up.last()
		if got.Target != tt.want || got.Get("X-Amz-Meta-A") != "{env.CALL_KEY}${session_token}" || got.Get("X-Amz-Meta-B") != "${secret_access_key}" {
			t.Errorf("arrived as\n%s", wire(got))
		}
	}
	for _, override := range []string{"https://{env.CALL_KEY}.example", "https://${secret_access_key}.s3.eu-west-1.amazonaws.com"} {
		b.get("/proxy/b", as(id, "Base-Url-Override: "+override)...).expectError(t, 400, "invalid_base_url")
	}
	b.up.all(4)
	b.settle()
}

// TestAnswersToCalls: the caller gets AWS's own bytes, status and headers, redirects and what is packed too.
func TestAnswersToCalls(t *testing.T) {
	packed := "\x1f\x8b\x08\x00not really"
	answers := map[string]wireverify.Response{
		"/redirect": {Status: 307, Headers: []wireverify.Header{{Name: "Location", Value: "https://evil.example/steal"}}, Body: "<Error/>"},
		"/packed":   {Headers: []wireverify.Header{{Name: "Content-Encoding", Value: "gzip"}, {Name: "ETag", Value: `"e"`}, {Name: "x-amz-version-id", Value: "v"}}, Body: packed},
		"/missing":  {Status: 404, Headers: []wireverify.Header{{Name: "Content-Type", Value: "application/xml"}}, Body: "<Error><Code>NoSuchKey</Code></Error>"},
		"/denied":   {Status: 403, Headers: []wireverify.Header{{Name: "Content-Type", Value: "application/xml"}}, Body: "<Error><Code>AccessDenied</Code></Error>"},
	}
	b := newCallBed(t, func(head *wireverify.Request) (wireverify.Action, bool) {
		a, ok := answers[head.Target]
		return wireverify.Action{Respond: func(*wireverify.Request) wireverify.Response { return a }}, ok
	})
	b.start(b.config(callParts{}))
	id := b.connected("globex", customerRole)
	for path, want := range answers {
		r := b.get("/proxy"+path, as(id, "Decompress: true", "Forward-Headers-On-Redirect: true")...)
		r.expect(t, max(want.Status, 200))
		if r.body != want.Body {
			t.Errorf("%s: the body is %q, want %q", path, r.body, want.Body)
		}
		for _, h := range want.Headers {
			if r.header.Get(h.Name) != h.Value {
				t.Errorf("%s: %s is %q, want %q", path, h.Name, r.header.Get(h.Name), h.Value)
			}
		}
	}
	b.up.all(len(answers))
	b.settle()
}
