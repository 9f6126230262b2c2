package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
)

// verify is what a receiver does, written from the Standard Webhooks specification and not from this package.
func verify(secret string, got received, now time.Time) error {
	text, isStandard := strings.CutPrefix(secret, "whsec_")
	key := []byte(text)
	if isStandard {
		var err error
		if key, err = base64.StdEncoding.DecodeString(text); err != nil {
			return err
		}
	}
	id, timestamp := got.header.Get("Webhook-Id"), got.header.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return err
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > 5*time.Minute || age < -5*time.Minute {
		return fmt.Errorf("it is %v old", age)
	}
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%s.%s.%s", id, timestamp, got.body)
	want := "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
	if !slices.Contains(strings.Split(got.header.Get("Webhook-Signature"), " "), want) {
		return fmt.Errorf("the signature %q is not %q", got.header.Get("Webhook-Signature"), want)
	}
	return nil
}

func plainHMAC(secret string, body []byte) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// live goes through all that happens to a connection, and calls step after each.
func live(b *bed, step func(Event, connect.Connection)) {
	b.t.Helper()
	c := b.connect("globex")
	step(EventCreation, c)
	b.clock.pass(time.Hour)
	token, session, err := b.store.CreateReconnectSession(b.t.Context(), c.ID, connect.NewSession{Integration: "acme-s3"})
	if err != nil {
		b.t.Fatal(err)
	}
	if c, err = b.finish(token, session); err != nil {
		b.t.Fatal(err)
	}
	step(EventOverride, c)
	b.clock.pass(time.Hour)
	b.update(c, func(c *connect.Connection) {
		c.LastError = &connect.Failure{Code: connect.CodeAssumeRoleDenied, Text: "AWS does not let us", Since: b.clock.now(), At: b.clock.now(), Days: 1}
	})
	step(EventRefreshFailure, c)
	b.clock.pass(72 * time.Hour)
	b.update(c, func(c *connect.Connection) { c.LastError.Exhausted = b.clock.now() })
	step(EventRefreshFailure, c)
	b.clock.pass(time.Hour)
	b.update(c, func(c *connect.Connection) { c.LastError = nil })
	step(EventRecovery, c)
	b.update(c, func(c *connect.Connection) { c.Paused = true }) // Of which nobody is told.
	b.clock.pass(time.Hour)
	if err := b.store.DeleteConnection(b.t.Context(), c.ID); err != nil {
		b.t.Fatal(err)
	}
	step(EventDeletion, c)
}

func TestEveryEventIsTold(t *testing.T) {
	r := newReceiver(t)
	b := newBed(t, &storetest.Memory{}, newClock(), trusting(r, nil), Endpoint{URL: r.URL + "/hook", Secrets: secrets(t, testSecret, oldSecret)})
	var bodies []string
	ids := make(map[string]bool)
	live(b, func(event Event, c connect.Connection) {
		b.run()
		got := r.take()
		if len(got) != 1 {
			t.Fatalf("%s: %d requests", event, len(got))
		}
		for _, secret := range []string{testSecret, oldSecret} {
			if err := verify(secret, got[0], b.clock.now()); err != nil {
				t.Errorf("%s: %v", event, err)
			}
		}
		h := got[0].header
		if h.Get("X-Nango-Hmac-Sha256") != plainHMAC(testSecret, got[0].body) || h.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v", event, h)
		}
		if id := h.Get("Webhook-Id"); ids[id] || !strings.HasPrefix(id, "msg_") {
			t.Errorf("%s: the ID %q is there already, or none", event, id)
		}
		ids[h.Get("Webhook-Id")] = true
		if strings.Contains(string(got[0].body), c.ExternalID) {
			t.Errorf("%s tells the External ID", event)
		}
		bodies = append(bodies, strings.ReplaceAll(string(got[0].body), c.ID, "ID"))
	})
	const (
		head = `{"from":"nango","type":"auth","connectionId":"ID","providerConfigKey":"acme-s3","authMode":"AWS_SIGV4","provider":"aws-sigv4","environment":"prod","operation":`
		who  = `"tags":{"area":"<eu> & us","team":"search"},"endUser":{"endUserId":"u-7","endUserEmail":"ann@globex.example","organizationId":"globex","tags":{"plan":"pro"}},`
		role = `"account":"111111111111","roleArn":"arn:aws:iam::111111111111:role/Customer","region":"eu-west-1",`
		why  = `"error":{"type":"assume_role_denied","description":"AWS does not let us"},`
	)
	want := []string{
		head + `"creation","success":true,` + who + `"event":"creation","time":"2026-03-01T12:00:00Z",` + role + `"externalIdProbe":"proven"}`,
		head + `"override","success":true,` + who + `"event":"override","time":"2026-03-01T13:00:00Z",` + role + `"externalIdProbe":"proven"}`,
		head + `"refresh","success":false,` + why + who + `"event":"refresh_failure","time":"2026-03-01T14:00:00Z",` + role + `"failingSince":"2026-03-01T14:00:00Z","externalIdProbe":"proven"}`,
		head + `"refresh","success":false,` + why + who + `"event":"refresh_failure","time":"2026-03-04T14:00:00Z",` + role + `"failingSince":"2026-03-01T14:00:00Z","exhausted":true,"externalIdProbe":"proven"}`,
		head + `"refresh","success":true,` + who + `"event":"recovery","time":"2026-03-04T15:00:00Z",` + role + `"failingSince":"2026-03-01T14:00:00Z","externalIdProbe":"proven"}`,
		head + `"deletion","success":true,` + who + `"event":"deletion","time":"2026-03-04T16:00:00Z",` + role + `"externalIdProbe":"proven"}`,
	}
	for i := range want {
		if i >= len(bodies) || bodies[i] != want[i] {
			t.Errorf("got  %s\nwant %s", bodies[i], want[i])
		}
	}
	if n := b.QueueLength(); n != 0 {
		t.Errorf("%d are still there", n)
	}
	for _, o := range b.outcomes() {
		if !strings.HasSuffix(o, " delivered") {
			t.Error(o)
		}
	}
}

