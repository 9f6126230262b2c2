package web

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

const embedder = "https://app.example.com"

func newFramedBed(t *testing.T) *bed {
	t.Helper()
	return newBed(t, bedOptions{options: func(o *Options) { o.FrameAncestors = []string{embedder, "https://other.example.com"} }})
}

// TestFramesWithoutAToken: a frame that a listed page opens without a token waits for one, and nothing else does.
func TestFramesWithoutAToken(t *testing.T) {
	const query = "?apiURL=https%3A%2F%2Fapi.example&detectClosedAuthWindow=true&lang=de&theme=dark"
	framed, unframed := newFramedBed(t), newBed(t, bedOptions{})
	for _, tc := range []struct {
		name, target string
		b            *bed
		header       []string
		waits        bool
	}{
		{"in a frame", "/connect/" + query, framed, []string{"Sec-Fetch-Dest", "iframe"}, true},
		{"without its slash", "/connect" + query, framed, []string{"Sec-Fetch-Dest", "iframe"}, true},
		{"at the root", "/" + query, framed, []string{"Sec-Fetch-Dest", "iframe"}, true},
		{"without parameters", "/connect/", framed, []string{"Sec-Fetch-Dest", "iframe"}, true},
		{"in an old browser", "/connect/" + query, framed, nil, true},
		{"in a window", "/connect/" + query, framed, []string{"Sec-Fetch-Dest", "document"}, false},
		{"at the root in a window", "/" + query, framed, []string{"Sec-Fetch-Dest", "document"}, false},
		{"in a window of an old browser", "/connect/", framed, nil, false},
		{"with a token that is none", "/connect/" + query + "&session_token=x", framed, []string{"Sec-Fetch-Dest", "iframe"}, false},
		{"where nobody may frame", "/connect/" + query, unframed, []string{"Sec-Fetch-Dest", "iframe"}, false},
		{"at the root where nobody may frame", "/" + query, unframed, []string{"Sec-Fetch-Dest", "iframe"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := tc.b.do(&http.Client{}, tc.b.request("GET", tc.target, "", append(tc.header, "Accept", "text/html")...))
			if !tc.waits {
				if r.StatusCode != http.StatusNotFound || strings.Contains(r.body, `id="waiting"`) {
					t.Errorf("%d %s", r.StatusCode, r.body)
				}
				return
			}
			if r.StatusCode != http.StatusOK || !strings.Contains(r.body, `id="waiting"`) || !strings.Contains(r.body, `data-origins="https://app.example.com https://other.example.com"`) {
				t.Fatalf("%d %s", r.StatusCode, r.body)
			}
			if got := r.Header.Get("Content-Security-Policy"); !strings.HasSuffix(got, "frame-ancestors 'self' https://app.example.com https://other.example.com") {
				t.Error(got)
			}
			if !strings.Contains(tc.target, "theme") {
				return
			}
			style := regexp.MustCompile(`href="([^"]*assets/style-dark\.[0-9a-f]+\.css)"`).FindStringSubmatch(r.body)
			if !strings.Contains(r.body, `<html lang="de">`) || !strings.Contains(r.body, `content="dark"`) || style == nil {
				t.Fatalf("it is not in German and dark: %s", r.body)
			}
			at, err := r.Request.URL.Parse(style[1])
			if err != nil {
				t.Fatal(err)
			}
			css := tc.b.do(&http.Client{}, tc.b.request("GET", at.String(), "")).body
			if !strings.Contains(css, "color-scheme: dark;") || strings.Contains(css, "prefers-color-scheme") || !strings.Contains(css, "@media screen {") {
				t.Errorf("%.300s", css)
			}
			if got := strings.Join(r.Header.Values("Set-Cookie"), "\n"); !strings.Contains(got, "__Host-connect-theme=dark;") || !strings.Contains(got, "__Host-connect-language=de;") || strings.Count(got, "Partitioned") != 2 {
				t.Error(got)
			}
		})
	}
}

