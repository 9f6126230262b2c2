package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// goodSealKey is a seal key as it may stand in a test.
const goodSealKey = "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY="

// TestBadIntegrations are mistakes in the block of an integration, one for each row, with what to write and
// the line. The options begin on line 8, which
// is 7 here.
func TestBadIntegrations(t *testing.T) {
	template := func(options string) string { return "template t {\n" + options + "\n}" }
	helper := func(options string) string {
		return "sts helper https://helper.example/assume-role {\n" + options + "\n}"
	}
	t.Setenv("TEST_SEAL_KEY", goodSealKey)
	for _, tt := range []struct {
		options string
		line    int
		want    string
	}{
		{"color blue", 7, `unknown option "color": write one of display_name, logo, service`},
		{"service s3 ; region eu-west-1", 7, "write each option on a line of its own"},
		{"service s3\nservice s3", 8, "service is given twice"},
		{"service", 7, "service has no value"},
		{`display_name ""`, 7, "display_name is empty"},
		{"display_name Acme Analytics", 7, "display_name has 2 values, and takes 1"},
		{"logo http://acme.example/logo.svg", 7, "logo: \"http://acme.example/logo.svg\" does not begin with https://"},
		{"logo javascript:alert(1)", 7, "logo:"},
		{"service S3", 7, "write `s3`"},
		{"region nowhere", 7, "is not the name of an AWS region"},
		{"region eu-west-1\nregions us-east-1", 8, "region eu-west-1 is not among its regions"},
		{"regions us-east-1 nowhere", 7, "is not the name of an AWS region"},
		{"regions", 7, "regions has no value"},
		{"allow_accounts 123", 7, "write its 12 digits"},
		{"deny_accounts 12345678901x", 7, "write its 12 digits"},
		{"duration 5m", 7, "write 15m to 12h"},
		{"duration long", 7, "write 15m to 12h"},
		{"tag a", 7, "tag has 1 of 2 values"},
		{"tag a b\ntag a c", 8, "tag a is given twice"},
		{"tag aws:a b", 7, "AWS keeps aws: for itself"},
		{"policy {\n\"Statement\": []\n}", 7, "write it between backticks"},
		{"policy x", 7, "policy: it is not JSON"},
		{"external_id_probe maybe", 7, "write require, warn or off"},
		{"test_call", 7, "test_call has no value"},
		{"test_call https://b.s3.eu-west-1.amazonaws.com/", 7, "test_call METHOD URL [STATUS]: the method is missing"},
		{"test_call GET", 7, "test_call METHOD URL [STATUS]: the URL is missing"},
		{"test_call GET https://b.s3.{regoin}.amazonaws.com/", 7, "test_call: {regoin} is unknown here: write {region}, {account}, or one of {env.…}, {file.…} and {system.…}"},
		{"test_call GET http://b.s3.{region}.amazonaws.com/", 7, "\"http://b.s3.{region}.amazonaws.com/\" does not begin with https://"},
		{"test_call GET https://b.s3.eu-west-1.amazonaws.com/ ok", 7, `"ok" is no status to expect`},
		{"test_call GET https://b.s3.eu-west-1.amazonaws.com/ 99", 7, "99 is no status to expect"},
		{"test_call get https://b.s3.eu-west-1.amazonaws.com/", 7, "is no HTTP method"},
		{"test_call GET http://b.s3.eu-west-1.amazonaws.com/", 7, "does not begin with https://"},
		{"test_call GET https://internal.example/", 6, "write `service NAME` in the integration"},

		{"sts", 7, "write `sts credentials NAME`"},
		{"sts broker", 7, "write `sts credentials NAME`"},
		{"sts credentials", 7, "credentials need a name"},
		{"sts credentials nobody", 6, `there are no credentials named "nobody": define them`},
		{"sts credentials assume_role x", 7, "is not the ARN of a role"},
		{"sts credentials broker\nsts credentials env", 8, "sts is given twice"},
		{"sts_region nowhere", 7, "is not the name of an AWS region"},
		{"sts_endpoint http://sts.example", 7, "write https://, or http:// with a loopback address"},
		{"sts_endpoint https://sts.example\nfips", 8, "write the FIPS endpoint's URL, or only fips"},
		{"fips on", 7, "fips takes no value"},
		{"sts helper", 7, "helper has no value"},
		{"sts helper http://helper.example/", 7, "sts helper has no principal"},
		{helper("principal arn:aws:iam::123456789012:role/R\nprobe\ncolor blue"), 10, `unknown option "color": write one of principal, probe, api_key`},
		{helper("principal x"), 8, "x"},
		{helper("api_key topsecret header Host\nprincipal arn:aws:iam::123456789012:role/R"), 8, "has a meaning of its own in HTTP"},
		{helper("principal arn:aws:iam::123456789012:role/R\nbearer topsecret\napi_key topsecret\nprobe"), 12, "write one of the two"},
		{helper("principal arn:aws:iam::123456789012:role/R"), 6, "write `probe` if the helper has probe-external-id"},
		{helper("principal arn:aws:iam::123456789012:role/R\nprobe") + "\nduration 1h", 11, "are the helper's business"},

		{"template", 7, "template has no value"},
		{"template t", 7, "template t is nowhere: write `url https://…` or `file PATH`"},
		{"template a/b {\nfile x\n}", 7, "is no ID of a template"},
		{template("external_id_parameter E"), 9, "template t is nowhere"},
		{template("file x"), 9, "template t has no external_id_parameter"},
		{template("file x\nurl https://b.s3.amazonaws.com/x"), 9, "write either url or file"},
		{template("url http://b.s3.amazonaws.com/x"), 8, "does not begin with https://"},
		{template("file x\nfile y"), 9, "file is given twice"},
		{template("file x\nstack_name 1x"), 9, "is no name of a stack"},
		{template("file x\nparameter A"), 9, "parameter has 1 of 2 values"},
		{template("file x\nparameter A b\nparameter A c"), 10, "parameter A is given twice"},
		{template("file x\nlabel"), 9, "label has no value"},
		{template("file x\nparameters A b"), 9, `unknown option "parameters": write one of label, description`},
		{template("file x\nexternal_id_parameter E") + "\n" + template("file x"), 11, "there are two templates t"},

		{"instructions", 7, "instructions have no url"},
		{"instructions https://docs.example", 7, "instructions takes no value"},
		{"instructions {\nlabel x\n}", 9, "instructions have no url"},
		{"instructions {\nurl http://docs.example/\n}", 9, "does not begin with https://"},
		{"instructions {\nlink x\n}", 8, `unknown option "link": write one of label, url, description`},

		// What only shows when everything is loaded.
		{"logo https://{env.AWS_TEST_NOT_SET}/", 0, "integrations.acme-s3: logo: {env.AWS_TEST_NOT_SET} is empty"},
		{"sts credentials assume_role arn:aws:iam::123456789012:role/B {\nsession_name {http.auth.user.id}\n}", 0, "sts: credentials: the broker's credentials depend on the request"},
		{"sts credentials assume_role arn:aws:iam::123456789012:role/B\nduration 4h", 0, "integrations.acme-s3: duration: duration 4h0m0s: AWS limits a role that is assumed with another role's credentials to 1h"},
		{template("file role.yaml\nexternal_id_parameter E"), 0, ": paths are relative to where Caddy was started"},
		{template("file /does/not/exist\nexternal_id_parameter E"), 0, "template t: stat /does/not/exist"},
	} {
		t.Run(strings.ReplaceAll(tt.options[:min(len(tt.options), 80)], "\n", " "), func(t *testing.T) {
			err := validate(t, "{\naws_sigv4 {\ncredentials broker env\nconnections {\nkey {env.TEST_SEAL_KEY}\n}\nintegration acme-s3 {\n"+tt.options+"\n}\n}\n}\n")
			wantError(t, err, tt.want)
			if at := fmt.Sprintf(", at Caddyfile:%d", tt.line+1); tt.line > 0 && err != nil && !strings.HasSuffix(err.Error(), at) {
				t.Errorf("%v; want %q at its end", err, at)
			}
			if err != nil && strings.Contains(err.Error(), "topsecret") {
				t.Errorf("a secret is in %v", err)
			}
		})
	}
}

