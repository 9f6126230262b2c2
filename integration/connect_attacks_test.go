package integration_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

// TestConnectTokensCanNotBeGuessed: what is no session's token is as good as none, however close it comes.
func TestConnectTokensCanNotBeGuessed(t *testing.T) {
	b := newAttackedBed(t, connectParts{})
	c, token, _ := b.invite("globex")
	name, _, _ := strings.Cut(c.cookie, "=")
	last := strings.NewReplacer("0", "1", "1", "0", "a", "b", "f", "e").Replace(token[len(token)-1:])
	if last == token[len(token)-1:] {
		last = "0"
	}
	prefix := "aws_connect_session_"
	for what, guess := range map[string]string{
		"nothing": "", "the prefix": prefix, "zeros": prefix + strings.Repeat("0", 64), "another end": token[:len(token)-1] + last,
		"a part": token[:len(token)-1], "more": token + "0", "capitals": prefix + strings.ToUpper(strings.TrimPrefix(token, prefix)),
		"without prefix": strings.TrimPrefix(token, prefix), "the session's ID": strings.TrimPrefix(name, "__Host-connect-"),
		"a pattern": prefix + "*", "a path": prefix + "../../../../../../../../../../../../../../../../../../../../0", "NUL": token + "%00",
		"the API's key": connectSecret,
	} {
		if what == "capitals" && guess == token {
			continue // It has no letters.
		}
		r := b.get("/connect/?session_token=" + url.QueryEscape(guess))
		if r.status != 404 || r.header.Get("Set-Cookie") != "" || strings.Contains(r.body, "globex") {
			t.Errorf("%s as the link: %v", what, r)
		}
		if r := b.get(c.page, "Cookie: "+name+"="+guess); r.status == 200 || strings.Contains(r.body, "globex") {
			t.Errorf("%s as the cookie: %v", what, r)
		}
		for _, method := range []string{"GET", "DELETE"} {
			if r := b.do(method, "/connect/session", "", "Authorization: Bearer "+guess); r.status != 401 {
				t.Errorf("%s %s: %v", method, what, r)
			}
		}
	}
	for _, lines := range [][]string{nil, {"Cookie: " + c.cookie}, {"Authorization: Basic " + token}, {"Authorization: Bearer " + token, "Authorization: Bearer " + token}, {"X-Api-Key: " + token}} {
		b.do("GET", "/connect/session", "", lines...).expect(t, 401)
	}
	b.do("POST", "/connect/sessions", `{"organization":{"id":"o"},"allowed_integrations":["acme-s3"]}`, jsonType, "Authorization: Bearer "+token).expect(t, 401)
	c.get("").expect(t, 200, "globex") // The session is what it was.
}

// TestConnectTokensAreForOneConnection: a token that has made its connection, or was revoked, makes none.
func TestConnectTokensAreForOneConnection(t *testing.T) {
	b := newAttackedBed(t, connectParts{})
	c, token, externalID := b.invite("globex")
	form := url.Values{"form_token": {c.read(shownFormToken)}, "region": {"eu-west-1"}}
	id := b.connect(c, externalID, customerRole)

	const second = "arn:aws:iam::444455556666:role/Second"
	b.makeRole(second, externalID)
	calls := b.calls()
	form.Set("role_arn", second)
	c.post("", form).expect(t, 303)
	c.post("check", form)
	c.get("").expect(t, 200, customerRole)
	b.get("/connect/?session_token="+token).expect(t, 410)
	for _, method := range []string{"GET", "DELETE"} {
		if r := b.do(method, "/connect/session", "", "Authorization: Bearer "+token); strings.Contains(r.body, externalID) || method == "GET" && r.status != 401 {
			t.Errorf("%s: %v", method, r)
		}
	}
	b.api("DELETE", "/connections/"+id, "").expect(t, 200)
	c.post("", form) // Not even now that the connection is gone.
	b.api("GET", "/connections/"+id, "").expect(t, 404)

	revoked, token, externalID := b.invite("initech")
	b.makeRole(second, externalID)
	form = url.Values{"form_token": {revoked.read(shownFormToken)}, "region": {"eu-west-1"}, "role_arn": {second}}
	b.do("DELETE", "/connect/session", "", "Authorization: Bearer "+token).expect(t, 204)
	revoked.post("", form).expect(t, 410)
	revoked.get("").expect(t, 410)
	if b.calls() != calls {
		t.Errorf("AWS was asked %d times more", b.calls()-calls)
	}
}

