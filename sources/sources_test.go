package sources

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

func fetch(t *testing.T, id credentials.Identity) (*credentials.Credentials, error) {
	t.Helper()
	c := credentials.NewCache(credentials.Options{})
	t.Cleanup(c.Close)
	return c.Get(context.Background(), id)
}

func TestEnv(t *testing.T) {
	cleanEnvironment(t)
	id := mustIdentity(t, mustLoad(t, `{"source":"env"}`), nil)
	for _, tc := range []struct{ key, secret, token, want string }{
		{"", "", "", "credentials of env: the environment variable AWS_ACCESS_KEY_ID is not set"},
		{"AKIA", "", "", "the environment variable AWS_SECRET_ACCESS_KEY is not set"},
		{"AKIA\n", "topsecret", "", "the environment variable AWS_ACCESS_KEY_ID: it holds a blank"},
		{"AKIA", "top secret", "", "the environment variable AWS_SECRET_ACCESS_KEY: it holds a blank"},
		{"AKIA", "topsecret", "to ken", "the environment variable AWS_SESSION_TOKEN: it holds a blank"},
		{"AKIA", "topsecret", "", ""},
		{"AKIA", "topsecret", "token", ""},
	} {
		t.Setenv("AWS_ACCESS_KEY_ID", tc.key)
		t.Setenv("AWS_SECRET_ACCESS_KEY", tc.secret)
		t.Setenv("AWS_SESSION_TOKEN", tc.token)
		got, err := fetch(t, id)
		if tc.want != "" {
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret") && tc.secret != "" && strings.Contains(err.Error(), tc.secret) {
				t.Errorf("%+v: got %v", tc, err)
			}
			continue
		}
		if want := (sigv4.Credentials{AccessKeyID: tc.key, SecretAccessKey: tc.secret, SessionToken: tc.token}); err != nil || got.Value != want || !got.Expires.IsZero() {
			t.Errorf("%+v: got %v, %v", tc, got, err)
		}
	}
}

