package web

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

const (
	writerKey    = "writer-key-0123456789abcdef"
	onlyKey      = "only-writer-0123456789abcdef" // of the integrations a and acme-s3 alone
	readerOfAll  = "reader-of-all-0123456789abcd"
	storedSecret = "kept-secret-access-key-0123456789"
	storedAPIKey = "kept-api-key-of-the-helper-01234"
)

// newWriterBed is a bed whose integrations may be written.
func newWriterBed(t testing.TB) *bed {
	var b *bed
	b = newBed(t, bedOptions{
		service: func(o *connect.ServiceOptions) {
			o.Runtime = &connect.Runtime{
				Credentials: []string{"broker"}, HelperPrincipal: "arn:aws:iam::111122223333:role/Helper",
				Mode: func(i *connect.Integration, a *connect.Assume) (connect.Mode, error) {
					if a.Helper != nil {
						client, err := sts.NewHelperClient(sts.HelperConfig{URL: a.Helper.URL, OperatorHosts: []string{}})
						if err != nil {
							return nil, err
						}
						principal := a.Helper.Principal
						if principal == "" {
							principal = o.Runtime.HelperPrincipal
						}
						return connect.NewHelperMode(connect.HelperOptions{Client: client, Service: i.Service, Principal: principal})
					}
					cache := credentials.NewCache(credentials.Options{})
					t.Cleanup(cache.Close)
					return connect.NewBrokerMode(connect.BrokerOptions{
						Client: o.STS, Cache: cache, Name: "broker", STS: sts.Where{Region: "us-east-1", Endpoint: b.aws.URL},
						Broker: credentials.Identity{
							Key: credentials.NewKey(a.AccessKeyID, credentials.Sealed(a.SecretAccessKey)), Label: "broker", Local: true,
							Fetch: func(context.Context, *credentials.Credentials) (*credentials.Credentials, error) {
								return credentials.New(sigv4.Credentials{AccessKeyID: "AKIABROKER", SecretAccessKey: brokerSecret}, time.Time{}, time.Now()), nil
							},
						},
					})
				},
			}
		},
		options: func(o *Options) {
			o.Keys = append(
				o.Keys,
				Key{Name: "writer", Secrets: []string{writerKey}, Scopes: []Scope{ScopeWriteIntegrations, ScopeSessions}},
				Key{Name: "only", Secrets: []string{onlyKey}, Scopes: []Scope{ScopeWriteIntegrations, ScopeSessions}, Integrations: []string{"a", "acme-s3"}},
				Key{Name: "reads", Secrets: []string{readerOfAll}, Scopes: []Scope{ScopeReadIntegrations}},
			)
		},
	})
	return b
}

