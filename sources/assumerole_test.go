package sources

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

func TestBadAssumeRole(t *testing.T) {
	t.Setenv("TEST_ROLE", "Proxy")
	t.Setenv("TEST_ID", "a#b")
	for fields, want := range map[string]string{
		``:                                        `role_arn: "" is not the ARN of a role: it is empty`,
		`"role_arn":"{env.TEST_ROLE}"`:            `role_arn: "Proxy" is not the ARN of a role`,
		`"role_arn":"{env.TEST_UNSET}"`:           "role_arn: {env.TEST_UNSET} is empty: set the environment variable TEST_UNSET",
		`"role_arn":"{http.request.uuid}"`:        "role_arn: {http.request.uuid} is different in every request",
		`"external_id":"{env.TEST_ID}"`:           "external_id: an External ID holds only",
		`"external_id":"x"`:                       "external_id: an External ID has 2 to 1224 characters",
		`"external_id":"{http.request.header.X}"`: "external_id: {http.request.header.X} is chosen by the client",
		`"session_name":"{env.TEST_ID}"`:          `session_name: session name "a#b"`,
		`"session_name":"{env.TEST_ID}","external_id":"{http.auth.user.id}"`: `session_name: session name "a#b"`, // Known, though another is not.
		`"session_name":"{time.now.unix}"`:                                   "session_name: {time.now.unix} is different in every request",
		`"duration":"1m"`:                                                    "duration: duration 1m0s: write 15m to 12h",
		`"duration":"1h1ms"`:                                                 "duration: duration 1h0m0.001s: write whole seconds",
		`"duration":"-1h"`:                                                   "duration: duration -1h0m0s",
		`"tags":{"a":"{env.TEST_ID}"}`:                                       `tags: the value of the tag "a"`,
		`"tags":{"a":"{env.TEST_UNSET}"}`:                                    "tags.a: {env.TEST_UNSET} is empty",
		`"tags":{"a":"b","A":"c"}`:                                           `tags: the tags "A" and "a" have one key`,
		`"tags":{"a":"{uuid}"}`:                                              "tags.a: {uuid} is a short form",
		`"tags":{"":"b"}`:                                                    "tags: a tag has no key",
		`"from":"{http.request.host}"`:                                       "from: ",
		`"policy":"{}"`:                                                      "policy: it has no Statement",
		`"policy":"{env.TEST_UNSET}"`:                                        "policy: {env.TEST_UNSET} is empty",
		`"policy":"{env.TEST_ROLE}"`:                                         "policy: it is not JSON",
		`"policy_file":"/nonexistent/x"`:                                     "policy_file: open /nonexistent/x: no such file",
		`"policy_file":"/dev/null"`:                                          "policy_file: /dev/null is empty",
		`"policy_arns":["x"]`:                                                "policy_arns: ",
		`"transitive_tags":["a"]`:                                            `transitive_tags: there is no tag "a"`,
		`"source_identity":"{env.TEST_ID}"`:                                  `source_identity: source identity "a#b"`,
		`"mfa_serial":"{env.TEST_ID}","mfa_secret":"GEZDGNBVGY3TQOJQ"`:       `mfa_serial: "a#b" is not`,
		`"mfa_serial":"GAHT12345678","mfa_secret":"123456"`:                  "mfa_secret: it is not the secret of a virtual MFA device: write the base32 text",
		`"mfa_serial":"GAHT12345678","mfa_secret":"{env.TEST_UNSET}"`:        "mfa_secret: {env.TEST_UNSET} is empty",
		`"mfa_serial":"GAHT12345678","mfa_command":["x","{env.TEST_UNSET}"]`: "mfa_command[1]: {env.TEST_UNSET} is empty",
		`"mfa_serial":"GAHT12345678"`:                                        "mfa_serial: its codes have to come from somewhere",
		`"sts_region":"{env.TEST_ROLE}"`:                                     `sts_region: "Proxy" is not the name`,
		`"sts_endpoint":"{env.TEST_ROLE}"`:                                   `sts_endpoint: "Proxy" is no URL`,
		`"sts_endpoint":"{http.request.host}"`:                               "sts_endpoint: {http.request.host} is filled by a request",
		`"token_code":"123456"`:                                              `unknown field "token_code"`,
	} {
		config := `{"source":"assume_role",` + fields
		if !strings.Contains(fields, "role_arn") && fields != "" {
			config += `,"role_arn":"` + role + `"`
		}
		config = strings.TrimSuffix(config, ",") + "}"
		if _, err := load(t, config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\ngot  %v\nwant %s", config, err, want)
		}
	}
}

