package credentials

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestLeastRecentlyUsedIdentitiesAreDropped(t *testing.T) {
	inBubble(t, Options{MaxIdentities: 3}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		for _, name := range []string{"a", "b", "c", "a", "d", "a", "e"} {
			get(t, c, s.identity(name))
			time.Sleep(2 * time.Second)
		}
		if n := len(c.Status()); n != 3 {
			t.Errorf("%d identities are kept, want 3", n)
		}
		for name, want := range map[string]string{"a": "a-1", "d": "d-1", "e": "e-1"} {
			wantGet(t, c, s.identity(name), want)
		}
		time.Sleep(time.Second)
		wantGet(t, c, s.identity("b"), "b-2")

		// What was dropped is no longer in the schedule either.
		for range 50 {
			time.Sleep(time.Minute)
			get(t, c, s.identity("b"))
		}
		synctest.Wait()
		if n := len(c.schedule.entries); n > 3 {
			t.Errorf("%d entries in the schedule, want at most 3", n)
		}
	})
}

func TestPinnedIdentitiesAreNeverDropped(t *testing.T) {
	inBubble(t, Options{MaxIdentities: 2}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		for i := range 5 { // More than the limit: the configuration may say so.
			defer c.Pin(s.identity(fmt.Sprintf("pin%d", i)))()
		}
		synctest.Wait()
		if e := wantError(t, c, s.identity("other"), 0); !e.Temporary() {
			t.Errorf("%v is not temporary", e)
		}
		for i := range 5 {
			wantGet(t, c, s.identity(fmt.Sprintf("pin%d", i)), fmt.Sprintf("pin%d-1", i))
		}
	})
}

func TestIdentitiesBeingFetchedAreNotDropped(t *testing.T) {
	inBubble(t, Options{MaxIdentities: 2, MaxFetches: 10}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.latency = time.Second
		var wg sync.WaitGroup
		for _, name := range []string{"a", "b"} {
			wg.Go(func() { wantGet(t, c, s.identity(name), name+"-1") })
		}
		synctest.Wait()
		wantError(t, c, s.identity("c"), 0)
		wg.Wait()
		wantGet(t, c, s.identity("c"), "c-1")
	})
}

func TestManyIdentities(t *testing.T) {
	inBubble(t, Options{MaxIdentities: 1000, MaxFetches: 100}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		hot := s.identity("hot")
		for i := range 10_000 {
			get(t, c, s.identity(fmt.Sprint(i)))
			if i%100 == 0 {
				wantGet(t, c, hot, "hot-1")
			}
			if i%10 == 0 {
				time.Sleep(100 * time.Millisecond)
			}
		}
		synctest.Wait()
		if n := c.table.size; n > 1000 || n < 980 {
			t.Errorf("%d identities are kept, want about 1000", n)
		}
	})
}

// TestConcurrentUse lets the race detector look at everything at once.
func TestConcurrentUse(t *testing.T) {
	inBubble(t, Options{MaxIdentities: 20, MaxFetches: 3, MinBackoff: 10 * time.Millisecond}, func(t *testing.T, c *Cache) {
		s := newSTS(t, 2*time.Second)
		s.latency = 5 * time.Millisecond
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				for n := range 500 {
					id := s.identity(fmt.Sprint((i*n + n) % 40))
					if n%3 == 0 {
						id = s.role("role"+fmt.Sprint(n%7), id)
					}
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(n%9)*time.Millisecond)
					_, _ = c.Get(ctx, id)
					cancel()
					switch n % 50 {
					case 10:
						release := c.Pin(id)
						time.AfterFunc(time.Second, release)
					case 20:
						c.Status()
					case 30:
						c.Attach(&recorder{})()
					}
					time.Sleep(time.Duration(n%5) * time.Millisecond)
				}
			})
		}
		wg.Wait()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if c.queue.running != 0 || s.mostAtOnce() > 3 {
			t.Errorf("%d fetches are running; there were up to %d", c.queue.running, s.mostAtOnce())
		}
	})
}
