package integration_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestConnectInjections: what is no role and no region is sent nowhere, whatever address it would make, and
// is not kept as one.
func TestConnectInjections(t *testing.T) {
	b := newAttackedBed(t, connectParts{})
	c, _, externalID := b.invite("globex")
	b.makeRole(customerRole, externalID)
	calls, formToken, sent := b.calls(), c.read(shownFormToken), 0
	submit := func(role, region string) reply {
		if sent++; sent%20 == 0 { // A session has no more than thirty refusals in a while.
			c, _, _ = b.invite("globex")
			formToken = c.read(shownFormToken)
		}
		return c.post("", url.Values{"form_token": {formToken}, "role_arn": {role}, "region": {region}})
	}
	for _, region := range []string{
		"169.254.169.254#", "169.254.169.254/", "us-east-1/", "us-east-1#", "us-east-1?x", "us-east-1@evil.example", "evil.example/us-east-1", "us-east-1.evil.example", "us-east-1:443", "us-east-1\\x",
		"US-EAST-1", "us-east-1\u0000", "us-east-1\r\nHost: evil.example", "us-east-1%2f", "us-east-1.", ".us-east-1", "us--1", "us-east-１", "ｕｓ-east-1", "us‐east‐1", "uѕ-east-1", "us-east-1\u200b",
		"localhost", "*", "aws-global", "$(id)", "{env.CONNECT_KEY}", "{region}", "'; --", strings.Repeat("us-east-1", 100), "us-east-" + strings.Repeat("1", 60),
	} {
		r := submit(customerRole, region)
		if r.status != 422 || !strings.Contains(r.body, "invalid_region") {
			t.Errorf("the region %q: %v", region, r)
		}
		quoted, err := json.Marshal(region)
		if err != nil {
			t.Fatal(err)
		}
		b.api("POST", "/connect/sessions", `{"allowed_integrations":["acme-s3"],"organization":{"id":"o"},"prefill":{"region":`+string(quoted)+`}}`).expect(t, 400)
	}
	for _, role := range []string{
		"arn:aws:iam::444455556666:user/x", "arn:aws:iam::444455556666:role/", "arn:aws:iam::444455556666:root", "arn:aws:sts::444455556666:assumed-role/x/y", "ARN:aws:iam::444455556666:role/x",
		"arn:AWS:iam::444455556666:role/x", "arn:evil:iam::444455556666:role/x", "arn:aws/x:iam::444455556666:role/x", "arn:aws:iam:us-east-1:444455556666:role/x", "arn:aws:s3:::444455556666:role/x",
		"arn:aws:iam::44445555666:role/x", "arn:aws:iam::4444555566667:role/x", "arn:aws:iam::４４４４55556666:role/x", "arn:aws:iam::44445555666a:role/x", "arn:aws:iam::444455556666:role/ｘ",
		"arn:aws:iam::444455556666:role/x y", "arn:aws:iam::444455556666:role/x\r\nX: y", "arn:aws:iam::444455556666:role/x\u0000", "arn:aws:iam::444455556666:role/x&ExternalId=y", "arn:aws:iam::444455556666:role/x#",
		"arn:aws:iam::444455556666:role//x", "arn:aws:iam::444455556666:role/*", "arn:aws:iam::444455556666:role/" + strings.Repeat("x", 65),
		"https://evil.example/", "169.254.169.254", customerRole + "\n" + customerRole, "",
	} {
		r := submit(role, "eu-west-1")
		if r.status != 422 || !strings.Contains(r.body, "invalid_role_arn") {
			t.Errorf("the role %q: %v", role, r)
		}
	}
	// Of a field that is there twice the first counts, for the check and for the call.
	twice := url.Values{"form_token": {formToken}, "role_arn": {"arn:aws:iam::444455556666:user/x", customerRole}, "region": {"eu-west-1"}}
	c.post("?role_arn="+url.QueryEscape(customerRole), twice).expect(t, 422, "invalid_role_arn")
	if b.calls() != calls {
		t.Errorf("AWS was asked %d times", b.calls()-calls)
	}
}