// TestBadConnections: nothing is loaded without a good seal key where there are integrations, nor with a
// handler for which there is nothing to connect.
func TestBadConnections(t *testing.T) {
	dir := tempDir(t)
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "{file." + path + "}"
	}
	good := file("good", goodSealKey+"\n")
	key := "api_key a secret-0123456789abcdef"
	for _, tt := range []struct{ name, global, handler, want string }{
		{"no connections", "integration b\nintegration a", key, "integrations a and b: customers' connections are sealed"},
		{"no connections at all", "integration a", key, "make one with `openssl rand -base64 32`"},
		{"no key", "connections\nintegration a", key, "connections has no key to seal them with: write `key {file./run/secrets/seal-key}`"},
		{"no such file", "connections {\nkey {file./does/not/exist}\n}\nintegration a", key, "connections.key: {file./does/not/exist} is empty: the file /does/not/exist is missing"},
		{"an empty file", "connections {\nkey " + file("empty", "") + "\n}\nintegration a", key, "is missing, unreadable or empty"},
		{"a passphrase", "connections {\nkey correct-horse-battery\n}", key, "as `openssl rand -base64 32` prints them"},
		{"a passphrase in a file", "connections {\nkey " + file("passphrase", "correct horse battery staple") + "\n}", key, "connections.key: the seal key"},
		{"a short key", "connections {\nkey " + file("short", "MDEyMzQ1Njc4OWFiY2RlZg==") + "\n}", key, "has 16 bytes, not 32"},
		{"a constant key", "connections {\nkey " + file("constant", strings.Repeat("A", 43)+"=") + "\n}", key, "too few bytes to be random"},
		{"an old key that is none", "connections {\nkey " + good + "\nold_key " + file("old", "x") + "\n}", key, "connections.old_keys[0]: "},
		{"one key twice", "connections {\nkey " + good + "\nold_key " + goodSealKey + "\n}", key, "connections: "},
		{"two keys", "connections {\nkey " + good + "\nkey " + good + "\n}", key, "key is given twice"},
		{"connections twice", "connections {\nkey " + good + "\n}\nconnections {\nkey " + good + "\n}", key, "connections is given twice"},
		{"an unknown option", "connections {\nkey " + good + "\nttl 5m\n}", key, `unknown option "ttl": write one of key, old_key, session_life`},
		{"session_life", "connections {\nkey " + good + "\nsession_life 9h\n}", key, "write 1m to 8h"},
		{"propagation_wait", "connections {\nkey " + good + "\npropagation_wait 11m\n}", key, "write at most 10m"},
		{"propagation_wait no", "connections {\nkey " + good + "\npropagation_wait no\n}", key, "write 1s to 10m, or off"},
		{"max_stale", "connections {\nkey " + good + "\nmax_stale 5s\n}", key, "write 10s to 24h"},
		{"recheck_every", "connections {\nkey " + good + "\nrecheck_every 1s\n}", key, "write at least 1m"},
		{"an integration without a key", "connections {\nkey " + good + "\n}\nintegration", key, "integration has no value"},
		{"an integration with a slash", "connections {\nkey " + good + "\n}\nintegration a/b", key, "is no key of an integration"},
		{"an integration twice", "connections {\nkey " + good + "\n}\nintegration a\nintegration a", key, "integration a is there twice"},
		{"a typo", "conections {\n}", key, "write one of credentials, spool_dir, spool_limit, connections, integration"},

		{"nothing to connect", "spool_dir /tmp", key, "aws_connect has nothing to connect"},
		{"no API key", "", "", "aws_connect has no key, so nobody could make a connect session"},
		{"an argument", "", "\n", "takes a block and no arguments"},
		{"no secret", "", "api_key a", "api_key NAME SECRET"},
		{"a short secret", "", "api_key a hunter2", "openssl rand -hex 32"},
		{"a secret with a blank", "", `api_key a "secret 0123456789abcdef"`, "visible ASCII"},
		{"a secret that is not set", "", "api_key a {env.AWS_TEST_NOT_SET}", "api_key a: secrets[0]: {env.AWS_TEST_NOT_SET} is empty"},
		{"a short secret in a file", "", "api_key a " + file("hunter2", "hunter2"), "openssl rand -hex 32"},
		{"a name", "", "api_key a/b secret-0123456789abcdef", "can't be the name of a key"},
		{"a name twice", "", key + "\n" + key, `there are two keys "a"`},
		{"a secret twice", "", key + "\n" + strings.Replace(key, " a ", " b ", 1), "api_key a and api_key b have the same secret: give each its own"},
		{"a secret twice in one key", "", key + " secret-0123456789abcdef", "api_key a has the same secret twice"},
		{"a scope", "", key + " {\nscopes connections:read admin\n}", "there is no scope \"admin\": write any of connect_sessions:write, connections:list"},
		{"no scopes", "", key + " {\nscopes\n}", "scopes needs at least one value: any of connect_sessions:write, connections:list"},
		{"an integration that is not there", "", key + " {\nintegrations other\n}", `api_key a: there is no integration "other": define it in the global option aws_sigv4 (defined: acme-s3)`},
		{"an option of a key", "", key + " {\nroles x\n}", `unknown option "roles": write one of scopes, integrations`},
		{"a public key that is none", "", key + "\npublic_key mine {\nhmac_key secret-0123456789abcdef\n}", "write a UUID"},
		{"a public key that anybody could use", "", key + "\npublic_key 6b1d9a2e-3c4f-4a5b-8c6d-7e8f90a1b2c3", "has no hmac_key"},
		{"a short HMAC key", "", key + "\npublic_key 6b1d9a2e-3c4f-4a5b-8c6d-7e8f90a1b2c3 {\nhmac_key hunter2\n}", "openssl rand -hex 32"},
		{"a public key twice", "", key + strings.Repeat("\npublic_key 6b1d9a2e-3c4f-4a5b-8c6d-7e8f90a1b2c3 {\nhmac_key secret-0123456789abcdef\n}", 2), "there are two public keys"},
		{"a public key for nothing", "", key + "\npublic_key 6b1d9a2e-3c4f-4a5b-8c6d-7e8f90a1b2c3 {\nhmac_key secret-0123456789abcdef\nintegrations other\n}", `there is no integration "other"`},
		{"all origins", "", key + "\nallow_origins *", "is no origin"},
		{"an origin without HTTPS", "", key + "\nallow_origins http://app.example", "is not https"},
		{"a return URL", "", key + "\nreturn_urls http://app.example/", "it is not https, which only localhost, 127.0.0.1 and [::1] may do without"},
		{"a return URL with a query", "", key + "\nreturn_urls https://app.example/?x", "it has a query"},
		{"an ancestor", "", key + "\nframe_ancestors *", "is no origin"},
		{"an ancestor with a path", "", key + "\nframe_ancestors https://app.example/x", "is no origin"},
		{"a base URL", "", key + "\nbase_url connect.example.com", "base_url"},
		{"two base URLs", "", key + "\nbase_url https://a.example\nbase_url https://a.example", "base_url is given twice"},
		{"an unknown option of the handler", "", key + "\ncors *", `unknown option "cors": write one of api_key, public_key`},
		{"a semicolon", "", key + " ; base_url https://a.example", "write each option on a line of its own"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			global := tt.global
			if global == "" {
				global = "connections {\nkey " + good + "\n}\nintegration acme-s3"
			}
			block := " {\n" + tt.handler + "\n}"
			if tt.handler == "\n" {
				block = " x"
			}
			err := validate(t, "{\naws_sigv4 {\n"+global+"\n}\n}\nhttp://site.example {\naws_connect"+block+"\n}\n")
			wantError(t, err, tt.want)
			if err != nil && (strings.Contains(err.Error(), "hunter2\"") || strings.Contains(err.Error(), "secret-0123456789") || strings.Contains(err.Error(), "correct")) {
				t.Errorf("a secret is in %v", err)
			}
		})
	}
}

