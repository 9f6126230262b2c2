package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

const (
	readerKey      = "reader-key-0123456789abcdef"
	credentialsKey = "credentials-key-0123456789abcdef"
)

// withCredentials has the bed's handler tell credentials to those who may know them.
func withCredentials(b **bed) bedOptions {
	return bedOptions{options: func(o *Options) {
		o.Keys = append(o.Keys, Key{Name: "signer", Secrets: []string{credentialsKey}, Scopes: []Scope{ScopeCredentials}, Integrations: []string{"acme-s3"}})
		o.Credentials = func(ctx context.Context, c connect.Connection, fresh bool) (sigv4.Credentials, time.Time, error) {
			id, err := (*b).service.Identity(c)
			if err != nil {
				return sigv4.Credentials{}, time.Time{}, err
			}
			get := (*b).cache.Get
			if fresh {
				get = (*b).cache.Refresh
			}
			creds, err := get(ctx, id)
			if err != nil {
				return sigv4.Credentials{}, time.Time{}, err
			}
			return creds.Value, creds.Expires, nil
		}
	}}
}

// code is that of an error of the API, or "".
func (r *reply) code(t testing.TB) string {
	t.Helper()
	e, _ := r.json(t)["error"].(map[string]any)
	code, _ := e["code"].(string)
	return code
}

