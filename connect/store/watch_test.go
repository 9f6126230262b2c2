package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
)

// watcher notes what it is told.
type watcher struct {
	told  []string
	fails error
}

func (w *watcher) Changing(context.Context, Key, string) error {
	w.told = append(w.told, "changing")
	return w.fails
}

func (w *watcher) Stored(_ Key, digest string, record []byte) {
	w.told = append(w.told, fmt.Sprintf("stored %s %t", record, digest == ""))
}

func (w *watcher) Unsure(Key, string) { w.told = append(w.told, "unsure") }

func TestWatchersAreToldInOrder(t *testing.T) {
	m := &storetest.Memory{}
	s := newStore(t, m, Options{})
	w := &watcher{}
	s.Watch("things", w)
	k := hashed(t, s, "a")
	put(t, s, k, thing{Count: 1})
	put(t, s, k, thing{Count: 1}) // No change.
	if err := s.Update(t.Context(), k, func(r *Record) error { return r.Delete() }); err != nil {
		t.Fatal(err)
	}
	one := `stored {"role":"","count":1} false`
	want := []string{"stored  true", "changing", one, one, one, "changing", "stored  true"}
	if !slices.Equal(w.told, want) {
		t.Errorf("%q, want %q", w.told, want)
	}

	// What can't be announced is not written.
	w.fails = errors.New("no")
	if err := s.Update(t.Context(), k, func(r *Record) error { return r.Put(thing{}) }); !errors.Is(err, w.fails) {
		t.Errorf("%v", err)
	}
	if err := s.Get(t.Context(), k, &thing{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}

	// The 4th operation is the write, after those that read the index key, lock and read.
	faulty := newStore(t, storetest.NewProcess(m, 4, storetest.Fails), Options{})
	last := &watcher{}
	faulty.Watch("things", last)
	if err := faulty.Update(t.Context(), k, func(r *Record) error { return r.Put(thing{}) }); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if want := []string{"stored  true", "changing", "unsure"}; !slices.Equal(last.told, want) {
		t.Errorf("%q, want %q", last.told, want)
	}
}

// slow is a storage that takes its time to write.
type slow struct {
	certmagic.Storage
	by time.Duration
}

func (s slow) Store(ctx context.Context, key string, value []byte) error {
	time.Sleep(s.by)
	return s.Storage.Store(ctx, key, value)
}

func TestWhatTookLongIsAnnouncedAgain(t *testing.T) {
	m := &storetest.Memory{}
	hashed(t, newStore(t, m, Options{}), "a")
	s := newStore(t, slow{m, 60 * time.Millisecond}, Options{LockHold: 100 * time.Millisecond})
	w := &watcher{}
	s.Watch("things", w)
	put(t, s, hashed(t, s, "a"), thing{})
	want := []string{"stored  true", "changing", `stored {"role":"","count":0} false`, "changing"}
	if !slices.Equal(w.told, want) {
		t.Errorf("%q, want %q", w.told, want)
	}
}

func TestDigestsTellRecordsApart(t *testing.T) {
	s := newStore(t, &storetest.Memory{}, Options{})
	k := hashed(t, s, "a")
	seen := make(map[string]bool)
	for i := range 3 {
		put(t, s, k, thing{Count: i % 2})
		var got thing
		sum, err := s.GetDigest(t.Context(), k, &got)
		if err != nil || got.Count != i%2 || len(sum) != 16 {
			t.Errorf("%q, %v, %v", sum, got, err)
		}
		seen[sum] = true
	}
	if len(seen) != 2 {
		t.Errorf("%v", seen)
	}
	if err := s.Write(t.Context(), k, thing{Count: 7}); err != nil {
		t.Fatal(err)
	}
	var got thing
	if err := s.Get(t.Context(), k, &got); err != nil || got.Count != 7 {
		t.Errorf("%v, %v", got, err)
	}
}
