package store

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// lock gets a record's lock, first within this process, because storages poll for theirs about once a
// second, and then in the storage.
func (s *Store) lock(ctx context.Context, k Key) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, s.options.LockWait)
	defer cancel()
	name := k.lock(s.options.Prefix)
	unlock, err := s.locks.lock(ctx, name)
	if err == nil && ctx.Err() != nil { // Both came at once.
		unlock()
		err = ctx.Err()
	}
	if err != nil {
		return nil, unavailable("locking", k, err)
	}
	if err := s.storage.Lock(ctx, name); err != nil {
		unlock()
		return nil, unavailable("locking", k, err)
	}
	return func() {
		defer unlock()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := s.storage.Unlock(ctx, name); err != nil {
			s.options.Report(fmt.Errorf("releasing the lock of %v: %w", k, err))
		}
	}, nil
}

// localLocks are mutexes by name, whose waiters may give up.
type localLocks struct {
	mu   sync.Mutex
	held map[string]*localLock
}

type localLock struct {
	token chan struct{} // holds one value while nobody has the lock
	users int           // holder and waiters
}

func (l *localLocks) lock(ctx context.Context, name string) (unlock func(), err error) {
	l.mu.Lock()
	if l.held == nil {
		l.held = make(map[string]*localLock)
	}
	one := l.held[name]
	if one == nil {
		one = &localLock{token: make(chan struct{}, 1)}
		one.token <- struct{}{}
		l.held[name] = one
	}
	one.users++
	l.mu.Unlock()

	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(l.held, name)
		}
	}
	select {
	case <-one.token:
		return func() { one.token <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
