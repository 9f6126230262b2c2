package sources

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const role = "arn:aws:iam::123456789012:role/Proxy"

func TestCaddyfile(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"default", `{"source":"default"}`},
		{"default {\n}", `{"source":"default"}`},
		{"env", `{"source":"env"}`},
		{"static AKIA {env.SECRET}", `{"source":"static","access_key_id":"AKIA","secret_access_key":"{env.SECRET}"}`},
		{"static AKIA literal TOKEN+/=", `{"source":"static","access_key_id":"AKIA","secret_access_key":"literal","session_token":"TOKEN+/="}`},
		{
			"static {\n access_key_id {env.ID}\n secret_access_key {file./run/secret}\n session_token {env.TOKEN}\n}",
			`{"source":"static","access_key_id":"{env.ID}","secret_access_key":"{file./run/secret}","session_token":"{env.TOKEN}"}`,
		},
		{"static AKIA {\n secret_access_key {env.SECRET}\n}", `{"source":"static","access_key_id":"AKIA","secret_access_key":"{env.SECRET}"}`},
		{"assume_role " + role, `{"source":"assume_role","role_arn":"` + role + `"}`},
		{
			"assume_role " + role + " {\n from broker\n external_id {env.ACME}\n session_name caddy-{system.hostname}\n duration 2h\n tag team search\n tag owner \"a b\"\n}",
			`{"source":"assume_role","role_arn":"` + role + `","from":"broker","external_id":"{env.ACME}","session_name":"caddy-{system.hostname}","duration":7200000000000,"tags":{"owner":"a b","team":"search"}}`,
		},
		{
			"assume_role arn:aws:iam::123456789012:role/{http.auth.user.id} {\n session_name {http.auth.user.id}\n tag user {http.auth.user.id}\n external_id {http.request.tls.client.subject}\n}",
			`{"source":"assume_role","role_arn":"arn:aws:iam::123456789012:role/{http.auth.user.id}","session_name":"{http.auth.user.id}","tags":{"user":"{http.auth.user.id}"},"external_id":"{http.request.tls.client.subject}"}`,
		},
		{
			"assume_role " + role + " {\n policy `" + `{"Version": "2012-10-17", "Statement": [{"Resource": "arn:aws:s3:::b/{http.auth.user.id}/${aws:username}"}]}` + "`\n policy_arns arn:aws:iam::aws:policy/ReadOnlyAccess arn:aws:iam::123456789012:policy/{env.X}\n" +
				" transitive_tags team\n tag team search\n source_identity {http.auth.user.id}\n sts_region eu-west-1\n fips\n}",
			`{"source":"assume_role","role_arn":"` + role + `","policy":"{\"Version\": \"2012-10-17\", \"Statement\": [{\"Resource\": \"arn:aws:s3:::b/{http.auth.user.id}/${aws:username}\"}]}","policy_arns":["arn:aws:iam::aws:policy/ReadOnlyAccess","arn:aws:iam::123456789012:policy/{env.X}"],` +
				`"tags":{"team":"search"},"transitive_tags":["team"],"source_identity":"{http.auth.user.id}","sts_region":"eu-west-1","fips":true}`,
		},
		{
			"assume_role " + role + " {\n policy_file {env.DIR}/policy.json\n external_id {env.ID}\n mfa_serial arn:aws:iam::123456789012:mfa/proxy\n mfa_secret {file./run/totp}\n sts_endpoint https://sts.eu-west-1.amazonaws.com\n}",
			`{"source":"assume_role","role_arn":"` + role + `","policy_file":"{env.DIR}/policy.json","external_id":"{env.ID}","mfa_serial":"arn:aws:iam::123456789012:mfa/proxy","mfa_secret":"{file./run/totp}","sts_endpoint":"https://sts.eu-west-1.amazonaws.com"}`,
		},
		{
			"assume_role " + role + " {\n policy {env.POLICY}\n mfa_serial GAHT12345678\n mfa_command ykman oath accounts code --single aws\n}",
			`{"source":"assume_role","role_arn":"` + role + `","policy":"{env.POLICY}","mfa_serial":"GAHT12345678","mfa_command":["ykman","oath","accounts","code","--single","aws"]}`,
		},
		{
			"assume_role " + role + " {\n policy <<END\n{\n \"Statement\": []\n}\nEND\n}",
			`{"source":"assume_role","role_arn":"` + role + `","policy":"{\n \"Statement\": []\n}"}`,
		},
		{"assume_role " + role + " {\n duration 90m\n}", `{"source":"assume_role","role_arn":"` + role + `","duration":5400000000000}`},
		{"assume_role " + role + " {\n duration 0.5d\n}", `{"source":"assume_role","role_arn":"` + role + `","duration":43200000000000}`},
	} {
		got, err := adapt(tc.text)
		if err != nil {
			t.Errorf("%s: %v", tc.text, err)
			continue
		}
		var g, w any
		if json.Unmarshal([]byte(got), &g) != nil || json.Unmarshal([]byte(tc.want), &w) != nil || !reflect.DeepEqual(g, w) {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.text, got, tc.want)
		}
	}
}