// TestConnectSessionsStayApart: neither the cookie of one session nor the key of one integration leads to
// what is another's.
func TestConnectSessionsStayApart(t *testing.T) {
	b := newAttackedBed(t, connectParts{})
	victim, _, victimID := b.invite("victim")
	connection := b.connect(victim, victimID, customerRole)
	waiting, waitingToken, waitingID := b.invite("waiting")
	mallory, malloryToken, malloryID := b.invite("mallory")

	cookieName := func(c *customer) string { name, _, _ := strings.Cut(c.cookie, "="); return name }
	for _, page := range []string{victim.page, waiting.page} {
		for what, cookie := range map[string]string{
			"none": "", "its own": mallory.cookie, "its own under the other name": cookieName(waiting) + "=" + malloryToken,
			"both": mallory.cookie + "; " + cookieName(victim) + "=" + malloryToken,
			"two":  cookieName(waiting) + "=x; " + cookieName(waiting) + "=" + malloryToken, "of the wrong kind": "session=" + waitingToken,
		} {
			for _, path := range []string{"", "status", "keep", "template/x"} {
				r := b.get(page+path, "Cookie: "+cookie, "Accept: text/html")
				if strings.Contains(r.body, waitingID) || strings.Contains(r.body, victimID) || strings.Contains(r.body, "victim") || strings.Contains(r.body, "waiting company") {
					t.Errorf("%s at %s%s: %v", what, page, path, r)
				}
			}
		}
	}
	form := url.Values{"form_token": {mallory.read(shownFormToken)}, "role_arn": {customerRole}, "region": {"eu-west-1"}}
	forged := &customer{b.connectBed, waiting.page, mallory.cookie}
	forged.post("", form).expect(t, 403)
	forged.cookie = waiting.cookie // A form of another session, with this one's cookie.
	forged.post("", form).expect(t, 403)

	// The other integration has External IDs and connections of its own, of the same organization, too.
	other := func(method, path, body string) reply {
		return b.do(method, path, body, jsonType, "Authorization: Bearer "+otherSecret)
	}
	const none = "00000000-0000-4000-8000-000000000000"
	before := b.api("GET", "/connections/"+connection, "")
	for _, call := range [][2]string{
		{"GET", ""}, {"GET", "?force_refresh=true"}, {"PATCH", ""}, {"POST", "/pause"}, {"POST", "/resume"}, {"POST", "/verify"}, {"DELETE", ""},
	} {
		for _, query := range []string{"", "provider_config_key=acme-s3", "provider_config_key=other-s3", "provider_config_key=none"} {
			with := call[1] + "?" + query
			if strings.Contains(call[1], "?") {
				with = call[1] + "&" + query
			}
			body := `{"organization":{"id":"thief"},"base_url":"https://evil.example","webhook_url_override":"https://evil.example"}`
			theirs, nothing := other(call[0], "/connections/"+connection+with, body), other(call[0], "/connections/"+none+with, body)
			if theirs.status < 400 || theirs.status != nothing.status || theirs.body != nothing.body {
				t.Errorf("%s %s: %v, and of one that there is not %v", call[0], with, theirs, nothing)
			}
		}
	}
	for _, query := range []string{"", "?connectionId=" + connection, "?integrationId=acme-s3", "?integrationId=acme-s3,other-s3", "?endUserOrganizationId=victim", "?search=victim", "?after=" + none} {
		if r := other("GET", "/connections"+query, ""); r.status >= 500 || strings.Contains(r.body, connection) || strings.Contains(r.body, "victim") {
			t.Errorf("the list %s: %v", query, r)
		}
	}
	for _, method := range []string{"POST", "PATCH"} {
		theirs := other(method, "/connections/metadata", `{"connection_id":"`+connection+`","provider_config_key":"acme-s3","metadata":{"a":1}}`)
		if theirs.status < 400 {
			t.Errorf("metadata: %v", theirs)
		}
		for _, integration := range []string{"acme-s3", "other-s3", "none"} {
			body := `{"provider_config_key":"` + integration + `","metadata":{"stolen":1},"connection_id":`
			for _, ids := range []string{`"ID"`, `["ID"]`, `["ID","ID"]`, `["` + none + `","ID"]`, `["ID","` + none + `"]`} {
				theirs := other(method, "/connections/metadata", body+strings.ReplaceAll(ids, "ID", connection)+"}")
				nothing := other(method, "/connections/metadata", body+strings.ReplaceAll(ids, "ID", none)+"}")
				if theirs.status < 400 || theirs.status != nothing.status || theirs.body != nothing.body {
					t.Errorf("metadata of %s in %s: %v, and of one that there is not %v", ids, integration, theirs, nothing)
				}
			}
		}
	}
	if after := b.api("GET", "/connections/"+connection, ""); after.body != before.body {
		t.Errorf("it was %v, and is %v", before, after)
	}
	for _, body := range []string{
		`{"connection_id":"` + connection + `","integration_id":"acme-s3"}`, `{"connection_id":"` + connection + `","integration_id":"other-s3"}`,
	} {
		other("POST", "/connect/sessions/reconnect", body).expect(t, 400, "invalid_body")
	}
	other("POST", "/connect/sessions", `{"organization":{"id":"victim"},"allowed_integrations":["acme-s3"]}`).expect(t, 400)
	other("POST", "/connect/sessions", `{"organization":{"id":"thief"},"prefill":{"external_id":"`+victimID+`"}}`).expect(t, 409)
	r := other("POST", "/connect/sessions", `{"organization":{"id":"victim"}}`)
	r.expect(t, 201)
	var made struct {
		Data struct {
			Link string `json:"connect_link"`
		}
	}
	if err := json.Unmarshal([]byte(r.body), &made); err != nil {
		t.Fatal(err)
	}
	if id := b.follow(made.Data.Link).read(shownExternalID); id == victimID || id == malloryID {
		t.Error("two integrations have one External ID")
	}
	b.api("GET", "/connections/"+connection, "").expect(t, 200, `"external_id":"`+victimID+`"`)
}

