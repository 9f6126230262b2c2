package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Record is a record whose lock is held. It is good only within the function that Update calls.
type Record struct {
	store *Store
	key   Key
	ctx   context.Context //nolint:containedctx // it is as short-lived as the lock that it bounds

	sealed, record []byte // what is stored, nil if nothing is
}

// Update calls change with the record's lock held. A change of several records calls it again within,
// with the Record's context, and always in one order of kinds, or two of them may wait for each other.
//
// Once it has the lock it is not cancelled with ctx, so that a client who goes away doesn't leave half
// a change; but it stops after Options.LockHold.
func (s *Store) Update(ctx context.Context, k Key, change func(*Record) error) error {
	if _, err := s.index(ctx); err != nil {
		return err
	}
	return s.update(ctx, k, change)
}

func (s *Store) update(ctx context.Context, k Key, change func(*Record) error) (err error) {
	release, err := s.lock(ctx, k)
	if err != nil {
		return err
	}
	defer release()
	if ctx.Value(heldKey{}) == nil {
		ctx = context.WithValue(context.WithoutCancel(ctx), heldKey{}, true)
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.LockHold)
	defer cancel()

	r := &Record{store: s, key: k, ctx: ctx}
	r.sealed, r.record, err = s.load(ctx, k)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if w := s.watchers[k.kind]; w != nil {
		w.Stored(k, digest(r.record), r.record)
	}
	return change(r)
}

// heldKey marks the contexts of those who hold a lock.
type heldKey struct{}

// Context is what to read and write with while the lock is held.
func (r *Record) Context() context.Context { return r.ctx }

// Get reads the record into v, a pointer, and says whether there is one.
func (r *Record) Get(v any) (found bool, err error) {
	if r.sealed == nil {
		return false, nil
	}
	return true, r.key.decode(r.record, v)
}

// Put replaces the record, or makes it. Nothing is written if it says the same already.
func (r *Record) Put(v any) error {
	record, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%v: %w", r.key, err)
	}
	if r.sealed != nil && bytes.Equal(record, r.record) {
		if r.store.ring.Current(r.sealed) {
			return nil
		}
		return r.put(record) // It is only sealed anew.
	}
	return r.change(record, func() error { return r.put(record) })
}

func (r *Record) put(record []byte) error {
	if err := r.ctx.Err(); err != nil {
		return unavailable("writing", r.key, err)
	}
	sealed := r.store.ring.Seal(r.key.String(), record)
	if err := r.store.storage.Store(r.ctx, r.key.path(r.store.options.Prefix), sealed); err != nil {
		return unavailable("writing", r.key, err)
	}
	r.sealed, r.record = sealed, record
	return nil
}

// Delete removes the record, if there is one.
func (r *Record) Delete() error {
	if r.sealed == nil {
		return nil
	}
	return r.change(nil, r.remove)
}

func (r *Record) remove() error {
	if err := r.ctx.Err(); err != nil {
		return unavailable("deleting", r.key, err)
	}
	if err := r.store.storage.Delete(r.ctx, r.key.path(r.store.options.Prefix)); err != nil {
		return unavailable("deleting", r.key, err)
	}
	r.sealed, r.record = nil, nil
	return nil
}
