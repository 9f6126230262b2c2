package integration_test

import (
	"encoding/base64"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// adminHash is that of adminPassword.
const (
	adminPassword = "correct horse battery"
	adminHash     = "$2a$04$eXDamyEFP7NQ/Y.yCevHmOX2FnJODUL5S6DvwDuWvZWAErkSlv8o2"
)

// newAdminBed is a bed whose second site has the operator's pages.
func newAdminBed(t *testing.T, options string) *connectBed {
	b := newConnectBed(t)
	config := b.caddyfile(connectParts{
		integration: "template t {\nurl https://templates.example.com/role.yaml\nexternal_id_parameter ExternalId\n}",
		after: "http://<site2> {\nbasic_auth @private {\nalice " + adminHash + "\nbob " + adminHash + "\n}\n@private not path /open/*\n" +
			"handle_path /open/* {\naws_connect_admin\n}\nhandle_path /ops/* {\naws_connect_admin\n}\naws_connect_admin {\nconnect_url https://connect.acme.example\n}\n}\n",
	})
	b.start(strings.Replace(config, "integration acme-s3", options+"integration acme-s3", 1))
	return b
}

const runtimeOptions = "runtime_integrations {\ncredentials broker\n}\n"

// operator is a browser that has logged in.
type operator struct {
	b    *connectBed
	name string
}

func (o operator) lines(more ...string) []string {
	auth := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(o.name+":"+adminPassword))
	return append([]string{auth, "Accept: text/html", "Host: " + o.b.ports["<site2>"]}, more...)
}

func (o operator) get(path string) reply {
	o.b.t.Helper()
	return o.b.second().get(path, o.lines()...)
}

// second is the same Caddy at its second site.
func (b *connectBed) second() *server {
	s := &server{t: b.t, ports: map[string]string{"<site>": b.ports["<site2>"]}}
	return s
}

var adminToken = regexp.MustCompile(`name="form_token" value="([0-9a-f]+)"`)

// post sends a form with the token that the page has.
func (o operator) post(page, path string, form url.Values) reply {
	o.b.t.Helper()
	m := adminToken.FindStringSubmatch(o.get(page).body)
	if m == nil {
		o.b.t.Fatalf("no token on %s", page)
	}
	form.Set("form_token", m[1])
	return o.send(path, form)
}

func (o operator) send(path string, form url.Values, more ...string) reply {
	o.b.t.Helper()
	if more == nil {
		more = []string{"Sec-Fetch-Site: same-origin", "Origin: http://" + o.b.ports["<site2>"]}
	}
	return o.b.second().do("POST", path, form.Encode(), o.lines(append(more, "Content-Type: application/x-www-form-urlencoded")...)...)
}

// TestConnectAdminAuthentication: nothing is shown, and nothing done, without somebody who has logged in on that
// very request.
func TestConnectAdminAuthentication(t *testing.T) {
	b := newAdminBed(t, runtimeOptions)
	host := "Host: " + b.ports["<site2>"]
	b.second().get("/", host).expect(t, 401)
	b.second().get("/", host, "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte("alice:wrong"))).expect(t, 401)
	for _, path := range []string{"/open/", "/open/connections/", "/open/integrations/acme-s3/", "/open/new-integration", "/open/assets/style.css", "/open/nothing"} {
		r := b.second().get(path, host, "X-Http-Auth-User-Id: alice", "Http.auth.user.id: alice", "Cookie: user=alice")
		r.expect(t, 403, "Nobody has logged in")
		if strings.Contains(r.body, "acme") {
			t.Errorf("%s tells %s", path, r.body)
		}
	}
	b.second().do("POST", "/open/integrations/acme-s3/delete", "form_token=x", host, "Content-Type: application/x-www-form-urlencoded").expect(t, 403, "Nobody has logged in")
	// Credentials that nothing has checked are nothing.
	b.second().get("/open/", operator{b, "alice"}.lines()...).expect(t, 403, "Nobody has logged in")

	alice := operator{b, "alice"}
	r := alice.get("/")
	r.expect(t, 200, "acme-s3", "Logged in as <bdi>alice</bdi>")
	csp := r.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("the policy %q lacks %s", csp, want)
		}
	}
	if strings.Contains(csp, "script-src") || strings.Contains(csp, "unsafe") {
		t.Errorf("the policy is %q", csp)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	alice.get("/ops/").expect(t, 200, `href="./connections/"`)
	alice.get("/ops/integrations/acme-s3/").expect(t, 200, "part of the server", `href="./../../connections/"`)
	alice.get("/nothing").expect(t, 404, "There is nothing here")
	alice.get("/integrations/none/").expect(t, 404)
	alice.get("/connections/../integrations/acme-s3/").expect(t, 404)
	alice.send("/connections/", url.Values{}).expect(t, 405)
}

