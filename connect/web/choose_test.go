package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestChoice: a session for several integrations has its customer choose one, on the page or by API, and each has an
// External ID of its own.
func TestChoice(t *testing.T) {
	const key = "chooser-key-0123456789abcdef"
	b := newBed(t, bedOptions{options: func(o *Options) {
		forBrowser(o)
		o.Keys = append(o.Keys, Key{Name: "chooser", Secrets: []string{key}, Scopes: Scopes()})
	}})
	create := func(body string) (token, link string) {
		t.Helper()
		r := b.api(key, "POST", "/connect/sessions", body)
		data, _ := r.json(t)["data"].(map[string]any)
		if r.StatusCode != 201 {
			t.Fatalf("%d %s", r.StatusCode, r.body)
		}
		return data["token"].(string), data["connect_link"].(string)
	}
	// One that names none is for all.
	token, link := create(`{"tags":{"a":"b"},"integrations_config_defaults":{"other-s3":{"connection_config":{"region":"us-west-2"}}},"overrides":{"other-s3":{"docs_connect":"https://docs.example.com/other"}}}`)
	session := b.api(token, "GET", "/connect/session", "").body
	for _, want := range []string{`"allowed_integrations":["acme-s3","other-s3"]`, `"region":"us-west-2"`, `"docs_connect":"https://docs.example.com/other"`, `"tags":{"a":"b"}`} {
		if !strings.Contains(session, want) {
			t.Errorf("there is no %s in %s", want, session)
		}
	}
	br := b.open(link)
	page := br.get("").body
	for _, want := range []string{"What would you like to connect?", `value="acme-s3"`, "Acme Reports", `value="other-s3"`} {
		if !strings.Contains(page, want) {
			t.Errorf("there is no %s in %s", want, page)
		}
	}
	choose := func(integration string) string {
		t.Helper()
		if r := br.post("", url.Values{"integration": {integration}}); r.StatusCode != http.StatusSeeOther {
			t.Fatalf("%d %s", r.StatusCode, r.body)
		}
		return br.get("").body
	}
	if page := choose("none"); !strings.Contains(page, "What would you like") {
		t.Errorf("%s", page)
	}
	if page := choose("acme-s3"); !strings.Contains(page, "Acme Reports") || !strings.Contains(page, "Choose something else") {
		t.Errorf("%s", page)
	}
	first := br.externalID()
	if page := choose(""); !strings.Contains(page, "What would you like") {
		t.Errorf("%s", page)
	}
	if page := choose("other-s3"); !strings.Contains(page, "https://docs.example.com/other") || !strings.Contains(page, "us-west-2") {
		t.Errorf("%s", page)
	}
	second := br.externalID()
	if first == second {
		t.Error("two integrations have one External ID")
	}
	b.role(customerRole, second)
	if done := br.submit(customerRole, "us-west-2").body; !strings.Contains(done, "is connected to") {
		t.Errorf("%s", done)
	}
	if r := b.auth("acme-s3", "connect_session_token="+token, `{"role_arn":"`+customerRole+`"}`); r.StatusCode != 400 || r.code(t) != "integration_not_allowed" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}

	// By API the path says which.
	token, _ = create(`{"organization":{"id":"o"},"allowed_integrations":["other-s3","acme-s3"]}`)
	read := b.api(token, "GET", "/auth/aws-sigv4/acme-s3", "")
	externalID, _ := read.json(t)["external_id"].(string)
	b.role("arn:aws:iam::444455556666:role/Second", externalID)
	if r := b.auth("acme-s3", "connect_session_token="+token, `{"role_arn":"arn:aws:iam::444455556666:role/Second"}`); r.StatusCode != 200 || r.json(t)["providerConfigKey"] != "acme-s3" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}

	// One External ID can't be that of two integrations; and what the sessions left is tidied up.
	if r := b.api(key, "POST", "/connect/sessions", `{"organization":{"id":"p"},"prefill":{"external_id":"vendors-own"}}`); r.StatusCode != 400 {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	b.pass(24 * 3600e9)
	if n, err := b.service.Store().Sweep(t.Context(), 1000); err != nil || n != 2 {
		t.Errorf("%d sessions were removed, %v", n, err)
	}
}

// TestChoiceOfWhatIsThere: a key for integrations that are not written yet makes sessions for those that are.
func TestChoiceOfWhatIsThere(t *testing.T) {
	b := newWriterBed(t)
	r := b.api(onlyKey, "POST", "/connect/sessions", `{"organization":{"id":"o"}}`)
	data, _ := r.json(t)["data"].(map[string]any)
	if r.StatusCode != http.StatusCreated {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	if s := b.api(data["token"].(string), "GET", "/connect/session", "").body; !strings.Contains(s, `"allowed_integrations":["acme-s3"]`) {
		t.Errorf("%s", s)
	}
	if _, err := newPublicKeys([]PublicKey{{ID: publicKeyID, HMACKeys: []string{hmacKey}, Integrations: []string{"a"}}}, b.service); err != nil {
		t.Error(err)
	}
}
