package credentials

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// useFor uses an identity every step for as long as told, as traffic would, and fails the test if a
// single use fails or waits.
func useFor(t *testing.T, c *Cache, id Identity, step, total time.Duration) {
	t.Helper()
	for end := time.Now().Add(total); time.Now().Before(end); time.Sleep(step) {
		begun := time.Now()
		creds, err := c.Get(context.Background(), id)
		if err != nil {
			t.Fatalf("at %v: %v", begun, err)
		}
		if d := time.Since(begun); d != 0 {
			t.Fatalf("at %v a request waited %v", begun, d)
		}
		if !creds.Expires.IsZero() && time.Until(creds.Expires) < time.Minute {
			t.Fatalf("at %v credentials were served that expire in %v", begun, time.Until(creds.Expires))
		}
	}
}

func TestUsedCredentialsAreRefreshedInTheBackground(t *testing.T) {
	for range 20 { // The jitter is drawn anew each time.
		inBubble(t, Options{}, func(t *testing.T, c *Cache) {
			s := newSTS(t, time.Hour)
			s.latency = 2 * time.Second
			get(t, c, s.identity("role"))
			useFor(t, c, s.identity("role"), 10*time.Second, 24*time.Hour)
			for i := 1; i < s.calls("role"); i++ {
				// 59 minutes are served, of which half to seven tenths pass.
				gap := s.times("role")[i].Sub(s.times("role")[i-1])
				if gap < 29*time.Minute || gap > 42*time.Minute {
					t.Errorf("refreshed after %v, want half to seven tenths of an hour", gap)
				}
			}
			if n := s.calls("role"); n < 24*60/42 {
				t.Errorf("%d fetches in a day", n)
			}
		})
	}
}

func TestSTSDownHungOrThrottlingDisturbsNoRequestWhileCredentialsAreValid(t *testing.T) {
	throttled := &sts.Error{Operation: "AssumeRole", Code: "Throttling", Message: "Rate exceeded", Status: 400}
	for name, tc := range map[string]struct {
		breakIt func(*fakeSTS)
		why     string
	}{
		"down":       {func(s *fakeSTS) { s.err = errors.New("connection refused") }, "connection refused"},
		"hung":       {func(s *fakeSTS) { s.hang = true }, "no answer within 15s"},
		"throttling": {func(s *fakeSTS) { s.err = throttled }, "AssumeRole: Throttling: Rate exceeded (HTTP 400)"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Options{}, func(t *testing.T, c *Cache) {
				s := newSTS(t, time.Hour)
				id := s.identity("role")
				get(t, c, id)
				s.set(tc.breakIt)
				useFor(t, c, id, time.Second, 59*time.Minute)

				// A minute before they expire they are no longer served, and errors are fast: they
				// wait one second at most for each new attempt, and then not at all.
				time.Sleep(time.Second)
				begun := time.Now()
				slow := 0
				for time.Since(begun) < 30*time.Minute {
					at := time.Now()
					e := wantError(t, c, id, retryWait)
					if time.Since(at) > 0 {
						slow++
					}
					if e.Since.IsZero() || e.Attempts < 2 || e.Label != "role" || !strings.Contains(e.Error(), "of role: "+tc.why) {
						t.Fatalf("the error does not say who, why and since when: %v", e)
					}
					time.Sleep(time.Second)
				}
				if slow > 60 {
					t.Errorf("%d of 1800 errors were not immediate", slow)
				}

				// No restart is needed.
				s.set(func(s *fakeSTS) { s.hang, s.err = false, nil })
				for begun = time.Now(); ; time.Sleep(time.Second) {
					if _, err := c.Get(context.Background(), id); err == nil {
						if st := c.Status()[0]; st.Failure != nil || !st.Valid {
							t.Errorf("after the recovery the status is %+v", st)
						}
						break
					}
					if time.Since(begun) > 90*time.Second {
						t.Fatalf("no recovery after %v", time.Since(begun))
					}
				}
			})
		})
	}
}

func TestFailedRefreshIsRepeatedAfterGrowingPauses(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		defer c.Pin(s.identity("role"))()
		synctest.Wait()
		s.set(func(s *fakeSTS) { s.err = errors.New("down") })
		time.Sleep(58 * time.Minute)
		want := time.Second
		for i := 2; i < s.calls("role"); i++ {
			gap := s.times("role")[i].Sub(s.times("role")[i-1])
			if gap < want*3/4 || gap > want*5/4 {
				t.Errorf("pause %d was %v, want %v and up to a quarter more or less", i-1, gap, want)
			}
			want = min(2*want, time.Minute)
		}
		if n := s.calls("role"); n < 15 || n > 50 {
			t.Errorf("%d fetches", n)
		}
	})
}

