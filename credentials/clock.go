package credentials

import (
	"math"
	"math/rand/v2"
	"time"
)

// instant is a moment on both clocks, in nanoseconds. Expiry is a matter of the wall clock, which
// may jump; the monotonic one does not jump, but may stand still while the machine sleeps.
type instant struct {
	wall int64 // since the Unix epoch
	mono int64 // since the cache was made
}

// deadline is a moment that has come as soon as either clock says so. Both can only be late: the
// wall clock if it was set back, the monotonic one if the machine slept.
type deadline struct{ wall, mono int64 }

var never = deadline{math.MaxInt64, math.MaxInt64}

// time returns the deadline on the wall clock.
func (d deadline) time() time.Time { return time.Unix(0, d.wall) }

func (d deadline) passed(now instant) bool { return now.wall >= d.wall || now.mono >= d.mono }

// in returns the deadline that lies d after an instant.
func (i instant) in(d time.Duration) deadline {
	return deadline{i.wall + int64(d), i.mono + int64(d)}
}

// time returns the wall clock's time.
func (i instant) time() time.Time { return time.Unix(0, i.wall) }

// clock returns a function that reads both clocks.
func clock() func() instant {
	start := time.Now()
	return func() instant {
		t := time.Now()
		return instant{wall: t.UnixNano(), mono: int64(t.Sub(start))}
	}
}

// lifetime divides what is left of new credentials. They are served until `until`, which lies a
// margin before they expire, so that a request signed with them still arrives in time. From
// `refresh` on their successor is fetched: at a random point between half and seven tenths of that
// time, so that identities that were fetched together do not come back together, and a failing STS
// has a long time to recover.
func lifetime(now instant, expires time.Time, margin, floor time.Duration) (refresh, until deadline) {
	if expires.IsZero() {
		return never, never
	}
	left := time.Duration(expires.UnixNano() - now.wall)
	served := left - min(margin, left/8)
	wait := time.Duration(float64(served) * (0.5 + 0.2*rand.Float64()))
	return now.in(max(wait, floor)), now.in(served)
}

// backoff returns how long to wait after the n-th failure in a row, from 1: low, twice as long each
// time up to high, and up to a quarter more or less at random.
func backoff(n int, low, high time.Duration) time.Duration {
	d := high
	if shift := n - 1; shift < 32 && low<<shift>>shift == low {
		d = min(high, low<<shift)
	}
	return time.Duration(float64(d) * (0.75 + 0.5*rand.Float64()))
}
