package credentials

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// inBubble runs a test on fake time with a cache. When the test ends, the cache is closed, and the
// bubble itself fails the test should any goroutine be left.
func inBubble(t *testing.T, o Options, f func(t *testing.T, c *Cache)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := NewCache(o)
		defer c.Close()
		f(t, c)
	})
}

// get returns the key ID that the cache hands out, or fails the test.
func get(t *testing.T, c *Cache, id Identity) string {
	t.Helper()
	creds, err := c.Get(context.Background(), id)
	if err != nil {
		t.Fatalf("get %s: %v", id.Label, err)
	}
	return creds.Value.AccessKeyID
}

func wantGet(t *testing.T, c *Cache, id Identity, want string) {
	t.Helper()
	if got := get(t, c, id); got != want {
		t.Fatalf("got credentials %q, want %q", got, want)
	}
}

// wantError returns the *Error with which Get fails, which must take no time at all unless most
// says otherwise.
func wantError(t *testing.T, c *Cache, id Identity, most time.Duration) *Error {
	t.Helper()
	begun := time.Now()
	creds, err := c.Get(context.Background(), id)
	e, ok := errors.AsType[*Error](err)
	if !ok || creds != nil {
		t.Fatalf("got %v and %v, want an *Error", creds, err)
	}
	if d := time.Since(begun); d > most {
		t.Fatalf("the error took %v, want at most %v: %v", d, most, err)
	}
	return e
}

func TestFirstRequestsShareOneFetch(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.latency = time.Second
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { wantGet(t, c, s.identity("role"), "role-1") })
		}
		wg.Wait()
		wantGet(t, c, s.identity("role"), "role-1")
		if n := s.calls("role"); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
}

func TestWaitersObeyTheirOwnContext(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.latency = 5 * time.Second

		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		begun := time.Now()
		_, err := c.Get(ctx, s.identity("role"))
		e, ok := errors.AsType[*Error](err)
		if !ok || !errors.Is(err, context.DeadlineExceeded) || e.Label != "role" || !e.Temporary() {
			t.Fatalf("got %v, want a temporary error of role that wraps the deadline", err)
		}
		if d := time.Since(begun); d != time.Second {
			t.Fatalf("waited %v, want 1s", d)
		}
		// The fetch went on without the one who gave up.
		time.Sleep(5 * time.Second)
		begun = time.Now()
		wantGet(t, c, s.identity("role"), "role-1")
		if time.Since(begun) != 0 || s.calls("role") != 1 {
			t.Fatalf("took %v and %d fetches, want none and 1", time.Since(begun), s.calls("role"))
		}
	})
}

func TestFetchKeepsItsTime(t *testing.T) {
	inBubble(t, Options{FetchTimeout: 10 * time.Second}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.hang = true
		e := wantError(t, c, s.identity("role"), 10*time.Second)
		if !e.Temporary() {
			t.Errorf("%v is not temporary", e)
		}
		// Which of the two limits came first, the caller's or the fetch's, is a matter of chance.
		synctest.Wait()
		e = wantError(t, c, s.identity("role"), 0)
		if !errors.Is(e, context.DeadlineExceeded) || !e.Temporary() || !strings.Contains(e.Error(), "no answer within 10s") {
			t.Errorf("got %v, want the fetch's timeout", e)
		}
	})
}

func TestNoCallerWaitsForEverInTheQueue(t *testing.T) {
	inBubble(t, Options{MaxFetches: 1, FetchTimeout: 10 * time.Second}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.hang = true
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() { wantError(t, c, s.identity(fmt.Sprint(i)), 10*time.Second) })
		}
		wg.Wait()
		synctest.Wait()
		// Those who gave up left nothing behind that would be fetched for nobody.
		time.Sleep(time.Hour)
		if n := s.total(); n > 3 {
			t.Errorf("%d fetches of hanging identities that nobody waits for", n)
		}
		s.set(func(s *fakeSTS) { s.hang = false })
		wantGet(t, c, s.identity("new"), "new-1")
	})
}

func TestFetchesAreBounded(t *testing.T) {
	inBubble(t, Options{MaxFetches: 4}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.latency = 100 * time.Millisecond
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() { get(t, c, s.identity(fmt.Sprint(i))) })
		}
		wg.Wait()
		if s.mostAtOnce() != 4 || s.total() != 100 {
			t.Errorf("%d fetches, at most %d at once, want 100 and 4", s.total(), s.mostAtOnce())
		}
	})
}

func TestLocalIdentitiesDoNotQueue(t *testing.T) {
	inBubble(t, Options{MaxFetches: 1}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.hang = true
		go c.Get(context.Background(), s.identity("role"))
		synctest.Wait()
		env := Identity{Key: "env", Label: "env", Local: true, Fetch: func(context.Context, *Credentials) (*Credentials, error) {
			return New(sigv4.Credentials{AccessKeyID: "A", SecretAccessKey: "B"}, time.Time{}, time.Now()), nil
		}}
		begun := time.Now()
		wantGet(t, c, env, "A")
		if time.Since(begun) != 0 {
			t.Errorf("waited %v", time.Since(begun))
		}
	})
}

func TestCredentialsWithoutExpiryAreFetchedOnce(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, 0)
		release := c.Pin(s.identity("static"))
		defer release()
		for range 100 {
			wantGet(t, c, s.identity("static"), "static-1")
			time.Sleep(1000 * time.Hour)
		}
		if n := s.calls("static"); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
}

