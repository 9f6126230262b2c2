package integration_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestConnectARole is a customer's whole way in a whole Caddy without JavaScript: from the vendor's session
// to a connection, with a preview of the link before, and a reload in the middle. What is logged and what
// is stored holds no secret.
func TestConnectARole(t *testing.T) {
	b := newConnectBed(t)
	config := b.caddyfile(connectParts{before: "events {\non aws_connect.connection_created aws_sigv4_test\n}", handler: "return_urls https://app.acme.example/"})
	heard.reset()
	b.start(config)

	token, link := b.session("globex")
	if right := "http://" + b.addr() + "/connect/?session_token=" + token; link != right {
		t.Errorf("the link is %s, want %s", link, right)
	}
	b.do("HEAD", strings.TrimPrefix(link, "http://"+b.addr()), "").expect(t, 303)
	c := b.follow(link)
	externalID, formToken := c.read(shownExternalID), c.read(shownFormToken)
	c.get("").expect(t, 200, "Acme Analytics", "The globex company", "arn:aws:iam::111122223333:user/AKIDBROKER")

	b.reload(config + "# changed\n")
	if again := c.read(shownExternalID); again != externalID {
		t.Errorf("the External ID was %s, and is %s after a reload", externalID, again)
	}
	b.makeRole(customerRole, externalID)
	c.submit("arn:aws:iam::444455556666:user/x", "").expect(t, 422, "role_arn")
	c.submit("arn:aws:iam::111122223333:role/Ours", "").expect(t, 422)
	c.submit(customerRole, "eu-central-1").expect(t, 303)
	c.wait("succeeded")
	c.get("").expect(t, 200, customerRole, "444455556666", "eu-central-1")

	want := []string{
		"session_created", "verification_failed", "verification_failed", "verification_started", "connection_created", "verification_succeeded",
	}
	events := b.toldOf(len(want))
	if !slices.Equal(events, want) {
		t.Errorf("audited %v, want %v", events, want)
	}
	lines, _ := b.told()
	created := lines[slices.Index(events, "connection_created")]
	for name, want := range map[string]string{
		"logger": "aws_sigv4", "integration": "acme-s3", "organization": "globex", "role_arn": customerRole, "region": "eu-central-1",
		"account": "444455556666", "probe": "proven",
	} {
		if created[name] != want {
			t.Errorf("%s is %v, want %s, in %v", name, created[name], want, created)
		}
	}
	if lines[0]["actor"] != "backend" {
		t.Errorf("who made the session? %v", lines[0])
	}
	id := fmt.Sprint(created["connection"])
	if all := heard.all(); len(all) != 1 || all[0].Data["connection"] != id || all[0].Data["external_id"] != nil {
		t.Errorf("heard %+v", all)
	}

	r := b.api("GET", "/connections/"+id, "")
	r.expect(t, 200, `"role_arn":"`+customerRole+`"`, `"external_id":"`+externalID+`"`, `"provider_config_key":"acme-s3"`, `"external_id_probe":"proven"`)
	b.api("GET", "/connections/"+strings.Repeat("0", 36), "").expect(t, 404)
	b.do("GET", "/connections/"+id, "", "Authorization: Bearer wrong-key-0123456789abcdef").expect(t, 401)
	b.get(strings.TrimPrefix(link, "http://"+b.addr())).expect(t, 410) // It has become a connection.
	b.get("/anything/else?session_token="+token).expect(t, 404)
	b.do("POST", "/connect/session?session_token="+token, "x").expect(t, 405)

	secrets := []string{token, connectSecret, "wrong-key-0123456789", b.sealKey, externalID, formToken, "broker/secret+key", "issued-secret", "issued-token"}
	log := b.everything()
	if n := strings.Count(log, `"handled request"`); n < 10 || !strings.Contains(log, `/connect/s/`) || !strings.Contains(log, `"logger":"http.log.trace"`) {
		t.Errorf("%d lines of access log, so this test sees too little", n)
	}
	for _, secret := range secrets {
		for _, spelled := range spellings(secret) {
			if at := strings.Index(log, spelled); at >= 0 {
				t.Errorf("the log holds %q: %s", spelled, log[max(0, at-300):min(len(log), at+100)])
			}
		}
	}
	stored := b.stored()
	if !strings.Contains(stored, "aws_sigv4/connect") {
		t.Errorf("the storage holds no records of ours: %.1000s", stored)
	}
	for _, clear := range append(secrets, customerRole, "444455556666", "globex", "role_arn") {
		if strings.Contains(stored, clear) {
			t.Errorf("the storage holds %q in clear", clear)
		}
	}

	b.api("DELETE", "/connections/"+id, "").expect(t, 200, `{"success":true}`)
	b.api("GET", "/connections/"+id, "").expect(t, 404)
	b.settle()
}

