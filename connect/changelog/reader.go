package changelog

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
)

// Settled is how long after a change was read of nobody can be making it any more: it is more than the time
// that a writer has once it has a record's lock.
const Settled = 45 * time.Second

// Reader reads the changes that other processes have appended. It is for one goroutine.
type Reader struct {
	records *store.Store
	own     *Log
	options Options

	begun     bool
	removals  uint64 // how many removals of logs it knows of
	positions map[string]*position
}

// position is how far a log was read.
type position struct {
	next  uint64 // the number of the change to read next; 0: from the log's start
	since time.Time

	// sealed tells what a log looked like that could not be read from the beginning.
	sealed string
}

// NewReader returns a reader of all logs but one's own.
func NewReader(records *store.Store, own *Log, o Options) *Reader {
	return &Reader{records: records, own: own, options: o.withDefaults()}
}

// Begin goes to the end of all logs. Who reads all records after it has called Begin misses nothing.
func (r *Reader) Begin(ctx context.Context) error {
	r.begun = false
	m, err := r.members(ctx)
	if errors.Is(err, store.ErrNotFound) {
		// From now on a storage without it is one that has lost its records.
		err = r.records.Update(ctx, membersKey(), func(rec *store.Record) error {
			if found, err := rec.Get(&m); err != nil || found {
				return err
			}
			return rec.Put(m)
		})
	}
	if err != nil {
		return err
	}
	positions := make(map[string]*position, len(m.Logs)+len(m.Removed))
	for _, name := range m.Logs {
		l, found, err := r.log(ctx, name)
		p := &position{since: time.Now()}
		switch {
		case errors.Is(err, store.ErrDamaged):
			// Its seal key is not configured any more, or not yet. As long as nothing is written to it,
			// there is nothing to miss.
			if p.sealed, err = r.fingerprint(ctx, name); err != nil {
				return err
			}
		case err != nil:
			return err
		case found:
			p.next = l.next()
		}
		positions[name] = p
	}
	for _, x := range m.Removed {
		positions[x.Name] = &position{next: x.Last + 1}
	}
	r.positions, r.removals, r.begun = positions, m.removals(), true
	return nil
}

// Next returns the changes since Begin or the last Next. With an error it may return some all the same.
// After ErrMissed the next thing to do is Begin.
func (r *Reader) Next(ctx context.Context) ([]Change, error) {
	if !r.begun {
		return nil, ErrMissed
	}
	name := r.own.current()
	m, err := r.members(ctx)
	if err != nil {
		return nil, absent(err)
	}
	if name != "" && !slices.Contains(m.Logs, name) {
		if err := r.own.rejoin(ctx, name); err != nil {
			return nil, err
		}
	}
	if m.Generation > r.removals || m.removals() < r.removals { // Or they are not the ones that they were.
		return nil, ErrMissed
	}
	kept := make(map[string]bool, len(r.positions))
	for _, x := range m.Removed {
		kept[x.Name] = true
		if p := r.positions[x.Name]; !r.own.own(x.Name) && (p == nil || p.next <= x.Last && x.Last > 0) {
			return nil, ErrMissed
		}
	}
	r.removals = m.removals()
	var changes []Change
	var errs []error
	for _, name := range m.Logs {
		kept[name] = true
		some, err := r.read(ctx, name)
		changes = append(changes, some...)
		if err != nil {
			errs = append(errs, err)
		}
	}
	for name := range r.positions {
		if !kept[name] {
			delete(r.positions, name)
		}
	}
	return changes, errors.Join(errs...)
}

// read returns what is new in a log.
func (r *Reader) read(ctx context.Context, name string) ([]Change, error) {
	p := r.positions[name]
	if p == nil {
		p = &position{since: time.Now()}
		r.positions[name] = p
	}
	l, found, err := r.log(ctx, name)
	if errors.Is(err, store.ErrDamaged) && p.sealed != "" {
		if sealed, err := r.fingerprint(ctx, name); err != nil || sealed == p.sealed {
			return nil, err
		}
	}
	if err != nil || !found { // Its process is about to write it, or died before it did.
		return nil, err
	}
	from := max(p.next, l.Start)
	if from < l.First {
		return nil, ErrMissed
	}
	if p.next == l.next() {
		return nil, nil
	}
	if from > l.next() {
		return nil, ErrMissed // It is older than what was read: somebody has restored it.
	}
	p.next, p.since = l.next(), time.Now()
	if r.own.own(name) {
		return nil, nil
	}
	return l.Changes[from-l.First:], nil
}

// Tidy removes logs that nobody has written to for a while.
func (r *Reader) Tidy(ctx context.Context) error {
	var unused []string
	for name, p := range r.positions {
		if !p.since.IsZero() && time.Since(p.since) > r.options.Unused && name != r.own.current() {
			unused = append(unused, name)
		}
	}
	if len(unused) == 0 {
		return nil
	}
	var gone []string
	err := r.records.Update(ctx, membersKey(), func(rec *store.Record) error {
		var m members
		if found, err := rec.Get(&m); err != nil || !found {
			return err
		}
		for _, name := range unused {
			at := slices.Index(m.Logs, name)
			if at < 0 {
				continue // Somebody else has removed it.
			}
			l, found, err := r.log(rec.Context(), name)
			last := removed{Name: name}
			switch {
			case errors.Is(err, store.ErrDamaged):
				last.Last = math.MaxUint64 - 1 // Nobody has read it to its end.
			case err != nil:
				return err
			case found && l.next() != r.positions[name].next:
				continue // It is used after all.
			case found:
				last.Last = l.next() - 1
			}
			m.Logs = slices.Delete(m.Logs, at, at+1)
			m.Removed = append(m.Removed, last)
			gone = append(gone, name)
		}
		for len(m.Removed) > r.options.Removed {
			gone = append(gone, m.Removed[0].Name) // Once more, in case it was left behind.
			m.Removed = m.Removed[1:]
			m.Generation++
		}
		return rec.Put(m)
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range gone {
		errs = append(errs, r.remove(ctx, name))
	}
	return errors.Join(errs...)
}

func (r *Reader) remove(ctx context.Context, name string) error {
	key, err := logKey(name)
	if err != nil {
		return nil //nolint:nilerr // nothing can be stored there
	}
	err = r.records.Update(ctx, key, func(rec *store.Record) error { return rec.Delete() })
	if errors.Is(err, store.ErrDamaged) {
		return nil // It can't be read, and is left.
	}
	return err
}

func (r *Reader) members(ctx context.Context) (members, error) {
	var m members
	err := r.records.Get(ctx, membersKey(), &m)
	return m, err
}

func (r *Reader) log(ctx context.Context, name string) (l log, found bool, err error) {
	key, err := logKey(name)
	if err != nil {
		return log{}, false, fmt.Errorf("%v: %w", membersKey(), store.ErrDamaged)
	}
	err = r.records.Get(ctx, key, &l)
	if errors.Is(err, store.ErrNotFound) {
		return log{}, false, nil
	}
	return l, err == nil, err
}

func (r *Reader) fingerprint(ctx context.Context, name string) (string, error) {
	key, err := logKey(name)
	if err != nil {
		return "", err
	}
	return r.records.Fingerprint(ctx, key)
}

// Present says whether a storage has what Begin puts into it. Without it, a record that is not found was
// not deleted: the storage is away, or another one.
func Present(ctx context.Context, records *store.Store) error {
	return absent(records.Get(ctx, membersKey(), &members{}))
}

func absent(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("%w: the storage has lost its records, or is another one: %w", store.ErrUnavailable, err)
	}
	return err
}