func TestBrokersThatCannotBe(t *testing.T) {
	hub := mustResolve(t, `{"source":"assume_role","role_arn":"arn:aws:iam::123456789012:role/Hub"}`, nil)
	china := mustResolve(t, `{"source":"assume_role","role_arn":"arn:aws-cn:iam::123456789012:role/Hub"}`, nil)
	named := resolver{"hub": hub, "china": china}
	for config, want := range map[string]string{
		`{"source":"assume_role","role_arn":"` + role + `","from":"hub","mfa_serial":"GAHT12345678","mfa_command":["x"]}`: "mfa_serial: only an IAM user has an MFA device, and hub is a role",
		`{"source":"assume_role","role_arn":"` + role + `","from":"nobody"}`:                                              "from: there are no credentials named \"nobody\"",
		`{"source":"assume_role","role_arn":"` + role + `","from":"hub","duration":"2h"}`:                                 "duration: duration 2h0m0s: AWS limits a role that is assumed with another role's credentials to 1h",
		`{"source":"assume_role","role_arn":"` + role + `","from":"china"}`:                                               "role_arn: " + role + " is in the partition aws and can't be assumed by arn:aws-cn:iam::123456789012:role/Hub in aws-cn",
		`{"source":"assume_role","role_arn":"` + role + `","from":"hub","duration":"1h"}`:                                 "",
		`{"source":"assume_role","role_arn":"` + role + `","duration":"12h"}`:                                             "",
	} {
		a := mustLoad(t, config).(*AssumeRole)
		if _, err := a.Identity(nil); err == nil {
			t.Errorf("%s: an identity without a broker", config)
		}
		named["default"] = new(Default)
		err := a.SetResolver(named)
		if err == nil {
			_, err = a.Identity(nil)
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\ngot  %v\nwant %s", config, err, want)
		}
	}
}

func TestIdentityOfAssumeRole(t *testing.T) {
	hub := mustResolve(t, `{"source":"assume_role","role_arn":"arn:aws:iam::123456789012:role/Hub"}`, nil)
	source := mustResolve(t, `{"source":"assume_role","role_arn":"`+role+`","from":"hub"}`, resolver{"hub": hub})
	id := mustIdentity(t, source, nil)
	if want := "assume_role " + role + " (from hub)"; id.Label != want || id.RoleARN != role {
		t.Errorf("got %q of %s, want %q", id.Label, id.RoleARN, want)
	}
	if got, want := id.Roles(), []string{role, "arn:aws:iam::123456789012:role/Hub"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got roles %v, want %v", got, want)
	}
	if id.From.From.Key != defaultIdentity.Key || source.PerRequest() {
		t.Error("the chain does not end in default")
	}
	again := mustIdentity(t, source, request(t, nil))
	if again.Key != id.Key || again.From != id.From {
		t.Error("an identity that needs no request is made anew")
	}
	if c := source.(credentials.Chained); c.FromName() != "hub" || hub.(credentials.Chained).FromName() != "default" {
		t.Error("wrong names of brokers")
	}
	for _, f := range source.(credentials.Fields).IdentityFields() {
		if f.Name == "role_arn" && f.Value != role {
			t.Errorf("the field %s is %q", f.Name, f.Value)
		}
	}
}

