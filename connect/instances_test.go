package connect

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/changelog"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
)

// newInstance is a vendor's server among others on one storage. It looks every few milliseconds for what the
// others do.
func newInstance(t testing.TB, storage certmagic.Storage, aws *fakeAWS) *vendor {
	t.Helper()
	v := newVendor(t, vendorOptions{storage: storage, aws: aws, service: func(o *ServiceOptions) {
		o.PollEvery, o.MaxStale = 10*time.Millisecond, time.Hour
	}})
	v.replica.begin()
	v.spawn(func() { v.replica.follow(v.ctx) })
	v.spawn(func() { v.replica.load(v.ctx) })
	eventually(t, "all connections are loaded", func() bool {
		_, _, _, err := v.List(t.Context(), Filter{}, "", 1)
		return err == nil
	})
	return v
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func (v *vendor) change(id string, change func(*Connection)) Connection {
	v.t.Helper()
	c, err := v.UpdateConnection(v.t.Context(), id, func(c *Connection) error { change(c); return nil })
	if err != nil {
		v.t.Fatal(err)
	}
	return c
}

func pauseIt(c *Connection) { c.Paused = true }

// use is what a proxy does for a call with a connection.
func (v *vendor) use(cache *credentials.Cache, id string) error {
	c, err := v.Lookup(v.t.Context(), id)
	if err != nil {
		return err
	}
	identity, err := v.Identity(c)
	if err != nil {
		return err
	}
	_, err = cache.Get(v.t.Context(), identity)
	return err
}

// TestARevokeCountsEverywhere goes through the life of a connection on two instances: one changes it, the
// other has its credentials in the cache.
func TestARevokeCountsEverywhere(t *testing.T) {
	t.Parallel()
	aws := newAWS(t)
	dir := t.TempDir()
	a := newInstance(t, &certmagic.FileStorage{Path: dir}, aws)
	b := newInstance(t, &certmagic.FileStorage{Path: dir}, aws)
	cache := credentials.NewCache(credentials.Options{})
	t.Cleanup(cache.Close)

	c := a.connect("o1", role1)
	if err := b.use(cache, c.ID); err != nil { // At once, because what is not known is read.
		t.Fatal(err)
	}
	listed := func() int {
		_, _, total, err := b.List(t.Context(), Filter{Organization: "o1"}, "", 10)
		if err != nil {
			t.Error(err)
		}
		return total
	}
	eventually(t, "the other lists it", func() bool { return listed() == 1 })

	calls := aws.calls()
	a.change(c.ID, pauseIt)
	eventually(t, "the other refuses it, paused", func() bool { return errors.Is(b.use(cache, c.ID), ErrPaused) })
	a.change(c.ID, func(c *Connection) { c.Paused = false })
	eventually(t, "the other uses it, resumed", func() bool { return b.use(cache, c.ID) == nil })
	if n := aws.calls() - calls; n != 0 {
		t.Errorf("the role was assumed %d times, although its credentials were in the cache", n)
	}

	// Renewed with another role.
	token, _, err := a.CreateReconnectSession(t.Context(), c.ID, NewSession{Integration: "acme-s3"})
	if err != nil {
		t.Fatal(err)
	}
	aws.role(role1+"New", fakeRole{externalID: c.ExternalID})
	if v := a.submit(token, role1+"New", ""); v.State != StateSucceeded {
		t.Fatalf("%+v", v)
	}
	eventually(t, "the other uses the new role", func() bool {
		now, err := b.Lookup(t.Context(), c.ID)
		return err == nil && now.RoleARN == role1+"New" && b.use(cache, c.ID) == nil
	})

	if err := a.DeleteConnection(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other refuses it, deleted", func() bool { return errors.Is(b.use(cache, c.ID), ErrNotFound) })
	if n := listed(); n != 0 {
		t.Errorf("the other lists %d", n)
	}
}

// TestKnownConnectionsAreServedWhileTheStorageIsAway, whether it says so or looks like an empty directory.
func TestKnownConnectionsAreServedWhileTheStorageIsAway(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(*storetest.Unreliable, bool){
		"failing": (*storetest.Unreliable).SetAway, "empty": (*storetest.Unreliable).SetEmpty,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aws := newAWS(t)
			m := &storetest.Memory{}
			storage := &storetest.Unreliable{Storage: m}
			a, b := newInstance(t, m, aws), newInstance(t, storage, aws)
			c, d, e := a.connect("o1", role1), a.connect("o2", role2), a.connect("o3", strings.Replace(role2, "2", "3", 12))
			eventually(t, "the other knows them", func() bool { return b.replica.index.len() == 3 })
			cache := credentials.NewCache(credentials.Options{})
			t.Cleanup(cache.Close)

			away(storage, true)
			eventually(t, "it is noticed", func() bool { return b.replica.failure() != nil })
			if err := b.use(cache, c.ID); err != nil { // Its credentials are not in the cache yet.
				t.Errorf("a known connection: %v", err)
			}
			if _, _, total, err := b.List(t.Context(), Filter{}, "", 1); total != 3 || err != nil {
				t.Errorf("the list: %d, %v", total, err)
			}
			_, err := b.Lookup(t.Context(), newUUID())
			wantErr(t, "one that is not known", err, ErrUnavailable)
			a.change(c.ID, pauseIt)
			if err := a.DeleteConnection(t.Context(), d.ID); err != nil {
				t.Fatal(err)
			}

			// For too long.
			b.replica.age(2 * time.Hour)
			wantErr(t, "after max_stale", b.use(cache, e.ID), ErrUnavailable)
			_, _, _, err = b.List(t.Context(), Filter{}, "", 1)
			wantErr(t, "the list after max_stale", err, ErrUnavailable)

			away(storage, false)
			eventually(t, "it goes on", func() bool { return b.use(cache, e.ID) == nil })
			wantErr(t, "one that was paused meanwhile", b.use(cache, c.ID), ErrPaused)
			wantErr(t, "one that was deleted meanwhile", b.use(cache, d.ID), ErrNotFound)
			sameAsStored(t, b.replica)
		})
	}
}