func TestWhoIsTold(t *testing.T) {
	r := newReceiver(t)
	for name, tc := range map[string]struct {
		endpoints []Endpoint
		own       string
		want      []string
	}{
		"nobody":           {want: nil},
		"several":          {endpoints: []Endpoint{{URL: "/a"}, {URL: "/b"}}, want: []string{"/a", "/b"}},
		"chosen events":    {endpoints: []Endpoint{{URL: "/a", Events: []Event{EventDeletion}}, {URL: "/b", Events: []Event{EventCreation, EventRecovery}}}, want: []string{"/b"}},
		"its own":          {endpoints: []Endpoint{{URL: "/a"}, {URL: "/b"}}, own: "/own", want: []string{"/own"}},
		"its own, by name": {endpoints: []Endpoint{{URL: "/a", Events: []Event{EventDeletion}}, {Events: []Event{EventCreation}}}, own: "/own", want: []string{"/own"}},
		"its own, not all": {endpoints: []Endpoint{{URL: "/a"}, {Events: []Event{EventDeletion}}}, own: "/own", want: nil},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range tc.endpoints {
				e := &tc.endpoints[i]
				e.Secrets = secrets(t, testSecret)
				if e.URL == "" {
					e.Secrets = secrets(t, oldSecret)
				} else {
					e.URL = r.URL + e.URL
				}
			}
			b := newBed(t, &storetest.Memory{}, newClock(), trusting(r, nil), tc.endpoints...)
			n := b.session("globex")
			if tc.own != "" {
				n.WebhookURL = r.URL + tc.own
			}
			b.connectWith(n)
			b.run()
			var paths []string
			for _, got := range r.take() {
				paths = append(paths, got.path)
				secret := testSecret
				if tc.own != "" && tc.endpoints[1].URL == "" {
					secret = oldSecret
				}
				if err := verify(secret, got, b.clock.now()); err != nil {
					t.Error(err)
				}
			}
			slices.Sort(paths)
			if !slices.Equal(paths, tc.want) {
				t.Errorf("%v, want %v", paths, tc.want)
			}
		})
	}
}

// TestAnOldWebhookIsNoNewOne: what was overheard does not pass for new, and an attempt later does.
func TestAnOldWebhookIsNoNewOne(t *testing.T) {
	b, r := newSimpleBed(t, nil)
	b.connect("globex")
	b.run()
	got := r.take()[0]
	if err := verify(testSecret, got, b.clock.now().Add(4*time.Minute)); err != nil {
		t.Error(err)
	}
	if err := verify(testSecret, got, b.clock.now().Add(6*time.Minute)); err == nil {
		t.Error("an old one is taken for new")
	}
	moved := received{got.path, got.header.Clone(), got.body}
	moved.header.Set("Webhook-Timestamp", strconv.FormatInt(b.clock.now().Add(6*time.Minute).Unix(), 10))
	if err := verify(testSecret, moved, b.clock.now().Add(6*time.Minute)); err == nil {
		t.Error("one whose time was altered is taken for new")
	}
	renamed := received{got.path, got.header.Clone(), got.body}
	renamed.header.Set("Webhook-Id", "msg_other")
	if err := verify(testSecret, renamed, b.clock.now()); err == nil {
		t.Error("one with another ID is accepted")
	}
}

func TestSecretsTellThemselvesToNobody(t *testing.T) {
	s := secrets(t, testSecret)[0]
	text, err := json.Marshal(map[string]any{"s": s, "o": Endpoint{Secrets: []Secret{s}}})
	all := string(text) + fmt.Sprintf("%v %+v %#v %s %q %x", s, Endpoint{Secrets: []Secret{s}}, s, s, s, s.String())
	if err != nil || strings.Contains(all, "MfKQ9r8") || strings.Contains(all, string(s.key)) {
		t.Errorf("%s, %v", all, err)
	}
	for text, want := range map[string]string{
		"short": "5 characters", "whsec_short": "11 characters", "whsec_c2hvcnQgb2Y=": "24 to 64 bytes", "whsec_%%%%%%%%%%%%%%%%%": "24 to 64 bytes",
		"sixteen letters-": "visible ASCII", "sixteen-letters-": "", testSecret: "",
	} {
		_, err := ParseSecret(text)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), text)) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// eventIn returns the event of a body.
func eventIn(t testing.TB, text []byte) Event {
	t.Helper()
	var b struct{ Event Event }
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	return b.Event
}
