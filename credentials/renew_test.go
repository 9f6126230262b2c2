package credentials

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// credsOf returns what the cache hands out, or fails the test.
func credsOf(t *testing.T, c *Cache, id Identity) *Credentials {
	t.Helper()
	creds, err := c.Get(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return creds
}

func TestRefusedCredentialsAreRenewedOnce(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.latency = time.Second
		id := s.identity("role")
		old := credsOf(t, c, id)
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				creds, err := c.Renew(context.Background(), id, old)
				if err != nil || creds.Value.AccessKeyID != "role-2" {
					t.Errorf("got %v, %v, want the second fetch", creds, err)
				}
			})
			wg.Go(func() { wantGet(t, c, id, "role-1") }) // Which goes on meanwhile.
		}
		wg.Wait()
		begun := time.Now()
		wantGet(t, c, id, "role-2")
		// One who comes late is given what the others got.
		if creds, err := c.Renew(context.Background(), id, old); err != nil || creds.Value.AccessKeyID != "role-2" {
			t.Errorf("got %v, %v", creds, err)
		}
		if d := time.Since(begun); d != 0 || s.calls("role") != 2 {
			t.Errorf("waited %v, %d fetches", d, s.calls("role"))
		}
	})
}

func TestUpstreamThatRefusesEverythingCausesOneFetchAMinute(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		id := s.identity("role")
		renewed := 0
		for range 3600 {
			begun := time.Now()
			if _, err := c.Renew(context.Background(), id, credsOf(t, c, id)); err == nil {
				renewed++
			} else if !errors.Is(err, errRenewed) {
				t.Fatal(err)
			}
			if d := time.Since(begun); d != 0 {
				t.Fatalf("waited %v", d)
			}
			time.Sleep(time.Second)
		}
		if n := s.calls("role"); n > 61 || renewed != 60 {
			t.Errorf("%d fetches in an hour, %d of them renewals, want one a minute", n, renewed)
		}
	})
}

func TestRefusedCredentialsThatCannotChange(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		n := 0
		id := Identity{Key: "static", Label: "static A", Local: true, Fetch: func(context.Context, *Credentials) (*Credentials, error) {
			n++
			return New(sigv4.Credentials{AccessKeyID: "A", SecretAccessKey: "B"}, time.Time{}, time.Now()), nil
		}}
		for range 10 {
			_, err := c.Renew(context.Background(), id, credsOf(t, c, id))
			if e, ok := errors.AsType[*Error](err); !ok || e.Label != "static A" || !errors.Is(e, errUnchanged) && !errors.Is(e, errRenewed) {
				t.Fatalf("got %v", err)
			}
		}
		if n != 2 {
			t.Errorf("%d fetches, want 2", n)
		}
	})
}

func TestRenewalThatFailsHarmsNobody(t *testing.T) {
	for name, tc := range map[string]struct {
		breakIt func(*fakeSTS)
		most    time.Duration
	}{
		"down": {func(s *fakeSTS) { s.err = errors.New("down") }, 0},
		"hung": {func(s *fakeSTS) { s.hang = true }, renewWait},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Options{}, func(t *testing.T, c *Cache) {
				s := newSTS(t, time.Hour)
				id := s.identity("role")
				old := credsOf(t, c, id)
				s.set(tc.breakIt)
				for range 60 {
					begun := time.Now()
					if creds, err := c.Renew(context.Background(), id, old); err == nil {
						t.Fatalf("got %v", creds)
					}
					if d := time.Since(begun); d > tc.most {
						t.Fatalf("waited %v, want at most %v", d, tc.most)
					}
					// The refusal may be wrong, and they say that they are valid.
					wantGet(t, c, id, "role-1")
					time.Sleep(time.Second)
				}
				if n := s.calls("role"); n > 10 {
					t.Errorf("%d fetches", n)
				}
				s.set(func(s *fakeSTS) { s.err, s.hang = nil, false })
				for begun := time.Now(); get(t, c, id) == "role-1"; time.Sleep(time.Second) {
					if time.Since(begun) > 90*time.Second {
						t.Fatal("no new credentials after the recovery")
					}
					_, _ = c.Renew(context.Background(), id, old)
				}
			})
		})
	}
}

