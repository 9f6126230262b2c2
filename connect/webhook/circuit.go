package webhook

import (
	"math/rand/v2"
	"time"
)

// circuit keeps what is for a URL waiting while its receiver is away, so that it takes nobody's place.
type circuit struct {
	failures int       // in a row
	until    time.Time // closed to attempts
	trying   bool      // one attempt finds out whether it is back
}

const (
	circuitFailures = 5
	circuitFirst    = 30 * time.Second
	circuitMost     = 15 * time.Minute
)

// admits says whether an attempt may be made, and from when on if not.
func (c *circuit) admits(now time.Time) (bool, time.Time) {
	switch {
	case c == nil || c.failures < circuitFailures:
		return true, time.Time{}
	case now.Before(c.until):
		return false, c.until
	case c.trying:
		return false, now.Add(circuitMost) // Its end wakes the sender.
	}
	return true, time.Time{}
}

// fail notes a failed attempt.
func (c *circuit) fail(now time.Time) {
	c.failures++
	c.trying = false
	if c.failures >= circuitFailures {
		wait := min(circuitFirst<<min(c.failures-circuitFailures, 10), circuitMost)
		c.until = now.Add(jittered(wait))
	}
}

// delays are the pauses between attempts: eleven of them within a day.
var delays = []time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 8 * time.Hour,
}

// maxAttempts is how often something is sent in vain.
var maxAttempts = len(delays) + 1

// mostRetryAfter is how much longer a receiver may have it waited.
const mostRetryAfter = time.Hour

// delay is how long to wait after so many failed attempts, at least as long as the receiver says.
func delay(attempts int, retryAfter time.Duration) time.Duration {
	d := jittered(delays[min(max(attempts, 1), len(delays))-1])
	return max(d, min(retryAfter, mostRetryAfter))
}

// jittered returns four to six fifths of a duration.
func jittered(d time.Duration) time.Duration {
	return d*4/5 + rand.N(max(d*2/5, 1)) //nolint:gosec // a jitter is no secret
}
