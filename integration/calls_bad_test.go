package integration_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// TestBadCalls are mistakes in the block of aws_sigv4 connection, one for each row, with what to write and the
// line. The options begin on line 13.
func TestBadCalls(t *testing.T) {
	t.Setenv("TEST_SEAL_KEY", goodSealKey)
	const key = "api_key a topsecret-0123456789abcdef"
	global := "{\naws_sigv4 {\nconnections {\nkey {env.TEST_SEAL_KEY}\n}\nintegration acme-s3 {\nservice s3\n}\n}\n}\nhttp://site.example {\n"
	for _, tt := range []struct {
		options string
		line    int
		want    string
	}{
		{"id {header.connection-id}", 13, "so whoever comes could choose a customer: write `api_key NAME SECRET`, or `authenticated_by_caddy`"},
		{"id {http.auth.user.connection}", 13, "authenticated_by_caddy"},
		{"integration acme-s3\n" + key, 12, "whose connection? Write `id {header.connection-id}`"},
		{"", 12, "whose connection?"},
		{"connection {header.connection-id}", 13, "write `id` in place of `connection`"},
		{"id", 13, "id has no value"},
		{"id a b\n" + key, 13, "id has 2 values, and takes 1"},
		{"id {header.a}\nid {header.b}\n" + key, 14, "id is given twice"},
		{"id {header.a}\n" + key + "\nintegration a/b", 15, "is no key of an integration"},
		{"id {header.a}\n" + key + "\nintegration other", 15, `there is no integration "other": define it in the global option aws_sigv4 (defined: acme-s3)`},
		{"id 1b2c\nintegration {header.a}", 14, "the connection is fixed, and its integration with it"},
		{"id {header.a}\napi_key a", 14, "api_key has a name and a secret"},
		{"id {header.a}\napi_key a topsecret", 14, "openssl rand -hex 32"},
		{"id {header.a}\n" + key + "\n" + key, 15, `there are two keys "a"`},
		{"id {header.a}\n" + key + " {\nscopes admin\n}", 15, "there is no scope \"admin\""},
		{"id {header.a}\n" + key + " {\nintegrations other\n}", 14, `api_key a: there is no integration "other"`},
		{"id {header.a}\n" + key + "\nstrip_prefix proxy", 15, "is no prefix of a path: begin it with a slash"},
		{"id {header.a}\n" + key + "\nstrip_prefix /proxy/", 15, "is no prefix of a path"},
		{"id {header.a}\n" + key + "\nstrip_prefix {path}", 15, "is no prefix of a path"},
		{"id {header.a}\nauthenticated_by_caddy yes", 14, "authenticated_by_caddy takes no value"},
		{"id {header.a}\n" + key + "\ninsecure\nallow_hosts *.example.com", 0, "only hosts that are in allow_hosts in full are called without TLS"},
		{"id {header.a}\n" + key + "\nservice s3", 15, "service: the connection says it"},
		{"id {header.a}\n" + key + "\nregion eu-west-1", 15, "region: the connection says it"},
		{"id {header.a}\n" + key + "\nhost x.example", 15, "host: the connection says it"},
		{"id {header.a}\n" + key + "\ncredentials env", 15, "credentials: the connection says it"},
		{"id {header.a}\n" + key + "\nupstream x.example {\n}", 15, "upstream: the connection says where to"},
		{"id {header.a}\n" + key + "\nto x.example", 15, "to: the connection says where to"},
		{"id {header.a}\n" + key + "\ndynamic srv x", 15, "dynamic: the connection says where to"},
		{"id {header.a}\n" + key + "\ntransport fastcgi", 15, "the short form always sends through transport aws_sigv4"},
		{"id {header.a}\n" + key + "\ncolor blue", 15, "aws_sigv4 connection has transport aws_sigv4"},
		{"id {header.a} ; " + key, 13, "write each option on a line of its own"},
	} {
		t.Run(strings.ReplaceAll(tt.options[:min(len(tt.options), 80)], "\n", " "), func(t *testing.T) {
			err := validate(t, global+"aws_sigv4 connection {\n"+tt.options+"\n}\n}\n")
			wantError(t, err, tt.want)
			if at := fmt.Sprintf("Caddyfile:%d", tt.line); err != nil && tt.line > 0 && !strings.Contains(err.Error(), at) {
				t.Errorf("%v; want %q in it", err, at)
			}
			if err != nil && strings.Contains(err.Error(), "topsecret") {
				t.Errorf("a secret is in %v", err)
			}
		})
	}
	for directive, want := range map[string]string{
		"aws_sigv4 connection https://x.example":                                                           "aws_sigv4 connection has no upstreams",
		"aws_sigv4 https://s3.eu-west-1.amazonaws.com {\nconnection {header.a}\n}":                         "connection: the upstreams are given here",
		"aws_sigv4 {\nintegration acme-s3\n}":                                                              "integration: there is no connection that it is about: write `connection ID`",
		"aws_sigv4 {\nservice s3\nregion eu-west-1\n" + key + "\n}":                                        "api_key: there is no connection",
		"aws_sigv4 {\nauthenticated_by_caddy\n}":                                                           "authenticated_by_caddy: there is no connection",
		"aws_sigv4 {\ninsecure\n}":                                                                         "insecure: there is no connection",
		"aws_sigv4 {\nconnection {header.a}\n}":                                                            "so whoever comes could choose a customer",
		"aws_sigv4 {\nconnection {header.a}\n" + key + "\nhost x.example\nservice s3\nregion eu-west-1\n}": "host: the connection says it",
		"aws_sigv4 {\nconnection {header.a}\n" + key + "\ncredentials env\n}":                              "credentials: the connection says it",
		"reverse_proxy {\ntransport aws_sigv4 {\nconnection x\n}\n}":                                       "connection",
	} {
		t.Run(strings.ReplaceAll(directive, "\n", " "), func(t *testing.T) {
			err := validate(t, global+directive+"\n}\n")
			wantError(t, err, want)
			if err != nil && !strings.Contains(err.Error(), "Caddyfile:1") {
				t.Errorf("%v; want the line in it", err)
			}
		})
	}
	wantError(t, validate(t, "http://site.example {\naws_sigv4 connection {\nid {header.a}\n"+key+"\n}\n}\n"), "there are no connections: define `connections` and an `integration`")
	if err := validate(t, global+"aws_sigv4 connection {\nid 1b2c\n}\n}\n"); err != nil {
		t.Errorf("a fixed connection needs no key: %v", err)
	}
	if err := validate(t, global+"aws_sigv4 connection {\nid {header.a}\nauthenticated_by_caddy\nlb_try_duration 2s\ntransport aws_sigv4 {\ndial_timeout 3s\n}\n}\n}\n"); err != nil {
		t.Error(err)
	}
}