// data returns the member data of an answer.
func (r *reply) data(t testing.TB) map[string]any {
	t.Helper()
	d, ok := r.json(t)["data"].(map[string]any)
	if !ok {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	return d
}

// problem returns the path and the message of an error's first problem, or its message.
func (r *reply) problem(t testing.TB) string {
	t.Helper()
	e, _ := r.json(t)["error"].(map[string]any)
	if all, ok := e["errors"].([]any); ok && len(all) > 0 {
		one, _ := all[0].(map[string]any)
		path, _ := json.Marshal(one["path"])
		message, _ := one["message"].(string)
		return string(path) + " " + message
	}
	message, _ := e["message"].(string)
	return message
}

func TestIntegrationsByAPI(t *testing.T) {
	b := newWriterBed(t)
	r := b.api(writerKey, "POST", "/integrations", `{"provider":"aws-sigv4","unique_key":"reports","display_name":"Reports",
		"integration_config":{"service":"s3","defaultRegion":"eu-west-1","stsMode":"builtin","awsAccessKeyId":"AKIASTORED","awsSecretAccessKey":"`+storedSecret+`"}}`)
	if r.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	d := r.data(t)
	for name, want := range map[string]any{"unique_key": "reports", "provider": "aws-sigv4", "display_name": "Reports", "read_only": false, "forward_webhooks": true} {
		if d[name] != want {
			t.Errorf("%s is %v, want %v", name, d[name], want)
		}
	}
	want := map[string]any{"service": "s3", "defaultRegion": "eu-west-1", "stsMode": "builtin", "awsAccessKeyId": "AKIASTORED", "awsSecretAccessKey": "***"}
	if !reflect.DeepEqual(d["integration_config"], want) {
		t.Errorf("got %v", d["integration_config"])
	}
	for _, secret := range []string{writerKey, readerOfAll} {
		r := b.api(secret, "GET", "/integrations", "")
		list, _ := r.json(t)["data"].([]any)
		if r.StatusCode != http.StatusOK || len(list) != 3 || strings.Contains(r.body, storedSecret) {
			t.Errorf("%d %s", r.StatusCode, r.body)
		}
	}
	r = b.api(readerOfAll, "GET", "/integrations/reports?include=webhook&include=credentials", "")
	if d := r.data(t); d["credentials"] != nil || d["webhook_url"] != nil || strings.Contains(r.body, storedSecret) || !reflect.DeepEqual(d["integration_config"], want) {
		t.Errorf("%s", r.body)
	}

	// A session can be made for it at once, and its page shows whom to trust.
	token, _ := b.sessionOf(writerKey, `{"end_user":{"id":"u"},"allowed_integrations":["reports"]}`)
	page, err := b.service.Page(t.Context(), token)
	if err != nil || page.Principal.Account != "111122223333" {
		t.Errorf("%+v, %v", page, err)
	}
	// Its token shows what the page shows, and nothing else.
	r = b.api(token, "GET", "/integrations", "")
	list, _ := r.json(t)["data"].([]any)
	if r.StatusCode != http.StatusOK || len(list) != 1 || !strings.Contains(r.body, `"unique_key":"reports"`) || strings.Contains(r.body, "AKIASTORED") || strings.Contains(r.body, "acme") {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}

	// Settings and integration_config are two ways to say the same.
	r = b.api(writerKey, "PATCH", "/integrations/reports", `{"display_name":"More","settings":{"duration":"2h","tags":{"team":"search"},
		"templates":[{"id":"role","url":"https://templates.example.com/role.yaml","external_id_parameter":"ExternalId","parameters":{"A":"b"}}],"sts":{"secret_access_key":""},
		"limits":{"methods":["GET"],"rate":{"calls":5,"per_seconds":1}}}}`)
	d = r.data(t)
	settings, _ := d["settings"].(map[string]any)
	if settings["duration"] != "2h0m0s" || settings["service"] != "s3" || !reflect.DeepEqual(settings["sts"], map[string]any{"access_key_id": "AKIASTORED", "secret_access_key": "***"}) {
		t.Errorf("%s", r.body)
	}
	// Null takes away, what is not named stays.
	r = b.api(writerKey, "PATCH", "/integrations/reports", `{"settings":{"duration":null}}`)
	settings, _ = r.data(t)["settings"].(map[string]any)
	if _, ok := settings["duration"]; ok || settings["tags"] == nil || settings["templates"] == nil {
		t.Errorf("%s", r.body)
	}
	// Another way to assume roles takes the place of the one before.
	r = b.api(writerKey, "PATCH", "/integrations/reports", `{"settings":{"sts":{"credentials":"broker"}}}`)
	settings, _ = r.data(t)["settings"].(map[string]any)
	if !reflect.DeepEqual(settings["sts"], map[string]any{"credentials": "broker"}) {
		t.Errorf("%s", r.body)
	}
	c, _ := b.service.Integration("reports")
	if c.Stored.Assume.SecretAccessKey != "" || c.DisplayName != "More" || c.Limits.Rate.Calls != 5 {
		t.Errorf("%+v", c)
	}
	r = b.api(writerKey, "DELETE", "/integrations/reports", "")
	if r.StatusCode != http.StatusOK || r.json(t)["success"] != true {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	if r := b.api(writerKey, "GET", "/integrations/reports", ""); r.StatusCode != http.StatusNotFound || r.code(t) != "not_found" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if strings.HasPrefix(string(e.Kind), "integration_") && e.Actor != "writer" {
			t.Errorf("%+v has another actor", e)
		}
	}
}

// sessionOf makes a session with a key.
func (b *bed) sessionOf(key, body string) (token, link string) {
	b.t.Helper()
	r := b.api(key, "POST", "/connect/sessions", body)
	if r.StatusCode != http.StatusCreated {
		b.t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	d := r.data(b.t)
	token, _ = d["token"].(string)
	link, _ = d["connect_link"].(string)
	return token, link
}

// TestIntegrationConfig: each mistake is told at the field.
func TestIntegrationConfig(t *testing.T) {
	b := newWriterBed(t)
	for name, tc := range map[string]struct{ config, want string }{
		"no service":            {`{"awsAccessKeyId":"A","awsSecretAccessKey":"s"}`, `["integration_config","service"] service is required`},
		"service":               {`{"service":"S 3","awsAccessKeyId":"A","awsSecretAccessKey":"s"}`, `S 3`},
		"region":                {`{"service":"s3","defaultRegion":"evil.example","awsAccessKeyId":"A","awsSecretAccessKey":"s"}`, `"evil.example" is not the name of an AWS region`},
		"unknown":               {`{"service":"s3","awsAccessKeyId":"A","awsSecretAccessKey":"s","x":"y"}`, `["integration_config","x"] Unknown field "x"`},
		"a number":              {`{"service":3,"awsAccessKeyId":"A","awsSecretAccessKey":"s"}`, `["integration_config","service"] write a string`},
		"no key":                {`{"service":"s3"}`, `["integration_config","awsAccessKeyId"] awsAccessKeyId is required with stsMode builtin`},
		"no secret":             {`{"service":"s3","awsAccessKeyId":"A"}`, `["integration_config","awsSecretAccessKey"]`},
		"mask":                  {`{"service":"s3","awsAccessKeyId":"A","awsSecretAccessKey":"***"}`, `there is none yet that could be kept`},
		"mode":                  {`{"service":"s3","stsMode":"other"}`, `["integration_config","stsMode"] write builtin or custom`},
		"other mode":            {`{"service":"s3","awsAccessKeyId":"A","awsSecretAccessKey":"s","stsEndpointUrl":"https://h.example.com"}`, `["integration_config","stsEndpointUrl"] stsEndpointUrl does not go with stsMode builtin`},
		"no URL":                {`{"service":"s3","stsMode":"custom"}`, `["integration_config","stsEndpointUrl"] stsEndpointUrl is required`},
		"http":                  {`{"service":"s3","stsMode":"custom","stsEndpointUrl":"http://h.example.com/a"}`, `http to h.example.com would send secrets`},
		"auth":                  {`{"service":"s3","stsMode":"custom","stsEndpointUrl":"https://h.example.com/a","stsAuthType":"x"}`, `["integration_config","stsAuthType"] write none, api_key or basic`},
		"api key":               {`{"service":"s3","stsMode":"custom","stsEndpointUrl":"https://h.example.com/a","stsAuthType":"api_key"}`, `["integration_config","stsApiKey"]`},
		"password":              {`{"service":"s3","stsMode":"custom","stsEndpointUrl":"https://h.example.com/a","stsAuthType":"basic"}`, `["integration_config","stsAuthPassword"]`},
		"not the operator's":    {`{"service":"s3","credentialsName":"root"}`, `credentials "root" may not be used here (allowed: broker)`},
		"probe of another sort": {`{"service":"s3","stsMode":"custom","stsEndpointUrl":"https://h.example.com/a","stsProbe":"yes"}`, `["integration_config","stsProbe"]`},
	} {
		t.Run(name, func(t *testing.T) {
			r := b.api(writerKey, "POST", "/integrations", `{"provider":"aws-sigv4","unique_key":"x","integration_config":`+tc.config+`}`)
			if r.StatusCode != http.StatusBadRequest || r.code(t) != "invalid_body" || !strings.Contains(r.problem(t), tc.want) {
				t.Errorf("%d %s, want %s", r.StatusCode, r.body, tc.want)
			}
		})
	}
	r := b.api(writerKey, "POST", "/integrations", `{"provider":"aws-sigv4","unique_key":"h","integration_config":{"service":"s3","stsMode":"custom",
		"stsEndpointUrl":"https://h.example.com/assume-role","stsAuthType":"api_key","stsAuthHeader":"x-key","stsApiKey":"`+storedAPIKey+`"}}`)
	if r.StatusCode != http.StatusOK || strings.Contains(r.body, storedAPIKey) {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	for name, tc := range map[string]struct{ config, want string }{
		"blank keeps": {`{"stsApiKey":"","defaultRegion":"eu-west-1"}`, ""},
		"mask keeps":  {`{"stsApiKey":"***"}`, ""},
		"another host": {
			`{"stsEndpointUrl":"https://evil.example.com/assume-role"}`, "it was written for https://h.example.com: write it again for https://evil.example.com",
		},
	} {
		r := b.api(writerKey, "PATCH", "/integrations/h", `{"integration_config":`+tc.config+`}`)
		if tc.want == "" && r.StatusCode != http.StatusOK || tc.want != "" && (r.StatusCode != http.StatusBadRequest || !strings.Contains(r.problem(t), tc.want)) {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.body)
		}
		if c, _ := b.service.Integration("h"); c.Stored.Assume.Helper.APIKey != storedAPIKey {
			t.Errorf("%s: it is %+v", name, c.Stored.Assume.Helper)
		}
	}
	r = b.api(writerKey, "PATCH", "/integrations/h", `{"integration_config":{"stsAuthType":"none"}}`)
	if c, _ := b.service.Integration("h"); r.StatusCode != http.StatusOK || c.Stored.Assume.Helper.APIKey != "" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

// TestTemplatesConfig: everything in one text, as the shape with templates has it.
func TestTemplatesConfig(t *testing.T) {
	b := newWriterBed(t)
	create := func(key string, config any) *reply {
		text, err := json.Marshal(config)
		b.must(err)
		outer, err := json.Marshal(map[string]any{"provider": "aws-sigv4", "unique_key": key, "custom": map[string]string{"aws_sigv4_config": string(text)}})
		b.must(err)
		return b.api(writerKey, "POST", "/integrations", string(outer))
	}
	r := create("tpl", map[string]any{
		"service": "s3", "defaultRegion": "us-east-1", "stsMode": "custom",
		"stsEndpoint":  map[string]any{"url": "https://h.example.com/assume-role", "auth": map[string]string{"type": "basic", "username": "u", "password": storedAPIKey}},
		"instructions": map[string]string{"label": "Guide", "url": "https://docs.example.com/", "description": "How"},
		"templates": []any{map[string]any{
			"id": "s3-readonly", "label": "Read", "description": "d", "stackName": "Stack", "templateUrl": "https://t.example.com/a.json", "parameters": map[string]string{"Bucket": "b"},
		}},
	})
	c, ok := b.service.Integration("tpl")
	if r.StatusCode != http.StatusOK || !ok || strings.Contains(r.body, storedAPIKey) {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	want := connect.AssumeHelper{URL: "https://h.example.com/assume-role", BasicUser: "u", BasicPassword: storedAPIKey}
	if *c.Stored.Assume.Helper != want || c.ExternalIDProbe != connect.ProbeWarn || len(c.Templates) != 1 || c.Templates[0].Parameters["Bucket"] != "b" || c.Instructions[0].Label != "Guide" {
		t.Errorf("%+v", c.Stored)
	}
	if !strings.Contains(r.body, `"template_url":"https://t.example.com/a.json"`) {
		t.Errorf("%s", r.body)
	}
	for body, want := range map[string]string{
		`{"custom":{"aws_sigv4_config":"{"}}`: `["custom","aws_sigv4_config"] aws_sigv4_config must be valid JSON`,
		`{"custom":{"aws_sigv4_config":""}}`:  "delete it instead",
		`{"custom":{"other":"x"}}`:            "there is no such field",
	} {
		if r := b.api(writerKey, "PATCH", "/integrations/tpl", body); r.StatusCode != http.StatusBadRequest || !strings.Contains(r.problem(t), want) {
			t.Errorf("%s: %d %s", body, r.StatusCode, r.body)
		}
	}
	// The password is kept for the same host.
	r = b.api(writerKey, "PATCH", "/integrations/tpl", `{"custom":{"aws_sigv4_config":"{\"service\":\"sqs\",\"stsEndpoint\":{\"url\":\"https://h.example.com/v2\",\"auth\":{\"type\":\"basic\",\"username\":\"u\",\"password\":\"\"}}}"}}`)
	if c, _ := b.service.Integration("tpl"); r.StatusCode != http.StatusOK || c.Stored.Assume.Helper.BasicPassword != storedAPIKey || c.Service != "sqs" || len(c.Templates) != 0 {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

// TestWhoMayWriteIntegrations: scopes, keys for some integrations, and those of the configuration.
func TestWhoMayWriteIntegrations(t *testing.T) {
	b := newWriterBed(t)
	const config = `,"integration_config":{"service":"s3","credentialsName":"broker"}}`
	for _, tc := range []struct {
		key, method, path, body string
		status                  int
		code                    string
	}{
		{"", "GET", "/integrations", "", 401, "missing_auth_header"},
		{"unknown-key-0123456789", "GET", "/integrations", "", 401, "unknown_account"},
		{readerOfAll, "POST", "/integrations", `{"provider":"aws-sigv4","unique_key":"a"` + config, 403, "forbidden"},
		{readerOfAll, "PATCH", "/integrations/acme-s3", `{}`, 403, "forbidden"},
		{readerOfAll, "DELETE", "/integrations/acme-s3", "", 403, "forbidden"},
		{onlyKey, "POST", "/integrations", `{"provider":"aws-sigv4","unique_key":"b"` + config, 403, "forbidden"},
		{onlyKey, "POST", "/integrations", `{"provider":"aws-sigv4","unique_key":"a"` + config, 200, ""},
		{onlyKey, "PATCH", "/integrations/a", `{"unique_key":"b"}`, 403, "forbidden"},
		{onlyKey, "GET", "/integrations/other-s3", "", 404, "not_found"},
		{onlyKey, "DELETE", "/integrations/other-s3", "", 404, "not_found"},
		{writerKey, "POST", "/integrations", `{"provider":"aws-sigv4","unique_key":"a"` + config, 400, "invalid_body"},
		{writerKey, "POST", "/integrations", `{"provider":"github","unique_key":"c"` + config, 400, "invalid_body"},
		{writerKey, "POST", "/integrations", `{"provider":"aws-sigv4","unique_key":"../c"` + config, 400, "invalid_body"},
		{writerKey, "POST", "/integrations", `{"provider":"aws-sigv4","unique_key":".."` + config, 400, "invalid_body"},
		{writerKey, "POST", "/integrations", `{"provider":"aws-sigv4","unique_key":"c","credentials":{"type":"OAUTH2"}` + config, 400, "invalid_body"},
		{writerKey, "POST", "/integrations", `{"provider":"aws-sigv4","unique_key":"acme-s3"` + config, 409, "integration_read_only"},
		{onlyKey, "PATCH", "/integrations/acme-s3", `{"display_name":"x"}`, 409, "integration_read_only"},
		{writerKey, "DELETE", "/integrations/acme-s3", "", 409, "integration_read_only"},
		{writerKey, "PATCH", "/integrations/a", `{"unique_key":"acme-s3"}`, 400, "invalid_body"},
		{writerKey, "PUT", "/integrations/a", `{}`, 405, "method_not_allowed"},
		{writerKey, "PATCH", "/integrations/a", `{"settings":{"templates":[{"id":"t","file":"/etc/passwd","external_id_parameter":"E"}]}}`, 400, "invalid_body"},
		{writerKey, "PATCH", "/integrations/a", `{"settings":null}`, 400, "invalid_body"},
		{writerKey, "PATCH", "/integrations/a", `{"settings":{"sts":{"helper":{"url":"https://169.254.169.254/"}}}}`, 400, "invalid_body"},
		{writerKey, "PATCH", "/integrations/a", `{"unique_key":"b"}`, 200, ""},
		{writerKey, "GET", "/integrations/b", "", 200, ""},
	} {
		r := b.api(tc.key, tc.method, tc.path, tc.body)
		code := ""
		if r.StatusCode >= 400 {
			code = r.code(t)
		}
		if r.StatusCode != tc.status || code != tc.code {
			t.Errorf("%s %s %s: %d %s, want %d %s", tc.method, tc.path, tc.body, r.StatusCode, r.body, tc.status, tc.code)
		}
	}
	off := newBed(t, bedOptions{options: func(o *Options) {
		o.Keys = append(o.Keys, Key{Name: "writer", Secrets: []string{writerKey}, Scopes: []Scope{ScopeWriteIntegrations}})
	}})
	r := off.api(writerKey, "POST", "/integrations", `{"provider":"aws-sigv4","unique_key":"a"`+config)
	if r.StatusCode != http.StatusConflict || r.code(t) != "integration_read_only" || !strings.Contains(r.body, "runtime_integrations") {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	if r := off.api(writerKey, "GET", "/integrations/acme-s3", ""); r.StatusCode != http.StatusOK || r.data(t)["read_only"] != true {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

// TestIntegrationsInUse: neither deleted nor renamed.
func TestIntegrationsInUse(t *testing.T) {
	b := newWriterBed(t)
	b.api(writerKey, "POST", "/integrations", `{"provider":"aws-sigv4","unique_key":"reports","integration_config":{"service":"s3","defaultRegion":"eu-west-1","credentialsName":"broker"}}`)
	token, _ := b.sessionOf(writerKey, `{"end_user":{"id":"u"},"allowed_integrations":["reports"]}`)
	session, err := b.service.Store().Session(t.Context(), token)
	b.must(err)
	id, err := b.service.Store().ExternalIDFor(t.Context(), session)
	b.must(err)
	b.role(customerRole, id)
	_, err = b.service.Submit(t.Context(), token, customerRole, "")
	b.must(err)
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		v, err := b.service.Verification(t.Context(), token)
		if b.must(err); v.State == connect.StateSucceeded {
			break
		}
		if v.State == connect.StateFailed || time.Since(began) > 30*time.Second {
			t.Fatalf("%+v", v)
		}
	}
	if r := b.api(writerKey, "DELETE", "/integrations/reports", ""); r.StatusCode != http.StatusConflict || r.code(t) != "integration_in_use" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	if r := b.api(writerKey, "PATCH", "/integrations/reports", `{"unique_key":"other"}`); r.StatusCode != http.StatusBadRequest || !strings.Contains(r.problem(t), `["unique_key"] the integration reports has connections`) {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	if r := b.api(writerKey, "PATCH", "/integrations/reports", `{"integration_config":{"service":"sqs"}}`); r.StatusCode != http.StatusOK {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}