// TestEveryFieldChangesTheKey also makes sure that no two configurations share one.
func TestEveryFieldChangesTheKey(t *testing.T) {
	t.Setenv("TEST_A", "aaaa")
	other := mustResolve(t, `{"source":"static","access_key_id":"A","secret_access_key":"B"}`, nil)
	keys := map[string]string{}
	for _, fields := range []string{
		``,
		`"role_arn":"arn:aws:iam::123456789012:role/Other"`,
		`"role_arn":"arn:aws:iam::123456789012:role/p/Proxy"`,
		`"from":"env"`,
		`"from":"other"`,
		`"external_id":"aaaa"`,
		`"external_id":"bbbb"`,
		`"session_name":"aaaa"`,
		`"session_name":"bbbb"`,
		`"duration":"2h"`,
		`"tags":{"aaaa":"bbbb"}`,
		`"tags":{"aaaa":"bbbc"}`,
		`"tags":{"aaab":"bbbb"}`,
		`"tags":{"aaaa":"bbbb","c":""}`,
		`"tags":{"aaaa":"","bbbb":"c"}`,
		`"tags":{"aaaabbbb":""}`,
		`"external_id":"aaaa","session_name":"bbbb"`,
		`"external_id":"bbbb","session_name":"aaaa"`,
		`"policy":"{\"Statement\":[]}"`,
		`"policy":"{\"Statement\":{}}"`,
		`"policy_arns":["arn:aws:iam::aws:policy/A"]`,
		`"policy_arns":["arn:aws:iam::aws:policy/A","arn:aws:iam::aws:policy/B"]`,
		`"tags":{"aaaa":"bbbb"},"transitive_tags":["aaaa"]`,
		`"source_identity":"aaaa"`,
		`"mfa_serial":"GAHT12345678","mfa_secret":"GEZDGNBVGY3TQOJQ"`,
		`"mfa_serial":"GAHT12345679","mfa_secret":"GEZDGNBVGY3TQOJQ"`,
		`"mfa_serial":"GAHT12345678","mfa_secret":"GEZDGNBVGY3TQOJR"`,
		`"mfa_serial":"GAHT12345678","mfa_command":["a"]`,
		`"mfa_serial":"GAHT12345678","mfa_command":["a","b"]`,
		`"mfa_serial":"GAHT12345678","mfa_command":["ab"]`,
		`"sts_region":"eu-west-1"`,
		`"sts_endpoint":"https://sts.eu-west-1.amazonaws.com"`,
		`"sts_endpoint":"https://sts.eu-west-1.amazonaws.com","sts_region":"eu-west-1"`,
		`"fips":true`,
	} {
		config := `{"source":"assume_role"`
		if !strings.Contains(fields, "role_arn") {
			config += `,"role_arn":"` + role + `"`
		}
		config = strings.TrimSuffix(config+","+fields, ",") + "}"
		id := mustIdentity(t, mustResolve(t, config, resolver{"other": other}), nil)
		if clash, ok := keys[id.Key]; ok {
			t.Errorf("%s and %s have one key", config, clash)
		}
		keys[id.Key] = config
	}
	for _, config := range []string{
		`{"source":"default"}`, `{"source":"env"}`,
		`{"source":"static","access_key_id":"A","secret_access_key":"B"}`, `{"source":"static","access_key_id":"A","secret_access_key":"C"}`,
		`{"source":"static","access_key_id":"B","secret_access_key":"B"}`, `{"source":"static","access_key_id":"A","secret_access_key":"B","session_token":"C"}`,
		`{"source":"static","access_key_id":"A","secret_access_key":"BC"}`,
	} {
		id := mustIdentity(t, mustLoad(t, config), nil)
		if clash, ok := keys[id.Key]; ok {
			t.Errorf("%s and %s have one key", config, clash)
		}
		keys[id.Key] = config
	}

	// What is only written otherwise is the same identity.
	for _, fields := range []string{
		`"external_id":"{env.TEST_A}"`, `"session_name":"{env.TEST_A}"`, `"duration":"1h"`, `"from":"default"`, `"tags":{}`,
		"\"policy\":\" { \\\"Statement\\\" : [ ] } \"", `"policy_arns":[]`, `"fips":false`,
		`"mfa_serial":"GAHT12345678","mfa_secret":" gezd gnbv gy3t qojq ======"`,
	} {
		config := `{"source":"assume_role","role_arn":"` + role + `",` + fields + `}`
		if id := mustIdentity(t, mustResolve(t, config, nil), nil); keys[id.Key] == "" {
			t.Errorf("%s has a key of its own", config)
		}
	}
}

