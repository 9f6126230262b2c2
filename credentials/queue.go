package credentials

// queue holds the entries whose calls wait for a place among the running fetches: those that a
// request waits for, and those that only the schedule wants. They take turns, so that a flood of
// new identities cannot keep the others from being refreshed. It is guarded by Cache.mu.
type queue struct {
	running   int
	requests  []*entry
	refreshes []*entry
	turn      bool
}

func (q *queue) push(e *entry) {
	e.call.queued = true
	if e.call.background {
		q.refreshes = append(q.refreshes, e)
	} else {
		q.requests = append(q.requests, e)
	}
}

// hurry lets an entry whose call was begun in the background wait among the requests too.
func (q *queue) hurry(e *entry) {
	e.call.background = false
	if e.call.queued {
		q.requests = append(q.requests, e)
	}
}

// pop returns the next entry whose call has to start, or nil.
func (q *queue) pop() *entry {
	for len(q.requests)+len(q.refreshes) > 0 {
		first, second := &q.requests, &q.refreshes
		if q.turn {
			first, second = second, first
		}
		if len(*first) == 0 {
			first = second
		}
		q.turn = !q.turn

		e := (*first)[0]
		(*first)[0] = nil
		*first = (*first)[1:]
		// An entry may stand in both lines, of which only the first place counts.
		if e.call != nil && e.call.queued {
			e.call.queued = false
			return e
		}
	}
	return nil
}
