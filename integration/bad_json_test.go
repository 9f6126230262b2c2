package integration_test

import (
	"fmt"
	"testing"
)

// TestBadJSON: who writes JSON gets the same checks, with the field's path.
func TestBadJSON(t *testing.T) {
	handler := `{"apps": {"aws_sigv4": %s, "http": {"servers": {"s": {"listen": ["127.0.0.1:0"], "routes": [{"handle": [%s]}]}}}}}`
	inHandler := func(fields string) string {
		return fmt.Sprintf(handler, `{"credentials": {"good": {"source": "env"}}}`, `{"handler": "aws_sigv4", `+fields+`}`)
	}
	inTransport := func(fields string) string {
		return fmt.Sprintf(handler, `{}`, `{"handler": "reverse_proxy", "upstreams": [{"dial": "b.s3.eu-west-1.amazonaws.com:443"}],
			"transport": {"protocol": "aws_sigv4", "tls": {}, `+fields+`}}`)
	}
	inApp := func(credentials string) string { return fmt.Sprintf(handler, `{"credentials": {`+credentials+`}}`, "") }
	inRole := func(fields string) string {
		return inHandler(`"credentials": {"source": "assume_role", "role_arn": "` + arn("R") + `", ` + fields + `}`)
	}
	inAuth := func(fields string) string {
		return fmt.Sprintf(handler, `{}`, `{"handler": "authentication", "providers": {"aws_sigv4": {`+fields+`}}}`)
	}
	tests := []struct{ name, config, path, want string }{
		{"unknown field", inHandler(`"algorithm": "auto"`), `unknown field "algorithm"`, ""},
		{"unknown field of the transport", inTransport(`"strip_prefix": "/x"`), `unknown field "strip_prefix"`, ""},
		{"unknown field of a role", inRole(`"token_code": "123456"`), `unknown field "token_code"`, ""},
		{"unknown field of the app", fmt.Sprintf(handler, `{"connection": {}}`, ""), `unknown field "connection"`, ""},
		{"unknown source", inHandler(`"credentials": {"source": "imds"}`), "credentials: ", "imds"},
		{"no source", inHandler(`"credentials": {"role_arn": "x"}`), "credentials: ", "source"},

		{"service", inHandler(`"service": "S3"`), "service: ", "write `s3`"},
		{"region", inHandler(`"region": "eu_west"`), "region: ", "write its code"},
		{"host", inHandler(`"host": "https://x"`), "host: ", "write HOST"},
		{"host that can't be inferred", inHandler(`"host": "search.internal"`), "host: ", "write `service NAME` and `region NAME`"},
		{"payload", inTransport(`"payload": "chunked"`), "payload: ", "write auto, signed or unsigned"},
		{"body_limit", inTransport(`"body_limit": -1`), "body_limit: ", "write a size such as 10MiB"},
		{"sign_headers", inHandler(`"sign_headers": ["Authorization"]`), "sign_headers: ", "leave it out"},
		{"allow_services", inHandler(`"allow_services": ["s3", "S4"]`), "allow_services[1]: ", "write `s4`"},
		{"allow_regions", inHandler(`"allow_regions": ["x"]`), "allow_regions[0]: ", "write its code"},
		{"allow_hosts", inHandler(`"allow_hosts": ["https://x"]`), "allow_hosts[0]: ", "write HOST"},
		{"allow_roles", inHandler(`"allow_roles": ["x"]`), "allow_roles[0]: ", "write"},
		{"service of the request", inHandler(`"service": "{http.request.header.S}"`), "service: ", "allow_services"},
		{"unknown credentials", inHandler(`"credentials_name": "nobody"`), "credentials_name: ", "(defined: good"},
		{"two credentials", inHandler(`"credentials_name": "good", "credentials": {"source": "env"}`), "credentials_name: ", "write one of the two"},

		{"role_arn", inHandler(`"credentials": {"source": "assume_role", "role_arn": "x"}`), "role_arn: ", "write one like arn:"},
		{"no role_arn", inHandler(`"credentials": {"source": "assume_role"}`), "role_arn: ", ""},
		{"external_id", inRole(`"external_id": "x"`), "external_id: ", "2 to 1224"},
		{"session_name", inRole(`"session_name": "x y"`), "session_name: ", "write only"},
		{"duration", inRole(`"duration": "13h"`), "duration: ", "write 15m to 12h"},
		{"tags", inRole(`"tags": {"aws:x": "y"}`), "tags: ", "write another"},
		{"policy", inRole(`"policy": "[]"`), "policy: ", "write a JSON policy document"},
		{"policy_file", inRole(`"policy_file": "/nonexistent/policy.json"`), "policy_file: ", "no such file"},
		{"two policies", inRole(`"policy": "{\"Statement\":[]}", "policy_file": "/dev/null"`), "policy", "/dev/null is empty"},
		{"policy_arns", inRole(`"policy_arns": ["x"]`), "policy_arns: ", "write one like arn:aws:iam::aws:policy/"},
		{"policy_arns by request", inRole(`"policy_arns": ["arn:aws:iam::aws:policy/A", "{http.auth.user.id}"]`), "policy_arns[1]: ", "write {env.NAME}"},
		{"transitive_tags", inRole(`"transitive_tags": ["a"]`), "transitive_tags: ", "write the key of a tag"},
		{"source_identity", inRole(`"source_identity": "x"`), "source_identity: ", "write 2 to 64"},
		{"mfa_serial", inRole(`"mfa_serial": "GAHT12345678"`), "mfa_serial: ", "write mfa_secret"},
		{"mfa_secret", inRole(`"mfa_serial": "GAHT12345678", "mfa_secret": "123456"`), "mfa_secret: ", "write the base32 text"},
		{"sts_region", inRole(`"sts_region": "cn-north-1"`), "sts_region: ", "write a region of aws"},
		{"sts_endpoint", inRole(`"sts_endpoint": "http://10.0.0.1"`), "sts_endpoint: ", "write https://"},
		{"fips", inRole(`"sts_endpoint": "https://minio", "fips": true`), "sts_endpoint: ", "only fips"},
		{"from", inRole(`"from": "nobody"`), "from: ", "define them"},
		{"per request", inRole(`"session_name": "{http.request.uuid}"`), "session_name: ", "different in every request"},
		{"per request, tag", inRole(`"tags": {"a": "{time.now}"}`), "tags.a: ", "different in every request"},
		{"static without a secret", inHandler(`"credentials": {"source": "static", "access_key_id": "A"}`), "static", "secret_access_key"},

		{"upstream match", inTransport(`"upstreams": [{"match": "https://x"}]`), "upstreams[0].match: ", "write HOST"},
		{"upstream twice", inTransport(`"upstreams": [{"match": "x.example"}, {"match": "X.example"}]`), "upstreams[1].match: ", "twice"},
		{"upstream service", inTransport(`"upstreams": [{"match": "x.example", "service": "S3"}]`), "upstreams[0]: service: ", "write `s3`"},
		{"upstream_only", inTransport(`"upstream_only": true`), "upstream_only: ", "add an `upstream` block"},
		{"for_upstreams", inHandler(`"for_upstreams": ["ftp://x"]`), "for_upstreams[0]: ", "write https://HOST"},
		{"dial", fmt.Sprintf(handler, `{}`, `{"handler": "reverse_proxy", "upstreams": [{"dial": "a.internal:80"}, {"dial": "b:80"}], "transport": {"protocol": "aws_sigv4"}}`), "upstreams[0].dial: ", "write `service NAME`"},

		{"a source's name", inApp(`"env": {"source": "env"}`), "credentials: ", "choose another name"},
		{"a bad name", inApp(`"a b": {"source": "env"}`), "credentials: ", "can't be a name"},
		{"a circle", inApp(`"a": {"source": "assume_role", "role_arn": "` + arn("A") + `", "from": "b"}, "b": {"source": "assume_role", "role_arn": "` + arn("B") + `", "from": "a"}`), "credentials.a: ", "a from b from a"},
		{"from nobody", inApp(`"a": {"source": "assume_role", "role_arn": "` + arn("A") + `", "from": "nobody"}`), "credentials.a: ", "nobody"},

		{"no keys", inAuth(`"keys": []`), "keys: ", "write `key ID SECRET`"},
		{"key id", inAuth(`"keys": [{"id": "A/B", "secret": "x"}]`), "keys[0].id: ", "write"},
		{"key twice", inAuth(`"keys": [{"id": "A", "secret": "x"}, {"id": "A", "secret": "y"}]`), "keys[1].id: ", "twice"},
		{"no secret", inAuth(`"keys": [{"id": "A"}]`), "keys[0].secret: ", "empty secret"},
		{"negative limit", inAuth(`"keys": [{"id": "A", "secret": "x"}], "body_limit": -1`), "body_limit: ", "write a size"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := validateJSON(t, []byte(tt.config))
			wantError(t, err, tt.path)
			wantError(t, err, tt.want)
		})
	}
	for name, good := range map[string]string{
		"handler": inHandler(`"service": "s3"`), "transport": inTransport(`"payload": "auto"`), "app": inApp(`"a": {"source": "env"}`),
		"role": inRole(`"duration": "1h"`), "auth": inAuth(`"keys": [{"id": "A", "secret": "x"}]`),
	} {
		if err := validateJSON(t, []byte(good)); err != nil {
			t.Errorf("%s without a mistake: %v", name, err)
		}
	}
}
