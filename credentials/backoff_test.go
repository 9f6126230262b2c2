package credentials

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestFailingIdentityAnswersAtOnceDuringItsPause(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.err = errors.New("no such role")
		s.latency = time.Second
		id := s.identity("role")

		first := wantError(t, c, id, time.Second)
		if first.Attempts != 1 || !errors.Is(first, s.err) || first.Error() != "credentials of role: no such role" {
			t.Errorf("got %v after %d attempts", first, first.Attempts)
		}
		time.Sleep(time.Millisecond) // A use counts from after the fetch.
		for range 1000 {
			if e := wantError(t, c, id, 0); e != first {
				t.Fatalf("got another error: %v", e)
			}
		}
		if n := s.calls("role"); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
		// Somebody asked during the pause, so the next attempt needs no further request.
		time.Sleep(3 * time.Second)
		second := wantError(t, c, id, 0)
		if s.calls("role") != 2 || second.Attempts != 2 || second.Since != first.Since {
			t.Errorf("%d fetches, %d attempts since %v, want 2 and 2 since %v", s.calls("role"), second.Attempts, second.Since, first.Since)
		}
		if want := "2 attempts have failed since 2000-01-01T00:00:01Z"; !strings.Contains(second.Error(), want) {
			t.Errorf("got %q, want it to contain %q", second, want)
		}
	})
}

func TestFailingIdentityThatNobodyAsksForIsLeftAlone(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.err = errors.New("no such role")
		wantError(t, c, s.identity("role"), 0)
		time.Sleep(24 * time.Hour)
		if n := s.calls("role"); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
		s.set(func(s *fakeSTS) { s.err = nil })
		wantGet(t, c, s.identity("role"), "role-2")
	})
}

func TestRetryOfAFailedIdentityIsWaitedForBriefly(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		id := s.identity("role")
		s.err = errors.New("down")
		first := wantError(t, c, id, 0)
		s.set(func(s *fakeSTS) { s.err, s.hang = nil, true })
		time.Sleep(2 * time.Second)

		// The retry hangs: those who come in its first second wait until that is over.
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if e := wantError(t, c, id, retryWait); e != first {
					t.Errorf("got %v, want the error of the last fetch that ended", e)
				}
			})
		}
		wg.Wait()
		for range 10 {
			time.Sleep(time.Second)
			wantError(t, c, id, 0)
		}
		// Canceled callers hear of that, not of the earlier failure.
		time.Sleep(time.Hour)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := c.Get(ctx, id); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the caller's own end", err)
		}
	})
}

func TestBackoff(t *testing.T) {
	for n := 1; n < 200; n++ {
		nominal := time.Minute
		if n < 7 {
			nominal = time.Second << (n - 1)
		}
		least, most := time.Hour, time.Duration(0)
		for range 1000 {
			d := backoff(n, time.Second, time.Minute)
			least, most = min(least, d), max(most, d)
		}
		if least < nominal*3/4 || most > nominal*5/4 || most-least < nominal/3 {
			t.Fatalf("failure %d: pauses of %v to %v, want %v and up to a quarter more or less", n, least, most, nominal)
		}
	}
}

func TestTemporary(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want bool
	}{
		{errors.New("x"), false},
		{context.Canceled, true},
		{context.DeadlineExceeded, true},
		{errClosed, true},
		{&Error{Err: errors.New("x")}, false},
		{&Error{Err: errClosed}, true},
		{&timeoutError{err: errors.New("x")}, true},
		{&PanicError{}, false},
	} {
		if got := (&Error{Err: tc.err}).Temporary(); got != tc.want {
			t.Errorf("%T %v: temporary is %v, want %v", tc.err, tc.err, got, tc.want)
		}
	}
}

func TestLifetime(t *testing.T) {
	now := instant{wall: int64(1000 * time.Hour), mono: int64(time.Hour)}
	for _, tc := range []struct{ left, margin time.Duration }{
		{time.Hour, time.Minute},
		{12 * time.Hour, time.Minute},
		{15 * time.Minute, time.Minute},
		{8 * time.Minute, time.Minute},
		{4 * time.Minute, 30 * time.Second},
		{80 * time.Second, 10 * time.Second},
		{8 * time.Second, time.Second},
	} {
		served := tc.left - tc.margin
		least, most := tc.left, time.Duration(0)
		for range 1000 {
			refresh, until := lifetime(now, now.time().Add(tc.left), time.Minute, time.Second)
			if got := time.Duration(until.wall - now.wall); got != served || until.mono-now.mono != int64(served) {
				t.Fatalf("of %v, %v are served, want %v", tc.left, got, served)
			}
			d := time.Duration(refresh.wall - now.wall)
			least, most = min(least, d), max(most, d)
		}
		if least < served/2 || most > served*7/10 || most-least < served/10 {
			t.Errorf("of %v: refreshed after %v to %v, want %v to %v", tc.left, least, most, served/2, served*7/10)
		}
	}
	if refresh, until := lifetime(now, time.Time{}, time.Minute, time.Second); refresh != never || until != never {
		t.Error("credentials without expiry have a lifetime")
	}
	if refresh, _ := lifetime(now, now.time().Add(time.Second), time.Minute, time.Second); refresh.mono-now.mono != int64(time.Second) {
		t.Error("a refresh comes sooner than the floor")
	}
	synctest.Test(t, func(t *testing.T) {
		read := clock()
		time.Sleep(time.Hour)
		if i := read(); i.mono != int64(time.Hour) || !i.time().Equal(time.Now()) {
			t.Errorf("the clock says %+v", i)
		}
	})
}