func TestUselessFetchesAreErrors(t *testing.T) {
	good := sigv4.Credentials{AccessKeyID: "A", SecretAccessKey: "TOPSECRET"}
	for name, tc := range map[string]struct {
		fetch     func(ctx context.Context) (*Credentials, error)
		want      string
		temporary bool
	}{
		"nothing":   {func(context.Context) (*Credentials, error) { return nil, nil }, "returned nothing", false},
		"no signer": {func(context.Context) (*Credentials, error) { return &Credentials{Value: good}, nil }, "returned nothing", false},
		"no key ID": {func(context.Context) (*Credentials, error) {
			return New(sigv4.Credentials{SecretAccessKey: "TOPSECRET"}, time.Time{}, time.Now()), nil
		}, "empty access key ID", false},
		"no secret": {func(context.Context) (*Credentials, error) {
			return New(sigv4.Credentials{AccessKeyID: "A"}, time.Time{}, time.Now()), nil
		}, "secret access key", false},
		"expired":   {func(context.Context) (*Credentials, error) { return New(good, time.Now(), time.Now()), nil }, "expired at 2000-01-01T00:00:00Z, and it is 2000-01-01T00:00:00Z here", false},
		"panic":     {func(context.Context) (*Credentials, error) { panic("oh no") }, "the fetch panicked: oh no", false},
		"goexit":    {func(context.Context) (*Credentials, error) { runtime.Goexit(); return nil, nil }, "ended its goroutine", true},
		"refused":   {func(context.Context) (*Credentials, error) { return nil, errors.New("no such role") }, "no such role", false},
		"retryable": {func(context.Context) (*Credentials, error) { return nil, busyError("throttled") }, "throttled", true},
		"own deadline": {func(context.Context) (*Credentials, error) {
			return nil, fmt.Errorf("reading: %w", context.DeadlineExceeded)
		}, "reading: ", true},
		"both returned": {func(context.Context) (*Credentials, error) {
			return New(good, time.Time{}, time.Now()), errors.New("no such role")
		}, "no such role", false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Options{}, func(t *testing.T, c *Cache) {
				id := Identity{Key: "k", Label: "the role", Fetch: func(ctx context.Context, _ *Credentials) (*Credentials, error) { return tc.fetch(ctx) }}
				e := wantError(t, c, id, 0)
				if !strings.HasPrefix(e.Error(), "credentials of the role: ") || !strings.Contains(e.Error(), tc.want) {
					t.Errorf("got %q, want it to name the role and to contain %q", e, tc.want)
				}
				if strings.Contains(e.Error(), "SECRET") {
					t.Errorf("a secret in %q", e)
				}
				if e.Temporary() != tc.temporary {
					t.Errorf("temporary is %v, want %v: %v", e.Temporary(), tc.temporary, e)
				}
				// The place among the running fetches was given back.
				if c.queue.running != 0 {
					t.Errorf("%d fetches are still counted as running", c.queue.running)
				}
			})
		})
	}
}

func TestPanicKeepsItsStack(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		id := Identity{Key: "k", Label: "role", Fetch: func(context.Context, *Credentials) (*Credentials, error) { panic("oh no") }}
		p, ok := errors.AsType[*PanicError](wantError(t, c, id, 0))
		if !ok || !strings.Contains(string(p.Stack), "TestPanicKeepsItsStack") {
			t.Errorf("got %v, want a PanicError with the stack of the fetch", p)
		}
	})
}

func TestIdentitiesThatCannotBeAreRefused(t *testing.T) {
	s := newSTS(t, time.Hour)
	circle := s.identity("a")
	circle.From = &circle
	long := s.identity("0")
	for i := range maxChain {
		long = s.role(fmt.Sprint(i+1), long)
	}
	keyless := s.identity("a")
	keyless.Key = ""
	for name, id := range map[string]Identity{
		"circle":   circle,
		"long":     long,
		"no key":   keyless,
		"no fetch": {Key: "k"},
		"broker":   s.role("b", keyless),
	} {
		inBubble(t, Options{}, func(t *testing.T, c *Cache) {
			if e := wantError(t, c, id, 0); e.Temporary() {
				t.Errorf("%s: %v is temporary", name, e)
			}
			release := c.Pin(id)
			release()
			if s.total() != 0 || len(c.Status()) != 0 {
				t.Errorf("%s: %d fetches, status %v, want nothing", name, s.total(), c.Status())
			}
		})
	}
}

func TestCloseEndsEverything(t *testing.T) {
	// That no goroutine is left is checked by the bubble.
	synctest.Test(t, func(t *testing.T) {
		c := NewCache(Options{MaxFetches: 2})
		s := newSTS(t, time.Hour)
		wantGet(t, c, s.identity("held"), "held-1")
		s.set(func(s *fakeSTS) { s.hang = true })

		var wg sync.WaitGroup
		ids := []Identity{s.identity("running"), s.identity("queued"), s.role("chained", s.identity("broker")), s.role("r", s.role("q", s.identity("p")))}
		for _, id := range ids {
			wg.Go(func() {
				if e := wantError(t, c, id, 0); !e.Temporary() {
					t.Errorf("%v is not temporary", e)
				}
			})
		}
		synctest.Wait()
		started := s.total()
		c.Close()
		wg.Wait()
		if s.total() != started {
			t.Errorf("%d fetches began after Close", s.total()-started)
		}
		c.Close() // Again does nothing.

		wantGet(t, c, s.identity("held"), "held-1")
		for _, id := range append(ids, s.identity("new")) {
			wantError(t, c, id, 0)
		}
		c.Pin(s.identity("late"))()
		time.Sleep(2 * time.Hour)
		wantError(t, c, s.identity("held"), 0)
		if n := s.calls("held"); n != 1 {
			t.Errorf("%d fetches, want none after Close", n)
		}
	})
}
