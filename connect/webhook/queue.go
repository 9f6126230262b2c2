package webhook

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
)

// entry is what an instance remembers of an item. It is guarded by Sender.mu.
type entry struct {
	key       store.Key
	url, host string
	created   time.Time
	next      time.Time
	busy      bool

	sure    bool // the change was made
	fresh   bool // this instance has had the lease since it made the item
	done    bool // it was sent, or given up, and has to be removed
	expired bool // it is to be given up

	lease time.Time // the end of the lease that this instance took
}

// Announce implements connect.Announcer.
func (s *Sender) Announce(ctx context.Context, a connect.Announcement) (stored func(), err error) {
	event := eventOf(a.Kind)
	var made []store.Key
	for _, to := range s.destinations(event, &a.Connection) {
		key, err := s.enqueue(ctx, event, a, to)
		if err != nil {
			return nil, err
		}
		if key != (store.Key{}) {
			made = append(made, key)
		}
	}
	return func() {
		s.mu.Lock()
		for _, key := range made {
			if e := s.entries[key]; e != nil {
				e.sure, e.next = true, s.now()
			}
		}
		s.mu.Unlock()
		s.nudge()
	}, nil
}

// destinations returns where an event of a connection goes.
func (s *Sender) destinations(event Event, c *connect.Connection) (urls []string) {
	if event == "" || s.own == nil {
		return nil
	}
	if c.WebhookURL != "" {
		if s.own.sends(event) {
			urls = append(urls, c.WebhookURL)
		}
		return urls
	}
	for i := range s.options.Endpoints {
		if e := &s.options.Endpoints[i]; e.URL != "" && e.sends(event) {
			urls = append(urls, e.URL)
		}
	}
	return urls
}

// enqueue stores an item, with this instance's lease. The key is zero if nothing is to be sent by it.
func (s *Sender) enqueue(ctx context.Context, event Event, a connect.Announcement, to string) (store.Key, error) {
	key, err := itemKey(a.ID, to)
	if err != nil {
		return store.Key{}, err
	}
	it := &item{
		ID: a.ID, URL: to, Own: to == a.Connection.WebhookURL, Event: event, Integration: a.Connection.Integration, Change: a.Change, Created: s.now(),
		Holder: s.holder, Until: s.now().Add(leaseTime),
	}
	if it.Body, err = newBody(event, a); err != nil {
		s.options.Observe(it.delivery(Dropped, err.Error()))
		return store.Key{}, nil
	}
	// Room is taken before it is needed: several changes are announced at once.
	if !s.admit(&entry{key: key, url: to, host: hostOf(to), created: it.Created, next: it.Until, fresh: true, lease: it.Until}) {
		s.options.Observe(it.delivery(Dropped, "too much waits to be sent"))
		return store.Key{}, nil
	}
	err = s.records.Update(ctx, key, func(r *store.Record) error {
		var before item
		if found, err := r.Get(&before); err != nil || found && (before.Sure || before.Attempts > 0) {
			return err // It was announced before, and others are about it.
		}
		return r.Put(it)
	})
	if err != nil {
		s.forget(key) // If it was stored all the same, it is found again.
		return store.Key{}, err
	}
	return key, nil
}

// admit remembers an item, if there is room for it.
func (s *Sender) admit(e *entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.entries[e.key]; known != nil {
		if !known.sure {
			known.next = e.next
		}
		return true
	}
	if len(s.entries) >= s.options.MaxQueue || s.perURL[e.url] >= s.options.MaxPerURL {
		return false
	}
	s.add(e)
	return true
}

// add remembers an item. The lock must be held.
func (s *Sender) add(e *entry) {
	s.entries[e.key] = e
	s.perURL[e.url]++
}

func (s *Sender) forget(key store.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	if e == nil {
		return
	}
	delete(s.entries, key)
	if s.perURL[e.url]--; s.perURL[e.url] <= 0 {
		delete(s.perURL, e.url)
	}
}

