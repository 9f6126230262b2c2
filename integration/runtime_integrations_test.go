package integration_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestBadRuntimeIntegrations are mistakes in runtime_integrations, with what to write.
func TestBadRuntimeIntegrations(t *testing.T) {
	t.Setenv("TEST_SEAL_KEY", goodSealKey)
	key := "connections {\nkey {env.TEST_SEAL_KEY}\n}\n"
	for name, tt := range map[string]struct{ global, want string }{
		"no seal key":         {"runtime_integrations", "runtime_integrations: customers' connections are sealed"},
		"twice":               {key + strings.Repeat("runtime_integrations\n", 2), "runtime_integrations is given twice"},
		"unknown":             {key + "runtime_integrations {\ncolor blue\n}", `unknown option "color": write one of credentials, hosts`},
		"an argument":         {key + "runtime_integrations on", "runtime_integrations takes no value, and has 1"},
		"unknown credentials": {key + "runtime_integrations {\ncredentials broker\n}", `there are no credentials named "broker"`},
		"no value":            {key + "runtime_integrations {\nhosts\n}", "hosts needs at least one value"},
		"a URL as a host":     {key + "runtime_integrations {\nhosts https://sts.internal/\n}", "https://sts.internal/"},
		"a principal":         {key + "runtime_integrations {\nhelper_principal me\n}", "me"},
		"a region":            {key + "runtime_integrations {\nsts_region nowhere\n}", "is not the name of an AWS region"},
		"an endpoint":         {key + "runtime_integrations {\nsts_endpoint http://sts.example\n}", "write https://"},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, validate(t, "{\naws_sigv4 {\n"+tt.global+"\n}\n}\n"), tt.want)
		})
	}
	for path, config := range map[string]string{
		"runtime_integrations: credentials_name: ": `"credentials": ["x"]`,
		"runtime_integrations: credentials: ":      `"credentials": ["env", "env"]`,
		"runtime_integrations: helper_principal: ": `"helper_principal": "me"`,
		"runtime_integrations: sts: endpoint: ":    `"sts_endpoint": "http://sts.example"`,
	} {
		err := validateJSON(t, []byte(`{"apps": {"aws_sigv4": {"connections": {"key": "`+goodSealKey+`"}, "runtime_integrations": {`+config+`}}}}`))
		wantError(t, err, path)
	}
}

// TestIntegrationsAtRunTime: an integration is written by API, a customer connects a role through it, and it
// outlives a reload and a new Caddy; its secrets are in no log, no answer and not in the storage, and nobody
// has it call this machine.
func TestIntegrationsAtRunTime(t *testing.T) {
	b := newConnectBed(t)
	config := b.caddyfile(connectParts{handler: "api_key admin {env.ADMIN_KEY} {\nscopes integrations:read integrations:write connect_sessions:write connections:read\n}"})
	config = strings.Replace(config, "integration acme-s3", "runtime_integrations {\ncredentials broker\nsts_region us-east-1\nsts_endpoint "+b.aws.URL+"\n}\nintegration acme-s3", 1)
	const adminKey = "admin-key-0123456789abcdef"
	t.Setenv("ADMIN_KEY", adminKey)
	b.start(config)
	admin := func(method, path, body string) reply {
		t.Helper()
		return b.do(method, path, body, jsonType, "Authorization: Bearer "+adminKey)
	}
	admin("POST", "/integrations", `{"provider":"aws-sigv4","unique_key":"reports","display_name":"Reports of Acme",
		"integration_config":{"service":"s3","defaultRegion":"eu-west-1","stsMode":"builtin","awsAccessKeyId":"AKIDBROKER","awsSecretAccessKey":"broker/secret+key"}}`).
		expect(t, 200, `"awsSecretAccessKey":"***"`)
	b.api("GET", "/integrations", "").expect(t, 403)
	admin("PATCH", "/integrations/acme-s3", `{"display_name":"x"}`).expect(t, 409, "the integration acme-s3 is part of the server's configuration")

	r := admin("POST", "/connect/sessions", `{"allowed_integrations":["reports"],"organization":{"id":"globex"}}`)
	r.expect(t, 201)
	var made struct {
		Data struct {
			Link string `json:"connect_link"`
		}
	}
	if err := json.Unmarshal([]byte(r.body), &made); err != nil {
		t.Fatal(err)
	}
	b.reload(config + "# changed\n")
	c := b.follow(made.Data.Link)
	c.get("").expect(t, 200, "Reports of Acme", "arn:aws:iam::111122223333:user/AKIDBROKER")
	b.makeRole(customerRole, c.read(shownExternalID))
	c.submit(customerRole, "").expect(t, 303)
	c.wait("succeeded")
	admin("DELETE", "/integrations/reports", "").expect(t, 409, "has connections")

	// A helper that somebody names is nobody of this machine or of its network.
	admin("POST", "/integrations", `{"provider":"aws-sigv4","unique_key":"h","integration_config":{"service":"s3","stsMode":"custom","defaultRegion":"eu-west-1",
		"stsEndpointUrl":"https://`+b.addr()+`/assume-role","stsPrincipal":"arn:aws:iam::111122223333:role/Helper","stsAuthType":"api_key","stsApiKey":"helper-key-0123456789"}}`).
		expect(t, 200, `"stsApiKey":"***"`)
	r = admin("POST", "/connect/sessions", `{"allowed_integrations":["h"],"organization":{"id":"globex"}}`)
	r.expect(t, 201)
	if err := json.Unmarshal([]byte(r.body), &made); err != nil {
		t.Fatal(err)
	}
	c = b.follow(made.Data.Link)
	c.submit(customerRole, "").expect(t, 303)
	c.wait("failed")
	if !strings.Contains(b.everything(), "it is for hosts that the configuration names") {
		t.Error("the helper was not refused for its address")
	}

	// A configuration with other permissions is another service: it reads what was stored.
	b.reload(strings.Replace(config, "sts_region us-east-1", "sts_region eu-west-1", 1))
	admin("GET", "/integrations/reports", "").expect(t, 200, `"Reports of Acme"`)
	b.reload(b.caddyfile(connectParts{handler: "api_key admin {env.ADMIN_KEY} {\nscopes integrations:read integrations:write\n}"}))
	admin("GET", "/integrations/reports", "").expect(t, 404)
	admin("POST", "/integrations", `{"provider":"aws-sigv4","unique_key":"x","integration_config":{"service":"s3","credentialsName":"broker"}}`).expect(t, 409, "runtime_integrations")
	b.settle()
	for _, secret := range []string{"broker/secret+key", "helper-key-0123456789", adminKey} {
		if strings.Contains(b.everything(), secret) || strings.Contains(b.stored(), secret) {
			t.Errorf("%s is logged, or stored in clear", secret)
		}
	}
	if strings.Contains(b.stored(), "Reports of Acme") {
		t.Error("integrations are stored in clear")
	}
}