// TestVerificationGoesOnThroughReloads: with a configuration that has the same of Connect, a verification that
// is under way goes on; with one that does not, it ends and says so, and can be asked for again.
func TestVerificationGoesOnThroughReloads(t *testing.T) {
	b := newConnectBed(t)
	b.start(b.caddyfile(connectParts{}))
	_, link := b.session("globex")
	c := b.follow(link)
	externalID := c.read(shownExternalID)
	begin := func() {
		t.Helper()
		before := b.assumed(customerRole)
		c.submit(customerRole, "").expect(t, 303)
		waitFor(t, patience, func() bool { return b.assumed(customerRole) > before }, "a verification to begin")
	}

	begin() // The role is not there yet, so it is tried again.
	b.reload(b.caddyfile(connectParts{}) + "http://<site2> {\nrespond x\n}\n")
	if s := c.state(); s != "running" {
		t.Errorf("the verification has %s", s)
	}
	b.makeRole(customerRole, externalID)
	c.wait("succeeded")

	_, link = b.session("initech")
	c = b.follow(link)
	begin() // It is still the first customer's role.
	b.reload(b.caddyfile(connectParts{integration: "allow_accounts 444455556666"}))
	c.wait("failed")
	c.get("").expect(t, 200, customerRole)
	b.makeRole(customerRole, c.read(shownExternalID))
	begin()
	c.wait("succeeded")

	want := []string{
		"session_created", "verification_started", "connection_created", "verification_succeeded",
		"session_created", "verification_started", "verification_failed", "verification_started", "connection_created", "verification_succeeded",
	}
	if events := b.toldOf(len(want)); !slices.Equal(events, want) {
		t.Errorf("audited %v, want %v", events, want)
	}
	b.settle()
}

// TestConnectSurvivesBrokenReloads: whatever fails while a configuration is loaded, the old one goes on with
// its sessions.
func TestConnectSurvivesBrokenReloads(t *testing.T) {
	b := newConnectBed(t)
	b.start(b.caddyfile(connectParts{}))
	_, link := b.session("globex")
	c := b.follow(link)
	externalID := c.read(shownExternalID)
	taken := b.ports["<site>"]
	for what, config := range map[string]string{
		"the app":        b.caddyfile(connectParts{connections: "old_key short"}),
		"a template":     b.caddyfile(connectParts{integration: "template x {\nfile /does/not/exist\nexternal_id_parameter E\n}"}),
		"the handler":    b.caddyfile(connectParts{handler: "api_key other {env.AWS_TEST_NOT_SET}"}),
		"a later module": b.caddyfile(connectParts{}) + "http://other.example {\n@x header_regexp A (\nrespond @x y\n}\n",
		"its start":      b.caddyfile(connectParts{integration: "region us-east-1"}) + "http://127.0.0.2:" + taken[strings.LastIndex(taken, ":")+1:] + " {\nbind 192.0.2.1\nrespond x\n}\n",
	} {
		if err := b.load(config); err == nil {
			t.Fatalf("%s is broken and was loaded", what)
		}
		if again := c.read(shownExternalID); again != externalID {
			t.Errorf("after %s the External ID is %s, and was %s", what, again, externalID)
		}
	}
	b.makeRole(customerRole, externalID)
	c.submit(customerRole, "").expect(t, 303)
	c.wait("succeeded")
	b.settle()
}

