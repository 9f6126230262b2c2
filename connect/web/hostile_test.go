package web

import (
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// TestForgery: a form that another site sends changes nothing, with whatever cookie rules.
func TestForgery(t *testing.T) {
	for _, ancestors := range [][]string{nil, {"https://app.example.com"}} {
		b := newBed(t, bedOptions{options: func(o *Options) { o.FrameAncestors = ancestors }})
		_, link := b.session(`{"organization":{"id":"o"}}`)
		br := b.open(link)
		token := formTokenOf.FindStringSubmatch(br.get("").body)[1]
		_, otherLink := b.session(`{"organization":{"id":"other"}}`)
		otherToken := formTokenOf.FindStringSubmatch(b.open(otherLink).get("").body)[1]
		own := b.server.URL
		for _, tc := range []struct {
			name, token string
			header      []string
			allowed     bool
		}{
			{"our own page", token, []string{"Sec-Fetch-Site", "same-origin", "Origin", own}, true},
			{"our own page in a browser without Sec-Fetch-Site", token, []string{"Origin", own}, true},
			{"our own page in one that hides the origin", token, []string{"Sec-Fetch-Site", "same-origin", "Origin", "null"}, true},
			{"our own page behind a proxy that changes the host", token, []string{"Sec-Fetch-Site", "same-origin", "Origin", "https://connect.example.com"}, true},

			{"no token", "", []string{"Sec-Fetch-Site", "same-origin", "Origin", own}, false},
			{"a wrong token", strings.Repeat("0", 64), []string{"Sec-Fetch-Site", "same-origin", "Origin", own}, false},
			{"another session's token", otherToken, []string{"Sec-Fetch-Site", "same-origin", "Origin", own}, false},
			{"another site", token, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, false},
			{"another site in a browser without Sec-Fetch-Site", token, []string{"Origin", "https://evil.example"}, false},
			{"the page that has ours in its frame", token, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://app.example.com"}, false},
			{"a neighbour", token, []string{"Sec-Fetch-Site", "same-site", "Origin", "https://neighbour.example.com"}, false},
			{"an address that was typed", token, []string{"Sec-Fetch-Site", "none"}, false},
			{"another port", token, []string{"Origin", "http://127.0.0.1:1"}, false},
			{"another scheme", token, []string{"Origin", strings.Replace(own, "http:", "https:", 1)}, false},
			{"a sandbox", token, []string{"Origin", "null"}, false},
			{"nobody says", token, []string{"X-Nothing", ""}, false},
			{"two origins", token, []string{"Sec-Fetch-Site", "same-origin", "Origin", own, "Origin", "https://evil.example"}, false},
			{"two sites", token, []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Site", "cross-site", "Origin", own}, false},
		} {
			for _, to := range []string{"", "check"} {
				r := br.post(to, url.Values{"form_token": {tc.token}, "role_arn": {tc.name}, "region": {"x"}, "lang": {"en"}}, tc.header...)
				if changed := strings.Contains(br.get("").body, `value="`+html.EscapeString(tc.name)+`"`); changed != tc.allowed || (r.StatusCode == http.StatusForbidden) == tc.allowed {
					t.Errorf("%s, %q: %d, changed %t", tc.name, to, r.StatusCode, changed)
				}
			}
		}
		// What can be sent without reading our page, as an image or a form of another type, is no form.
		for _, contentType := range []string{"text/plain", "multipart/form-data; boundary=x", "application/json", ""} {
			req := b.request("POST", br.page, "form_token="+token+"&role_arn=x", "Content-Type", contentType, "Origin", own, "Sec-Fetch-Site", "same-origin")
			if r := b.do(br.c, req); r.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %d", contentType, r.StatusCode)
			}
		}
		if r := b.do(&http.Client{}, b.request("POST", br.page, "form_token="+token, "Content-Type", "application/x-www-form-urlencoded", "Origin", own)); r.StatusCode != http.StatusForbidden {
			t.Errorf("without the cookie: %d", r.StatusCode)
		}
	}
}

// TestFraming: only the pages that the operator names may have the page in a frame, and a name can't
// change the rest of the policy.
func TestFraming(t *testing.T) {
	for _, tc := range []struct {
		ancestors []string
		want      string
	}{
		{nil, "frame-ancestors 'none'"},
		{[]string{"https://app.example.com", "https://other.example:8443"}, "frame-ancestors 'self' https://app.example.com https://other.example:8443"},
	} {
		b := newBed(t, bedOptions{options: func(o *Options) { o.FrameAncestors = tc.ancestors }})
		_, link := b.session(`{"organization":{"id":"o"}}`)
		policy := b.open(link).get("").Header.Get("Content-Security-Policy")
		if !strings.HasSuffix(policy, tc.want) || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "form-action 'self'") {
			t.Errorf("%s", policy)
		}
	}
	for _, bad := range []string{
		"*", "https://*", "app.example.com", "http://app.example.com", "https://app.example.com/", "https://app.example.com; script-src *", "https://a b", "'self'",
		"https://u@app.example.com", "javascript:alert(1)", "data:text/html,x", "https://app.example.com\n", "",
	} {
		b := newBed(t, bedOptions{})
		if _, err := New(Options{Service: b.service, FrameAncestors: []string{bad}}); err == nil {
			t.Errorf("%q is taken for an origin", bad)
		}
	}
}

// TestMarkup: whatever the operator, the vendor, the customer, a template or AWS says is text on the
// page.
func TestMarkup(t *testing.T) {
	const evil = `"'><script>alert(1)</script><img src=x onerror=alert(1)>{{.}}{vendor}`
	template := strings.NewReplacer("EVIL", strings.ReplaceAll(evil, `"`, `\"`)).Replace(`{
		"Description": "EVIL",
		"Parameters": {"ExternalId": {"Type": "String", "Description": "EVIL"}, "Other": {"Type": "String", "Default": "EVIL", "Description": "EVIL"}},
		"Conditions": {"C": {"Fn::Equals": [{"Ref": "Other"}, "EVIL"]}},
		"Resources": {
			"Role": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "EVIL",
				"AssumeRolePolicyDocument": {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "EVIL"}, "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"EVIL": "EVIL", "sts:ExternalId": {"Ref": "ExternalId"}}}}]},
				"Policies": [{"PolicyName": "p", "PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "EVIL", "Resource": "EVIL"}, {"Effect": "Deny", "NotAction": "EVIL", "NotResource": "EVIL"}]}}]}},
			"Other": {"Type": "Custom::EVIL", "Properties": {}}
		}}`)
	file := filepath.Join(t.TempDir(), "evil.json")
	if err := os.WriteFile(file, []byte(template), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBed(t, bedOptions{integration: func(i *connect.Integration) {
		i.DisplayName = evil
		i.Logo = "https://cdn.example.com/logo.svg?a='\"><script>;script-src *"
		i.Instructions = []connect.Instruction{{Label: evil, URL: `https://docs.example.com/"><script>`, Description: evil}}
		i.Templates = []connect.Template{{ID: "evil", Label: evil, Description: evil, File: file, ExternalIDParameter: "ExternalId", Parameters: map[string]string{"Other": evil}}}
	}})
	named, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	_, link := b.session(`{"organization":{"id":"o","display_name":` + string(named) + `},"end_user":{"id":"u","display_name":` + string(named) + `},
		"return_urls":{"error":"https://app.example.com/aws/?x=%22%3E%3Cscript%3E","success":"https://app.example.com/aws/?x=%22%3E%3Cscript%3E"}}`)
	br := b.open(link)
	pages := map[string]*reply{"connect": br.get("")}
	pages["invalid"] = br.submit(evil, evil)
	pages["denied"] = br.submit(customerRole, "")
	b.role(customerRole, br.externalID())
	pages["done"] = br.submit(customerRole, "")
	ours := regexp.MustCompile(`<script src="../../assets/page\.[0-9a-f]{16}\.js" defer></script>`)
	for name, page := range pages {
		rest := ours.ReplaceAllString(page.body, "")
		if strings.Contains(rest, "<script") || strings.Contains(rest, "<img src=x") || regexp.MustCompile(`<[^>]*\sonerror=`).MatchString(rest) {
			t.Errorf("%s: markup came through:\n%s", name, rest)
		}
		if !strings.Contains(html.UnescapeString(page.body), evil) {
			t.Errorf("%s: what was said is not there", name)
		}
		if policy := page.Header.Get("Content-Security-Policy"); strings.Contains(policy, "script-src *") || strings.Count(policy, "script-src") != 1 || !strings.Contains(policy, "img-src 'self' https://cdn.example.com;") {
			t.Errorf("%s: %s", name, policy)
		}
	}
}

// TestForeignSession: a browser sees the sessions whose cookies it has, and no others.
func TestForeignSession(t *testing.T) {
	b := newBed(t, bedOptions{})
	myToken, mine := b.session(`{"organization":{"id":"mine"}}`)
	token, theirs := b.session(`{"organization":{"id":"theirs"}}`)
	br, other := b.open(mine), b.open(theirs)
	for name, page := range map[string]string{
		"another session": other.page, "no session": b.server.URL + "/connect/s/0000000000000000/", "a long one": b.server.URL + "/connect/s/" + strings.Repeat("0", 64) + "/",
	} {
		for _, path := range []string{"", "status", "keep", "template/x"} {
			if r := br.get(page + path); r.StatusCode != http.StatusForbidden || strings.Contains(r.body, "external-id") {
				t.Errorf("%s %s: %d", name, path, r.StatusCode)
			}
		}
	}
	// A cookie of another session under this one's name, as somebody may plant one who can write cookies, does
	// not show that session in this one's place, and does not hide this one's own.
	id := strings.Split(strings.TrimSuffix(br.page, "/"), "/s/")[1]
	req := b.request("GET", br.page, "")
	req.AddCookie(&http.Cookie{Name: sessionCookie + id, Value: token})
	if r := b.do(&http.Client{}, req); r.StatusCode != http.StatusForbidden || strings.Contains(r.body, "external-id") {
		t.Errorf("a planted cookie: %d", r.StatusCode)
	}
	req.AddCookie(&http.Cookie{Name: sessionCookie + id, Value: myToken})
	if r := b.do(&http.Client{}, req); r.StatusCode != http.StatusOK || !strings.Contains(r.body, br.externalID()) {
		t.Errorf("with a planted cookie before its own: %d", r.StatusCode)
	}
}

// TestExternalIDSwap: no field of a form changes the External ID, and a role that asks for another
// one is not connected.
func TestExternalIDSwap(t *testing.T) {
	b := newBed(t, bedOptions{})
	_, victims := b.session(`{"organization":{"id":"victim"}}`)
	victim := b.open(victims).externalID()
	b.role(customerRole, victim)
	_, link := b.session(`{"organization":{"id":"attacker"}}`)
	br := b.open(link)
	r := br.post("?external_id="+victim, url.Values{
		"role_arn": {customerRole}, "region": {"eu-west-1"}, "external_id": {victim}, "externalId": {victim}, "prefill[external_id]": {victim}, "params[external_id]": {victim},
	})
	if r.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d", r.StatusCode)
	}
	for deadline := time.Now().Add(10 * time.Second); br.get("status").json(t)["state"] == "running" && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
	}
	page := br.get("").body
	if !strings.Contains(page, "assume_role_denied") || strings.Contains(page, victim) {
		t.Errorf("%s", page)
	}
	for _, c := range b.aws.Calls() {
		if c.Form.Get("RoleArn") == customerRole && c.Form.Get("ExternalId") == victim {
			t.Error("the victim's External ID was sent")
		}
	}
}

