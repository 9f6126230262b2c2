package store

import (
	"context"
	"errors"
)

// Reseal seals up to limit records of a kind anew, those after a given name whose seal key is not the
// ring's first. It returns the name to go on after, which is empty when the end was reached, and how
// many records it sealed. Records that can't be read are left as they are; err then tells of all of
// them, and the others were sealed. When all kinds have been gone through without an error, the old
// keys are needed no more.
func (s *Store) Reseal(ctx context.Context, kind, after string, limit int) (next string, sealed int, err error) {
	keys, err := s.Keys(ctx, kind, after, limit)
	if err != nil {
		return after, 0, err
	}
	next = after
	var errs []error
	for _, k := range keys {
		done, err := s.resealOne(ctx, k)
		switch {
		case errors.Is(err, ErrDamaged):
			errs = append(errs, err)
		case err != nil:
			return next, sealed, errors.Join(append(errs, err)...)
		case done:
			sealed++
		}
		next = k.name
	}
	if len(keys) < limit {
		next = ""
	}
	return next, sealed, errors.Join(errs...)
}

// ResealIndex does the same for the one record that belongs to the store itself.
func (s *Store) ResealIndex(ctx context.Context) error {
	_, err := s.resealOne(ctx, indexKeyAt)
	return err
}

func (s *Store) resealOne(ctx context.Context, k Key) (done bool, err error) {
	sealed, _, err := s.load(ctx, k)
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case s.ring.Current(sealed):
		return false, nil
	}
	err = s.update(ctx, k, func(r *Record) error {
		if r.sealed == nil || s.ring.Current(r.sealed) {
			return nil // Somebody else wrote it meanwhile.
		}
		done = true
		return r.put(r.record)
	})
	return done, err
}
