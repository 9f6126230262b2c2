package webhook

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
)

// TestCrashAtEachOperation lets one operation of the storage go wrong in turn, in each way, goes on in a new
// process, and wants what happened to be told, what did not happen not to be, and each thing under one ID.
func TestCrashAtEachOperation(t *testing.T) {
	r := newReceiver(t)
	for name, fault := range storetest.Faults {
		t.Run(name, func(t *testing.T) {
			faults := 0
			for at := 1; liveThrough(t, r, at, fault); at++ {
				if t.Failed() {
					t.Fatalf("with operation %d gone wrong", at)
				}
				faults++
			}
			t.Logf("%d faults", faults)
			if faults < 60 {
				t.Errorf("only %d operations could go wrong", faults)
			}
		})
	}
}

func liveThrough(t *testing.T, r *receiver, at int, fault storetest.Fault) (happened bool) {
	m, clock := &storetest.Memory{}, newClock()
	faulty := storetest.NewProcess(m, at, fault)
	open := func(p *storetest.Process) *bed {
		return newBed(t, p, clock, trusting(r, nil), Endpoint{URL: r.URL, Secrets: secrets(t, testSecret)})
	}
	b := open(faulty)
	r.take()
	var (
		token   string
		session connect.Session
		c       connect.Connection
		err     error
		ctx     = t.Context()
	)
	steps := []func() error{
		func() error {
			token, session, err = b.store.CreateSession(ctx, b.session("globex"))
			return err
		},
		func() error {
			made, err := b.finish(token, session)
			if errors.Is(err, connect.ErrUsed) { // The answer to the attempt before was lost.
				made, err = b.store.Connection(ctx, session.ConnectionID)
			}
			c = made
			return err
		},
		func() error {
			_, err := b.store.UpdateConnection(ctx, c.ID, func(c *connect.Connection) error {
				if c.LastError == nil {
					c.LastError = &connect.Failure{Code: connect.CodeAssumeRoleDenied, Text: "no", Since: clock.now(), At: clock.now()}
				}
				return nil
			})
			return err
		},
		func() error {
			_, err := b.store.UpdateConnection(ctx, c.ID, func(c *connect.Connection) error { c.LastError = nil; return nil })
			return err
		},
		func() error {
			err := b.store.DeleteConnection(ctx, c.ID)
			if errors.Is(err, connect.ErrNotFound) {
				err = nil
			}
			return err
		},
	}
	for i, step := range steps {
		for attempt := 1; ; attempt++ {
			err := step()
			m.BreakLocks() // In time they become stale.
			if err == nil {
				break
			}
			if attempt == 4 {
				t.Errorf("step %d: still %v", i, err)
				return true
			}
			if attempt > 1 || fault == storetest.Dies || fault == storetest.DiesAfter {
				b = open(storetest.NewProcess(m, 0, fault))
			}
			clock.pass(time.Second)
		}
		b.run()
		m.BreakLocks()
		// What came of a fault is looked into within two minutes, before the next thing happens.
		clock.pass(2 * time.Minute)
		for range 2 {
			if b.poll(ctx) != nil && (fault == storetest.Dies || fault == storetest.DiesAfter) {
				b = open(storetest.NewProcess(m, 0, fault))
			}
		}
		b.run()
		m.BreakLocks()
	}
	// One that starts later sends what is left.
	last := open(storetest.NewProcess(m, 0, fault))
	for range 3 {
		clock.pass(2 * time.Hour)
		poll(last)
		last.run()
	}
	if keys, err := last.records.Keys(ctx, connect.WebhookKind, "", 100); err != nil || len(keys) != 0 {
		t.Errorf("%d are left, %v", len(keys), err)
	}
	told := make(map[Event]map[string]int)
	for _, got := range r.take() {
		event := eventIn(t, got.body)
		if told[event] == nil {
			told[event] = make(map[string]int)
		}
		told[event][got.header.Get("Webhook-Id")]++
	}
	for _, event := range []Event{EventCreation, EventRefreshFailure, EventRecovery, EventDeletion} {
		if len(told[event]) != 1 {
			t.Errorf("%s was told under %d IDs: %v", event, len(told[event]), told)
		}
	}
	return faulty.Count() >= at
}

// TestWhatNeverHappenedIsNotTold dies between the announcement and the change.
func TestWhatNeverHappenedIsNotTold(t *testing.T) {
	m, clock, r := &storetest.Memory{}, newClock(), newReceiver(t)
	endpoint := Endpoint{URL: r.URL, Secrets: secrets(t, testSecret)}
	b := newBed(t, m, clock, trusting(r, nil), endpoint)
	c := b.connect("globex")
	b.run()
	r.take()
	for kind, change := range map[connect.AuditKind]func(*connect.Change){
		connect.AuditConnectionCreated:   func(c *connect.Change) { c.Since = clock.now().Add(time.Minute) },
		connect.AuditConnectionRenewed:   func(c *connect.Change) { c.At = clock.now().Add(time.Minute) },
		connect.AuditConnectionDeleted:   nil,
		connect.AuditConnectionFailing:   nil,
		connect.AuditConnectionExhausted: nil,
	} {
		a := connect.Announcement{
			Change: connect.Change{Kind: kind, ConnectionID: c.ID, At: clock.now(), Since: clock.now()}, ID: "msg_" + string(kind), Connection: c,
		}
		a.Connection.LastError = &connect.Failure{Code: connect.CodeAssumeRoleDenied, Since: clock.now()}
		if change != nil {
			change(&a.Change)
		}
		if _, err := b.Announce(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	stored(t, b, 5)
	other := newBed(t, m, clock, trusting(r, nil), endpoint)
	clock.pass(time.Hour)
	for _, one := range []*bed{other, b} {
		poll(one)
		one.run()
	}
	if got := r.take(); len(got) != 0 {
		t.Errorf("%s", got[0].body)
	}
	stored(t, b, 0)
	if n := b.QueueLength(); n != 0 {
		t.Errorf("%d wait", n)
	}
}
