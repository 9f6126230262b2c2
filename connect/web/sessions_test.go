package web

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// TestCreateSession: what the API takes, and what it says to all else.
func TestCreateSession(t *testing.T) {
	b := newBed(t, bedOptions{})
	customer := `"organization":{"id":"o"}`
	for _, tc := range []struct {
		name, body string
		status     int
		code, path string // of the error
	}{
		{"an organization", `{"organization":{"id":"o1","display_name":"One"}}`, 201, "", ""},
		{"an end user", `{"end_user":{"id":"u1","email":"a@example.com","display_name":"A","tags":{"Team":"x"}},"allowed_integrations":["acme-s3"]}`, 201, "", ""},
		{"tags alone", `{"tags":{"env":"test"}}`, 201, "", ""},
		{"null for absent", `{"end_user":{"id":"u2","email":null},"organization":null}`, 201, "", ""},
		{"suggestions", `{` + customer + `,"prefill":{"role_arn":"arn:aws:iam::444455556666:role/A","region":{"value":"eu-west-1","fixed":true}}}`, 201, "", ""},
		{"defaults of the integration", `{` + customer + `,"integrations_config_defaults":{"acme-s3":{"connection_config":{"region":"eu-west-1"}}}}`, 201, "", ""},
		{"return URLs", `{` + customer + `,"return_urls":{"success":"https://app.example.com/aws/a?b=c"}}`, 201, "", ""},

		{"nobody", `{}`, 400, "invalid_body", "[end_user]"},
		{"an end user without ID", `{"end_user":{"email":"a@example.com"}}`, 400, "invalid_body", "[end_user id]"},
		{"no JSON", `{`, 400, "invalid_body", "[]"},
		{"no object", `[]`, 400, "invalid_body", "[]"},
		{"two objects", `{` + customer + `}{}`, 400, "invalid_body", "[]"},
		{"a name twice", `{` + customer + `,` + customer + `}`, 400, "invalid_body", "[]"},
		{"a name in another case", `{"Organization":{"id":"o"}}`, 400, "invalid_body", "[end_user]"},
		{"an unknown field", `{` + customer + `,"external_id":"mine"}`, 400, "invalid_body", "[external_id]"},
		{"an unknown field deeper down", `{"organization":{"id":"o","name":"O"}}`, 400, "invalid_body", "[organization name]"},
		{"a wrong type", `{"organization":{"id":7}}`, 400, "invalid_body", "[organization id]"},
		{"an integration that is not there", `{` + customer + `,"allowed_integrations":["none"]}`, 400, "invalid_body", "[allowed_integrations 0]"},
		{"another key's integration", `{` + customer + `,"allowed_integrations":["other-s3"]}`, 400, "invalid_body", "[allowed_integrations 0]"},
		{"two integrations", `{` + customer + `,"allowed_integrations":["acme-s3","acme-s3"]}`, 400, "invalid_body", "[allowed_integrations 1]"},
		{"no integration", `{` + customer + `,"allowed_integrations":[]}`, 400, "invalid_body", "[allowed_integrations]"},
		{"all that others take", `{` + customer + `,"integrations_config_defaults":{"acme-s3":{"user_scopes":"a","authorization_params":{"b":"c"},"connection_config":{"role_arn":"arn:aws:iam::444455556666:role/A"}}},` +
			`"overrides":{"acme-s3":{"docs_connect":"https://docs.example.com/aws"}},"webhook_url_override":"https://hooks.example.com/aws"}`, 201, "", ""},
		{"a guide that is a script", `{` + customer + `,"overrides":{"acme-s3":{"docs_connect":"javascript:alert(1)"}}}`, 400, "invalid_body", "[]"},
		{"a guide of another integration", `{` + customer + `,"overrides":{"other-s3":{"docs_connect":"https://docs.example.com/"}}}`, 400, "invalid_body", "[overrides other-s3]"},
		{"a webhook without HTTPS", `{` + customer + `,"webhook_url_override":"http://hooks.example.com/"}`, 400, "invalid_body", "[]"},
		{"defaults of another integration", `{` + customer + `,"integrations_config_defaults":{"other-s3":{}}}`, 400, "invalid_body", "[integrations_config_defaults other-s3]"},
		{"two values for one", `{` + customer + `,"prefill":{"region":"us-east-1"},"integrations_config_defaults":{"acme-s3":{"connection_config":{"region":"eu-west-1"}}}}`, 400, "invalid_body", "[integrations_config_defaults acme-s3 connection_config region]"},
		{"a base URL", `{` + customer + `,"integrations_config_defaults":{"acme-s3":{"connection_config":{"base_url":"https://evil.example"}}}}`, 400, "invalid_body", "[integrations_config_defaults acme-s3 connection_config base_url]"},
		{"a region that is none", `{` + customer + `,"prefill":{"region":"169.254.169.254#"}}`, 400, "invalid_body", "[]"},
		{"a role that is none", `{` + customer + `,"prefill":{"role_arn":"arn:aws:iam::1:user/x"}}`, 400, "invalid_body", "[]"},
		{"an External ID that is none", `{` + customer + `,"prefill":{"external_id":"a b"}}`, 400, "invalid_body", "[]"},
		{"a return URL that is not on the list", `{` + customer + `,"return_urls":{"success":"https://app.example.com.evil.example/aws/"}}`, 400, "invalid_body", "[]"},
		{"a return URL with a line break", `{` + customer + `,"return_urls":{"error":"https://app.example.com/aws/\r\nSet-Cookie:x"}}`, 400, "invalid_body", "[]"},
		{"a return URL that is a script", `{` + customer + `,"return_urls":{"error":"javascript:alert(1)"}}`, 400, "invalid_body", "[]"},
		{"a return URL to another host by user", `{` + customer + `,"return_urls":{"success":"https://app.example.com@evil.example/aws/"}}`, 400, "invalid_body", "[]"},
		{"too much", `{"tags":{"a":"` + strings.Repeat("x", 70<<10) + `"}}`, 413, "body_too_large", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := b.api(apiKey, "POST", "/connect/sessions", tc.body)
			if r.StatusCode != tc.status {
				t.Fatalf("%d %s", r.StatusCode, r.body)
			}
			if r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("header %v", r.Header)
			}
			if tc.status == http.StatusCreated {
				data, _ := r.json(t)["data"].(map[string]any)
				link, _ := data["connect_link"].(string)
				token, _ := data["token"].(string)
				if !connect.IsToken(token) || link != b.server.URL+"/connect/?session_token="+token || len(data) != 3 {
					t.Errorf("%s", r.body)
				}
				if at, err := time.Parse(time.RFC3339, data["expires_at"].(string)); err != nil || at.Sub(b.clock()).Round(time.Minute) != 30*time.Minute {
					t.Errorf("it expires at %v", data["expires_at"])
				}
				if !strings.HasPrefix(token, tokenPrefix) {
					t.Errorf("the token begins otherwise than %s", tokenPrefix)
				}
				return
			}
			e, _ := r.json(t)["error"].(map[string]any)
			if e["code"] != tc.code {
				t.Errorf("%s", r.body)
			}
			if tc.path != "" && !strings.Contains(paths(e), tc.path) {
				t.Errorf("the error is at %s, not at %s", paths(e), tc.path)
			}
		})
	}
}