// TestTokensThatComeAsMessages: our own page puts one into a cookie, as the link would, and no other page can.
func TestTokensThatComeAsMessages(t *testing.T) {
	b := newFramedBed(t)
	token, _ := b.session(`{"organization":{"id":"o"}}`)
	revoked, _ := b.session(`{"organization":{"id":"revoked"}}`)
	b.api(revoked, "DELETE", "/connect/session", "")
	plain := newBed(t, bedOptions{})
	foreign, _ := plain.session(`{"organization":{"id":"o"}}`)
	own := []string{"Sec-Fetch-Site", "same-origin"}
	for _, tc := range []struct {
		name   string
		b      *bed
		body   string
		header []string
		status int
		code   string
	}{
		{"ours", b, "session_token=" + token, own, 200, ""},
		{"ours by its origin", b, "session_token=" + token, []string{"Origin", b.server.URL}, 200, ""},
		{"the embedder's own", b, "session_token=" + token, []string{"Sec-Fetch-Site", "cross-site", "Origin", embedder}, 403, "forged"},
		{"nobody's", b, "session_token=" + token, nil, 403, "forged"},
		{"a form that is too long", b, "session_token=" + token + "&x=" + strings.Repeat("x", maxForm), own, 403, "forged"},
		{"no token", b, "", own, 404, "unknown_link"},
		{"two tokens", b, "session_token=" + token + "&session_token=" + token, own, 404, "unknown_link"},
		{"a token of nobody's", b, "session_token=" + foreign, own, 404, "unknown_link"},
		{"a session that was revoked", b, "session_token=" + revoked, own, 410, "session_revoked"},
		{"where nobody may frame", plain, "session_token=" + foreign, own, 404, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := tc.b.do(&http.Client{}, tc.b.request("POST", "/connect/enter", tc.body, append(tc.header, "Content-Type", "application/x-www-form-urlencoded")...))
			cookie := r.Header.Get("Set-Cookie")
			if r.StatusCode != tc.status || strings.Contains(r.body, token) || (cookie != "") != (tc.status == 200) || r.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Fatalf("%d %s %q", r.StatusCode, r.body, cookie)
			}
			var got handed
			if err := json.Unmarshal([]byte(r.body), &got); err != nil || got.Code != tc.code {
				t.Errorf("%s", r.body)
			}
			switch {
			case tc.status == 200:
				if !regexp.MustCompile(`^s/[0-9a-f]{16}/$`).MatchString(got.Page) || !strings.Contains(cookie, "="+token+"; ") || !strings.Contains(cookie, "SameSite=None") || !strings.Contains(cookie, "Partitioned") {
					t.Errorf("%v %q", got, cookie)
				}
			case tc.code != "" && (got.Title == "" || got.Text == ""):
				t.Errorf("there are no words: %s", r.body)
			}
		})
	}
	if r := b.do(&http.Client{}, b.request("GET", "/connect/enter?session_token="+token, "")); r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", r.StatusCode)
	}
}

var eventOf = regexp.MustCompile(` data-event="([^"]*)"`)

// said returns what a page has to say to the one around it, or nil.
func said(t *testing.T, page string) *event {
	t.Helper()
	m := eventOf.FindStringSubmatch(page)
	if m == nil {
		return nil
	}
	var e event
	if err := json.Unmarshal([]byte(html.UnescapeString(m[1])), &e); err != nil {
		t.Fatalf("%v in %s", err, m[1])
	}
	return &e
}

// TestWhatPagesSay: a page tells the one around it what came of the session, and only where it may be framed.
func TestWhatPagesSay(t *testing.T) {
	for name, b := range map[string]*bed{"framed": newFramedBed(t), "by itself": newBed(t, bedOptions{})} {
		t.Run(name, func(t *testing.T) {
			token, link := b.session(`{"organization":{"id":"o"}}`)
			br := b.open(link)
			start := br.get("").body
			failed := br.submit(customerRole, "").body
			mistaken := br.post("", url.Values{"role_arn": {"x"}}).body
			b.role(customerRole, br.externalID())
			done := br.submit(customerRole, "").body
			other, otherLink := b.session(`{"organization":{"id":"other"}}`)
			gone := b.open(otherLink)
			b.api(other, "DELETE", "/connect/session", "")
			ended := gone.get("").body
			if name == "by itself" {
				for _, page := range []string{start, failed, done, ended} {
					if said(t, page) != nil || strings.Contains(page, "embed.") || strings.Contains(page, "data-close") {
						t.Errorf("%s", page)
					}
				}
				return
			}
			for page, want := range map[string]string{failed: "assume_role_denied", mistaken: "invalid_role_arn", ended: "session_revoked"} {
				if got := said(t, page); got == nil || got.Type != "error" || got.Payload["errorType"] != want || got.Payload["errorMessage"] == "" {
					t.Errorf("%v, want %s", got, want)
				}
			}
			got := said(t, done)
			if said(t, start) != nil || got == nil || got.Type != "connect" || got.Payload["providerConfigKey"] != "acme-s3" || !strings.Contains(b.api(apiKey, "GET", "/connections/"+got.Payload["connectionId"], "").body, `"acme-s3"`) {
				t.Errorf("%v", got)
			}
			for _, page := range []string{start, failed, done, ended} {
				if strings.Contains(page, token) || strings.Contains(page, other) || !strings.Contains(page, `data-close hidden>`) {
					t.Errorf("%s", page)
				}
			}
		})
	}
}
