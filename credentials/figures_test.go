package credentials

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// tenant is an identity of the kind of which there are many: a role that a request fills in, with an
// External ID, a session name and a tag of its own, and a session token of the usual length.
func tenant(client *sts.Client, broker *Identity, n int) Identity {
	name := fmt.Sprintf("tenant-%06d", n)
	id := NewRole(client, broker, "broker", sts.AssumeRoleInput{
		RoleARN:     fmt.Sprintf("arn:aws:iam::%012d:role/customers/ProxyAccess", n),
		ExternalID:  "4d2c6f0e-8a57-4d38-9f3e-" + name,
		SessionName: name,
		Duration:    time.Hour,
		Tags:        []sts.Tag{{Key: "tenant", Value: name}},
	})
	call := id.Fetch // Which holds on to all of that.
	id.Fetch = func(context.Context, *Credentials) (*Credentials, error) {
		_ = call
		return New(sigv4.Credentials{
			AccessKeyID:     fmt.Sprintf("ASIA%016d", n),
			SecretAccessKey: fmt.Sprintf("%040d", n),
			SessionToken:    fmt.Sprintf("%06d", n) + strings.Repeat("t", 694),
		}, time.Now().Add(time.Hour), time.Now()), nil
	}
	return id
}

// sign signs one request, so that the credentials hold a signing key as they do in service.
func sign(t *testing.T, creds *Credentials) {
	t.Helper()
	target, err := sigv4.Canonicalize("/key", "", sigv4.PathSingle)
	if err != nil {
		t.Fatal(err)
	}
	err = creds.Signer.Sign(sigv4.Input{
		Method: "GET", Host: "my-bucket.s3.eu-west-1.amazonaws.com", Target: target, Header: http.Header{},
		PayloadHash: sigv4.EmptyPayloadHash, PayloadHeader: true, Service: "s3", Region: "eu-west-1", Time: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMemoryOf100000Identities puts more identities through a cache than the 100,000 that it may hold,
// each of which signs, and looks at the heap. The race detector makes that take minutes, so that there
// a tenth has to do.
func TestMemoryOf100000Identities(t *testing.T) {
	most, limit := 100_000, uint64(200<<20)
	if raceDetector {
		most, limit = most/10, limit/10
	}
	before := heapInUse()
	c := NewCache(Options{MaxIdentities: most})
	defer c.Close()
	s := newSTS(t, 0)
	broker := s.identity("broker")
	client := new(sts.Client)
	for n := range most + most/10 {
		creds, err := c.Get(context.Background(), tenant(client, &broker, n))
		if err != nil {
			t.Fatal(err)
		}
		sign(t, creds)
		if n%10_000 == 0 && c.Len() > most {
			t.Fatalf("%d identities are held, want at most %d", c.Len(), most)
		}
	}
	used := heapInUse() - before
	held := c.Len()
	if held < most*9/10 || held > most {
		t.Errorf("%d identities are held, want up to %d", held, most)
	}
	t.Logf("%d identities take %d MiB, %d bytes each", held, used>>20, used/uint64(held))
	if used > limit {
		t.Errorf("they take %d bytes, want at most %d", used, limit)
	}
}

// pace counts the fetches of all identities in each second.
type pace struct {
	mu        sync.Mutex
	perSecond map[int64]int
	latency   time.Duration
	err       error
}

func (p *pace) set(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func (p *pace) fetch(context.Context, *Credentials) (*Credentials, error) {
	p.mu.Lock()
	p.perSecond[time.Now().Unix()]++
	err := p.err
	p.mu.Unlock()
	time.Sleep(p.latency)
	if err != nil {
		return nil, err
	}
	return New(sigv4.Credentials{AccessKeyID: "A", SecretAccessKey: "B"}, time.Now().Add(time.Hour), time.Now()), nil
}

// take returns over how long there were fetches since the last take, how many in one second at most, and
// how many in all.
func (p *pace) take() (span time.Duration, most, all int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seconds := slices.Sorted(maps.Keys(p.perSecond))
	for _, n := range p.perSecond {
		most, all = max(most, n), all+n
	}
	clear(p.perSecond)
	return time.Duration(seconds[len(seconds)-1]-seconds[0]) * time.Second, most, all
}

// TestTenThousandThatExpireTogether fetches 10,000 sessions as fast as may be, so that they all expire
// at once, and looks at how they come back: in the background, and after an outage that outlasted them.
// An STS that takes 50 ms gives 16 fetches at once a rate of at most 320 a second; jitter keeps the
// refreshes far below.
func TestTenThousandThatExpireTogether(t *testing.T) {
	const bound = 320
	identities := 10_000
	if raceDetector {
		identities /= 10
	}
	inBubble(t, Options{MaxIdentities: identities}, func(t *testing.T, c *Cache) {
		p := &pace{perSecond: map[int64]int{}, latency: 50 * time.Millisecond}
		for n := range identities {
			defer c.Pin(Identity{Key: fmt.Sprint(n), Label: "role", Fetch: p.fetch})()
		}
		time.Sleep(time.Minute)
		_, most, all := p.take()
		if all != identities || most > bound {
			t.Errorf("at first: %d fetches, up to %d in a second, want %d and %d", all, most, identities, bound)
		}

		time.Sleep(45 * time.Minute)
		span, most, all := p.take()
		t.Logf("refreshed by %d fetches within %v, at most %d in a second", all, span, most)
		if all < identities || all > identities*11/10 || most > 50 || span < 10*time.Minute {
			t.Errorf("want %d refreshes over ten minutes or more, at most 50 a second", identities)
		}

		// STS is away until all have expired, and comes back.
		p.set(errors.New("down"))
		time.Sleep(time.Hour)
		for _, st := range c.Status() {
			if st.Valid || st.Failure == nil {
				t.Fatalf("after an hour without STS: %+v", st)
			}
		}
		_, most, all = p.take()
		t.Logf("during an hour of outage %d fetches failed, at most %d in a second", all, most)
		if most > bound || all > identities*(60+20) {
			t.Errorf("want at most %d a second, and one a minute for each", bound)
		}
		p.set(nil)
		back := time.Now()
		for slices.ContainsFunc(c.Status(), func(st Status) bool { return !st.Valid }) {
			time.Sleep(time.Second)
		}
		_, most, all = p.take()
		t.Logf("after it, %d fetches in %v, at most %d in a second", all, time.Since(back), most)
		if most > bound || all > identities*11/10 || time.Since(back) > 2*time.Minute {
			t.Errorf("want %d fetches within two minutes, at most %d a second", identities, bound)
		}
	})
}

// TestThrottledSTSFailsNoRequest: 1,000 sessions are in use and STS lets one call a second through,
// which is what keeping them fresh takes at least, and refuses the rest.
func TestThrottledSTSFailsNoRequest(t *testing.T) {
	const identities = 1000
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		var mu sync.Mutex
		var second int64
		var open, calls, refused int
		limit := 100 // Until all have their first.
		ids := make([]Identity, identities)
		for n := range ids {
			ids[n] = Identity{Key: fmt.Sprint(n), Label: "role", Fetch: func(context.Context, *Credentials) (*Credentials, error) {
				mu.Lock()
				defer mu.Unlock()
				if now := time.Now().Unix(); now != second {
					second, open = now, limit
				}
				if calls++; open == 0 {
					refused++
					return nil, &sts.Error{Operation: "AssumeRole", Code: "Throttling", Status: 400}
				}
				open--
				return New(sigv4.Credentials{AccessKeyID: "A", SecretAccessKey: "B"}, time.Now().Add(time.Hour), time.Now()), nil
			}}
			for {
				if _, err := c.Get(context.Background(), ids[n]); err == nil {
					break
				}
				time.Sleep(time.Second)
			}
		}
		mu.Lock()
		limit, calls, refused = 1, 0, 0
		mu.Unlock()
		for end := time.Now().Add(3 * time.Hour); time.Now().Before(end); time.Sleep(10 * time.Second) {
			for _, id := range ids {
				begun := time.Now()
				if _, err := c.Get(context.Background(), id); err != nil || time.Since(begun) != 0 {
					t.Fatalf("after %v: %v", time.Since(begun), err)
				}
			}
		}
		mu.Lock()
		defer mu.Unlock()
		t.Logf("of %d calls in three hours, STS refused %d; no request failed or waited", calls, refused)
	})
}

// TestMachineThatWasSuspended: three hours are gone, all sessions with them, and the monotonic clock did
// not notice. The first requests get new ones, each from one fetch, and nobody the old.
func TestMachineThatWasSuspended(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		jump := jumpClock(c)
		s := newSTS(t, 5*time.Hour) // So that what is fetched after the jump is valid then.
		s.latency = 100 * time.Millisecond
		for n := range 100 {
			get(t, c, s.identity(fmt.Sprint(n)))
		}
		jump(6 * time.Hour)
		s.set(func(s *fakeSTS) { s.life = 12 * time.Hour })
		begun := time.Now()
		var wg sync.WaitGroup
		for n := range 100 {
			for range 10 {
				wg.Go(func() { wantGet(t, c, s.identity(fmt.Sprint(n)), fmt.Sprintf("%d-2", n)) })
			}
		}
		wg.Wait()
		if d := time.Since(begun); d > time.Second || s.total() != 200 {
			t.Errorf("it took %v and %d fetches, want 100 at 16 at once", d, s.total()-100)
		}
	})
}
