package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
)

// item is one event for one URL, as it is stored until it was sent.
type item struct {
	ID          string         `json:"id"`
	URL         string         `json:"url"`
	Own         bool           `json:"own,omitempty"` // the URL is the connection's
	Event       Event          `json:"event"`
	Integration string         `json:"integration"`
	Change      connect.Change `json:"change"`
	Body        []byte         `json:"body"` // As it is signed: not as JSON in JSON, which would be written anew.
	Created     time.Time      `json:"created"`

	// Sure says that the change was made. Before, that has to be found out, unless one remembers.
	Sure bool `json:"sure,omitempty"`

	// Attempts have failed, and the next is to be made at Next.
	Attempts int       `json:"attempts,omitempty"`
	Next     time.Time `json:"next,omitzero"`

	// Holder is the instance that sends it, until Until.
	Holder string    `json:"holder,omitempty"`
	Until  time.Time `json:"until,omitzero"`
}

// itemKey returns where an item is stored.
func itemKey(id, url string) (store.Key, error) {
	sum := sha256.Sum256([]byte(id + " " + url))
	return store.NewKey(connect.WebhookKind, hex.EncodeToString(sum[:]))
}

// claim takes the lease of an item, and returns it; mine is false, and next when to look again, if it is
// somebody else's or not yet due. It returns nil if the item is gone.
func (s *Sender) claim(ctx context.Context, key store.Key) (it *item, mine bool, next time.Time, err error) {
	err = s.records.Update(ctx, key, func(r *store.Record) error {
		it, mine, next = new(item), false, time.Time{}
		found, err := r.Get(it)
		if err != nil || !found {
			it = nil
			return err
		}
		now := s.now()
		if it.Holder != "" && it.Holder != s.holder && now.Before(it.Until) {
			next = it.Until
			return nil
		}
		if now.Before(it.Next) {
			next = it.Next
			return nil
		}
		mine = true
		it.Holder, it.Until = s.holder, now.Add(leaseTime)
		return r.Put(it)
	})
	return it, mine, next, err
}

// keep stores an item that stays, as change leaves it, without a lease.
func (s *Sender) keep(e *entry, change func(*item)) error {
	return s.held(e, func(r *store.Record, it *item) error {
		change(it)
		it.Holder, it.Until = "", time.Time{}
		return r.Put(it)
	})
}

// remove deletes an item.
func (s *Sender) remove(e *entry) error {
	return s.held(e, func(r *store.Record, _ *item) error { return r.Delete() })
}

// held changes an item whose lease is the one that this instance took: another instance may have taken it over,
// or it may have been announced anew. It is done even if the sender is being closed.
func (s *Sender) held(e *entry, change func(*store.Record, *item) error) error {
	s.mu.Lock()
	lease := e.lease
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), 30*time.Second)
	defer cancel()
	return s.records.Update(ctx, e.key, func(r *store.Record) error {
		var it item
		found, err := r.Get(&it)
		if err != nil || !found || it.Holder != s.holder || !it.Until.Equal(lease) {
			return err
		}
		return change(r, &it)
	})
}

// damaged says whether an item can't be read for good.
func damaged(err error) bool { return errors.Is(err, store.ErrDamaged) }
