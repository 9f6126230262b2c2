package connect

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
)

// atOnce calls each function in a goroutine of its own, all at the same time.
func atOnce(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

// TestTabsThatSubmitAtOnce: one session, two stores on one directory, as of two processes.
func TestTabsThatSubmitAtOnce(t *testing.T) {
	files := &certmagic.FileStorage{Path: t.TempDir()}
	clock := newClock()
	stores := []*Store{openStore(t, files, clock), openStore(t, files, clock)}
	token, session := mustCreate(t, stores[0], forOrganization("o1"))
	id := mustExternalID(t, stores[0], session)

	var succeeded atomic.Int32
	atOnce(8, func(i int) {
		c, _, err := stores[i%2].FinishSession(t.Context(), token, verified(id, fmt.Sprint(role1, i)))
		switch {
		case err == nil && c.ID == session.ConnectionID:
			succeeded.Add(1)
		case !errors.Is(err, ErrUsed):
			t.Errorf("tab %d: %v, %v", i, c, err)
		}
	})
	if n := succeeded.Load(); n != 1 {
		t.Errorf("%d tabs succeeded, want 1", n)
	}
	if all, _, err := stores[0].Connections(t.Context(), Filter{}, "", 10); err != nil || len(all) != 1 {
		t.Errorf("%d connections, %v", len(all), err)
	}
}

// TestCustomersThatArriveAtOnce: sessions of two organizations, made at once, share their
// organization's External ID, and one preset goes to one organization only.
func TestCustomersThatArriveAtOnce(t *testing.T) {
	files := &certmagic.FileStorage{Path: t.TempDir()}
	clock := newClock()
	stores := []*Store{openStore(t, files, clock), openStore(t, files, clock)}

	var mu sync.Mutex
	shown := make(map[string]map[string]bool)
	var took atomic.Int32
	atOnce(12, func(i int) {
		organization := fmt.Sprint("o", i%3)
		n := forOrganization(organization)
		if i >= 8 { // Four more organizations want the same.
			n.Organization.ID = fmt.Sprint("p", i)
			n.Prefill.ExternalID.Text = "acme:wanted"
		}
		_, session, err := stores[i%2].CreateSession(t.Context(), n)
		switch {
		case i >= 8 && err == nil:
			took.Add(1)
			return
		case i >= 8 && errors.Is(err, ErrConflict):
			return
		case err != nil:
			t.Error(err)
			return
		}
		id, err := stores[(i+1)%2].ExternalIDFor(t.Context(), session)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if shown[organization] == nil {
			shown[organization] = make(map[string]bool)
		}
		shown[organization][id] = true
	})
	all := make(map[string]bool)
	for organization, ids := range shown {
		if len(ids) != 1 {
			t.Errorf("%s was shown %d External IDs", organization, len(ids))
		}
		for id := range ids {
			all[id] = true
		}
	}
	if len(all) != 3 {
		t.Errorf("three organizations have %d External IDs", len(all))
	}
	if n := took.Load(); n != 1 {
		t.Errorf("%d organizations took one External ID, want 1", n)
	}
}

// TestOneExternalIDMeetsTwoAccounts: the first account is bound, the other refused.
func TestOneExternalIDMeetsTwoAccounts(t *testing.T) {
	files := &certmagic.FileStorage{Path: t.TempDir()}
	clock := newClock()
	stores := []*Store{openStore(t, files, clock), openStore(t, files, clock)}
	var bound, refused atomic.Int32
	roles := []string{role1, role2}
	atOnce(2, func(i int) {
		token, session, err := stores[i].CreateSession(t.Context(), forOrganization("o1"))
		if err != nil {
			t.Error(err)
			return
		}
		id, err := stores[i].ExternalIDFor(t.Context(), session)
		if err == nil {
			_, _, err = stores[i].FinishSession(t.Context(), token, verified(id, roles[i]))
		}
		switch {
		case err == nil:
			bound.Add(1)
		case errors.Is(err, ErrWrongAccount):
			refused.Add(1)
		default:
			t.Error(err)
		}
	})
	if bound.Load() != 1 || refused.Load() != 1 {
		t.Errorf("%d bound, %d refused, want 1 and 1", bound.Load(), refused.Load())
	}
}

func TestUpdatesOfAConnectionDoNotLoseEachOther(t *testing.T) {
	files := &certmagic.FileStorage{Path: t.TempDir()}
	clock := newClock()
	stores := []*Store{openStore(t, files, clock), openStore(t, files, clock)}
	connected := mustConnect(t, stores[0], forOrganization("o1"), role1)
	const n = 8
	atOnce(n, func(i int) {
		_, err := stores[i%2].UpdateConnection(t.Context(), connected.ID, func(c *Connection) error {
			if c.Tags == nil {
				c.Tags = make(map[string]string)
			}
			c.Tags[fmt.Sprint("t", i)] = "x"
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	if c, err := stores[0].Connection(t.Context(), connected.ID); err != nil || len(c.Tags) != n {
		t.Errorf("%d tags, want %d, %v", len(c.Tags), n, err)
	}
}

// withoutLocks is a storage whose locks are held by everybody, which is the worst that stale locks
// can come to.
type withoutLocks struct{ certmagic.Storage }

func (withoutLocks) Lock(context.Context, string) error   { return nil }
func (withoutLocks) Unlock(context.Context, string) error { return nil }

// TestLocksThatFail: without any lock between processes, answers may be lost, but a session still
// makes no two connections, and an External ID never has two owners.
func TestLocksThatFail(t *testing.T) {
	for range 20 {
		files := withoutLocks{&storetest.Memory{}}
		clock := newClock()
		var stores []*Store
		for range 4 {
			stores = append(stores, openStore(t, files, clock))
		}
		token, session := mustCreate(t, stores[0], NewSession{Integration: "acme-s3", EndUser: EndUser{ID: "u1"}})
		id := mustExternalID(t, stores[0], session)
		tokens := make([]string, len(stores))
		atOnce(len(stores), func(i int) {
			n := forOrganization(fmt.Sprint("o", i))
			n.Prefill.ExternalID.Text = "acme:wanted"
			tokens[i], _, _ = stores[i].CreateSession(t.Context(), n)
			if _, _, err := stores[i].FinishSession(t.Context(), token, verified(id, role1)); err != nil && !errors.Is(err, ErrUsed) {
				t.Error(err)
			}
		})
		s := openStore(t, files, clock)
		if all, _, err := s.Connections(t.Context(), Filter{}, "", 10); err != nil || len(all) != 1 {
			t.Errorf("%d connections, %v", len(all), err)
		}
		owners := 0
		for _, token := range tokens {
			session, err := s.Session(t.Context(), token)
			if errors.Is(err, ErrNotFound) {
				continue // It was told of the conflict.
			}
			switch id, err := s.ExternalIDFor(t.Context(), session); {
			case err == nil && id == "acme:wanted":
				owners++
			case !errors.Is(err, ErrConflict):
				t.Errorf("%q, %v", id, err)
			}
		}
		if owners > 1 {
			t.Errorf("one External ID has %d owners", owners)
		}
	}
}