func TestNoSecretInKeyOrLabel(t *testing.T) {
	static := mustResolve(t, `{"source":"static","access_key_id":"AKIA","secret_access_key":"topsecret","session_token":"toptoken"}`, nil)
	id := mustIdentity(t, mustResolve(t, `{"source":"assume_role","role_arn":"`+role+`","from":"static","external_id":"topsecret"}`, resolver{"static": static}), nil)
	for i := &id; i != nil; i = i.From {
		if text := i.Key + i.Label + i.RoleARN; strings.Contains(text, "top") {
			t.Errorf("a secret in %q", text)
		}
		if len(i.Key) != 64 {
			t.Errorf("the key %q is no hash", i.Key)
		}
	}
	// A secret is sealed before it is hashed: nobody can try guesses on a key.
	for _, secret := range []string{"topsecret", credentials.Sealed("topsecret")} {
		for _, token := range []string{"toptoken", credentials.Sealed("toptoken")} {
			isSealed := secret != "topsecret" && token != "toptoken"
			if (id.From.Key == credentials.NewKey("static", "AKIA", secret, token)) != isSealed {
				t.Error("the key of static holds its secret or token as it is, or something else")
			}
		}
	}
}

func hostname(t *testing.T) string {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return host
}

func TestDefaultSessionName(t *testing.T) {
	a := mustLoad(t, `{"source":"assume_role","role_arn":"`+role+`"}`).(*AssumeRole)
	in, err := a.values.resolve(nil)
	if want := sts.SessionName("caddy-" + hostname(t)); err != nil || in.SessionName != want || sts.CheckSessionName(in.SessionName) != nil {
		t.Errorf("got %q, %v, want %q", in.SessionName, err, want)
	}
	if a.SessionName != "" || a.Duration != 0 {
		t.Error("a default was written into the configuration")
	}
}

func TestOnePlaceholderMakesAnIdentityDependOnTheRequest(t *testing.T) {
	for fields, want := range map[string]bool{
		`"role_arn":"` + role + `"`: false,
		`"role_arn":"` + role + `","session_name":"caddy-{system.hostname}","tags":{"a":"b"}`: false,
		`"role_arn":"arn:aws:iam::123456789012:role/{my.value}"`:                              true,
		`"role_arn":"` + role + `","external_id":"{my.value}"`:                                true,
		`"role_arn":"` + role + `","session_name":"{my.value}"`:                               true,
		`"role_arn":"` + role + `","tags":{"a":"b","c":"{my.value}"}`:                         true,
	} {
		source := mustResolve(t, `{"source":"assume_role",`+fields+`}`, nil)
		if source.PerRequest() != want {
			t.Errorf("%s: depends on the request: %v, want %v", fields, source.PerRequest(), want)
		}
		one := mustIdentity(t, source, request(t, map[string]string{"my.value": "one"}))
		two := mustIdentity(t, source, request(t, map[string]string{"my.value": "two"}))
		if (one.Key != two.Key) != want {
			t.Errorf("%s: two requests differ: %v, want %v", fields, one.Key != two.Key, want)
		}
	}
}

