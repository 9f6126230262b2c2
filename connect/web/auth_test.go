package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

const (
	publicKeyID = "6b1d9a2e-3c4f-4a5b-8c6d-7e8f90a1b2c3"
	hmacKey     = "hmac-key-0123456789abcdef"
	chosenID    = "11111111-2222-4333-8444-555555555555"
)

// forBrowser has the bed's handler answer browsers.
func forBrowser(o *Options) {
	o.PublicKeys = []PublicKey{{ID: publicKeyID, HMACKeys: []string{hmacKey, "older-" + hmacKey}, Integrations: []string{"acme-s3"}}}
	o.AllowOrigins = []string{"https://app.example.com"}
}

// proof is what the vendor's server signs.
func proof(key, integration, id string) string {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(integration + ":" + id))
	return hex.EncodeToString(m.Sum(nil))
}

// auth posts a role as a page of the vendor's does, without a cookie and without an API key.
func (b *bed) auth(integration, query, body string) *reply {
	b.t.Helper()
	return b.do(&http.Client{}, b.request("POST", "/auth/aws-sigv4/"+integration+"?"+query, body, "Content-Type", "application/json", "Origin", "https://app.example.com"))
}

// externalIDOf is what a session tells to whoever has its token.
func (b *bed) externalIDOf(token string) string {
	b.t.Helper()
	data, _ := b.api(token, "GET", "/connect/session", "").json(b.t)["data"].(map[string]any)
	defaults, _ := data["integrations_config_defaults"].(map[string]any)
	for _, one := range defaults {
		config, _ := one.(map[string]any)["connection_config"].(map[string]any)
		id, _ := config["external_id"].(string)
		return id
	}
	return ""
}

