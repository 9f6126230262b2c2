package awssigv4

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/dial"
)

// retry sends a call until it is answered with something else than what its caller wants tried again, as
// often as the caller asked for, within retryTime. Each attempt is signed anew. A call whose body is not
// held is sent once, and none is sent again whose connection may not be used any more. The last answer is
// the caller's, as it came.
func (t *Transport) retry(req *http.Request, c *call) (*http.Response, error) {
	asked := &c.controls
	end := time.Now().Add(retryTime)
	for n := 0; ; n++ {
		res, err := t.attempt(req)
		if n >= asked.retries || !asked.worthRetrying(req, res, err) || !t.canRepeat(req) {
			return res, err
		}
		wait := pauseBefore(n, res, time.Now())
		if time.Now().Add(wait).After(end) {
			return res, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-req.Context().Done():
			timer.Stop()
			return res, err
		case <-timer.C:
		}
		if !c.goesOn(req.Context()) {
			return res, err
		}
		if res != nil {
			res.Body.Close() // Unread: nobody knows how long it takes to come.
		}
		callRetriesTotal.Inc()
	}
}

// worthRetrying says whether another attempt may go better: nobody answered, or with a status of the
// server's own or one that the caller names. An answer that this transport gives itself is final.
func (c *controls) worthRetrying(req *http.Request, res *http.Response, err error) bool {
	if req.Context().Err() != nil {
		return false
	}
	if err != nil {
		_, refused := asRefusal(err)
		if _, guarded := errors.AsType[*dial.Error](err); guarded {
			return false
		}
		_, unsent := err.(unsent) //nolint:errorlint // it is what this transport returns itself
		return !refused && !unsent
	}
	if _, ours := res.Body.(ownAnswer); ours {
		return false
	}
	return res.StatusCode >= http.StatusInternalServerError || res.StatusCode == http.StatusTooManyRequests || slices.Contains(c.retryOn, res.StatusCode)
}

// pauseBefore returns how long to wait before retry n, the first being 0: what the server says in
// Retry-After, else twice as long each time, with a jitter so that callers don't come all at once.
func pauseBefore(n int, res *http.Response, now time.Time) time.Duration {
	if res != nil {
		if wait, ok := retryAfter(res.Header.Get("Retry-After"), now); ok {
			return wait
		}
	}
	d := retryDelay << n
	return d/2 + rand.N(d/2) //nolint:gosec // a jitter is no secret
}

// retryAfter reads a Retry-After header: seconds or a date, RFC 9110 section 10.2.3.
func retryAfter(text string, now time.Time) (time.Duration, bool) {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		return time.Duration(n) * time.Second, true
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now)), true
	}
	return 0, false
}

// ownAnswer is the body of an answer that the transport gives in place of the service.
type ownAnswer struct{ io.Reader }

// Close implements io.Closer.
func (ownAnswer) Close() error { return nil }