// TestReuse: a session makes one connection, however its form is sent.
func TestReuse(t *testing.T) {
	b := newBed(t, bedOptions{})
	token, link := b.session(`{"organization":{"id":"o"}}`)
	br := b.open(link)
	id := br.externalID()
	formToken := formTokenOf.FindStringSubmatch(br.get("").body)[1]
	b.role(customerRole, id)
	br.submit(customerRole, "")
	const second = "arn:aws:iam::444455556666:role/Second"
	b.role(second, id)
	r := br.post("", url.Values{"form_token": {formToken}, "role_arn": {second}, "region": {"eu-west-1"}})
	if page := br.get("").body; r.StatusCode != http.StatusSeeOther || strings.Contains(page, second) || !strings.Contains(page, customerRole) {
		t.Errorf("%d %s", r.StatusCode, page)
	}
	if r := b.api(token, "GET", "/connect/session", ""); r.StatusCode != 401 || !strings.Contains(r.body, "session_used") {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

// TestTooMuch: bodies are bounded, and so is what is kept of them.
func TestTooMuch(t *testing.T) {
	b := newBed(t, bedOptions{})
	_, link := b.session(`{"organization":{"id":"o"}}`)
	br := b.open(link)
	form := url.Values{"role_arn": {strings.Repeat("x", 20<<10)}, "region": {"eu-west-1"}, "form_token": {formTokenOf.FindStringSubmatch(br.get("").body)[1]}}
	for _, to := range []string{"", "check"} {
		if r := br.post(to, form); r.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%q: %d", to, r.StatusCode)
		}
	}
	form.Set("role_arn", strings.Repeat("x", 4000))
	if r := br.post("", form); r.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("%d", r.StatusCode)
	}
	if r := br.post("check", form); r.StatusCode != http.StatusOK {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	if page := br.get("").body; strings.Contains(page, strings.Repeat("x", 3000)) {
		t.Error("it was kept")
	}
}

// TestSSRFByFields: what is no role and no region never gets to AWS.
func TestSSRFByFields(t *testing.T) {
	b := newBed(t, bedOptions{})
	_, link := b.session(`{"organization":{"id":"o"}}`)
	br := b.open(link)
	br.get("") // The broker's own identity is asked for once.
	before := len(b.aws.Calls())
	for _, region := range []string{"169.254.169.254#", "us-east-1/", "us-east-1@evil.example", "US-EAST-1", "us-east-1.evil.example", "ｕｓ-east-1", "us_east_1", "../x", "us-east-1\r\nHost: x", "localhost"} {
		if r := br.submit(customerRole, region); r.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(r.body, "invalid_region") {
			t.Errorf("%q: %d", region, r.StatusCode)
		}
	}
	for _, role := range []string{
		"arn:aws:iam::444455556666:user/x", "arn:aws:iam::444455556666:role/", "arn:aws:iam::evil:role/x", "arn:evil:iam::444455556666:role/x", "arn:aws:iam::444455556666:role/x\r\ny",
		"arn:aws:iam::444455556666:root", "ARN:aws:iam::444455556666:role/x", "arn:aws:iam::444455556666:role/ｘ", "arn:aws:sts::444455556666:assumed-role/x/y",
	} {
		if r := br.submit(role, "eu-west-1"); r.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%q: %d", role, r.StatusCode)
		}
	}
	if r := br.submit("arn:aws:iam::111122223333:role/Vendor", "eu-west-1"); !strings.Contains(r.body, "account_not_allowed") {
		t.Errorf("a role of the vendor's own account: %s", r.body)
	}
	if after := len(b.aws.Calls()); after != before {
		t.Errorf("AWS was asked %d times", after-before)
	}
}

