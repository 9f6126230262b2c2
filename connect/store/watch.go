package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Watcher is told of the records of a kind, and of the changes that this store makes to them. Its methods
// are called with the record's lock held. A digest is "" where there is no record.
type Watcher interface {
	// Changing is called before a record is written or deleted, with the digest that it will have, and
	// once more after that if it took long. If it returns an error at first, nothing is written.
	Changing(ctx context.Context, k Key, digest string) error

	// Stored is called with what is stored, nil if nothing is: before a change, and again after it.
	Stored(k Key, digest string, record []byte)

	// Unsure is called if a change failed, so that it is not known whether it was made.
	Unsure(k Key, digest string)
}

// Watch sets who is told of the changes of a kind. It must be called before the store is used.
func (s *Store) Watch(kind string, w Watcher) {
	if s.watchers == nil {
		s.watchers = make(map[string]Watcher)
	}
	s.watchers[kind] = w
}

// digest tells records from one another: the first 64 bits of their SHA-256, in hexadecimal; that of none is empty. It must be
// kept as secret as the record.
func digest(record []byte) string {
	if record == nil {
		return ""
	}
	sum := sha256.Sum256(record)
	return hex.EncodeToString(sum[:8])
}

// GetDigest is Get, and returns the record's digest.
func (s *Store) GetDigest(ctx context.Context, k Key, v any) (string, error) {
	_, record, err := s.load(ctx, k)
	if err == nil {
		err = k.decode(record, v)
	}
	if err != nil {
		return "", err
	}
	return digest(record), nil
}

// Fingerprint returns a digest of a record as it is sealed, which differs whenever it was written.
func (s *Store) Fingerprint(ctx context.Context, k Key) (string, error) {
	sealed, err := s.storage.Load(ctx, k.path(s.options.Prefix))
	if err != nil {
		return "", unavailable("reading", k, err)
	}
	return digest(sealed), nil
}

// Write replaces a record without its lock. It is for records that nobody else writes.
func (s *Store) Write(ctx context.Context, k Key, v any) error {
	record, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%v: %w", k, err)
	}
	if err := s.storage.Store(ctx, k.path(s.options.Prefix), s.ring.Seal(k.String(), record)); err != nil {
		return unavailable("writing", k, err)
	}
	return nil
}

// change makes a change of a record whose lock is held, and tells the watcher.
func (r *Record) change(record []byte, how func() error) error {
	w := r.store.watchers[r.key.kind]
	if w == nil {
		return how()
	}
	sum := digest(record)
	announced := time.Now().Round(0) // A machine that slept counts as well.
	if err := w.Changing(r.ctx, r.key, sum); err != nil {
		return err
	}
	if err := how(); err != nil {
		w.Unsure(r.key, sum)
		return err
	}
	w.Stored(r.key, sum, record)
	if time.Now().Round(0).Sub(announced) < r.store.options.LockHold/2 {
		return nil
	}
	// It was stopped in between, and those to whom it was announced may not expect it any more.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), r.store.options.LockHold/2)
	defer cancel()
	return w.Changing(ctx, r.key, sum)
}
