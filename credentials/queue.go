package credentials

// queue holds the entries whose calls wait for a place among the running fetches. It is guarded by
// Cache.mu.
type queue struct {
	running int
	lines
}

// lines are those that a request waits for, and those that only the schedule wants. They take turns, so
// that a flood of new identities cannot keep the others from being refreshed.
type lines struct {
	requests  []*entry
	refreshes []*entry
	turn      bool
}

func (l *lines) push(e *entry) {
	e.call.line = l
	if e.call.background {
		l.refreshes = append(l.refreshes, e)
	} else {
		l.requests = append(l.requests, e)
	}
}

// hurry lets an entry whose call was begun in the background wait among the requests too.
func (l *lines) hurry(e *entry) {
	e.call.background = false
	if e.call.line == l {
		l.requests = append(l.requests, e)
	}
}

// pop returns the next entry whose call has to start, or nil.
func (l *lines) pop() *entry {
	for len(l.requests)+len(l.refreshes) > 0 {
		first, second := &l.requests, &l.refreshes
		if l.turn {
			first, second = second, first
		}
		if len(*first) == 0 {
			first = second
		}
		l.turn = !l.turn

		e := (*first)[0]
		(*first)[0] = nil
		*first = (*first)[1:]
		// An entry may stand in both lines, of which only the first place counts.
		if e.call != nil && e.call.line == l {
			e.call.line = nil
			return e
		}
	}
	return nil
}
