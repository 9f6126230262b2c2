package integration_test

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestConnectForgery: a form that another site has the browser send changes nothing.
func TestConnectForgery(t *testing.T) {
	for name, handler := range map[string]string{"by itself": "", "in a frame": "frame_ancestors https://app.acme.example"} {
		t.Run(name, func(t *testing.T) {
			b := newAttackedBed(t, connectParts{handler: handler})
			c, _, externalID := b.invite("globex")
			b.makeRole(customerRole, externalID)
			calls := b.calls()
			own := "Origin: http://" + b.addr()
			right := url.Values{"form_token": {c.read(shownFormToken)}, "role_arn": {customerRole}, "region": {"eu-west-1"}}
			for what, lines := range map[string][]string{
				"another site":         {"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"},
				"a neighbour":          {"Origin: https://evil.acme.example", "Sec-Fetch-Site: same-site"},
				"who frames it":        {"Origin: https://app.acme.example", "Sec-Fetch-Site: cross-site"},
				"an old browser":       {"Origin: https://evil.example"},
				"a sandbox":            {"Origin: null"},
				"nobody":               {"X-Nothing: x"},
				"two":                  {own, "Origin: https://evil.example"},
				"a longer name":        {own + ".evil.example"},
				"an origin in Referer": {"Referer: http://" + b.addr() + "/"},
				"another Host":         {"Origin: https://evil.example", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https"},
			} {
				for _, path := range []string{"", "check"} {
					if r := c.post(path, right, lines...); r.status != 403 {
						t.Errorf("%s: %v", what, r)
					}
				}
			}
			for _, formToken := range []string{"", "x", strings.Repeat("0", 64), right.Get("form_token")[:63], right.Get("form_token") + "0"} {
				c.post("", url.Values{"form_token": {formToken}, "role_arn": {customerRole}, "region": {"eu-west-1"}}).expect(t, 403)
			}
			for _, kind := range []string{"text/plain", "application/json", "multipart/form-data; boundary=x"} {
				b.do("POST", c.page, right.Encode(), own, "Sec-Fetch-Site: same-origin", "Cookie: "+c.cookie, "Content-Type: "+kind).expect(t, 403)
			}
			// No other method does what POST does, whatever the request calls itself.
			for _, method := range []string{"GET", "HEAD"} {
				b.do(method, c.page+"?"+right.Encode(), "", "Cookie: "+c.cookie, "X-HTTP-Method-Override: POST").expect(t, 200)
			}
			for _, method := range []string{"PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "POSTX"} {
				b.do(method, c.page+"?_method=POST&form_token="+right.Get("form_token"), "", own, "Sec-Fetch-Site: same-origin", "Cookie: "+c.cookie, "X-HTTP-Method-Override: POST").expect(t, 405)
			}
			if _, events := b.told(); b.calls() != calls || slices.ContainsFunc(events, func(e string) bool { return strings.HasPrefix(e, "verification") }) {
				t.Errorf("audited %v, and AWS was asked %d times", events, b.calls()-calls)
			}
			b.secrets = b.secrets[:len(b.secrets)-1] // The form token is in the URLs of this test.
		})
	}
}

// TestConnectForeignOrigins: no other site may have the page in a frame unless the operator names it, read
// an answer, or call the API from a browser.
func TestConnectForeignOrigins(t *testing.T) {
	const evil = "Origin: https://evil.example"
	for handler, ancestors := range map[string]string{
		"": "frame-ancestors 'none'", "frame_ancestors https://app.acme.example": "frame-ancestors 'self' https://app.acme.example",
	} {
		t.Run(ancestors, func(t *testing.T) {
			b := newAttackedBed(t, connectParts{handler: handler})
			c, token, _ := b.invite("globex")
			for _, target := range []string{c.page, c.page + "status", c.page + "keep", "/connect/?session_token=" + token, "/connect/", "/connect/session", "/connections/x", "/connect/none", "/"} {
				r := b.get(target, evil, "Cookie: "+c.cookie, "Accept: text/html")
				policy := r.header.Get("Content-Security-Policy")
				if !strings.Contains(policy, "frame-ancestors ") || strings.Contains(policy, "evil") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "default-src 'none'") {
					t.Errorf("%s: policy %q", target, policy)
				}
				if target == c.page && !strings.HasSuffix(policy, ancestors) {
					t.Errorf("policy %q", policy)
				}
				for name := range r.header {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("%s: %s: %s", target, name, r.header.Get(name))
					}
				}
				if r.header.Get("Cross-Origin-Resource-Policy") != "same-origin" || r.header.Get("Cache-Control") != "no-store" || r.header.Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("%s: %v", target, r.header)
				}
			}
			for _, target := range []string{"/connect/sessions", "/connect/session", "/connections/x", c.page} {
				r := b.do("OPTIONS", target, "", evil, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization", "Access-Control-Request-Private-Network: true")
				if r.status != 405 || r.header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("a preflight to %s: %v %v", target, r, r.header)
				}
			}
		})
	}
}

