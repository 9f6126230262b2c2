// Package store keeps sealed records in a certmagic.Storage, Caddy's storage.
//
// A record is a value in JSON under a Key, sealed under that key's name, so that nobody who can read
// the storage learns what it says, and nobody who can write to it alters one or puts one in another's
// place unnoticed. Each record is one value of the storage and is replaced whole: engines such as
// certmagic.FileStorage write aside and rename. There is no transaction over several records; whoever
// changes several puts the writes in an order in which each prefix of them makes sense.
//
// Changes are made under the record's lock: Update locks, reads again, and lets its caller write.
// Engines' locks are not perfect: one whose holder died is taken over when it has become stale, which
// a holder that merely slept notices too late. Therefore a holder stops writing after a time, and
// nothing here may do worse, when a lock fails, than have the last writer win.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/seal"
)

// What an operation may end with, to be matched with errors.Is.
var (
	// ErrNotFound says that there is no such record.
	ErrNotFound = errors.New("not found")

	// ErrDamaged says that a record can't be read: it was altered or put elsewhere, or its seal key is
	// not configured.
	ErrDamaged = errors.New("damaged record")

	// ErrUnavailable says that the storage failed, or that a lock was not to be had in time. A write
	// may have been done all the same.
	ErrUnavailable = errors.New("storage unavailable")
)

// Options are what a Store may be told. The zero value has the defaults.
type Options struct {
	// Prefix is the directory of the storage that all records lie in. Default: aws_sigv4/connect.
	Prefix string

	// LockWait bounds how long Update waits for a lock. It must be longer than the storage takes to
	// see that a lock is stale, which is 10 seconds with certmagic.FileStorage. Default: 20 seconds.
	LockWait time.Duration

	// LockHold bounds how long Update may read and write once it has the lock. Default: 20 seconds.
	LockHold time.Duration

	// Report is told what went wrong without the operation having failed: a lock that could not be
	// released. Default: nobody is told.
	Report func(error)
}

// Store is sealed records in a storage. It is safe for concurrent use, also by several processes on
// one storage.
type Store struct {
	storage certmagic.Storage
	ring    *seal.Ring
	options Options
	locks   localLocks

	watchers map[string]Watcher // by kind

	indexMu  sync.Mutex
	indexKey []byte // fetched or made once
}

// New returns a store. It does not touch the storage yet.
func New(storage certmagic.Storage, ring *seal.Ring, o Options) (*Store, error) {
	switch {
	case storage == nil:
		return nil, errors.New("a store needs a storage")
	case ring == nil:
		return nil, errors.New("a store needs a seal key: nothing is stored in clear")
	}
	if o.Prefix == "" {
		o.Prefix = "aws_sigv4/connect"
	}
	if o.LockWait == 0 {
		o.LockWait = 20 * time.Second
	}
	if o.LockHold == 0 {
		o.LockHold = 20 * time.Second
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	return &Store{storage: storage, ring: ring, options: o}, nil
}

// Get reads a record into v, a pointer.
func (s *Store) Get(ctx context.Context, k Key, v any) error {
	_, record, err := s.load(ctx, k)
	if err != nil {
		return err
	}
	return k.decode(record, v)
}

// load returns a record, sealed and opened.
func (s *Store) load(ctx context.Context, k Key) (sealed, record []byte, err error) {
	sealed, err = s.storage.Load(ctx, k.path(s.options.Prefix))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, fmt.Errorf("%v: %w", k, ErrNotFound)
	case err != nil:
		return nil, nil, unavailable("reading", k, err)
	}
	record, err = s.ring.Open(k.String(), sealed)
	if err != nil {
		return nil, nil, fmt.Errorf("%v: %w: %w", k, ErrDamaged, err)
	}
	return sealed, record, nil
}

func (k Key) decode(record []byte, v any) error {
	if err := json.Unmarshal(record, v); err != nil {
		return fmt.Errorf("%v: %w: it is not of its kind", k, ErrDamaged)
	}
	return nil
}

func unavailable(doing string, k Key, err error) error {
	return fmt.Errorf("%s %v: %w: %w", doing, k, ErrUnavailable, err)
}