func (r *replica) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failing
}

// age lets time pass in which nothing was heard of the storage.
func (r *replica) age(by time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.synced = r.synced.Add(-by)
	r.polled = r.polled.Add(-by)
}

// TestWhoMissedChangesReadsAll: until it has, it believes nothing that it has in memory.
func TestWhoMissedChangesReadsAll(t *testing.T) {
	m := &storetest.Memory{}
	a := newVendor(t, vendorOptions{storage: m})
	c, d := a.connect("o1", role1), a.connect("o2", role2)
	storage := &storetest.Unreliable{Storage: m}
	r := startReplica(t, openStore(t, storage, newClock()))
	sameAsStored(t, r)

	a.change(c.ID, pauseIt)
	if err := a.DeleteConnection(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	r.reader = changelog.NewReader(r.store.records, r.store.changes, changelog.Options{}) // It slept.
	if now, err := r.lookup(t.Context(), c.ID); err != nil || now.Paused {
		t.Fatalf("it should not know yet: %v, %v", now, err)
	}
	mustPoll(t, r)
	if now, err := r.lookup(t.Context(), c.ID); err != nil || !now.Paused {
		t.Errorf("while all is loaded: %v, %v", now, err)
	}
	_, err := r.lookup(t.Context(), d.ID)
	wantErr(t, "while all is loaded", err, ErrNotFound)

	// The storage goes away before that is done: what was known last has to do.
	storage.SetAway(true)
	if _, err := r.lookup(t.Context(), d.ID); err != nil {
		t.Errorf("a known one: %v", err)
	}
	r.age(2 * time.Hour)
	_, err = r.lookup(t.Context(), d.ID)
	wantErr(t, "after max_stale", err, ErrUnavailable)
	storage.SetAway(false)

	mustPoll(t, r)
	if err := r.loadOnce(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	mustPoll(t, r)
	sameAsStored(t, r)
	if r.index.len() != 1 || !r.complete {
		t.Errorf("%d connections, complete: %t", r.index.len(), r.complete)
	}
}

// TestBeforeAllIsLoaded the storage is asked, and a list waits.
func TestBeforeAllIsLoaded(t *testing.T) {
	m := &storetest.Memory{}
	a := newVendor(t, vendorOptions{storage: m})
	c := a.connect("o1", role1)
	if _, _, total, err := a.List(t.Context(), Filter{}, "", 1); total != 1 || err != nil {
		t.Errorf("without Start: %d, %v", total, err)
	}
	b := newVendor(t, vendorOptions{storage: m})
	b.replica.begin()
	if got, err := b.Lookup(t.Context(), c.ID); err != nil || got.RoleARN != role1 {
		t.Errorf("%v, %v", got, err)
	}
	_, lookupErr := b.Lookup(t.Context(), newUUID())
	wantErr(t, "none", lookupErr, ErrNotFound)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	all, _, _, err := b.List(ctx, Filter{}, "", 1)
	wantErr(t, "a list", err, ErrUnavailable)
	if len(all) != 0 {
		t.Errorf("%v", all)
	}
}

// hooked is a storage that tells before it stores.
type hooked struct {
	certmagic.Storage
	before func(key string)
}

func (h *hooked) Store(ctx context.Context, key string, value []byte) error {
	h.before(key)
	return h.Storage.Store(ctx, key, value)
}

// TestAChangeThatIsReadOfBeforeItIsMade: between the log and the record, others look.
func TestAChangeThatIsReadOfBeforeItIsMade(t *testing.T) {
	m := &storetest.Memory{}
	hook := &hooked{Storage: m, before: func(string) {}}
	a := newVendor(t, vendorOptions{storage: hook})
	c := a.connect("o1", role1)
	b := startReplica(t, openStore(t, m, newClock()))
	looked := false
	hook.before = func(key string) {
		if !strings.Contains(key, "/"+connectionKind+"/") {
			return
		}
		looked = true
		mustPoll(t, b)
		if now, err := b.lookup(t.Context(), c.ID); err != nil || now.Paused {
			t.Errorf("before it is paused: %v, %v", now, err)
		}
	}
	a.change(c.ID, pauseIt)
	hook.before = func(string) {}
	mustPoll(t, b)
	if now, err := b.lookup(t.Context(), c.ID); err != nil || !now.Paused || !looked {
		t.Errorf("after it was paused: %v, %v", now, err)
	}
	if n := len(b.pending); n != 0 {
		t.Errorf("%d changes are still expected", n)
	}
}

// TestOwnChangesCountAtOnce, also one that seemed to have failed, and one that another instance has made.
func TestOwnChangesCountAtOnce(t *testing.T) {
	m := &storetest.Memory{}
	a := newVendor(t, vendorOptions{storage: m})
	c := a.connect("o1", role1)
	for at := 1; ; at++ {
		a.change(c.ID, func(c *Connection) { c.Paused = false })
		process := storetest.NewProcess(m, 0, storetest.FailsAfter)
		store := openStore(t, process, newClock())
		r := startReplica(t, store)
		process.FailNext(at)
		_, err := store.UpdateConnection(t.Context(), c.ID, func(c *Connection) error { c.Paused = true; return nil })
		m.BreakLocks()
		is, readErr := store.Connection(t.Context(), c.ID)
		if readErr != nil {
			t.Fatal(readErr)
		}
		if got, err := r.lookup(t.Context(), c.ID); err != nil || got.Paused != is.Paused {
			t.Errorf("operation %d: paused is %t, and %t is stored, %v", at, got.Paused, is.Paused, err)
		}
		if err == nil {
			break
		}
	}

	r := startReplica(t, a.store)
	other := openStore(t, m, newClock())
	pause := func(c *Connection) error { c.Paused = true; return nil }
	a.change(c.ID, func(c *Connection) { c.Paused = false })
	if _, err := other.UpdateConnection(t.Context(), c.ID, pause); err != nil {
		t.Fatal(err)
	}
	a.change(c.ID, pauseIt) // It changes nothing.
	if got, err := r.lookup(t.Context(), c.ID); err != nil || !got.Paused {
		t.Errorf("%v, %v", got, err)
	}
}

// TestADamagedConnectionIsNoMissingOne, nor the one that it was.
func TestADamagedConnectionIsNoMissingOne(t *testing.T) {
	m := &storetest.Memory{}
	a := newVendor(t, vendorOptions{storage: m})
	c := a.connect("o1", role1)
	r := startReplica(t, openStore(t, m, newClock()))
	m.Set("aws_sigv4/connect/connections/"+c.ID[:2]+"/"+c.ID, []byte("garbage"))
	if err := r.loadOnce(t.Context(), 0); err != nil { // As it is done every hour.
		t.Fatal(err)
	}
	_, err := r.lookup(t.Context(), c.ID)
	wantErr(t, "a damaged connection", err, ErrDamaged)
}

// TestInstancesAgreeInTheEnd has several of them change the same connections at once, on a storage that is slow
// and fails.
func TestInstancesAgreeInTheEnd(t *testing.T) {
	t.Parallel()
	aws := newAWS(t)
	m := &storetest.Memory{}
	first := newVendor(t, vendorOptions{storage: m, aws: aws})
	var ids []string
	for i := range 6 {
		ids = append(ids, first.connect(fmt.Sprint("o", i), fmt.Sprintf("arn:aws:iam::%012d:role/Customer", i+1)).ID)
	}
	var instances []*vendor
	var storages []*storetest.Unreliable
	for range 3 {
		u := &storetest.Unreliable{Storage: m, Delay: 2 * time.Millisecond}
		instances, storages = append(instances, newInstance(t, u, aws)), append(storages, u)
	}
	for _, u := range storages {
		u.SetErrors(50)
	}
	var wg sync.WaitGroup
	for n, v := range instances {
		wg.Go(func() {
			for i := range 60 {
				id := ids[rand.N(len(ids)-1)]
				if i == 30 && n == 0 {
					id = ids[len(ids)-1]
					_ = v.DeleteConnection(t.Context(), id) // It may fail, and may have been done.
					continue
				}
				_, _ = v.UpdateConnection(t.Context(), id, func(c *Connection) error {
					c.Tags = map[string]string{"by": fmt.Sprint(n), "i": fmt.Sprint(i)}
					return nil
				})
			}
		})
	}
	wg.Wait()
	for _, u := range storages {
		u.SetErrors(0)
	}
	all, _, err := first.store.Connections(t.Context(), Filter{}, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for n, v := range instances {
		eventually(t, fmt.Sprintf("instance %d agrees", n), func() bool {
			if v.replica.index.len() != len(all) {
				return false
			}
			for _, c := range all {
				if got, err := v.Lookup(t.Context(), c.ID); err != nil || fmt.Sprint(got.Tags) != fmt.Sprint(c.Tags) {
					return false
				}
			}
			return true
		})
		sameAsStored(t, v.replica)
	}
}
