package awssigv4

import (
	"context"
	"errors"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
)

// lockingStorage is a storage of which only the locks work: each of them is its own.
type lockingStorage struct {
	certmagic.Storage `json:"-"`
	Name              string `json:"name,omitempty"`
	held              map[string]bool
}

func (s *lockingStorage) Lock(_ context.Context, name string) error {
	if s.held[name] {
		return errors.New("it is locked")
	}
	if s.held == nil {
		s.held = make(map[string]bool)
	}
	s.held[name] = true
	return nil
}

func (s *lockingStorage) Unlock(_ context.Context, name string) error {
	if !s.held[name] {
		return errors.New("it is not locked")
	}
	delete(s.held, name)
	return nil
}

// CaddyModule makes it one that tells how it is configured.
func (*lockingStorage) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.storage.locking", New: func() caddy.Module { return new(lockingStorage) }}
}

// TestSharedStorageFollowsTheConfiguration: the storage of the configuration that was started last is used,
// of two that of the newer one; a lock is released where it was taken.
func TestSharedStorageFollowsTheConfiguration(t *testing.T) {
	first, second, third := &lockingStorage{Name: "1"}, &lockingStorage{Name: "2"}, &lockingStorage{Name: "3"}
	s := &sharedStorage{latest: latest[certmagic.Storage]{last: first}, locks: make(map[string]certmagic.Storage)}
	is := func(want certmagic.Storage, when string) {
		t.Helper()
		if got := s.get(); got != want {
			t.Errorf("%s, the storage is %v", when, got)
		}
	}
	is(first, "before any configuration runs")
	releaseFirst := s.attach(first)
	if err := s.Lock(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	releaseSecond := s.attach(second)
	is(second, "while two run")
	releaseFirst()
	is(second, "when the first has ended")
	if err := s.Unlock(t.Context(), "x"); err != nil || first.held["x"] {
		t.Errorf("the lock of the first was not released: %v", err)
	}
	s.attach(third)()
	is(second, "when a third one failed to start")
	releaseSecond()
	releaseSecond()
	is(second, "when all have ended")
	if err := s.Unlock(t.Context(), "x"); err == nil {
		t.Error("what nobody has locked was unlocked")
	}
}

// TestStorageKeys: only storages that are known to be the same share a service.
func TestStorageKeys(t *testing.T) {
	type opaque struct{ certmagic.Storage }
	for _, tt := range []struct {
		name string
		a, b certmagic.Storage
		same bool
	}{
		{"one directory", &certmagic.FileStorage{Path: "/a"}, &certmagic.FileStorage{Path: "/a"}, true},
		{"two directories", &certmagic.FileStorage{Path: "/a"}, &certmagic.FileStorage{Path: "/b"}, false},
		{"one configuration", &lockingStorage{Name: "1"}, &lockingStorage{Name: "1"}, true},
		{"two configurations", &lockingStorage{Name: "1"}, &lockingStorage{Name: "2"}, false},
		{"no configuration", &lockingStorage{}, &lockingStorage{}, false},
		{"nobody knows", opaque{}, opaque{}, false},
	} {
		if same := storageKey(tt.a) == storageKey(tt.b); same != tt.same {
			t.Errorf("%s: the same is %t", tt.name, same)
		}
	}
}
