package connect

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
)

// customer is the record of whom an External ID is for: one integration's organization, else end
// user, else connection whose ID the vendor chose, else session. It names the External ID; whether that really belongs to the customer, the
// record of the External ID says.
type customer struct {
	Integration string `json:"integration"`
	Kind        string `json:"kind"` // organization, end_user, connection or session
	ID          string `json:"id"`
	ExternalID  string `json:"external_id"`
}

// externalID is the record of an External ID. There is one of each, so that it never has two owners.
type externalID struct {
	ExternalID string    `json:"external_id"`
	Owner      string    `json:"owner"`             // name of the customer's record
	Account    string    `json:"account,omitempty"` // the first verified AWS account
	Replaced   bool      `json:"replaced,omitempty"`
	Created    time.Time `json:"created"`
}

// owned says whether the External ID belongs to a customer, who is to be shown it.
func (e externalID) owned(by store.Key) bool { return e.Owner == by.Name() && !e.Replaced }

// newExternalID returns 160 random bits in hexadecimal.
// AWS wants an External ID to be made by the third party, unique and random:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_common-scenarios_third-party.html.
func newExternalID() string {
	b := make([]byte, 20)
	rand.Read(b) // Never fails, says its documentation.
	return hex.EncodeToString(b)
}

// customerOf returns whom a session's External ID belongs to.
func customerOf(s *Session) customer {
	switch {
	case s.Organization.ID != "":
		return customer{Integration: s.Integration, Kind: "organization", ID: s.Organization.ID}
	case s.EndUser.ID != "":
		return customer{Integration: s.Integration, Kind: "end_user", ID: s.EndUser.ID}
	case s.Chosen:
		return customer{Integration: s.Integration, Kind: "connection", ID: s.ConnectionID}
	default:
		return customer{Integration: s.Integration, Kind: "session", ID: s.ConnectionID}
	}
}

func (s *Store) customerKey(ctx context.Context, c customer) (store.Key, error) {
	return s.records.HashedKey(ctx, customerKind, c.Integration, c.Kind, c.ID)
}

func (s *Store) externalIDKey(ctx context.Context, id string) (store.Key, error) {
	return s.records.HashedKey(ctx, externalIDKind, id)
}

// ExternalIDFor returns the External ID to show in a session: that of the connection that it renews,
// else the customer's, which is the same in all sessions.
func (s *Store) ExternalIDFor(ctx context.Context, session Session) (string, error) {
	if session.Reconnect {
		c, err := s.Connection(ctx, session.ConnectionID)
		return c.ExternalID, err
	}
	return s.assign(ctx, customerOf(&session), session.Prefill.ExternalID.Text)
}

// assign returns the customer's External ID and makes it on first use: preset if that is given, else
// a random one. A preset that is somebody else's, or not the one that the customer has, is a conflict.
func (s *Store) assign(ctx context.Context, c customer, preset string) (string, error) {
	key, err := s.customerKey(ctx, c)
	if err != nil {
		return "", err
	}
	// Without the lock first, because nearly always there is nothing to write.
	have, err := s.current(ctx, key)
	if err == nil && have == "" {
		err = s.records.Update(ctx, key, func(r *store.Record) error {
			if have, err = s.current(r.Context(), key); err != nil || have != "" {
				return err
			}
			if have = preset; have == "" {
				have = newExternalID()
			}
			c.ExternalID = have
			return s.take(r, key, c)
		})
	}
	switch {
	case err != nil:
		return "", err
	case preset != "" && preset != have:
		return "", fail(ErrConflict, "this customer has another External ID already, which may stand in a trust policy: leave external_id out, or have the old one replaced first")
	}
	return have, nil
}

// current returns the customer's External ID, or "" if there is none yet.
func (s *Store) current(ctx context.Context, key store.Key) (string, error) {
	var c customer
	if err := s.records.Get(ctx, key, &c); err != nil {
		return "", ignoreNotFound(err)
	}
	e, err := s.externalID(ctx, c.ExternalID)
	if err != nil || !e.owned(key) {
		return "", ignoreNotFound(err)
	}
	return c.ExternalID, nil
}

