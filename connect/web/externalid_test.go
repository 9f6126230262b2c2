package web

import (
	"testing"
)

// TestReplaceExternalID: a customer gets a new External ID, with which another account can be connected; connections keep
// theirs, and other customers, too.
func TestReplaceExternalID(t *testing.T) {
	b := newBed(t, bedOptions{})
	connection, first := b.connect("org-1", customerRole)
	other := b.open(second(b.session(`{"organization":{"id":"org-2"}}`))).externalID()
	if r := b.api(apiKey, "POST", "/connections/external-id/replace", `{"provider_config_key":"acme-s3","organization":{"id":"org-1"}}`); r.StatusCode != 200 || r.json(t)["success"] != true {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	br := b.open(second(b.session(`{"organization":{"id":"org-1"}}`)))
	next := br.externalID()
	if next == first || next == "" {
		t.Errorf("the next session has the External ID %q", next)
	}
	if again := b.open(second(b.session(`{"organization":{"id":"org-2"}}`))).externalID(); again != other {
		t.Error("another customer has a new External ID")
	}
	config, _ := b.api(apiKey, "GET", "/connections/"+connection, "").json(t)["connection_config"].(map[string]any)
	if config["external_id"] != first {
		t.Errorf("the connection has the External ID %v", config["external_id"])
	}
	const elsewhere = "arn:aws:iam::777788889999:role/Acme"
	b.role(elsewhere, next)
	if page := br.submit(elsewhere, "eu-west-1"); page.StatusCode != 200 {
		t.Errorf("%d %s", page.StatusCode, page.body)
	}

	for _, tc := range []struct {
		key, body string
		status    int
		code      string
	}{
		{readerKey, `{"provider_config_key":"acme-s3","organization":{"id":"org-1"}}`, 403, "forbidden"},
		{otherKey, `{"provider_config_key":"acme-s3","organization":{"id":"org-1"}}`, 400, "unknown_provider_config"},
		{apiKey, `{"provider_config_key":"nobody","organization":{"id":"org-1"}}`, 400, "unknown_provider_config"},
		{apiKey, `{"organization":{"id":"org-1"}}`, 400, "invalid_body"},
		{apiKey, `{"provider_config_key":"acme-s3"}`, 400, "invalid_body"},
		{apiKey, `{"provider_config_key":"acme-s3","organization":{"id":""}}`, 400, "invalid_body"},
		{apiKey, `{"provider_config_key":"acme-s3","organization":{"id":"a"},"end_user":{"id":"b"}}`, 400, "invalid_body"},
		{apiKey, `{"provider_config_key":"acme-s3","end_user":{"id":"b"},"external_id":"x"}`, 400, "invalid_body"},
		{apiKey, `{"provider_config_key":"acme-s3","end_user":{"id":"b"}}`, 200, ""},
	} {
		if r := b.api(tc.key, "POST", "/connections/external-id/replace", tc.body); r.StatusCode != tc.status || r.code(t) != tc.code {
			t.Errorf("%s: %d %s", tc.body, r.StatusCode, r.body)
		}
	}
}

// TestCustomersInTags: a session may name its customer in tags alone, as other products' clients do.
func TestCustomersInTags(t *testing.T) {
	b := newBed(t, bedOptions{})
	shown := func(body string) string { return b.open(second(b.session(body))).externalID() }
	for _, tc := range []struct {
		name, tags, same string
	}{
		{"an end user", `{"end_user_id":"u-1","end_user_email":"u@example.com"}`, `{"end_user":{"id":"u-1"}}`},
		{"an organization", `{"end_user_id":"u-1","organization_id":"o-1","organization_display_name":"O"}`, `{"organization":{"id":"o-1"}}`},
	} {
		id := shown(`{"tags":` + tc.tags + `}`)
		if again, same := shown(`{"tags":`+tc.tags+`}`), shown(tc.same); again != id || same != id {
			t.Errorf("%s: External IDs %s, %s and %s", tc.name, id, again, same)
		}
	}
	if a, b := shown(`{"tags":{"end_user_email":"u@example.com"}}`), shown(`{"tags":{"end_user_email":"u@example.com"}}`); a == b {
		t.Error("an e-mail address names a customer")
	}
	if a, b := shown(`{"organization":{"id":"o-2"},"tags":{"end_user_id":"u-1"}}`), shown(`{"organization":{"id":"o-2"}}`); a != b {
		t.Error("tags count beside an organization")
	}
}

func second(_, b string) string { return b }

// TestErrorsSayWhatIsMissing: the scope, the field, and of a body that is none nothing but that.
func TestErrorsSayWhatIsMissing(t *testing.T) {
	b := newBed(t, bedOptions{})
	for _, tc := range []struct{ key, method, path, body, want string }{
		{readerKey, "DELETE", "/connections/x", "", "the API key reader does not have the scope connections:delete, which this needs"},
		{apiKey, "POST", "/connect/sessions/reconnect", `{"connection_id":"x"}`, `["integration_id"] it is needed`},
		{apiKey, "POST", "/connect/sessions/reconnect", `{"integration_id":"acme-s3"}`, `["connection_id"] it is needed`},
		{apiKey, "POST", "/connect/sessions", `{"organization":`, "[] this is not JSON"},
	} {
		r := b.api(tc.key, tc.method, tc.path, tc.body)
		e, _ := r.json(t)["error"].(map[string]any)
		if all, _ := e["errors"].([]any); r.problem(t) != tc.want || len(all) > 1 {
			t.Errorf("%s %s: %s, want %q", tc.path, tc.body, r.body, tc.want)
		}
	}
}
