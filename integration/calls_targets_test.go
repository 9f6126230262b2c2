package integration_test

import (
	"net"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// TestTargetsOfCalls: the URL that a caller asks for comes before the integration's; only hosts that are
// allowed are dialled, over TLS, and at no address that a caller has no business with.
func TestTargetsOfCalls(t *testing.T) {
	b := newCallBed(t, nil)
	second := newTLSEndpoint(t, b.keys, nil)
	_, port, _ := net.SplitHostPort(second.Addr())
	aws := "s3.us-east-2.amazonaws.com:" + port
	second.host = aws
	plain := newEndpoint(t, b.keys, nil)
	inside := nameServer(t, "127.0.0.1")
	b.start(b.config(callParts{
		target: "base_url https://" + b.up.Addr() + "/base/path/\nallow_hosts " + b.up.Addr() + " " + aws + " " + plain.Addr() +
			" *.amazonaws.com *.internal.example 169.254.169.254\nallow_services s3 sqs",
		http: "tls_insecure_skip_verify\nresolvers " + inside,
	}))
	id := b.connected("globex", customerRole)
	call := func(path, override string) reply {
		return b.get("/proxy"+path, as(id, "Base-Url-Override: "+override)...)
	}

	call("/a//b?c", "").expect(t, 200)
	if got := b.up.all(1)[0].Target; got != "/base/path/a//b?c=" {
		t.Errorf("arrived as %q", got)
	}
	call("/x", "https://"+b.up.Addr()).expect(t, 200)
	if got := b.up.all(2)[1].Target; got != "/x" {
		t.Errorf("arrived as %q", got)
	}
	call("/y", "https://"+aws+"/").expect(t, 200, "signed for s3 in us-east-2")
	second.all(1)

	for override, code := range map[string]string{
		"https://evil.example":                           "base_url_override_not_allowed",
		"https://iam.amazonaws.com":                      "base_url_override_not_allowed", // another service
		"https://s3.cn-north-1.amazonaws.com.cn":         "base_url_override_not_allowed", // another partition
		"https://x.eu-west-1.elb.amazonaws.com":          "base_url_override_not_allowed", // somebody's own server
		"https://s3.eu-west-1.amazonaws.com:8443":        "base_url_override_not_allowed",
		"https://" + b.up.Addr() + "@evil.example":       "invalid_base_url",
		"https://user:secret@" + b.up.Addr():             "invalid_base_url",
		"https://" + b.up.Addr() + "/../x":               "invalid_base_url",
		"https://" + b.up.Addr() + "/%2e%2e/x":           "invalid_base_url",
		"https://" + b.up.Addr() + "?x":                  "invalid_base_url",
		"https://" + b.up.Addr() + "#x":                  "invalid_base_url",
		"http://" + plain.Addr():                         "invalid_base_url",
		"http://s3.eu-west-1.amazonaws.com":              "invalid_base_url",
		"ftp://" + b.up.Addr():                           "invalid_base_url",
		"//" + b.up.Addr():                               "invalid_base_url",
		b.up.Addr():                                      "invalid_base_url",
		"https://":                                       "invalid_base_url",
		"https://[::ffff:169.254.169.254]":               "base_url_override_not_allowed",
		"https://0xa9fea9fe":                             "base_url_override_not_allowed",
		"https://2852039166":                             "base_url_override_not_allowed",
		"https://localhost":                              "base_url_override_not_allowed",
		"https://" + strings.Repeat("a", 3000) + ".test": "invalid_base_url",
	} {
		t.Run(override[:min(len(override), 60)], func(t *testing.T) {
			status := 403
			if code == "invalid_base_url" {
				status = 400
			}
			call("/x", override).expectError(t, status, code)
		})
	}
	// These are allowed by name, and not at that address; a retry would not help.
	for _, override := range []string{"https://169.254.169.254", "https://files.internal.example", "https://sqs.eu-west-1.amazonaws.com"} {
		r := b.get("/proxy/x", as(id, "Base-Url-Override: "+override, "Retries: 5")...)
		r.expectError(t, 502, "no_answer")
	}
	b.up.all(2)
	second.all(1)
	plain.nothing()
	b.settle()
}

// TestCallsWithoutTLS are only for hosts in allow_hosts, in full, with `insecure`.
func TestCallsWithoutTLS(t *testing.T) {
	b := newCallBed(t, nil)
	plain := newEndpoint(t, b.keys, func(*wireverify.Request) (wireverify.Action, bool) { return wireverify.Action{}, false })
	parts := callParts{target: "base_url http://" + plain.Addr() + "\nallow_hosts " + plain.Addr()}
	b.start(b.config(parts))
	id := b.connected("globex", customerRole)
	b.get("/proxy/x", as(id)...).expectError(t, 400, "invalid_base_url")
	plain.nothing()
	parts.form = "insecure"
	b.reload(b.config(parts))
	b.get("/proxy/x", as(id)...).expect(t, 200, "signed for s3")
	plain.all(1)
	b.get("/proxy/x", as(id, "Base-Url-Override: http://s3.eu-west-1.amazonaws.com")...).expectError(t, 403, "base_url_override_not_allowed")
	b.settle()
}

// TestBaseURLKeepsItsPath: dots that a service would resolve don't lead out of the base URL.
func TestBaseURLKeepsItsPath(t *testing.T) {
	b := newCallBed(t, nil)
	config := strings.Replace(b.config(callParts{target: "base_url https://" + b.up.Addr() + "/prod\nallow_hosts " + b.up.Addr()}), "service s3", "service sqs", 1)
	b.start(config)
	id := b.connected("globex", customerRole)
	for _, path := range []string{"/x/../admin", "/x/%2e%2e/admin", "/x/.%2E/admin", "/./admin"} {
		b.get("/proxy"+path, as(id)...).expectError(t, 400, "invalid_request")
	}
	b.get("/proxy/orders", as(id)...).expect(t, 200, "signed for sqs")
	if got := b.up.all(1)[0].Target; got != "/prod/orders" {
		t.Errorf("arrived as %q", got)
	}
	b.settle()
}

// TestUsualEndpointIsDialled: without any base URL a call goes to the service's endpoint in the connection's
// region; here that name leads to this machine, so nothing is sent.
func TestUsualEndpointIsDialled(t *testing.T) {
	b := newCallBed(t, nil)
	b.start(b.config(callParts{target: "# none", http: "tls_insecure_skip_verify\nresolvers " + nameServer(t, "127.0.0.1")}))
	id := b.connected("globex", customerRole)
	b.get("/proxy/x", as(id)...).expectError(t, 502, "no_answer")
	b.waitForLog("s3.eu-west-1.amazonaws.com:443 is at 127.0.0.1", 1, patience)
	b.settle()
}
