package integration_test

import (
	"strings"
	"testing"
)

// TestConnectionsThatCantBeUsed: whatever is wrong with a connection, its calls fail, and nobody else signs.
func TestConnectionsThatCantBeUsed(t *testing.T) {
	b := newCallBed(t, nil)
	b.start(b.config(callParts{}))
	id := b.connected("globex", customerRole)
	other := b.connected("initech", strings.Replace(customerRole, "Acme", "Other", 1))
	b.get("/proxy/x", as(id)...).expect(t, 200, "ASIAACME")
	b.get("/proxy/x", as(other)...).expect(t, 200, "ASIAOTHER")
	patch := func(method, path, body string) {
		t.Helper()
		b.do(method, "/connections/"+id+path, body, jsonType, "Authorization: Bearer "+updateSecret).expect(t, 200, "true")
	}
	patch("PATCH", "", `{"limits":{"methods":["PUT"]}}`)
	b.get("/proxy/x", as(id)...).expectError(t, 403, "not_permitted")
	patch("PATCH", "", `{"limits":{"rate":{"calls":1,"per_seconds":3600}}}`)
	b.get("/proxy/x", as(id)...).expect(t, 200)
	b.get("/proxy/x", as(id)...).expectError(t, 429, "too_many_request")
	patch("PATCH", "", `{"limits":{},"base_url":"https://evil.example"}`)
	b.get("/proxy/x", as(id)...).expectError(t, 403, "base_url_not_allowed")
	patch("PATCH", "", `{"base_url":"https://`+b.up.Addr()+`/own"}`)
	b.get("/proxy/x", as(id)...).expect(t, 200)
	if got := b.up.last().Target; got != "/own/x" {
		t.Errorf("arrived as %q", got)
	}
	patch("POST", "/pause", "")
	b.get("/proxy/x", as(id)...).expectError(t, 403, "connection_paused")
	b.get("/proxy/x", without(as(id), "Authorization")...).expectError(t, 401, "missing_auth_header")
	patch("POST", "/resume", "")
	b.get("/proxy/x", as(id)...).expect(t, 200)
	called := len(b.up.Requests())
	b.api("DELETE", "/connections/"+id, "").expect(t, 200)
	b.get("/proxy/x", as(id)...).expectError(t, 404, "unknown_connection")
	b.get("/proxy/x", as(other)...).expect(t, 200, "ASIAOTHER")
	if n := len(b.up.Requests()); n != called+1 {
		t.Errorf("%d requests arrived, want 1", n-called)
	}
	b.settle()
}

// TestRolesThatAreRevoked: what AWS says is what the caller learns, and the connection shows it; error routes
// can say it in their own way, and metrics count it.
func TestRolesThatAreRevoked(t *testing.T) {
	b := newCallBed(t, nil)
	b.admin = freePort(t)
	config := b.config(callParts{global: "metrics"})
	b.start(config)
	id := b.connected("globex", customerRole)
	b.makeRole(customerRole, "another External ID")

	r := b.get("/proxy/x", as(id)...)
	r.expectError(t, 502, "credentials_unavailable")
	r.expect(t, 502, "AccessDenied", "is not authorized to perform: sts:AssumeRole", "External ID")
	waitFor(t, patience, func() bool {
		return strings.Contains(b.api("GET", "/connections/"+id, "").body, "assume_role_denied")
	}, "the connection to show why")
	b.up.nothing()
	r = b.get("/proxy/x", as("00000000-0000-4000-8000-000000000000")...)
	r.expectError(t, 404, "unknown_connection")

	series, text := b.scrape()
	for name, want := range map[string]float64{
		`calls_total{integration="acme-s3",outcome="no_credentials"}`: 1,
		`calls_total{integration="",outcome="refused"}`:               1,
	} {
		if series[name] < want {
			t.Errorf("%s is %v, want %v at least, in\n%s", name, series[name], want, text)
		}
	}
	if strings.Contains(text, id) {
		t.Error("a metric names a connection")
	}

	b.reload(strings.Replace(config, "handle /proxy*", "handle_errors {\nrespond \"{http.error.status_code} {http.aws_sigv4.error.reason} {http.aws_sigv4.error.code} {http.aws_sigv4.error.name}.\"\n}\nhandle /proxy*", 1))
	b.get("/proxy/x", as(id)...).expect(t, 502, "502 credentials_unavailable AccessDenied .")
	b.get("/proxy/x", without(as(id), "Authorization")...).expect(t, 401, "401 missing_auth_header  .")
	b.settle()
}
