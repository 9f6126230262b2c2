package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/dial"
)

// Outcome is how an attempt went.
type Outcome string

// The outcomes of an attempt.
const (
	Delivered Outcome = "delivered" // the receiver answered with a status of 200 to 299
	Failed    Outcome = "failed"    // it did not, and is tried again
	Dropped   Outcome = "dropped"   // it is never tried again
)

// Delivery is an attempt, as it may be logged: without path and query of the URL, which may be secret, without
// a secret and without the body.
type Delivery struct {
	Outcome Outcome

	// ID is the Webhook-Id, Event what is told, Connection and Integration whom it is about.
	ID                      string
	Event                   Event
	Connection, Integration string

	// To is scheme, host and port of the receiver; Own says that the connection has named it.
	To  string
	Own bool

	// Attempt counts the attempts, from 1; 0 if there was none.
	Attempt int

	// Status is the receiver's; 0 if it did not answer. Reason says why it was not delivered.
	Status int
	Reason string

	// Next is when it is tried again, if Failed.
	Next time.Time
}

func (it *item) delivery(o Outcome, reason string) Delivery {
	return Delivery{
		Outcome: o, ID: it.ID, Event: it.Event, Connection: it.Change.ConnectionID, Integration: it.Integration,
		To: origin(it.URL), Own: it.Own, Attempt: it.Attempts, Reason: reason,
	}
}

// storageRetry is how long to wait for a storage, or for a configuration that knows a URL.
const (
	storageRetry = 30 * time.Second
	configRetry  = 10 * time.Minute
)

// attempt sends an item. It returns when to go on with it, or that it is gone.
func (s *Sender) attempt(e *entry) (next time.Time, gone bool) {
	s.mu.Lock()
	done, sure, fresh, expired := e.done, e.sure, e.fresh, e.expired
	s.mu.Unlock()
	if done {
		return s.end(e)
	}
	it, mine, next, err := s.take(e.key, fresh)
	if mine {
		s.note(func() { e.lease = it.Until })
	}
	switch {
	case damaged(err):
		s.options.Report(fmt.Errorf("a webhook that can't be read is not sent: %w", err))
		return s.now().Add(time.Hour), false
	case err != nil:
		s.trouble(err)
		return s.now().Add(jittered(storageRetry)), false
	case it == nil:
		return time.Time{}, true
	case !mine:
		return next, false
	}
	if !sure && !it.Sure {
		happened, err := s.options.Store.Happened(s.ctx, it.Change)
		if err != nil {
			s.trouble(err)
			return s.release(e, s.now().Add(jittered(storageRetry)))
		}
		if !happened {
			return s.end(e)
		}
		s.note(func() { e.sure = true })
	}
	to, known := s.endpoint(it)
	old := s.now().Sub(it.Created) > maxAge
	switch {
	case expired, old && it.Attempts > 0:
		return s.drop(e, it, "it could not be delivered for too long")
	case !known && old:
		return s.drop(e, it, "its URL is not configured any more")
	case !known:
		// Another instance may have the configuration that knows it.
		return s.release(e, s.now().Add(configRetry))
	}
	return s.send(e, it, to)
}

// take returns an item with this instance's lease, as claim does.
func (s *Sender) take(key store.Key, fresh bool) (it *item, mine bool, next time.Time, err error) {
	if fresh {
		it = new(item)
		err := s.records.Get(s.ctx, key, it)
		if err == nil && it.Holder == s.holder && s.now().Add(s.options.Timeout+10*time.Second).Before(it.Until) {
			return it, true, time.Time{}, nil
		}
	}
	return s.claim(s.ctx, key)
}

