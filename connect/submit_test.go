package connect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

// holding has pauses last until whoever pauses is stopped.
func (v *vendor) holding() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.hold = true
}

// paused waits until a verification pauses after a refusal.
func (v *vendor) paused() {
	v.t.Helper()
	until(v.t, func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.waiting > 0
	})
}

// TestTabsThatVerifyAtOnce: many submit the same at once, and one verification runs.
func TestTabsThatVerifyAtOnce(t *testing.T) {
	v := newVendor(t, vendorOptions{integration: func(i *Integration) { i.ExternalIDProbe = ProbeOff }})
	token, id := v.customer(forOrganization("o1"))
	v.aws.role(role1, fakeRole{externalID: id})
	atOnce(8, func(int) {
		if got, err := v.Submit(t.Context(), token, role1, ""); err != nil || got.State == StateFailed {
			t.Errorf("%+v, %v", got, err)
		}
	})
	if got := v.wait(token); got.State != StateSucceeded {
		t.Errorf("%+v", got)
	}
	if n := v.aws.calls(); n != 1 {
		t.Errorf("%d calls of AssumeRole, want 1", n)
	}
	if all, _, err := v.store.Connections(t.Context(), Filter{}, "", 10); err != nil || len(all) != 1 {
		t.Errorf("%d connections, %v", len(all), err)
	}
}

