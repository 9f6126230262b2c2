package web_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/web"
)

func TestKeyring(t *testing.T) {
	ring, err := web.NewKeyring([]web.Key{
		{Name: "a", Secrets: []string{"secret-0123456789", "secret-9876543210"}, Scopes: []web.Scope{web.ScopeProxy}},
		{Name: "b", Secrets: []string{"another-0123456789"}, Integrations: []string{"acme"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]string{
		"Bearer secret-0123456789": "a", "bearer secret-9876543210": "a", "Bearer another-0123456789": "b",
	} {
		if key, err := ring.Of(http.Header{"Authorization": {header}}); err != nil || key.Name != want {
			t.Errorf("%s is %+v, %v; want %s", header, key, err, want)
		}
	}
	for header, want := range map[string]error{
		"Bearer secret-012345678": web.ErrUnknownKey, "Basic c2VjcmV0": web.ErrMalformedKey, "Bearer": web.ErrMalformedKey,
	} {
		if _, err := ring.Of(http.Header{"Authorization": {header}}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", header, err, want)
		}
	}
	if _, err := ring.Of(http.Header{}); !errors.Is(err, web.ErrNoKey) {
		t.Error(err)
	}
	a, _ := ring.Of(http.Header{"Authorization": {"Bearer secret-0123456789"}})
	b, _ := ring.Of(http.Header{"Authorization": {"Bearer another-0123456789"}})
	if !a.May(web.ScopeProxy) || b.May(web.ScopeProxy) || !a.MayUse("x") || b.MayUse("x") || !b.MayUse("acme") {
		t.Error("keys may do something else than what they were given")
	}
	if _, err := web.NewKeyring([]web.Key{{Name: "a", Secrets: []string{"short"}}}); err == nil {
		t.Error("a short secret is accepted")
	}
}

func TestTakesSecrets(t *testing.T) {
	for _, tt := range []struct {
		host, from string
		https      bool
		want       bool
	}{
		{"site.example", "203.0.113.7:1234", false, false},
		{"site.example", "203.0.113.7:1234", true, true},
		{"site.example", "10.1.2.3:1234", false, true},
		{"localhost:8080", "127.0.0.1:1234", false, true},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host, r.RemoteAddr = tt.host, tt.from
		if tt.https {
			r.TLS = new(tls.ConnectionState)
		}
		if got := web.TakesSecrets(r, tt.https); got != tt.want {
			t.Errorf("%+v: %t", tt, got)
		}
	}
}
