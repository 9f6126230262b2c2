package sigv4

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestTraceHidesSecretsWhenPrinted(t *testing.T) {
	in := exampleInput(t)
	in.Target = mustTarget(t, "/", "X-Amz-Security-Token=query-secret&list=2&api-key=query-secret", PathSingle)
	in.Header["X-Amz-Server-Side-Encryption-Customer-Key"] = []string{"header-secret"}
	in.Header["X-Amz-Server-Side-Encryption-Customer-Key-Md5"] = []string{"digest"}
	in.Trace = new(Trace)
	if err := NewSigner(exampleCredentials).Sign(in); err != nil {
		t.Fatal(err)
	}
	exact := in.Trace.CanonicalRequest
	for _, s := range []string{"x-amz-security-token:session-token\n", "customer-key:header-secret\n", "query-secret"} {
		if !strings.Contains(exact, s) {
			t.Errorf("the canonical request lacks %q: %s", s, exact)
		}
	}
	marshalled, err := json.Marshal(in.Trace)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{in.Trace.Redacted(), fmt.Sprintf("%v %+v %#v %s %q", in.Trace, *in.Trace, *in.Trace, in.Trace, in.Trace), string(marshalled)} {
		for _, s := range []string{"session-token\n", "-secret", "session-token\\n"} {
			if strings.Contains(strings.ReplaceAll(shown, "x-amz-security-token", ""), s) {
				t.Errorf("%q shows %q", shown, s)
			}
		}
		for _, s := range []string{"list=2", "digest", "content-type:application/json", in.Trace.Signature, "20250102/us-east-1/execute-api/aws4_request"} {
			if !strings.Contains(shown, s) {
				t.Errorf("%q lacks %q", shown, s)
			}
		}
	}
	equal(t, "scope", in.Trace.CredentialScope, "20250102/us-east-1/execute-api/aws4_request")
}

func TestCredentialsNeverShowSecrets(t *testing.T) {
	c := Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "the-secret", SessionToken: "the-session"}
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	logger.Info("x", "credentials", c, "pointer", &c, "signer", NewSigner(c))
	marshalled, err := json.Marshal(map[string]any{"value": c, "pointer": &c, "nested": struct{ C Credentials }{c}})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := c.MarshalText()
	shown := []string{log.String(), string(marshalled), string(text), c.String(), c.GoString(), NewSigner(c).String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T %v"} {
		if verb == "%T %v" {
			shown = append(shown, fmt.Sprintf(verb, c, c))
			continue
		}
		shown = append(shown,
			fmt.Sprintf(verb, c), fmt.Sprintf(verb, &c), fmt.Sprintf(verb, []Credentials{c}),
			fmt.Sprintf(verb, struct{ C Credentials }{c}), fmt.Sprintf(verb, NewSigner(c)))
	}
	for _, s := range shown {
		if strings.Contains(s, "the-secret") || strings.Contains(s, "the-session") || strings.Contains(s, fmt.Sprintf("%x", "the-secret")) {
			t.Errorf("%q shows a secret", s)
		}
		if !strings.Contains(s, "AKIDEXAMPLE") {
			t.Errorf("%q lacks the access key ID", s)
		}
	}
	equal(t, "JSON", string(must(json.Marshal(c))), `{"AccessKeyID":"AKIDEXAMPLE","SecretAccessKey":"REDACTED","SessionToken":"REDACTED"}`)
	equal(t, "without a token", Credentials{AccessKeyID: "A", SecretAccessKey: "b"}.String(), "{AccessKeyID:A SecretAccessKey:REDACTED SessionToken:}")
}
