package store

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// HashedKey returns the key of a record that is found by what people choose or must keep secret. Its
// name is a keyed hash of the parts, so that it tells nothing to those who read the storage, not even
// to those who try likely parts. ("ab", "c" and "a", "bc" have different names.)
func (s *Store) HashedKey(ctx context.Context, kind string, parts ...string) (Key, error) {
	secret, err := s.index(ctx)
	if err != nil {
		return Key{}, err
	}
	mac := hmac.New(sha256.New, secret)
	for _, p := range append([]string{kind}, parts...) {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		mac.Write(size[:])
		mac.Write([]byte(p))
	}
	return NewKey(kind, hex.EncodeToString(mac.Sum(nil)))
}

// indexRecord holds the key of the hashes. It is a record and not derived from a seal key, because
// names must outlive the seal keys.
type indexRecord struct {
	Key []byte `json:"key"`
}

// index returns the key of the hashes. The first store on a storage makes it.
func (s *Store) index(ctx context.Context) ([]byte, error) {
	s.indexMu.Lock()
	defer s.indexMu.Unlock()
	if s.indexKey != nil {
		return s.indexKey, nil
	}
	var r indexRecord
	err := s.Get(ctx, indexKeyAt, &r)
	if errors.Is(err, ErrNotFound) {
		if err = s.update(ctx, indexKeyAt, s.makeIndex); err == nil {
			// What is stored counts, should two stores have made one in spite of the lock.
			err = s.Get(ctx, indexKeyAt, &r)
		}
	}
	switch {
	case err != nil:
		return nil, err
	case len(r.Key) != sha256.Size:
		return nil, fmt.Errorf("%v: %w: it has %d bytes", indexKeyAt, ErrDamaged, len(r.Key))
	}
	s.indexKey = r.Key
	return s.indexKey, nil
}

func (s *Store) makeIndex(r *Record) error {
	found, err := r.Get(&indexRecord{})
	if found || err != nil {
		return err
	}
	// Update makes the index key before any other record. With another key none of them would be
	// found, and customers would get new External IDs.
	others, err := s.storage.List(r.Context(), s.options.Prefix, false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unavailable("listing beside", indexKeyAt, err)
	}
	for _, o := range others {
		if kindGrammar.MatchString(path.Base(o)) {
			return fmt.Errorf("%v: %w: it is missing, and there are records that can't be found without it: restore it from a backup, or remove %s from the storage",
				indexKeyAt, ErrDamaged, s.options.Prefix)
		}
	}
	key := make([]byte, sha256.Size)
	rand.Read(key) // Never fails, says its documentation.
	return r.Put(indexRecord{Key: key})
}
