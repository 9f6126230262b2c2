package connect

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
)

// OpenSession returns the session by which a connection is made, or renewed, whose ID the vendor has chosen: a
// random UUID of version 4 in lower case, as those are that are made here. Whoever calls this has proof that
// the vendor did, and wants this connection made.
//
// There is one such session for each connection at a time, so that attempts are counted whoever comes back. Its
// token is made of the secret, which is the vendor's and never shown. The External ID belongs to the ID of the
// connection, and stays. ErrConflict says that the connection belongs to another integration.
func (s *Service) OpenSession(ctx context.Context, secret []byte, integration, connectionID string) (token string, session Session, err error) {
	c, err := s.integrationOf(integration)
	if err != nil {
		return "", Session{}, err
	}
	if !uuid.MatchString(connectionID) {
		return "", Session{}, fail(ErrInvalid, "the ID of a connection is a random UUID of version 4, in lower case, such as 6f1c0d5e-8a4b-4c3d-9e2f-0a1b2c3d4e5f")
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("aws_connect session\x00" + integration + "\x00" + connectionID))
	token = tokenPrefix + hex.EncodeToString(mac.Sum(nil))
	session, made, err := s.store.openSession(ctx, token, Session{Integration: integration, Incarnation: c.incarnation(), ConnectionID: connectionID, Chosen: true})
	if err != nil {
		return "", Session{}, err
	}
	if made {
		s.audit(ctx, session.event(AuditSessionCreated))
	}
	return token, session, nil
}

// openSession returns the session of a token, or makes another if it is over. Those that follow one another
// share the attempts.
func (s *Store) openSession(ctx context.Context, token string, wanted Session) (session Session, made bool, err error) {
	c, err := s.Connection(ctx, wanted.ConnectionID)
	switch wanted.Reconnect = err == nil; {
	case err != nil && !errors.Is(err, ErrNotFound):
		return Session{}, false, err
	case wanted.Reconnect && c.Integration != wanted.Integration:
		return Session{}, false, fail(ErrConflict, "the connection belongs to another integration: choose another ID")
	}
	key, err := s.sessionKey(ctx, token)
	if err != nil {
		return Session{}, false, err
	}
	now := s.now()
	err = s.records.Update(ctx, key, func(r *store.Record) error {
		var have Session
		found, err := r.Get(&have)
		if err != nil {
			return err
		}
		made = !found || have.err(now) != nil || have.Reconnect != wanted.Reconnect || have.Incarnation != wanted.Incarnation
		if !made {
			session = have
			return nil
		}
		session = wanted
		session.Attempts.Recent = have.Attempts.Recent
		session.Created, session.Expires, session.Limit = now, now.Add(s.options.SessionLife), now.Add(s.options.SessionLimit)
		if session.Reconnect {
			session.EndUser, session.Organization = c.EndUser, c.Organization
			session.Prefill = Prefill{ExternalID: Value{Text: c.ExternalID, Fixed: true}, Region: Value{Text: c.Region, Fixed: true}}
		}
		return r.Put(session)
	})
	if err != nil {
		return Session{}, false, err
	}
	session.ID = sessionID(key)
	_, err = s.ExternalIDFor(ctx, session)
	return session, made, err
}
