package credentials

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

const (
	// renewEvery is how often an identity is fetched at most because somebody says that AWS
	// refuses credentials that should be good. What says so may be no AWS at all.
	renewEvery = time.Minute

	// renewWait is how long Renew waits. The answer that it could spare a client is an error in
	// any case, so it is better given soon.
	renewWait = 5 * time.Second
)

// Renew returns newer credentials of an identity than those that AWS refused, as expired or unknown,
// although they should be valid: a session that was revoked, a key that was replaced in the file it
// came from. If others have renewed them meanwhile, theirs are returned; if a fetch is under way, it
// is waited for; otherwise they are fetched, at most once a minute. It waits five seconds at most.
// An error, of type *Error, means that there are none; the refused ones go on being served, as long
// as they say that they are valid, since a refusal can be wrong.
func (c *Cache) Renew(ctx context.Context, id Identity, refused *Credentials) (*Credentials, error) {
	creds, call, err := c.renew(&id, refused, false)
	if err != nil {
		return nil, err
	}
	if call == nil {
		return creds, nil
	}
	creds, err = c.wait(ctx, id, call, renewWait, nil)
	if err != nil {
		return nil, err
	}
	if creds.same(refused) {
		return nil, &Error{Key: id.Key, Label: id.Label, Err: errUnchanged}
	}
	return creds, nil
}

// RenewLater is Renew for those who need the newer credentials only next time: it waits for nothing.
func (c *Cache) RenewLater(id Identity, refused *Credentials) {
	_, _, _ = c.renew(&id, refused, true) //nolint:dogsled // whoever waits next time hears of an error
}

// renew returns newer credentials if there are any, or else the call that fetches them, which the
// caller has to wait for unless it is in the background.
func (c *Cache) renew(id *Identity, refused *Credentials, background bool) (*Credentials, *call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, err := c.admit(*id, false)
	if err != nil {
		return nil, nil, &Error{Key: id.Key, Label: id.Label, Err: err}
	}
	now := c.now()
	e.used.Store(now.mono)
	if h := e.valid(now); h != nil && !h.creds.same(refused) {
		return h.creds, nil, nil
	}
	if !background {
		if err := c.crowded(id); err != nil {
			return nil, nil, err
		}
	}
	if err := c.mayRenew(e, now); err != nil {
		return nil, nil, err
	}
	call := c.begin(e, background)
	if !background {
		call.waiters++
	}
	return nil, call, nil
}

// mayRenew says whether a fetch of an entry is under way or may begin now, and counts it. The lock
// must be held.
func (c *Cache) mayRenew(e *entry, now instant) error {
	switch f := e.failed.Load(); {
	case e.call != nil:
		return nil
	case f != nil && now.mono < f.retryAt:
		return f.err
	case f == nil && now.mono < e.renewable:
		return &Error{Key: e.id.Key, Label: e.id.Label, Err: errRenewed}
	}
	e.renewable = now.mono + int64(renewEvery)
	return nil
}

const (
	errUnchanged = busyError("they were fetched again and are the same")
	errRenewed   = busyError("they were fetched anew less than a minute ago because they had been refused")
)

// same says whether two sets of credentials sign the same.
func (creds *Credentials) same(other *Credentials) bool {
	return other != nil && (creds == other || creds.Value == other.Value)
}

// refusesCaller says whether AWS did not accept the credentials that a call was signed with, so that
// newer ones may help.
func refusesCaller(err error) bool {
	e, ok := errors.AsType[*sts.Error](err)
	if !ok {
		return false
	}
	switch e.Code {
	case "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException":
		return true
	}
	return false
}

// retryWithNewBroker begins to renew the broker of an entry whose call it just failed, and lets the
// call go on when that is done, once. It returns false if nothing of the kind may be done, so that the
// call has to end. The lock must be held.
func (c *Cache) retryWithNewBroker(e *entry) bool {
	cl := e.call
	if e.id.From == nil || cl.again || c.closed {
		return false
	}
	broker, err := c.admit(*e.id.From, false)
	if err != nil {
		return false
	}
	now := c.now()
	if h := broker.valid(now); h != nil && !h.creds.same(cl.from) {
		cl.again, cl.from = true, h.creds
		c.enqueue(e)
		return true
	}
	if c.mayRenew(broker, now) != nil {
		return false
	}
	bc := c.begin(broker, cl.background)
	if broker.call == nil {
		return false
	}
	cl.again, cl.from = true, nil
	bc.dependents = append(bc.dependents, e)
	return true
}

// Refresh fetches the credentials of an identity now, whether or not it is time, and returns them. If
// a fetch is under way, it waits for that one. It is for operators: nothing bounds how often it is
// called, but that an identity has one fetch at a time. Errors are of type *Error.
func (c *Cache) Refresh(ctx context.Context, id Identity) (*Credentials, error) {
	c.mu.Lock()
	e, err := c.admit(id, false)
	if err != nil {
		c.mu.Unlock()
		return nil, &Error{Key: id.Key, Label: id.Label, Err: err}
	}
	e.used.Store(c.now().mono)
	call := c.begin(e, false)
	call.waiters++
	c.mu.Unlock()
	return c.wait(ctx, id, call, c.opts.FetchTimeout*time.Duration(id.depth()), nil)
}