func TestIdleIdentitiesAreNotRefreshed(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		id := s.identity("role")
		get(t, c, id)
		time.Sleep(24 * time.Hour)
		if n := s.calls("role"); n != 1 {
			t.Fatalf("%d fetches of an identity that was used once, want 1", n)
		}
		// Used again after they expired: fetched again. Used after that: refreshed once more.
		wantGet(t, c, id, "role-2")
		time.Sleep(time.Second)
		get(t, c, id)
		time.Sleep(24 * time.Hour)
		if n := s.calls("role"); n != 3 {
			t.Fatalf("%d fetches, want 3", n)
		}
	})
}

func TestUseAfterASleptRefreshBringsItBackWithoutWaiting(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.latency = time.Second
		id := s.identity("role")
		get(t, c, id)
		time.Sleep(50 * time.Minute) // Past the refresh, which nobody wanted.
		begun := time.Now()
		wantGet(t, c, id, "role-1")
		if time.Since(begun) != 0 {
			t.Fatalf("waited %v", time.Since(begun))
		}
		time.Sleep(2 * time.Second)
		wantGet(t, c, id, "role-2")
	})
}

func TestPinnedIdentitiesAreFetchedAtOnceAndKeptFresh(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		id := s.identity("role")
		first, second := c.Pin(id), c.Pin(id)
		synctest.Wait()
		if n := s.calls("role"); n != 1 {
			t.Fatalf("%d fetches after two pins, want 1", n)
		}
		time.Sleep(24 * time.Hour)
		begun := time.Now()
		get(t, c, id)
		if n := s.calls("role"); n < 24 || time.Since(begun) != 0 {
			t.Fatalf("%d fetches in a day, and a request waited %v", n, time.Since(begun))
		}

		first()
		first() // Again does nothing: the second pin still holds.
		n := s.calls("role")
		time.Sleep(24 * time.Hour)
		if s.calls("role") < n+24 {
			t.Fatalf("%d fetches in a day with one pin left", s.calls("role")-n)
		}
		second()
		n = s.calls("role")
		time.Sleep(24 * time.Hour)
		if got := s.calls("role"); got > n+1 {
			t.Fatalf("%d fetches in a day after the last release", got-n)
		}
	})
}

func TestPinRetriesWithoutTraffic(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.err = errors.New("down")
		defer c.Pin(s.identity("role"))()
		time.Sleep(time.Hour)
		s.set(func(s *fakeSTS) { s.err = nil })
		time.Sleep(76 * time.Second)
		begun := time.Now()
		get(t, c, s.identity("role"))
		if time.Since(begun) != 0 {
			t.Errorf("waited %v", time.Since(begun))
		}
	})
}

func TestPinOfAFailingIdentityKeepsItsPause(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.err = errors.New("down")
		id := s.identity("role")
		wantError(t, c, id, 0)
		time.Sleep(10 * time.Minute) // Nobody tends it any more.
		wantError(t, c, id, 0)
		for range 10 {
			c.Pin(id)()
		}
		synctest.Wait()
		if n := s.calls("role"); n != 2 {
			t.Errorf("%d fetches, want 2", n)
		}
	})
}

func TestShortLivedCredentialsAreServedAndDoNotStorm(t *testing.T) {
	// A source that cannot renew what it has, such as a metadata service late in the life of its
	// credentials, returns the same ones again and again.
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		fetches := 0
		end := time.Now().Add(10 * time.Minute)
		id := Identity{Key: "k", Label: "imds", Fetch: func(context.Context, *Credentials) (*Credentials, error) {
			fetches++
			if time.Now().After(end.Add(-time.Second)) {
				end = time.Now().Add(10 * time.Minute)
			}
			return New(sigv4.Credentials{AccessKeyID: "A", SecretAccessKey: "B"}, end, time.Now()), nil
		}}
		for begun := time.Now(); time.Since(begun) < time.Hour; time.Sleep(100 * time.Millisecond) {
			if _, err := c.Get(context.Background(), id); err != nil {
				t.Fatal(err)
			}
		}
		if fetches > 6*40 {
			t.Errorf("%d fetches in an hour of credentials that live 10 minutes", fetches)
		}
	})
}