// TestBadCallOptionsOfIntegrations: what is wrong with what an integration says of calls, with its line.
func TestBadCallOptionsOfIntegrations(t *testing.T) {
	t.Setenv("TEST_SEAL_KEY", goodSealKey)
	for option, want := range map[string]string{
		"base_url http://s3.example":            "base_url:",
		"base_url https://s3.example?x":         "without a query",
		"base_url https://user:topsecret@x.com": "a URL that names a user",
		"base_url":                              "base_url has no value",
		"allow_services S3":                     "write `s3`",
		"allow_services":                        "allow_services has no value",
		"allow_regions nowhere":                 "is not the name of an AWS region",
		"allow_hosts https://x.example":         "is no host",
		"allow_methods get":                     "is no HTTP method",
		"allow_paths bucket":                    "begin it with a slash",
		"allow_paths /a/*/b":                    "a * is good at the end only",
		"allow_paths /a/../b":                   "has a segment . or ..",
		"rate_limit 5":                          "rate_limit has 1 of 2 values",
		"rate_limit five 1m":                    "as in `rate_limit 100 1m`",
		"rate_limit 5 soon":                     "as in `rate_limit 100 1m`",
		"rate_limit 0 1m":                       "write at least 1",
		"rate_limit 5 1ms":                      "write 1s to 24h",
		"rate_limit 5 48h":                      "write 1s to 24h",
	} {
		err := validate(t, "{\naws_sigv4 {\nconnections {\nkey {env.TEST_SEAL_KEY}\n}\nintegration acme-s3 {\nservice s3\n"+option+"\n}\n}\n}\n")
		wantError(t, err, want)
		if err != nil && !strings.HasSuffix(err.Error(), ", at Caddyfile:8") {
			t.Errorf("%v; want the line at its end", err)
		}
		if err != nil && strings.Contains(err.Error(), "topsecret") {
			t.Errorf("a secret is in %v", err)
		}
	}
}

