package credentials

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// call is one fetch of an entry: waiting for its broker, in the queue, or running. Its result is
// written before done is closed; the rest is guarded by Cache.mu.
type call struct {
	done  chan struct{}
	creds *Credentials
	err   *Error

	from       *Credentials // the broker's
	dependents []*entry     // whose calls wait for this one, as it fetches their broker
	waiters    int          // callers of Get
	begun      int64        // monotonic
	background bool         // no request waited for it so far
	line       *lines       // where it waits for its turn; nil if it does not
	again      bool         // it goes on after AWS refused the broker's credentials
}

// begin returns the call of an entry, a new one if none is under way. The broker comes first and
// holds no place among the running fetches for its dependents, so that a chain cannot block itself.
// The lock must be held.
func (c *Cache) begin(e *entry, background bool) *call {
	if e.call != nil {
		if !background && e.call.background {
			c.hurry(e)
		}
		return e.call
	}
	cl := &call{done: make(chan struct{}), begun: c.now().mono, background: background}
	e.call = cl
	if !background {
		c.ask(e)
	}
	e.tended.Store(true)
	c.schedule.remove(e)
	if c.closed {
		c.finish(e, nil, errClosed, 0)
		return cl
	}
	if e.id.From == nil {
		c.enqueue(e)
		return cl
	}

	broker, err := c.admit(*e.id.From, false)
	if err != nil {
		c.finish(e, nil, err, 0)
		return cl
	}
	now := c.now()
	broker.used.Store(now.mono)
	if h := broker.valid(now); h != nil {
		if h.refresh.passed(now) && !broker.tended.Load() {
			c.begin(broker, true)
		}
		cl.from = h.creds
		c.enqueue(e)
	} else if f := broker.failed.Load(); f != nil && now.mono < f.retryAt {
		c.finish(e, nil, f.err, f.retryAt)
	} else {
		bc := c.begin(broker, background)
		if broker.call == nil {
			// It is over already: the broker's own broker has nothing.
			c.finish(e, nil, bc.err, broker.failed.Load().retryAt)
		} else {
			bc.dependents = append(bc.dependents, e)
		}
	}
	return cl
}

// hurry turns the call of an entry, and those of the brokers that it waits for, from one in the
// background into one that a request waits for. The lock must be held.
func (c *Cache) hurry(e *entry) {
	for e != nil && e.call != nil && e.call.background {
		if cl := e.call; cl.line != nil {
			cl.line.hurry(e)
		} else {
			cl.background = false
		}
		c.ask(e)
		if e.id.From == nil || e.call.from != nil {
			return
		}
		e = c.table.load(e.id.From.Key)
	}
}

// enqueue starts the call of an entry as soon as there is room for it. The lock must be held.
func (c *Cache) enqueue(e *entry) {
	switch {
	case e.id.Local:
		c.start(e)
	case c.hold(e):
	case c.queue.running < c.opts.MaxFetches:
		c.start(e)
	default:
		c.queue.push(e)
	}
}

// start runs the call of an entry in a goroutine of its own. The lock must be held.
func (c *Cache) start(e *entry) {
	if !e.id.Local {
		c.queue.running++
	}
	from, attempt := e.call.from, 1
	if f := e.failed.Load(); f != nil {
		attempt = f.err.Attempts + 1
	}
	c.wg.Go(func() {
		begun := time.Now()
		var creds *Credentials
		var err error = errExited
		defer func() { // Deferred, as a fetch may end its goroutine.
			c.end(e, creds, err, Event{
				Key:      e.id.Key,
				Label:    e.id.Label,
				Duration: time.Since(begun),
				Attempt:  attempt,
			})
		}()
		creds, err = c.fetch(&e.id, from)
	})
}

// end takes the outcome of the fetch of an entry, and tells of it.
func (c *Cache) end(e *entry, creds *Credentials, err error, ev Event) {
	c.mu.Lock()
	ev.Background = e.call.background
	if err == nil {
		ev.Expires = creds.Expires
	} else if h := e.valid(c.now()); h != nil {
		ev.ValidUntil = h.until.time()
	}
	if !e.id.Local {
		c.queue.running--
	}
	if err != nil && refusesCaller(err) && c.retryWithNewBroker(e) {
		ev.Err = &Error{Key: e.id.Key, Label: e.id.Label, Since: c.now().time(), Attempts: ev.Attempt, Err: err}
	} else if c.finish(e, creds, err, 0); err != nil {
		ev.Err = e.failed.Load().err
	}
	if !e.id.Local {
		c.release(e)
	}
	c.startQueued()
	closed := c.closed
	c.mu.Unlock()

	if !closed {
		c.notify(ev)
	}
}