// paths are where the problems of an error are.
func paths(e map[string]any) string {
	problems, _ := e["errors"].([]any)
	var b strings.Builder
	for _, p := range problems {
		path, _ := p.(map[string]any)["path"].([]any)
		b.WriteString("[")
		for i, at := range path {
			if i > 0 {
				b.WriteString(" ")
			}
			switch at := at.(type) {
			case string:
				b.WriteString(at)
			case float64:
				b.WriteString(string(rune('0' + int(at))))
			}
		}
		b.WriteString("]")
	}
	return b.String()
}

// TestKeys: who may call the API.
func TestKeys(t *testing.T) {
	b := newBed(t, bedOptions{})
	token, _ := b.session(`{"organization":{"id":"o"}}`)
	for _, tc := range []struct {
		name, method, path string
		header             []string
		status             int
		code               string
	}{
		{"no header", "POST", "/connect/sessions", nil, 401, "missing_auth_header"},
		{"another scheme", "POST", "/connect/sessions", []string{"Authorization", "Basic " + apiKey}, 401, "malformed_auth_header"},
		{"two headers", "POST", "/connect/sessions", []string{"Authorization", "Bearer " + apiKey, "Authorization", "Bearer " + apiKey}, 401, "malformed_auth_header"},
		{"an unknown key", "POST", "/connect/sessions", []string{"Authorization", "Bearer " + apiKey + "x"}, 401, "unknown_account"},
		{"the beginning of a key", "POST", "/connect/sessions", []string{"Authorization", "Bearer " + apiKey[:len(apiKey)-1]}, 401, "unknown_account"},
		{"a session's token", "POST", "/connect/sessions", []string{"Authorization", "Bearer " + token}, 401, "unknown_account"},
		{"a key without the scope", "POST", "/connect/sessions", []string{"Authorization", "Bearer reader-key-0123456789abcdef"}, 403, "forbidden"},
		{"a key without the scope, deleting", "DELETE", "/connections/x", []string{"Authorization", "Bearer reader-key-0123456789abcdef"}, 403, "forbidden"},
		{"a key for a token", "GET", "/connect/session", []string{"Authorization", "Bearer " + apiKey}, 401, "invalid_connect_session_token_format"},
		{"a guessed token", "GET", "/connect/session", []string{"Authorization", "Bearer " + tokenPrefix + strings.Repeat("0", 64)}, 401, "unknown_connect_session_token"},
		{"a token and a key", "GET", "/connect/session", []string{"Authorization", "Bearer " + token, "Authorization", "Bearer " + apiKey}, 401, "malformed_auth_header"},
		{"another method", "PUT", "/connect/sessions", []string{"Authorization", "Bearer " + apiKey}, 405, "method_not_allowed"},
		{"a preflight", "OPTIONS", "/connect/sessions", []string{"Origin", "https://evil.example", "Access-Control-Request-Method", "POST"}, 405, "method_not_allowed"},
		{"no such path", "GET", "/connection/x/y", []string{"Authorization", "Bearer " + apiKey}, 404, "not_found"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := b.do(&http.Client{}, b.request(tc.method, tc.path, `{"organization":{"id":"o"}}`, append(tc.header, "Content-Type", "application/json")...))
			e, _ := r.json(t)["error"].(map[string]any)
			if r.StatusCode != tc.status || e["code"] != tc.code {
				t.Errorf("%d %s", r.StatusCode, r.body)
			}
			if (r.StatusCode == 401) != (r.Header.Get("Www-Authenticate") != "") || (r.StatusCode == 405) != (r.Header.Get("Allow") != "") || r.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("header %v", r.Header)
			}
			if strings.Contains(r.body, apiKey) || strings.Contains(r.body, token) {
				t.Errorf("it repeats a secret: %s", r.body)
			}
		})
	}
	if r := b.do(&http.Client{}, b.request("POST", "/connect/sessions", `{}`, "Authorization", "Bearer "+apiKey, "Content-Type", "text/plain")); r.StatusCode != 415 {
		t.Errorf("a body of text: %d %s", r.StatusCode, r.body)
	}
}

