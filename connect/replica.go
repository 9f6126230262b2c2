package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/changelog"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
)

// replica is what one instance has in memory of all connections. They are loaded in the background once;
// after that the instance reads every pollEvery which ones the others have changed, and reads those anew.
// What this instance writes itself is here as soon as it is stored.
type replica struct {
	store    *Store
	index    *index
	reader   *changelog.Reader
	every    time.Duration
	maxStale time.Duration
	report   func(error)

	reload chan struct{} // holds a value while all has to be loaded
	first  chan struct{} // closed when all has been loaded for the first time

	mu       sync.Mutex
	started  bool
	loads    int       // counts the times that all has had to be loaded
	complete bool      // nothing is missing of what was there at polled
	polled   time.Time // when it was last known which connections had changed, and each of these was read
	synced   time.Time // the last polled at which it was complete
	failing  error     // why the last poll failed
	pending  map[expected]time.Time
	unsure   map[string]bool // own changes that failed and may have been made all the same
}

// expected is a change that was announced. Its connection is read until it has the digest, or the time has
// passed.
type expected struct{ id, digest string }

const (
	// pollEvery is how often the log of changes is read: a change counts everywhere after twice that
	// at most, and the time that the storage takes.
	pollEvery = 2 * time.Second

	// pollTimeout ends an attempt.
	pollTimeout = 10 * time.Second

	// reconcileEvery is how often all connections are read anew although no change was missed, for
	// example because a backup was restored.
	reconcileEvery = time.Hour

	// reconcilePause is how long to wait then after each page.
	reconcilePause = 100 * time.Millisecond

	// loadPage is how many are read at a time; loadAtOnce is how many of them at once.
	loadPage   = 256
	loadAtOnce = 16

	// firstWait is how long a list waits until all has been loaded for the first time.
	firstWait = 20 * time.Second

	tidyEvery = time.Minute
)

func newReplica(s *Store, every, maxStale time.Duration, report func(error)) *replica {
	r := &replica{
		store: s, index: newIndex(), every: every, maxStale: maxStale, report: report,
		reader:  changelog.NewReader(s.records, s.changes, changelog.Options{}),
		reload:  make(chan struct{}, 1),
		first:   make(chan struct{}),
		pending: make(map[expected]time.Time),
		unsure:  make(map[string]bool),
	}
	s.replicasMu.Lock()
	defer s.replicasMu.Unlock()
	s.replicas = append(s.replicas, r)
	return r
}

// begin says that what is stored from now on is kept in memory.
func (r *replica) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started = true
}

// follow reads changes until ctx ends.
func (r *replica) follow(ctx context.Context) {
	tidied := time.Now()
	for {
		began := time.Now()
		polling, cancel := context.WithTimeout(ctx, pollTimeout)
		err := r.poll(polling)
		cancel()
		if ctx.Err() != nil {
			return
		}
		r.note(err)
		if (err == nil || errors.Is(err, ErrDamaged)) && time.Since(tidied) > tidyEvery {
			tidied = time.Now()
			if err := r.reader.Tidy(ctx); err != nil && ctx.Err() == nil {
				r.report(fmt.Errorf("removing logs of changes that nobody uses: %w", err))
			}
		}
		next := r.every - r.every/10 + rand.N(r.every/5+1) //nolint:gosec // a jitter is no secret
		if pause(ctx, max(next-time.Since(began), r.every/10)) != nil {
			return
		}
	}
}

// note keeps why polls fail, and says so once.
func (r *replica) note(err error) {
	r.mu.Lock()
	before := r.failing
	r.failing = err
	r.mu.Unlock()
	if err != nil && before == nil {
		r.report(fmt.Errorf("reading what other instances have changed: connections that are known are served for %v: %w", r.maxStale, err))
	}
}

// poll reads which connections have changed, and reads these.
func (r *replica) poll(ctx context.Context) error {
	began := time.Now()
	changes, err := r.reader.Next(ctx)
	for _, c := range changes {
		if c.Kind == connectionKind {
			r.expect(c.Name, c.Digest)
		}
	}
	if errors.Is(err, changelog.ErrMissed) {
		r.mu.Lock()
		r.complete = false
		r.loads++
		r.mu.Unlock()
		if err = r.reader.Begin(ctx); err == nil {
			r.mu.Lock()
			r.polled = began
			r.mu.Unlock()
			select {
			case r.reload <- struct{}{}:
			default:
			}
		}
	}
	if err = errors.Join(err, r.settle(ctx)); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.polled = began
	if r.complete {
		r.synced = began
	}
	return nil
}

func (r *replica) expect(id, digest string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending[expected{id, digest}] = time.Now().Add(changelog.Settled)
}

// settle reads the connections that are to change.
func (r *replica) settle(ctx context.Context) error {
	r.mu.Lock()
	ids := make([]string, 0, len(r.pending))
	seen := make(map[string]bool, len(r.pending))
	for e := range r.pending {
		if !seen[e.id] {
			seen[e.id] = true
			ids = append(ids, e.id)
		}
	}
	r.mu.Unlock()
	return r.refreshAll(ctx, ids, func(id, digest string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.pending, expected{id, digest})
		delete(r.unsure, id)
		for e, until := range r.pending {
			if e.id == id && time.Now().After(until) {
				delete(r.pending, e)
			}
		}
	})
}