func TestPerRequestIdentities(t *testing.T) {
	source := mustResolve(t, `{"source":"assume_role","role_arn":"arn:aws:iam::123456789012:role/{http.auth.user.id}",
		"session_name":"caddy-{http.request.tls.client.subject}","external_id":"{http.vars.tenant}","tags":{"team":"{http.vars.team}","fixed":"x"}}`, nil)
	if !source.PerRequest() {
		t.Fatal("does not depend on the request")
	}
	values := func(changed ...string) map[string]string {
		v := map[string]string{"http.auth.user.id": "alice", "http.request.tls.client.subject": "CN=x", "http.vars.tenant": "tenant-1", "http.vars.team": "search"}
		for i := 0; i < len(changed); i += 2 {
			v[changed[i]] = changed[i+1]
		}
		return v
	}
	id := mustIdentity(t, source, request(t, values()))
	if want := "arn:aws:iam::123456789012:role/alice"; id.RoleARN != want || id.Label != "assume_role "+want+" (from default), session caddy-CN=x" {
		t.Errorf("got %q", id.Label)
	}
	if same := mustIdentity(t, source, request(t, values())); same.Key != id.Key || same.From != id.From {
		t.Error("the same request has another identity")
	}
	seen := map[string]bool{id.Key: true}
	for k := range values() {
		other := mustIdentity(t, source, request(t, values(k, "other")))
		if seen[other.Key] {
			t.Errorf("%s does not change the key", k)
		}
		seen[other.Key] = true
	}

	// What a request fills in is checked like what is configured, and is data.
	for _, tc := range []struct{ placeholder, value, want string }{
		{"http.auth.user.id", "a/b/../c", ""},
		{"http.auth.user.id", "*", "role_arn: "},
		{"http.auth.user.id", "x y", "role_arn: "},
		{"http.auth.user.id", "", "role_arn: evaluated placeholder {http.auth.user.id} is empty"},
		{"http.auth.user.id", "{http.vars.team}", "role_arn: "},
		{"http.auth.user.id", strings.Repeat("x", 65), "role_arn: "},
		{"http.request.tls.client.subject", "CN=x, O=y", "session_name: "},
		{"http.request.tls.client.subject", strings.Repeat("x", 60), "session_name: "},
		{"http.vars.tenant", "x", "external_id: "},
		{"http.vars.tenant", "a\nb", "external_id: "},
		{"http.vars.team", "{env.HOME}", "tags: "},
		{"http.vars.team", strings.Repeat("x", 257), "tags: "},
	} {
		got, err := source.Identity(request(t, values(tc.placeholder, tc.value)))
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s = %q: got %q, %v, want %q", tc.placeholder, tc.value, got.RoleARN, err, tc.want)
		}
	}
	if _, err := source.Identity(nil); err == nil || !strings.Contains(err.Error(), "role_arn: {http.auth.user.id} needs a request") {
		t.Errorf("without a request: got %v", err)
	}

	// A role that stands on one that depends on the request does so too.
	on := mustResolve(t, `{"source":"assume_role","role_arn":"`+role+`","from":"tenant"}`, resolver{"tenant": source})
	if !on.PerRequest() {
		t.Error("a role does not depend on the request, but its broker does")
	}
	a, b := mustIdentity(t, on, request(t, values())), mustIdentity(t, on, request(t, values("http.auth.user.id", "bob")))
	if a.Key == b.Key || a.From.RoleARN == b.From.RoleARN {
		t.Error("two brokers share a role's credentials")
	}
}