// TestConnectTemplateAddresses: no template is fetched from a metadata service, however its address is
// written. (What its name leads to is checked when it is connected to: see TestTemplatesOfNamesThatRebind.)
func TestConnectTemplateAddresses(t *testing.T) {
	hosts := []string{
		"169.254.169.254", "169.254.170.2", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "[fe80::1]", "0.0.0.0", "[::]",
	}
	var templates strings.Builder
	for i, host := range hosts {
		templates.WriteString("template t" + string(rune('a'+i)) + " {\nlabel Label" + string(rune('a'+i)) + "\nurl https://" + host + "/latest/meta-data/?secret=in-the-query\nexternal_id_parameter ExternalId\n}\n")
	}
	b := newAttackedBed(t, connectParts{integration: templates.String()})
	b.secrets = append(b.secrets, "in-the-query")
	for i := range hosts {
		b.waitForLog("template t"+string(rune('a'+i))+": ", 1, patience)
	}
	refused := 0
	for line := range strings.Lines(b.logged()) {
		if strings.Contains(line, "template ta: ") {
			refused = strings.Count(line, "nothing is ever sent there")
		}
	}
	if refused != len(hosts) {
		t.Errorf("%d of %d were refused for their address", refused, len(hosts))
	}
	c, _, _ := b.invite("globex")
	if page := c.get("").body; strings.Contains(page, "169.254") || strings.Contains(page, "meta-data") || !strings.Contains(page, "Labela") {
		t.Errorf("the page tells the address, or lacks the card: %s", page)
	}
	if r := c.get("template/ta"); r.status == 200 || strings.Contains(r.body, "169.254") {
		t.Errorf("%v", r)
	}
}

// TestConnectHosts: neither Host nor what proxies add to a request makes links, cookies or redirects, nor
// lets a token be taken without HTTPS, unless the operator trusts the proxy.
func TestConnectHosts(t *testing.T) {
	anyHost := func(caddyfile string) string { return strings.Replace(caddyfile, "http://<site>", "http://<port>", 1) }
	trusting := func(caddyfile string) string {
		return strings.Replace(anyHost(caddyfile), "servers {\n", "servers {\ntrusted_proxies static 127.0.0.1\n", 1)
	}
	const host = "Host: connect.acme.example"
	body := `{"allowed_integrations":["acme-s3"],"organization":{"id":"o"}}`
	for name, tc := range map[string]struct {
		change  func(string) string
		trusted bool
		base    string
	}{
		"nobody is trusted": {anyHost, false, ""}, "a proxy is trusted": {trusting, true, ""}, "base_url": {trusting, true, "base_url https://customers.acme.example"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newAttackedBed(t, connectParts{handler: tc.base}, tc.change)
			var token string
			for _, lines := range [][]string{
				{host},
				{host, "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "X-Forwarded-Port: 1", "X-Forwarded-Prefix: /evil", "X-Forwarded-For: 203.0.113.1"},
				{host, "Forwarded: for=203.0.113.1;host=evil.example;proto=https", "X-Original-Host: evil.example", "X-Host: evil.example", "X-Rewrite-Url: //evil.example", "X-Original-Url: //evil.example"},
			} {
				r := b.do("POST", "/connect/sessions", body, append(lines, jsonType, "Authorization: Bearer "+connectSecret)...)
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
				want := "https://connect.acme.example/connect/?session_token="
				if tc.base != "" {
					want = "https://customers.acme.example/connect/?session_token="
				}
				if made.Data.Link != want+made.Data.Token {
					t.Errorf("%v: the link is %s", lines, made.Data.Link)
				}
				token = made.Data.Token
				b.secrets = append(b.secrets, token)
			}
			for what, lines := range map[string][]string{
				"HTTP": {host}, "a proxy that got HTTP": {host, "X-Forwarded-Proto: http"}, "two schemes": {host, "X-Forwarded-Proto: https", "X-Forwarded-Proto: http"},
				"a list": {host, "X-Forwarded-Proto: https, http"}, "another header": {host, "Forwarded: proto=https", "X-Forwarded-Ssl: on", "Front-End-Https: on", "X-Url-Scheme: https"},
				"a name like localhost's": {"Host: localhost.evil.example"}, "a name that ends so": {"Host: evillocalhost"}, "a private address": {"Host: 10.0.0.1"},
			} {
				r := b.get("/connect/?session_token="+token, lines...)
				if r.status != 403 || r.header.Get("Set-Cookie") != "" {
					t.Errorf("%s: %v %v", what, r, r.header)
				}
			}
			r := b.get("/connect/?session_token="+token, host, "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example", "X-Forwarded-Prefix: //evil.example")
			if (r.status == 303) != tc.trusted || strings.Contains(r.header.Get("Location")+r.header.Get("Set-Cookie")+r.body, "evil") || strings.Contains(r.header.Get("Set-Cookie"), "Domain") {
				t.Errorf("%v %v", r, r.header)
			}
			if to := r.header.Get("Location"); tc.trusted && !strings.HasPrefix(to, "s/") {
				t.Errorf("it leads to %q", to)
			}
		})
	}
}

