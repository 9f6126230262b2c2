package integration_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	hookSecret = "whsec_Zm9yIHRlc3RzIG9ubHksIG5vdCBmb3IgYW55Ym9keQ=="
	hookOld    = "the-secret-before-this-one"
)

// hook is a receiver on the loopback, which verifies what it takes.
type hook struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []map[string]any
	paths  []string
	status int
}

func newHook(t *testing.T, secret string) *hook {
	h := new(hook)
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verifyHook(secret, r.Header, body)
		}
		var decoded map[string]any
		if err == nil {
			err = json.Unmarshal(body, &decoded)
		}
		if err != nil {
			t.Errorf("%s: %v", r.URL, err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.bodies, h.paths = append(h.bodies, decoded), append(h.paths, r.URL.RequestURI())
		if h.status != 0 {
			w.WriteHeader(h.status)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

// verifyHook is what docs/webhooks.md tells receivers to do.
func verifyHook(secret string, h http.Header, body []byte) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(h.Get("Webhook-Timestamp"), 10, 64)
	if age := time.Since(time.Unix(seconds, 0)); err != nil || age > 5*time.Minute || age < -5*time.Minute {
		return fmt.Errorf("it is %v old, %w", age, err)
	}
	m := hmac.New(sha256.New, key)
	fmt.Fprintf(m, "%s.%s.%s", h.Get("Webhook-Id"), h.Get("Webhook-Timestamp"), body)
	if !slices.Contains(strings.Fields(h.Get("Webhook-Signature")), "v1,"+base64.StdEncoding.EncodeToString(m.Sum(nil))) {
		return fmt.Errorf("its signature is wrong: %v", h)
	}
	m = hmac.New(sha256.New, []byte(secret))
	m.Write(body)
	if h.Get("X-Nango-Hmac-Sha256") != hex.EncodeToString(m.Sum(nil)) {
		return fmt.Errorf("its HMAC is wrong: %v", h)
	}
	return nil
}

func (h *hook) answers(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

// wait returns the operation of the n-th webhook, from 1, with its success.
func (h *hook) wait(t *testing.T, n int) (body map[string]any, path string) {
	t.Helper()
	waitFor(t, patience, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.bodies) >= n
	}, "%d webhooks", n)
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bodies[n-1], h.paths[n-1]
}

// TestWebhooks goes through a connection's life in a whole Caddy, with a reload that changes the webhooks, and
// looks at what is received, logged, counted, emitted and stored.
func TestWebhooks(t *testing.T) {
	b := newConnectBed(t)
	receiver := newHook(t, hookSecret)
	t.Setenv("HOOK_SECRET", hookSecret)
	t.Setenv("HOOK_OLD", hookOld)
	hooks := func(path string) string {
		return strings.Replace(b.caddyfile(connectParts{
			before:      "events {\non aws_connect.webhook_dropped aws_sigv4_test\n}",
			connections: "exhausted_after 1\nwebhook " + receiver.URL + path + " {\nsecret {env.HOOK_SECRET} {env.HOOK_OLD}\n}",
		}), "connections:delete", "connections:read_credentials connections:update connections:delete", 1)
	}
	heard.reset()
	b.admin = freePort(t)
	b.start(hooks("/hook?token=url-secret"))
	_, link := b.session("globex")
	c := b.follow(link)
	externalID := c.read(shownExternalID)
	b.makeRole(customerRole, externalID)
	c.submit(customerRole, "").expect(t, 303)
	c.wait("succeeded")
	body, path := receiver.wait(t, 1)
	id, _ := body["connectionId"].(string)
	if body["from"] != "nango" || body["type"] != "auth" || body["operation"] != "creation" || body["success"] != true || body["providerConfigKey"] != "acme-s3" ||
		path != "/hook?token=url-secret" || id == "" {
		t.Errorf("%s: %v", path, body)
	}

	// The role is taken away, found out by a verification, given up after a day, and mended.
	b.makeRole(customerRole, "another")
	b.api("POST", "/connections/"+id+"/verify?provider_config_key=acme-s3", "").expect(t, 200, "assume_role_denied")
	body, _ = receiver.wait(t, 2)
	failed, _ := body["error"].(map[string]any)
	if body["operation"] != "refresh" || body["success"] != false || body["exhausted"] != true || failed["type"] != "assume_role_denied" || failed["description"] == "" {
		t.Errorf("%v", body)
	}
	b.reload(hooks("/other"))
	credentials := "/connections/" + id + "?provider_config_key=acme-s3"
	b.api("GET", credentials, "").expect(t, 424, "connection_refresh_exhausted", "ask with force_refresh")
	b.api("GET", credentials+"&force_refresh=true", "").expect(t, 424, "connection_refresh_exhausted")
	b.makeRole(customerRole, externalID)
	b.api("GET", credentials, "").expect(t, 424, "connection_refresh_exhausted")
	b.api("GET", credentials+"&force_refresh=true", "").expect(t, 200, `"secret_access_key":"`)
	body, path = receiver.wait(t, 3)
	if body["operation"] != "refresh" || body["success"] != true || path != "/other" {
		t.Errorf("%s: %v", path, body)
	}
	receiver.answers(http.StatusGone)
	b.api("DELETE", "/connections/"+id+"?provider_config_key=acme-s3", "")
	body, _ = receiver.wait(t, 4)
	if body["operation"] != "deletion" {
		t.Errorf("%v", body)
	}
	b.waitForLog("webhook_dropped", 1, patience)
	waitFor(t, patience, func() bool { return !strings.Contains(b.stored(), "/webhooks/") }, "the queue to be empty")

	if all := heard.all(); len(all) != 1 || all[0].Data["webhook_event"] != "deletion" || all[0].Data["connection"] != id {
		t.Errorf("heard %+v", all)
	}
	series, _ := b.scrape()
	// The sender after the reload may still believe that the one before is about something.
	if n, ok := series["webhook_queue_length"]; !ok || n > 2 {
		t.Errorf("the queue's length is %v, %t", n, ok)
	}
	for name, want := range map[string]float64{`webhooks_total{outcome="delivered"}`: 3, `webhooks_total{outcome="dropped"}`: 1} {
		if series[name] < want { // Other tests of this process may have sent some.
			t.Errorf("%s is %v, want %v", name, series[name], want)
		}
	}

	var outcomes []string
	lines, _ := b.told()
	for _, line := range lines {
		if event, _ := line["event"].(string); strings.HasPrefix(event, "webhook_") {
			outcomes = append(outcomes, fmt.Sprint(event, " ", line["webhook_event"], " ", line["to"] == receiver.URL))
		}
	}
	if want := []string{
		"webhook_delivered creation true", "webhook_delivered refresh_failure true", "webhook_delivered recovery true", "webhook_dropped deletion true",
	}; !slices.Equal(outcomes, want) {
		t.Errorf("logged %q", outcomes)
	}
	all := b.everything() + b.stored()
	for _, secret := range []string{hookSecret, strings.TrimPrefix(hookSecret, "whsec_"), hookOld, externalID, "url-secret"} {
		if strings.Contains(all, secret) {
			t.Errorf("%q is logged or stored in clear", secret)
		}
	}
	b.settle()
}

// TestBadWebhooks are mistakes in connections that are about webhooks. The options begin on line 5.
func TestBadWebhooks(t *testing.T) {
	t.Setenv("TEST_SEAL_KEY", goodSealKey)
	t.Setenv("TEST_SHORT", "hunter2")
	t.Setenv("TEST_HTTP", "http://hooks.example/")
	secret := "secret topsecret-0123456789\n"
	for _, tt := range []struct {
		options string
		line    int
		want    string
	}{
		{"webhook", 5, "webhook has no value"},
		{"webhook hooks.example {\n" + secret + "}", 5, "is no URL: write one that begins with https://"},
		{"webhook http://hooks.example/ {\n" + secret + "}", 5, "the webhook's URL is not https"},
		{"webhook https://u:topsecret@hooks.example/ {\n" + secret + "}", 5, "names a user"},
		{"webhook https://hooks.example/", 5, "the webhook has no secret to sign with: write `secret {env.WEBHOOK_SECRET}`"},
		{"webhook https://hooks.example/ {\nsecret\n}", 6, "secret has one value, or two"},
		{"webhook https://hooks.example/ {\nsecret topsecret-0123456789 topsecret-1123456789 topsecret-2123456789\n}", 6, "secret has one value, or two"},
		{"webhook https://hooks.example/ {\nsecret topsecret\n}", 6, "9 characters: write what `echo whsec_$(openssl rand -base64 32)` prints"},
		{"webhook https://hooks.example/ {\nsecret whsec_topsecret-0123456789\n}", 6, "24 to 64 bytes in base64 do not follow"},
		{"webhook https://hooks.example/ {\n" + secret + "events created\n}", 7, `"created" is no event: write any of [creation override refresh_failure recovery deletion]`},
		{"webhook https://hooks.example/ {\n" + secret + "events\n}", 7, "events needs at least one value"},
		{"webhook https://hooks.example/ {\n" + secret + "retries 3\n}", 7, `unknown option "retries": write one of secret, events`},
		{"webhook https://hooks.example/ {\n" + secret + secret + "}", 7, "secret is given twice"},
		{strings.Repeat("webhook https://hooks.example/ {\n"+secret+"}\n", 2), 8, "there are two webhooks with this URL"},
		{"exhausted_after 0", 5, "write a number of days from 1 to 365, or off"},
		{"exhausted_after 4d", 5, "write a number of days from 1 to 365, or off"},

		// What only shows when everything is loaded.
		{"webhook https://hooks.example/ {\nsecret {env.TEST_SHORT}\n}", 0, "connections.webhooks[0].secrets[0]: a webhook's secret has 7 characters"},
		{"webhook https://hooks.example/ {\nsecret {env.AWS_TEST_NOT_SET}\n}", 0, "connections.webhooks[0].secrets[0]: {env.AWS_TEST_NOT_SET} is empty"},
		{"webhook {env.TEST_HTTP} {\n" + secret + "}", 0, "connections.webhooks[0].url: the webhook's URL is not https"},
	} {
		t.Run(strings.ReplaceAll(tt.options[:min(len(tt.options), 80)], "\n", " "), func(t *testing.T) {
			err := validate(t, "{\naws_sigv4 {\nconnections {\nkey {env.TEST_SEAL_KEY}\n"+tt.options+"\n}\nintegration acme-s3\n}\n}\n")
			wantError(t, err, tt.want)
			if at := fmt.Sprintf(", at Caddyfile:%d", tt.line); tt.line > 0 && err != nil && !strings.HasSuffix(err.Error(), at) {
				t.Errorf("%v; want %q at its end", err, at)
			}
			if err != nil && (strings.Contains(err.Error(), "topsecret") || strings.Contains(err.Error(), "hunter2")) {
				t.Errorf("a secret is in %v", err)
			}
		})
	}
}