// TestAuthBySession: a role is connected with the token of a session, and what can't be is said as the table of errors
// has it.
func TestAuthBySession(t *testing.T) {
	b := newBed(t, bedOptions{options: forBrowser, integration: func(i *connect.Integration) { i.Region = "" }})
	token, _ := b.session(`{"organization":{"id":"o"}}`)
	externalID := b.externalIDOf(token)
	b.role(customerRole, externalID)
	b.role("arn:aws:iam::444455556666:role/Open", externalID)
	by := "connect_session_token=" + token
	body := `{"role_arn":"` + customerRole + `","region":"eu-west-1"}`
	for _, tc := range []struct {
		name, integration, query, body string
		status                         int
		code, path                     string
	}{
		{"nobody", "acme-s3", "", body, 401, "missing_public_key", ""},
		{"no token", "acme-s3", "connect_session_token=x", body, 401, "invalid_connect_session_token_format", ""},
		{"a guessed token", "acme-s3", "connect_session_token=" + tokenPrefix + strings.Repeat("0", 64), body, 401, "unknown_connect_session_token", ""},
		{"the token twice", "acme-s3", by + "&" + by, body, 400, "invalid_query_params", "[connect_session_token]"},
		{"an ID that the browser chose", "acme-s3", by + "&connection_id=" + chosenID, body, 400, "invalid_query_params", "[connection_id]"},
		{"an unknown parameter", "acme-s3", by + "&surprise=1", body, 400, "invalid_query_params", "[surprise]"},
		{"a base URL", "acme-s3", by + "&params[base_url]=https://evil.example", body, 400, "invalid_query_params", "[params base_url]"},
		{"a webhook", "acme-s3", by + "&params%5Bwebhook_url%5D=https://evil.example", body, 400, "invalid_query_params", "[params webhook_url]"},
		{"anything else", "acme-s3", by + "&params[account]=1", body, 400, "invalid_query_params", "[params account]"},
		{"no integration", "none", by, body, 404, "unknown_provider_config", ""},
		{"no key of one", "a%2Fb", by, body, 400, "invalid_uri_params", "[providerConfigKey]"},
		{"another integration", "other-s3", by, body, 400, "integration_not_allowed", ""},
		{"another External ID", "acme-s3", by + "&params[external_id]=1bdff5dc-0000-4000-8000-000000000000", body, 400, "external_id_mismatch", ""},
		{"no body", "acme-s3", by, ``, 400, "invalid_body", ""},
		{"no role", "acme-s3", by, `{"region":"eu-west-1"}`, 400, "invalid_body", "[role_arn]"},
		{"no ARN", "acme-s3", by, `{"role_arn":"Customer","region":"eu-west-1"}`, 400, "invalid_body", "[role_arn]"},
		{"no region", "acme-s3", by, `{"role_arn":"` + customerRole + `"}`, 400, "missing_aws_sigv4_region", ""},
		{"an address for a region", "acme-s3", by, `{"role_arn":"` + customerRole + `","region":"169.254.169.254#"}`, 400, "invalid_body", "[region]"},
		{"more than that", "acme-s3", by, `{"role_arn":"` + customerRole + `","external_id":"` + externalID + `"}`, 400, "invalid_body", "[external_id]"},
		{"the vendor's own account", "acme-s3", by, `{"role_arn":"arn:aws:iam::111122223333:role/Own","region":"eu-west-1"}`, 400, "account_not_allowed", ""},
		{"a role that refuses", "acme-s3", by, `{"role_arn":"arn:aws:iam::444455556666:role/None","region":"eu-west-1"}`, 502, "aws_sigv4_sts_request_failed", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := b.auth(tc.integration, tc.query, tc.body)
			if r.StatusCode != tc.status || r.code(t) != tc.code {
				t.Fatalf("%d %s", r.StatusCode, r.body)
			}
			e, _ := r.json(t)["error"].(map[string]any)
			if tc.path != "" && !strings.Contains(paths(e), tc.path) {
				t.Errorf("the error is at %s, not at %s", paths(e), tc.path)
			}
			if strings.Contains(r.body, token) || strings.Contains(r.body, externalID) {
				t.Errorf("it repeats a secret: %s", r.body)
			}
		})
	}
	if r := b.do(&http.Client{}, b.request("POST", "/auth/aws-sigv4/acme-s3?"+by, body, "Content-Type", "text/plain")); r.StatusCode != 415 || r.code(t) != "invalid_content_type" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	if r := b.api(token, "GET", "/auth/aws-sigv4/acme-s3", ""); r.StatusCode != 200 || !strings.Contains(r.body, externalID) {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}

	r := b.auth("acme-s3", by+"&user_scope=&params[external_id]="+externalID+"&params[region]=eu-west-1", `{"role_arn":" `+customerRole+` "}`)
	id, _ := r.json(t)["connectionId"].(string)
	if r.StatusCode != 200 || r.json(t)["providerConfigKey"] != "acme-s3" || len(id) != 36 {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	if c := b.api(apiKey, "GET", "/connections/"+id, "").body; !strings.Contains(c, externalID) || !strings.Contains(c, `"region":"eu-west-1"`) || !strings.Contains(c, customerRole) {
		t.Errorf("%s", c)
	}
	// Whose answer was lost may ask again; anything else needs another session.
	if again := b.auth("acme-s3", by, body); again.StatusCode != 200 || again.json(t)["connectionId"] != id {
		t.Errorf("%d %s", again.StatusCode, again.body)
	}
	for _, other := range []string{`{"role_arn":"arn:aws:iam::444455556666:role/Other","region":"eu-west-1"}`, `{"role_arn":"` + customerRole + `","region":"us-east-1"}`} {
		if r := b.auth("acme-s3", by, other); r.StatusCode != 401 || r.code(t) != "session_used" {
			t.Errorf("%d %s", r.StatusCode, r.body)
		}
	}
	if r := b.api(token, "GET", "/auth/aws-sigv4/acme-s3", ""); r.StatusCode != 401 {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

// TestAuthKeepsAccounts: an External ID belongs to the account that it was verified with, and a connection that is renewed
// keeps its region.
func TestAuthKeepsAccounts(t *testing.T) {
	b := newBed(t, bedOptions{options: forBrowser})
	id, externalID := b.connect("o", customerRole)
	const foreign = "arn:aws:iam::777788889999:role/Foreign"
	b.role(foreign, externalID)
	token, _ := b.session(`{"organization":{"id":"o"}}`)
	if r := b.auth("acme-s3", "connect_session_token="+token, `{"role_arn":"`+foreign+`"}`); r.StatusCode != 400 || r.code(t) != "connection_test_failed" || !strings.Contains(r.body, "wrong_account") {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	data, _ := b.api(apiKey, "POST", "/connect/sessions/reconnect", `{"connection_id":"`+id+`","integration_id":"acme-s3"}`).json(t)["data"].(map[string]any)
	r := b.auth("acme-s3", "connect_session_token="+data["token"].(string), `{"role_arn":"`+customerRole+`","region":"us-east-1"}`)
	if r.StatusCode != 200 || r.json(t)["connectionId"] != id {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	if c := b.api(apiKey, "GET", "/connections/"+id, "").body; !strings.Contains(c, `"region":"eu-west-1"`) {
		t.Errorf("%s", c)
	}
	data, _ = b.api(apiKey, "POST", "/connect/sessions/reconnect", `{"connection_id":"`+id+`","integration_id":"acme-s3"}`).json(t)["data"].(map[string]any)
	b.api(apiKey, "DELETE", "/connections/"+id, "")
	if r := b.auth("acme-s3", "connect_session_token="+data["token"].(string), `{"role_arn":"`+customerRole+`"}`); r.StatusCode != 400 || r.code(t) != "invalid_connection" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

// TestAuthByPublicKey: with a public key goes the vendor's proof for one connection. Nothing else makes, renews or takes
// over one, and nobody chooses the External ID.
func TestAuthByPublicKey(t *testing.T) {
	b := newBed(t, bedOptions{options: forBrowser})
	by := func(id, hmac string) string {
		return "public_key=" + publicKeyID + "&connection_id=" + id + "&hmac=" + hmac
	}
	body := `{"role_arn":"` + customerRole + `","region":"eu-west-1"}`
	right := proof(hmacKey, "acme-s3", chosenID)
	for _, tc := range []struct {
		name, integration, query string
		status                   int
		code                     string
	}{
		{"no UUID", "acme-s3", "public_key=mine", 401, "invalid_public_key"},
		{"an unknown key", "acme-s3", "public_key=" + chosenID, 401, "unknown_account"},
		{"no connection", "acme-s3", "public_key=" + publicKeyID + "&hmac=" + proof(hmacKey, "acme-s3", ""), 400, "invalid_query_params"},
		{"no proof", "acme-s3", "public_key=" + publicKeyID + "&connection_id=" + chosenID, 400, "missing_hmac"},
		{"the proof for another connection", "acme-s3", by("22222222-2222-4333-8444-555555555555", right), 400, "invalid_hmac"},
		{"the proof for another integration", "acme-s3", by(chosenID, proof(hmacKey, "other-s3", chosenID)), 400, "invalid_hmac"},
		{"a proof by another key", "acme-s3", by(chosenID, proof("another-"+hmacKey, "acme-s3", chosenID)), 400, "invalid_hmac"},
		{"a part of the proof", "acme-s3", by(chosenID, right[:62]), 400, "invalid_hmac"},
		{"an empty proof", "acme-s3", by(chosenID, "zz"), 400, "invalid_hmac"},
		{"an integration that it is not for", "other-s3", by(chosenID, proof(hmacKey, "other-s3", chosenID)), 404, "unknown_provider_config"},
		{"an ID of another form", "acme-s3", by("user-7", proof(hmacKey, "acme-s3", "user-7")), 400, "invalid_query_params"},
		{"an ID that leads elsewhere", "acme-s3", by("..%2Fx", proof(hmacKey, "acme-s3", "../x")), 400, "invalid_query_params"},
		{"an External ID", "acme-s3", by(chosenID, right) + "&params[external_id]=mine", 400, "external_id_mismatch"},
		{"a base URL", "acme-s3", by(chosenID, right) + "&params[base_url]=https://evil.example", 400, "invalid_query_params"},
		{"a role that refuses", "acme-s3", by(chosenID, right), 502, "aws_sigv4_sts_request_failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if r := b.auth(tc.integration, tc.query, body); r.StatusCode != tc.status || r.code(t) != tc.code {
				t.Errorf("%d %s", r.StatusCode, r.body)
			}
		})
	}
	read := func(query string) string {
		t.Helper()
		r := b.do(&http.Client{}, b.request("GET", "/auth/aws-sigv4/acme-s3?"+query, ""))
		id, _ := r.json(t)["external_id"].(string)
		if r.StatusCode != 200 || id == "" {
			t.Fatalf("%d %s", r.StatusCode, r.body)
		}
		return id
	}
	externalID := read(by(chosenID, right))
	if older := read(by(chosenID, proof("older-"+hmacKey, "acme-s3", chosenID))); older != externalID {
		t.Error("the External ID changes with the key of the proof")
	}
	const second = "99999999-2222-4333-8444-555555555555"
	if read(by(second, proof(hmacKey, "acme-s3", second))) == externalID {
		t.Error("two connections have one External ID")
	}
	b.role(customerRole, externalID)
	for range 2 { // The second time it is renewed.
		if r := b.auth("acme-s3", by(chosenID, right)+"&params[external_id]="+externalID, body); r.StatusCode != 200 || r.json(t)["connectionId"] != chosenID {
			t.Fatalf("%d %s", r.StatusCode, r.body)
		}
	}
	if r := b.auth("acme-s3", by(second, proof(hmacKey, "acme-s3", second)), body); r.StatusCode != 502 {
		t.Errorf("another connection with the same role: %d %s", r.StatusCode, r.body)
	}
	// A connection that a session made is not to be had by proof for another integration, nor moved to another account.
	const foreign = "arn:aws:iam::777788889999:role/Foreign"
	b.role(foreign, externalID)
	if r := b.auth("acme-s3", by(chosenID, right), `{"role_arn":"`+foreign+`"}`); r.StatusCode != 400 || r.code(t) != "connection_test_failed" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	// The External ID stays although the connection is deleted, and however long it takes.
	b.api(apiKey, "DELETE", "/connections/"+chosenID, "")
	b.pass(24 * 3600e9)
	if _, err := b.service.Store().Sweep(t.Context(), 1000); err != nil {
		t.Fatal(err)
	}
	if got := read(by(chosenID, right)); got != externalID {
		t.Errorf("the External ID is %s, and was %s", got, externalID)
	}
}

// TestAuthAttempts: whoever tries roles is stopped, by a public key as by a session.
func TestAuthAttempts(t *testing.T) {
	b := newBed(t, bedOptions{options: forBrowser})
	token, _ := b.session(`{"organization":{"id":"o"}}`)
	for _, by := range []string{"connect_session_token=" + token, "public_key=" + publicKeyID + "&connection_id=" + chosenID + "&hmac=" + proof(hmacKey, "acme-s3", chosenID)} {
		var last *reply
		for range 11 {
			last = b.auth("acme-s3", by, `{"role_arn":"`+customerRole+`"}`)
		}
		if last.StatusCode != 429 || last.code(t) != "too_many_request" || last.Header.Get("Retry-After") != "600" || last.Header.Get("X-Ratelimit-Remaining") != "0" {
			t.Errorf("%d %s %v", last.StatusCode, last.body, last.Header)
		}
	}
	calls := 0
	for _, c := range b.aws.Calls() {
		if c.Form.Get("RoleArn") == customerRole {
			calls++
		}
	}
	if calls != 20 {
		t.Errorf("AWS was asked %d times", calls)
	}
}

// TestAuthFailures: what AWS says, in the words of the API.
func TestAuthFailures(t *testing.T) {
	b := newBed(t, bedOptions{options: forBrowser})
	token, _ := b.session(`{"organization":{"id":"o"}}`)
	for _, tc := range []struct {
		name   string
		answer func(ststest.Call) ststest.Answer
		status int
		code   string
		reason string
	}{
		{"AWS is down", func(c ststest.Call) ststest.Answer {
			if c.Form.Get("Action") != "AssumeRole" {
				return ststest.Answer{}
			}
			return ststest.Answer{Status: 500, Code: "InternalFailure", Message: "x"}
		}, 502, "aws_sigv4_sts_request_failed", "sts_unavailable"},
		{"the External ID does not matter", func(ststest.Call) ststest.Answer { return ststest.Answer{} }, 400, "connection_test_failed", "external_id_not_enforced"},
	} {
		b.mu.Lock()
		b.answer = tc.answer
		b.mu.Unlock()
		r := b.auth("acme-s3", "connect_session_token="+token, `{"role_arn":"`+customerRole+`"}`)
		if r.StatusCode != tc.status || r.code(t) != tc.code || !strings.Contains(r.body, `"reason":"`+tc.reason+`"`) {
			t.Errorf("%s: %d %s", tc.name, r.StatusCode, r.body)
		}
	}
}

// TestCrossOrigin: pages of the origins that are listed may call what is for browsers, and nothing else; others are told nothing.
func TestCrossOrigin(t *testing.T) {
	b := newBed(t, bedOptions{options: forBrowser})
	token, _ := b.session(`{"organization":{"id":"o"}}`)
	for _, tc := range []struct {
		path, origin string
		allowed      bool
	}{
		{"/auth/aws-sigv4/acme-s3?connect_session_token=" + token, "https://app.example.com", true},
		{"/connect/session", "https://app.example.com", true},
		{"/auth/aws-sigv4/acme-s3", "https://app.example.com.evil.example", false},
		{"/auth/aws-sigv4/acme-s3", "http://app.example.com", false},
		{"/auth/aws-sigv4/acme-s3", "null", false},
		{"/auth/aws-sigv4/acme-s3", "*", false},
		{"/connect/sessions", "https://app.example.com", false},
		{"/connect/sessions/reconnect", "https://app.example.com", false},
		{"/connections", "https://app.example.com", false},
		{"/connections/" + chosenID, "https://app.example.com", false},
		{"/connect/", "https://app.example.com", false},
		{"/proxy/bucket", "https://app.example.com", false},
	} {
		for _, method := range []string{"OPTIONS", "GET", "POST", "DELETE"} {
			t.Run(method+" "+strings.ReplaceAll(tc.path, "/", "∕")+" "+url.PathEscape(tc.origin), func(t *testing.T) {
				header := []string{"Origin", tc.origin, "Content-Type", "application/json"}
				if method == "OPTIONS" {
					header = append(header, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
				}
				r := b.do(&http.Client{}, b.request(method, tc.path, "{}", header...))
				want := ""
				if tc.allowed {
					want = tc.origin
				}
				if got := r.Header.Get("Access-Control-Allow-Origin"); got != want || r.Header.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("%d, allowed is %q", r.StatusCode, got)
				}
				if (method == "OPTIONS" && tc.allowed) != (r.StatusCode == 204) {
					t.Errorf("%d %s", r.StatusCode, r.body)
				}
				if forBrowsers(strings.Split(tc.path, "?")[0]) && !strings.Contains(strings.Join(r.Header.Values("Vary"), ","), "Origin") {
					t.Errorf("caches are not told: %v", r.Header)
				}
			})
		}
	}
}

// TestPublicKeysAreChecked: what an operator may write.
func TestPublicKeysAreChecked(t *testing.T) {
	for name, k := range map[string]PublicKey{
		"no UUID":               {ID: "mine", HMACKeys: []string{hmacKey}},
		"no HMAC key":           {ID: publicKeyID},
		"a short one":           {ID: publicKeyID, HMACKeys: []string{"short"}},
		"one with a blank":      {ID: publicKeyID, HMACKeys: []string{"hmac key 0123456789abcdef"}},
		"the same twice":        {ID: publicKeyID, HMACKeys: []string{hmacKey, hmacKey}},
		"no integration's name": {ID: publicKeyID, HMACKeys: []string{hmacKey}, Integrations: []string{"a/b"}},
	} {
		err := k.Check()
		if err == nil || strings.Contains(err.Error(), hmacKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := PublicKey{ID: strings.ToUpper(publicKeyID), HMACKeys: []string{hmacKey}}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
}
