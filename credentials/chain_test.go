package credentials

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestChainFetchesBrokersFirst(t *testing.T) {
	inBubble(t, Options{MaxFetches: 1}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.latency = time.Second
		base := s.identity("base")
		hub := s.role("hub", base)

		// Many chains over one place: nobody holds it while waiting for a broker.
		var wg sync.WaitGroup
		for i := range 5 {
			name := fmt.Sprintf("spoke%d", i)
			wg.Go(func() { wantGet(t, c, s.role(name, hub), "base-1/hub-1/"+name+"-1") })
		}
		wg.Wait()
		if n := s.total(); n != 7 {
			t.Errorf("%d fetches, want 7", n)
		}
	})
}

func TestRolesStayValidWhenTheirBrokerChanges(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, 12*time.Hour)
		base := s.identity("base")
		get(t, c, s.role("role", base))
		s.set(func(s *fakeSTS) { s.life = time.Hour })
		release := c.Pin(base)
		defer release()
		time.Sleep(11 * time.Hour)
		if s.calls("base") < 2 {
			t.Fatal("the broker was not refreshed")
		}
		wantGet(t, c, s.role("role", base), "base-1/role-1")
	})
}

func TestUseInAChainCountsAsUse(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s, short := newSTS(t, time.Hour), newSTS(t, 15*time.Minute)
		base := s.identity("base")
		useFor(t, c, short.role("role", base), 30*time.Second, 24*time.Hour)
		at := s.times("base")
		if len(at) < 24 {
			t.Errorf("%d fetches of the broker in a day", len(at))
		}
		for i := 1; i < len(at); i++ {
			if gap := at[i].Sub(at[i-1]); gap > 42*time.Minute {
				t.Errorf("the broker was refreshed after %v, as if nobody used it", gap)
			}
		}
	})
}

func TestBrokenBrokerBreaksThoseThatStandOnIt(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		o := &recorder{}
		defer c.Attach(o)()
		s := newSTS(t, time.Hour)
		s.err = errors.New("no credentials")
		base := s.identity("base")
		hub := s.role("hub", base)

		for i := range 50 {
			e := wantError(t, c, s.role(fmt.Sprint(i), hub), 0)
			if want := fmt.Sprintf("credentials of %d (from hub (from base)): credentials of hub (from base): credentials of base: no credentials", i); e.Error() != want {
				t.Fatalf("got  %q\nwant %q", e, want)
			}
			if !errors.Is(e, s.err) || e.Temporary() {
				t.Errorf("%v lost its cause", e)
			}
		}
		synctest.Wait()
		if s.total() != 1 || len(o.failed) != 1 || o.failed[0].Label != "base" {
			t.Errorf("%d fetches, told of %v, want one of base", s.total(), o.failed)
		}

		for _, st := range c.Status() {
			if next := c.Status()[50].NextRefresh; st.NextRefresh != next {
				t.Errorf("%s comes back at %v, its broker at %v", st.Label, st.NextRefresh, next)
			}
		}

		// They come back with their broker, not at the end of a pause of their own.
		s.set(func(s *fakeSTS) { s.err = nil })
		time.Sleep(2 * time.Second)
		wantGet(t, c, s.role("7", hub), "base-2/hub-1/7-1")
	})
}

func TestSleepingBrokerIsRefreshedByItsChain(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		base := s.identity("base")
		get(t, c, base)
		time.Sleep(50 * time.Minute)
		wantGet(t, c, s.role("role", base), "base-1/role-1")
		synctest.Wait()
		wantGet(t, c, base, "base-2")
	})
}

func TestPinnedChain(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.latency = time.Second
		role := s.role("role", s.role("hub", s.identity("base")))
		defer c.Pin(role)()
		time.Sleep(3 * time.Second)
		begun := time.Now()
		wantGet(t, c, role, "base-1/hub-1/role-1")
		if time.Since(begun) != 0 {
			t.Error("a request waited for a pinned identity")
		}
	})
}

func TestChainMayTakeTheTimeOfEachOfItsFetches(t *testing.T) {
	inBubble(t, Options{FetchTimeout: 10 * time.Second}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.latency = 9 * time.Second
		wantGet(t, c, s.role("role", s.role("hub", s.identity("base"))), "base-1/hub-1/role-1")
	})
}