func TestAssumeRoleFromEndToEnd(t *testing.T) {
	server := ststest.New(t, ststest.Key{ID: "AKIABROKER", Secret: "broker-secret"})
	cleanEnvironment(t)
	t.Setenv("AWS_ENDPOINT_URL_STS", server.URL)
	t.Setenv("TEST_SECRET", "broker-secret")
	t.Setenv("TEST_EXTERNAL_ID", "customer-4711")

	broker := mustResolve(t, `{"source":"static","access_key_id":"AKIABROKER","secret_access_key":"{env.TEST_SECRET}"}`, nil)
	hub := mustResolve(t, `{"source":"assume_role","role_arn":"arn:aws:iam::123456789012:role/Hub","from":"broker","session_name":"hub"}`, resolver{"broker": broker})
	raw, err := adapt("assume_role " + role + " {\n from hub\n external_id {env.TEST_EXTERNAL_ID}\n session_name caddy-test\n duration 30m\n tag team search\n tag a b\n}")
	if err != nil {
		t.Fatal(err)
	}
	source := mustResolve(t, raw, resolver{"hub": hub})

	cache := credentials.NewCache(credentials.Options{})
	defer cache.Close()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			got, err := cache.Get(context.Background(), mustIdentity(t, source, nil))
			if err != nil {
				t.Error(err)
				return
			}
			if d := time.Until(got.Expires); got.Value.AccessKeyID != "ASIAPROXY002" || d < 29*time.Minute || d > 31*time.Minute {
				t.Errorf("got %s for %v", got.Value.AccessKeyID, d)
			}
		})
	}
	wg.Wait()
	calls := server.Calls()
	if len(calls) != 2 {
		t.Fatalf("%d calls, want one for each role", len(calls))
	}
	if calls[0].Key.ID != "AKIABROKER" || calls[1].Key.ID != "ASIAHUB001" {
		t.Errorf("called by %s and %s", calls[0].Key.ID, calls[1].Key.ID)
	}
	want := map[string]string{
		"RoleArn": role, "ExternalId": "customer-4711", "RoleSessionName": "caddy-test", "DurationSeconds": "1800",
		"Tags.member.1.Key": "a", "Tags.member.1.Value": "b", "Tags.member.2.Key": "team", "Tags.member.2.Value": "search",
	}
	for k, v := range want {
		if got := calls[1].Form.Get(k); got != v {
			t.Errorf("%s is %q, want %q", k, got, v)
		}
	}
}

func TestDeniedRole(t *testing.T) {
	server := ststest.New(t, ststest.Key{ID: "AKIABROKER", Secret: "broker-secret"})
	server.Answer(func(c ststest.Call) ststest.Answer {
		if c.Form.Get("ExternalId") != "right" {
			return ststest.Answer{Status: 403, Code: "AccessDenied", Message: "not authorized"}
		}
		return ststest.Answer{}
	})
	cleanEnvironment(t)
	t.Setenv("AWS_ENDPOINT_URL_STS", server.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIABROKER")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "broker-secret")

	config := func(externalID string) string {
		raw, _ := json.Marshal(map[string]string{"source": "assume_role", "role_arn": role, "external_id": externalID})
		return string(raw)
	}
	_, err := fetch(t, mustIdentity(t, mustResolve(t, config("wrong"), nil), nil))
	e, ok := errors.AsType[*credentials.Error](err)
	if !ok || e.Temporary() {
		t.Fatalf("got %v, want a refusal", err)
	}
	if want := fmt.Sprintf("credentials of assume_role %s (from default): AssumeRole: AccessDenied: not authorized (HTTP 403, request ID fedcba98-7654-3210-fedc-ba9876543210)", role); e.Error() != want {
		t.Errorf("got  %v\nwant %s", e, want)
	}
	if s, ok := errors.AsType[*sts.Error](err); !ok || s.Code != "AccessDenied" {
		t.Errorf("%v lost what STS said", err)
	}
	if _, err := fetch(t, mustIdentity(t, mustResolve(t, config("right"), nil), nil)); err != nil {
		t.Error(err)
	}
}

func BenchmarkIdentity(b *testing.B) {
	a := mustResolve(b, `{"source":"assume_role","role_arn":"`+role+`"}`, nil)
	perRequest := mustResolve(b, `{"source":"assume_role","role_arn":"`+role+`","session_name":"{http.auth.user.id}","external_id":"abc"}`, nil)
	expand := func(string) (string, error) { return "alice", nil }
	for name, source := range map[string]credentials.Source{"fixed": a, "per request": perRequest} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := source.Identity(expand); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