// refreshAll reads connections, several at once.
func (r *replica) refreshAll(ctx context.Context, ids []string, done func(id, digest string)) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	work := make(chan string)
	for range min(loadAtOnce, len(ids)) {
		wg.Go(func() {
			for id := range work {
				digest, err := r.refresh(ctx, id)
				if err == nil {
					done(id, digest)
					continue
				}
				mu.Lock()
				if len(errs) < 3 { // They are of one kind.
					errs = append(errs, err)
				}
				mu.Unlock()
			}
		})
	}
	for _, id := range ids {
		work <- id
	}
	close(work)
	wg.Wait()
	return errors.Join(errs...)
}

// refresh reads a connection, and returns the digest of what is stored.
func (r *replica) refresh(ctx context.Context, id string) (digest string, err error) {
	e, err := r.read(ctx, id)
	switch {
	case errors.Is(err, ErrDamaged):
		r.report(err)
		return "", nil
	case errors.Is(err, ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	}
	return e.state, nil
}

// read reads a connection into memory. One that is not found, or can't be read, is in memory no more.
func (r *replica) read(ctx context.Context, id string) (e *indexed, err error) {
	key, err := connectionKey(id)
	if err != nil {
		return nil, err
	}
	for {
		version := r.index.version(id)
		var c Connection
		digest, err := r.store.records.GetDigest(ctx, key, &c)
		switch {
		case err == nil:
			e = newIndexed(c, digest)
		case errors.Is(err, ErrNotFound) && r.index.get(id) != nil:
			if absent := changelog.Present(ctx, r.store.records); absent != nil {
				return nil, absent
			}
		case errors.Is(err, ErrNotFound), errors.Is(err, ErrDamaged):
		default:
			return nil, err
		}
		if r.index.replace(id, version, e) {
			return e, err
		}
	}
}

// load loads all connections, whenever that is to be done.
func (r *replica) load(ctx context.Context) {
	for {
		again := time.NewTimer(reconcileEvery - reconcileEvery/10 + rand.N(reconcileEvery/5)) //nolint:gosec // a jitter is no secret
		gap := reconcilePause
		select {
		case <-ctx.Done():
			again.Stop()
			return
		case <-again.C:
		case <-r.reload:
			again.Stop()
			gap = 0
		}
		if r.loadOnce(ctx, gap) != nil {
			return
		}
	}
}

// loadOnce loads all connections. They are complete then unless something was missed meanwhile.
func (r *replica) loadOnce(ctx context.Context, gap time.Duration) error {
	r.mu.Lock()
	began := r.loads
	r.mu.Unlock()
	if err := r.loadAll(ctx, gap); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.complete && r.loads == began && began > 0 {
		r.complete, r.synced = true, r.polled
		select {
		case <-r.first:
		default:
			close(r.first)
		}
	}
	return nil
}

// loadAll reads every connection, and those that are in memory and not among them. While the storage fails
// it tries again; the error is that of ctx.
func (r *replica) loadAll(ctx context.Context, gap time.Duration) error {
	for after, attempts := "", 0; ; {
		last, more, err := r.loadOne(ctx, after)
		wait := gap
		switch {
		case err != nil:
			if attempts++; attempts == 1 {
				r.report(fmt.Errorf("loading the connections: it is tried again: %w", err))
			}
			wait = r.every
		case !more:
			return nil
		default:
			after, attempts = last, 0
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// loadOne loads the connections of one page.
func (r *replica) loadOne(ctx context.Context, after string) (last string, more bool, err error) {
	keys, err := r.store.records.Keys(ctx, connectionKind, after, loadPage)
	if err != nil {
		return "", false, err
	}
	if more = len(keys) == loadPage; more {
		last = keys[loadPage-1].Name()
	}
	ids := make([]string, 0, len(keys))
	listed := make(map[string]bool, len(keys))
	for _, k := range keys {
		ids = append(ids, k.Name())
		listed[k.Name()] = true
	}
	for _, id := range r.index.between(after, last) {
		if !listed[id] { // It seems to have been deleted.
			ids = append(ids, id)
		}
	}
	return last, more, r.refreshAll(ctx, ids, func(string, string) {})
}

// watch passes on what this process writes itself: to the log of changes before it is written, and to the
// memory after that.
type watch struct{ store *Store }

func (w watch) Changing(ctx context.Context, k store.Key, digest string) error {
	return w.store.changes.Append(ctx, changelog.Change{Kind: connectionKind, Name: k.Name(), Digest: digest})
}

func (w watch) Stored(k store.Key, digest string, record []byte) {
	for _, r := range w.store.inMemory() {
		r.stored(k.Name(), digest, record)
	}
}

func (w watch) Unsure(k store.Key, digest string) {
	for _, r := range w.store.inMemory() {
		r.doubt(k.Name(), digest)
	}
}

// inMemory returns who has the store's connections in memory.
func (s *Store) inMemory() []*replica {
	s.replicasMu.RLock()
	defer s.replicasMu.RUnlock()
	return s.replicas
}

// stored takes over what is stored. It is called with the record's lock held.
func (r *replica) stored(id, state string, record []byte) {
	r.mu.Lock()
	started := r.started
	delete(r.unsure, id)
	r.mu.Unlock()
	if !started {
		return
	}
	var e *indexed
	if record != nil {
		if have := r.index.get(id); have != nil && have.state == state {
			return
		}
		var c Connection
		if json.Unmarshal(record, &c) == nil {
			e = newIndexed(c, state)
		} // Else whoever asks for it reads the storage, and is told.
	}
	r.index.set(id, e)
}

// doubt has a connection read, at once by who asks for it, and later until the change can't come any more.
func (r *replica) doubt(id, digest string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.started {
		r.pending[expected{id, digest}] = time.Now().Add(changelog.Settled)
		r.unsure[id] = true
	}
}