// TestSessionByToken: a session tells what it is for, and is ended by whoever holds it.
func TestSessionByToken(t *testing.T) {
	b := newBed(t, bedOptions{})
	token, link := b.session(`{"end_user":{"id":"u","email":"u@example.com"},"organization":{"id":"o"},"prefill":{"region":"eu-west-1"}}`)
	r := b.api(token, "GET", "/connect/session", "")
	data, _ := r.json(t)["data"].(map[string]any)
	defaults, _ := data["integrations_config_defaults"].(map[string]any)
	config, _ := defaults["acme-s3"].(map[string]any)["connection_config"].(map[string]any)
	user, _ := data["endUser"].(map[string]any)
	if r.StatusCode != 200 || config["region"] != "eu-west-1" || config["external_id"] != b.open(link).externalID() || user["id"] != "u" || data["isReconnecting"] != false || data["allowed_integrations"].([]any)[0] != "acme-s3" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	for range 2 {
		if r := b.api(token, "DELETE", "/connect/session", ""); r.StatusCode != 204 || r.body != "" {
			t.Errorf("%d %s", r.StatusCode, r.body)
		}
	}
	if r := b.api(token, "GET", "/connect/session", ""); r.StatusCode != 401 || !strings.Contains(r.body, "session_revoked") {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

// TestReconnect: a session renews a connection, and no other integration's key can have it do so.
func TestReconnect(t *testing.T) {
	b := newBed(t, bedOptions{})
	id, externalID := b.connect("org-1", customerRole)
	if r := b.api(otherKey, "POST", "/connect/sessions/reconnect", `{"connection_id":"`+id+`","integration_id":"acme-s3"}`); r.StatusCode != 400 || strings.Contains(r.body, "token") {
		t.Errorf("with another integration's key: %d %s", r.StatusCode, r.body)
	}
	for _, body := range []string{
		`{"connection_id":"` + id + `","integration_id":"other-s3"}`,
		`{"connection_id":"00000000-0000-4000-8000-000000000000","integration_id":"acme-s3"}`,
		`{"connection_id":"../x","integration_id":"acme-s3"}`,
		`{"integration_id":"acme-s3"}`,
		`{"connection_id":"` + id + `","integration_id":"acme-s3","organization":{"id":"org-2"}}`,
		`{"connection_id":"` + id + `","integration_id":"acme-s3","surprise":1}`,
	} {
		if r := b.api(apiKey, "POST", "/connect/sessions/reconnect", body); r.StatusCode != 400 || !strings.Contains(r.body, "invalid_body") {
			t.Errorf("%s: %d %s", body, r.StatusCode, r.body)
		}
	}
	r := b.api(apiKey, "POST", "/connect/sessions/reconnect", `{"connection_id":"`+id+`","integration_id":"acme-s3"}`)
	data, _ := r.json(t)["data"].(map[string]any)
	if r.StatusCode != 201 {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	br := b.open(data["connect_link"].(string))
	page := br.get("").body
	if br.externalID() != externalID || !strings.Contains(page, `value="`+customerRole+`"`) || !strings.Contains(page, "Renew the connection") || !strings.Contains(page, "readonly") {
		t.Errorf("%s", page)
	}
	const moved = "arn:aws:iam::444455556666:role/Moved"
	b.role(moved, externalID)
	if done := br.submit(moved, "eu-west-1"); !strings.Contains(done.body, "is connected to") {
		t.Errorf("%s", done.body)
	}
	if c := b.api(apiKey, "GET", "/connections/"+id, "").body; !strings.Contains(c, moved) {
		t.Errorf("%s", c)
	}
}

// connect makes a connection, and returns its ID and External ID.
func (b *bed) connect(organization, role string) (id, externalID string) {
	b.t.Helper()
	_, link := b.session(`{"organization":{"id":"` + organization + `"},"return_urls":{"success":"https://app.example.com/aws/"}}`)
	br := b.open(link)
	externalID = br.externalID()
	b.role(role, externalID)
	_, after, ok := strings.Cut(br.submit(role, "").body, "connection_id=")
	if !ok {
		b.t.Fatal("it was not connected")
	}
	return after[:36], externalID
}

// TestConnections: a connection is read and deleted by keys of its integration alone, and shows no
// credentials.
func TestConnections(t *testing.T) {
	b := newBed(t, bedOptions{})
	id, _ := b.connect("org-1", customerRole)
	for _, tc := range []struct {
		key, method, path string
		status            int
	}{
		{otherKey, "GET", "/connections/" + id, 404},
		{otherKey, "DELETE", "/connections/" + id, 400},
		{apiKey, "GET", "/connections/" + id + "?provider_config_key=other-s3", 400},
		{apiKey, "GET", "/connections/..%2f..%2fsessions", 404},
		{apiKey, "GET", "/connections/" + strings.ToUpper(id), 404},
		{"reader-key-0123456789abcdef", "DELETE", "/connections/" + id, 403},
		{"reader-key-0123456789abcdef", "GET", "/connections/" + id, 200},
		{apiKey, "GET", "/connections/" + id + "?provider_config_key=acme-s3", 200},
		{apiKey, "DELETE", "/connections/" + id + "?provider_config_key=acme-s3", 200},
		{apiKey, "DELETE", "/connections/" + id, 400},
		{apiKey, "GET", "/connections/" + id, 404},
	} {
		r := b.api(tc.key, tc.method, tc.path, "")
		if r.StatusCode != tc.status {
			t.Errorf("%s %s: %d %s", tc.method, tc.path, r.StatusCode, r.body)
		}
		if strings.Contains(r.body, "issued-") || r.StatusCode == 200 && tc.method == "GET" && !strings.Contains(r.body, `"credentials":{}`) {
			t.Errorf("%s", r.body)
		}
	}
	var deleted int
	for _, e := range b.events {
		if e.Kind == connect.AuditConnectionDeleted && e.Actor == "vendor" {
			deleted++
		}
	}
	if deleted != 1 {
		t.Errorf("%d deletions were noted", deleted)
	}
}

// TestConflict: an External ID of the vendor's that is another customer's.
func TestConflict(t *testing.T) {
	b := newBed(t, bedOptions{})
	b.session(`{"organization":{"id":"a"},"prefill":{"external_id":"vendors-own-id"}}`)
	if r := b.api(apiKey, "POST", "/connect/sessions", `{"organization":{"id":"b"},"prefill":{"external_id":"vendors-own-id"}}`); r.StatusCode != 409 || !strings.Contains(r.body, "conflict") {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

// TestLinkOrigin: what the link begins with, and that the operator is told, once, of one that may lead nowhere.
func TestLinkOrigin(t *testing.T) {
	plain := newBed(t, bedOptions{})
	proxied := newBed(t, bedOptions{options: func(o *Options) {
		o.HTTPS = func(r *http.Request) bool { return r.Header.Get("X-Forwarded-Proto") == "https" }
	}})
	based := newBed(t, bedOptions{options: func(o *Options) { o.BaseURL = "https://connect.example.com/aws/" }})
	for _, tc := range []struct {
		name   string
		b      *bed
		change func(*http.Request)
		want   string // before the path, or the status
	}{
		{"by TLS", plain, func(r *http.Request) { r.TLS, r.Host = &tls.ConnectionState{}, "c.example:8443" }, "https://c.example:8443"},
		{"on this machine", plain, func(r *http.Request) { r.Host = "localhost:8080" }, "http://localhost:8080"},
		{"in a network of its own", plain, func(r *http.Request) { r.Host, r.RemoteAddr = "caddy", "172.18.0.3:1234" }, "https://caddy"},
		{"from the Internet without TLS", plain, func(r *http.Request) { r.Host, r.RemoteAddr = "c.example", "203.0.113.1:1234" }, "403"},
		{"behind a proxy", proxied, func(r *http.Request) {
			r.Host, r.RemoteAddr = "c.example", "203.0.113.1:1234"
			r.Header.Set("X-Forwarded-Proto", "https")
		}, "https://c.example"},
		{"as it is configured", based, func(r *http.Request) { r.Host = "evil.example" }, "https://connect.example.com/aws"},
	} {
		req := httptest.NewRequest(http.MethodPost, "/connect/sessions", strings.NewReader(`{"organization":{"id":"o"}}`))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+apiKey)
		req.RemoteAddr = "127.0.0.1:1"
		tc.change(req)
		w := httptest.NewRecorder()
		tc.b.handler.ServeHTTP(w, req)
		if body := w.Body.String(); !strings.Contains(body, `"connect_link":"`+tc.want+`/connect/?session_token=`) && (tc.want != "403" || w.Code != 403) {
			t.Errorf("%s: %d %s", tc.name, w.Code, body)
		}
	}
	if said := fmt.Sprint(plain.reports); len(plain.reports) != 1 || !strings.Contains(said, "its link begins with https://caddy: if nothing before this server ends HTTPS there, customers can't open it") {
		t.Errorf("of a link that may lead nowhere was reported %s", said)
	}
	if len(proxied.reports)+len(based.reports) > 0 {
		t.Errorf("reported: %v %v", proxied.reports, based.reports)
	}
}
