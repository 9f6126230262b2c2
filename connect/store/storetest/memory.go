// Package storetest has storages to test with: one in memory, and one that fails or dies at the
// operation that a test chooses.
package storetest

import (
	"context"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
)

// Memory is a certmagic.Storage in memory. Its zero value is empty. It is what several processes
// share: give each a Process.
type Memory struct {
	mu     sync.Mutex
	values map[string][]byte
	locks  map[string]chan struct{} // closed when released
}

var _ certmagic.Storage = (*Memory)(nil)

// Values returns a copy of all that is stored.
func (m *Memory) Values() map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.values)
}

// Set puts a value behind the back of whoever uses the storage; nil removes it.
func (m *Memory) Set(key string, value []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if value == nil {
		delete(m.values, key)
		return
	}
	if m.values == nil {
		m.values = make(map[string][]byte)
	}
	m.values[key] = slices.Clone(value)
}

// BreakLocks releases all locks, as if all of them had become stale.
func (m *Memory) BreakLocks() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, c := range m.locks {
		close(c)
		delete(m.locks, name)
	}
}

// Locks returns the names of the locks that are held.
func (m *Memory) Locks() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.locks))
}

// Lock waits for the lock, or for the context's end.
func (m *Memory) Lock(ctx context.Context, name string) error {
	for {
		m.mu.Lock()
		c, held := m.locks[name]
		if !held {
			if m.locks == nil {
				m.locks = make(map[string]chan struct{})
			}
			m.locks[name] = make(chan struct{})
			m.mu.Unlock()
			return nil
		}
		m.mu.Unlock()
		select {
		case <-c:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Unlock releases the lock.
func (m *Memory) Unlock(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, held := m.locks[name]
	if !held {
		return fs.ErrNotExist
	}
	close(c)
	delete(m.locks, name)
	return nil
}

// Store replaces a value.
func (m *Memory) Store(_ context.Context, key string, value []byte) error {
	m.Set(key, append([]byte{}, value...))
	return nil
}

// Load returns a value.
func (m *Memory) Load(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(v), nil
}

// Delete removes a value, or all below a directory.
func (m *Memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.values, func(k string, _ []byte) bool { return k == key || strings.HasPrefix(k, key+"/") })
	return nil
}

// Exists says whether there is a value or a directory.
func (m *Memory) Exists(_ context.Context, key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.values {
		if k == key || strings.HasPrefix(k, key+"/") {
			return true
		}
	}
	return false
}

// List returns what is in a directory.
func (m *Memory) List(_ context.Context, dir string, recursive bool) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := make(map[string]bool)
	for k := range m.values {
		below, ok := strings.CutPrefix(k, dir+"/")
		if !ok {
			continue
		}
		parts := strings.Split(below, "/")
		found[path.Join(dir, parts[0])] = true
		for i := range parts {
			if recursive {
				found[path.Join(dir, path.Join(parts[:i+1]...))] = true
			}
		}
	}
	if len(found) == 0 {
		return nil, fs.ErrNotExist
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// Stat says what is known of a key.
func (m *Memory) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	v, err := m.Load(ctx, key)
	if err != nil {
		return certmagic.KeyInfo{}, err
	}
	return certmagic.KeyInfo{Key: key, Modified: time.Time{}, Size: int64(len(v)), IsTerminal: true}, nil
}
