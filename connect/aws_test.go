package connect

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

const (
	brokerSecret  = "broker-secret-access-key-0123456789abcdef"
	vendorAccount = "111122223333" // of the broker, as ststest has it
	vendorARN     = "arn:aws:iam::111122223333:user/AKIABROKER"
)

// fakeRole is a customer's role in the fake AWS.
type fakeRole struct {
	externalID string // that it asks for
	open       string // "wrong" or "none": what it takes besides
	notBefore  int    // how many calls it refuses at first
	answer     ststest.Answer
	probed     ststest.Answer // to all but the right External ID, if it has a status
}

// fakeAWS is STS with customers' roles.
type fakeAWS struct {
	*ststest.Server
	mu       sync.Mutex
	roles    map[string]*fakeRole
	identity ststest.Answer // to GetCallerIdentity of others than the broker
	assumed  int
}

func newAWS(t testing.TB) *fakeAWS {
	a := &fakeAWS{Server: ststest.New(t, ststest.Key{ID: "AKIABROKER", Secret: brokerSecret}), roles: make(map[string]*fakeRole)}
	a.Answer(a.answer)
	return a
}

func (a *fakeAWS) role(arn string, r fakeRole) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.roles[arn] = &r
}

func (a *fakeAWS) change(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func denied(arn string) ststest.Answer {
	return ststest.Answer{
		Status: http.StatusForbidden, Code: "AccessDenied",
		Message: "User: " + vendorARN + " is not authorized to perform: sts:AssumeRole on resource: " + arn,
	}
}

func (a *fakeAWS) answer(c ststest.Call) ststest.Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.Form.Get("Action") == "GetCallerIdentity" {
		if c.Key.ID == "AKIABROKER" {
			return ststest.Answer{}
		}
		return a.identity
	}
	a.assumed++
	arn, id := c.Form.Get("RoleArn"), c.Form.Get("ExternalId")
	r := a.roles[arn]
	switch {
	case r == nil:
		return denied(arn)
	case r.notBefore > 0:
		r.notBefore--
		return denied(arn)
	case id == r.externalID:
		return r.answer
	case r.open == "wrong" && id != "", r.open == "none" && id == "":
		return ststest.Answer{}
	case r.probed.Status != 0:
		return r.probed
	}
	return denied(arn)
}

func (a *fakeAWS) calls() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.assumed
}

// vendor is a service with all that it stands on.
type vendor struct {
	*Service
	t           testing.TB
	aws         *fakeAWS
	clock       *fakeClock
	integration *Configured

	mu      sync.Mutex
	events  []AuditEvent
	reports []error
	seen    []Verification // each state that was waited through
	hold    bool           // pauses last until their context ends
	waiting int
}

type vendorOptions struct {
	storage     certmagic.Storage
	clock       *fakeClock
	aws         *fakeAWS
	integration func(*Integration)
	service     func(*ServiceOptions)
	mode        func(Mode) Mode
}

