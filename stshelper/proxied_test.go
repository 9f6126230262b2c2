package stshelper_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/stshelper"
)

// TestPlainHTTPBeforeAProxy: what a trusted proxy says of the way before it counts as the way to here does.
func TestPlainHTTPBeforeAProxy(t *testing.T) {
	for _, tc := range []struct {
		plain  stshelper.PlainHTTP
		trust  bool
		client string
		proto  string
		want   int
	}{
		{"", true, "8.8.8.8", "http", 403},
		{"", true, "8.8.8.8", "HTTP, https", 403},
		{"", true, "::ffff:8.8.8.8", "http", 403},
		{"", true, "not an address", "http", 403},
		{"", true, "8.8.8.8", "https", 200},
		{"", true, "8.8.8.8", "", 200}, // The proxy says nothing.
		{"", true, "192.168.7.7", "http", 200},
		{"", false, "8.8.8.8", "http", 200}, // Anybody can say that.
		{stshelper.PlainHTTPLoopback, true, "192.168.7.7", "http", 403},
		{stshelper.PlainHTTPLoopback, true, "127.0.0.1", "http", 200},
		{stshelper.PlainHTTPAny, true, "8.8.8.8", "http", 200},
	} {
		b := newBed(t, func(o *stshelper.Options) {
			o.PlainHTTP = tc.plain
			o.ProxiedFor = func(*http.Request) (netip.Addr, bool) {
				addr, _ := netip.ParseAddr(tc.client)
				return addr, tc.trust
			}
		})
		r := httptest.NewRequest("POST", "/assume-role", strings.NewReader(`{"role_arn":"`+acmeRole+`","external_id":"acme:1"}`))
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Api-Key", acmeSecret)
		if tc.proto != "" {
			r.Header.Set("X-Forwarded-Proto", tc.proto)
		}
		w := httptest.NewRecorder()
		b.Config.Handler.ServeHTTP(w, r)
		if w.Code != tc.want || tc.want == 403 && !strings.Contains(w.Body.String(), "https_required") {
			t.Errorf("%+v: got %d %s", tc, w.Code, w.Body)
		}
	}
}
