package credentials

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is an observer that remembers.
type recorder struct {
	mu              sync.Mutex
	fetched, failed []Event
}

func (r *recorder) Fetched(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fetched = append(r.fetched, e)
}

func (r *recorder) Failed(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = append(r.failed, e)
}

func TestObserverHearsOfFetches(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		o := &recorder{}
		defer c.Attach(o)()
		s := newSTS(t, time.Hour)
		s.latency = 3 * time.Second
		get(t, c, s.identity("role"))
		synctest.Wait()
		if len(o.fetched) != 1 || len(o.failed) != 0 {
			t.Fatalf("told of %v and %v", o.fetched, o.failed)
		}
		e := o.fetched[0]
		if e.Label != "role" || e.Duration != 3*time.Second || e.Attempt != 1 || e.Background || e.Err != nil || !e.Expires.Equal(time.Now().Add(time.Hour)) {
			t.Errorf("told of %+v", e)
		}

		s.set(func(s *fakeSTS) { s.err = errors.New("down") })
		release := c.Pin(s.identity("role"))
		time.Sleep(time.Hour + 5*time.Minute)
		release()
		synctest.Wait()
		if len(o.failed) < 3 {
			t.Fatalf("told of %d failures", len(o.failed))
		}
		for i, e := range o.failed {
			if e.Attempt != i+1 || !e.Background || !strings.Contains(e.Err.Error(), "down") || !e.Expires.IsZero() {
				t.Errorf("failure %d: %+v", i, e)
			}
		}
		if e := o.failed[0]; e.ValidUntil.IsZero() {
			t.Errorf("%+v does not say until when requests are served", e)
		}
		if e := o.failed[len(o.failed)-1]; !e.ValidUntil.IsZero() {
			t.Errorf("%+v says that requests are served", e)
		}
	})
}

func TestLatestObserverWins(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		s := newSTS(t, time.Hour)
		n := 0
		heard := func(observers ...*recorder) string {
			t.Helper()
			n++
			var counts []string
			for _, o := range observers {
				o.fetched = nil
			}
			get(t, c, s.identity(fmt.Sprint(n)))
			synctest.Wait()
			for _, o := range observers {
				counts = append(counts, fmt.Sprint(len(o.fetched)))
			}
			return strings.Join(counts, "")
		}
		want := func(got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("heard %s, want %s", got, want)
			}
		}

		a, b := &recorder{}, &recorder{}
		want(heard(a, b), "00")
		detachA := c.Attach(a)
		want(heard(a, b), "10")
		// A new configuration starts before the old one stops.
		detachB := c.Attach(b)
		want(heard(a, b), "01")
		detachA()
		want(heard(a, b), "01")
		detachA()
		detachB()
		want(heard(a, b), "00")
		// A new configuration that does not start leaves the old one in place.
		c.Attach(a)
		c.Attach(b)()
		want(heard(a, b), "10")
		// The same observer twice.
		detach := c.Attach(a)
		detach()
		detach()
		want(heard(a, b), "10")
	})
}

type panicking struct{}

func (panicking) Fetched(Event) { panic("a broken event handler") }
func (panicking) Failed(Event)  { panic("a broken event handler") }

func TestPanicOfAnObserverEndsNothing(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cache) {
		c.Attach(panicking{})
		s := newSTS(t, time.Hour)
		get(t, c, s.identity("role"))
		synctest.Wait()
		get(t, c, s.identity("other"))
	})
}

func TestStatus(t *testing.T) {
	inBubble(t, Options{MaxFetches: 1}, func(t *testing.T, c *Cache) {
		if len(c.Status()) != 0 {
			t.Error("an empty cache has a status")
		}
		s := newSTS(t, time.Hour)
		start := time.Now()
		get(t, c, s.identity("b"))
		defer c.Pin(s.role("a", s.identity("b")))()
		synctest.Wait()
		s.set(func(s *fakeSTS) { s.err = errors.New("down") })
		wantError(t, c, s.identity("c"), 0)
		s.set(func(s *fakeSTS) { s.hang = true })
		defer c.Pin(s.identity("d"))()
		synctest.Wait()

		got := c.Status()
		if len(got) != 4 {
			t.Fatalf("got %+v", got)
		}
		for i := range got { // What jitter decides.
			if next := got[i].NextRefresh; !next.IsZero() && (next.Before(start) || next.After(start.Add(42*time.Minute))) {
				t.Errorf("%s: next refresh at %v", got[i].Label, next)
			}
			if (i < 3) == got[i].NextRefresh.IsZero() {
				t.Errorf("%s: next refresh at %v", got[i].Label, got[i].NextRefresh)
			}
			got[i].NextRefresh = time.Time{}
			if len(got[i].Key) != 64 || c.StatusOf(Identity{Key: got[i].Key}).Label != got[i].Label {
				t.Errorf("%s: key %q", got[i].Label, got[i].Key)
			}
			got[i].Key = ""
		}
		if f := got[2].Failure; f == nil || f.Err.Error() != "down" || !f.Since.Equal(start) || f.Attempts != 1 {
			t.Errorf("the failure is %+v", f)
		}
		got[2].Failure = nil
		if st := c.StatusOf(s.identity("new")); st != (Status{Key: NewKey("new"), Label: "new"}) || c.Len() != 4 {
			t.Errorf("of an identity that is not held: %+v, of %d", st, c.Len())
		}
		role := "arn:aws:iam::123456789012:role/a"
		expires := start.Add(time.Hour)
		for i, want := range []Status{
			{Label: "a (from b)", RoleARN: role, Valid: true, Expires: expires, LastFetch: start, Pinned: true},
			{Label: "b", Valid: true, Expires: expires, LastFetch: start},
			{Label: "c"},
			{Label: "d", Fetching: true, Pinned: true},
		} {
			if got[i] != want {
				t.Errorf("got  %+v\nwant %+v", got[i], want)
			}
		}
		if text := fmt.Sprintf("%+v", got); strings.Contains(text, "secret") {
			t.Errorf("a secret in %s", text)
		}
	})
}