// TestBadConnectJSON: who writes JSON gets the same checks, with the field's path.
func TestBadConnectJSON(t *testing.T) {
	app := func(fields string) string { return `{"apps": {"aws_sigv4": {` + fields + `}}}` }
	in := func(fields string) string {
		return app(`"connections": {"key": "` + goodSealKey + `"}, "integrations": {"acme": {` + fields + `}}`)
	}
	handler := func(fields string) string {
		return fmt.Sprintf(`{"apps": {"aws_sigv4": {"connections": {"key": %q}}, "http": {"servers": {"s": {"listen": ["127.0.0.1:0"], "routes": [{"handle": [{"handler": "aws_connect", %s}]}]}}}}}`, goodSealKey, fields)
	}
	for _, tt := range []struct{ name, config, path, want string }{
		{"no key", app(`"integrations": {"acme": {}}`), "connections.key: ", "openssl rand -base64 32"},
		{"an empty key", app(`"connections": {}`), "connections.key: ", "openssl rand -base64 32"},
		{"a key's name", app(`"connections": {"key": "` + goodSealKey + `"}, "integrations": {"a/b": {}}`), "integrations.a/b: ", "is no key of an integration"},
		{"null", app(`"connections": {"key": "` + goodSealKey + `"}, "integrations": {"acme": null}`), "integrations.acme: ", "write an object"},
		{"session_life", app(`"connections": {"key": "` + goodSealKey + `", "session_life": "9h"}`), "connections: session_life: ", "write 1m to 8h"},
		{"unknown field", in(`"color": "blue"`), `unknown field "color"`, ""},
		{"unknown field of a template", in(`"templates": [{"id": "t", "path": "x"}]`), `unknown field "path"`, ""},
		{"region", in(`"region": "nowhere"`), "integrations.acme: ", "is not the name of an AWS region"},
		{"policy", in(`"policy": "[]"`), "integrations.acme: policy: ", "write a JSON policy document"},
		{"two brokers", in(`"sts": {"credentials_name": "x", "credentials": {"source": "env"}}`), "integrations.acme: sts: credentials_name: ", "write one of the two"},
		{"a broker that is not there", in(`"sts": {"credentials_name": "x"}`), "integrations.acme: sts: credentials_name: ", "define them"},
		{"no source", in(`"sts": {"credentials": {}}`), "integrations.acme: sts: credentials: ", ""},
		{"endpoint", in(`"sts": {"endpoint": "http://sts.example"}`), "integrations.acme: sts: endpoint: ", "write https://"},
		{"STS's region", in(`"sts": {"region": "nowhere"}`), "integrations.acme: sts: region: ", "is not the name"},
		{"a helper and a broker", in(`"sts": {"credentials_name": "x", "helper": {"url": "https://h.example/"}}`), "integrations.acme: sts: helper: ", "write one of the two"},
		{"a helper without a principal", in(`"sts": {"helper": {"url": "https://h.example/", "probe": true}}`), "integrations.acme: sts: helper: ", "write its ARN as principal"},
		{"a helper that proves nothing", in(`"sts": {"helper": {"url": "https://h.example/", "principal": "123456789012"}}`), "integrations.acme: sts: helper: ", "external_id_probe warn"},
		{"a helper without a URL", in(`"sts": {"helper": {"principal": "123456789012", "probe": true}}`), "integrations.acme: sts: helper: url: ", "it is missing"},
		{"a helper and a duration", in(`"duration": "30m", "sts": {"helper": {"url": "https://h.example/", "principal": "123456789012", "probe": true}}`), "integrations.acme: sts: helper: ", "the helper's business"},
		{"a template without External ID", in(`"templates": [{"id": "t", "file": "/does/not/exist"}]`), "integrations: ", "/does/not/exist"},
		{"a scope", handler(`"keys": [{"name": "a", "secrets": ["secret-0123456789abcdef"], "scopes": ["x"]}]`), "", "there is no scope"},
		{"an integration of a key", handler(`"keys": [{"name": "a", "secrets": ["secret-0123456789abcdef"], "integrations": ["x"]}]`), "", "there is no integration x"},
		{"return_urls", handler(`"return_urls": ["ftp://x"]`), "return_urls: ", "it is not https"},
		{"return_urls of a request", handler(`"return_urls": ["https://{http.request.host}/"]`), "return_urls[0]: ", "needs a request"},
		{"frame_ancestors", handler(`"frame_ancestors": ["*"]`), "frame_ancestors: ", "is no origin"},
		{"base_url", handler(`"base_url": "x"`), "base_url ", "write one like"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := validateJSON(t, []byte(tt.config))
			wantError(t, err, tt.path)
			wantError(t, err, tt.want)
			if err != nil && strings.Contains(err.Error(), goodSealKey) {
				t.Errorf("the seal key is in %v", err)
			}
		})
	}
}
