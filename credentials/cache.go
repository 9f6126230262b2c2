package credentials

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Options bound a Cache. A zero field means its default.
type Options struct {
	// MaxIdentities is how many identities are kept; beyond it, those that were used least
	// recently are dropped. Pinned ones are kept in any case. Default: 10000.
	MaxIdentities int

	// MaxFetches is how many fetches run at the same time; others queue. Default: 16.
	MaxFetches int

	// MaxFetchesPerOwner is how many of those, running or next, may be of one Identity.Owner; its
	// others wait behind them, and hold up nobody else. Default: 4.
	MaxFetchesPerOwner int

	// MaxAskedPerOwner is how many fetches requests may be waiting for of one Identity.Owner; who
	// asks for one more gets a CrowdedError. Default: 128.
	MaxAskedPerOwner int

	// FetchTimeout is the time that one fetch has, without its time in the queue. No caller of
	// Get waits longer than that for each identity of a chain. Default: 15 s.
	FetchTimeout time.Duration

	// Margin is how long before they expire credentials are no longer served; for those that
	// live less than eight times as long, an eighth of their life. Default: 1 min.
	Margin time.Duration

	// MinBackoff and MaxBackoff bound the pause after failed fetches, which doubles with each.
	// Defaults: 1 s and 1 min.
	MinBackoff, MaxBackoff time.Duration
}

