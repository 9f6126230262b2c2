package connect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

func (v *vendor) connection(id string) Connection {
	v.t.Helper()
	c, err := v.store.Connection(v.t.Context(), id)
	if err != nil {
		v.t.Fatal(err)
	}
	return c
}

func (v *vendor) recheckAll() {
	v.t.Helper()
	if err := v.recheckDue(v.t.Context()); err != nil {
		v.t.Fatal(err)
	}
}

func TestConnectionsAreLookedAfter(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	c := v.connect("o1", role1)
	calls := v.aws.calls()
	v.recheckAll()
	if v.aws.calls() != calls {
		t.Error("one that was verified just now was checked again")
	}

	v.clock.pass(24 * time.Hour)
	before := v.clock.now()
	v.recheckAll()
	if n := v.aws.calls() - calls; n != 1 {
		t.Errorf("%d calls of AssumeRole after a day, want 1, without a probe", n)
	}
	if now := v.connection(c.ID); now.LastError != nil || now.Verified.Before(before) || now.Probe != sts.Proven {
		t.Errorf("%+v", now)
	}

	// The customer takes the role away.
	v.aws.change(func() { delete(v.aws.roles, role1) })
	v.clock.pass(24 * time.Hour)
	v.recheckAll()
	failing := v.connection(c.ID)
	if failing.LastError == nil || failing.LastError.Code != CodeAssumeRoleDenied || failing.LastError.AWSCode != "AccessDenied" ||
		failing.LastError.Text == "" || failing.LastError.Since != failing.LastError.At {
		t.Fatalf("%+v", failing.LastError)
	}
	calls = v.aws.calls()
	v.recheckAll()
	if v.aws.calls() != calls {
		t.Error("one that failed just now was checked again")
	}
	v.clock.pass(time.Hour)
	v.recheckAll()
	if again := v.connection(c.ID).LastError; again == nil || again.Since != failing.LastError.Since || !again.At.After(again.Since) {
		t.Errorf("%+v", again)
	}

	// And gives it back.
	v.aws.role(role1, fakeRole{externalID: c.ExternalID})
	v.clock.pass(time.Hour)
	v.recheckAll()
	if now := v.connection(c.ID); now.LastError != nil {
		t.Errorf("%+v", now.LastError)
	}
	kinds := v.kinds()
	if !slices.Equal(kinds[len(kinds)-2:], []AuditKind{AuditConnectionFailing, AuditConnectionRecovered}) {
		t.Errorf("%v", kinds)
	}

	// A connection that is paused, or that was deleted, needs no role.
	if _, err := v.UpdateConnection(t.Context(), c.ID, func(c *Connection) error { c.Paused = true; return nil }); err != nil {
		t.Fatal(err)
	}
	v.clock.pass(48 * time.Hour)
	calls = v.aws.calls()
	v.recheckAll()
	if err := v.DeleteConnection(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	v.recheckAll()
	if v.aws.calls() != calls {
		t.Error("a paused or deleted connection was checked")
	}
	kinds = v.kinds()
	if !slices.Equal(kinds[len(kinds)-2:], []AuditKind{AuditConnectionPaused, AuditConnectionDeleted}) {
		t.Errorf("%v", kinds)
	}
	v.tellsNothing(nil, c.ExternalID)
}

// TestWhatIsNoConnectionsFaultIsNotHeldAgainstIt: STS is away, and nobody asks it for each connection.
func TestWhatIsNoConnectionsFaultIsNotHeldAgainstIt(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	var connections []Connection
	for i := range 8 {
		connections = append(connections, v.connect(fmt.Sprint("o", i), fmt.Sprintf("arn:aws:iam::%012d:role/Customer", i)))
	}
	v.aws.Answer(func(ststest.Call) ststest.Answer {
		return ststest.Answer{Status: 403, Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid."}
	})
	v.clock.pass(24 * time.Hour)
	calls := len(v.aws.Calls())
	v.recheckAll()
	if n := len(v.aws.Calls()) - calls; n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
	for _, c := range connections {
		if now := v.connection(c.ID); now.LastError != nil {
			t.Errorf("%+v", now.LastError)
		}
	}
	if len(v.reports) != 1 {
		t.Errorf("%v", v.reports)
	}
}

func TestInstancesShareTheWork(t *testing.T) {
	memory := &storetest.Memory{}
	v := newVendor(t, vendorOptions{storage: memory})
	other := newVendor(t, vendorOptions{storage: memory, aws: v.aws, clock: v.clock})
	for i := range 6 {
		v.connect(fmt.Sprint("o", i), fmt.Sprintf("arn:aws:iam::%012d:role/Customer", i))
	}
	v.clock.pass(24 * time.Hour)
	calls := v.aws.calls()
	v.recheckAll()
	other.recheckAll()
	if n := v.aws.calls() - calls; n != 6 {
		t.Errorf("%d calls of two instances one after the other, want 6", n)
	}
}

func TestReverify(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	c := v.connect("o1", role1)
	reverify := func(want Code, lastError Code, probe sts.Outcome) {
		t.Helper()
		v.clock.pass(time.Minute)
		got, err := v.Reverify(t.Context(), c.ID)
		if err != nil || got.Code != want || (got.State == StateSucceeded) != (want == "") || got.ConnectionID != c.ID || got.Ended.IsZero() {
			t.Errorf("%+v, %v, want %q", got, err, want)
		}
		now := v.connection(c.ID)
		if code := now.LastError; (code == nil) != (lastError == "") || code != nil && code.Code != lastError {
			t.Errorf("last error %+v, want %q", code, lastError)
		}
		if now.Probe != probe {
			t.Errorf("probe %q, want %q", now.Probe, probe)
		}
	}
	reverify("", "", sts.Proven)
	v.aws.role(role1, fakeRole{externalID: c.ExternalID, open: "none"})
	reverify(CodeExternalIDNotEnforced, CodeExternalIDNotEnforced, sts.Open)

	// That the role can be assumed does not say that it asks for its External ID again.
	v.clock.pass(48 * time.Hour)
	v.recheckAll()
	if now := v.connection(c.ID); now.LastError == nil || now.Probe != sts.Open {
		t.Errorf("%+v", now)
	}
	v.aws.role(role1, fakeRole{externalID: c.ExternalID})
	reverify("", "", sts.Proven)
	v.aws.role(role1, fakeRole{externalID: "another"})
	reverify(CodeAssumeRoleDenied, CodeAssumeRoleDenied, sts.Proven)

	// The operator's lists hold for connections that were made before, too.
	v.aws.role(role1, fakeRole{externalID: c.ExternalID})
	v.integration.DenyAccounts = []string{"111111111111"}
	reverify(CodeAccountNotAllowed, CodeAccountNotAllowed, sts.Proven)

	if _, err := v.Reverify(t.Context(), newUUID()); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
}

// TestReverifyTogether: those who ask at once get one verification, and one who does not wait leaves it
// to the others.
func TestReverifyTogether(t *testing.T) {
	v := newVendor(t, vendorOptions{integration: func(i *Integration) { i.ExternalIDProbe = ProbeOff }})
	c := v.connect("o1", role1)
	release, entered := make(chan struct{}), make(chan struct{})
	var once sync.Once
	inner := v.aws.answer
	v.integration.Mode = holdMode{v.integration.Mode, func() { once.Do(func() { close(entered) }); <-release }}
	v.aws.Answer(inner)
	calls := v.aws.calls()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := v.Reverify(ctx, c.ID); err == nil && got.State != StateRunning {
		t.Errorf("%+v", got)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if got, err := v.Reverify(t.Context(), c.ID); err != nil || got.State != StateSucceeded {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	<-entered
	time.Sleep(20 * time.Millisecond) // Lets the others come.
	close(release)
	wg.Wait()
	if n := v.aws.calls() - calls; n < 1 || n > 2 {
		t.Errorf("%d calls", n)
	}
}

type holdMode struct {
	Mode
	wait func()
}

func (m holdMode) Where(region string) sts.Where {
	m.wait()
	return m.Mode.Where(region)
}

// TestARecheckDoesNotUndoAReconnect that was made while it was under way.
func TestARecheckDoesNotUndoAReconnect(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	c := v.connect("o1", role1)
	const newer = "arn:aws:iam::111111111111:role/Newer"
	token, _, err := v.CreateReconnectSession(t.Context(), c.ID, NewSession{Integration: "acme-s3"})
	if err != nil {
		t.Fatal(err)
	}
	v.aws.role(newer, fakeRole{externalID: c.ExternalID})
	v.submit(token, newer, "")
	p := &problem{code: CodeAssumeRoleDenied, text: "the old role is gone"}
	if err := v.record(t.Context(), c, p, "", false); err != nil {
		t.Fatal(err)
	}
	if now := v.connection(c.ID); now.LastError != nil || now.RoleARN != newer {
		t.Errorf("%+v", now)
	}
}

// TestWhatGoesOnByItself begins and ends, and loses nothing that is needed.
func TestWhatGoesOnByItself(t *testing.T) {
	v := newVendor(t, vendorOptions{service: func(o *ServiceOptions) { o.RecheckEvery = 100 * time.Hour }})
	c := v.connect("o1", role1)
	token, _ := v.customer(NewSession{Integration: "acme-s3"}) // Will expire.
	stop := errors.New("enough")
	n := 0
	v.pause = func(ctx context.Context, _ time.Duration) error {
		if n++; n > 20 {
			return stop
		}
		v.clock.pass(10 * time.Minute)
		return ctx.Err()
	}
	v.sweepForever(t.Context())
	if _, err := v.store.Session(t.Context(), token); !errors.Is(err, ErrNotFound) {
		t.Errorf("the session is still there: %v", err)
	}
	n = 0
	v.reseal(t.Context())
	if n > 20 {
		t.Error("sealing anew did not come to an end")
	}
	n = 0
	calls := v.aws.calls()
	v.clock.pass(100 * time.Hour)
	v.recheckForever(t.Context())
	if v.aws.calls() != calls+1 {
		t.Errorf("%d calls", v.aws.calls()-calls)
	}
	if now := v.connection(c.ID); now.LastError != nil {
		t.Errorf("%+v", now)
	}
	if len(v.reports) > 0 {
		t.Errorf("%v", v.reports)
	}

	started := newVendor(t, vendorOptions{storage: storageOf(v), aws: v.aws})
	started.pause = pause
	started.Start()
	started.Close()
}
