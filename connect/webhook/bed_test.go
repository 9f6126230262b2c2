package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/seal"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

const (
	roleARN    = "arn:aws:iam::111111111111:role/Customer"
	testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8G"
	oldSecret  = "an-old-secret-of-no-form"
)

// fakeClock is a clock that tests set.
type fakeClock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *fakeClock { return &fakeClock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *fakeClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *fakeClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// received is a request that a receiver got.
type received struct {
	path   string
	header http.Header
	body   []byte
}

// receiver answers as it is told, and remembers.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []received
	answer func(w http.ResponseWriter, r *http.Request)
}

func newReceiver(t testing.TB) *receiver {
	r := new(receiver)
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.got = append(r.got, received{req.URL.RequestURI(), req.Header.Clone(), body})
		answer := r.answer
		r.mu.Unlock()
		if answer != nil {
			answer(w, req)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answers(f func(w http.ResponseWriter, r *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// take returns what came since, and forgets it.
func (r *receiver) take() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

func (r *receiver) trust() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(r.Certificate())
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// bed is a sender with all that it stands on. It is not started: tests have it go on with run.
type bed struct {
	*Sender
	t     testing.TB
	clock *fakeClock
	store *connect.Store

	mu         sync.Mutex
	deliveries []Delivery
	reports    []error
}

func openStore(t testing.TB, storage certmagic.Storage, clock *fakeClock) *connect.Store {
	t.Helper()
	var random [32]byte
	for i := range random {
		random[i] = byte(i * 7)
	}
	key, err := seal.ParseKey(base64.StdEncoding.EncodeToString(random[:]))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.NewRing(key)
	if err != nil {
		t.Fatal(err)
	}
	s, err := connect.Open(storage, ring, connect.Options{Clock: clock.now, Storage: store.Options{LockWait: 500 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newBed(t testing.TB, storage certmagic.Storage, clock *fakeClock, change func(*Options), endpoints ...Endpoint) *bed {
	t.Helper()
	b := &bed{t: t, clock: clock, store: openStore(t, storage, clock)}
	o := Options{
		Store: b.store, Endpoints: endpoints, Clock: clock.now,
		Observe: func(d Delivery) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.deliveries = append(b.deliveries, d)
		},
		Report: func(err error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.reports = append(b.reports, err)
		},
	}
	if change != nil {
		change(&o)
	}
	var err error
	if b.Sender, err = New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	b.store.SetAnnouncer(b.Sender)
	return b
}

// newSimpleBed is a bed with one receiver and one endpoint.
func newSimpleBed(t testing.TB, change func(*Options)) (*bed, *receiver) {
	t.Helper()
	r := newReceiver(t)
	return newBed(t, &storetest.Memory{}, newClock(), trusting(r, change), Endpoint{URL: r.URL + "/hook?key=url-secret", Secrets: secrets(t, testSecret)}), r
}

func trusting(r *receiver, change func(*Options)) func(*Options) {
	return func(o *Options) {
		o.TLS = r.trust()
		if change != nil {
			change(o)
		}
	}
}

func secrets(t testing.TB, texts ...string) (all []Secret) {
	t.Helper()
	for _, text := range texts {
		s, err := ParseSecret(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// run does what is due, until nothing is.
func (b *bed) run() {
	b.t.Helper()
	for range 1000 {
		again := b.dispatch()
		b.wg.Wait()
		if again.After(b.clock.now()) && !b.anyDue() {
			return
		}
	}
	b.t.Fatal("it never comes to rest")
}

// anyDue says whether something would be begun now.
func (b *bed) anyDue() bool {
	b.Sender.mu.Lock()
	defer b.Sender.mu.Unlock()
	for _, e := range b.entries {
		if admitted, _ := b.circuits[e.url].admits(b.clock.now()); !e.next.After(b.clock.now()) && (admitted || e.done || b.clock.now().Sub(e.created) > maxAge) {
			return true
		}
	}
	return false
}

func (b *bed) session(organization string) connect.NewSession {
	return connect.NewSession{
		Integration: "acme-s3", Organization: connect.Organization{ID: organization},
		EndUser: connect.EndUser{ID: "u-7", Email: "ann@globex.example", Tags: map[string]string{"plan": "pro"}},
		Tags:    map[string]string{"team": "search", "area": "<eu> & us"},
	}
}

// finish makes the connection of a session.
func (b *bed) finish(token string, session connect.Session) (connect.Connection, error) {
	id, err := b.store.ExternalIDFor(b.t.Context(), session)
	if err != nil {
		return connect.Connection{}, err
	}
	c, _, err := b.store.FinishSession(b.t.Context(), token, connect.Verified{
		RoleARN: roleARN, ExternalID: id, Region: "eu-west-1", Account: "111111111111", Probe: sts.Proven,
	})
	return c, err
}

// connect makes a connection.
func (b *bed) connect(organization string) connect.Connection {
	b.t.Helper()
	return b.connectWith(b.session(organization))
}

func (b *bed) connectWith(n connect.NewSession) connect.Connection {
	b.t.Helper()
	token, session, err := b.store.CreateSession(b.t.Context(), n)
	if err != nil {
		b.t.Fatal(err)
	}
	c, err := b.finish(token, session)
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func (b *bed) update(c connect.Connection, change func(*connect.Connection)) {
	b.t.Helper()
	_, err := b.store.UpdateConnection(b.t.Context(), c.ID, func(c *connect.Connection) error { change(c); return nil })
	if err != nil {
		b.t.Fatal(err)
	}
}

// outcomes are those so far, as one word each and the reason.
func (b *bed) outcomes() (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.deliveries {
		text := fmt.Sprint(d.Event, " ", d.Outcome)
		if d.Reason != "" {
			text += ": " + d.Reason
		}
		all = append(all, text)
	}
	return all
}
