package stshelper_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/stshelper"
)

// TestCallerThatHangsUp is no failure of ours.
func TestCallerThatHangsUp(t *testing.T) {
	b := newBed(t, func(o *stshelper.Options) { o.Keys[0].Probe = true })
	b.sts.Answer(func(ststest.Call) ststest.Answer { return ststest.Answer{Hang: true} })
	for _, path := range []string{"/assume-role", "/probe-external-id"} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		r := httptest.NewRequest("POST", path, strings.NewReader(`{"role_arn":"`+acmeRole+`","external_id":"acme:1"}`)).WithContext(ctx)
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Api-Key", acmeSecret)
		b.Config.Handler.ServeHTTP(httptest.NewRecorder(), r)
		cancel()
		if e := b.lastAudited(); e.Outcome != stshelper.Abandoned || e.Status != 499 || e.Key != "acme" {
			t.Errorf("%s: audited %+v", path, e)
		}
	}
}

// TestSessionNamesTellKeysApart: CloudTrail shows nothing else of a key.
func TestSessionNamesTellKeysApart(t *testing.T) {
	keys := func(first, second stshelper.Key) error {
		b := &bed{t: t}
		o := b.options(nil)
		for _, k := range []*stshelper.Key{&first, &second} {
			k.Roles = []string{acmeRole}
		}
		first.Secrets, second.Secrets = []string{acmeSecret}, []string{roSecret}
		o.Keys = []stshelper.Key{first, second}
		_, err := stshelper.New(o)
		return err
	}
	err := keys(stshelper.Key{Name: "a"}, stshelper.Key{Name: "a-"})
	if err == nil || !strings.Contains(err.Error(), `the sessions of the keys "a" and "a-" would have the same name, "a-"`) {
		t.Errorf("got %v", err)
	}
	if err := keys(stshelper.Key{Name: "a"}, stshelper.Key{Name: "a_"}); err != nil {
		t.Error(err)
	}
	// Whoever gives all keys one name has said so.
	if err := keys(stshelper.Key{Name: "a", SessionName: "helper"}, stshelper.Key{Name: "b", SessionName: "helper"}); err != nil {
		t.Error(err)
	}
}