// TestCredentialsByScope: a connection is shown with its role's temporary credentials to those alone who may know them, and
// with none while it is paused or its role can't be assumed.
func TestCredentialsByScope(t *testing.T) {
	var b *bed
	b = newBed(t, withCredentials(&b))
	id, externalID := b.connect("org-1", customerRole)
	at := "/connections/" + id + "?provider_config_key=acme-s3&refresh_token=false&refresh_github_app_jwt_token=false&force_refresh="
	read := func(key, fresh string, status int) map[string]any {
		t.Helper()
		r := b.api(key, "GET", at+fresh, "")
		if r.StatusCode != status {
			t.Fatalf("%d %s", r.StatusCode, r.body)
		}
		if status != http.StatusOK && strings.Contains(r.body, "issued-") {
			t.Errorf("an error with credentials: %s", r.body)
		}
		c, _ := r.json(t)["credentials"].(map[string]any)
		return c
	}
	if c := read(readerKey, "false", 200); len(c) != 0 {
		t.Errorf("a reader is shown %v", c)
	}
	read(readerKey, "true", 403)
	read(credentialsKey, "maybe", 400)
	c := read(credentialsKey, "false", 200)
	raw, _ := c["raw"].(map[string]any)
	for name, want := range map[string]string{"type": "AWS_SIGV4", "role_arn": customerRole, "external_id": externalID, "region": "eu-west-1", "service": "s3"} {
		if c[name] != want {
			t.Errorf("%s is %v, want %s", name, c[name], want)
		}
	}
	for _, name := range []string{"access_key_id", "secret_access_key", "session_token", "expires_at"} {
		if text, _ := c[name].(string); text == "" || raw[name] != text {
			t.Errorf("%s is %v, and %v in raw", name, c[name], raw[name])
		}
	}
	if again := read(credentialsKey, "", 200); again["session_token"] != c["session_token"] {
		t.Error("they were fetched anew for no reason")
	}
	if fresh := read(credentialsKey, "true", 200); fresh["session_token"] == c["session_token"] {
		t.Error("they were not fetched anew")
	}

	if r := b.api(apiKey, "POST", "/connections/"+id+"/pause", ""); r.StatusCode != 200 {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	r := b.api(credentialsKey, "GET", at, "")
	payload, _ := r.json(t)["error"].(map[string]any)["payload"].(map[string]any)
	connection, _ := payload["connection"].(map[string]any)
	if r.StatusCode != 403 || r.code(t) != "connection_paused" || connection["paused"] != true || strings.Contains(r.body, "issued-") {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	b.api(apiKey, "POST", "/connections/"+id+"/resume", "")
	b.role(customerRole, "another one")
	r = b.api(credentialsKey, "GET", at+"true", "")
	if r.StatusCode != 502 || r.code(t) != "invalid_credentials" || !strings.Contains(r.body, "AccessDenied") || strings.Contains(r.body, "issued-") {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	read(credentialsKey, "", 200) // Those that there are have not expired.
	b.mu.Lock()
	b.answer = func(ststest.Call) ststest.Answer {
		return ststest.Answer{Status: 503, Code: "ServiceUnavailable", Message: "later"}
	}
	b.mu.Unlock()
	if r := b.api(apiKey, "GET", "/connections/"+id, ""); r.StatusCode != 200 {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

// TestCredentialsAfterDays: a role that could not be assumed for days is not tried any more, until somebody says that it was
// mended.
func TestCredentialsAfterDays(t *testing.T) {
	var b *bed
	o := withCredentials(&b)
	o.service = func(s *connect.ServiceOptions) { s.ExhaustedAfter = 1 }
	b = newBed(t, o)
	id, externalID := b.connect("org-1", customerRole)
	b.role(customerRole, "another one")
	b.api(apiKey, "POST", "/connections/"+id+"/verify", "")
	for _, query := range []string{"", "?force_refresh=true"} {
		r := b.api(credentialsKey, "GET", "/connections/"+id+query, "")
		if r.StatusCode != 424 || r.code(t) != "connection_refresh_exhausted" || !strings.Contains(r.body, `"code":"assume_role_denied"`) {
			t.Errorf("%d %s", r.StatusCode, r.body)
		}
	}
	b.role(customerRole, externalID)
	if r := b.api(credentialsKey, "GET", "/connections/"+id, ""); r.StatusCode != 424 {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	if r := b.api(credentialsKey, "GET", "/connections/"+id+"?force_refresh=true", ""); r.StatusCode != 200 || !strings.Contains(r.body, `"errors":[]`) || !strings.Contains(r.body, "issued-") {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

// TestChangeConnection: what may be changed of a connection, and what stays.
func TestChangeConnection(t *testing.T) {
	b := newBed(t, bedOptions{})
	id, externalID := b.connect("org-1", customerRole)
	for _, tc := range []struct{ name, body, code string }{
		{"nothing", `{}`, ""},
		{"tags, in lower case", `{"tags":{"Team":"search"}}`, ""},
		{"an end user", `{"end_user":{"id":"u","email":"u@example.com","tags":{"plan":"pro"}}}`, ""},
		{"another end user of the organization", `{"end_user":{"id":"v"}}`, ""},
		{"the name of the organization", `{"organization":{"id":"org-1","display_name":"One"}}`, ""},
		{"where it is told of", `{"webhook_url_override":"https://hooks.example.com/aws"}`, ""},
		{"where calls go", `{"base_url":"https://bucket.s3.eu-west-1.amazonaws.com"}`, ""},
		{"limits", `{"limits":{"services":["s3"],"regions":["eu-west-1"],"methods":["GET"],"paths":["/reports/*"],"hosts":["*.amazonaws.com"],"rate":{"calls":10,"per_seconds":60}}}`, ""},
		{"metadata", `{"metadata":{"plan":{"seats":3}}}`, ""},

		{"another organization", `{"organization":{"id":"org-2"}}`, "invalid_body"},
		{"a webhook without HTTPS", `{"webhook_url_override":"http://hooks.example.com/"}`, "invalid_body"},
		{"a base URL with a query", `{"base_url":"https://s3.amazonaws.com/?a=b"}`, "invalid_body"},
		{"a limit that is none", `{"limits":{"methods":["get"]}}`, "invalid_body"},
		{"no such limit", `{"limits":{"actions":["s3:GetObject"]}}`, "invalid_body"},
		{"a rate in no time", `{"limits":{"rate":{"calls":1}}}`, "invalid_body"},
		{"eleven tags", `{"tags":{"a":"1","b":"1","c":"1","d":"1","e":"1","f":"1","g":"1","h":"1","i":"1","j":"1","k":"1"}}`, "invalid_body"},
		{"a tag with a blank", `{"tags":{"a b":"1"}}`, "invalid_body"},
		{"the role", `{"role_arn":"arn:aws:iam::444455556666:role/Other"}`, "invalid_body"},
		{"the External ID", `{"connection_config":{"external_id":"mine"}}`, "invalid_body"},
		{"too much metadata", `{"metadata":{"a":"` + strings.Repeat("x", 65<<10) + `"}}`, "body_too_large"},
		{"no object", `[]`, "invalid_body"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := b.api(apiKey, "PATCH", "/connections/"+id+"?provider_config_key=acme-s3", tc.body)
			if code := r.code(t); code != tc.code || (code == "") != (r.StatusCode == 200) {
				t.Errorf("%d %s", r.StatusCode, r.body)
			}
		})
	}
	c := b.api(apiKey, "GET", "/connections/"+id, "").body
	for _, want := range []string{
		`"tags":{"team":"search"}`, `"id":"v"`, `"display_name":"One"`, `"webhook_url_override":"https://hooks.example.com/aws"`, `"per_seconds":60`,
		`"base_url":"https://bucket.s3.eu-west-1.amazonaws.com"`, `"paths":["/reports/*"]`, `"metadata":{"plan":{"seats":3}}`, externalID,
	} {
		if !strings.Contains(c, want) {
			t.Errorf("there is no %s in %s", want, c)
		}
	}
	b.api(apiKey, "PATCH", "/connections/"+id, `{"webhook_url_override":"","base_url":"","limits":{},"tags":{},"metadata":{}}`)
	c = b.api(apiKey, "GET", "/connections/"+id, "").body
	for _, want := range []string{`"webhook_url_override":null`, `"limits":{}`, `"tags":{}`, `"metadata":{}`} {
		if !strings.Contains(c, want) {
			t.Errorf("there is no %s in %s", want, c)
		}
	}
	for _, path := range []string{"/connections/" + id, "/connections/" + id + "/pause", "/connections/" + id + "/verify", "/connections/metadata"} {
		for key, status := range map[string]int{readerKey: 403, otherKey: 404} {
			method, body := "POST", `{"provider_config_key":"other-s3","connection_id":"`+id+`","metadata":{}}`
			if strings.HasSuffix(path, id) {
				method, body = "PATCH", `{}`
			}
			if r := b.api(key, method, path, body); r.StatusCode != status {
				t.Errorf("%s %s with %s: %d %s", method, path, key, r.StatusCode, r.body)
			}
		}
	}
}

// TestMetadata: metadata is replaced and merged, for one connection and for several, and outlives a reconnect.
func TestMetadata(t *testing.T) {
	b := newBed(t, bedOptions{})
	first, externalID := b.connect("org-1", customerRole)
	second, _ := b.connect("org-2", "arn:aws:iam::444455556666:role/Second")
	const gone = "00000000-0000-4000-8000-000000000000"
	for _, tc := range []struct {
		name, method, body string
		status             int
		code               string
	}{
		{"set", "POST", `{"provider_config_key":"acme-s3","connection_id":"` + first + `","metadata":{"a":1,"b":2}}`, 201, ""},
		{"merge", "PATCH", `{"provider_config_key":"acme-s3","connection_id":"` + first + `","metadata":{"b":{"c":[3]}}}`, 200, ""},
		{"several", "PATCH", `{"provider_config_key":"acme-s3","connection_id":["` + first + `","` + second + `"],"metadata":{"d":4}}`, 200, ""},
		{"one of them gone", "POST", `{"provider_config_key":"acme-s3","connection_id":["` + first + `","` + gone + `"],"metadata":{}}`, 404, "unknown_connection"},
		{"another integration", "POST", `{"provider_config_key":"other-s3","connection_id":"` + first + `","metadata":{}}`, 400, "unknown_provider_config"},
		{"nobody", "POST", `{"provider_config_key":"acme-s3","connection_id":[],"metadata":{}}`, 400, "invalid_body"},
		{"nothing", "POST", `{"provider_config_key":"acme-s3","connection_id":"` + first + `"}`, 400, "invalid_body"},
		{"no object", "POST", `{"provider_config_key":"acme-s3","connection_id":"` + first + `","metadata":[1]}`, 400, "invalid_body"},
		{"an unknown field", "PATCH", `{"provider_config_key":"acme-s3","connection_id":"` + first + `","metadata":{},"tags":{}}`, 400, "invalid_body"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if r := b.api(apiKey, tc.method, "/connections/metadata", tc.body); r.StatusCode != tc.status || r.code(t) != tc.code {
				t.Errorf("%d %s", r.StatusCode, r.body)
			}
		})
	}
	r := b.api(apiKey, "POST", "/connect/sessions/reconnect", `{"connection_id":"`+first+`","integration_id":"acme-s3"}`)
	data, _ := r.json(t)["data"].(map[string]any)
	b.role(customerRole, externalID)
	b.open(data["connect_link"].(string)).submit(customerRole, "eu-west-1")
	for id, want := range map[string]string{first: `"metadata":{"a":1,"b":{"c":[3]},"d":4}`, second: `"metadata":{"d":4}`} {
		if c := b.api(apiKey, "GET", "/connections/"+id, "").body; !strings.Contains(c, want) {
			t.Errorf("there is no %s in %s", want, c)
		}
	}
}

// TestVerifyConnection: the vendor has a role looked at, and is told how it went.
func TestVerifyConnection(t *testing.T) {
	b := newBed(t, bedOptions{})
	id, _ := b.connect("org-1", customerRole)
	verify := func() (bool, map[string]any) {
		t.Helper()
		r := b.api(apiKey, "POST", "/connections/"+id+"/verify", "")
		if r.StatusCode != 200 {
			t.Fatalf("%d %s", r.StatusCode, r.body)
		}
		m := r.json(t)
		v, _ := m["verification"].(map[string]any)
		return m["success"] == true, v
	}
	if ok, v := verify(); !ok || v["state"] != "succeeded" || v["external_id_probe"] != "proven" {
		t.Errorf("%v", v)
	}
	b.role(customerRole, "another one")
	if ok, v := verify(); ok || v["code"] != "assume_role_denied" || v["aws_code"] != "AccessDenied" {
		t.Errorf("%v", v)
	}
	if c := b.api(apiKey, "GET", "/connections/"+id, "").body; !strings.Contains(c, `"code":"assume_role_denied"`) || !strings.Contains(c, `"type":"auth"`) {
		t.Errorf("%s", c)
	}
	if r := b.api(apiKey, "POST", "/connections/00000000-0000-4000-8000-000000000000/verify", ""); r.StatusCode != 404 {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

// TestListConnections: connections are listed by pages, those of the key's integrations alone, and as filters say.
func TestListConnections(t *testing.T) {
	b := newBed(t, bedOptions{options: func(o *Options) {
		o.Keys = append(o.Keys, Key{Name: "all", Secrets: []string{"all-key-0123456789abcdef"}, Scopes: []Scope{ScopeList}})
	}})
	var ids []string
	for n := range 5 {
		id, _ := b.connect(fmt.Sprintf("org-%d", n), fmt.Sprintf("arn:aws:iam::44445555666%d:role/R", n))
		ids = append(ids, id)
	}
	b.api(apiKey, "PATCH", "/connections/"+ids[3], `{"end_user":{"id":"u-3","email":"Ann@example.com","display_name":"Ann"},"tags":{"team":"x"}}`)
	one := ids[3]
	slices.Sort(ids)
	type answer struct {
		status int
		ids    []string
		next   string
		code   string
	}
	list := func(key, query string) (a answer) {
		t.Helper()
		r := b.api(key, "GET", "/connections"+query, "")
		m := r.json(t)
		a.status, a.code = r.StatusCode, r.code(t)
		a.next, _ = m["next"].(string)
		all, _ := m["connections"].([]any)
		for _, c := range all {
			c := c.(map[string]any)
			a.ids = append(a.ids, c["connection_id"].(string))
			if n, _ := c["id"].(float64); n < 1 || n != float64(uint64(n)) || c["provider"] != "aws-sigv4" || c["created"] == nil || c["credentials"] != nil || c["connection_config"] != nil {
				t.Errorf("%v", c)
			}
		}
		return a
	}
	for _, tc := range []struct {
		query string
		want  []string
	}{
		{"", ids},
		{"?connectionId=" + one, []string{one}},
		{"?connectionId=" + one[:8], nil},
		{"?search=" + one[4:12], []string{one}},
		{"?search=aNN%40", []string{one}},
		{"?endUserId=u-3", []string{one}},
		{"?endUserOrganizationId=org-3", []string{one}},
		{"?endUserOrganizationId=org-3&endUserId=u-4", nil},
		{"?integrationId=acme-s3,other-s3", ids},
		{"?integrationId=other-s3", nil},
		{"?tags[team]=x", []string{one}},
		{"?tags[TEAM]=x&tags[end_user_display_name]=Ann", []string{one}},
		{"?tags%5Bteam%5D=y", nil},
		{"?limit=2&page=0", ids[:2]},
		{"?limit=2&page=1", ids[2:4]},
		{"?limit=2&page=2", ids[4:]},
		{"?limit=2&page=3", nil},
		{"?limit=5&page=1", nil},
		{"?limit=2&after=" + ids[2], ids[3:]},
	} {
		if a := list(apiKey, tc.query); a.status != 200 || !slices.Equal(a.ids, tc.want) {
			t.Errorf("%s: %+v, want %v", tc.query, a, tc.want)
		}
	}
	if a := list(apiKey, "?limit=2"); a.next != ids[1] {
		t.Errorf("the page goes on after %q", a.next)
	}
	if a := list(otherKey, ""); a.status != 200 || a.ids != nil {
		t.Errorf("another integration's key is shown %v", a.ids)
	}
	if a := list("all-key-0123456789abcdef", "?integrationId=acme-s3"); len(a.ids) != 5 {
		t.Errorf("a key for all is shown %v", a.ids)
	}
	if a := list(readerKey, ""); a.status != 403 {
		t.Errorf("%+v", a)
	}
	for _, query := range []string{"?limit=0", "?limit=2001", "?limit=x", "?page=-1", "?limit=1&limit=2", "?surprise=1", "?page=1&after=x", "?a=%zz", "?tags=x"} {
		if a := list(apiKey, query); a.status != 400 || a.code != "invalid_query_params" {
			t.Errorf("%s: %+v", query, a)
		}
	}
}

// TestOldNames: what old clients call connections.
func TestOldNames(t *testing.T) {
	b := newBed(t, bedOptions{})
	id, _ := b.connect("org-1", customerRole)
	for _, tc := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/connection", "", 200},
		{"GET", "/connection/" + id + "?provider_config_key=acme-s3", "", 200},
		{"PATCH", "/connection/" + id, `{"tags":{"a":"b"}}`, 200},
		{"POST", "/connection/metadata", `{"provider_config_key":"acme-s3","connection_id":"` + id + `","metadata":{}}`, 201},
		{"PATCH", "/connection/metadata", `{"provider_config_key":"acme-s3","connection_id":"` + id + `","metadata":{}}`, 200},
		{"DELETE", "/connection/" + id, "", 200},
	} {
		if r := b.api(apiKey, tc.method, tc.path, tc.body); r.StatusCode != tc.status {
			t.Errorf("%s %s: %d %s", tc.method, tc.path, r.StatusCode, r.body)
		}
	}
}
