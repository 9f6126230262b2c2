package e2e_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/seal"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/webhook"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
)

const (
	hookSecret  = "whsec_Zm9yIHRlc3RzIG9ubHksIG5vdCBmb3IgYW55Ym9keQ=="
	plainSecret = "a-secret-without-a-prefix"
)

// hookMessage is a webhook with the secret that it is verified with.
type hookMessage struct {
	Secret  string            `json:"secret"`
	Headers map[string]string `json:"headers"`
	Body    []byte            `json:"body"`
}

// with returns a copy with another header.
func (m hookMessage) with(name, value string) hookMessage {
	m.Headers = maps.Clone(m.Headers)
	m.Headers[name] = value
	return m
}

// realWebhook has a sender send a webhook that is signed with two secrets.
func realWebhook(t *testing.T) hookMessage {
	t.Helper()
	got := make(chan hookMessage, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		m := hookMessage{Secret: hookSecret, Headers: map[string]string{}}
		m.Body, _ = io.ReadAll(r.Body)
		for name := range r.Header {
			m.Headers[strings.ToLower(name)] = r.Header.Get(name)
		}
		got <- m
	}))
	t.Cleanup(receiver.Close)
	key, err := seal.ParseKey(base64.StdEncoding.EncodeToString([]byte("0123456789abcdefghijklmnopqrstuv")))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.NewRing(key)
	if err != nil {
		t.Fatal(err)
	}
	store, err := connect.Open(&storetest.Memory{}, ring, connect.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var secrets []webhook.Secret
	for _, text := range []string{hookSecret, plainSecret} {
		secret, err := webhook.ParseSecret(text)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, secret)
	}
	sender, err := webhook.New(webhook.Options{Store: store, Endpoints: []webhook.Endpoint{{URL: receiver.URL, Secrets: secrets}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sender.Close)
	store.SetAnnouncer(sender)
	sender.Start()
	ctx := t.Context()
	token, session, err := store.CreateSession(ctx, connect.NewSession{Integration: "acme-s3", Organization: connect.Organization{ID: "gl<ö>bex"}})
	if err != nil {
		t.Fatal(err)
	}
	externalID, err := store.ExternalIDFor(ctx, session)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = store.FinishSession(ctx, token, connect.Verified{
		RoleARN: "arn:aws:iam::111111111111:role/Customer", ExternalID: externalID, Region: "eu-west-1", Account: "111111111111",
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-got:
		return m
	case <-time.After(patience):
		t.Fatal("no webhook came")
		return hookMessage{}
	}
}

// signedAt is a message signed at another time, by who knows the secret.
func (m hookMessage) signedAt(at time.Time) hookMessage {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(hookSecret, "whsec_"))
	timestamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", m.Headers["webhook-id"], timestamp, m.Body)
	return m.with("webhook-timestamp", timestamp).with("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// TestWebhooksAreVerified gives what the sender really sends, and what others make of it, to the library of the
// Standard Webhooks specification and to the three programs of docs/webhooks.md.
func TestWebhooksAreVerified(t *testing.T) {
	real := realWebhook(t)
	plain, stranger := real, real
	plain.Secret, stranger.Secret = plainSecret, "whsec_"+base64.StdEncoding.EncodeToString([]byte("somebody else's secret key"))
	altered := real
	altered.Body = bytes.Replace(real.Body, []byte("acme-s3"), []byte("acme-s4"), 1)
	messages := []struct {
		name string
		hookMessage
		good bool
	}{
		{"as it came", real, true},
		{"with the second secret", plain, true},
		{"with another secret", stranger, false},
		{"an altered body", altered, false},
		{"another ID", real.with("webhook-id", "msg_other"), false},
		{"another time", real.with("webhook-timestamp", strconv.FormatInt(time.Now().Unix()-7, 10)), false},
		{"no time", real.with("webhook-timestamp", "now"), false},
		{"no signature", real.with("webhook-signature", ""), false},
		{"another version", real.with("webhook-signature", strings.ReplaceAll(real.Headers["webhook-signature"], "v1,", "v2,")), false},
		{"signed two minutes ago", real.signedAt(time.Now().Add(-2 * time.Minute)), true},
		{"signed ten minutes ago", real.signedAt(time.Now().Add(-10 * time.Minute)), false},
		{"signed in ten minutes", real.signedAt(time.Now().Add(10 * time.Minute)), false},
	}
	check := func(t *testing.T, name string, good, taken bool) {
		t.Helper()
		if good != taken {
			t.Errorf("%s: taken is %t", name, taken)
		}
	}
	t.Run("library", func(t *testing.T) {
		for _, m := range messages {
			var wh *standardwebhooks.Webhook
			var err error
			if strings.HasPrefix(m.Secret, "whsec_") {
				wh, err = standardwebhooks.NewWebhook(m.Secret)
			} else {
				wh, err = standardwebhooks.NewWebhookRaw([]byte(m.Secret))
			}
			if err != nil {
				t.Fatal(err)
			}
			h := make(http.Header)
			for name, value := range m.Headers {
				h.Set(name, value)
			}
			check(t, m.name, m.good, wh.Verify(m.Body, h) == nil)
		}
	})
	var in bytes.Buffer
	for _, m := range messages {
		if err := json.NewEncoder(&in).Encode(m.hookMessage); err != nil {
			t.Fatal(err)
		}
	}
	for _, language := range []string{"js", "python", "go"} {
		t.Run(language, func(t *testing.T) {
			cmd := documentedVerifier(t, language)
			cmd.Stdin, cmd.Stderr = bytes.NewReader(in.Bytes()), os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			answers := strings.Fields(string(out))
			if len(answers) != len(messages) {
				t.Fatalf("%q", answers)
			}
			for i, m := range messages {
				check(t, m.name, m.good, answers[i] == "taken")
			}
		})
	}
}

// documentedVerifier returns the program of docs/webhooks.md in a language, with what feeds it.
func documentedVerifier(t *testing.T, language string) *exec.Cmd {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "webhooks.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, code, found := strings.Cut(string(text), "```"+language+"\n")
	code, _, ends := strings.Cut(code, "\n```")
	if !found || !ends {
		t.Fatalf("there is no program in %s", language)
	}
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	need := func(programs ...string) string {
		i := slices.IndexFunc(programs, func(p string) bool { _, err := exec.LookPath(p); return err == nil })
		if i < 0 {
			absent.Skip(t, programs[0], "clients/install installs it")
		}
		return programs[i]
	}
	switch language {
	case "js":
		return exec.CommandContext(t.Context(), need("node"), filepath.Join("clients", "webhooks", "driver.mjs"), write("verify.mjs", []byte(code)))
	case "python":
		return exec.CommandContext(t.Context(), need("python3", "/usr/bin/python3"), filepath.Join("clients", "webhooks", "driver.py"), write("verify.py", []byte(code)))
	}
	driver, err := os.ReadFile(filepath.Join("clients", "webhooks", "driver.go.txt"))
	if err != nil {
		t.Fatal(err)
	}
	write("verify.go", []byte(code))
	write("main.go", driver)
	write("go.mod", []byte("module verify\n"))
	cmd := exec.CommandContext(t.Context(), "go", "run", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0")
	return cmd
}