// TestConnectMarkup: what the operator, the vendor or the customer says is text on the page, and stays in
// its line of the log.
func TestConnectMarkup(t *testing.T) {
	const evil = `"'><script>alert(1)</script><img src=x onerror=alert(1)>`
	b := newAttackedBed(t, connectParts{integration: "logo https://cdn.example/\"><script>\ninstructions {\nlabel `" + evil + "`\nurl https://docs.example/'\"><script>\ndescription `" + evil + "`\n}\n" +
		"template t {\nlabel `" + evil + "`\ndescription `" + evil + "`\nurl https://127.0.0.1:1/t.json\nexternal_id_parameter ExternalId\n}"}, func(caddyfile string) string {
		return strings.Replace(caddyfile, `display_name "Acme Analytics"`, "display_name `"+evil+"`", 1)
	})
	quoted, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	r := b.api("POST", "/connect/sessions", `{"allowed_integrations":["acme-s3"],"organization":{"id":`+string(quoted)+`,"display_name":`+string(quoted)+`},"end_user":{"id":`+string(quoted)+`,"email":`+string(quoted)+`}}`)
	r.expect(t, 201)
	var made struct {
		Data struct {
			Token string
			Link  string `json:"connect_link"`
		}
	}
	if err := json.Unmarshal([]byte(r.body), &made); err != nil {
		t.Fatal(err)
	}
	b.secrets = append(b.secrets, made.Data.Token)
	c := b.follow(made.Data.Link)
	c.post("check", url.Values{"form_token": {c.read(shownFormToken)}, "role_arn": {evil}, "region": {evil}}).expect(t, 200)
	pages := []reply{c.get(""), c.submit(evil, evil), c.submit("arn:aws:iam::444455556666:role/"+evil+"/x", "eu-west-1"), c.get(""), c.get("none"), b.get("/connect/" + url.PathEscape(evil))}
	quotedText := regexp.MustCompile(`"[^"]*"`)
	ours := regexp.MustCompile(`<script src="\.\./\.\./assets/page\.[0-9a-f]{16}\.js" defer></script>`)
	for i, page := range pages {
		rest := quotedText.ReplaceAllString(ours.ReplaceAllString(page.body, ""), `""`)
		if strings.Contains(rest, "<script") || strings.Contains(rest, "<img src=x") || regexp.MustCompile(`<[^>]*\sonerror=`).MatchString(rest) {
			t.Errorf("page %d: markup came through: %s", i, rest)
		}
	}
	for _, bad := range []string{`\n`, `\r\nSet-Cookie: x=y`, `\u0000`, `\u001b[2J`, `\u0085`} {
		b.api("POST", "/connect/sessions", `{"allowed_integrations":["acme-s3"],"organization":{"id":"o`+bad+`"}}`).expect(t, 400, "control character")
	}
	for line := range strings.Lines(b.logged()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("this is no line of the log: %s", line)
		}
	}
}
