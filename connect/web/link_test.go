package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// TestLink: the token goes into a cookie that nobody else gets, and the browser to a URL without it.
func TestLink(t *testing.T) {
	for _, tc := range []struct {
		name      string
		ancestors []string
		want      []string
	}{
		{"by itself", nil, []string{"SameSite=Lax"}},
		{"in a frame", []string{"https://app.example.com"}, []string{"SameSite=None", "Partitioned"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBed(t, bedOptions{options: func(o *Options) { o.FrameAncestors = tc.ancestors }})
			token, link := b.session(`{"organization":{"id":"o"}}`)
			r := b.do(&http.Client{}, b.request("GET", link, ""))
			to := r.Header.Get("Location")
			if r.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "s/") || strings.Contains(to+r.body, token) {
				t.Errorf("%d %s %q", r.StatusCode, to, r.body)
			}
			cookie := r.Header.Get("Set-Cookie")
			for _, want := range append(tc.want, "__Host-connect-", "="+token, "; Path=/;", "HttpOnly", "Secure", "Max-Age=") {
				if !strings.Contains(cookie, want) {
					t.Errorf("the cookie %q has no %q", cookie, want)
				}
			}
			if strings.Contains(cookie, "Domain") || len(r.Header.Values("Set-Cookie")) != 1 || tc.ancestors == nil && strings.Contains(cookie, "Partitioned") {
				t.Errorf("cookies %q", r.Header.Values("Set-Cookie"))
			}
			for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"} {
				if got := r.Header.Get(name); got != want {
					t.Errorf("%s is %q", name, got)
				}
			}
		})
	}
}

// TestLinkPreview: following the link, however often, uses nothing up and prolongs nothing.
func TestLinkPreview(t *testing.T) {
	b := newBed(t, bedOptions{})
	token, link := b.session(`{"organization":{"id":"o"}}`)
	before := b.api(token, "GET", "/connect/session", "").body
	b.pass(10 * time.Minute)
	for _, method := range []string{"HEAD", "GET", "GET"} {
		if r := b.do(&http.Client{}, b.request(method, link, "")); r.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: %d", method, r.StatusCode)
		}
	}
	if after := b.api(token, "GET", "/connect/session", "").body; after != before {
		t.Errorf("%s became %s", before, after)
	}
	if r := b.open(link).get(""); r.StatusCode != http.StatusOK {
		t.Errorf("%d", r.StatusCode)
	}
}

// TestLinkThatIsOver: links that do not lead on say why, and the way back.
func TestLinkThatIsOver(t *testing.T) {
	b := newBed(t, bedOptions{})
	const back = `"return_urls":{"error":"https://app.example.com/aws/failed"}`
	_, used := b.session(`{"organization":{"id":"used"},` + back + `}`)
	br := b.open(used)
	b.role(customerRole, br.externalID())
	br.submit(customerRole, "")
	revokedToken, revoked := b.session(`{"organization":{"id":"revoked"},` + back + `}`)
	b.api(revokedToken, "DELETE", "/connect/session", "")
	fresh, _ := b.session(`{"organization":{"id":"fresh"}}`)
	for _, tc := range []struct {
		name, link string
		status     int
		want       string
	}{
		{"used", used, 410, "error=session_used"},
		{"revoked", revoked, 410, "error=session_revoked"},
		{"guessed", "/connect/?session_token=" + tokenPrefix + strings.Repeat("0", 64), 404, "not valid"},
		{"cut off", "/connect/?session_token=" + fresh[:60], 404, "not valid"},
		{"without token", "/connect/", 404, "not valid"},
		{"without slash", "/connect?session_token=x", 404, "not valid"},
		{"two tokens", "/connect/?session_token=" + fresh + "&session_token=" + fresh, 404, "not valid"},
	} {
		r := b.do(&http.Client{}, b.request("GET", tc.link, ""))
		if r.StatusCode != tc.status || !strings.Contains(r.body, tc.want) || r.Header.Get("Set-Cookie") != "" || r.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %d %v %s", tc.name, r.StatusCode, r.Header, r.body)
		}
		if strings.Contains(r.body, tokenPrefix) || strings.Contains(r.body, "444455556666") {
			t.Errorf("%s: the page tells too much: %s", tc.name, r.body)
		}
	}
	// The browser that did it still sees what became of it.
	if r := br.get(used); r.StatusCode != http.StatusSeeOther {
		t.Errorf("the same browser: %d", r.StatusCode)
	}
	b.pass(time.Hour)
	if r := br.get(""); r.StatusCode != 410 || !strings.Contains(r.body, "error=session_expired") {
		t.Errorf("expired: %d %s", r.StatusCode, r.body)
	}
	if r := br.get("status"); r.StatusCode != 410 {
		t.Errorf("expired: %d %s", r.StatusCode, r.body)
	}
}

