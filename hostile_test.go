package awssigv4

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/payload"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// provisionProxy provisions a reverse_proxy from a Caddyfile.
func provisionProxy(t *testing.T, text string) error {
	t.Helper()
	ctx, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}})
	if err != nil {
		t.Fatal(err)
	}
	rp := new(reverseproxy.Handler)
	if err := rp.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err != nil {
		t.Fatal(err)
	}
	_, err = ctx.LoadModuleByID("http.handlers.reverse_proxy", caddyconfig.JSON(rp, nil))
	return err
}

func TestAHostThatARequestChoosesNeedsAllowHosts(t *testing.T) {
	const head = "reverse_proxy http://127.0.0.1:9000 {\n"
	const transport = "\ntransport aws_sigv4 {\nservice s3\nregion eu-west-1\ncredentials static AKID secret\nALLOW\n}\n}"
	for name, text := range map[string]string{
		"set":        head + "header_up Host {http.request.header.X-Bucket}.s3.eu-west-1.amazonaws.com" + transport,
		"add":        head + "header_up +Host {http.request.header.X-Bucket}.s3.eu-west-1.amazonaws.com" + transport,
		"replace":    head + "header_up Host ^([^.]*)[.].*$ $1.s3.eu-west-1.amazonaws.com" + transport,
		"upstream":   "reverse_proxy {http.request.header.X-Up}:80 {" + transport,
		"dynamic":    "reverse_proxy {\ndynamic a {http.request.header.X-Up} 80" + transport,
		"from a map": head + "header_up Host {tenant_host}" + transport,
	} {
		err := provisionProxy(t, strings.ReplaceAll(text, "ALLOW", ""))
		if err == nil || !strings.Contains(err.Error(), "say with allow_hosts") {
			t.Errorf("%s: got %v, want an error that asks for allow_hosts", name, err)
		}
		if err := provisionProxy(t, strings.ReplaceAll(text, "ALLOW", "allow_hosts *.s3.eu-west-1.amazonaws.com 127.0.0.1")); err != nil {
			t.Errorf("%s, with allow_hosts: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"fixed":    head + "header_up Host my-bucket.s3.eu-west-1.amazonaws.com" + transport,
		"upstream": head + "header_up Host {http.reverse_proxy.upstream.hostport}" + transport,
		"handler":  head + "header_up Host {http.aws_sigv4.host}" + transport,
		"client":   head + "header_up Host {http.request.host}" + transport,
		"ours":     "reverse_proxy {\ndynamic aws_sigv4" + transport,
	} {
		if err := provisionProxy(t, strings.ReplaceAll(text, "ALLOW", "")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheOperatorsHostCountsWhateverTheClientSends(t *testing.T) {
	set := &hostChange{exists: true, fixed: "my-bucket.s3.eu-west-1.amazonaws.com"}
	for i, tc := range []struct {
		change       *hostChange
		client, host string
		want         string
	}{
		{set, "files.example.com", "my-bucket.s3.eu-west-1.amazonaws.com", "my-bucket.s3.eu-west-1.amazonaws.com"},
		{set, "my-bucket.s3.eu-west-1.amazonaws.com", "my-bucket.s3.eu-west-1.amazonaws.com", "my-bucket.s3.eu-west-1.amazonaws.com"},
		{set, "MY-bucket.s3.eu-west-1.amazonaws.com:8080", "my-bucket.s3.eu-west-1.amazonaws.com", "my-bucket.s3.eu-west-1.amazonaws.com"},
		{new(hostChange), "files.example.com", "files.example.com", ""},
		{new(hostChange), "files.example.com", "changed.by.nobody", ""},
		{&hostChange{exists: true, repeats: true}, "files.example.com", "files.example.com", ""},
		{set, "files.example.com", "127.0.0.1:9000", ""},
		{nil, "files.example.com", "files.example.com", ""},
		{nil, "files.example.com", "other.example.com", "other.example.com"},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:9000/", nil)
		r.Host = tc.client
		repl := caddy.NewReplacer()
		r = caddyhttp.PrepareRequest(r, repl, httptest.NewRecorder(), &caddyhttp.Server{})
		out := ownCopy(r)
		out.Host = tc.host
		if got := (&Transport{hostChange: tc.change}).userHost(out, repl, "127.0.0.1:9000"); got != tc.want {
			t.Errorf("%d: got %q, want %q", i, got, tc.want)
		}
	}
	// A health check has no client.
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:9000/", nil)
	r.Host = "health.example.com"
	if got := (&Transport{hostChange: new(hostChange)}).userHost(r, caddy.NewReplacer(), "127.0.0.1:9000"); got != "health.example.com" {
		t.Errorf("health check: got %q", got)
	}
}

func TestAPlanBelongsToTheFirstTransportThatMeetsIt(t *testing.T) {
	p, first, second := new(plan), new(Transport), new(Transport)
	if p.taken() {
		t.Error("taken before anyone came")
	}
	for range 2 {
		if !p.claim(first) {
			t.Error("the first transport must have it at every attempt")
		}
	}
	if p.claim(second) {
		t.Error("another transport, as in handle_response, must not have it")
	}
}

func TestABodyThatWasChangedSinceCounts(t *testing.T) {
	var b clientBody
	out := attempt(io.NopCloser(strings.NewReader("secret!!")), 8)
	if _, err := b.cover(out, bodyOptions{spool: new(payload.Spool), limit: 0}, sigv4.PayloadHash, false); err != nil {
		t.Fatal(err)
	}
	// As reverse_proxy hands it over: in a wrapper.
	wrapped := attempt(struct{ io.ReadCloser }{out.Body}, 8)
	hash, err := b.cover(wrapped, bodyOptions{spool: new(payload.Spool), limit: 0}, sigv4.PayloadHash, false)
	if err != nil || hash != sigv4.HashPayload([]byte("secret!!")) {
		t.Errorf("the same body: %s, %v", hash, err)
	}
	changed := attempt(io.NopCloser(strings.NewReader("REDACTED")), 8)
	hash, err = b.cover(changed, bodyOptions{spool: new(payload.Spool), limit: 0}, sigv4.PayloadHash, false)
	sent, _ := io.ReadAll(changed.Body)
	if err != nil || hash != sigv4.HashPayload([]byte("REDACTED")) || string(sent) != "REDACTED" {
		t.Errorf("another body: sent %q, hash %s, %v", sent, hash, err)
	}
}

func TestTrailersAreRefusedForEveryService(t *testing.T) {
	for _, rule := range []sigv4.PayloadRule{sigv4.PayloadHash, sigv4.PayloadHashOrUnsigned, sigv4.PayloadUnsigned} {
		for _, body := range []io.ReadCloser{http.NoBody, io.NopCloser(strings.NewReader("x"))} {
			var b clientBody
			out := attempt(body, -1)
			out.Trailer = http.Header{"Authorization": nil}
			_, err := b.cover(out, bodyOptions{spool: new(payload.Spool), limit: 0}, rule, true)
			if r, ok := asRefusal(err); !ok || r.status != http.StatusBadRequest {
				t.Errorf("%s: got %v, want a refusal with 400", rule, err)
			}
		}
	}
}

func TestHostsThatCannotBeSentAreRefused(t *testing.T) {
	for _, good := range []string{"example.com", "example.com:8443", "[::1]:443", "a_b.example.com"} {
		if err := checkHost(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"*.example.com", "my%.s3.eu-west-1.amazonaws.com", "é.example.com", "a|b.example.com", "{system.hostname}.localhost", strings.Repeat("a", 300), "a b", "a/b"} {
		if err := checkHost(bad); err == nil {
			t.Errorf("%q: want an error", bad)
		}
	}
}

func TestRequestsInDynamicUpstreamsAreFound(t *testing.T) {
	for config, want := range map[string]bool{
		``: false,
		`{"source":"a","name":"{http.request.header.X}","port":"80"}`:       true,
		`{"source":"multi","sources":[{"source":"srv","name":"{tenant}"}]}`: true,
		`{"source":"a","name":"{env.NAME}","port":"80"}`:                    false,
		`{"source":"aws_sigv4"}`:                                            false,
	} {
		if got := holdsRequest(json.RawMessage(config)); got != want {
			t.Errorf("%s: got %v, want %v", config, got, want)
		}
	}
}
