package connect

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

// announced is an Announcer that remembers, and fails when told to.
type announced struct {
	mu     sync.Mutex
	all    []Announcement
	stored int
	err    error
}

func (a *announced) Announce(_ context.Context, one Announcement) (func(), error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return nil, a.err
	}
	a.all = append(a.all, one)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.stored++
	}, nil
}

func (a *announced) CheckURL(text string) error {
	if strings.Contains(text, "inside") {
		return errors.New("it is inside")
	}
	return nil
}

func (a *announced) kinds() (kinds []AuditKind) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, one := range a.all {
		kinds = append(kinds, one.Kind)
	}
	return kinds
}

// takeAway has the customer take the role away, and giveBack gives it back.
func (v *vendor) takeAway(c Connection) { v.aws.change(func() { delete(v.aws.roles, c.RoleARN) }) }

func (v *vendor) giveBack(c Connection) { v.aws.role(c.RoleARN, fakeRole{externalID: c.ExternalID}) }

func TestAConnectionThatFailsForDaysIsExhausted(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	told := new(announced)
	v.store.SetAnnouncer(told)
	c := v.connect("o1", role1)
	v.takeAway(c)
	for day := 1; day <= 4; day++ {
		v.clock.pass(24 * time.Hour)
		for range 3 { // A day counts once.
			v.recheckAll()
			v.clock.pass(time.Hour)
		}
		v.clock.pass(-3 * time.Hour)
		now := v.connection(c.ID)
		if f := now.LastError; f == nil || f.Days != day || f.Exhausted.IsZero() == (day == 4) {
			t.Fatalf("on day %d: %+v", day, f)
		}
		if _, err := v.Identity(now); errors.Is(err, ErrExhausted) != (day == 4) {
			t.Errorf("on day %d: %v", day, err)
		}
	}
	bad := v.connection(c.ID)
	_, err := v.Identity(bad)
	for _, part := range []string{"since 2026-03-02", bad.LastError.Text, "verify the connection anew"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}

	// It is tried rarely, from then on.
	calls := v.aws.calls()
	for range 6 {
		v.clock.pass(24 * time.Hour)
		v.recheckAll()
	}
	if n := v.aws.calls() - calls; n != 0 {
		t.Errorf("%d calls in 6 days", n)
	}
	v.clock.pass(24 * time.Hour)
	v.recheckAll()
	if n := v.aws.calls() - calls; n != 1 {
		t.Errorf("%d calls in 7 days, want 1", n)
	}

	// A forced refresh that fails changes nothing; one that does not is the end of it.
	if again, err := v.Recheck(t.Context(), c.ID); err != nil || !again.exhausted() {
		t.Errorf("%+v, %v", again.LastError, err)
	}
	v.giveBack(c)
	if again, err := v.Recheck(t.Context(), c.ID); err != nil || again.LastError != nil {
		t.Errorf("%+v, %v", again.LastError, err)
	}
	if _, err := v.Identity(v.connection(c.ID)); err != nil {
		t.Error(err)
	}
	want := []AuditKind{AuditConnectionCreated, AuditConnectionFailing, AuditConnectionExhausted, AuditConnectionRecovered}
	if got := told.kinds(); !slices.Equal(got, want) || told.stored != len(want) {
		t.Errorf("announced %v, %d of them as stored", got, told.stored)
	}
	for _, a := range told.all[1:] {
		if !a.Since.Equal(bad.LastError.Since) || a.Connection.LastError == nil || !strings.HasPrefix(a.ID, "msg_") {
			t.Errorf("%+v", a)
		}
		if happened, err := v.store.Happened(t.Context(), a.Change); err != nil || happened != (a.Kind == AuditConnectionRecovered) {
			t.Errorf("%s happened: %t, %v", a.Kind, happened, err)
		}
	}
	kinds := v.kinds()
	if !slices.Equal(kinds[len(kinds)-3:], want[1:]) {
		t.Errorf("audited %v", kinds)
	}
	v.tellsNothing(nil, c.ExternalID)
}

// TestWhatEndsExhaustion: the vendor's verification and the customer's new submission do, too.
func TestWhatEndsExhaustion(t *testing.T) {
	for name, mend := range map[string]func(v *vendor, c Connection){
		"verified anew": func(v *vendor, c Connection) {
			if got, err := v.Reverify(v.t.Context(), c.ID); err != nil || got.State != StateSucceeded {
				v.t.Errorf("%+v, %v", got, err)
			}
		},
		"renewed": func(v *vendor, c Connection) {
			token, _, err := v.CreateReconnectSession(v.t.Context(), c.ID, NewSession{Integration: c.Integration})
			if err != nil {
				v.t.Fatal(err)
			}
			if got := v.submit(token, c.RoleARN, ""); got.State != StateSucceeded {
				v.t.Errorf("%+v", got)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t, vendorOptions{service: func(o *ServiceOptions) { o.ExhaustedAfter = 1 }})
			c := v.connect("o1", role1)
			v.takeAway(c)
			v.clock.pass(24 * time.Hour)
			v.recheckAll()
			if now := v.connection(c.ID); !now.exhausted() {
				t.Fatalf("%+v", now.LastError)
			}
			v.giveBack(c)
			mend(v, c)
			if now := v.connection(c.ID); now.LastError != nil {
				t.Errorf("%+v", now.LastError)
			}
		})
	}
}

func TestOnlyWhatEveryVerificationFindsExhausts(t *testing.T) {
	v := newVendor(t, vendorOptions{service: func(o *ServiceOptions) { o.ExhaustedAfter = 1 }})
	c := v.connect("o1", role1)
	v.aws.role(role1, fakeRole{externalID: c.ExternalID, open: "wrong"})
	if got, err := v.Reverify(t.Context(), c.ID); err != nil || got.Code != CodeExternalIDNotEnforced {
		t.Fatalf("%+v, %v", got, err)
	}
	if now := v.connection(c.ID); now.LastError == nil || now.exhausted() {
		t.Errorf("%+v", now.LastError)
	}
}