// TestConnectAdminForgery: forms count only from our own pages, and for the user who has them.
func TestConnectAdminForgery(t *testing.T) {
	b := newAdminBed(t, runtimeOptions)
	alice, bob := operator{b, "alice"}, operator{b, "bob"}
	token := func(o operator) string { return adminToken.FindStringSubmatch(o.get("/new-integration").body)[1] }
	if once, again := token(alice), token(alice); once == token(bob) || once != again {
		t.Fatal("tokens are not the user's own")
	}
	form := func(token string) url.Values {
		return url.Values{"form_token": {token}, "key": {"made"}, "service": {"s3"}, "way": {"credentials"}, "credentials": {"broker"}, "external_id_probe": {"require"}}
	}
	site := "http://" + b.ports["<site2>"]
	for name, tc := range map[string]struct {
		token string
		lines []string
	}{
		"no token":                     {"", nil},
		"another user":                 {token(bob), nil},
		"another site":                 {token(alice), []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}},
		"same site":                    {token(alice), []string{"Sec-Fetch-Site: same-site"}},
		"old browser":                  {token(alice), []string{"Origin: https://evil.example"}},
		"null":                         {token(alice), []string{"Origin: null"}},
		"no browser":                   {token(alice), []string{"X-Nothing: x"}},
		"another site's origin beside": {token(alice), []string{"Origin: " + site, "Origin: https://evil.example"}},
	} {
		r := alice.send("/new-integration", form(tc.token), tc.lines...)
		if r.status != 403 || !strings.Contains(r.body, "The form was not sent from this page") {
			t.Errorf("%s: %v", name, r)
		}
	}
	alice.get("/integrations/made/").expect(t, 404)
	alice.send("/new-integration", form(token(alice)), "Origin: "+site).expect(t, 303)
	alice.get("/integrations/made/").expect(t, 200)
}