func TestBadCaddyfile(t *testing.T) {
	const semicolon = "`;` is not a separator in a Caddyfile: put each option on a line of its own, at Testfile:"
	assume := "assume_role " + role
	for _, tc := range []struct{ text, want string }{
		{"profile x", `there is no source of credentials "profile": write one of assume_role, default, env, static, sts_helper, at Testfile:1`},
		{"default x", "default takes no value, and has 1: remove what follows it, at Testfile:1"},
		{"default {\n region x\n}", `there are no options here, and "region" looks like one: remove it, at Testfile:2`},
		{"env ;", semicolon + "1"},
		{"env {\n ;\n}", semicolon + "2"},

		{"static", "static has no access_key_id: write `static ACCESS_KEY_ID {env.SECRET}`, or the option in a block, at Testfile:1"},
		{"static AKIA", "static has no secret_access_key"},
		{"static A B C D", "static has 4 values, and takes 3"},
		{"static A B {\n access_key_id C\n}", "access_key_id is given twice: keep one, at Testfile:2"},
		{"static A B {\n session_token C\n session_token C\n}", "session_token is given twice: keep one, at Testfile:3"},
		{"static A B {\n region x\n}", `unknown option "region": write one of access_key_id, secret_access_key, session_token, at Testfile:2`},
		{"static A B {\n session_token\n}", "session_token has no value: write it on the same line, at Testfile:2"},
		{"static A B {\n session_token C D\n}", "session_token has 2 values, and takes 1: write each without spaces, at Testfile:2"},
		{"static A \"B C\"", "secret_access_key: it holds a blank"},
		{"static A \"B\nC\"", "secret_access_key: it holds a blank"},
		{"static A B ; C", semicolon + "1"},

		{"assume_role", "assume_role has no value: write it on the same line, at Testfile:1"},
		{"assume_role {\n duration 1h\n}", "assume_role has no value"},
		{"assume_role \"\"", `role_arn: "" is not the ARN of a role: it is empty: write one like`},
		{"assume_role Proxy", `role_arn: "Proxy" is not the ARN of a role`},
		{assume + " x", "assume_role has 2 values, and takes 1"},
		{assume + " {\n role_arn x\n}", `unknown option "role_arn": write one of from, external_id, session_name, duration, policy, policy_file, policy_arns, tag, transitive_tags, ` +
			`source_identity, mfa_serial, mfa_secret, mfa_command, sts_region, sts_endpoint, fips, at Testfile:2`},
		{assume + " {\n policy x\n}", "policy: it is not JSON: invalid character 'x' looking for beginning of value at its byte 1"},
		{assume + " {\n policy {}\n}", "policy: it has no Statement"},
		{assume + " {\n policy {\n \"Statement\": []\n }\n}", "a policy is JSON, in which blanks and braces mean something to a Caddyfile too: write it between backticks, or write policy_file PATH, at Testfile:2"},
		{assume + " {\n policy { \"Statement\": [] }\n}", "write it between backticks"},
		{assume + " {\n policy\n}", "write it between backticks"},
		{assume + " {\n policy `{\"Statement\":[{http.auth.user.id}]}`\n}", "policy: it is not JSON"},
		{assume + " {\n policy `{\"Statement\":[],\"Id\":\"{http.request.header.X}\"}`\n}", "policy: {http.request.header.X} is chosen by the client, and a session policy limits only if it is not"},
		{assume + " {\n policy `{\"Statement\":[],\"Id\":\"{http.request.uuid}\"}`\n}", "policy: {http.request.uuid} is different in every request"},
		{assume + " {\n policy `{\"Statement\":[]}`\n policy_file x\n}", "policy: policy_file is given too: write one of the two"},
		{assume + " {\n policy `{\"Statement\":[],\"Id\":\"" + strings.Repeat("x", 2048) + "\"}`\n}", "policy: the session policy and the ARNs of policies have"},
		{assume + " {\n policy_file {http.auth.user.id}\n}", "policy_file: {http.auth.user.id} is filled by a request, which has no say in this"},
		{assume + " {\n policy_arns\n}", "policy_arns has no value"},
		{assume + " {\n policy_arns ReadOnlyAccess\n}", `policy_arns: "ReadOnlyAccess" is not the ARN of a managed policy`},
		{assume + " {\n policy_arns arn:aws:iam::210987654321:policy/Other\n}", "policy_arns: arn:aws:iam::210987654321:policy/Other is not of the role's account"},
		{assume + " {\n policy_arns arn:aws:iam::aws:policy/{http.auth.user.id}\n}", "policy_arns[0]: {http.auth.user.id} is filled by a request"},
		{assume + " {\n tags a b\n}", "write `tag KEY VALUE` for each, at Testfile:2"},
		{assume + " {\n transitive_tags a\n tag b c\n}", `transitive_tags: there is no tag "a"`},
		{assume + " {\n source_identity a/b\n}", `source_identity: source identity "a/b"`},
		{assume + " {\n source_identity {http.request.header.X}\n}", "source_identity: {http.request.header.X} is chosen by the client"},
		{assume + " {\n mfa_serial x\n}", `mfa_serial: "x" is not the serial number`},
		{assume + " {\n mfa_serial GAHT12345678\n}", "mfa_serial: its codes have to come from somewhere: write mfa_secret"},
		{assume + " {\n mfa_serial GAHT12345678\n mfa_code 123456\n}", "mfa_code: a code works once, and credentials have to be renewed without anybody at hand: write mfa_secret {file./PATH} or mfa_command, at Testfile:3"},
		{assume + " {\n mfa_command x\n}", "mfa_serial: it is missing"},
		{assume + " {\n mfa_secret {env.X}\n}", "mfa_serial: it is missing"},
		{assume + " {\n mfa_serial GAHT12345678\n mfa_secret {env.X}\n session_name {http.auth.user.id}\n}", "mfa_serial: a request has a say in this role's sessions"},
		{assume + " {\n tag user {http.auth.user.id}\n mfa_serial GAHT12345678\n mfa_command x\n}", "name these in from"},
		{assume + " {\n mfa_serial GAHT12345678\n mfa_secret {env.X}\n mfa_command x\n}", "mfa_secret: mfa_command is given too"},
		{assume + " {\n mfa_serial GAHT12345678\n mfa_secret {http.auth.user.id}\n}", "mfa_secret: {http.auth.user.id} is filled by a request"},
		{assume + " {\n sts_region nowhere\n}", `sts_region: "nowhere" is not the name of an AWS region`},
		{assume + " {\n sts_region cn-north-1\n}", "sts_region: " + role + " is in the partition aws and can't be assumed in the region cn-north-1"},
		{assume + " {\n sts_region {http.auth.user.id}\n}", "sts_region: {http.auth.user.id} is filled by a request"},
		{assume + " {\n sts_endpoint http://minio:9000\n}", "sts_endpoint: \"http://minio:9000\" is not encrypted"},
		{assume + " {\n sts_endpoint https://{http.request.host}\n}", "sts_endpoint: {http.request.host} is filled by a request"},
		{assume + " {\n sts_endpoint https://sts.eu-west-1.amazonaws.com\n sts_region eu-west-3\n}", "sts_endpoint: https://sts.eu-west-1.amazonaws.com is in the region eu-west-1 and can't be called in eu-west-3"},
		{assume + " {\n sts_endpoint https://minio\n fips\n}", "sts_endpoint: https://minio is called as it is written, and fips chooses another one"},
		{assume + " {\n fips true\n}", "fips takes no value"},
		{assume + " {\n fips\n duration 1h\n fips\n}", "fips is given twice"},
		{assume + " {\n from a\n from a\n}", "from is given twice: keep one, at Testfile:3"},
		{assume + " {\n from {env.X}\n}", `from: "{env.X}" holds a placeholder: write a name, at Testfile:2`},
		{assume + " {\n from \"\"\n}", "from is empty: write a value, or leave the option out, at Testfile:2"},
		{assume + " {\n from a b\n}", "from has 2 values, and takes 1"},
		{assume + " {\n from a {\n b c\n }\n}", "the option before `{` has no block: remove the braces, at Testfile:2"},
		{assume + " {\n from a ; duration 1h\n}", semicolon + "2"},
		{assume + " {\n tag a b ;\n}", semicolon + "2"},
		{assume + " {\n external_id #\n}", "external_id has no value"},
		{assume + " {\n external_id a#b\n}", "external_id: an External ID holds only letters, digits, and _+=,.@:/-: write the one that the role's trust policy names, at Testfile:2"},
		{assume + " {\n external_id {http.request.header.X-Id}\n}", "external_id: {http.request.header.X-Id} is chosen by the client"},
		{assume + " {\n session_name a/b\n}", `session_name: session name "a/b": write only letters, digits, and _+=,.@-, at Testfile:2`},
		{assume + " {\n\n session_name {http.request.uuid}\n}", "session_name: {http.request.uuid} is different in every request, so each would be a call to AWS STS of its own: " +
			"write a placeholder that few values are behind, such as {http.auth.user.id}, or a fixed value, at Testfile:3"},
		{assume + " {\n duration 1\n}", `duration "1": write 15m to 12h, with the unit, at Testfile:2`},
		{assume + " {\n duration 0\n}", `duration "0": write 15m to 12h, with the unit, at Testfile:2`},
		{assume + " {\n duration 1m\n}", "duration: duration 1m0s: write 15m to 12h"},
		{assume + " {\n duration 1d\n}", "duration: duration 24h0m0s: write 15m to 12h"},
		{assume + " {\n duration 1h;\n}", `duration "1h;": write 15m to 12h, with the unit`},
		{assume + " {\n tag a\n}", "tag has 1 of 2 values: write them on the same line, at Testfile:2"},
		{assume + " {\n tag\n}", "tag has 0 of 2 values"},
		{assume + " {\n tag a b c\n}", "tag has 3 values, and takes 2"},
		{assume + " {\n tag a b\n tag a c\n}", "tag a is given twice: keep one, at Testfile:3"},
		{assume + " {\n tag a b\n tag A c\n}", `tags: the tags "A" and "a" have one key for AWS, which ignores case: write one of them, at Testfile:3`},
		{assume + " {\n tag a b&c\n}", `tags: the value of the tag "a", "b&c"`},
		{assume + " {\n tag {env.X} b\n}", `tags: the key of the tag "{env.X}"`},
		{assume + " {\n tag a {time.now.unix}\n}", "tags.a: {time.now.unix} is different in every request"},
		{assume + " {\n tag a {http.request.uuid}x\n}", "tags.a: {http.request.uuid} is different in every request"},
	} {
		got, err := adapt(tc.text)
		if err == nil {
			t.Errorf("%s: accepted as %s", tc.text, got)
			continue
		}
		if !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", tc.text, err, tc.want)
		}
		if !regexp.MustCompile(`, at Testfile:\d+$`).MatchString(err.Error()) {
			t.Errorf("%s: no file and line in %v", tc.text, err)
		}
	}
}

func TestNames(t *testing.T) {
	if want := []string{"assume_role", "default", "env", "static", "sts_helper"}; !slices.Equal(Names(), want) {
		t.Errorf("got %v, want %v", Names(), want)
	}
	for _, n := range Names() {
		if !IsSource(n) {
			t.Errorf("%q is no source", n)
		}
	}
	for _, n := range []string{"", "broker", "credentials", "static.x", ".", "..", "assume_role "} {
		if IsSource(n) {
			t.Errorf("%q is a source", n)
		}
	}
}