// TestConnectExternalIDCanNotBeSwapped: whoever knows another customer's role and even its External ID can't
// have it assumed: nothing that a browser sends is sent to AWS as the External ID.
func TestConnectExternalIDCanNotBeSwapped(t *testing.T) {
	b := newAttackedBed(t, connectParts{})
	victim, _, victimID := b.invite("victim")
	b.connect(victim, victimID, customerRole)
	calls := b.assumed(customerRole)
	mallory, _, malloryID := b.invite("mallory")
	form := url.Values{"form_token": {mallory.read(shownFormToken)}, "role_arn": {customerRole}, "region": {"eu-west-1"}}
	for _, name := range []string{"external_id", "externalId", "ExternalId", "prefill[external_id]", "params[external_id]", "connection_config.external_id", "organization", "connection_id"} {
		form.Set(name, victimID)
	}
	mallory.post("", form).expect(t, 303)
	mallory.wait("failed")
	mallory.get("").expect(t, 200, "assume_role_denied")
	var sent []string
	for _, c := range b.aws.Calls() {
		if c.Form.Get("RoleArn") == customerRole {
			sent = append(sent, c.Form.Get("ExternalId"))
		}
	}
	if !slices.Equal(sent[calls:], []string{malloryID}) {
		t.Errorf("AWS was sent %q, want %q once", sent[calls:], malloryID)
	}
	if again := mallory.read(shownExternalID); again != malloryID {
		t.Error("the External ID has changed")
	}
	// A role in the victim's account that asks for the attacker's External ID is the attacker's own doing:
	// it needs the right to make roles there. But the victim's External ID stays with the victim's account.
	victim, _, again := b.invite("victim")
	if again != victimID {
		t.Error("the victim's External ID has changed")
	}
	const moved = "arn:aws:iam::777788889999:role/Moved"
	b.makeRole(moved, victimID)
	victim.submit(moved, "").expect(t, 422, "wrong_account")
	if b.assumed(moved) != 0 {
		t.Error("AWS was asked")
	}
}

