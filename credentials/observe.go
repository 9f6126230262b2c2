package credentials

import (
	"slices"
	"time"
)

// Observer is told about fetches: a configuration's logger, metrics and events. It is called from
// the goroutine of the fetch, never under a lock of the cache, by several goroutines at once, and
// should return soon.
type Observer interface {
	// Fetched is called after a fetch succeeded.
	Fetched(Event)

	// Failed is called after a fetch failed. An identity whose broker has no credentials did
	// not fetch: the broker's failure is told once, not once for everyone that stands on it.
	Failed(Event)
}

// Event is one fetch that ended.
type Event struct {
	// Key is the identity's key.
	Key string

	// Label is the identity's label.
	Label string

	// Duration is how long the fetch took, without its time in the queue.
	Duration time.Duration

	// Expires is when the fetched credentials expire; zero if they never do or the fetch failed.
	Expires time.Time

	// Err is why the fetch failed, or nil.
	Err error

	// Attempt counts fetches since the last success, from 1.
	Attempt int

	// Background is true if no request waited for this fetch.
	Background bool

	// ValidUntil is, after a failure, until when the credentials of an earlier fetch are still
	// served; zero if there are none, so that requests fail now.
	ValidUntil time.Time
}

// Attach makes o the observer. The latest one that is attached is told; detach takes o away, which
// brings back the one before it if o was the latest. Calling detach again does nothing.
func (c *Cache) Attach(o Observer) (detach func()) {
	a := &attachment{o}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.observers = append(c.observers, a)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.observers = slices.DeleteFunc(c.observers, func(b *attachment) bool { return a == b })
	}
}

// attachment gives every Attach its own address, as the same observer may be attached twice.
type attachment struct{ Observer }

// notify tells the observer. It must be called without the lock.
func (c *Cache) notify(ev Event) {
	c.mu.Lock()
	var o Observer
	if n := len(c.observers); n > 0 {
		o = c.observers[n-1].Observer
	}
	c.mu.Unlock()
	if o == nil {
		return
	}

	// This is a goroutine of ours, so a panic here would end the whole process, not one request.
	defer func() { _ = recover() }()
	if ev.Err != nil {
		o.Failed(ev)
	} else {
		o.Fetched(ev)
	}
}