// TestConnectSurvivesRestarts: sessions and connections outlive the process, and a verification that it was
// stopped in ends and says so. A new seal key reads what the one before has sealed, as long as that is
// named; without it, nothing is taken for missing.
func TestConnectSurvivesRestarts(t *testing.T) {
	b := newConnectBed(t)
	config := b.caddyfile(connectParts{})
	b.start(config)
	restart := func(config string) {
		t.Helper()
		if err := caddy.Stop(); err != nil {
			t.Fatal(err)
		}
		b.reload(config)
	}
	_, link := b.session("globex")
	c := b.follow(link)
	externalID := c.read(shownExternalID)
	c.submit(customerRole, "").expect(t, 303)
	waitFor(t, patience, func() bool { return b.assumed(customerRole) > 0 }, "a verification to begin")
	restart(config)
	if s := c.state(); s != "failed" {
		t.Errorf("after a restart the verification has %s", s)
	}
	if again := c.read(shownExternalID); again != externalID {
		t.Errorf("after a restart the External ID is %s, and was %s", again, externalID)
	}
	b.makeRole(customerRole, externalID)
	c.submit(customerRole, "").expect(t, 303)
	c.wait("succeeded")
	b.toldOf(6)
	lines, events := b.told()
	path := fmt.Sprint("/connections/", lines[slices.Index(events, "connection_created")]["connection"])

	newKey := strings.Replace(config, "{file."+b.keyFile+"}", goodSealKey, 1)
	restart(newKey)
	b.api("GET", path, "").expect(t, 500, `"server_error"`)
	if log := b.logged(); !strings.Contains(log, "seal key") || !strings.Contains(log, "stands literally in the configuration") {
		t.Error("the log does not say which key is missing")
	}
	restart(strings.Replace(newKey, goodSealKey, goodSealKey+"\nold_key {file."+b.keyFile+"}", 1))
	b.api("GET", path, "").expect(t, 200, externalID)
	if strings.Contains(b.everything(), goodSealKey) {
		t.Error("the log holds a seal key")
	}
	b.settle()
}

// TestConnectByAHelper: the helper in the same process assumes the role, and proves that it asks for its
// External ID.
func TestConnectByAHelper(t *testing.T) {
	b := newConnectBed(t)
	config := b.caddyfile(connectParts{
		sts:   "sts helper http://<site2>/assume-role {\nbearer {env.HELPER_TEST_KEY}\nprincipal arn:aws:iam::111122223333:user/AKIDBROKER\nprobe\n}",
		after: "http://<site2> {\naws_sts_helper {\ncredentials broker\napi_key connect {env.HELPER_TEST_KEY} {\nroles arn:aws:iam::*:role/*/*\nprobe\n}\n}\n}\n",
	})
	t.Setenv("HELPER_TEST_KEY", helperKey)
	b.start(config)
	_, link := b.session("globex")
	c := b.follow(link)
	externalID := c.read(shownExternalID)
	b.makeRole(customerRole, externalID)
	c.submit(customerRole, "").expect(t, 303)
	c.wait("succeeded")
	events := b.toldOf(4)
	lines, _ := b.told()
	if created := lines[slices.Index(events, "connection_created")]; created["probe"] != "proven" {
		t.Errorf("the role is %v", created)
	}
	if log := b.everything(); strings.Contains(log, helperKey) || strings.Contains(log, externalID) {
		t.Error("a log holds the helper's key or the External ID")
	}
	b.settle()
}

// TestConnectBelowAPath: base_url says where customers find it.
func TestConnectBelowAPath(t *testing.T) {
	b := newConnectBed(t)
	b.start(b.caddyfile(connectParts{wrap: "handle /aws/*", handler: "base_url http://<site>/aws"}))
	r := b.do("POST", "/aws/connect/sessions", `{"allowed_integrations":["acme-s3"],"end_user":{"id":"u"}}`, jsonType, "Authorization: Bearer "+connectSecret)
	r.expect(t, 201)
	var made struct {
		Data struct {
			Link string `json:"connect_link"`
		}
	}
	if err := json.Unmarshal([]byte(r.body), &made); err != nil || !strings.HasPrefix(made.Data.Link, "http://"+b.addr()+"/aws/connect/?") {
		t.Fatalf("%v, %s", err, r.body)
	}
	c := b.follow(made.Data.Link)
	if !strings.HasPrefix(c.page, "/aws/connect/s/") {
		t.Errorf("the page is at %s", c.page)
	}
	b.makeRole(customerRole, c.read(shownExternalID))
	c.submit(customerRole, "").expect(t, 303)
	c.wait("succeeded")
	b.get("/connect/").expect(t, 200, "") // Nothing else answers there.
	_, token, _ := strings.Cut(made.Data.Link, "session_token=")
	if log := b.everything(); strings.Contains(log, token) {
		t.Errorf("the log holds the token: %s", log[max(0, strings.Index(log, token)-300):])
	}
	b.settle()
}
