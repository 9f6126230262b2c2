package connect

import (
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

func TestExternalIDsAreOnePerCustomer(t *testing.T) {
	clock := newClock()
	m := &storetest.Memory{}
	s := openStore(t, m, clock)
	ids := make(map[string]string) // by customer
	owners := make(map[string]string)
	for _, tt := range []struct {
		customer string
		n        NewSession
	}{
		{"o1", forOrganization("o1")},
		{"o1", NewSession{Integration: "acme-s3", Organization: Organization{ID: "o1"}, EndUser: EndUser{ID: "u1"}}},
		{"o1", NewSession{Integration: "acme-s3", Organization: Organization{ID: "o1"}, EndUser: EndUser{ID: "u2"}}},
		{"o2", NewSession{Integration: "acme-s3", Organization: Organization{ID: "o2"}, EndUser: EndUser{ID: "u1"}}},
		{"u1", NewSession{Integration: "acme-s3", EndUser: EndUser{ID: "u1"}}},
		{"u1", NewSession{Integration: "acme-s3", EndUser: EndUser{ID: "u1", Email: "new@example.com"}}},
		{"the end user o1", NewSession{Integration: "acme-s3", EndUser: EndUser{ID: "o1"}}},
		{"o1 elsewhere", NewSession{Integration: "acme-sqs", Organization: Organization{ID: "o1"}}},
		{"a session", NewSession{Integration: "acme-s3"}},
		{"another session", NewSession{Integration: "acme-s3"}},
	} {
		_, session := mustCreate(t, s, tt.n)
		id := mustExternalID(t, s, session)
		if err := sts.CheckExternalID(id); err != nil || !regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(id) {
			t.Errorf("%q, %v", id, err)
		}
		for range 2 { // Loads of the page, and another process.
			if again := mustExternalID(t, openStore(t, m, clock), session); again != id {
				t.Errorf("%s: %s and %s", tt.customer, id, again)
			}
		}
		if have, ok := ids[tt.customer]; ok && have != id {
			t.Errorf("%s has %s and %s", tt.customer, have, id)
		}
		if owner, ok := owners[id]; ok && owner != tt.customer {
			t.Errorf("%s and %s share one", tt.customer, owner)
		}
		ids[tt.customer], owners[id] = id, tt.customer
		clock.pass(24 * time.Hour)
	}
}

func TestExternalIDsThatTheVendorPresets(t *testing.T) {
	s := openStore(t, &storetest.Memory{}, newClock())
	preset := func(organization, id string) (Session, error) {
		n := forOrganization(organization)
		n.Prefill.ExternalID = Value{Text: id}
		_, session, err := s.CreateSession(t.Context(), n)
		return session, err
	}
	session, err := preset("o1", "acme:o1")
	if err != nil || mustExternalID(t, s, session) != "acme:o1" {
		t.Fatal(err)
	}
	if _, err := preset("o1", "acme:o1"); err != nil {
		t.Errorf("again: %v", err)
	}
	if _, session := mustCreate(t, s, forOrganization("o1")); mustExternalID(t, s, session) != "acme:o1" {
		t.Error("it is forgotten by the next session")
	}
	if _, err := preset("o2", "acme:o1"); !errors.Is(err, ErrConflict) {
		t.Errorf("another customer's: %v", err)
	}
	if _, err := preset("o1", "acme:other"); !errors.Is(err, ErrConflict) {
		t.Errorf("another one for the same customer: %v", err)
	}
	if session, err := preset("o2", "acme:o2"); err != nil || mustExternalID(t, s, session) != "acme:o2" {
		t.Errorf("after a conflict: %v", err)
	}
	_, made := mustCreate(t, s, forOrganization("o3"))
	if _, err := preset("o4", mustExternalID(t, s, made)); !errors.Is(err, ErrConflict) {
		t.Errorf("one that was made for another customer: %v", err)
	}
	if session, err := preset("o5", "ACME:o1"); err != nil || mustExternalID(t, s, session) != "ACME:o1" {
		t.Errorf("another case: %v", err)
	}
}

// TestConflictsLeaveNoSession: a session that could not be created is not stored.
func TestConflictsLeaveNoSession(t *testing.T) {
	m := &storetest.Memory{}
	s := openStore(t, m, newClock())
	n := forOrganization("o1")
	n.Prefill.ExternalID.Text = "acme:o1"
	mustCreate(t, s, n)
	before := len(m.Values())
	for _, other := range []NewSession{forOrganization("o2"), {Integration: "acme-s3"}} {
		other.Prefill.ExternalID.Text = "acme:o1"
		if _, _, err := s.CreateSession(t.Context(), other); !errors.Is(err, ErrConflict) {
			t.Fatal(err)
		}
	}
	if after := len(m.Values()); after != before {
		t.Errorf("%d records became %d", before, after)
	}
}

func TestExternalIDIsBoundToTheFirstVerifiedAccount(t *testing.T) {
	s := openStore(t, &storetest.Memory{}, newClock())
	token, session := mustCreate(t, s, forOrganization("o1"))
	id := mustExternalID(t, s, session)
	if account, err := s.BoundAccount(t.Context(), id); err != nil || account != "" {
		t.Fatalf("%q, %v", account, err)
	}
	if _, _, err := s.FinishSession(t.Context(), token, verified(id, role1)); err != nil {
		t.Fatal(err)
	}
	if account, err := s.BoundAccount(t.Context(), id); err != nil || account != "111111111111" {
		t.Errorf("%q, %v", account, err)
	}

	token, session = mustCreate(t, s, forOrganization("o1"))
	_, _, err := s.FinishSession(t.Context(), token, verified(id, role2))
	if !errors.Is(err, ErrWrongAccount) {
		t.Errorf("another account: %v", err)
	}
	if got, err := s.Session(t.Context(), token); err != nil || got.Succeeded != "" {
		t.Errorf("the session: %+v, %v", got, err)
	}
	if _, err := s.Connection(t.Context(), session.ConnectionID); !errors.Is(err, ErrNotFound) {
		t.Errorf("the connection: %v", err)
	}
	if _, _, err := s.FinishSession(t.Context(), token, verified(id, role1)); err != nil {
		t.Errorf("the right account afterwards: %v", err)
	}
}

func TestReplaceExternalID(t *testing.T) {
	s := openStore(t, &storetest.Memory{}, newClock())
	organization := Organization{ID: "o1"}
	if err := s.ReplaceExternalID(t.Context(), "acme-s3", organization, EndUser{}); err != nil {
		t.Errorf("before there is one: %v", err)
	}
	if err := s.ReplaceExternalID(t.Context(), "acme-s3", Organization{}, EndUser{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("nobody's: %v", err)
	}
	old := mustConnect(t, s, forOrganization("o1"), role1)
	open, session := mustCreate(t, s, forOrganization("o1"))
	if err := s.ReplaceExternalID(t.Context(), "acme-s3", organization, EndUser{}); err != nil {
		t.Fatal(err)
	}

	// What was shown before counts no more; what is shown now may be another account's.
	_, _, err := s.FinishSession(t.Context(), open, verified(old.ExternalID, role1))
	if !errors.Is(err, ErrInvalid) {
		t.Errorf("with the old one: %v", err)
	}
	id := mustExternalID(t, s, session)
	if id == old.ExternalID {
		t.Fatal("it was not replaced")
	}
	if _, _, err := s.FinishSession(t.Context(), open, verified(id, role2)); err != nil {
		t.Errorf("with the new one: %v", err)
	}

	// The old one stays with its connection, and is nobody else's.
	token, reconnect, err := s.CreateReconnectSession(t.Context(), old.ID, NewSession{Integration: "acme-s3"})
	if err != nil || mustExternalID(t, s, reconnect) != old.ExternalID {
		t.Fatalf("reconnecting: %v", err)
	}
	if _, _, err := s.FinishSession(t.Context(), token, verified(old.ExternalID, role1)); err != nil {
		t.Errorf("reconnecting: %v", err)
	}
	for _, o := range []string{"o1", "o2"} {
		n := forOrganization(o)
		n.Prefill.ExternalID.Text = old.ExternalID
		if _, _, err := s.CreateSession(t.Context(), n); !errors.Is(err, ErrConflict) {
			t.Errorf("%s takes it: %v", o, err)
		}
	}
}