func newVendor(t testing.TB, o vendorOptions) *vendor {
	t.Helper()
	if o.storage == nil {
		o.storage = &storetest.Memory{}
	}
	if o.clock == nil {
		o.clock = newClock()
	}
	if o.aws == nil {
		o.aws = newAWS(t)
	}
	v := &vendor{t: t, aws: o.aws, clock: o.clock}
	cache := credentials.NewCache(credentials.Options{})
	t.Cleanup(cache.Close)
	client := sts.NewClient(sts.Config{AttemptTimeout: 2 * time.Second})
	mode, err := NewBrokerMode(BrokerOptions{
		Client: client, Cache: cache, Name: "broker", Clock: o.clock.now,
		STS: sts.Where{Region: "us-east-1", Endpoint: v.aws.URL},
		Broker: credentials.Identity{
			Key: "broker", Label: "broker", Local: true,
			Fetch: func(context.Context, *credentials.Credentials) (*credentials.Credentials, error) {
				return credentials.New(sigv4.Credentials{AccessKeyID: "AKIABROKER", SecretAccessKey: brokerSecret}, time.Time{}, time.Now()), nil
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	v.integration = &Configured{Integration: Integration{Key: "acme-s3", DisplayName: "Acme", Service: "s3", Region: "eu-west-1"}, Mode: mode}
	if o.mode != nil {
		v.integration.Mode = o.mode(mode)
	}
	if o.integration != nil {
		o.integration(&v.integration.Integration)
	}
	options := ServiceOptions{
		Store: openStore(t, o.storage, o.clock), Integrations: map[string]*Configured{"acme-s3": v.integration}, STS: client, Clock: o.clock.now,
		Audit: func(e AuditEvent) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.events = append(v.events, e)
		},
		Report: func(err error) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.reports = append(v.reports, err)
		},
	}
	if o.service != nil {
		o.service(&options)
	}
	storages.Store(options.Store, o.storage)
	if v.Service, err = NewService(options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	v.pause = func(ctx context.Context, d time.Duration) error {
		v.mu.Lock()
		hold := v.hold
		v.waiting++
		v.mu.Unlock()
		if hold {
			<-ctx.Done()
		}
		v.clock.pass(d)
		return ctx.Err()
	}
	return v
}

// customer makes a session, and returns its token and the External ID.
func (v *vendor) customer(n NewSession) (token, externalID string) {
	v.t.Helper()
	token, session, err := v.CreateSession(v.t.Context(), n)
	if err != nil {
		v.t.Fatal(err)
	}
	return token, mustExternalID(v.t, v.store, session)
}

// submit submits a role and waits for the end.
func (v *vendor) submit(token, role, region string) Verification {
	v.t.Helper()
	got, err := v.Submit(v.t.Context(), token, role, region)
	if err != nil {
		v.t.Fatal(err)
	}
	if got.State != StateRunning {
		return got
	}
	return v.wait(token)
}

// wait polls as a page does.
func (v *vendor) wait(token string) Verification {
	v.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		got, err := v.Verification(v.t.Context(), token)
		if err != nil {
			v.t.Fatal(err)
		}
		if got.State != StateRunning {
			return got
		}
		v.mu.Lock()
		v.seen = append(v.seen, got)
		v.mu.Unlock()
	}
	v.t.Fatal("the verification does not end")
	return Verification{}
}

func (v *vendor) kinds() []AuditKind {
	v.mu.Lock()
	defer v.mu.Unlock()
	var kinds []AuditKind
	for _, e := range v.events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func (v *vendor) wantKinds(want ...AuditKind) {
	v.t.Helper()
	if got := v.kinds(); !slices.Equal(got, want) {
		v.t.Errorf("audit %v, want %v", got, want)
	}
}

// connect makes a connection of a role that asks for its External ID.
func (v *vendor) connect(organization, role string) Connection {
	v.t.Helper()
	token, id := v.customer(forOrganization(organization))
	v.aws.role(role, fakeRole{externalID: id})
	got := v.submit(token, role, "")
	if got.State != StateSucceeded {
		v.t.Fatalf("%+v", got)
	}
	c, err := v.store.Connection(v.t.Context(), got.ConnectionID)
	if err != nil {
		v.t.Fatal(err)
	}
	return c
}

// tellsNothing fails if anything that the service said holds a secret.
func (v *vendor) tellsNothing(said []any, secrets ...string) {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, e := range v.events {
		said = append(said, e)
	}
	for _, err := range v.reports {
		said = append(said, err.Error())
	}
	secrets = append(secrets, brokerSecret, "issued-secret", "issued-token")
	for _, s := range said {
		text, err := json.Marshal(s)
		if err != nil {
			v.t.Fatal(err)
		}
		plain := fmt.Sprintf("%+v", s)
		for _, secret := range secrets {
			if strings.Contains(string(text), secret) || strings.Contains(plain, secret) || strings.Contains(plain, url.QueryEscape(secret)) {
				v.t.Errorf("%s tells the secret %s", text, secret)
			}
		}
	}
}

var storages sync.Map // by store

// storageOf is what a vendor's store lies on.
func storageOf(v *vendor) certmagic.Storage {
	s, _ := storages.Load(v.store)
	return s.(certmagic.Storage)
}

// equalVerification compares what is shown, but for the monotonic part of times.
func equalVerification(a, b Verification) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// until waits until something is so.
func until(t testing.TB, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to be so")
		}
	}
}
