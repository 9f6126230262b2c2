package store

import (
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/seal"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
)

// thing is what the tests store.
type thing struct {
	Role  string `json:"role"`
	Count int    `json:"count"`
}

func sealKey(t testing.TB, from byte) seal.Key {
	t.Helper()
	b := make([]byte, 32)
	for i := range b {
		b[i] = from + byte(i)*7
	}
	k, err := seal.ParseKey(base64.StdEncoding.EncodeToString(b))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newStore(t testing.TB, s certmagic.Storage, o Options, keys ...byte) *Store {
	t.Helper()
	if len(keys) == 0 {
		keys = []byte{1}
	}
	ring := make([]seal.Key, len(keys))
	for i, k := range keys {
		ring[i] = sealKey(t, k)
	}
	r, err := seal.NewRing(ring[0], ring[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	st, err := New(s, r, o)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func hashed(t testing.TB, s *Store, parts ...string) Key {
	t.Helper()
	k, err := s.HashedKey(t.Context(), "things", parts...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func put(t testing.TB, s *Store, k Key, v thing) {
	t.Helper()
	if err := s.Update(t.Context(), k, func(r *Record) error { return r.Put(v) }); err != nil {
		t.Fatal(err)
	}
}

func TestRecordsAreKeptOnFileStorage(t *testing.T) {
	dir := t.TempDir()
	files := &certmagic.FileStorage{Path: dir}
	s := newStore(t, files, Options{})
	k := hashed(t, s, "acme", "user@example.com")
	want := thing{Role: "arn:aws:iam::123456789012:role/Customer", Count: 1}

	if err := s.Get(t.Context(), k, &thing{}); !errors.Is(err, ErrNotFound) {
		t.Fatalf("before: %v", err)
	}
	put(t, s, k, want)

	var got thing
	reopened := newStore(t, files, Options{})
	if err := reopened.Get(t.Context(), hashed(t, reopened, "acme", "user@example.com"), &got); err != nil || got != want {
		t.Errorf("%v, %v", got, err)
	}
	nothingInClear(t, dir, want.Role, "acme", "user@example.com", "123456789012")

	err := s.Update(t.Context(), k, func(r *Record) error { return r.Delete() })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Get(t.Context(), k, &got); !errors.Is(err, ErrNotFound) {
		t.Errorf("after: %v", err)
	}
}

// nothingInClear looks for words in all names and contents below a directory.
func nothingInClear(t *testing.T, dir string, words ...string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(p)
		for _, w := range words {
			if strings.Contains(strings.TrimPrefix(p, dir), w) || strings.Contains(string(content), w) {
				t.Errorf("%s holds %q in clear", p, w)
			}
		}
		return err
	})
	if err != nil || files == 0 {
		t.Fatalf("%d files, %v", files, err)
	}
}

func TestNothingIsStoredWithoutAKey(t *testing.T) {
	if _, err := New(&storetest.Memory{}, nil, Options{}); err == nil {
		t.Error("a store without a key")
	}
	if _, err := New(nil, &seal.Ring{}, Options{}); err == nil {
		t.Error("a store without a storage")
	}
}

func TestRecordsInEachOthersPlaceAreDamaged(t *testing.T) {
	m := &storetest.Memory{}
	s := newStore(t, m, Options{})
	a, b := hashed(t, s, "a"), hashed(t, s, "b")
	put(t, s, a, thing{Role: "a"})
	put(t, s, b, thing{Role: "b"})

	values, pa, pb := m.Values(), a.path("aws_sigv4/connect"), b.path("aws_sigv4/connect")
	m.Set(pa, values[pb])
	m.Set(pb, values[pa])
	for _, k := range []Key{a, b} {
		if err := s.Get(t.Context(), k, &thing{}); !errors.Is(err, ErrDamaged) || !errors.Is(err, seal.ErrAltered) {
			t.Errorf("reading: %v", err)
		}
		err := s.Update(t.Context(), k, func(r *Record) error { return r.Put(thing{}) })
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("writing over what can't be read: %v", err)
		}
	}
}

func TestUpdatesDoNotLoseEachOther(t *testing.T) {
	const stores, each = 3, 4
	files := &certmagic.FileStorage{Path: t.TempDir()}
	var wg sync.WaitGroup
	for range stores { // Several processes, as far as the file system can tell.
		s := newStore(t, files, Options{LockWait: time.Minute})
		for range each {
			wg.Go(func() {
				k, err := s.HashedKey(t.Context(), "things", "counter")
				if err != nil {
					t.Error(err)
					return
				}
				err = s.Update(t.Context(), k, func(r *Record) error {
					var v thing
					if _, err := r.Get(&v); err != nil {
						return err
					}
					v.Count++
					return r.Put(v)
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	s := newStore(t, files, Options{})
	var got thing
	if err := s.Get(t.Context(), hashed(t, s, "counter"), &got); err != nil || got.Count != stores*each {
		t.Errorf("%d of %d updates, %v", got.Count, stores*each, err)
	}
	if len(s.locks.held) != 0 {
		t.Error("local locks are left over")
	}
}

func TestUpdateOutlivesItsCaller(t *testing.T) {
	s := newStore(t, &storetest.Memory{}, Options{})
	k := hashed(t, s, "a")
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(ctx, k, func(r *Record) error {
		cancel()
		return s.Update(r.Context(), hashed(t, s, "b"), func(r *Record) error { return r.Put(thing{Count: 2}) })
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestUpdateStopsWritingAfterItsTime(t *testing.T) {
	m := &storetest.Memory{}
	s := newStore(t, m, Options{LockHold: time.Millisecond})
	k, err := NewKey("things", strings.Repeat("a", 32))
	if err != nil {
		t.Fatal(err)
	}
	setup := newStore(t, m, Options{})
	put(t, setup, k, thing{Count: 1})
	err = s.update(t.Context(), k, func(r *Record) error {
		<-r.Context().Done()
		if err := r.Delete(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("deleting: %v", err)
		}
		// A change within gets no more time than the one around it.
		err := s.update(r.Context(), indexKeyAt, func(*Record) error { return nil })
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("a change within: %v", err)
		}
		return r.Put(thing{Count: 2})
	})
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("writing: %v", err)
	}
	if len(m.Locks()) != 0 {
		t.Errorf("locks are left: %q", m.Locks())
	}
}

func TestLocksAreWaitedForAWhile(t *testing.T) {
	m := &storetest.Memory{}
	s := newStore(t, m, Options{LockWait: 20 * time.Millisecond})
	other := newStore(t, m, Options{LockWait: 20 * time.Millisecond})
	k := hashed(t, s, "a")
	err := s.Update(t.Context(), k, func(*Record) error {
		for name, st := range map[string]*Store{"this process": s, "another process": other} {
			if err := st.Update(t.Context(), k, func(*Record) error { return nil }); !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Update(t.Context(), k, func(*Record) error { return nil }); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestLocksAreReleasedWhenAChangePanics(t *testing.T) {
	m := &storetest.Memory{}
	s := newStore(t, m, Options{})
	k := hashed(t, s, "a")
	func() {
		defer func() { _ = recover() }()
		_ = s.Update(t.Context(), k, func(*Record) error { panic("x") })
	}()
	if err := s.Update(t.Context(), k, func(*Record) error { return nil }); err != nil || len(m.Locks()) != 0 {
		t.Errorf("%v, locks %q", err, m.Locks())
	}
}

func TestUnchangedRecordsAreNotWritten(t *testing.T) {
	m := &storetest.Memory{}
	s := newStore(t, m, Options{})
	k := hashed(t, s, "a")
	put(t, s, k, thing{Count: 1})
	before := string(m.Values()[k.path(s.options.Prefix)])
	put(t, s, k, thing{Count: 1})
	if string(m.Values()[k.path(s.options.Prefix)]) != before {
		t.Error("the same record was written again")
	}
	put(t, s, k, thing{Count: 2})
	if string(m.Values()[k.path(s.options.Prefix)]) == before {
		t.Error("another record was not written")
	}
}

// TestStorageErrorsAreTold goes through a change with an error at each operation in turn.
func TestStorageErrorsAreTold(t *testing.T) {
	for name, fault := range storetest.Faults {
		t.Run(name, func(t *testing.T) {
			for at := 1; ; at++ {
				m := &storetest.Memory{}
				p := storetest.NewProcess(m, at, fault)
				var reported []error
				s := newStore(t, p, Options{LockWait: time.Second, Report: func(err error) { reported = append(reported, err) }})
				err := func() error {
					k, err := s.HashedKey(t.Context(), "things", "a")
					if err != nil {
						return err
					}
					return s.Update(t.Context(), k, func(r *Record) error { return r.Put(thing{Count: 1}) })
				}()
				if p.Count() < at {
					return
				}
				if err == nil && len(reported) == 0 || err != nil && !errors.Is(err, ErrUnavailable) {
					t.Errorf("operation %d: %v, reported %v", at, err, reported)
				}

				m.BreakLocks()
				again := newStore(t, m, Options{})
				k := hashed(t, again, "a")
				var got thing
				switch readErr := again.Get(t.Context(), k, &got); {
				case readErr == nil && got.Count != 1, readErr != nil && !errors.Is(readErr, ErrNotFound):
					t.Errorf("operation %d: afterwards %v, %v", at, got, readErr)
				case err == nil && readErr != nil:
					t.Errorf("operation %d: acknowledged and lost", at)
				}
				put(t, again, k, thing{Count: 2})
			}
		})
	}
}

func TestIndexKeyIsNotMadeAnewBesideRecords(t *testing.T) {
	m := &storetest.Memory{}
	s := newStore(t, m, Options{})
	k := hashed(t, s, "a")
	put(t, s, k, thing{Count: 1})
	m.Set("aws_sigv4/connect/indexkey", nil)

	_, err := newStore(t, m, Options{}).HashedKey(t.Context(), "things", "a")
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "restore it") {
		t.Errorf("%v", err)
	}
	if hashed(t, s, "a") != k {
		t.Error("a store forgets its index key")
	}
}