func TestRenewLaterDoesNotWait(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		id := s.identity("role")
		old := credsOf(t, c, id)
		s.set(func(s *fakeSTS) { s.latency = time.Second })
		begun := time.Now()
		for range 100 {
			c.RenewLater(id, old)
		}
		if d := time.Since(begun); d != 0 {
			t.Errorf("waited %v", d)
		}
		wantGet(t, c, id, "role-1")
		time.Sleep(time.Second)
		synctest.Wait()
		wantGet(t, c, id, "role-2")
		if n := s.calls("role"); n != 2 {
			t.Errorf("%d fetches, want 2", n)
		}
	})
}

func TestRenewalObeysItsContext(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		id := s.identity("role")
		old := credsOf(t, c, id)
		s.set(func(s *fakeSTS) { s.hang = true })
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := c.Renew(ctx, id, old); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		c.Close()
		if _, err := c.Renew(context.Background(), s.identity("other"), nil); !errors.Is(err, errClosed) {
			t.Errorf("got %v", err)
		}
	})
}

// expiring is a role whose STS refuses the broker's credentials whenever refused says so.
func expiring(s *fakeSTS, from Identity, refused func(keyID string) bool) Identity {
	id := s.role("role", from)
	fetch := id.Fetch
	id.Fetch = func(ctx context.Context, from *Credentials) (*Credentials, error) {
		creds, err := fetch(ctx, from)
		if refused(from.Value.AccessKeyID) {
			return nil, &sts.Error{Operation: "AssumeRole", Code: "ExpiredToken", Message: "it is", Status: 403}
		}
		return creds, err
	}
	return id
}

// A broker's session that AWS ended early, or whose file was rewritten, must not need a restart: the
// broker is fetched again, and whoever waits for the role notices nothing.
func TestBrokerThatAWSRefusesIsRenewed(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, 0) // Nothing tells when the broker's credentials expire.
		broker := s.identity("broker")
		get(t, c, broker)
		role := expiring(s, broker, func(keyID string) bool { return keyID == "broker-1" })
		wantGet(t, c, role, "broker-2/role-2")
		if n, m := s.calls("broker"), s.calls("role"); n != 2 || m != 2 {
			t.Errorf("the broker was fetched %d times and the role %d times, want 2 and 2", n, m)
		}
	})
}

func TestBrokerThatAWSAlwaysRefusesCausesNoStorm(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, 0)
		broker := s.identity("broker")
		role := expiring(s, broker, func(string) bool { return true })
		e := wantError(t, c, role, 0)
		if !strings.Contains(e.Error(), "ExpiredToken") {
			t.Errorf("got %v", e)
		}
		for range 3600 {
			wantError(t, c, role, 0)
			time.Sleep(time.Second)
		}
		if n, m := s.calls("broker"), s.calls("role"); n > 62 || m > 2*62+10 {
			t.Errorf("in an hour the broker was fetched %d times and the role %d times", n, m)
		}
		if got := get(t, c, broker); got == "broker-1" {
			t.Error("the broker was not renewed")
		}
	})
}

func TestFailingRenewalOfABrokerEndsTheCall(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, 0)
		broker := s.identity("broker")
		get(t, c, broker)
		role := expiring(s, broker, func(string) bool { return true })
		s.set(func(s *fakeSTS) { s.err = &sts.Error{Code: "ExpiredToken"} })
		e := wantError(t, c, role, 0)
		if !strings.Contains(e.Error(), "broker") {
			t.Errorf("got %v, want the broker's failure", e)
		}
	})
}

func TestRefreshFetchesWheneverItIsAsked(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.err = errors.New("down")
		id := s.identity("role")
		wantError(t, c, id, 0)
		if _, err := c.Refresh(context.Background(), id); !errors.Is(err, s.err) || s.calls("role") != 2 {
			t.Errorf("during the pause: %v, %d fetches, want 2", err, s.calls("role"))
		}
		s.set(func(s *fakeSTS) { s.err, s.latency = nil, time.Second })
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if creds, err := c.Refresh(context.Background(), id); err != nil || creds.Value.AccessKeyID != "role-3" {
					t.Errorf("got %v, %v", creds, err)
				}
			})
		}
		wg.Wait()
		wantGet(t, c, id, "role-3")
		if _, err := c.Refresh(context.Background(), id); err != nil {
			t.Error(err)
		}
		wantGet(t, c, id, "role-4")
		if _, err := c.Refresh(context.Background(), Identity{Label: "x"}); err == nil {
			t.Error("an identity without a key was refreshed")
		}
	})
}