// TestConnectAdmin is an operator's whole way: an integration, a link, a customer's connection.
func TestConnectAdmin(t *testing.T) {
	b := newAdminBed(t, runtimeOptions)
	alice := operator{b, "alice"}
	const secret = "stored-secret-key-0123456789abcdef"
	form := url.Values{
		"key": {"reports of us"}, "display_name": {"<script>alert(1)</script>"}, "service": {"s3"}, "region": {"eu-west-1"}, "way": {"access_key"},
		"access_key_id": {"AKIASTORED"}, "secret_access_key": {secret}, "external_id_probe": {"require"}, "duration": {"soon"},
	}
	r := alice.post("/new-integration", "/new-integration", form)
	r.expect(t, 422, `Duration: &#34;soon&#34; is none: write one with its unit`, `value="AKIASTORED"`)
	if strings.Contains(r.body, secret) {
		t.Error("a secret is shown")
	}
	form.Set("duration", "2h")
	alice.post("/new-integration", "/new-integration", form).expect(t, 303)
	at := "/integrations/reports%20of%20us/"
	r = alice.get(at + "?done=created")
	r.expect(t, 200, "The integration was made.", "&lt;script&gt;alert(1)&lt;/script&gt;", "One is stored. Leave this blank to keep it.", `value="2h0m0s"`)
	if strings.Contains(r.body, secret) || strings.Contains(r.body, "<script") {
		t.Errorf("%s", r.body)
	}
	updated := html.UnescapeString(regexp.MustCompile(`name="updated" value="([^"]+)"`).FindStringSubmatch(r.body)[1])
	// A blank secret is kept; a form of what was there before is refused.
	form.Set("way", "credentials")
	form.Set("credentials", "broker")
	form.Set("updated", updated)
	alice.post(at, at, form).expect(t, 303)
	alice.post(at, at, form).expect(t, 409, "Somebody else has changed the integration meanwhile")
	// The one of the configuration is shown, and stays.
	r = alice.get("/integrations/acme-s3/")
	r.expect(t, 200, "part of the server's configuration", "https://templates.example.com/role.yaml")
	if strings.Contains(r.body, "<form") {
		t.Error("it has a form")
	}
	alice.post("/new-integration", "/integrations/acme-s3/", form).expect(t, 409, "part of the server&#39;s configuration")
	alice.post("/integrations/acme-s3/delete", "/integrations/acme-s3/delete", url.Values{}).expect(t, 409)

	// Templates: a URL that leads inside is not fetched, and says why.
	tpl := url.Values{"action": {"load"}, "id": {"t"}, "url": {"https://127.0.0.1:1/t.json"}}
	alice.post(at+"template", at+"template", tpl).expect(t, 422, "loopback address")
	tpl = url.Values{"action": {"save"}, "id": {"t"}, "url": {"https://templates.example.com/t.json"}, "external_id_parameter": {"ExternalId"}, "parameter": {"Bucket", ""}, "parameter_value": {"b", ""}}
	alice.post(at+"template", at+"template", tpl).expect(t, 303)
	alice.get(at+"template?id=t").expect(t, 200, `value="Bucket"`, `value="b"`)
	alice.post(at+"template", at+"template", url.Values{"action": {"remove"}, "was": {"t"}}).expect(t, 303)
	alice.get(at+"template?id=t").expect(t, 404)

	// What customers see, in a frame of this page alone.
	alice.get(at+"preview/").expect(t, 200, `<iframe class="preview" src="page"`)
	r = alice.get(at + "preview/page")
	r.expect(t, 200, "Example customer", "arn:aws:iam::111122223333:user/AKIDBROKER", "&lt;script&gt;")
	if csp := r.header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'none'") || !strings.Contains(csp, "frame-ancestors 'self'") || strings.Contains(csp, "script-src") {
		t.Errorf("the preview's policy is %q", csp)
	}
	style := regexp.MustCompile(`href="(assets/[^"]+)"`).FindStringSubmatch(r.body)
	alice.get(at+"preview/"+style[1]).expect(t, 200)

	// A link, shown once.
	alice.post(at+"session", at+"session", url.Values{}).expect(t, 422, "Whom is the link for?")
	r = alice.post(at+"session", at+"session", url.Values{"organization": {"globex"}, "organization_name": {"<b>Globex</b>"}})
	r.expect(t, 201, "it is shown once", "https://connect.acme.example/connect/?session_token=")
	link := html.UnescapeString(regexp.MustCompile(`<code id="link">([^<]+)</code>`).FindStringSubmatch(r.body)[1])
	c := b.follow(strings.Replace(link, "https://connect.acme.example", "http://"+b.addr(), 1))
	b.makeRole(customerRole, c.read(shownExternalID))
	c.submit(customerRole, "").expect(t, 303)
	c.wait("succeeded")

	r = alice.get("/connections/?q=globex&integration=reports+of+us")
	r.expect(t, 200, "One connection", "444455556666", "&lt;b&gt;Globex&lt;/b&gt;", `class="badge active"`, "none held")
	id := regexp.MustCompile(`<h2><a href="([0-9a-f-]{36})/">`).FindStringSubmatch(r.body)[1]
	alice.get("/connections/?status=failing").expect(t, 200, "There are none.")
	alice.get("/connections/?status=active").expect(t, 200, id)
	on := "/connections/" + id + "/"
	alice.get(on).expect(t, 200, customerRole, "the role asks for it")
	alice.post(on, on, url.Values{"action": {"pause"}}).expect(t, 303)
	alice.get(on+"?done=paused").expect(t, 200, "The connection is paused.", `class="badge paused"`)
	alice.post(on, on, url.Values{"action": {"resume"}}).expect(t, 303)
	alice.post(on, on, url.Values{"action": {"verify"}}).expect(t, 200, "The role was verified just now.")
	b.makeRole(customerRole, "another one")
	alice.post(on, on, url.Values{"action": {"verify"}}).expect(t, 200, "AWS: AccessDenied", `class="badge failing"`)
	alice.get("/connections/?status=failing").expect(t, 200, id)
	alice.post(on, on, url.Values{"action": {"renew"}}).expect(t, 201, "session_token=")
	alice.post(at+"delete", at+"delete", url.Values{}).expect(t, 409, "has connections, and can&#39;t be deleted")
	alice.get(on+"delete").expect(t, 200, "Delete this connection?")
	alice.post(on+"delete", on+"delete", url.Values{}).expect(t, 303)
	alice.get(on).expect(t, 404)
	alice.post(at+"delete", at+"delete", url.Values{}).expect(t, 303)

	lines, _ := b.told()
	did := map[string]bool{}
	for _, l := range lines {
		if l["actor"] == "operator alice" {
			did[fmt.Sprint(l["event"])] = true
		}
	}
	for _, event := range []string{"integration_created", "integration_changed", "integration_deleted", "session_created", "connection_paused", "connection_resumed", "connection_deleted"} {
		if !did[event] {
			t.Errorf("it is not told that alice did %s: %v", event, did)
		}
	}
	for _, s := range []string{secret, adminPassword, strings.SplitAfter(link, "session_token=")[1]} {
		if strings.Contains(b.everything(), s) {
			t.Errorf("%s is logged", s)
		}
	}
}

// TestBadConnectAdmin are mistakes in aws_connect_admin.
func TestBadConnectAdmin(t *testing.T) {
	t.Setenv("TEST_SEAL_KEY", goodSealKey)
	for name, tt := range map[string]struct{ global, block, want string }{
		"nothing to show": {"", "", "has nothing to connect"},
		"an argument":     {"connections {\nkey {env.TEST_SEAL_KEY}\n}", " x", "takes a block and no arguments"},
		"unknown":         {"connections {\nkey {env.TEST_SEAL_KEY}\n}", " {\ncolor blue\n}", `unknown option "color"`},
		"a URL":           {"connections {\nkey {env.TEST_SEAL_KEY}\n}", " {\nconnect_url http://connect.example\n}", "is not https"},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, validate(t, "{\naws_sigv4 {\n"+tt.global+"\n}\n}\nhttp://site.example {\nroute {\naws_connect_admin"+tt.block+"\n}\n}\n"), tt.want)
		})
	}
}