// TestCallsTellTheConnection: what the cache learns is kept, once an hour at most, and a call with credentials
// that are valid never fails for it.
func TestCallsTellTheConnection(t *testing.T) {
	process := storetest.NewProcess(&storetest.Memory{}, 0, storetest.Fails)
	v := newVendor(t, vendorOptions{storage: process})
	c := v.connect("o1", role1)
	cache := credentials.NewCache(credentials.Options{})
	defer cache.Close()
	id, err := v.Identity(c)
	if err != nil {
		t.Fatal(err)
	}
	good, err := cache.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	v.takeAway(c)
	if _, err := cache.Refresh(t.Context(), id); err == nil {
		t.Fatal("the role is gone, and was assumed")
	}
	until(t, func() bool { return v.connection(c.ID).LastError != nil })
	failing := v.connection(c.ID)
	if f := failing.LastError; f.Code != CodeAssumeRoleDenied || f.AWSCode != "AccessDenied" || f.Days != 1 {
		t.Errorf("%+v", f)
	}
	// Not by a call with the credentials that are there, which go on being served.
	now, err := v.Identity(failing)
	if again, getErr := cache.Get(t.Context(), now); err != nil || getErr != nil || again.Value != good.Value {
		t.Errorf("%v, %v", err, getErr)
	}

	writes := func(f func()) int {
		before := process.Count()
		f()
		v.wg.Wait() // What calls have learnt is stored.
		return process.Count() - before
	}
	fetch := func() { _, _ = id.Fetch(t.Context(), brokerCredentials(t, id)) }
	reads := writes(func() { _ = v.connection(c.ID) })
	if n := writes(func() {
		for range 50 {
			fetch()
		}
	}); n != 50*reads {
		t.Errorf("%d operations of the storage for 50 calls that fail, want %d", n, 50*reads)
	}
	v.clock.pass(time.Hour)
	fetch()
	v.wg.Wait()
	if f := v.connection(c.ID).LastError; !f.At.After(f.Since) || !f.Since.Equal(failing.LastError.Since) {
		t.Errorf("%+v", f)
	}

	// What says nothing about the role changes nothing.
	v.aws.role(role1, fakeRole{externalID: c.ExternalID, answer: ststest.Answer{Status: 503, Code: "ServiceUnavailable"}})
	v.clock.pass(time.Hour)
	before := v.connection(c.ID)
	fetch()
	v.wg.Wait()
	if after := v.connection(c.ID); !after.Updated.Equal(before.Updated) {
		t.Errorf("%+v", after.LastError)
	}

	v.giveBack(c)
	fetch()
	v.wg.Wait()
	if now := v.connection(c.ID); now.LastError != nil {
		t.Errorf("%+v", now.LastError)
	}
	kinds := v.kinds()
	if !slices.Equal(kinds[len(kinds)-2:], []AuditKind{AuditConnectionFailing, AuditConnectionRecovered}) {
		t.Errorf("%v", kinds)
	}
	if n := writes(fetch); n != reads {
		t.Errorf("%d operations of the storage for a call that succeeds, want %d", n, reads)
	}
}

// brokerCredentials are what an identity's Fetch gets from the cache.
func brokerCredentials(t testing.TB, id credentials.Identity) *credentials.Credentials {
	t.Helper()
	if id.From == nil {
		return nil
	}
	creds, err := id.From.Fetch(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return creds
}

func TestTheMemoryOfWhatCallsLearnIsBounded(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	for range 20 {
		for range minLearnt {
			if id := newUUID(); !v.mayLearn(id) || v.mayLearn(id) {
				t.Fatal("a connection is learnt about once an hour")
			}
		}
		v.clock.pass(learnEvery)
	}
	if n := len(v.learnt); n > 4*minLearnt {
		t.Errorf("%d are remembered", n)
	}
}

func TestNothingIsChangedThatCantBeAnnounced(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	told := new(announced)
	v.store.SetAnnouncer(told)
	c := v.connect("o1", role1)
	told.err = fail(ErrUnavailable, "the queue is away")
	if err := v.DeleteConnection(t.Context(), c.ID); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
	v.takeAway(c)
	if _, err := v.Recheck(t.Context(), c.ID); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if now := v.connection(c.ID); now.LastError != nil {
		t.Errorf("%+v", now)
	}
	told.err = nil
	if err := v.DeleteConnection(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	if got := told.kinds(); !slices.Equal(got, []AuditKind{AuditConnectionCreated, AuditConnectionDeleted}) {
		t.Errorf("%v", got)
	}
}

func TestAWebhookURLIsChecked(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	c := v.connect("o1", role1)
	set := func(to string) error {
		_, err := v.UpdateConnection(t.Context(), c.ID, func(c *Connection) error { c.WebhookURL = to; return nil })
		return err
	}
	v.store.SetAnnouncer(new(announced))
	for to, want := range map[string]string{
		"https://hooks.example/a?b=c": "", "": "",
		"http://hooks.example/": "https", "https://u:p@hooks.example/": "names a user", "https:///x": "host",
		"https://inside.example/": "it is inside", "javascript:alert(1)": "https://",
	} {
		err := set(to)
		if (err == nil) != (want == "") || err != nil && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", to, err, want)
		}
		n := forOrganization("o2")
		n.WebhookURL = to
		_, _, err = v.CreateSession(t.Context(), n)
		if (err == nil) != (want == "") || err != nil && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want)) {
			t.Errorf("a session with %q: %v, want %q", to, err, want)
		}
	}
}
