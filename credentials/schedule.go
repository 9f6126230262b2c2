package credentials

import (
	"container/heap"
	"time"
)

// maxSleep is how long the schedule sleeps at most while it has something to do, so that it notices
// a wall clock that jumped or a machine that slept.
const maxSleep = 30 * time.Second

// schedule is a heap of the entries that are to be looked at again, the first due on top. It is
// guarded by Cache.mu.
type schedule struct {
	entries dueHeap
	running bool          // its goroutine
	wake    chan struct{} // holds one value if the top of the heap changed
}

// tend puts an entry into the schedule, which will come back to it at due. The lock must be held.
func (c *Cache) tend(e *entry, due int64) {
	if c.closed {
		return
	}
	e.due = due
	e.tended.Store(true)
	if e.index == 0 {
		heap.Push(&c.schedule.entries, e)
	} else {
		heap.Fix(&c.schedule.entries, e.index-1)
	}
	if !c.schedule.running {
		c.schedule.running = true
		c.wg.Go(c.runSchedule)
	} else if e.index == 1 {
		select {
		case c.schedule.wake <- struct{}{}:
		default:
		}
	}
}

// remove takes an entry out of the schedule if it is there.
func (s *schedule) remove(e *entry) {
	if e.index != 0 {
		heap.Remove(&s.entries, e.index-1)
	}
}

// runSchedule is the one goroutine of the schedule.
func (c *Cache) runSchedule() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	start := c.now()
	offset := start.wall - start.mono
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-timer.C:
		case <-c.schedule.wake:
		}

		c.mu.Lock()
		now := c.now()
		if o := now.wall - now.mono; o-offset > int64(time.Second) || offset-o > int64(time.Second) {
			offset = o
			c.schedule.realign(now)
		}
		c.refreshDue(now)
		if s := c.schedule.entries; len(s) > 0 {
			timer.Reset(min(time.Duration(s[0].due-now.mono), maxSleep))
		} else {
			timer.Stop()
		}
		c.mu.Unlock()
	}
}

// refreshDue begins the fetch of all entries that are due and wanted. The others it lets go: Get
// takes them up again should they be used. The lock must be held.
func (c *Cache) refreshDue(now instant) {
	for len(c.schedule.entries) > 0 && c.schedule.entries[0].due <= now.mono {
		e := heap.Pop(&c.schedule.entries).(*entry)
		if e.pins > 0 || e.used.Load() > e.done {
			c.begin(e, true)
		} else {
			e.tended.Store(false)
		}
	}
}

// realign brings refreshes forward that the wall clock says are due after it jumped. A clock that
// was set back changes nothing.
func (s *schedule) realign(now instant) {
	for _, e := range s.entries {
		if h := e.held.Load(); h != nil && e.failed.Load() == nil {
			e.due = min(e.due, now.mono+h.refresh.wall-now.wall)
		}
	}
	heap.Init(&s.entries)
}

// dueHeap implements heap.Interface and keeps entry.index.
type dueHeap []*entry

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due < h[j].due }

func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

func (h *dueHeap) Push(x any) {
	e := x.(*entry)
	*h = append(*h, e)
	e.index = len(*h)
}

func (h *dueHeap) Pop() any {
	old := *h
	last := len(old) - 1
	e := old[last]
	old[last] = nil
	*h = old[:last]
	e.index = 0
	return e
}
