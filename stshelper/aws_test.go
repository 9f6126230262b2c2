package stshelper_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/stshelper"
)

// TestWhatAWSRefuses: denials are 4xx with AWS's code and request ID, faults 502 or 503.
func TestWhatAWSRefuses(t *testing.T) {
	for _, tc := range []struct {
		status  int
		code    string
		want    int
		word    string
		outcome stshelper.Outcome
		retry   bool
	}{
		{403, "AccessDenied", 403, "assume_role_failed", stshelper.Denied, false},
		{400, "ValidationError", 400, "assume_role_failed", stshelper.Denied, false},
		{403, "RegionDisabledException", 403, "assume_role_failed", stshelper.Denied, false},
		{401, "SomethingNew", 403, "assume_role_failed", stshelper.Denied, false},
		{403, "InvalidClientTokenId", 502, "assume_role_failed", stshelper.Failed, false},
		{403, "SignatureDoesNotMatch", 502, "assume_role_failed", stshelper.Failed, false},
		{403, "ExpiredToken", 502, "assume_role_failed", stshelper.Failed, false},
		{400, "Throttling", 503, "assume_role_failed", stshelper.Failed, true},
		{500, "InternalFailure", 503, "assume_role_failed", stshelper.Failed, true},
		{503, "ServiceUnavailable", 503, "assume_role_failed", stshelper.Failed, true},
	} {
		t.Run(tc.code, func(t *testing.T) {
			b := newBed(t, nil)
			b.sts.Answer(func(ststest.Call) ststest.Answer {
				return ststest.Answer{Status: tc.status, Code: tc.code, Message: "said AWS"}
			})
			r := b.assume(acmeSecret, acmeRole, "acme:1", "")
			want := map[string]string{"error": tc.word, "code": tc.code, "requestId": "fedcba98-7654-3210-fedc-ba9876543210"}
			if tc.outcome == stshelper.Denied {
				want["message"] = "said AWS"
			} else {
				want["message"] = "~the log of the helper says more"
			}
			r.expect(t, tc.want, want)
			if got := r.header.Get("Retry-After"); (got != "") != tc.retry {
				t.Errorf("Retry-After is %q", got)
			}
			e := b.lastAudited()
			if e.Advice == "" {
				t.Error("no advice")
			}
			if e.Outcome != tc.outcome || e.Code != tc.code || e.RequestID == "" || e.Err == nil || e.RoleARN != acmeRole || e.Status != tc.want {
				t.Errorf("audited %+v", e)
			}
		})
	}
	t.Run("no credentials", func(t *testing.T) {
		b := newBed(t, nil)
		b.sts.Answer(func(ststest.Call) ststest.Answer {
			return ststest.Answer{Body: `<AssumeRoleResponse><AssumeRoleResult></AssumeRoleResult></AssumeRoleResponse>`}
		})
		b.assume(acmeSecret, acmeRole, "acme:1", "").expect(t, 502, map[string]string{"error": "sts_missing_credentials"})
	})
	t.Run("no AWS", func(t *testing.T) {
		b := newBed(t, nil)
		b.sts.Answer(func(ststest.Call) ststest.Answer { return ststest.Answer{Status: 404, Body: "<html>not here</html>"} })
		b.assume(acmeSecret, acmeRole, "acme:1", "").expect(t, 502, map[string]string{"error": "assume_role_failed"})
	})
	t.Run("nobody there", func(t *testing.T) {
		b := newBed(t, nil)
		b.sts.Close()
		r := b.assume(acmeSecret, acmeRole, "acme:1", "")
		r.expect(t, 503, map[string]string{"error": "assume_role_failed"})
		if r.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	})
	t.Run("a broker that is a role and denied", func(t *testing.T) {
		b := newBed(t, func(o *stshelper.Options) {
			inner := o.Broker
			o.Broker.Key, o.Broker.From, o.Broker.RoleARN = "role", &inner, "arn:aws:iam::123456789012:role/Broker"
			o.Broker.Fetch = failingFetch(nil) // Not reached: its own broker has nothing.
			inner.Fetch = failingFetch(&sts.Error{Operation: "AssumeRole", Code: "AccessDenied", Status: 403, RequestID: "r", Message: "about the broker"})
		})
		r := b.assume(acmeSecret, acmeRole, "acme:1", "")
		r.expect(t, 502, map[string]string{"error": "assume_role_failed", "code": "", "message": "~broker"})
		if strings.Contains(r.text, "about the broker") {
			t.Errorf("the caller sees %s", r.text)
		}
	})
}

