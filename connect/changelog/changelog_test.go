package changelog

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/seal"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
)

func records(t testing.TB, s certmagic.Storage) *store.Store {
	t.Helper()
	key, err := seal.ParseKey(base64.StdEncoding.EncodeToString([]byte("0123456789abcdefghijklmnopqrstuv")))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.NewRing(key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := store.New(s, ring, store.Options{LockWait: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// peer is one process.
type peer struct {
	t *testing.T
	*Log
	*Reader
}

func newPeer(t *testing.T, s certmagic.Storage, o Options) *peer {
	t.Helper()
	r := records(t, s)
	l := NewLog(r, o)
	return &peer{t, l, NewReader(r, l, o)}
}

func (p *peer) begin() *peer {
	p.t.Helper()
	if err := p.Begin(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	return p
}

func (p *peer) append(names ...string) {
	p.t.Helper()
	for _, name := range names {
		if err := p.Append(p.t.Context(), Change{Kind: "things", Name: name}); err != nil {
			p.t.Fatal(err)
		}
	}
}

// reads wants the next changes to have these names, in the order of each log.
func (p *peer) reads(want ...string) {
	p.t.Helper()
	changes, err := p.Next(p.t.Context())
	got := make([]string, 0, len(changes))
	for _, c := range changes {
		got = append(got, c.Name)
	}
	if err != nil || strings.Join(got, " ") != strings.Join(want, " ") {
		p.t.Errorf("changes %v, %v; want %v", got, err, want)
	}
}

func (p *peer) misses() {
	p.t.Helper()
	if changes, err := p.Next(p.t.Context()); !errors.Is(err, ErrMissed) {
		p.t.Errorf("%v, %v; want that changes were missed", changes, err)
	}
	p.begin()
	p.reads()
}

func TestChangesReachTheOthers(t *testing.T) {
	m := &storetest.Memory{}
	a, b := newPeer(t, m, Options{}).begin(), newPeer(t, m, Options{}).begin()
	b.reads()
	a.append("one")
	a.append("two", "three")
	b.reads("one", "two", "three")
	b.reads()
	a.reads() // Its own.
	b.append("four")
	a.append("five")
	a.reads("four")
	b.reads("five")

	late := newPeer(t, m, Options{}).begin()
	late.reads()
	a.append("six")
	late.reads("six")
	b.reads("six")
	for key, value := range m.Values() {
		if strings.Contains(string(value), "three") {
			t.Errorf("%s is stored in clear", key)
		}
	}
}

func TestManyAppendAtOnce(t *testing.T) {
	m := &storetest.Memory{}
	a, b := newPeer(t, m, Options{}), newPeer(t, m, Options{}).begin()
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() { a.append(fmt.Sprint(i)) })
	}
	wg.Wait()
	changes, err := b.Next(t.Context())
	if err != nil || len(changes) != 100 {
		t.Errorf("%d changes, %v", len(changes), err)
	}
}

func TestWhoWasAwayForTooLongIsTold(t *testing.T) {
	m := &storetest.Memory{}
	a, b := newPeer(t, m, Options{Keep: 4}), newPeer(t, m, Options{}).begin()
	if _, err := newPeer(t, m, Options{}).Next(t.Context()); !errors.Is(err, ErrMissed) {
		t.Errorf("one that has not begun: %v", err)
	}
	a.append("1", "2", "3", "4")
	b.reads("1", "2", "3", "4")
	a.append("5", "6", "7", "8", "9")
	b.misses()
	a.append("10")
	b.reads("10")

	// A log that it has never heard of.
	c := newPeer(t, m, Options{Keep: 4})
	c.append("1", "2", "3", "4", "5")
	b.misses()
}

func TestUnusedLogsAreRemoved(t *testing.T) {
	m := &storetest.Memory{}
	o := Options{Unused: time.Nanosecond, Removed: 3}
	reader, sleeper := newPeer(t, m, o).begin(), newPeer(t, m, o).begin()
	logs := func() (n int) {
		for key := range m.Values() {
			if strings.Contains(key, "/"+LogKind+"/") {
				n++
			}
		}
		return n
	}
	for i := range 9 {
		newPeer(t, m, o).append("a")
		if i == 2 {
			// It has read none of this, and sees that it could have.
			reader.reads("a")
			sleeper.misses()
		} else {
			reader.reads("a")
		}
		if err := reader.Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := logs(); n != 0 {
			t.Errorf("%d logs are left", n)
		}
		reader.reads() // Who has read them to their ends misses nothing.
	}
	// More were removed than are remembered.
	sleeper.misses()
	var got members
	if err := reader.Reader.records.Get(t.Context(), membersKey(), &got); err != nil || len(got.Logs) != 0 || len(got.Removed) != 3 || got.Generation != 6 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestAWriterWhoseLogWasRemovedSaysItAgain: its machine slept, and it appended before it looked.
func TestAWriterWhoseLogWasRemovedSaysItAgain(t *testing.T) {
	m := &storetest.Memory{}
	o := Options{Unused: time.Nanosecond}
	a, b := newPeer(t, m, o).begin(), newPeer(t, m, o).begin()
	a.append("1")
	b.reads("1")
	if err := b.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.append("2")
	b.reads()
	a.reads()
	b.reads("1", "2")
	a.append("3")
	b.reads("3")
}

func TestAnIdleLogIsLeft(t *testing.T) {
	m := &storetest.Memory{}
	a, b := newPeer(t, m, Options{Idle: time.Nanosecond}), newPeer(t, m, Options{}).begin()
	for _, name := range []string{"1", "2", "3"} {
		a.append(name)
		b.reads(name)
	}
	if n := len(a.mine); n != 3 {
		t.Errorf("it had %d logs", n)
	}
}

func TestAStorageThatLostItsRecordsIsNotEmpty(t *testing.T) {
	m := &storetest.Memory{}
	a := newPeer(t, m, Options{}).begin()
	for key := range m.Values() {
		m.Set(key, nil)
	}
	if _, err := a.Next(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

// TestFaults lets each operation of an appending process fail in turn: what was acknowledged is read.
func TestFaults(t *testing.T) {
	for name, fault := range storetest.Faults {
		t.Run(name, func(t *testing.T) {
			for at := 1; ; at++ {
				m := &storetest.Memory{}
				b := newPeer(t, m, Options{}).begin()
				faulty := storetest.NewProcess(m, at, fault)
				a := newPeer(t, faulty, Options{})
				want := make(map[string]bool)
				for i := range 4 {
					if err := a.Append(t.Context(), Change{Name: fmt.Sprint(i)}); err == nil {
						want[fmt.Sprint(i)] = true
					} else if !errors.Is(err, store.ErrUnavailable) {
						t.Errorf("%v", err)
					}
					m.BreakLocks()
					changes, err := b.Next(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					for _, c := range changes {
						delete(want, c.Name)
					}
					if len(want) > 0 {
						t.Fatalf("operation %d: %v were acknowledged, and not read", at, want)
					}
				}
				if faulty.Count() < at {
					break
				}
			}
		})
	}
}

func TestALogThatCannotBeReadIsNoEmptyOne(t *testing.T) {
	m := &storetest.Memory{}
	o := Options{Unused: time.Nanosecond}
	a, b := newPeer(t, m, o), newPeer(t, m, o).begin()
	a.append("1")
	for key := range m.Values() {
		if strings.Contains(key, "/"+LogKind+"/") {
			m.Set(key, []byte("garbage"))
		}
	}
	if _, err := b.Next(t.Context()); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("%v", err)
	}
	// Who begins now has nothing to read in it until it is written to.
	late := newPeer(t, m, o).begin()
	late.reads()
	for key := range m.Values() {
		if strings.Contains(key, "/"+LogKind+"/") {
			m.Set(key, []byte("other garbage"))
		}
	}
	if _, err := late.Next(t.Context()); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("%v", err)
	}
	if err := b.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.misses()
}
