package credentials

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Error is what Cache.Get returns: whose credentials are missing, why, and since when. It is
// shared by all callers that meet the same failure and holds no secret.
type Error struct {
	// Key is the identity's key, which finds the name that a configuration gave it.
	Key string

	// Label is the identity's label.
	Label string

	// Since is when the first of the failed attempts in a row ended; zero if no attempt failed
	// yet, as when a caller gave up waiting.
	Since time.Time

	// Attempts is how many fetches in a row have failed.
	Attempts int

	// Err is the cause.
	Err error
}

// Error says which identity, why, and since when.
func (e *Error) Error() string {
	// A broker's error already says how often it has failed.
	if _, ofBroker := e.Err.(*Error); e.Attempts < 2 || ofBroker { //nolint:errorlint // only the very cause
		return fmt.Sprintf("credentials of %s: %v", e.Label, e.Err)
	}
	return fmt.Sprintf("credentials of %s: %v (%d attempts have failed since %s)",
		e.Label, e.Err, e.Attempts, e.Since.UTC().Format(time.RFC3339))
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Temporary says whether the same fetch may succeed later with nothing changed: the network, a
// timeout, throttling, a service that is down. HTTP calls that 503. Otherwise somebody refused, or
// something is configured wrongly, which is 502.
func (e *Error) Temporary() bool {
	// The causes that know say so themselves; a broker's Error is one of them.
	if r, ok := errors.AsType[interface {
		error
		Retryable() bool
	}](e.Err); ok {
		return r.Retryable()
	}
	if errors.Is(e.Err, context.Canceled) {
		return true
	}
	if t, ok := errors.AsType[net.Error](e.Err); ok && t.Timeout() {
		return true
	}
	if _, ok := errors.AsType[*net.OpError](e.Err); ok {
		return true
	}
	_, ok := errors.AsType[*net.DNSError](e.Err)
	return ok
}

// Retryable is Temporary, so that the failure of a broker decides for those that stand on it.
func (e *Error) Retryable() bool { return e.Temporary() }

// PanicError is the cause when a fetch panicked.
type PanicError struct {
	// Value is what it panicked with.
	Value any

	// Stack is the stack of the goroutine, for the log.
	Stack []byte
}

// Error names the value, not the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("the fetch panicked: %v", e.Value) }

// busyError is a cause that lies with the cache's own limits, so that trying again makes sense.
type busyError string

func (e busyError) Error() string   { return string(e) }
func (e busyError) Retryable() bool { return true }

// slowError is the cause when a fetch goes on, and its caller waits no longer.
type slowError string

func (e slowError) Error() string   { return string(e) }
func (e slowError) Retryable() bool { return true }

// CrowdedError is the cause when requests wait for as many fetches of one Identity.Owner as they may.
type CrowdedError struct {
	// Limit is how many those are.
	Limit int
}

// Error says so.
func (e *CrowdedError) Error() string {
	return fmt.Sprintf("%d others are being fetched for the same owner: try again when some of them are there", e.Limit)
}

// Retryable says that the same may succeed later.
func (*CrowdedError) Retryable() bool { return true }

// Busy says whether the cause lies with the cache's own limits, so that nobody was asked.
func (e *Error) Busy() bool {
	_, busy := errors.AsType[busyError](e.Err)
	return busy
}

const (
	errClosed    = busyError("the cache of credentials is closed, because this configuration was replaced")
	errExited    = busyError("the fetch ended its goroutine")
	errAbandoned = busyError("nobody waits for them any more")
)

// timeoutError is the cause when a fetch used up its time.
type timeoutError struct {
	after time.Duration
	err   error
}

func (e *timeoutError) Error() string {
	return fmt.Sprintf("no answer within %v: %v", e.after, e.err)
}
func (e *timeoutError) Unwrap() error   { return e.err }
func (e *timeoutError) Retryable() bool { return true }