// TestRedirects: nothing in a request decides where a browser is sent.
func TestRedirects(t *testing.T) {
	b := newBed(t, bedOptions{})
	token, link := b.session(`{"organization":{"id":"o"}}`)
	br := b.open(link)
	for _, target := range []string{
		"//evil.example/connect/?session_token=" + token, "/connect//?session_token=" + token, "/connect/../connect/?session_token=" + token, "/connect/%2e%2e/connect/?session_token=" + token,
		"/connect/./?session_token=" + token, `/connect/\evil.example/?session_token=` + token, "/connect/s/x%0d%0aSet-Cookie:y/", br.page[len(b.server.URL):] + "?lang=//evil.example",
		br.page[len(b.server.URL):] + "?lang=de&next=https://evil.example", "/connect/?session_token=" + token + "&return_url=https://evil.example&lang=%0d%0aX:y",
	} {
		req := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/", nil)
		u, err := url.ParseRequestURI(target)
		if err != nil {
			continue // No server gets that far.
		}
		req.URL, req.RequestURI = u, target
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, req)
		if to := w.Header().Get("Location"); strings.Contains(to, "evil") || strings.Contains(to, token) || strings.HasPrefix(to, "//") || strings.Contains(to, `\`) || w.Header().Get("X") != "" {
			t.Errorf("%s: %d to %q", target, w.Code, to)
		}
		if strings.Contains(w.Body.String(), token) {
			t.Errorf("%s: the token is on the page", target)
		}
	}
	// Without its slash the page is found, from wherever this is, and its query stays behind.
	bare := strings.TrimSuffix(br.page, "/")
	if r := br.get(bare + "?session_token=" + token); r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != bare[strings.LastIndexByte(bare, '/')+1:]+"/" || r.body != "" {
		t.Errorf("%d to %q: %s", r.StatusCode, r.Header.Get("Location"), r.body)
	}
	// A return URL is checked when a session is made, and goes out as it was checked.
	_, link = b.session(`{"organization":{"id":"p"},"return_urls":{"error":"https://app.example.com/aws/?next=https%3A%2F%2Fevil.example%0D%0A"}}`)
	if page := b.open(link).get("").body; !strings.Contains(html.UnescapeString(page), `href="https://app.example.com/aws/?error=cancelled&next=https%3A%2F%2Fevil.example%0D%0A"`) {
		t.Errorf("%s", page)
	}
}

// TestSecretsStaySecret: no page and no answer holds a token, but for the one that the API returns, and
// nothing tells of the broker's keys.
func TestSecretsStaySecret(t *testing.T) {
	b := newBed(t, bedOptions{})
	token, link := b.session(`{"organization":{"id":"o"}}`)
	br := b.open(link)
	var said []string
	for _, path := range []string{"", "status", "keep", "?lang=de", "nothing", "template/none"} {
		said = append(said, br.get(path).body)
	}
	said = append(said, br.submit("x", "").body, br.submit(customerRole, "").body)
	b.role(customerRole, br.externalID())
	said = append(said, br.submit(customerRole, "").body, b.api(token, "GET", "/connect/session", "").body)
	b.mu.Lock()
	defer b.mu.Unlock()
	said = append(said, b.reports...)
	for _, text := range said {
		for _, secret := range []string{token, strings.TrimPrefix(token, tokenPrefix), brokerSecret, apiKey, "issued-secret", "issued-token"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s is in\n%s", secret, text)
			}
		}
	}
}

// TestEveryAnswerIsGuarded: no answer may be kept, sniffed or read by other origins; assets may be kept.
func TestEveryAnswerIsGuarded(t *testing.T) {
	b := newBed(t, bedOptions{})
	_, link := b.session(`{"organization":{"id":"o"}}`)
	br := b.open(link)
	page := br.get("").body
	style := regexp.MustCompile(`href="\.\./\.\./(assets/style\.[0-9a-f]+\.css)"`).FindStringSubmatch(page)[1]
	for path, status := range map[string]int{
		br.page: 200, br.page + "status": 200, br.page + "nothing": 404, "/connect/assets/style.css": 404, "/connect/assets/": 404, "/connect/" + style: 200,
		"/": 404, "/connections/x": 401, "/connect/x": 404, "/connect/session": 401,
	} {
		r := br.get(path)
		asset := strings.HasSuffix(path, style)
		if r.StatusCode != status || (r.Header.Get("Cache-Control") == "no-store") == asset || r.Header.Get("X-Content-Type-Options") != "nosniff" ||
			r.Header.Get("Cross-Origin-Resource-Policy") != "same-origin" || r.Header.Get("Content-Security-Policy") == "" || r.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", path, r.StatusCode, r.Header)
		}
	}
	if r := br.get("/connect/" + style); r.Header.Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(r.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("%v", r.Header)
	}
}

// TestOptions: what can't work is refused when the handler is made, and no error repeats a secret.
func TestOptions(t *testing.T) {
	b := newBed(t, bedOptions{})
	good := Key{Name: "k", Secrets: []string{apiKey}}
	for name, change := range map[string]func(*Options){
		"no service":                  func(o *Options) { o.Service = nil },
		"a key without name":          func(o *Options) { o.Keys[0].Name = "" },
		"a key without secret":        func(o *Options) { o.Keys[0].Secrets = nil },
		"a short secret":              func(o *Options) { o.Keys[0].Secrets = []string{"short-secret"} },
		"a secret with a blank":       func(o *Options) { o.Keys[0].Secrets = []string{apiKey + " x"} },
		"an unknown scope":            func(o *Options) { o.Keys[0].Scopes = []Scope{"all"} },
		"an unknown integration":      func(o *Options) { o.Keys[0].Integrations = []string{"none"} },
		"an integration that is none": func(o *Options) { o.Keys[0].Integrations = []string{"a/b"} },
		"two keys of a name":          func(o *Options) { o.Keys = append(o.Keys, Key{Name: "k", Secrets: []string{otherKey}}) },
		"two keys of a secret":        func(o *Options) { o.Keys = append(o.Keys, Key{Name: "l", Secrets: []string{apiKey}}) },
		"a base URL without https":    func(o *Options) { o.BaseURL = "http://connect.example.com" },
		"a base URL with a query":     func(o *Options) { o.BaseURL = "https://connect.example.com?x" },
		"a base URL that is none":     func(o *Options) { o.BaseURL = "connect" },
	} {
		o := Options{Service: b.service, Keys: []Key{good}}
		change(&o)
		_, err := New(o)
		if err == nil {
			t.Errorf("%s is taken", name)
			continue
		}
		if strings.Contains(err.Error(), apiKey) || strings.Contains(err.Error(), "short-secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Options{Service: b.service, Keys: []Key{good}}); err != nil {
		t.Error(err)
	}
}

// TestCustomersThatLookAlike: what decoders of JSON make one of is refused, because two customers of one ID
// have one External ID.
func TestCustomersThatLookAlike(t *testing.T) {
	b := newBed(t, bedOptions{})
	for name, id := range map[string]string{
		"Latin-1": "M\xfcller", "other Latin-1": "M\xf6ller", "half a pair": `\ud800`, "the other half": `a\udc00`, "two first halves": `\ud800\ud800`, "the mark of what could not be read": "a\ufffd",
		"overlong": "\xc0\xaf", "a surrogate in UTF-8": "\xed\xa0\x80",
	} {
		for _, body := range []string{`{"organization":{"id":"` + id + `"}}`, `{"end_user":{"id":"` + id + `"}}`} {
			if r := b.api(apiKey, "POST", "/connect/sessions", body); r.StatusCode != 400 || !strings.Contains(r.body, "UTF-8") {
				t.Errorf("%s: %d %s", name, r.StatusCode, r.body)
			}
		}
	}
	if r := b.api(apiKey, "POST", "/connect/sessions", `{"organization":{"id":"o"},"tags":{"env":"a","env":"b"}}`); r.StatusCode != 400 || !strings.Contains(r.body, "twice") {
		t.Errorf("a tag twice: %d %s", r.StatusCode, r.body)
	}
	// What differs for the vendor differs here: nothing is folded or normalized.
	seen := map[string]string{}
	for _, id := range []string{"globex", "Globex", "globex ", " globex", "glob\u00e9x", "globe\u0301x", "globex\u200b", "ｇlobex", `\ud83d\ude00`} {
		_, link := b.session(`{"organization":{"id":"` + id + `"}}`)
		externalID := b.open(link).externalID()
		if other, ok := seen[externalID]; ok {
			t.Errorf("%q and %q have one External ID", id, other)
		}
		seen[externalID] = id
	}
	_, link := b.session(`{"end_user":{"id":"globex"}}`)
	if _, ok := seen[b.open(link).externalID()]; ok {
		t.Error("an end user has the External ID of an organization")
	}
}

// TestSessionsOfWhatIsGone: the session of a connection that was deleted since is over, and loading its page
// again and again does not fill the operator's log.
func TestSessionsOfWhatIsGone(t *testing.T) {
	b := newBed(t, bedOptions{})
	id, _ := b.connect("org-1", customerRole)
	data, _ := b.api(apiKey, "POST", "/connect/sessions/reconnect", `{"connection_id":"`+id+`","integration_id":"acme-s3","return_urls":{"error":"https://app.example.com/aws/"}}`).json(t)["data"].(map[string]any)
	link, _ := data["connect_link"].(string)
	token, _ := data["token"].(string)
	br := b.open(link)
	formToken := formTokenOf.FindStringSubmatch(br.get("").body)[1]
	if r := b.api(apiKey, "DELETE", "/connections/"+id, ""); r.StatusCode != http.StatusOK {
		t.Fatalf("%d", r.StatusCode)
	}
	for range 3 {
		if r := br.get(""); r.StatusCode != http.StatusGone || !strings.Contains(r.body, "error=session_revoked") || strings.Contains(r.body, customerRole) {
			t.Errorf("the page: %d %s", r.StatusCode, r.body)
		}
		if r := br.post("", url.Values{"form_token": {formToken}, "role_arn": {customerRole}, "region": {"eu-west-1"}}); r.StatusCode != http.StatusGone {
			t.Errorf("the form: %d %s", r.StatusCode, r.body)
		}
		if r := b.api(token, "GET", "/connect/session", ""); r.StatusCode != http.StatusUnauthorized {
			t.Errorf("the API: %d %s", r.StatusCode, r.body)
		}
	}
	if r := b.api(apiKey, "GET", "/connections/"+id, ""); r.StatusCode != http.StatusNotFound {
		t.Errorf("the connection is there again: %d", r.StatusCode)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.reports) > 0 {
		t.Errorf("the operator was told %q", b.reports)
	}
}