// nudge has the queue looked at now.
func (s *Sender) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Sender) sendForever() {
	for {
		timer := time.NewTimer(min(max(s.dispatch().Sub(s.now()), 10*time.Millisecond), time.Minute))
		select {
		case <-s.wake:
		case <-timer.C:
		case <-s.ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// dispatch begins what is due and has room, and returns when to look again.
func (s *Sender) dispatch() (again time.Time) {
	now := s.now()
	again = now.Add(time.Hour)
	sooner := func(t time.Time) {
		if t.Before(again) {
			again = t
		}
	}
	var due []*entry
	s.mu.Lock()
	for _, e := range s.entries {
		switch {
		case e.busy:
		case e.next.After(now):
			sooner(e.next)
		default:
			due = append(due, e)
		}
	}
	slices.SortFunc(due, func(a, b *entry) int { return cmp.Or(a.next.Compare(b.next), cmp.Compare(a.key.Name(), b.key.Name())) })
	begun := due[:0]
	for _, e := range due {
		admitted, until := s.circuits[e.url].admits(now)
		e.expired = !admitted && now.Sub(e.created) > maxAge
		switch {
		case !admitted && !e.expired && !e.done:
			sooner(until)
			continue
		case s.busy >= s.options.Concurrency || s.perHost[e.host] >= s.options.PerHost:
			continue // The end of one of them wakes the sender.
		}
		if c := s.circuits[e.url]; c != nil && c.failures >= circuitFailures && admitted {
			c.trying = true
		}
		e.busy = true
		s.busy++
		s.perHost[e.host]++
		begun = append(begun, e)
	}
	s.mu.Unlock()
	for _, e := range begun {
		s.spawn(func() { s.work(e) })
	}
	return again
}

// work is one attempt with an item, from its lease to its end.
func (s *Sender) work(e *entry) {
	next, gone := s.now().Add(time.Minute), false // Should it panic.
	defer func() {
		s.mu.Lock()
		e.busy, e.next = false, next
		s.busy--
		if s.perHost[e.host]--; s.perHost[e.host] <= 0 {
			delete(s.perHost, e.host)
		}
		if c := s.circuits[e.url]; c != nil {
			c.trying = false
		}
		s.mu.Unlock()
		if gone {
			s.forget(e.key)
		}
		s.nudge()
	}()
	next, gone = s.attempt(e)
}

// pollForever finds what other instances have left, and what was there before this one.
func (s *Sender) pollForever() {
	for {
		if err := s.poll(s.ctx); err != nil && s.ctx.Err() == nil {
			s.options.Report(fmt.Errorf("looking for webhooks to send: %w", err))
		}
		s.nudge()
		timer := time.NewTimer(s.options.Poll*3/4 + rand.N(s.options.Poll/2)) //nolint:gosec // a jitter is no secret
		select {
		case <-timer.C:
		case <-s.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// poll remembers the items that are stored and that this instance does not know.
func (s *Sender) poll(ctx context.Context) error {
	const page = 256
	s.prune()
	for after := ""; ; {
		keys, err := s.records.Keys(ctx, connect.WebhookKind, after, page)
		if err != nil {
			return err
		}
		for _, key := range keys {
			after = key.Name()
			s.mu.Lock()
			known, full := s.entries[key] != nil, len(s.entries) >= 2*s.options.MaxQueue
			s.mu.Unlock()
			if known || full {
				continue
			}
			var it item
			switch err := s.records.Get(ctx, key, &it); {
			case damaged(err):
				s.options.Report(fmt.Errorf("a webhook that can't be read is not sent: %w", err))
				continue
			case ignoreNotFound(err) != nil:
				return err
			case err != nil:
				continue
			}
			next := it.Next
			if it.Until.After(next) {
				next = it.Until
			}
			s.mu.Lock()
			if s.entries[key] == nil {
				s.add(&entry{key: key, url: it.URL, host: hostOf(it.URL), created: it.Created, next: next})
			}
			s.mu.Unlock()
		}
		if len(keys) < page {
			return nil
		}
	}
}

// prune forgets the circuits of URLs that nothing waits for.
func (s *Sender) prune() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for to, c := range s.circuits {
		if s.perURL[to] == 0 && now.Sub(c.until) > circuitMost {
			delete(s.circuits, to)
		}
	}
}

func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Host
}
