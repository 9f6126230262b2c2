package stshelper_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/stshelper"
)

// evilRole is a role of another account that the key acme may ask for.
const evilRole = "arn:aws:iam::999999999999:role/acme-evil"

// direct asks for a role without a network in between, so that thousands can ask at once.
func (b *bed) direct(secret, role, externalID string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/assume-role", strings.NewReader(fmt.Sprintf(`{"role_arn":%q,"external_id":%q}`, role, externalID)))
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Api-Key", secret)
	w := httptest.NewRecorder()
	b.Config.Handler.ServeHTTP(w, r)
	return w
}

// newBedOfKeys has umbrella as an API key.
func newBedOfKeys(t *testing.T) *bed {
	t.Helper()
	cache := credentials.NewCache(credentials.Options{FetchTimeout: 3 * time.Second})
	t.Cleanup(cache.Close)
	return newBed(t, func(o *stshelper.Options) { o.Keys[1].User, o.Cache = "", cache })
}

// TestFloodOfOneKeyIsNotFeltByOthers: while STS hangs for hundreds of sessions that one key asks for, another
// key gets its own at once, and what the first one has is still served. The rest is told to come again.
func TestFloodOfOneKeyIsNotFeltByOthers(t *testing.T) {
	b := newBedOfKeys(t)
	b.sts.Answer(func(c ststest.Call) ststest.Answer {
		return ststest.Answer{Hang: c.Form.Get("RoleArn") == evilRole}
	})
	b.assume(acmeSecret, acmeRole, "acme:1", "").issued(t)

	const flood = 1000
	answers := make(chan *httptest.ResponseRecorder, flood)
	var wg sync.WaitGroup
	for i := range flood {
		wg.Go(func() { answers <- b.direct(acmeSecret, evilRole, fmt.Sprintf("acme:%d", i)) })
	}
	defer wg.Wait()
	var refused *httptest.ResponseRecorder
	select {
	case refused = <-answers:
	case <-time.After(2 * time.Second):
		t.Error("nobody of the flood was refused soon")
	}

	began := time.Now()
	if w := b.direct(umbSecret, umbRole, "umb:1"); w.Code != 200 || time.Since(began) > 2*time.Second {
		t.Errorf("the other key got %d %s after %v", w.Code, w.Body, time.Since(began))
	}
	if w := b.direct(acmeSecret, acmeRole, "acme:1"); w.Code != 200 {
		t.Errorf("a session in the cache was answered %d %s", w.Code, w.Body)
	}
	if refused == nil {
		return
	}
	if refused.Code != 429 || refused.Header().Get("Retry-After") == "" || !strings.Contains(refused.Body.String(), `"error":"too_many_requests"`) {
		t.Errorf("the flood got %d %s", refused.Code, refused.Body)
	}
	if calls := len(b.sts.Calls()); calls > 10 {
		t.Errorf("STS was called %d times", calls)
	}
}

// TestRefusalsOfOneKeyEvictNobody: however many roles of one key AWS refuses, sessions of others stay.
func TestRefusalsOfOneKeyEvictNobody(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes 10,300 calls")
	}
	b := newBedOfKeys(t)
	b.sts.Answer(func(c ststest.Call) ststest.Answer {
		if c.Form.Get("RoleArn") == evilRole {
			return ststest.Answer{Status: 403, Code: "AccessDenied", Message: "no"}
		}
		return ststest.Answer{}
	})
	if w := b.direct(umbSecret, umbRole, "umb:1"); w.Code != 200 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	time.Sleep(1100 * time.Millisecond) // The time of last use is exact to a second.
	var wg sync.WaitGroup
	for part := range 32 {
		wg.Go(func() {
			for i := part; i < 10_300; i += 32 {
				b.direct(acmeSecret, evilRole, fmt.Sprintf("acme:%d", i))
			}
		})
	}
	wg.Wait()
	b.sts.Answer(func(ststest.Call) ststest.Answer { return ststest.Answer{Status: 503, Code: "ServiceUnavailable"} })
	if w := b.direct(umbSecret, umbRole, "umb:1"); w.Code != 200 {
		t.Errorf("the other key's session is gone: %d %s", w.Code, w.Body)
	}
}

// TestWaitingInVainIsBusy: who waited for a turn that did not come is not told that STS did not answer.
func TestWaitingInVainIsBusy(t *testing.T) {
	cache := credentials.NewCache(credentials.Options{FetchTimeout: 500 * time.Millisecond, MaxFetchesPerOwner: 1})
	t.Cleanup(cache.Close)
	b := newBed(t, func(o *stshelper.Options) { o.Cache = cache })
	b.sts.Answer(func(ststest.Call) ststest.Answer { return ststest.Answer{Hang: true} })
	answers := make(chan string, 6)
	for i := range cap(answers) {
		go func() {
			w := b.direct(acmeSecret, evilRole, fmt.Sprintf("acme:%d", i))
			answers <- fmt.Sprint(w.Code, " ", w.Header().Get("Retry-After"), w.Body)
		}()
	}
	busy, silent := 0, 0
	for range cap(answers) {
		switch a := <-answers; {
		case strings.HasPrefix(a, "503 1") && strings.Contains(a, "the helper is busy"):
			busy++
		case strings.HasPrefix(a, "503 1") && strings.Contains(a, "STS did not answer"):
			silent++
		default:
			t.Errorf("got %s", a)
		}
	}
	if busy == 0 || silent == 0 {
		t.Errorf("%d were told that the helper is busy, %d that STS did not answer", busy, silent)
	}
}
