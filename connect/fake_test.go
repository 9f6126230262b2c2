package connect

import (
	"encoding/base64"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/seal"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

const (
	role1 = "arn:aws:iam::111111111111:role/Customer"
	role2 = "arn:aws:iam::222222222222:role/Customer"
)

// fakeClock is a clock that tests set.
type fakeClock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *fakeClock {
	return &fakeClock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

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

// testRing returns a ring of made-up keys; the first byte of each is given.
func testRing(t testing.TB, keys ...byte) *seal.Ring {
	t.Helper()
	r, err := makeRing(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func makeRing(keys ...byte) (*seal.Ring, error) {
	var ring []seal.Key
	for _, from := range keys {
		b := make([]byte, 32)
		for i := range b {
			b[i] = from + byte(i)*7
		}
		k, err := seal.ParseKey(base64.StdEncoding.EncodeToString(b))
		if err != nil {
			return nil, err
		}
		ring = append(ring, k)
	}
	return seal.NewRing(ring[0], ring[1:]...)
}

func openStore(t testing.TB, storage certmagic.Storage, clock *fakeClock) *Store {
	t.Helper()
	s, err := Open(storage, testRing(t, 1), Options{
		Clock:   clock.now,
		Report:  func(err error) { t.Logf("reported: %v", err) },
		Storage: store.Options{LockWait: 30 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// forOrganization is a session of the integration acme-s3.
func forOrganization(id string) NewSession {
	return NewSession{Integration: "acme-s3", Organization: Organization{ID: id}}
}

func mustCreate(t testing.TB, s *Store, n NewSession) (string, Session) {
	t.Helper()
	token, session, err := s.CreateSession(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return token, session
}

func mustExternalID(t testing.TB, s *Store, session Session) string {
	t.Helper()
	id, err := s.ExternalIDFor(t.Context(), session)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// verified is a verification that went well.
func verified(externalID, role string) Verified {
	return Verified{RoleARN: role, ExternalID: externalID, Region: "eu-west-1", Account: role[13:25], Probe: sts.Proven}
}

// mustConnect goes from a new session to its connection.
func mustConnect(t testing.TB, s *Store, n NewSession, role string) Connection {
	t.Helper()
	token, session := mustCreate(t, s, n)
	c, created, err := s.FinishSession(t.Context(), token, verified(mustExternalID(t, s, session), role))
	if err != nil || !created {
		t.Fatalf("created %t, %v", created, err)
	}
	return c
}
