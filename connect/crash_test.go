package connect

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
)

// life is what happens on a storage in the tests of crashes. Each step is tried until it works, in a
// new process each time after the one that it failed in, and notes what was acknowledged.
type life struct {
	clock *fakeClock

	tokens      map[string]string // by a name of the test's own
	externalIDs map[string]string // by customer, as they were shown
	connections map[string]string // ID by a name of the test's own
	deleted     map[string]bool   // IDs whose deletion was begun
}

type step struct {
	name string
	do   func(ctx context.Context, s *Store, l *life) error
}

func (l *life) create(name string, n NewSession) step {
	return step{"create " + name, func(ctx context.Context, s *Store, l *life) error {
		token, _, err := s.CreateSession(ctx, n)
		if err == nil {
			l.tokens[name] = token
		}
		return err
	}}
}

func (l *life) show(name, customer string) step {
	return step{"show " + name, func(ctx context.Context, s *Store, l *life) error {
		session, err := s.Session(ctx, l.tokens[name])
		if err != nil {
			return err
		}
		id, err := s.ExternalIDFor(ctx, session)
		if err != nil {
			return err
		}
		if have, ok := l.externalIDs[customer]; ok && have != id {
			return fmt.Errorf("%s was shown %s and now %s", customer, have, id)
		}
		l.externalIDs[customer] = id
		return nil
	}}
}

func (l *life) finish(name, customer, role string) step {
	return step{"finish " + name, func(ctx context.Context, s *Store, l *life) error {
		c, _, err := s.FinishSession(ctx, l.tokens[name], verified(l.externalIDs[customer], role))
		if errors.Is(err, ErrUsed) { // The answer to the attempt before was lost.
			var session Session
			if session, err = s.Session(ctx, l.tokens[name]); err == nil {
				c, err = s.Connection(ctx, session.Succeeded)
			}
		}
		if err == nil {
			l.connections[name] = c.ID
		}
		return err
	}}
}

func newLife() (*life, []step) {
	l := &life{
		clock: newClock(), tokens: map[string]string{}, externalIDs: map[string]string{}, connections: map[string]string{}, deleted: map[string]bool{},
	}
	preset := forOrganization("o2")
	preset.Prefill.ExternalID.Text = "acme:o2"
	return l, []step{
		l.create("first", forOrganization("o1")),
		l.show("first", "o1"),
		l.create("preset", preset),
		l.show("preset", "o2"),
		l.create("alone", NewSession{Integration: "acme-s3"}),
		l.show("alone", "alone"),
		l.create("abandoned", NewSession{Integration: "acme-s3"}),
		{"type", func(ctx context.Context, s *Store, l *life) error {
			_, err := s.RememberTyped(ctx, l.tokens["first"], Typed{RoleARN: role1})
			return err
		}},
		l.finish("first", "o1", role1),
		l.finish("preset", "o2", role2),
		l.finish("alone", "alone", role1),
		{"reconnect", func(ctx context.Context, s *Store, l *life) error {
			token, _, err := s.CreateReconnectSession(ctx, l.connections["first"], NewSession{Integration: "acme-s3"})
			if err == nil {
				l.tokens["again"] = token
			}
			return err
		}},
		l.show("again", "o1"),
		l.finish("again", "o1", role1+"New"),
		{"pause", func(ctx context.Context, s *Store, l *life) error {
			_, err := s.UpdateConnection(ctx, l.connections["preset"], func(c *Connection) error { c.Paused = true; return nil })
			return err
		}},
		{"replace", func(ctx context.Context, s *Store, l *life) error {
			delete(l.externalIDs, "o2")
			return s.ReplaceExternalID(ctx, "acme-s3", Organization{ID: "o2"}, EndUser{})
		}},
		{"delete", func(ctx context.Context, s *Store, l *life) error {
			l.deleted[l.connections["alone"]] = true
			return ignoreNotFound(s.DeleteConnection(ctx, l.connections["alone"]))
		}},
		{"sweep", func(ctx context.Context, s *Store, l *life) error {
			l.clock.pass(2 * time.Hour)
			_, err := s.Sweep(ctx, 100)
			return err
		}},
	}
}