// TestLinkWithoutHTTPS: a token is taken only where nobody else reads it.
func TestLinkWithoutHTTPS(t *testing.T) {
	b := newBed(t, bedOptions{})
	token, _ := b.session(`{"organization":{"id":"o"}}`)
	for host, want := range map[string]int{"localhost": 303, "localhost:8080": 303, "127.0.0.1": 303, "[::1]:8080": 303, "connect.example.com": 403, "localhost.example.com": 403, "10.0.0.1": 403} {
		req := httptest.NewRequest(http.MethodGet, "http://"+host+"/connect/?session_token="+token, nil)
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, req)
		if w.Code != want || (want == 403) != (w.Header().Get("Set-Cookie") == "") {
			t.Errorf("%s: %d %v", host, w.Code, w.Header())
		}
	}
}

// TestLinkLanguage: the vendor may say in which language its customer reads.
func TestLinkLanguage(t *testing.T) {
	b := newBed(t, bedOptions{})
	_, link := b.session(`{"organization":{"id":"o"}}`)
	br := b.open(link + "&lang=fr")
	if r := br.get(""); !strings.Contains(r.body, `<html lang="fr">`) || r.Header.Get("Content-Language") != "fr" {
		t.Errorf("%s", r.body)
	}
}

// TestManySessions: one browser has several sessions open, each by itself, and not without end.
func TestManySessions(t *testing.T) {
	b := newBed(t, bedOptions{})
	_, first := b.session(`{"organization":{"id":"first"}}`)
	br := b.open(first)
	_, second := b.session(`{"organization":{"id":"second"}}`)
	r := br.get(second)
	to, err := url.Parse(br.page)
	b.must(err)
	other := &browser{b: b, c: br.c, lang: "en", page: b.server.URL + "/connect/" + r.Header.Get("Location")}
	if to.Path == other.page || br.externalID() == other.externalID() {
		t.Error("the sessions are one")
	}
	request := b.request("GET", second, "")
	for i := range 20 {
		request.AddCookie(&http.Cookie{Name: sessionCookie + strings.Repeat(string(rune('a'+i%6)), 15) + "0", Value: "x"})
	}
	removed := 0
	for _, c := range b.do(&http.Client{}, request).Cookies() {
		if c.MaxAge < 0 {
			removed++
		}
	}
	if removed == 0 {
		t.Error("none of twenty sessions was taken away")
	}
}

// TestHoldsToken: which requests have to be kept out of logs.
func TestHoldsToken(t *testing.T) {
	for target, want := range map[string]bool{
		"/connect/?session_token=x":                        true,
		"/connect/?a=b&session%5Ftoken=x":                  true,
		"/connect/?session%255Ftoken=x":                    true,
		"/somewhere/" + tokenPrefix + "00":                 true,
		"/connect?x=aws%5Fconnect%5fsession%5f0":           true,
		"/connect/?session%5Ftoken=aws%5Fconnect&x=%zz":    true,
		"/connect/?x=%&aws%5Fconnect%5fsession%5f0":        true,
		"/connect/s/0123456789abcdef/":                     false,
		"/connect/s/0123456789abcdef/?lang=de":             false,
		"/connections/00000000-0000-4000-8000-00000000000": false,
	} {
		if got := HoldsToken(httptest.NewRequest(http.MethodGet, target, nil)); got != want {
			t.Errorf("%s: %t", target, got)
		}
	}
	token := tokenPrefix + strings.Repeat("0", 64)
	for header, want := range map[string]bool{
		"Referer: https://connect.example.com/connect/?session_token=" + token: true,
		"X-Original-Url: /connect/?session_token=" + token:                     true,
		"X-Api-Key: " + token:                              true,
		"Authorization: Bearer " + token:                   false, // Caddy leaves the values
		"Cookie: __Host-connect-0123456789abcdef=" + token: false, // of these two out.
		"Accept: text/html":                                false,
	} {
		req := httptest.NewRequest(http.MethodGet, "/connect/s/0123456789abcdef/", nil)
		name, value, _ := strings.Cut(header, ": ")
		req.Header.Set(name, value)
		if got := HoldsToken(req); got != want {
			t.Errorf("%s: %t", header, got)
		}
	}
	if !connect.IsToken(tokenPrefix + strings.Repeat("0", 64)) {
		t.Error("tokens begin otherwise")
	}
}
