// Package changelog tells several processes on one storage which records the others have changed, so that
// each can keep them in memory.
//
// Each process that changes something has a log of its own in the storage: one sealed record, which it
// alone writes, with the last changes and their numbers. One more record, the members, lists the logs. A
// process that wants to know reads the members and all logs every few seconds, and then the records that
// they name: records are the truth, and a log only says where to look.
//
// A change is appended to the log before its record is written. A process that dies in between has
// announced a change that never comes, which costs the others a few reads; the other way round it would
// have made one that nobody hears of. So whoever reads of a change reads its record until it has the
// digest that was announced, or until nobody can be writing it any more (Settled).
//
// No lock is taken to append, because a log has one writer. Only the list of logs has a lock. Logs are
// bounded: a reader who was away for too long finds that changes are missing (ErrMissed), and reads all
// records anew. A log that nobody wrote to for a while is removed; the members remember the last number of
// the ones that were removed last, and a generation, which counts those that they have forgotten since.
package changelog

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
)

// The kinds of records. The lock of the members is taken last of all.
const (
	MembersKind = "instances" // members, one record
	LogKind     = "changes"   // log, by a random name
)

// Change is one of a record.
type Change struct {
	// Kind and Name are those of the record's key.
	Kind string `json:"k"`
	Name string `json:"n"`

	// Digest is the one that the record will have, "" if it is deleted. See store.Watcher.
	Digest string `json:"d,omitempty"`
}

// Options bound logs. The zero value has the defaults.
type Options struct {
	// Keep is how many changes a log has at most. Default: 1024.
	Keep int

	// Idle is how long a log that nothing was appended to is still used by its writer. It must be
	// well below Unused. Default: 5 minutes.
	Idle time.Duration

	// Unused is how long a log is unchanged before others remove it. Default: 15 minutes.
	Unused time.Duration

	// Removed is how many logs that were removed are remembered. Default: 64.
	Removed int
}

func (o Options) withDefaults() Options {
	if o.Keep <= 0 {
		o.Keep = 1024
	}
	if o.Idle <= 0 {
		o.Idle = 5 * time.Minute
	}
	if o.Unused <= 0 {
		o.Unused = 15 * time.Minute
	}
	if o.Removed <= 0 {
		o.Removed = 64
	}
	return o
}

// members is the record that lists the logs.
type members struct {
	Generation uint64    `json:"generation"` // how many logs were removed and forgotten
	Logs       []string  `json:"logs"`
	Removed    []removed `json:"removed,omitempty"` // the last ones, oldest first
}

// removals counts the logs that were ever removed.
func (m *members) removals() uint64 { return m.Generation + uint64(len(m.Removed)) }

type removed struct {
	Name string `json:"name"`
	Last uint64 `json:"last"` // number of its last change
}

// log is the record of one process.
type log struct {
	Start   uint64   `json:"start"` // number of the first change that it ever had
	First   uint64   `json:"first"` // number of the first change that it has
	Changes []Change `json:"changes"`
}

// next is the number of the change that will come next.
func (l *log) next() uint64 { return l.First + uint64(len(l.Changes)) }

func membersKey() store.Key {
	k, err := store.NewKey(MembersKind, strings.Repeat("0", 32))
	if err != nil {
		panic(err) // It is constant.
	}
	return k
}

func logKey(name string) (store.Key, error) { return store.NewKey(LogKind, name) }

// Log is where one process appends its changes. It is safe for concurrent use.
type Log struct {
	records *store.Store
	options Options

	turn chan struct{} // holds a value while somebody writes to the storage

	mu      sync.Mutex
	name    string // of its log in the storage, "" if it has none
	mine    []string
	lost    bool   // its log was removed while it was in use
	start   uint64 // number of the first change of this log
	next    uint64
	written uint64 // the number after the last one that is in the storage
	changes []Change
	used    time.Time
}

// NewLog returns a log. It does not touch the storage until something is appended.
func NewLog(records *store.Store, o Options) *Log {
	return &Log{records: records, options: o.withDefaults(), turn: make(chan struct{}, 1), start: 1, next: 1, written: 1}
}

// Append appends a change, before it is made. The error is store.ErrUnavailable.
func (l *Log) Append(ctx context.Context, c Change) error {
	l.mu.Lock()
	number := l.next
	l.next++
	l.changes = append(l.changes, c)
	l.mu.Unlock()
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return fmt.Errorf("appending to the log of changes: %w: %w", store.ErrUnavailable, ctx.Err())
	}
	l.mu.Lock()
	done := l.written > number // Whoever wrote before has written this one, too.
	l.mu.Unlock()
	if done {
		return nil
	}
	if err := l.join(ctx); err != nil {
		return err
	}
	return l.write(ctx)
}

// write puts into the storage what was appended so far.
func (l *Log) write(ctx context.Context) error {
	l.mu.Lock()
	if most := l.options.Keep; len(l.changes) > most {
		l.changes = slices.Clone(l.changes[len(l.changes)-most:])
	}
	next := l.next
	record := log{Start: l.start, First: next - uint64(len(l.changes)), Changes: slices.Clone(l.changes)}
	name := l.name
	l.mu.Unlock()
	key, err := logKey(name)
	if err != nil {
		return err
	}
	if err := l.records.Write(ctx, key, record); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written, l.used = next, time.Now()
	return nil
}

// join lists the log among the members, if it has to be.
func (l *Log) join(ctx context.Context) error {
	l.mu.Lock()
	name, lost := l.name, l.lost
	// Not in the time of the process: a machine that slept counts as well.
	idle := time.Now().Round(0).Sub(l.used.Round(0)) > l.options.Idle || time.Since(l.used) > l.options.Idle
	l.mu.Unlock()
	if name != "" && !lost && !idle {
		return nil
	}
	b := make([]byte, 16)
	rand.Read(b) // Never fails, says its documentation.
	name = hex.EncodeToString(b)
	err := l.records.Update(ctx, membersKey(), func(r *store.Record) error {
		var m members
		if _, err := r.Get(&m); err != nil {
			return err
		}
		m.Logs = append(m.Logs, name)
		return r.Put(m)
	})
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.lost { // Else somebody may not have read what the log had.
		unwritten := min(int(l.next-l.written), len(l.changes))
		l.changes = slices.Clone(l.changes[len(l.changes)-unwritten:])
	}
	l.name, l.lost = name, false
	l.start = l.next - uint64(len(l.changes))
	l.mine = append(l.mine, name)
	if most := 64; len(l.mine) > most {
		l.mine = slices.Clone(l.mine[len(l.mine)-most:])
	}
	return nil
}

// own says whether a log is, or was, this process's.
func (l *Log) own(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.mine, name)
}

// current returns the name of the log that is in use, or "".
func (l *Log) current() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.name
}

// rejoin makes a new log of what is in memory of one that was removed although it was in use.
func (l *Log) rejoin(ctx context.Context, name string) error {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	l.mu.Lock()
	l.lost = l.name == name
	lost := l.lost
	l.mu.Unlock()
	if !lost {
		return nil
	}
	if err := l.join(ctx); err != nil {
		return err
	}
	return l.write(ctx)
}

// ErrMissed says that there were changes that can't be read any more.
var ErrMissed = errors.New("changes were missed")