// TestConnectPathsAndMethods: there is one spelling of each path, and nothing that comes with another one is
// sent elsewhere or logged.
func TestConnectPathsAndMethods(t *testing.T) {
	b := newAttackedBed(t, connectParts{})
	c, token, _ := b.invite("globex")
	random := strings.TrimPrefix(token, "aws_connect_session_")
	b.secrets = append(b.secrets, random)
	escaped := strings.ReplaceAll(token, "_", "%5F")
	id := strings.TrimSuffix(strings.TrimPrefix(c.page, "/connect/s/"), "/")
	for _, target := range []string{
		"//connect/?session_token=" + token, "/connect//?session_token=" + token, "/connect/../connect/?session_token=" + token, "/connect/%2e%2e/connect/?session_token=" + token, "/./connect/?session_token=" + token,
		"/connect/./?session_token=" + token, "/connect%2f?session_token=" + token, "/connect/%2f?session_token=" + token, `/connect\?session_token=` + token, `/\evil.example/connect/?session_token=` + token,
		"//evil.example/connect/?session_token=" + token, "/CONNECT/?session_token=" + token, "/connect/;?session_token=" + token, "/connect/?session_token=" + token + "&session_token=" + token,
		"/connect/?Session_Token=" + token, "/connect/" + token, "/connect/s/" + token + "/", "/connect/s/" + escaped + "/", "/connect/assets/" + token, "/connect/s/" + id + "/%2e%2e/?session_token=" + token,
		"/connect/s/" + id + "/status/?session_token=" + token, "/connect/x%0d%0aSet-Cookie:y?session_token=" + token, "/connections/" + token, "/connect/?session%5ftoken=" + escaped + ";x=%zz",
		"/connect/?%73ession_token[]=" + token, "/connect/?x=%&" + escaped + "=%",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "OPTIONS", "PROPFIND"} {
			r := b.do(method, target, "", "Cookie: "+c.cookie, "Referer: http://"+b.addr()+"/connect/?session_token="+token)
			to := r.header.Get("Location")
			if r.status < 400 || to != "" || r.header.Get("Set-Cookie") != "" || strings.Contains(r.body, random) || strings.Contains(r.header.Get("Allow"), "\n") {
				t.Errorf("%s %s: %v %v", method, target, r, r.header)
			}
		}
	}
	// Even where the link works, it leads to nothing but the page.
	for _, target := range []string{
		"/connect?session_token=" + token, "/connect/?session%5Ftoken=" + escaped + "&x=%zz", "/connect/?session_token=" + token + "&return_url=https://evil.example&next=//evil.example&lang=%0d%0aX:y",
		"http://" + b.addr() + "/connect/?session_token=" + token, "http://u:p@" + b.addr() + "/connect/?session_token=" + token,
	} {
		r := b.get(target)
		if to := r.header.Get("Location"); r.status == 303 && strings.TrimPrefix(to, "connect/") != "s/"+id+"/" || r.status < 300 && r.body != "" || strings.Contains(to, "evil") {
			t.Errorf("%s: %v %v", target, r, r.header)
		}
	}
	// Without its slash the page is found, below whatever path, and without the query.
	if r := b.get(strings.TrimSuffix(c.page, "/")+"?session_token="+token, "Cookie: "+c.cookie); r.status != 303 || r.header.Get("Location") != id+"/" {
		t.Errorf("%v %v", r, r.header)
	}
	for target, status := range map[string]int{"/connect/sessions": 405, "/connect/session": 401, "/connections/x": 401, "/connect/sessions/": 404, "/connections/": 404} {
		for _, method := range []string{"GET", "HEAD"} {
			b.do(method, target, "", "X-HTTP-Method-Override: POST", "X-Method-Override: DELETE").expect(t, status)
		}
	}
}