// TestBadCallsJSON: who writes JSON gets the same checks, with the field's path.
func TestBadCallsJSON(t *testing.T) {
	handler := func(fields string) string {
		return fmt.Sprintf(`{"apps": {"aws_sigv4": {"connections": {"key": %q}, "integrations": {"acme": {"service": "s3"}}}, "http": {"servers": {"s": {"listen": ["127.0.0.1:0"], "routes": [{"handle": [{"handler": "aws_sigv4", %s}]}]}}}}}`, goodSealKey, fields)
	}
	const key = `"keys": [{"name": "a", "secrets": ["topsecret-0123456789abcdef"]}]`
	for _, tt := range []struct{ fields, path, want string }{
		{`"connection": "{http.request.header.a}"`, "connection: ", "whoever comes could choose a customer"},
		{`"connection": "{http.request.header.a}", "keys": []`, "connection: ", "whoever comes could choose a customer"},
		{`"connection": "{http.vars.a}"`, "connection: ", "whoever comes could choose a customer"},
		{`"integration": "acme"`, "integration: ", "there is no connection"},
		{key, "keys: ", "there is no connection"},
		{`"authenticated_by_caddy": true`, "authenticated_by_caddy: ", "there is no connection"},
		{`"connection": "x", "service": "s3"`, "service: ", "the connection says it"},
		{`"connection": "x", "credentials": {"source": "env"}`, "credentials: ", "the connection says it"},
		{`"connection": "x", "for_upstreams": ["https://x.example"]`, "for_upstreams: ", "the connection says it"},
		{`"connection": "x", "integration": "a/b"`, "integration: ", "is no key of an integration"},
		{`"connection": "{env.AWS_TEST_NOT_SET}"`, "connection: ", "is empty"},
		{`"connection": "x", "insecure": true`, "insecure: ", "there is none"},
		{`"connection": "x", "keys": [{"name": "a", "secrets": ["short"]}]`, "keys: ", "fewer than 16"},
		{`"connection": "x", "keys": [{"name": "a", "secrets": ["topsecret-0123456789abcdef"], "scopes": ["x"]}]`, "keys: ", "there is no scope"},
		{`"connection": "x", "keys": [{"name": "a", "secrets": ["topsecret-0123456789abcdef"], "integrations": ["other"]}]`, "keys[0]: ", `there is no integration "other"`},
		{`"strip_prefix": "proxy"`, "strip_prefix: ", "begin it with a slash"},
	} {
		err := validateJSON(t, []byte(handler(tt.fields)))
		t.Run(tt.fields[:min(len(tt.fields), 80)], func(t *testing.T) {
			wantError(t, err, tt.path)
			wantError(t, err, tt.want)
			if err != nil && strings.Contains(err.Error(), "topsecret") {
				t.Errorf("a secret is in %v", err)
			}
		})
	}
	if err := validateJSON(t, []byte(handler(`"connection": "{http.request.header.a}", "integration": "acme", "strip_prefix": "/proxy", `+key))); err != nil {
		t.Error(err)
	}
	withoutConnections := strings.Replace(handler(`"connection": "x"`), `"connections": {"key": "`+goodSealKey+`"}, "integrations": {"acme": {"service": "s3"}}`, "", 1)
	wantError(t, validateJSON(t, []byte(withoutConnections)), "there are no connections")
}

// TestCallsAdapt: the short form is the handler and a reverse_proxy, as one would write them.
func TestCallsAdapt(t *testing.T) {
	global := "{\naws_sigv4 {\nconnections {\nkey {env.TEST_SEAL_KEY}\n}\nintegration acme-s3 {\nservice s3\n}\n}\n}\nhttp://site.example {\n"
	short, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(global+"route {\naws_sigv4 connection {\nid {header.connection-id}\nintegration {header.provider-config-key}\n"+
		"api_key a {env.K} {\nintegrations acme-s3\n}\nstrip_prefix /proxy\nallow_hosts minio.example:9000\ninsecure\nheader_up X-A b\n}\n}\n}\n"), map[string]any{"filename": "Caddyfile"})
	if err != nil || len(warnings) > 1 {
		t.Fatal(err, warnings)
	}
	long, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(global+"route {\naws_sigv4 {\nconnection {header.connection-id}\nintegration {header.provider-config-key}\n"+
		"api_key a {env.K} {\nintegrations acme-s3\n}\nstrip_prefix /proxy\nallow_hosts minio.example:9000\ninsecure\n}\n"+
		"reverse_proxy {\ndynamic aws_sigv4\nheader_up X-A b\ntransport aws_sigv4 {\ncompression off\ntls\n}\n}\n}\n}\n"), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Replace(string(short), `"defer":true,`, "", 1); got != string(long) {
		t.Errorf("the short form is\n%s\nand written out\n%s", pretty(t, short), pretty(t, long))
	}
}
