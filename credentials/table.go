package credentials

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"sync/atomic"
)

// table finds entries by key. Readers take no lock: a shard is a map that is never written to, and
// that is replaced as a whole. Writers hold Cache.mu. An insertion copies one shard, which is little
// beside the call over the network that follows it.
type table struct {
	size   int
	shards [512]atomic.Pointer[map[string]*entry]
}

var tableSeed = maphash.MakeSeed()

func (t *table) shard(key string) *atomic.Pointer[map[string]*entry] {
	return &t.shards[maphash.String(tableSeed, key)%uint64(len(t.shards))]
}

func (t *table) load(key string) *entry {
	if m := t.shard(key).Load(); m != nil {
		return (*m)[key]
	}
	return nil
}

func (t *table) store(e *entry) {
	s := t.shard(e.id.Key)
	m := map[string]*entry{}
	if old := s.Load(); old != nil {
		m = maps.Clone(*old)
	}
	m[e.id.Key] = e
	s.Store(&m)
	t.size++
}

func (t *table) remove(e *entry) {
	s := t.shard(e.id.Key)
	m := maps.Clone(*s.Load())
	delete(m, e.id.Key)
	s.Store(&m)
	t.size--
}

// all calls f for every entry.
func (t *table) all(f func(*entry)) {
	for i := range t.shards {
		if m := t.shards[i].Load(); m != nil {
			for _, e := range *m {
				f(e)
			}
		}
	}
}

// admit returns the entry of an identity, a new one if need be. It makes room by dropping
// others, see evict; a pinned identity needs no room. The lock must be held.
func (c *Cache) admit(id Identity, pinned bool) (*entry, error) {
	if e := c.table.load(id.Key); e != nil {
		return e, nil
	}
	if c.closed {
		return nil, errClosed
	}
	if err := id.check(); err != nil {
		return nil, err
	}
	if c.table.size >= c.opts.MaxIdentities {
		c.evict()
		if c.table.size >= c.opts.MaxIdentities && !pinned {
			return nil, busyError(fmt.Sprintf("all of the %d identities that may be kept are in use", c.opts.MaxIdentities))
		}
	}
	e := &entry{id: id}
	e.used.Store(c.now().mono)
	c.table.store(e)
	return e, nil
}

// evict drops entries that are neither pinned nor being fetched: first those without valid credentials,
// then those of owners who have more than their share, and of these the least recently used. To find
// them it looks at all entries, so it drops a few at once: the cost of one insertion stays small.
func (c *Cache) evict() {
	type candidate struct {
		*entry
		rank int
		used int64 // As it is now: readers go on using the entry.
	}
	now := c.now()
	owned := make(map[string]int)
	c.table.all(func(e *entry) { owned[e.id.Owner]++ })
	rank := func(e *entry) int {
		switch {
		case e.valid(now) == nil:
			return 0
		case e.id.Owner != "" && owned[e.id.Owner] > c.opts.MaxIdentities/4:
			return 1
		}
		return 2
	}
	idle := make([]candidate, 0, c.table.size)
	c.table.all(func(e *entry) {
		if e.pins == 0 && e.call == nil {
			idle = append(idle, candidate{e, rank(e), e.used.Load()})
		}
	})
	slices.SortFunc(idle, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.used, b.used))
	})

	room := c.table.size - c.opts.MaxIdentities + max(1, c.opts.MaxIdentities/64)
	for _, old := range idle[:min(room, len(idle))] {
		c.table.remove(old.entry)
		c.schedule.remove(old.entry)
	}
}

// check refuses what cannot be an identity, so that no chain goes in circles.
func (id *Identity) check() error {
	depth := 0
	for i := id; i != nil; i = i.From {
		switch {
		case i.Key == "":
			return errors.New("the identity has no key")
		case i.Fetch == nil:
			return errors.New("the identity has no way to be fetched")
		}
		if depth++; depth > maxChain {
			return fmt.Errorf("more than %d identities stand on one another, or they go in circles", maxChain)
		}
		for b := i.From; b != nil && b != i; b = b.From {
			if b.Key == i.Key {
				return fmt.Errorf("%s stands on itself", i.Label)
			}
		}
	}
	return nil
}
