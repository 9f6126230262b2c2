package credentials

import (
	"cmp"
	"slices"
	"time"
)

// Status is what the cache knows of one identity at one moment. It holds no secret.
type Status struct {
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

	// LastError is why the last fetch failed; empty if it did not.
	LastError string

	// FailingSince is when the first of the failed fetches in a row ended, and Attempts how many
	// they are; zero if the last fetch did not fail.
	FailingSince time.Time
	Attempts     int
}

// Status returns the state of all identities, sorted by label.
func (c *Cache) Status() []Status {
	c.mu.Lock()
	defer c.mu.Unlock()

	type row struct {
		key string
		Status
	}
	now := c.now()
	rows := make([]row, 0, c.table.size)
	c.table.all(func(e *entry) {
		rows = append(rows, row{e.id.Key, e.status(now)})
	})
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.key, b.key))
	})
	all := make([]Status, len(rows))
	for i, r := range rows {
		all[i] = r.Status
	}
	return all
}

func (e *entry) status(now instant) Status {
	s := Status{
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
		s.LastError, s.FailingSince, s.Attempts = f.err.Err.Error(), f.err.Since, f.err.Attempts
	}
	return s
}