// TestTabsThatDisagree: with other input at once, one of them is connected.
func TestTabsThatDisagree(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	token, id := v.customer(forOrganization("o1"))
	var roles []string
	for i := range 6 {
		roles = append(roles, fmt.Sprint(role1, i))
		v.aws.role(roles[i], fakeRole{externalID: id})
	}
	atOnce(6, func(i int) {
		if _, err := v.Submit(t.Context(), token, roles[i], ""); err != nil {
			t.Error(err)
		}
	})
	got := v.wait(token)
	if got.State != StateSucceeded || !slices.Contains(roles, got.RoleARN) {
		t.Errorf("%+v", got)
	}
	if c, err := v.store.Connection(t.Context(), got.ConnectionID); err != nil || c.RoleARN != got.RoleARN {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestOtherInputTakesThePlaceOfAVerification(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	token, id := v.customer(forOrganization("o1"))
	v.aws.role(role1, fakeRole{externalID: id})
	v.holding()
	if got, err := v.Submit(t.Context(), token, role1+"Typo", ""); err != nil || got.State != StateRunning {
		t.Fatalf("%+v, %v", got, err)
	}
	v.paused()
	if got, err := v.Submit(t.Context(), token, role1+"Typo", ""); err != nil || got.State != StateRunning || got.RoleARN != role1+"Typo" {
		t.Errorf("the same again: %+v, %v", got, err)
	}
	if got := v.submit(token, role1, ""); got.State != StateSucceeded || got.RoleARN != role1 {
		t.Errorf("%+v", got)
	}
}

// TestAVerificationOfAnotherInstance is waited for, and when its process has died, not for ever.
func TestAVerificationOfAnotherInstance(t *testing.T) {
	memory := &storetest.Memory{}
	v := newVendor(t, vendorOptions{storage: memory})
	other := newVendor(t, vendorOptions{storage: memory, aws: v.aws, clock: v.clock})
	token, id := v.customer(forOrganization("o1"))
	v.aws.role(role1, fakeRole{externalID: id, notBefore: 1})
	v.holding()
	if _, err := v.Submit(t.Context(), token, role1, ""); err != nil {
		t.Fatal(err)
	}
	v.paused()
	for _, role := range []string{role1, role1 + "2"} {
		if got, err := other.Submit(t.Context(), token, role, ""); err != nil || got.State != StateRunning || got.RoleARN != role1 || got.Region != "" {
			t.Errorf("%s: %+v, %v", role, got, err)
		}
	}
	if got, err := other.Verification(t.Context(), token); err != nil || got.State != StateRunning {
		t.Errorf("%+v, %v", got, err)
	}
	calls := v.aws.calls()
	// v's process is gone, as far as the other can tell.
	v.clock.pass(v.lease())
	if got, err := other.Verification(t.Context(), token); err != nil || got.State != StateNone {
		t.Errorf("%+v, %v", got, err)
	}
	if got := other.submit(token, role1, ""); got.State != StateSucceeded {
		t.Errorf("%+v", got)
	}
	if v.aws.calls() <= calls {
		t.Error("nobody asked AWS")
	}
}

func TestASessionHasSoManyAttempts(t *testing.T) {
	v := newVendor(t, vendorOptions{service: func(o *ServiceOptions) { o.PropagationWait = -1 }})
	token, id := v.customer(forOrganization("o1"))
	v.aws.role(role1, fakeRole{externalID: id})
	for i := range attemptsAtOnce {
		if got := v.submit(token, fmt.Sprint(role1, i), ""); got.Code != CodeAssumeRoleDenied {
			t.Fatalf("%d: %+v", i, got)
		}
	}
	// Mistakes that AWS isn't asked about don't count, and the limit holds in another instance.
	v.submit(token, "nonsense", "")
	other := newVendor(t, vendorOptions{storage: storageOf(v), aws: v.aws, clock: v.clock})
	calls := v.aws.calls()
	if calls != attemptsAtOnce {
		t.Errorf("%d calls", calls)
	}
	if got := other.submit(token, role1, ""); got.State != StateFailed || got.Code != CodeTooManyAttempts {
		t.Errorf("%+v", got)
	}
	if v.aws.calls() != calls {
		t.Error("AWS was asked")
	}
	v.clock.pass(attemptsWindow)
	if got := other.submit(token, role1, ""); got.State != StateSucceeded {
		t.Errorf("later: %+v", got)
	}
}

// TestRefusalsDoNotFlood: however often a browser sends a form that is refused, the audit, the events and the
// storage have so much of it and no more.
func TestRefusalsDoNotFlood(t *testing.T) {
	v := newVendor(t, vendorOptions{service: func(o *ServiceOptions) { o.PropagationWait = -1 }})
	token, id := v.customer(forOrganization("o1"))
	for _, typed := range []string{"arn:aws:iam::" + vendorAccount + ":role/Admin", role1, "no ARN"} {
		for range 60 {
			if got := v.submit(token, typed, ""); got.State != StateFailed {
				t.Fatalf("%+v", got)
			}
		}
	}
	if n := len(v.events); n > 2*attemptsAtOnce+refusalsAtOnce+1 {
		t.Errorf("%d events", n)
	}
	if got := v.submit(token, "no ARN", ""); got.Code != CodeTooManyAttempts {
		t.Errorf("%+v", got)
	}
	session, err := v.store.Session(t.Context(), token)
	if err != nil || len(session.Attempts.Refused) > refusalsAtOnce {
		t.Errorf("%d times are kept, %v", len(session.Attempts.Refused), err)
	}
	// Another session is not held back, and this one goes on later.
	v.aws.role(role1, fakeRole{externalID: id})
	other, _ := v.customer(forOrganization("o1"))
	if got := v.submit(other, "no ARN", ""); got.Code != CodeInvalidRoleARN {
		t.Errorf("%+v", got)
	}
	v.clock.pass(attemptsWindow)
	if got := v.submit(token, "no ARN", ""); got.Code != CodeInvalidRoleARN {
		t.Errorf("%+v", got)
	}
	if got := v.submit(token, role1, ""); got.State != StateSucceeded {
		t.Errorf("%+v", got)
	}
}

// TestACustomerDoesNotKeepOthersWaiting: one customer with many sessions has so many verifications at once.
func TestACustomerDoesNotKeepOthersWaiting(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	v.holding()
	for i := range 2 * runsOfCustomer {
		token, _ := v.customer(forOrganization("greedy"))
		got, err := v.Submit(t.Context(), token, role1, "")
		if want := map[bool]State{true: StateRunning, false: StateFailed}[i < runsOfCustomer]; err != nil || got.State != want || want == StateFailed && got.Code != CodeBusy {
			t.Errorf("%d: %+v, %v", i, got, err)
		}
	}
	token, _ := v.customer(forOrganization("patient"))
	if got, err := v.Submit(t.Context(), token, role1, ""); err != nil || got.State != StateRunning {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAttemptsInAll(t *testing.T) {
	var a Attempts
	now := newClock().now()
	for i := range attemptsInAll {
		if err := a.begin(fmt.Sprint(i), now, now); err != nil {
			t.Fatal(i, err)
		}
		now = now.Add(attemptsWindow)
	}
	if err := a.begin("one more", now, now); !errors.Is(err, errTooMany) {
		t.Errorf("%v", err)
	}
	if len(a.Recent) > attemptsAtOnce {
		t.Errorf("%d times are kept", len(a.Recent))
	}
}

func TestSoManyVerificationsRunAtOnce(t *testing.T) {
	v := newVendor(t, vendorOptions{service: func(o *ServiceOptions) { o.MaxVerifications, o.MaxCalls = 2, 1 }})
	v.holding()
	for _, o := range []string{"o1", "o2"} {
		token, _ := v.customer(forOrganization(o))
		// MaxCalls is not held while waiting.
		if got, err := v.Submit(t.Context(), token, role1, ""); err != nil || got.State != StateRunning {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	until(t, func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.waiting == 2
	})
	token, _ := v.customer(forOrganization("o3"))
	if got := v.submit(token, role1, ""); got.State != StateFailed || got.Code != CodeBusy {
		t.Errorf("%+v", got)
	}
}

func TestCloseEndsVerifications(t *testing.T) {
	memory := &storetest.Memory{}
	v := newVendor(t, vendorOptions{storage: memory})
	token, id := v.customer(forOrganization("o1"))
	v.aws.role(role1, fakeRole{externalID: id, notBefore: 1})
	v.holding()
	if _, err := v.Submit(t.Context(), token, role1, ""); err != nil {
		t.Fatal(err)
	}
	v.paused()
	v.Close()
	if got, err := v.Submit(t.Context(), token, role1, ""); err != nil || got.State != StateFailed {
		t.Errorf("after Close: %+v, %v", got, err)
	}
	next := newVendor(t, vendorOptions{storage: memory, aws: v.aws, clock: v.clock})
	if got, err := next.Verification(t.Context(), token); err != nil || got.State != StateFailed || got.Code != CodeInterrupted {
		t.Errorf("%+v, %v", got, err)
	}
	if got := next.submit(token, role1, ""); got.State != StateSucceeded {
		t.Errorf("%+v", got)
	}
}

// releasing always gives and releases locks: of those that remain, the tests of the store know.
type releasing struct {
	*storetest.Process
	memory *storetest.Memory
}

func (r releasing) Lock(ctx context.Context, name string) error { return r.memory.Lock(ctx, name) }

func (r releasing) Unlock(ctx context.Context, name string) error { return r.memory.Unlock(ctx, name) }

// TestStorageThatFailsWhileAConnectionIsMade fails once at each operation of a whole verification. Where
// it prevents the verification, the customer is told, and can try again.
func TestStorageThatFailsWhileAConnectionIsMade(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{"fails": storetest.Fails, "fails after": storetest.FailsAfter} {
		t.Run(name, func(t *testing.T) {
			aws := newAWS(t)
			for at := 1; ; at++ {
				memory := &storetest.Memory{}
				v := newVendor(t, vendorOptions{storage: memory, aws: aws})
				token, id := v.customer(forOrganization("o1"))
				aws.role(role1, fakeRole{externalID: id})

				process := storetest.NewProcess(memory, at, fault)
				faulty := newVendor(t, vendorOptions{storage: releasing{process, memory}, aws: aws, clock: v.clock})
				_, err := faulty.Submit(t.Context(), token, role1, "")
				if err != nil && !errors.Is(err, ErrUnavailable) {
					t.Fatalf("operation %d: %v", at, err)
				}
				faulty.Service.wg.Wait()
				done := process.Count() < at
				got, err := v.Verification(t.Context(), token)
				if err != nil || got.State == StateRunning && faulty.runOf(sessionOf(t, v, token).ID) == nil {
					t.Errorf("operation %d: %+v, %v", at, got, err)
				}
				if got.State != StateSucceeded {
					// The same instance does not wait for a lease of its own.
					if again := faulty.submit(token, role1, ""); again.State != StateSucceeded {
						t.Errorf("operation %d, again: %+v", at, again)
					}
				}
				if all, _, err := v.store.Connections(t.Context(), Filter{}, "", 10); err != nil || len(all) != 1 {
					t.Errorf("operation %d: %d connections, %v", at, len(all), err)
				}
				faulty.tellsNothing([]any{got}, id, token)
				if done {
					t.Logf("%d operations", at-1)
					return
				}
			}
		})
	}
}

func sessionOf(t *testing.T, v *vendor, token string) Session {
	t.Helper()
	s, err := v.store.Session(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSubmitToASessionThatIsOver(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	v.aws.role(role1, fakeRole{})
	revoked, _ := v.customer(forOrganization("o1"))
	if err := v.RevokeSession(t.Context(), revoked); err != nil {
		t.Fatal(err)
	}
	expired, _ := v.customer(forOrganization("o2"))
	v.clock.pass(31 * time.Minute)
	for token, want := range map[string]error{
		revoked: ErrRevoked, expired: ErrExpired, newToken(): ErrNotFound, "../x": ErrNotFound,
	} {
		if _, err := v.Submit(t.Context(), token, role1, ""); !errors.Is(err, want) {
			t.Errorf("submit: %v, want %v", err, want)
		}
		if _, err := v.Verification(t.Context(), token); !errors.Is(err, want) {
			t.Errorf("verification: %v, want %v", err, want)
		}
		if _, err := v.Page(t.Context(), token); !errors.Is(err, want) {
			t.Errorf("page: %v, want %v", err, want)
		}
	}
	if n := len(v.aws.Calls()); n != 0 {
		t.Errorf("%d calls of AWS", n)
	}
}

// TestASessionThatIsRevokedWhileItsRoleIsVerified makes no connection.
func TestASessionThatIsRevokedWhileItsRoleIsVerified(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	token, id := v.customer(forOrganization("o1"))
	v.aws.role(role1, fakeRole{externalID: id})
	v.aws.Answer(func(c ststest.Call) ststest.Answer {
		if c.Form.Get("ExternalId") == "" && c.Form.Get("Action") == "AssumeRole" {
			if err := v.store.RevokeSession(t.Context(), token); err != nil {
				t.Error(err)
			}
		}
		return v.aws.answer(c)
	})
	if _, err := v.Submit(t.Context(), token, role1, ""); err != nil {
		t.Fatal(err)
	}
	v.Close()
	if all, _, err := v.store.Connections(t.Context(), Filter{}, "", 10); err != nil || len(all) != 0 {
		t.Errorf("%d connections, %v", len(all), err)
	}
	last := v.events[len(v.events)-1]
	if last.Kind != AuditVerificationFailed || last.Code != CodeSessionRevoked && last.Code != CodeInterrupted {
		t.Errorf("%+v", last)
	}
}

// TestASessionLastsAsLongAsItsVerification, even if that begins in its last second.
func TestASessionLastsAsLongAsItsVerification(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	token, id := v.customer(forOrganization("o1"))
	v.aws.role(role1, fakeRole{externalID: id, notBefore: 6})
	v.clock.pass(30*time.Minute - time.Second)
	if got := v.submit(token, role1, ""); got.State != StateSucceeded {
		t.Errorf("%+v", got)
	}
}

// TestHostileInputIsKeptSmall: what is stored of it, and said about it, is bounded and plain.
func TestHostileInputIsKeptSmall(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	token, _ := v.customer(forOrganization("o1"))
	for _, input := range []string{
		strings.Repeat("arn:aws:iam::111111111111:role/", 10_000), "arn:aws:iam::111111111111:role/\x00\x1b[2J", "\xff\xfe", "<script>alert(1)</script>",
		"arn:aws:iam::111111111111:role/../../x", "arn:aws:iam::111111111111:role/A?b=c#d", "arn:aws:iam::111111111111:role/ａ",
	} {
		got, err := v.Submit(t.Context(), token, input, input)
		if err != nil || got.State != StateFailed {
			t.Fatalf("%q: %+v, %v", input, got, err)
		}
		if len(got.Text) > 1000 || strings.ContainsAny(got.Text, "\x00\x1b") {
			t.Errorf("%q", got.Text)
		}
		if _, err := v.Page(t.Context(), token); err != nil {
			t.Error(err)
		}
	}
	if n := v.aws.calls(); n > 0 {
		t.Errorf("%d calls of AssumeRole", n)
	}
	for k, value := range storageOf(v).(*storetest.Memory).Values() {
		if len(value) > 16<<10 {
			t.Errorf("%s has %d bytes", k, len(value))
		}
	}
}

// TestRefusalsAreInTheAudit, with what was typed only where it is what it should be.
func TestRefusalsAreInTheAudit(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	token, id := v.customer(forOrganization("o1"))
	const own = "arn:aws:iam::" + vendorAccount + ":role/Internal"
	v.submit(token, own, "")
	v.submit(token, "<script>", "\x1b[2J")
	v.wantKinds(AuditSessionCreated, AuditVerificationFailed, AuditVerificationFailed)
	if e := v.events[1]; e.Code != CodeAccountNotAllowed || e.RoleARN != own || e.Region != "eu-west-1" || e.Session == "" || e.Text == "" {
		t.Errorf("%+v", e)
	}
	if e := v.events[2]; e.Code != CodeInvalidRoleARN || e.RoleARN != "" || e.Region != "" || strings.Contains(e.Text, "\x1b") {
		t.Errorf("%+v", e)
	}
	v.tellsNothing(nil, id, token)
}

// TestManyCustomersAtOnce under the race detector, with whatever else goes on.
func TestManyCustomersAtOnce(t *testing.T) {
	v := newVendor(t, vendorOptions{storage: &certmagic.FileStorage{Path: t.TempDir()}, service: func(o *ServiceOptions) { o.MaxCalls = 3 }})
	var ok atomic.Int32
	atOnce(12, func(i int) {
		token, id := v.customer(forOrganization(fmt.Sprint("o", i)))
		role := fmt.Sprintf("arn:aws:iam::%012d:role/Customer", i+1)
		v.aws.role(role, fakeRole{externalID: id, notBefore: i % 3})
		got := v.submit(token, role, "")
		if got.State != StateSucceeded {
			t.Errorf("%+v", got)
			return
		}
		again, err := v.Reverify(t.Context(), got.ConnectionID)
		if err != nil || again.State != StateSucceeded {
			t.Errorf("%+v, %v", again, err)
			return
		}
		ok.Add(1)
	})
	if n := ok.Load(); n != 12 {
		t.Errorf("%d succeeded", n)
	}
}