// TestConnectReturnURLs: customers are sent to what the operator lists, whichever way a URL is written.
func TestConnectReturnURLs(t *testing.T) {
	b := newAttackedBed(t, connectParts{handler: "return_urls https://app.acme.example/aws/ https://exact.acme.example/done"})
	create := func(to string) reply {
		quoted, err := json.Marshal(to)
		if err != nil {
			t.Fatal(err)
		}
		return b.api("POST", "/connect/sessions", `{"allowed_integrations":["acme-s3"],"organization":{"id":"o"},"return_urls":{"success":`+string(quoted)+`}}`)
	}
	for _, to := range []string{
		"https://app.acme.example.evil.example/aws/", "https://app.acme.example@evil.example/aws/", "https://evil.example/https://app.acme.example/aws/", "https://evil.example#https://app.acme.example/aws/",
		`https://evil.example\@app.acme.example/aws/`, `https:\\app.acme.example\aws\`, "https:///app.acme.example/aws/", "https:app.acme.example/aws/", "//app.acme.example/aws/", "/aws/", "app.acme.example/aws/",
		"http://app.acme.example/aws/", "javascript://app.acme.example/aws/%0aalert(1)", "data:text/html,x", "https://app.acme.example:8443/aws/", "https://app.acme.example./aws/", "https://app.acme.example:/aws/",
		"https://app.acme.example/aws", "https://app.acme.example/awsx", "https://app.acme.example/aws/../x", "https://app.acme.example/aws/%2e%2e/x", "https://app.acme.example/aws/..%2fx", "https://app.acme.example/aws//evil.example",
		`https://app.acme.example/aws/\evil.example`, "https://app.acme.example/aws/\r\nLocation: https://evil.example", "https://app.acme.example/aws/ x", "https://аpp.acme.example/aws/", "https://app。acme.example/aws/",
		"https://[app.acme.example]/aws/", "https://app.acme.example%2f@evil.example/aws/", "https://user@app.acme.example/aws/", "https://exact.acme.example/done/", "https://exact.acme.example/done/x", "https://exact.acme.example/",
		"https://app.acme.example/aws/?x=1;y=2", "https://app.acme.example/aws/#x", "https://*.acme.example/aws/", strings.Repeat("https://app.acme.example/aws/", 100),
	} {
		create(to).expect(t, 400, "invalid_body")
	}
	for _, to := range []string{"https://app.acme.example/aws/", "https://APP.acme.example:443/aws/x?y=z", "https://exact.acme.example/done?x=y"} {
		create(to).expect(t, 201)
	}
}