// take makes an External ID the customer's, whose lock is held.
//
// The customer's record is written first. If the process dies before the second write, it names an
// External ID that is nobody's and was never shown, and the next call makes another: no reservation
// is left behind that would have to be found and removed.
func (s *Store) take(r *store.Record, key store.Key, c customer) error {
	idKey, err := s.externalIDKey(r.Context(), c.ExternalID)
	if err != nil {
		return err
	}
	return s.records.Update(r.Context(), idKey, func(e *store.Record) error {
		found, err := e.Get(&externalID{})
		switch {
		case err != nil:
			return err
		case found:
			return fail(ErrConflict, "this External ID belongs, or once belonged, to a customer: write one of its own for each, or leave external_id out")
		}
		if err := r.Put(c); err != nil {
			return err
		}
		return e.Put(externalID{ExternalID: c.ExternalID, Owner: key.Name(), Created: s.now()})
	})
}

func (s *Store) externalID(ctx context.Context, id string) (externalID, error) {
	key, err := s.externalIDKey(ctx, id)
	if err != nil {
		return externalID{}, err
	}
	var e externalID
	return e, s.records.Get(ctx, key, &e)
}

// BoundAccount returns the AWS account that an External ID is bound to, or "" if no role was verified
// with it yet.
func (s *Store) BoundAccount(ctx context.Context, externalID string) (string, error) {
	e, err := s.externalID(ctx, externalID)
	return e.Account, ignoreNotFound(err)
}

// ReplaceExternalID has a customer get a new External ID in the next session, which may then be bound
// to another AWS account. Connections keep the old one, and it never becomes anybody else's. The
// customer is the organization if it has an ID, else the end user.
func (s *Store) ReplaceExternalID(ctx context.Context, integration string, o Organization, u EndUser) error {
	if o.ID == "" && u.ID == "" {
		return fail(ErrInvalid, "whose External ID? Name an organization or an end user")
	}
	key, err := s.customerKey(ctx, customerOf(&Session{Integration: integration, Organization: o, EndUser: u}))
	if err != nil {
		return err
	}
	return s.records.Update(ctx, key, func(r *store.Record) error {
		id, err := s.current(r.Context(), key)
		if err != nil || id == "" {
			return err
		}
		return s.changeExternalID(r.Context(), id, func(e *externalID) error {
			e.Replaced = true
			return nil
		})
	})
}

// bind binds an External ID to the AWS account that a role was verified in, or sees that it is bound
// to it.
func (s *Store) bind(ctx context.Context, id, account string) error {
	return s.changeExternalID(ctx, id, func(e *externalID) error {
		if e.Account != "" && e.Account != account {
			return fail(ErrWrongAccount, "this External ID belongs to the AWS account "+e.Account+", and the role to "+account)
		}
		e.Account = account
		return nil
	})
}

func (s *Store) changeExternalID(ctx context.Context, id string, change func(*externalID) error) error {
	key, err := s.externalIDKey(ctx, id)
	if err != nil {
		return err
	}
	return s.records.Update(ctx, key, func(r *store.Record) error {
		var e externalID
		found, err := r.Get(&e)
		switch {
		case err != nil:
			return err
		case !found:
			return fail(ErrInvalid, "this External ID was not made here")
		}
		if err := change(&e); err != nil {
			return err
		}
		return r.Put(e)
	})
}

// forget removes what belongs to a session alone: its External ID, unless an account is bound to it,
// because then it stands in a trust policy and must never be anybody else's.
func (s *Store) forget(ctx context.Context, session *Session) error {
	if session.Reconnect || customerOf(session).Kind != "session" {
		return nil
	}
	for _, integration := range session.Integrations() {
		if err := s.forgetExternalID(ctx, customerOf(&Session{Integration: integration, ConnectionID: session.ConnectionID})); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) forgetExternalID(ctx context.Context, c customer) error {
	key, err := s.customerKey(ctx, c)
	if err != nil {
		return err
	}
	return s.records.Update(ctx, key, func(r *store.Record) error {
		if found, err := r.Get(&c); !found || err != nil {
			return err
		}
		idKey, err := s.externalIDKey(r.Context(), c.ExternalID)
		if err != nil {
			return err
		}
		err = s.records.Update(r.Context(), idKey, func(e *store.Record) error {
			var have externalID
			if found, err := e.Get(&have); !found || err != nil || have.Account != "" || have.Owner != key.Name() {
				return err
			}
			return e.Delete()
		})
		if err != nil {
			return err
		}
		return r.Delete()
	})
}

func ignoreNotFound(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