func openProcess(t *testing.T, storage certmagic.Storage, l *life) *Store {
	t.Helper()
	s, err := Open(storage, testRing(t, 1), Options{
		Clock: l.clock.now,
		// A lock that was left behind by a lost answer is waited for in vain.
		Storage: store.Options{LockWait: 500 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestCrashAtEachOperation lives through one fault at each operation on the storage in turn, of each
// kind of fault, goes on in a new process, and looks at the records after each step.
func TestCrashAtEachOperation(t *testing.T) {
	t.Parallel()
	for name, fault := range storetest.Faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faults := 0
			for at := 1; ; at++ {
				happened := liveThrough(t, at, fault)
				if t.Failed() {
					t.Fatalf("with operation %d gone wrong", at)
				}
				if !happened {
					break
				}
				faults++
			}
			t.Logf("%d faults", faults)
			if faults < 150 {
				t.Errorf("only %d operations could go wrong", faults)
			}
		})
	}
}

func liveThrough(t *testing.T, at int, fault storetest.Fault) (happened bool) {
	m := &storetest.Memory{}
	l, steps := newLife()
	faulty := storetest.NewProcess(m, at, fault)
	s := openProcess(t, faulty, l)
	other, met := startReplica(t, openProcess(t, m, l)), false
	for _, step := range steps {
		for attempt := 1; ; attempt++ {
			err := step.do(t.Context(), s, l)
			m.BreakLocks() // In time they become stale.
			if faulty.Count() >= at {
				checkRecords(t, m, l)
				if !met {
					met = true
					// Another instance knows what was done, also by one that died before it said so.
					mustPoll(t, other)
					sameAsStored(t, other)
				}
			}
			if err == nil {
				break
			}
			if attempt == 4 {
				t.Errorf("%s: still %v", step.name, err)
				return true
			}
			if !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s: %v", step.name, err)
			}
			if attempt > 1 || fault == storetest.Dies || fault == storetest.DiesAfter {
				s = openProcess(t, m, l)
			}
		}
	}
	mustPoll(t, other)
	sameAsStored(t, other)

	// The sessions that Sweep has met, or that a crash left, are gone in the end with what was theirs.
	clean := openProcess(t, m, l)
	l.clock.pass(48 * time.Hour)
	for range 2 {
		if _, err := clean.Sweep(t.Context(), 100); err != nil {
			t.Error(err)
		}
	}
	kinds := make(map[string]int)
	for k := range m.Values() {
		kinds[strings.Split(strings.TrimPrefix(k, "aws_sigv4/connect/"), "/")[0]]++
	}
	delete(kinds, "changes") // Each process that wrote connections has one.
	// o1 and o2 have an External ID, the one of the session alone is bound, the abandoned one's is gone.
	want := map[string]int{"indexkey": 1, "connections": 2, "customers": 2, "externalids": 3, "instances": 1}
	if fmt.Sprint(kinds) != fmt.Sprint(want) {
		t.Errorf("in the end there are %v, want %v", kinds, want)
	}
	return faulty.Count() >= at
}

// checkRecords says whether what is stored makes sense.
func checkRecords(t *testing.T, m *storetest.Memory, l *life) {
	t.Helper()
	ctx := t.Context()
	s := openProcess(t, m, l)
	all := func(kind string) (keys []store.Key) {
		keys, err := s.records.Keys(ctx, kind, "", 1000)
		if err != nil {
			t.Error(err)
		}
		return keys
	}
	read := func(k store.Key, v any) {
		if err := s.records.Get(ctx, k, v); err != nil {
			t.Errorf("%v: half a record? %v", k, err)
		}
	}

	connected := make(map[string]int)
	for _, k := range all(connectionKind) {
		var c Connection
		read(k, &c)
		e, err := s.externalID(ctx, c.ExternalID)
		switch {
		case err != nil || e.Account != c.Account || e.Account == "":
			t.Errorf("the External ID of a connection is bound to %q, %v", e.Account, err)
		case !strings.Contains(c.RoleARN, c.Account) || c.ID != k.Name():
			t.Errorf("connection %+v", c)
		}
		connected[c.ID]++
	}
	for _, k := range all(sessionKind) {
		var session Session
		read(k, &session)
		if session.Succeeded != "" && connected[session.Succeeded] == 0 && !l.deleted[session.Succeeded] {
			t.Errorf("a session says that it has made a connection that is not there: %+v", session)
		}
	}
	owned := make(map[string]string)
	for _, k := range all(externalIDKind) {
		var e externalID
		read(k, &e)
		if key, err := s.externalIDKey(ctx, e.ExternalID); err != nil || key != k {
			t.Errorf("External ID %s lies elsewhere, %v", e.ExternalID, err)
		}
		owned[e.ExternalID] = e.Owner
	}
	for _, k := range all(customerKind) {
		var c customer
		read(k, &c)
		// It may name one that is nobody's, but then it isn't current.
		if id, err := s.current(ctx, k); err != nil || id != "" && owned[id] != k.Name() {
			t.Errorf("customer %+v is shown %q, which is %q's, %v", c, id, owned[id], err)
		}
	}

	// What was acknowledged is there.
	for customer, id := range l.externalIDs {
		if owned[id] == "" {
			t.Errorf("%s was shown %s, and it is nobody's", customer, id)
		}
	}
	for name, id := range l.connections {
		if connected[id] == 0 && !l.deleted[id] {
			t.Errorf("the connection of %s is lost", name)
		}
	}
	for name, token := range l.tokens {
		key, err := s.sessionKey(ctx, token)
		if err != nil {
			t.Error(err)
		}
		if _, stored := m.Values()[path.Join("aws_sigv4/connect", sessionKind, key.Name()[:2], key.Name())]; !stored && l.clock.now().Before(newClock().now().Add(time.Hour)) {
			t.Errorf("the session of %s is lost", name)
		}
	}
	if most := 3; len(connected) > most {
		t.Errorf("there are %d connections, want at most %d", len(connected), most)
	}
}
