package connect

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

func TestWhoTheBrokerIs(t *testing.T) {
	for name, tt := range map[string]struct{ arn, want, only string }{
		"a user":           {vendorARN, vendorARN, ""},
		"a session":        {"arn:aws:sts::111122223333:assumed-role/Broker/i-0123", "arn:aws:iam::111122223333:role/Broker", ""},
		"Identity Center":  {"arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_0123/me", "arn:aws:iam::111122223333:root", "AWSReservedSSO_Admin_0123"},
		"China":            {"arn:aws-cn:sts::111122223333:assumed-role/Broker/i-0123", "arn:aws-cn:iam::111122223333:role/Broker", ""},
		"a federated user": {"arn:aws:sts::111122223333:federated-user/Bob", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t, vendorOptions{})
			v.aws.Answer(func(ststest.Call) ststest.Answer { return ststest.Answer{Body: callerIdentity("111122223333", tt.arn)} })
			p, err := v.integration.Mode.Principal(t.Context())
			if p.ARN != tt.want || (err == nil) != (tt.want != "") || !strings.Contains(p.Only, tt.only) {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

// TestTheBrokerIsAskedForRarely: once an hour, not by each page while AWS is away, and the last answer
// holds on then.
func TestTheBrokerIsAskedForRarely(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	mode := v.integration.Mode
	want := func(calls int, known bool) {
		t.Helper()
		atOnce(4, func(int) {
			p, err := mode.Principal(t.Context())
			if (p.ARN == vendorARN) != known || (err == nil) != known {
				t.Errorf("%+v, %v", p, err)
			}
		})
		if n := len(v.aws.Calls()); n != calls {
			t.Errorf("%d calls, want %d", n, calls)
		}
	}
	refuse := func(ststest.Call) ststest.Answer {
		return ststest.Answer{Status: 403, Code: "InvalidClientTokenId", Message: "no"}
	}
	v.aws.Answer(refuse)
	want(1, false)
	want(1, false)
	v.aws.Answer(v.aws.answer)
	v.clock.pass(principalRetry)
	want(2, true)
	want(2, true)
	v.clock.pass(principalLife)
	v.aws.Answer(refuse)
	want(3, true)
	want(3, true)
	v.clock.pass(principalRetry)
	v.aws.Answer(v.aws.answer)
	want(4, true)
	want(4, true)

	// A role that is configured need not be asked for, and has its path.
	b := mode.(*BrokerMode)
	b.options.Broker.RoleARN = "arn:aws:iam::444455556666:role/brokers/Proxy"
	if p, err := b.Principal(t.Context()); err != nil || p.ARN != b.options.Broker.RoleARN || p.Account != "444455556666" {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestWhichSTSIsCalled(t *testing.T) {
	cache := credentials.NewCache(credentials.Options{})
	defer cache.Close()
	broker := credentials.Identity{Key: "k", Fetch: func(context.Context, *credentials.Credentials) (*credentials.Credentials, error) {
		return nil, errors.New("none")
	}}
	for name, tt := range map[string]struct{ configured, want sts.Where }{
		"the connection's": {sts.Where{}, sts.Where{Region: "eu-west-1"}},
		"FIPS":             {sts.Where{FIPS: true}, sts.Where{Region: "eu-west-1", FIPS: true}},
		"one for all":      {sts.Where{Region: "us-east-1"}, sts.Where{Region: "us-east-1"}},
		"a VPC's":          {sts.Where{Endpoint: "https://sts.example.com"}, sts.Where{Endpoint: "https://sts.example.com"}},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := NewBrokerMode(BrokerOptions{Client: sts.NewClient(sts.Config{}), Cache: cache, Broker: broker, STS: tt.configured})
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Where("eu-west-1"); got != tt.want {
				t.Errorf("%+v", got)
			}
		})
	}
	if _, err := NewBrokerMode(BrokerOptions{Client: sts.NewClient(sts.Config{}), Cache: cache, Broker: broker, STS: sts.Where{Endpoint: "http://example.com"}}); err == nil {
		t.Error("an STS without TLS")
	}
	if _, err := NewBrokerMode(BrokerOptions{}); err == nil {
		t.Error("nothing")
	}
}

func TestServicesThatCanNotBe(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	for name, o := range map[string]ServiceOptions{
		"no store":       {STS: v.options.STS},
		"no STS":         {Store: v.store},
		"nobody assumes": {Store: v.store, STS: v.options.STS, Integrations: map[string]*Configured{"a": {Integration: Integration{Key: "a"}}}},
		"another key":    {Store: v.store, STS: v.options.STS, Integrations: map[string]*Configured{"a": {Integration: Integration{Key: "b"}, Mode: v.integration.Mode}}},
		"a bad region":   {Store: v.store, STS: v.options.STS, Integrations: map[string]*Configured{"a": {Integration: Integration{Key: "a", Region: "x"}, Mode: v.integration.Mode}}},
	} {
		if s, err := NewService(o); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		}
	}
	// And what there is no integration for.
	if _, _, err := v.CreateSession(t.Context(), NewSession{Integration: "gone"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	if _, _, err := v.CreateReconnectSession(t.Context(), newUUID(), NewSession{Integration: "gone"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	token, _ := v.customer(forOrganization("o1"))
	delete(v.options.Integrations, "acme-s3")
	if _, err := v.Submit(t.Context(), token, role1, ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	if _, err := v.Page(t.Context(), token); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	if wrong := v.CheckInput(Session{Integration: "acme-s3"}, "x", "y"); wrong != nil {
		t.Errorf("%v", wrong)
	}
}

func TestWhoDidItIsInTheAudit(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	c := v.connect("o1", role1)
	v.mu.Lock()
	v.events = nil
	v.mu.Unlock()
	ctx := WithActor(t.Context(), "billing-backend")
	for range 2 { // The second changes nothing.
		if _, err := v.UpdateConnection(ctx, c.ID, func(c *Connection) error { c.Tags = map[string]string{"team": "x"}; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for _, paused := range []bool{true, false} {
		if _, err := v.UpdateConnection(ctx, c.ID, func(c *Connection) error { c.Paused = paused; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := v.UpdateConnection(ctx, c.ID, func(c *Connection) error { c.Account = "1"; return nil }); !errors.Is(err, ErrInvalid) {
		t.Errorf("%v", err)
	}
	if err := v.ReplaceExternalID(ctx, "acme-s3", Organization{ID: "o1"}, EndUser{}); err != nil {
		t.Fatal(err)
	}
	if err := v.DeleteConnection(ctx, c.ID); err != nil {
		t.Fatal(err)
	}
	if err := v.DeleteConnection(ctx, c.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	v.wantKinds(AuditConnectionChanged, AuditConnectionPaused, AuditConnectionResumed, AuditExternalIDReplaced, AuditConnectionDeleted)
	for _, e := range v.events {
		if e.Actor != "billing-backend" || e.Integration != "acme-s3" || e.Organization != "o1" || e.Time.IsZero() {
			t.Errorf("%+v", e)
		}
	}
	v.tellsNothing(nil, c.ExternalID)
}

func TestInputIsCheckedWithoutAWS(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	session := Session{Integration: "acme-s3"}
	const own = "arn:aws:iam::" + vendorAccount + ":role/Internal"
	if wrong := v.CheckInput(session, role1, ""); wrong != nil {
		t.Errorf("%v", wrong)
	}
	wrong := v.CheckInput(session, "arn:aws:iam::1:role/x", "moon-1")
	if len(wrong) != 2 || wrong[0].Code != CodeInvalidRoleARN || wrong[1].Code != CodeInvalidRegion {
		t.Errorf("%v", wrong)
	}
	if n := len(v.aws.Calls()); n != 0 {
		t.Errorf("%d calls", n)
	}
	// Once a page has asked who the vendor is, its account is told apart here, too.
	token, _ := v.customer(forOrganization("o1"))
	if _, err := v.Page(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if wrong := v.CheckInput(session, own, ""); len(wrong) != 1 || wrong[0].Code != CodeAccountNotAllowed || wrong[0].Field != FieldRoleARN {
		t.Errorf("%v", wrong)
	}
}
