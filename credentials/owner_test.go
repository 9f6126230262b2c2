package credentials

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// owned is an identity of an owner.
func (s *fakeSTS) owned(owner, name string) Identity {
	id := s.identity(name)
	id.Owner = owner
	return id
}

func (c *Cache) ownersLeft() int {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.owners)
}

// TestOwnersDontHoldUpOneAnother: of one owner only so many fetches run, in their order and all of them in the
// end, and another owner's runs at once.
func TestOwnersDontHoldUpOneAnother(t *testing.T) {
	inBubble(t, Options{MaxFetches: 4, MaxFetchesPerOwner: 2}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.latency = time.Second
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() { wantGet(t, c, s.owned("many", fmt.Sprint(i)), fmt.Sprintf("%d-1", i)) })
		}
		synctest.Wait()
		begun := time.Now()
		wantGet(t, c, s.owned("one", "x"), "x-1")
		wantGet(t, c, s.identity("y"), "y-1")
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("others waited %v, want 2s", took)
		}
		// Whoever has some already is given them, however many wait.
		wantGet(t, c, s.owned("many", "0"), "0-1")
		if s.mostAtOnce() > 4 {
			t.Errorf("%d fetches ran at once", s.mostAtOnce())
		}
		wg.Wait()
		if n := c.ownersLeft(); n != 0 {
			t.Errorf("%d owners are left", n)
		}
	})
}

// TestOwnerIsTold when as many requests wait for its fetches as may, unless it asks for one of those.
func TestOwnerIsTold(t *testing.T) {
	inBubble(t, Options{MaxFetchesPerOwner: 1, MaxAskedPerOwner: 3}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.latency = time.Second
		var wg sync.WaitGroup
		for range 2 {
			for i := range 3 {
				wg.Go(func() { wantGet(t, c, s.owned("o", fmt.Sprint(i)), fmt.Sprintf("%d-1", i)) })
			}
			synctest.Wait()
		}
		e := wantError(t, c, s.owned("o", "3"), 0)
		if crowded, ok := errors.AsType[*CrowdedError](e); !ok || crowded.Limit != 3 || !e.Temporary() || e.Busy() {
			t.Errorf("got %v", e)
		}
		if n := c.Len(); n != 3 {
			t.Errorf("%d identities are kept, want 3", n)
		}
		wg.Wait()
		wantGet(t, c, s.owned("o", "3"), "3-1")
	})
}

// TestOwnersThatGiveUp leave nothing behind, nor does the end of the cache.
func TestOwnersThatGiveUp(t *testing.T) {
	inBubble(t, Options{MaxFetches: 2, MaxFetchesPerOwner: 1, FetchTimeout: 5 * time.Second}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.hang = true
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() { _, _ = c.Get(ctx, s.owned(fmt.Sprint(i%4), fmt.Sprint(i))) })
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n, left := s.total(), c.ownersLeft(); n > 2 || left != 0 {
			t.Errorf("%d fetches were made, %d owners are left", n, left)
		}

		for i := range 20 {
			wg.Go(func() { _, _ = c.Get(context.Background(), s.owned(fmt.Sprint(i%4), fmt.Sprint("b", i))) })
		}
		synctest.Wait()
		c.Close()
		wg.Wait()
		if n := c.ownersLeft(); n != 0 {
			t.Errorf("%d owners are left", n)
		}
	})
}

// TestRefreshesOfAnOwner run too, also of those that a request hurries on meanwhile.
func TestRefreshesOfAnOwner(t *testing.T) {
	inBubble(t, Options{MaxFetches: 3, MaxFetchesPerOwner: 1}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		s.latency = 100 * time.Millisecond
		for i := range 20 {
			defer c.Pin(s.owned("o", fmt.Sprint(i)))()
		}
		synctest.Wait()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() { wantGet(t, c, s.owned("o", fmt.Sprint(19-i)), fmt.Sprintf("%d-1", 19-i)) })
		}
		wg.Wait()
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		for i := range 20 {
			if n := s.calls(fmt.Sprint(i)); n < 4 {
				t.Errorf("%d was fetched %d times", i, n)
			}
		}
		if s.mostAtOnce() != 1 {
			t.Errorf("%d fetches ran at once, want 1", s.mostAtOnce())
		}
	})
}

// TestWhoIsDroppedFirst: whoever has nothing valid, then whoever's owner has the most, whenever they were used.
func TestWhoIsDroppedFirst(t *testing.T) {
	inBubble(t, Options{MaxIdentities: 100, MinBackoff: time.Hour, MaxBackoff: time.Hour}, func(t *testing.T, c *Cache) {
		s := newSTS(t, 24*time.Hour)
		get(t, c, s.owned("one", "victim"))
		get(t, c, s.identity("nobody's"))
		time.Sleep(2 * time.Second)
		s.err = errors.New("refused")
		for i := range 300 {
			_, _ = c.Get(context.Background(), s.owned("many", fmt.Sprint("refused", i)))
		}
		s.err = nil
		for i := range 300 {
			time.Sleep(time.Second)
			get(t, c, s.owned("many", fmt.Sprint(i)))
		}
		wantGet(t, c, s.owned("one", "victim"), "victim-1")
		wantGet(t, c, s.identity("nobody's"), "nobody's-1")
		if n := c.Len(); n > 100 {
			t.Errorf("%d identities are kept", n)
		}
	})
}