// TestConnectTwoAccountsAtOnce: of two sessions of one customer that connect roles in two accounts at the same
// time, one does, and the External ID is that account's from then on.
func TestConnectTwoAccountsAtOnce(t *testing.T) {
	b := newAttackedBed(t, connectParts{})
	first, _, externalID := b.invite("globex")
	second, _, same := b.invite("globex")
	if same != externalID {
		t.Fatal("one customer has two External IDs")
	}
	roles := []string{"arn:aws:iam::444455556666:role/First", "arn:aws:iam::777788889999:role/Second"}
	b.victims = roles
	for _, role := range roles {
		b.makeRole(role, externalID)
	}
	first.submit(roles[0], "").expect(t, 303)
	if r := second.submit(roles[1], ""); r.status != 303 { // The first was quicker.
		r.expect(t, 422, "wrong_account")
	}
	var ended []string
	for _, c := range []*customer{first, second} {
		waitFor(t, patience, func() bool { return c.state() != "running" }, "the verification to end")
		if c.state() == "failed" {
			c.get("").expect(t, 200, "wrong_account")
		}
		ended = append(ended, c.state())
	}
	slices.Sort(ended)
	if !slices.Equal(ended, []string{"failed", "succeeded"}) {
		t.Errorf("they have %v", ended)
	}
	var created []string
	waitFor(t, patience, func() bool {
		_, created = b.told()
		created = slices.DeleteFunc(created, func(e string) bool { return e != "connection_created" })
		return len(created) > 0
	}, "the connection in the audit")
	if len(created) != 1 {
		t.Errorf("%d connections were made", len(created))
	}
}

// TestConnectVendorsOwnRole: roles that may trust the broker for reasons of their own are not asked for.
func TestConnectVendorsOwnRole(t *testing.T) {
	b := newAttackedBed(t, connectParts{integration: "deny_accounts 999900001111"})
	c, _, externalID := b.invite("globex")
	calls := b.calls()
	for _, role := range []string{"arn:aws:iam::111122223333:role/Admin", "arn:aws:iam::999900001111:role/Ours"} {
		b.makeRole(role, externalID)
		c.submit(role, "").expect(t, 422, "account_not_allowed")
		c.post("check", url.Values{"form_token": {c.read(shownFormToken)}, "role_arn": {role}}).expect(t, 200, `"bad":`)
	}
	c.submit("arn:aws-cn:iam::444455556666:role/x", "cn-north-1").expect(t, 422, "partition_mismatch")
	c.submit("arn:aws:iam::444455556666:role/x", "us-gov-west-1").expect(t, 422, "partition_mismatch")
	if b.calls() != calls {
		t.Errorf("AWS was asked %d times", b.calls()-calls)
	}
	// One that can be assumed with any External ID is not connected either.
	b.aws.Answer(func(ststest.Call) ststest.Answer { return ststest.Answer{} })
	c.submit(customerRole, "").expect(t, 303)
	c.wait("failed")
	c.get("").expect(t, 200, "external_id_not_enforced")
	b.aws.Answer(b.answer)
}

