package sources

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// policyOf returns the policy that one request's call would have.
func policyOf(t *testing.T, config string, placeholders map[string]string) (string, error) {
	t.Helper()
	a := mustResolve(t, config, nil).(*AssumeRole)
	in, err := a.values.resolve(request(t, placeholders))
	return in.Policy, err
}

func withPolicy(policy string) string {
	raw, _ := json.Marshal(map[string]string{"source": "assume_role", "role_arn": role, "policy": policy})
	return string(raw)
}

func TestPolicyOfARequest(t *testing.T) {
	t.Setenv("TEST_BUCKET", "b")
	t.Setenv("TEST_POLICY", `{"Statement": [{"Resource": "{http.auth.user.id}"}]}`)
	for _, tc := range []struct{ policy, want string }{
		{`{"Statement": []}`, `{"Statement":[]}`},
		{`{"Statement":[{"Resource":"arn:aws:s3:::{env.TEST_BUCKET}/{http.auth.user.id}/*"}]}`, `{"Statement":[{"Resource":"arn:aws:s3:::b/alice/*"}]}`},
		{`{"Statement":[{"Resource":"${aws:username}{http.auth.user.id}${*}"}]}`, `{"Statement":[{"Resource":"${aws:username}alice${*}"}]}`},
		{`{"Statement":[{"Resource":["{http.auth.user.id}","x-{http.auth.user.id}"]},{}]}`, `{"Statement":[{"Resource":["alice","x-alice"]},{}]}`},
		// What stands for the whole is data, too.
		{"{env.TEST_POLICY}", `{"Statement":[{"Resource":"{http.auth.user.id}"}]}`},
	} {
		got, err := policyOf(t, withPolicy(tc.policy), map[string]string{"http.auth.user.id": "alice"})
		if err != nil || got != tc.want {
			t.Errorf("%s: got %s, %v, want %s", tc.policy, got, err, tc.want)
		}
	}
}

// TestPolicyCannotBeWidened: what a request fills in is one part of one string, and no wildcard.
func TestPolicyCannotBeWidened(t *testing.T) {
	config := withPolicy(`{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/{http.auth.user.id}/*"}]}`)
	for _, ok := range []string{"alice", "alice@example.com", "a.b", "a_b-c+d=e,f", "0", ".."} {
		if _, err := policyOf(t, config, map[string]string{"http.auth.user.id": ok}); err != nil {
			t.Errorf("%q: %v", ok, err)
		}
	}
	for _, evil := range []string{
		"", "*", "a*", "?", "${aws:username}", "a/b", "a:b", `"`, `\`, `","arn:aws:s3:::*`, "\u002a", "a b", "a\n", "é", "{http.vars.x}", "a|b", "<", strings.Repeat("a", 257),
	} {
		if got, err := policyOf(t, config, map[string]string{"http.auth.user.id": evil, "http.vars.x": "x"}); err == nil || !strings.HasPrefix(err.Error(), "policy: ") {
			t.Errorf("%q: got %s, %v", evil, got, err)
		}
	}
}

func TestPolicyFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(file, []byte("{\n\t\"Statement\": [{\"Resource\": \"{http.auth.user.id}\"}]\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_DIR", filepath.Dir(file))
	config := `{"source":"assume_role","role_arn":"` + role + `","policy_file":"{env.TEST_DIR}/policy.json"}`
	got, err := policyOf(t, config, map[string]string{"http.auth.user.id": "alice"})
	if err != nil || got != `{"Statement":[{"Resource":"alice"}]}` {
		t.Errorf("got %s, %v", got, err)
	}
	for text, want := range map[string]string{
		`{"Statement":[{http.auth.user.id}]}`:                         "policy: it is not JSON",
		`{"Statement":[],"Id":"{http.request.header.X}"}`:             "policy: {http.request.header.X} is chosen by the client",
		`{"Statement":[],"Id":"` + strings.Repeat("x", 2048) + `"}`:   "policy: the session policy",
		`{"Statement":[{"Principal":"*"}]}`:                           "policy: statement 1 has a Principal",
		`{"Statement":[{"Resource":"{env.TEST_NOT_SET}"}]}`:           "policy_file: {env.TEST_NOT_SET} is empty",
		`{"Statement":[{"Resource":"{http.auth.user.id}"}], "a": 1,}`: "policy: it is not JSON",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := load(t, config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func FuzzPolicyTemplate(f *testing.F) {
	f.Add(`{"Statement":[{"Resource":"{http.auth.user.id}/${aws:username}"}]}`, "alice")
	f.Add(`{a}{b`, "*")
	f.Fuzz(func(t *testing.T, policy, value string) {
		parts := parsePolicy(policy)
		var whole strings.Builder
		for _, p := range parts {
			whole.WriteString(p.text)
		}
		if whole.String() != policy {
			t.Fatalf("%q was taken apart into %+v", policy, parts)
		}
		filled := policyTemplate{parts}
		with := func(v string) (any, error) {
			text, err := filled.resolve(func(string) (string, error) { return v, nil })
			if err != nil {
				return nil, err
			}
			var doc any
			return doc, json.Unmarshal([]byte(text), &doc)
		}
		one, errOne := with("x")
		two, errTwo := with(value)
		// Whatever the value is, the document keeps its shape.
		if errOne == nil && errTwo == nil && shape(one) != shape(two) {
			t.Errorf("%q with %q has another shape", policy, value)
		}
	})
}

// shape is a document without what its strings say, in values or as keys.
func shape(doc any) string {
	switch d := doc.(type) {
	case map[string]any:
		var b strings.Builder
		for range d {
			b.WriteByte('k')
		}
		return "{" + b.String() + "}"
	case []any:
		var b strings.Builder
		for _, v := range d {
			b.WriteString(shape(v))
		}
		return "[" + b.String() + "]"
	case string:
		return "s"
	}
	return "v"
}