// TestCache: one session serves many calls of one key and no other's, with its true remaining life.
func TestCache(t *testing.T) {
	b := newBed(t, nil)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { b.assume(acmeSecret, acmeRole, "acme:1", "") })
	}
	wg.Wait()
	if n := len(b.sts.Calls()); n != 1 {
		t.Fatalf("STS was called %d times", n)
	}
	first := b.assume(acmeSecret, acmeRole, "acme:1", "")
	mine := first.issued(t)
	if e := b.lastAudited(); !e.Cached || e.AccessKeyID != mine || e.Expires.IsZero() {
		t.Errorf("audited %+v", e)
	}
	if again := b.assume("acme-older-0123456789abcdef", acmeRole, "acme:1", ""); again.issued(t) != mine || again.json["expiresAt"] != first.json["expiresAt"] {
		t.Errorf("the same key's other secret got %s", again.text)
	}
	// The same role and External ID for another key, and the same key's GET, are other sessions,
	// even where nothing tells them apart for AWS.
	theirs := b.do("POST", "/assume-role", `{"role_arn":"`+acmeRole+`","external_id":"acme:1"}`, isJSON, basic("umbrella", umbSecret)).issued(t)
	other := b.assume(acmeSecret, acmeRole, "acme:2", "").issued(t)
	if theirs == mine || other == mine {
		t.Errorf("%s, %s and %s should differ", mine, theirs, other)
	}

	same := newBed(t, func(o *stshelper.Options) {
		for i := range o.Keys {
			o.Keys[i].SessionName = "one-name"
		}
	})
	mine = same.assume(acmeSecret, acmeRole, "acme:1", "").issued(t)
	theirs = same.do("POST", "/assume-role", `{"role_arn":"`+acmeRole+`","external_id":"acme:1"}`, isJSON, basic("umbrella", umbSecret)).issued(t)
	if mine == theirs {
		t.Error("two keys share a session")
	}
}

