package connect

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
)

// index is connections in memory, found by ID, and by what a Filter names. Its lists are ordered by ID. It is
// safe for concurrent use, and what it holds is never changed, only replaced.
type index struct {
	mu    sync.RWMutex
	byID  map[string]*indexed
	all   indexList
	lists map[listKey]indexList

	// versions count the changes of the connections whose IDs have one hash. Who read a connection from
	// the storage may only put it here if there was none since he began to.
	versions [1024]uint64
	seed     maphash.Seed
}

// indexed is a connection, and the digest of its record, which tells its states apart.
type indexed struct {
	connection Connection
	state      string
	names      string // what Filter.Search looks into
}

func newIndexed(c Connection, state string) *indexed {
	return &indexed{c, state, strings.ToLower(strings.Join([]string{
		c.ID, c.EndUser.ID, c.EndUser.Email, c.EndUser.DisplayName, c.Organization.ID, c.Organization.DisplayName,
	}, "\n"))} // Names hold no line feed.
}

// indexList is ordered by ID.
type indexList []*indexed

// listKey names a list: of those with a value of a field.
type listKey struct {
	field field
	name  string // of a tag
	value string
}

type field byte

const (
	byIntegration field = iota
	byEndUser
	byOrganization
	byTag
)

func newIndex() *index {
	return &index{byID: make(map[string]*indexed), lists: make(map[listKey]indexList), seed: maphash.MakeSeed()}
}

// lists returns the keys of the lists that a connection is in.
func (c *Connection) lists() []listKey {
	keys := make([]listKey, 0, 3+len(c.Tags))
	keys = append(keys, listKey{field: byIntegration, value: c.Integration})
	if c.EndUser.ID != "" {
		keys = append(keys, listKey{field: byEndUser, value: c.EndUser.ID})
	}
	if c.Organization.ID != "" {
		keys = append(keys, listKey{field: byOrganization, value: c.Organization.ID})
	}
	for name, value := range c.Tags {
		keys = append(keys, listKey{byTag, name, value})
	}
	return keys
}

func (l indexList) find(id string) (at int, found bool) {
	return slices.BinarySearchFunc(l, id, func(e *indexed, id string) int { return cmp.Compare(e.connection.ID, id) })
}

// with returns the list with a connection in place of the one that has its ID, if any does.
func (l indexList) with(e *indexed) indexList {
	at, found := l.find(e.connection.ID)
	if found {
		l[at] = e
		return l
	}
	return slices.Insert(l, at, e)
}

func (l indexList) without(id string) indexList {
	at, found := l.find(id)
	if !found {
		return l
	}
	return slices.Delete(l, at, at+1)
}

func (x *index) get(id string) *indexed {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.byID[id]
}

func (x *index) len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.all)
}

func (x *index) slot(id string) int { return int(maphash.String(x.seed, id) % uint64(len(x.versions))) }

// version is what to give to replace after the storage was asked for a connection.
func (x *index) version(id string) uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.versions[x.slot(id)]
}

// replace puts a connection in place of the one with its ID, or removes that if e is nil, unless
// something has changed since the version was asked for.
func (x *index) replace(id string, version uint64, e *indexed) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.versions[x.slot(id)] != version {
		return false
	}
	x.put(id, e)
	return true
}

// set is replace for those who know that there is nothing newer.
func (x *index) set(id string, e *indexed) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.put(id, e)
}

func (x *index) put(id string, e *indexed) {
	before := x.byID[id]
	switch {
	case before == nil && e == nil, before != nil && e != nil && before.state == e.state:
		return
	}
	x.versions[x.slot(id)]++
	if before != nil {
		for _, k := range before.connection.lists() {
			if l := x.lists[k].without(id); len(l) > 0 {
				x.lists[k] = l
			} else {
				delete(x.lists, k)
			}
		}
	}
	if e == nil {
		delete(x.byID, id)
		x.all = x.all.without(id)
		return
	}
	for _, k := range e.connection.lists() {
		x.lists[k] = x.lists[k].with(e)
	}
	x.byID[id] = e
	x.all = x.all.with(e)
}