func TestRefreshesAndRequestsTakeTurns(t *testing.T) {
	inBubble(t, Options{MaxFetches: 1}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		pinned := s.identity("pinned")
		defer c.Pin(pinned)()
		synctest.Wait()

		// A flood of new identities keeps the one place busy for hours.
		s.set(func(s *fakeSTS) { s.latency = time.Second })
		ctx, stop := context.WithCancel(context.Background())
		var flood sync.WaitGroup
		for i := range 8 {
			flood.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					_, _ = c.Get(ctx, s.identity(fmt.Sprintf("flood-%d-%d", i, n)))
				}
			})
		}
		for range 5 {
			time.Sleep(30 * time.Minute)
			begun := time.Now()
			get(t, c, pinned)
			if time.Since(begun) != 0 {
				t.Fatalf("the pinned identity waited %v", time.Since(begun))
			}
		}
		stop()
		flood.Wait()
	})
}

func TestRequestHurriesAQueuedRefresh(t *testing.T) {
	inBubble(t, Options{MaxFetches: 1}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.latency = time.Second
		for i := range 100 {
			defer c.Pin(s.identity(fmt.Sprint(i)))()
		}
		last := s.role("last", s.identity("broker"))
		defer c.Pin(last)()
		begun := time.Now()
		get(t, c, last)
		if d := time.Since(begun); d > 8*time.Second {
			t.Errorf("a request waited %v behind 100 refreshes of a second each", d)
		}
		time.Sleep(3 * time.Minute)
		if n := s.total(); n != 102 {
			t.Errorf("%d fetches, want 102", n)
		}
	})
}

func TestQueuedRefreshesAreNotForgotten(t *testing.T) {
	inBubble(t, Options{MaxFetches: 1}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		for i := range 10 {
			get(t, c, s.identity(fmt.Sprint(i)))
		}
		time.Sleep(time.Minute)
		s.set(func(s *fakeSTS) { s.latency = 2 * time.Minute / 10 })
		c.opts.FetchTimeout = time.Hour
		for i := range 10 {
			get(t, c, s.identity(fmt.Sprint(i))) // The last use of all.
		}
		time.Sleep(50 * time.Minute)
		for i := range 10 {
			if n := s.calls(fmt.Sprint(i)); n != 2 {
				t.Errorf("identity %d was fetched %d times, want 2", i, n)
			}
		}
	})
}

func TestPinInTheQueueOutlivesACallerWhoGaveUp(t *testing.T) {
	inBubble(t, Options{MaxFetches: 1}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.latency = 5 * time.Second
		defer c.Pin(s.identity("first"))()
		defer c.Pin(s.identity("second"))()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := c.Get(ctx, s.identity("second")); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		time.Sleep(10 * time.Second)
		if n := s.calls("second"); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
}

// jumpClock shifts the wall clock of a cache, and not the monotonic one. It returns a function that
// sets the shift.
func jumpClock(c *Cache) func(time.Duration) {
	steady, shift := c.now, time.Duration(0)
	c.now = func() instant {
		i := steady()
		i.wall += int64(shift)
		return i
	}
	return func(d time.Duration) {
		c.mu.Lock()
		defer c.mu.Unlock()
		shift = d
	}
}

func TestClockThatJumpsAhead(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		jump := jumpClock(c)
		s := newSTS(t, time.Hour)
		defer c.Pin(s.identity("role"))()
		synctest.Wait()

		// The machine slept, or its clock was set right: the schedule notices within its sleep.
		jump(50 * time.Minute)
		time.Sleep(maxSleep + time.Second)
		if n := s.calls("role"); n != 2 {
			t.Errorf("%d fetches after the jump, want 2", n)
		}
		// And Get notices at once.
		jump(3 * time.Hour)
		if e := wantError(t, c, s.identity("role"), 0); !strings.Contains(e.Error(), "is the clock right?") {
			t.Errorf("got %v, want a word about the clock", e)
		}
	})
}

func TestClockThatIsSetBack(t *testing.T) {
	for _, down := range []error{nil, errors.New("down")} {
		inBubble(t, Options{}, func(t *testing.T, c *Cache) {
			jump := jumpClock(c)
			s := newSTS(t, time.Hour)
			defer c.Pin(s.identity("role"))()
			synctest.Wait()

			// The refresh comes as if nothing had happened, and the end too.
			jump(-5 * time.Hour)
			s.set(func(s *fakeSTS) { s.err = down })
			time.Sleep(45 * time.Minute)
			if n := s.calls("role"); n < 2 {
				t.Errorf("%d fetches in 45 minutes, want a refresh", n)
			}
			get(t, c, s.identity("role"))
			if time.Sleep(15 * time.Minute); down != nil {
				wantError(t, c, s.identity("role"), retryWait)
			}
		})
	}
}