// TestShortLife: credentials with little life left are renewed before they are handed out; if that
// fails, the old ones are, with their true expiry.
func TestShortLife(t *testing.T) {
	b := newBed(t, nil)
	var life atomic.Int64
	life.Store(int64(5 * time.Minute))
	b.sts.Answer(func(ststest.Call) ststest.Answer { return ststest.Answer{Life: time.Duration(life.Load())} })
	left := func(r reply) time.Duration {
		r.issued(t)
		at, err := time.Parse(time.RFC3339, r.json["expiresAt"].(string))
		if err != nil {
			t.Fatal(err)
		}
		return time.Until(at)
	}
	// The first session is short, so it is asked for once more, in vain.
	if got := left(b.assume(acmeSecret, acmeRole, "acme:1", "")); got > 5*time.Minute || got < 4*time.Minute {
		t.Errorf("%v left", got)
	}
	if n := len(b.sts.Calls()); n != 2 {
		t.Errorf("STS was called %d times, want 2", n)
	}
	// Not again within a minute: STS is not to be called for each request.
	left(b.assume(acmeSecret, acmeRole, "acme:1", ""))
	if n := len(b.sts.Calls()); n != 2 {
		t.Errorf("STS was called %d times, want 2", n)
	}

	life.Store(int64(time.Hour))
	first := true
	b.sts.Answer(func(ststest.Call) ststest.Answer {
		if first {
			first = false
			return ststest.Answer{Life: 5 * time.Minute}
		}
		return ststest.Answer{Life: time.Hour}
	})
	if got := left(b.assume(acmeSecret, acmeRole, "acme:2", "")); got < 59*time.Minute {
		t.Errorf("%v left, want newer credentials", got)
	}

	// STS is away: what is valid is handed out, soon.
	first = true
	b.sts.Answer(func(c ststest.Call) ststest.Answer {
		if first {
			first = false
			return ststest.Answer{Life: 5 * time.Minute}
		}
		return ststest.Answer{Hang: true}
	})
	began := time.Now()
	if got := left(b.assume(acmeSecret, acmeRole, "acme:3", "")); got > 5*time.Minute {
		t.Errorf("%v left", got)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestContainerCredentials: what an SDK gets, and what it is told.
func TestContainerCredentials(t *testing.T) {
	b := newBed(t, func(o *stshelper.Options) {
		o.Keys = append(o.Keys, stshelper.Key{Name: "user", User: "u", Secrets: []string{"password-0123456789"}, Role: acmeRole, ExternalID: "acme:user"})
	})
	for _, auth := range []string{roSecret, "Bearer " + roSecret} {
		r := b.do("GET", "/credentials/ro", "", "Authorization: "+auth)
		r.expect(t, 200, map[string]string{"RoleArn": acmeRole})
		if len(r.json) != 5 {
			t.Errorf("got %s", r.text)
		}
		for _, name := range []string{"AccessKeyId", "SecretAccessKey", "Token", "Expiration"} {
			if v, _ := r.json[name].(string); v == "" {
				t.Errorf("%s is missing: %s", name, r.text)
			}
		}
		if _, err := time.Parse("2006-01-02T15:04:05Z", fmt.Sprint(r.json["Expiration"])); err != nil {
			t.Error(err)
		}
	}
	b.do("GET", "/credentials/user", "", basic("u", "password-0123456789")).issued(t)
	calls := b.sts.Calls()
	if len(calls) != 2 || calls[0].Form.Get("ExternalId") != "acme:container" || calls[0].Form.Get("RoleSessionName") != "ro" {
		t.Errorf("STS was called with %v", calls)
	}
	b.do("GET", "/credentials/ro", "").expect(t, 401, map[string]string{"error": "invalid_api_key", "code": "invalid_api_key", "message": "invalid api key"})
	b.do("GET", "/credentials/ro", "", "Authorization: x").expect(t, 401, nil)
	for _, name := range []string{"acme", "umbrella", "nobody", "", "Ro", "ro%2F"} {
		b.do("GET", "/credentials/"+name, "", "Authorization: "+roSecret).expect(t, map[bool]int{true: 404, false: 403}[name == "ro%2F"], nil)
	}
	b.do("GET", "/credentials/acme", "", "Authorization: "+acmeSecret).expect(t, 403, map[string]string{"code": "not_permitted", "message": "~no role of its own"})

	b.sts.Answer(func(ststest.Call) ststest.Answer {
		return ststest.Answer{Status: 403, Code: "AccessDenied", Message: "no"}
	})
	o := newBed(t, nil)
	o.sts.Answer(func(ststest.Call) ststest.Answer {
		return ststest.Answer{Status: 403, Code: "AccessDenied", Message: "no"}
	})
	o.do("GET", "/credentials/ro", "", "Authorization: "+roSecret).expect(t, 403, map[string]string{"code": "AccessDenied", "message": "no"})
}

// TestEntriesHoldNoSecret: neither what callers show, nor what they get, nor an External ID in clear.
func TestEntriesHoldNoSecret(t *testing.T) {
	b := newBed(t, nil)
	answer := b.assume(acmeSecret, acmeRole, "acme:private-id", `,"service":"s3"`)
	secret := answer.json["secretAccessKey"].(string)
	token := answer.json["sessionToken"].(string)
	b.assume("a-wrong-secret-0123456789", acmeRole, "acme:private-id", "")
	b.assume(acmeSecret, umbRole, "acme:private-id", "")
	b.assume(acmeSecret, acmeRole, "not:private-id", "")
	b.sts.Answer(func(c ststest.Call) ststest.Answer {
		return ststest.Answer{Status: 403, Code: "SignatureDoesNotMatch", Message: "with " + c.Key.Secret}
	})
	b.assume(acmeSecret, acmeRole, "acme:another-private-id", "")
	entries := b.audited()
	if len(entries) != 5 {
		t.Fatalf("%d entries, want 5", len(entries))
	}
	if entries[0].ExternalID == "" || entries[0].ExternalID != entries[2].ExternalID || entries[0].ExternalID == entries[4].ExternalID || entries[0].Service != "s3" {
		t.Errorf("External IDs are told as %q, %q, %q", entries[0].ExternalID, entries[2].ExternalID, entries[4].ExternalID)
	}
	for _, e := range entries {
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		all := string(text) + fmt.Sprintf("%+v %v", e, e.Err)
		for _, s := range []string{acmeSecret, "a-wrong-secret", secret, token, "private-id", "broker-secret"} {
			if strings.Contains(all, s) {
				t.Errorf("%q is in %s", s, all)
			}
		}
	}
}

// TestManyCallers: nothing is shared without a lock.
func TestManyCallers(t *testing.T) {
	b := newBed(t, nil)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			r := b.assume(acmeSecret, acmeRole, fmt.Sprintf("acme:%d", i%4), fmt.Sprintf(`,"region":"eu-west-%d"`, i%3+1))
			if r.status != http.StatusOK {
				t.Errorf("got %s", r.text)
			}
		})
	}
	wg.Wait()
	if n := len(b.sts.Calls()); n != 12 {
		t.Errorf("STS was called %d times, want 12", n)
	}
}
