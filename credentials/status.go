package credentials

import (
	"cmp"
	"slices"
	"time"
)

// Status is what the cache knows of one identity at one moment. It holds no secret.
type Status struct {
	// Key is the identity's key.
	Key string

	// Label is the identity's label. Identities that differ only in what is not told, such as
	// their External ID, have the same.
	Label string

	// RoleARN is the role that is assumed, or empty.
	RoleARN string

	// Valid says whether there are credentials that are served.
	Valid bool

	// Expires is when they expire, or did; zero if they never do or there are none.
	Expires time.Time

	// LastFetch is when they were fetched; zero if there are none.
	LastFetch time.Time

	// NextRefresh is when the schedule comes back to the identity: to refresh it if it was used
	// in the meantime, or to try again. Zero if it will not, or if a fetch is under way.
	NextRefresh time.Time

	// Fetching says whether a fetch is under way or in the queue.
	Fetching bool

	// Pinned says whether it is kept fresh without being used.
	Pinned bool

	// Failure is why the last fetch failed, since when, and how many in a row; nil if it did not.
	Failure *Error
}

// Status returns the state of all identities, sorted by label.
func (c *Cache) Status() []Status {
	c.mu.Lock()
	defer c.mu.Unlock()

	now := c.now()
	all := make([]Status, 0, c.table.size)
	c.table.all(func(e *entry) { all = append(all, e.status(now)) })
	slices.SortFunc(all, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.Key, b.Key))
	})
	return all
}

// StatusOf returns the state of one identity; of one that the cache does not hold, only who it is.
func (c *Cache) StatusOf(id Identity) Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.table.load(id.Key); e != nil {
		return e.status(c.now())
	}
	return Status{Key: id.Key, Label: id.Label, RoleARN: id.RoleARN}
}

// Len returns how many identities the cache holds.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.table.size
}

func (e *entry) status(now instant) Status {
	s := Status{
		Key:      e.id.Key,
		Label:    e.id.Label,
		RoleARN:  e.id.RoleARN,
		Valid:    e.valid(now) != nil,
		Fetching: e.call != nil,
		Pinned:   e.pins > 0,
	}
	if h := e.held.Load(); h != nil {
		s.Expires, s.LastFetch = h.creds.Expires, h.creds.FetchedAt
	}
	if e.index != 0 {
		s.NextRefresh = now.in(time.Duration(e.due - now.mono)).time()
	}
	if f := e.failed.Load(); f != nil {
		s.Failure = f.err
	}
	return s
}