// send makes one attempt.
func (s *Sender) send(e *entry, it *item, to *Endpoint) (next time.Time, gone bool) {
	status, retryAfter, err := s.post(it, to)
	if s.ctx.Err() != nil && err != nil { // It was not the receiver's fault.
		return s.release(e, s.now())
	}
	it.Attempts++
	ok := err == nil && status >= 200 && status < 300
	_, refused := errors.AsType[*dial.Error](err)
	final := refused || status == http.StatusGone
	if !final {
		s.judge(e.url, ok)
	}
	d := it.delivery(Delivered, "")
	d.Status = status
	if ok {
		s.options.Observe(d)
		return s.end(e)
	}
	d.Reason = reason(status, err)
	if final || it.Attempts >= maxAttempts {
		d.Outcome = Dropped
		s.options.Observe(d)
		return s.end(e)
	}
	next = s.now().Add(delay(it.Attempts, retryAfter))
	d.Outcome, d.Next = Failed, next
	s.options.Observe(d)
	s.note(func() { e.fresh = false })
	err = s.keep(e, func(now *item) { now.Sure, now.Attempts, now.Next = true, it.Attempts, next })
	if err != nil {
		s.trouble(err) // The lease ends by itself.
	}
	return next, false
}

// post sends the request.
func (s *Sender) post(it *item, to *Endpoint) (status int, retryAfter time.Duration, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.options.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, it.URL, bytes.NewReader(it.Body))
	if err != nil {
		return 0, 0, errors.New("its URL can't be called")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "caddy-aws-sigv4")
	sign(req.Header, to.Secrets, it.ID, s.options.Clock(), it.Body)
	resp, err := s.client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // Without the URL.
		}
		return 0, 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 16<<10)) // So that the connection can be used again.
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		retryAfter = time.Duration(min(seconds, int(mostRetryAfter/time.Second))) * time.Second
	}
	return resp.StatusCode, retryAfter, nil
}

func reason(status int, err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "the receiver did not answer in time"
	case err != nil:
		return err.Error()
	case status == http.StatusGone:
		return "the receiver answered 410: it wants no more of them"
	case status >= 300 && status < 400:
		return fmt.Sprintf("the receiver answered %d, and redirects are not followed", status)
	default:
		return fmt.Sprintf("the receiver answered %d", status)
	}
}

// judge tells the circuit of a URL how an attempt went.
func (s *Sender) judge(to string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok {
		delete(s.circuits, to)
		return
	}
	c := s.circuits[to]
	if c == nil {
		c = new(circuit)
		s.circuits[to] = c
	}
	c.fail(s.now())
}

// endpoint returns whose secrets sign an item.
func (s *Sender) endpoint(it *item) (*Endpoint, bool) {
	if it.Own {
		return s.own, s.own != nil
	}
	for i := range s.options.Endpoints {
		if e := &s.options.Endpoints[i]; e.URL == it.URL {
			return e, true
		}
	}
	return nil, false
}

// drop gives an item up.
func (s *Sender) drop(e *entry, it *item, why string) (next time.Time, gone bool) {
	s.options.Observe(it.delivery(Dropped, why))
	return s.end(e)
}

// end removes an item that nothing more is to be done about. Should the storage fail, that is tried again, and
// nothing is sent twice for it as long as this instance lives.
func (s *Sender) end(e *entry) (next time.Time, gone bool) {
	s.note(func() { e.done = true })
	if err := s.remove(e); err != nil {
		s.trouble(err)
		return s.now().Add(jittered(storageRetry)), false
	}
	return time.Time{}, true
}

// release gives the lease back, and waits.
func (s *Sender) release(e *entry, next time.Time) (time.Time, bool) {
	s.mu.Lock()
	sure := e.sure
	e.fresh = false
	s.mu.Unlock()
	if err := s.keep(e, func(it *item) { it.Sure = it.Sure || sure }); err != nil {
		s.trouble(err)
	}
	return next, false
}

// note changes what is remembered.
func (s *Sender) note(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// trouble reports what went wrong with the queue, unless it is being closed.
func (s *Sender) trouble(err error) {
	if s.ctx.Err() == nil {
		s.options.Report(fmt.Errorf("sending webhooks: %w", err))
	}
}

func ignoreNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
