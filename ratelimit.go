package awssigv4

import (
	"slices"
	"sync"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// rateLimiter counts calls by the generic cell rate algorithm: of each key it remembers when its bucket
// would be empty again, which is all that there is to know. It is safe for concurrent use.
type rateLimiter struct {
	mu      sync.Mutex
	emptyAt map[string]time.Time
	sweepAt int // how many keys there are when it is time to forget some
}

// callRates counts the calls of this process, whatever configuration they came by.
var callRates = &rateLimiter{emptyAt: make(map[string]time.Time)}

// counted is a key whose calls are counted, and how many of them there may be.
type counted struct {
	key  string
	rate connect.Rate
}

// take counts a call for all that have a rate, or, if one of them has no call left, for none; then it
// returns how long to wait.
func (l *rateLimiter) take(now time.Time, all ...counted) (wait time.Duration) {
	if !slices.ContainsFunc(all, func(c counted) bool { return c.rate.Calls > 0 }) {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range all {
		if c.rate.Calls > 0 {
			wait = max(wait, l.after(c, now).Sub(now)-c.rate.Per)
		}
	}
	if wait > 0 {
		return wait
	}
	for _, c := range all {
		if c.rate.Calls > 0 {
			l.emptyAt[c.key] = l.after(c, now)
		}
	}
	l.sweep(now)
	return 0
}

// after returns when the bucket would be empty with one more call in it. A whole bucket takes c.rate.Per.
func (l *rateLimiter) after(c counted, now time.Time) time.Time {
	at := l.emptyAt[c.key]
	switch full := now.Add(c.rate.Per); {
	case at.Before(now):
		at = now
	case at.After(full):
		at = full // The rate was another one when calls were counted.
	}
	return at.Add(c.rate.Per / time.Duration(c.rate.Calls))
}

// sweep forgets buckets that are empty, now and then.
func (l *rateLimiter) sweep(now time.Time) {
	if len(l.emptyAt) < l.sweepAt {
		return
	}
	for key, at := range l.emptyAt {
		if !at.After(now) {
			delete(l.emptyAt, key)
		}
	}
	l.sweepAt = max(1024, 2*len(l.emptyAt))
}
