package storetest

import (
	"context"
	"io/fs"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
)

// Unreliable is a storage that tests slow down, take away and bring back. Fill it in before its first use.
type Unreliable struct {
	Storage certmagic.Storage

	// Delay is how long an operation takes at most, by chance.
	Delay time.Duration

	mu     sync.Mutex
	away   bool
	empty  bool
	errors int
}

var _ certmagic.Storage = (*Unreliable)(nil)

// SetAway says whether all operations fail.
func (u *Unreliable) SetAway(away bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.away = away
}

// SetEmpty says whether it looks as if nothing was stored, as a directory does that is not mounted.
func (u *Unreliable) SetEmpty(empty bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.empty = empty
}

// SetErrors sets how many operations of a thousand fail, by chance, before or after they were done.
func (u *Unreliable) SetErrors(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.errors = n
}

func (u *Unreliable) isEmpty() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.empty
}

func (u *Unreliable) do(ctx context.Context, operation func() error) error {
	u.mu.Lock()
	away, errors := u.away, u.errors
	u.mu.Unlock()
	if u.Delay > 0 {
		t := time.NewTimer(rand.N(u.Delay)) //nolint:gosec // it is no secret
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	wrong := away || rand.N(1000) < errors                     //nolint:gosec // it is no secret
	if wrong && (away || rand.N(2) == 0) || ctx.Err() != nil { //nolint:gosec // it is no secret
		return ErrInjected
	}
	if err := operation(); err != nil || !wrong {
		return err
	}
	return ErrInjected
}

// Lock implements certmagic.Locker. It fails only if the storage is away: a lock whose answer is lost is
// held until it is stale, which takes tests too long.
func (u *Unreliable) Lock(ctx context.Context, name string) error {
	u.mu.Lock()
	away := u.away
	u.mu.Unlock()
	if away {
		return ErrInjected
	}
	return u.Storage.Lock(ctx, name)
}

// Unlock implements certmagic.Locker.
func (u *Unreliable) Unlock(ctx context.Context, name string) error {
	return u.Storage.Unlock(ctx, name)
}

// Store implements certmagic.Storage.
func (u *Unreliable) Store(ctx context.Context, key string, value []byte) error {
	return u.do(ctx, func() error { return u.Storage.Store(ctx, key, value) })
}

// Load implements certmagic.Storage.
func (u *Unreliable) Load(ctx context.Context, key string) (value []byte, err error) {
	err = u.do(ctx, func() error {
		if u.isEmpty() {
			return fs.ErrNotExist
		}
		value, err = u.Storage.Load(ctx, key)
		return err
	})
	return value, err
}

// Delete implements certmagic.Storage.
func (u *Unreliable) Delete(ctx context.Context, key string) error {
	return u.do(ctx, func() error { return u.Storage.Delete(ctx, key) })
}

// Exists implements certmagic.Storage.
func (u *Unreliable) Exists(ctx context.Context, key string) bool {
	return !u.isEmpty() && u.Storage.Exists(ctx, key)
}

// List implements certmagic.Storage.
func (u *Unreliable) List(ctx context.Context, dir string, recursive bool) (keys []string, err error) {
	err = u.do(ctx, func() error {
		if u.isEmpty() {
			return fs.ErrNotExist
		}
		keys, err = u.Storage.List(ctx, dir, recursive)
		return err
	})
	return keys, err
}

// Stat implements certmagic.Storage.
func (u *Unreliable) Stat(ctx context.Context, key string) (info certmagic.KeyInfo, err error) {
	err = u.do(ctx, func() error {
		info, err = u.Storage.Stat(ctx, key)
		return err
	})
	return info, err
}