// TestConnectTakesOnlySoMuch: bodies, forms and cookies are bounded, and nothing is kept of what is more.
func TestConnectTakesOnlySoMuch(t *testing.T) {
	b := newAttackedBed(t, connectParts{})
	c, _, _ := b.invite("globex")
	long := strings.Repeat("x", 70<<10)
	before := len(b.stored())
	b.api("POST", "/connect/sessions", `{"organization":{"id":"`+long+`"}}`).expect(t, 413)
	b.api("POST", "/connect/sessions/reconnect", `{"organization":{"id":"`+long+`"}}`).expect(t, 413)
	b.api("POST", "/connect/sessions", strings.Repeat(`{"a":`, 12_000)+"1"+strings.Repeat("}", 12_000)).expect(t, 413)
	b.api("POST", "/connect/sessions", strings.Repeat("[", 50_000)).expect(t, 400)
	b.exchange(requestText("POST", "/connect/sessions", b.addr(), "", jsonType, "Authorization: Bearer "+connectSecret, "Transfer-Encoding: chunked")+chunked(long, long)).expect(t, 413)
	// Who has no key is not listened to.
	b.do("POST", "/connect/sessions", long, jsonType).expect(t, 401)
	form := url.Values{"form_token": {c.read(shownFormToken)}, "role_arn": {long}, "region": {"eu-west-1"}}
	for _, path := range []string{"", "check"} {
		c.post(path, form).expect(t, 413)
	}
	form.Set("role_arn", long[:9000])
	form.Set("region", long[:9000])
	c.post("check", form).expect(t, 413)
	form.Set("region", "eu-west-1")
	c.post("check", form).expect(t, 200)
	c.post("", form).expect(t, 422)
	c.submit("arn:aws:iam::444455556666:role/"+long[:3000], "").expect(t, 422)
	b.get("/connect/?session_token="+long[:8000]).expect(t, 404)
	b.get(c.page, "Cookie: "+strings.Repeat("x=y; ", 1000)+c.cookie).expect(t, 200)
	b.get(c.page, "Cookie: "+c.cookie+strings.Repeat("; x="+long[:1000], 2000)).expect(t, 431)
	if after := len(b.stored()); after > before+2000 {
		t.Errorf("%d bytes are stored, and %d were before", after, before)
	}
}

// TestConnectStorageKeys: no ID climbs out of its place in the storage.
func TestConnectStorageKeys(t *testing.T) {
	b := newAttackedBed(t, connectParts{})
	outside := filepath.Join(b.storage, "data", "secret.json")
	if err := os.MkdirAll(filepath.Dir(outside), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(outside, []byte(`"do not read"`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"../../../secret.json", "..", ".", "/etc/passwd", `..\\..\\x`, "a/b", "%2e%2e%2f", "a:b", "CON", "aux.txt", "~", "*", strings.Repeat("é", 255)} {
		b.api("POST", "/connect/sessions", `{"allowed_integrations":["acme-s3"],"organization":{"id":"`+id+`"},"end_user":{"id":"`+id+`"}}`).expect(t, 201)
		b.api("POST", "/connect/sessions/reconnect", `{"integration_id":"acme-s3","connection_id":"`+id+`"}`).expect(t, 400)
		b.api("POST", "/connect/sessions", `{"allowed_integrations":["`+id+`"],"organization":{"id":"o"}}`).expect(t, 400)
	}
	for _, path := range []string{"..%2f..%2f..%2fsecret.json", "%2e%2e", "..%5c..%5csecret.json", "%00", ".", "secret.json", "....//", strings.Repeat("a", 300), "00000000-0000-4000-8000-000000000000%2f..", "00000000-0000-4000-8000-00000000000A"} {
		for _, method := range []string{"GET", "DELETE"} {
			if r := b.api(method, "/connections/"+path, ""); r.status != 404 && !strings.Contains(r.body, "unknown_connection") || strings.Contains(r.body, "do not") {
				t.Errorf("%s %s: %v", method, path, r)
			}
			if r := b.do(method, "/connect/s/"+path+"/status", "", "Cookie: __Host-connect-"+path+"=x"); r.status == 200 || strings.Contains(r.body, "do not") {
				t.Errorf("%s %s: %v", method, path, r)
			}
		}
	}
	record := regexp.MustCompile(`^aws_sigv4/connect/(indexkey|[a-z]+/[0-9a-z-]{2}/[0-9a-z-]{32,64})$`)
	known := regexp.MustCompile(`^(secret\.json|instance\.uuid|last_clean\.json|locks/.*)$`)
	records := 0
	for line := range strings.Lines(b.stored()) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), filepath.Join(b.storage, "data")+"/")
		switch {
		case !ok:
		case record.MatchString(rest):
			records++
		case !known.MatchString(rest):
			t.Errorf("the storage holds %s", rest)
		}
	}
	if records < 20 {
		t.Errorf("%d records were found, so this test sees too little", records)
	}
}