func (o Options) withDefaults() Options {
	setDefault(&o.MaxIdentities, 10_000)
	setDefault(&o.MaxFetches, 16)
	setDefault(&o.MaxFetchesPerOwner, 4)
	setDefault(&o.MaxAskedPerOwner, 128)
	setDefault(&o.FetchTimeout, 15*time.Second)
	setDefault(&o.Margin, time.Minute)
	setDefault(&o.MinBackoff, time.Second)
	setDefault(&o.MaxBackoff, time.Minute)
	return o
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

const (
	// retryWait is how long Get waits for an identity whose last fetch failed. It is enough
	// for a healthy STS to answer, and keeps errors fast while STS hangs.
	retryWait = time.Second

	// touchEvery is how exact the time of last use is, so that all cores do not write to the
	// same word for every request.
	touchEvery = int64(time.Second)

	// maxChain is how many identities may stand on one another.
	maxChain = 16
)

// Cache serves credentials of identities and keeps them fresh in the background.
//
// Credentials are served until they expire, less a margin, whatever happens to their refresh. An
// identity has at most one fetch under way. After a failed fetch an identity without valid
// credentials answers at once with that error until its pause is over. Identities that nobody used
// since their last fetch, and that are not pinned, are not refreshed; they are fetched again when
// they are used again.
//
// There is one goroutine for the schedule and one for each running fetch, however many identities
// there are. A Cache must be made with NewCache and ended with Close.
type Cache struct {
	opts  Options
	now   func() instant
	table table

	// ctx is the context of all fetches: it belongs to the cache, not to any request.
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	observers []*attachment
	schedule  schedule
	queue     queue
	owners    map[string]*owner
}

// NewCache returns an empty cache. It starts no goroutine before its first fetch.
func NewCache(o Options) *Cache {
	ctx, cancel := context.WithCancel(context.Background())
	return &Cache{
		opts:     o.withDefaults(),
		now:      clock(),
		ctx:      ctx,
		cancel:   cancel,
		schedule: schedule{wake: make(chan struct{}, 1)},
	}
}

// entry is what the cache knows of one identity.
type entry struct {
	id Identity

	held   atomic.Pointer[held]    // the credentials that are served; nil before the first fetch
	failed atomic.Pointer[failure] // the last fetch if it failed, else nil
	used   atomic.Int64            // when it was last used, monotonic, to touchEvery
	tended atomic.Bool             // a fetch is under way or the schedule will come back to it

	// The rest is guarded by Cache.mu.
	pins int
	call *call // the fetch under way or in the queue
	done int64 // when the last fetch ended, monotonic

	renewable int64 // from when on a refusal by AWS may have it fetched, monotonic

	due   int64 // when the schedule comes back to it, monotonic
	index int   // its place in the schedule, counted from 1; 0 if it is not there
}

// held are the credentials of an entry with the deadlines that were drawn for them.
type held struct {
	creds          *Credentials
	refresh, until deadline
	fetched        int64
}

// failure is the last of some failed fetches in a row.
type failure struct {
	err     *Error
	retryAt int64
}

// Get returns valid credentials of an identity. If it holds some, it returns them at once, without
// a lock or an allocation. Otherwise it waits for their fetch, as long as ctx lets it; the fetch
// itself goes on without the caller. Errors are of type *Error.
func (c *Cache) Get(ctx context.Context, id Identity) (*Credentials, error) {
	if e := c.table.load(id.Key); e != nil {
		now := c.now()
		if h := e.held.Load(); h != nil && !h.until.passed(now) {
			if !h.refresh.passed(now) || e.tended.Load() {
				e.touch(now, h.fetched)
				return h.creds, nil
			}
		} else if f := e.failed.Load(); f != nil && now.mono < f.retryAt {
			e.used.Store(now.mono)
			return nil, f.err
		}
	}
	return c.fetchOrWait(ctx, id)
}

// touch notes the use of an entry. The first use after a fetch is always noted, as it decides about
// the next refresh.
func (e *entry) touch(now instant, fetched int64) {
	if u := e.used.Load(); now.mono-u > touchEvery || u <= fetched {
		e.used.Store(now.mono)
	}
}

// fetchOrWait is Get where the entry is new, is without valid credentials, or slept past its
// refresh.
func (c *Cache) fetchOrWait(ctx context.Context, id Identity) (*Credentials, error) {
	c.mu.Lock()
	e, err := c.admitRequest(id)
	if err != nil {
		c.mu.Unlock()
		return nil, err
	}
	now := c.now()
	e.used.Store(now.mono)

	if h := e.valid(now); h != nil {
		if !e.tended.Load() {
			c.begin(e, true)
		}
		c.mu.Unlock()
		return h.creds, nil
	}
	limit := c.opts.FetchTimeout * time.Duration(id.depth())
	last := e.failed.Load()
	if last != nil {
		if now.mono < last.retryAt {
			c.mu.Unlock()
			return nil, last.err
		}
		limit = retryWait
	}
	call := c.begin(e, false)
	call.waiters++
	c.mu.Unlock()

	var instead error
	if last != nil {
		instead = last.err
	}
	return c.wait(ctx, id, call, limit, instead)
}

// admitRequest is admit for a request, which is to wait for a fetch if there is nothing valid. The lock
// must be held.
func (c *Cache) admitRequest(id Identity) (*entry, error) {
	e, now := c.table.load(id.Key), c.now()
	if e != nil && e.valid(now) != nil {
		return e, nil
	}
	if e != nil {
		if f := e.failed.Load(); f != nil && now.mono < f.retryAt {
			return e, nil // Nothing will be fetched.
		}
	}
	if err := c.crowded(&id); err != nil {
		return nil, err
	}
	e, err := c.admit(id, false)
	if err != nil {
		return nil, &Error{Key: id.Key, Label: id.Label, Err: err}
	}
	return e, nil
}

// wait waits for a call, among whose waiters the caller is, up to a time after it began. If nothing
// came by then, it returns the error instead, unless that is nil.
func (c *Cache) wait(ctx context.Context, id Identity, call *call, limit time.Duration, instead error) (*Credentials, error) {
	timer := time.NewTimer(limit - time.Duration(c.now().mono-call.begun))
	defer timer.Stop()
	var err error
	select {
	case <-call.done:
		if call.err != nil {
			return nil, call.err
		}
		return call.creds, nil
	case <-ctx.Done():
		err = fmt.Errorf("waiting for them: %w", context.Cause(ctx))
	case <-timer.C:
		err = slowError(fmt.Sprintf("none within %v, and the fetch goes on", limit))
	}
	c.mu.Lock()
	call.waiters--
	if call.line != nil && ctx.Err() == nil {
		err = busyError(fmt.Sprintf("none within %v, as too many others are being fetched", limit))
	}
	c.mu.Unlock()
	if instead != nil && ctx.Err() == nil {
		return nil, instead
	}
	return nil, &Error{Key: id.Key, Label: id.Label, Err: err}
}

// valid returns the held credentials, or nil if they must not be served.
func (e *entry) valid(now instant) *held {
	if h := e.held.Load(); h != nil && !h.until.passed(now) {
		return h
	}
	return nil
}

// depth returns the number of identities in the chain.
func (id *Identity) depth() int {
	n := 0
	for ; id != nil; id = id.From {
		n++
	}
	return n
}

// Pin makes sure that an identity always has fresh credentials: they are fetched now, in the
// background, and kept fresh without any use until release is called as often as Pin was. Calling
// the same release again does nothing.
func (c *Cache) Pin(id Identity) (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, err := c.admit(id, true)
	if err != nil {
		// Get answers with the same error, which is where somebody can see it.
		return func() {}
	}
	e.pins++
	if !e.tended.Load() {
		if f := e.failed.Load(); f != nil && c.now().mono < f.retryAt {
			c.tend(e, f.retryAt)
		} else {
			c.begin(e, true)
		}
	}
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		e.pins--
	})
}

// Close ends all fetches and waits for their goroutines. Callers that wait get an error; those who
// ask later are still given valid credentials, but none are fetched any more.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	c.cancel()
	c.mu.Unlock()
	c.wg.Wait()
}