// startQueued fills the places that are free. Once the cache is closed it ends what is queued instead.
// (Whatever is queued waits for something that runs, so this is called again.) The lock must be held.
func (c *Cache) startQueued() {
	for c.queue.running < c.opts.MaxFetches {
		e := c.queue.pop()
		if e == nil {
			return
		}
		if c.drop(e) {
			c.release(e)
		} else {
			c.start(e)
		}
	}
}

// drop ends the call of an entry whose turn has come if nobody wants it any more. The lock must be held.
func (c *Cache) drop(e *entry) bool {
	switch cl := e.call; {
	case c.closed:
		c.finish(e, nil, errClosed, 0)
	case !cl.background && cl.waiters == 0 && len(cl.dependents) == 0 && e.pins == 0:
		c.abandon(e, errAbandoned)
	default:
		return false
	}
	return true
}

// abandon ends a call that did not start, which says nothing about the identity. The lock must be
// held.
func (c *Cache) abandon(e *entry, err error) {
	cl := e.call
	e.call = nil
	c.answered(e, cl)
	e.tended.Store(false)
	cl.err = &Error{Key: e.id.Key, Label: e.id.Label, Err: err}
	close(cl.done)
}

// finish ends the call of an entry with credentials or an error, and goes on with those that stand
// on it. The next attempt after an error is made after a pause, or at retryAt unless that is zero:
// an identity whose broker failed comes back with its broker. The lock must be held.
func (c *Cache) finish(e *entry, creds *Credentials, err error, retryAt int64) {
	cl := e.call
	e.call = nil
	c.answered(e, cl)
	now := c.now()
	e.done = now.mono

	if err == nil {
		refresh, until := lifetime(now, creds.Expires, c.opts.Margin, c.opts.MinBackoff)
		e.held.Store(&held{creds: creds, refresh: refresh, until: until, fetched: now.mono})
		e.failed.Store(nil)
		if refresh != never {
			c.tend(e, refresh.mono)
		}
		cl.creds = creds
	} else {
		f := &failure{err: &Error{Key: e.id.Key, Label: e.id.Label, Since: now.time(), Attempts: 1, Err: err}}
		if last := e.failed.Load(); last != nil {
			f.err.Since, f.err.Attempts = last.err.Since, last.err.Attempts+1
		}
		f.retryAt = max(retryAt, 0)
		if retryAt == 0 {
			f.retryAt = now.mono + int64(backoff(f.err.Attempts, c.opts.MinBackoff, c.opts.MaxBackoff))
		}
		e.failed.Store(f)
		c.tend(e, f.retryAt)
		cl.err = f.err
	}
	close(cl.done)

	for _, d := range cl.dependents {
		switch {
		case c.closed:
			c.finish(d, nil, errClosed, 0)
		case err != nil:
			c.finish(d, nil, cl.err, e.failed.Load().retryAt)
		default:
			d.call.from = creds
			c.enqueue(d)
		}
	}
}

// fetch gets credentials within the time a fetch has, and refuses those that nobody could use.
func (c *Cache) fetch(id *Identity, from *Credentials) (creds *Credentials, err error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.opts.FetchTimeout)
	defer cancel()

	defer func() {
		if r := recover(); r != nil {
			creds, err = nil, &PanicError{Value: r, Stack: debug.Stack()}
		}
	}()
	creds, err = id.Fetch(ctx, from)
	if err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = &timeoutError{after: c.opts.FetchTimeout, err: err}
		}
		return nil, err
	}
	return creds, creds.check(c.now().time())
}

// check refuses credentials that nothing can be signed with.
func (creds *Credentials) check(now time.Time) error {
	switch {
	case creds == nil || creds.Signer == nil:
		return errors.New("the fetch returned nothing")
	case creds.Value.AccessKeyID == "" || creds.Value.SecretAccessKey == "":
		return errors.New("the fetch returned an empty access key ID or secret access key")
	case !creds.Expires.IsZero() && !creds.Expires.After(now):
		return fmt.Errorf("the fetch returned credentials that expired at %s, and it is %s here: is the clock right?",
			creds.Expires.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}