func TestDefault(t *testing.T) {
	cleanEnvironment(t)
	id := mustIdentity(t, mustLoad(t, `{"source":"default"}`), nil)

	_, err := fetch(t, id)
	if err == nil || !strings.Contains(err.Error(), "credentials of default: the AWS SDK's chain: ") || !strings.Contains(err.Error(), "set AWS_ACCESS_KEY_ID") {
		t.Errorf("without anything: got %v", err)
	}

	// The files are read again at every fetch.
	file := filepath.Join(t.TempDir(), "credentials")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	for _, key := range []string{"AKIAONE", "AKIATWO"} {
		if err := os.WriteFile(file, []byte("[work]\naws_access_key_id = "+key+"\naws_secret_access_key = s\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_PROFILE", "work")
		got, err := fetch(t, id)
		if err != nil || got.Value.AccessKeyID != key || !got.Expires.IsZero() {
			t.Errorf("got %v, %v, want %s", got, err, key)
		}
	}
	t.Setenv("AWS_PROFILE", "nobody")
	if _, err := fetch(t, id); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("got %v, want the profile named", err)
	}
	t.Setenv("AWS_PROFILE", "")

	// Temporary credentials bring their expiry.
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	if err := os.WriteFile(file, fmt.Appendf(nil, "[default]\ncredential_process = printf '{\"Version\":1,\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\":\"s\",\"SessionToken\":\"t\",\"Expiration\":\"%s\"}'\n",
		expires.Format(time.RFC3339)), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := fetch(t, id)
	if err != nil || got.Value.AccessKeyID != "ASIA" || got.Value.SessionToken != "t" || !got.Expires.Equal(expires) {
		t.Errorf("got %v, %v, want ASIA until %v", got, err, expires)
	}

	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	if got, err := fetch(t, id); err != nil || got.Value.AccessKeyID != "AKIAENV" {
		t.Errorf("got %v, %v, want the environment's key", got, err)
	}
}

func TestStatic(t *testing.T) {
	t.Setenv("TEST_ID", "AKIAENV")
	t.Setenv("TEST_SECRET", "envsecret")
	t.Setenv("TEST_TOKEN", "envtoken")
	for config, want := range map[string]sigv4.Credentials{
		`{"source":"static","access_key_id":"AKIA","secret_access_key":"{env.TEST_SECRET}"}`:                                     {AccessKeyID: "AKIA", SecretAccessKey: "envsecret"},
		`{"source":"static","access_key_id":"{env.TEST_ID}","secret_access_key":"a/b+c","session_token":"{env.TEST_TOKEN}"}`:     {AccessKeyID: "AKIAENV", SecretAccessKey: "a/b+c", SessionToken: "envtoken"},
		`{"source":"static","access_key_id":"x{env.TEST_ID}","secret_access_key":"{env.TEST_SECRET}","session_token":"literal"}`: {AccessKeyID: "xAKIAENV", SecretAccessKey: "envsecret", SessionToken: "literal"},
	} {
		source := mustLoad(t, config)
		before := fmt.Sprintf("%+v", *source.(*Static))
		got, err := fetch(t, mustIdentity(t, source, nil))
		if err != nil || got.Value != want || !got.Expires.IsZero() || source.PerRequest() {
			t.Errorf("%s: got %v, %v", config, got, err)
		}
		if strings.Contains(before, "envsecret") || strings.Contains(before, "envtoken") {
			t.Errorf("%s: a resolved secret was written back: %s", config, before)
		}
	}
	for config, want := range map[string]string{
		`{"source":"static"}`:                     "access_key_id: it is missing",
		`{"source":"static","access_key_id":"A"}`: "secret_access_key: it is missing",
		`{"source":"static","access_key_id":"A","secret_access_key":"{env.TEST_UNSET}"}`:                             "secret_access_key: {env.TEST_UNSET} is empty: set the environment variable TEST_UNSET",
		`{"source":"static","access_key_id":"A","secret_access_key":"{file./nonexistent}"}`:                          "secret_access_key: {file./nonexistent} is empty: the file",
		`{"source":"static","access_key_id":"A","secret_access_key":"{http.request.header.X}"}`:                      "secret_access_key: {http.request.header.X} needs a request",
		`{"source":"static","access_key_id":"A","secret_access_key":"top secret"}`:                                   "secret_access_key: it holds a blank",
		`{"source":"static","access_key_id":"A\u00a0","secret_access_key":"topsecret"}`:                              "access_key_id: it holds a blank",
		`{"source":"static","access_key_id":"A","secret_access_key":"topsecret","session_token":"{env.TEST_UNSET}"}`: "session_token: {env.TEST_UNSET} is empty",
		`{"source":"static","access_key_id":"A","secret_access_key":"topsecret","region":"us-east-1"}`:               `unknown field "region"`,
	} {
		_, err := load(t, config)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret\"") {
			t.Errorf("%s: got %v, want %s", config, err, want)
		}
	}
}

// TestLiteralSecretWarnsOnce reads what Caddy's logger writes to standard error.
func TestLiteralSecretWarnsOnce(t *testing.T) {
	t.Setenv("TEST_SECRET", "envsecret")
	for config, want := range map[string]int{
		`{"source":"static","access_key_id":"A","secret_access_key":"literalsecret","session_token":"literaltoken"}`: 1,
		`{"source":"static","access_key_id":"A","secret_access_key":"{env.TEST_SECRET}"}`:                            0,
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		stderr := os.Stderr
		os.Stderr = w
		_, err = load(t, config)
		os.Stderr = stderr
		w.Close()
		if err != nil {
			t.Fatal(err)
		}
		out, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		log := string(out)
		if got := strings.Count(log, "secret_access_key stands literally in the configuration"); got != want {
			t.Errorf("%s: warned %d times, want %d: %s", config, got, want, log)
		}
		if strings.Contains(log, "literalsecret") || strings.Contains(log, "literaltoken") || strings.Contains(log, "envsecret") {
			t.Errorf("a secret in the log: %s", log)
		}
	}
}

func TestLogsHaveNoSecret(t *testing.T) {
	for _, m := range []zapcore.ObjectMarshaler{
		&Static{AccessKeyID: "AKIA", SecretAccessKey: "topsecret", SessionToken: "topsecret"},
		&AssumeRole{RoleARN: role, ExternalID: "topsecret", SessionName: "caddy", Tags: map[string]string{"a": "topsecret"}},
	} {
		enc := zapcore.NewMapObjectEncoder()
		if err := m.MarshalLogObject(enc); err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprint(enc.Fields); strings.Contains(text, "topsecret") || !strings.Contains(text, "AKIA") && !strings.Contains(text, role) {
			t.Errorf("logged as %s", text)
		}
	}
}