// TestConnectTellsNoSecretThatAWSRepeats: AWS and helpers may say a secret in an error.
func TestConnectTellsNoSecretThatAWSRepeats(t *testing.T) {
	const helperSecret = "helper-key-0123456789abcdef"
	b := newAttackedBed(t, connectParts{after: "http://<site2> {\nroute /assume-role {\nrespond `{\"error\": {\"code\": \"odd\", \"message\": \"{http.request.header.Authorization} {http.request.body}\"}}` 400\n}\n}\n"},
		func(caddyfile string) string {
			return strings.Replace(caddyfile, "integration other-s3 {\nservice s3\nregion eu-west-1\nsts credentials broker",
				"integration other-s3 {\nservice s3\nregion eu-west-1\nexternal_id_probe off\nsts helper http://<site2>/assume-role {\nbearer "+helperSecret+"\nprincipal arn:aws:iam::111122223333:user/AKIDBROKER\n}", 1)
		})
	b.secrets = append(b.secrets, helperSecret)
	c, _, _ := b.invite("globex")
	b.aws.Answer(func(call ststest.Call) ststest.Answer {
		if call.Form.Get("Action") == "GetCallerIdentity" {
			return ststest.Answer{}
		}
		return ststest.Answer{Status: http.StatusBadRequest, Code: "ValidationError", Message: "1 validation error detected: Value '" + call.Form.Get("ExternalId") + "' at 'externalId' failed to satisfy broker/secret+key"}
	})
	c.submit(customerRole, "").expect(t, 303)
	c.wait("failed")
	if page := c.get("").body; strings.Contains(page, "broker/secret+key") {
		t.Error("the page tells the broker's key")
	}

	r := b.do("POST", "/connect/sessions", `{"organization":{"id":"globex"}}`, jsonType, "Authorization: Bearer "+otherSecret)
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
	c = b.follow(made.Data.Link)
	b.secrets = append(b.secrets, made.Data.Token, c.read(shownExternalID))
	c.submit(customerRole, "").expect(t, 303)
	c.wait("failed")
	if page := c.get("").body; strings.Contains(page, helperSecret) {
		t.Error("the page tells the helper's key")
	}
	b.toldOf(6)
	if lines, _ := b.told(); !strings.Contains(b.logged(), "odd") {
		t.Errorf("the helper's answer is not in the log, so this test sees too little: %v", lines)
	}
}

// TestConnectReconnectTakesNothingOver: a session that renews a connection does so with the same customer's
// account and External ID, in the region that it had, and not after the connection was deleted.
func TestConnectReconnectTakesNothingOver(t *testing.T) {
	b := newAttackedBed(t, connectParts{})
	first, _, externalID := b.invite("globex")
	id := b.connect(first, externalID, customerRole)
	renew := func(more string) (reply, *customer) {
		r := b.api("POST", "/connect/sessions/reconnect", `{"integration_id":"acme-s3","connection_id":"`+id+`"`+more+`}`)
		var made struct {
			Data struct {
				Token string
				Link  string `json:"connect_link"`
			}
		}
		if r.status != 201 {
			return r, nil
		}
		if err := json.Unmarshal([]byte(r.body), &made); err != nil {
			t.Fatal(err)
		}
		b.secrets = append(b.secrets, made.Data.Token)
		return r, b.follow(made.Data.Link)
	}
	for _, more := range []string{
		`,"organization":{"id":"mallory"}`, `,"end_user":{"id":"mallory"}`, `,"allowed_integrations":["other-s3"]`, `,"reconnect":false`,
		`,"connection_id":"00000000-0000-4000-8000-000000000000"`,
	} {
		r, _ := renew(more)
		r.expect(t, 400)
	}
	r, _ := renew(`,"prefill":{"external_id":"another-external-id"}`)
	r.expect(t, 409)

	_, c := renew("")
	const elsewhere = "arn:aws:iam::777788889999:role/Elsewhere"
	b.makeRole(elsewhere, externalID)
	calls := b.calls()
	c.submit(elsewhere, "eu-west-1").expect(t, 422, "wrong_account")
	c.submit(customerRole, "us-east-1").expect(t, 422, "prefill_mismatch")
	if b.calls() != calls {
		t.Errorf("AWS was asked %d times", b.calls()-calls)
	}
	b.api("GET", "/connections/"+id, "").expect(t, 200, customerRole, externalID, `"region":"eu-west-1"`)
	b.api("DELETE", "/connections/"+id, "").expect(t, 200)
	c.get("").expect(t, 410)
	form := url.Values{"form_token": {"x"}, "role_arn": {customerRole}, "region": {"eu-west-1"}}
	c.post("", form).expect(t, 403)
	b.api("GET", "/connections/"+id, "").expect(t, 404)
}