// between returns the IDs after one and up to another; an empty one is no bound.
func (x *index) between(after, to string) []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var ids []string
	from, found := x.all.find(after)
	if found {
		from++
	}
	for _, e := range x.all[from:] {
		if to != "" && e.connection.ID > to {
			break
		}
		ids = append(ids, e.connection.ID)
	}
	return ids
}

// page returns up to limit of the connections that a filter chooses, those after an ID but the first few of
// them, in the order of their IDs, the ID to go on after, "" at the end, and how many the filter chooses in all.
func (x *index) page(f Filter, after string, skip, limit int) (chosen []*indexed, next string, total int) {
	limit = max(limit, 1)
	most := skip + limit + 1 // One more tells whether there is another page.
	lists, exact := x.copyFor(f, after, most, &total)
	search := strings.ToLower(f.Search)
	f.Search = ""
	for _, l := range lists {
		if exact {
			chosen = append(chosen, l...)
			continue
		}
		taken := 0
		for _, e := range l {
			if search != "" && !strings.Contains(e.names, search) || !f.matches(&e.connection) {
				continue
			}
			total++
			if taken < most && e.connection.ID > after {
				chosen = append(chosen, e)
				taken++
			}
		}
	}
	if len(lists) > 1 {
		slices.SortFunc(chosen, func(a, b *indexed) int { return cmp.Compare(a.connection.ID, b.connection.ID) })
	}
	chosen = chosen[min(skip, len(chosen)):]
	if len(chosen) > limit {
		chosen = chosen[:limit]
		next = chosen[limit-1].connection.ID
	}
	return chosen, next, total
}

// copyFor copies what page has to look at, so that nobody waits for it meanwhile: of lists that hold all that
// the filter chooses, and nothing else, the page, whose total is then known; else all.
func (x *index) copyFor(f Filter, after string, most int, total *int) (lists []indexList, exact bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	lists, exact = x.candidates(f)
	for i, l := range lists {
		if exact {
			from, found := l.find(after)
			if found {
				from++
			}
			*total += len(l)
			l = l[from:min(len(l), from+most)]
		}
		lists[i] = slices.Clone(l)
	}
	return lists, exact
}

// candidates returns the shortest lists, with no connection in two of them, that hold all that a filter
// chooses, and whether they hold nothing else.
func (x *index) candidates(f Filter) (lists []indexList, exact bool) {
	if f.ID != "" {
		if e := x.byID[f.ID]; e != nil {
			lists = []indexList{{e}}
		}
		return lists, false
	}
	var keys []listKey
	scan := f.Search != ""
	if f.EndUser != "" {
		keys = append(keys, listKey{field: byEndUser, value: f.EndUser})
	}
	if f.Organization != "" {
		keys = append(keys, listKey{field: byOrganization, value: f.Organization})
	}
	for name, value := range f.Tags {
		if standsForTag(name) {
			scan = true
			continue
		}
		keys = append(keys, listKey{byTag, name, value})
	}
	lists = []indexList{x.all}
	shortest := len(x.all)
	criteria := len(keys)
	for _, k := range keys {
		if l := x.lists[k]; criteria == 1 || len(l) < shortest {
			lists, shortest = []indexList{l}, len(l)
		}
	}
	if len(f.Integrations) > 0 {
		criteria++
		var group []indexList
		sum := 0
		for _, i := range slices.Compact(slices.Sorted(slices.Values(f.Integrations))) {
			l := x.lists[listKey{field: byIntegration, value: i}]
			group, sum = append(group, l), sum+len(l)
		}
		if criteria == 1 || sum < shortest {
			lists = group
		}
	}
	return lists, !scan && criteria <= 1
}

// standsForTag says whether a tag of this name may stand for what is known of a customer.
func standsForTag(name string) bool {
	c := Connection{
		EndUser: EndUser{ID: "x", Email: "x", DisplayName: "x"}, Organization: Organization{ID: "x", DisplayName: "x"},
	}
	return c.tag(name) != ""
}
