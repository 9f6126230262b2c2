package credentials

// owner is what runs and waits for the identities of one Identity.Owner. It is guarded by Cache.mu, and
// forgotten when there is nothing.
type owner struct {
	admitted int // calls that run or stand in the common queue
	asked    int // calls that requests wait for, however far they are
	lines        // calls that wait until the owner may have one more in the common queue
}

// ownerOf returns the owner of an entry, or nil if nobody owns it. The lock must be held.
func (c *Cache) ownerOf(e *entry) *owner {
	name := e.id.Owner
	if name == "" {
		return nil
	}
	o := c.owners[name]
	if o == nil {
		if c.owners == nil {
			c.owners = make(map[string]*owner)
		}
		o = &owner{}
		c.owners[name] = o
	}
	return o
}

// ask counts a call that a request waits for from now on. The lock must be held.
func (c *Cache) ask(e *entry) {
	if o := c.ownerOf(e); o != nil {
		o.asked++
	}
}

// answered takes back ask when a call ends. The lock must be held.
func (c *Cache) answered(e *entry, cl *call) {
	if o := c.ownerOf(e); o != nil && !cl.background {
		o.asked--
		c.forget(e.id.Owner)
	}
}

// crowded says whether an owner has to wait before a request may begin one more fetch. The lock must be
// held.
func (c *Cache) crowded(id *Identity) error {
	o := c.owners[id.Owner]
	if id.Owner == "" || o == nil || o.asked < c.opts.MaxAskedPerOwner {
		return nil
	}
	if e := c.table.load(id.Key); e != nil && e.call != nil && !e.call.background {
		return nil // It is one of those that are counted.
	}
	return &Error{Key: id.Key, Label: id.Label, Err: &CrowdedError{Limit: c.opts.MaxAskedPerOwner}}
}

// hold lets a call wait if its owner has as many in the common queue as it may. The lock must be held.
func (c *Cache) hold(e *entry) bool {
	o := c.ownerOf(e)
	switch {
	case o == nil:
		return false
	case o.admitted >= c.opts.MaxFetchesPerOwner:
		o.push(e)
		return true
	}
	o.admitted++
	return false
}

// release takes back hold when the call of an entry has left the common queue for good. Those that its
// owner may have in turn stand at the end of the queue. The lock must be held.
func (c *Cache) release(e *entry) {
	o := c.ownerOf(e)
	if o == nil {
		return
	}
	o.admitted--
	for o.admitted < c.opts.MaxFetchesPerOwner {
		next := o.pop()
		if next == nil {
			break
		}
		if !c.drop(next) {
			o.admitted++
			c.queue.push(next)
		}
	}
	c.forget(e.id.Owner)
}

// forget lets go of an owner for whom nothing is under way.
func (c *Cache) forget(name string) {
	if o := c.owners[name]; o != nil && o.admitted == 0 && o.asked == 0 && len(o.requests)+len(o.refreshes) == 0 {
		delete(c.owners, name)
	}
}
