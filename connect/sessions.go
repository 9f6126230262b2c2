package connect

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
)

// graceAfterExpiry is how long a session is kept to be told apart from one that never was.
const graceAfterExpiry = time.Hour

// CreateSession makes a session for a new connection, and the customer's External ID if there is none
// yet. The token is returned here and never again. The error is ErrInvalid, or ErrConflict if the
// External ID of the prefill can't be this customer's.
func (s *Store) CreateSession(ctx context.Context, n NewSession) (token string, session Session, err error) {
	if err := n.check(); err != nil {
		return "", Session{}, err
	}
	return s.create(ctx, n, newUUID(), false)
}

// CreateReconnectSession makes a session that renews a connection of the integration: with its
// External ID, its account, and its region unless the vendor prefills another. The end user and the
// organization are the connection's; the vendor may name them again, but no others.
func (s *Store) CreateReconnectSession(ctx context.Context, connectionID string, n NewSession) (token string, session Session, err error) {
	c, err := s.Connection(ctx, connectionID)
	if err == nil && c.Integration != n.Integration {
		err = fail(ErrNotFound, "the integration has no such connection")
	}
	if err != nil {
		return "", Session{}, err
	}
	switch {
	case n.EndUser.ID != "" && n.EndUser.ID != c.EndUser.ID, n.Organization.ID != "" && n.Organization.ID != c.Organization.ID:
		return "", Session{}, fail(ErrInvalid, "the connection belongs to another customer: leave end_user and organization out, or make a new connection")
	case n.Prefill.ExternalID.Text != "" && n.Prefill.ExternalID.Text != c.ExternalID:
		return "", Session{}, fail(ErrConflict, "the connection keeps its External ID: leave external_id out")
	}
	if n.EndUser.ID == "" {
		n.EndUser = c.EndUser
	}
	if n.Organization.ID == "" {
		n.Organization = c.Organization
	}
	if n.Prefill.RoleARN.Text == "" {
		n.Prefill.RoleARN = Value{Text: c.RoleARN}
	}
	if n.Prefill.Region.Text == "" {
		n.Prefill.Region = Value{Text: c.Region, Fixed: true}
	}
	n.Prefill.ExternalID = Value{Text: c.ExternalID, Fixed: true}
	if err := n.check(); err != nil {
		return "", Session{}, err
	}
	return s.create(ctx, n, c.ID, true)
}

// create stores the session first, so that Sweep finds whatever else was made for it.
func (s *Store) create(ctx context.Context, n NewSession, connectionID string, reconnect bool) (string, Session, error) {
	if err := s.checkWebhook(n.WebhookURL); err != nil {
		return "", Session{}, err
	}
	token, now := newToken(), s.now()
	session := Session{
		Integration:  n.Integration,
		Choices:      n.Choices,
		Incarnation:  n.incarnation,
		EndUser:      n.EndUser,
		Organization: n.Organization,
		ConnectionID: connectionID,
		Reconnect:    reconnect,
		Prefill:      n.Prefill,
		ReturnURLs:   n.ReturnURLs,
		Tags:         n.Tags,
		WebhookURL:   n.WebhookURL,
		Guide:        n.Guide,
		Created:      now,
		Expires:      now.Add(s.options.SessionLife),
		Limit:        now.Add(s.options.SessionLimit),
	}
	key, err := s.sessionKey(ctx, token)
	if err != nil {
		return "", Session{}, err
	}
	session.ID = sessionID(key)
	err = s.records.Update(ctx, key, func(r *store.Record) error { return r.Put(session) })
	if err != nil {
		return "", Session{}, err
	}
	if err := s.presetExternalIDs(ctx, session); err != nil {
		if cleanErr := s.drop(ctx, key, func(*Session) bool { return true }); cleanErr != nil {
			s.options.Report(cleanErr) // It will expire.
		}
		return "", Session{}, err
	}
	return token, session, nil
}

// Session returns the session of a token. One that has made its connection is returned without an
// error until it expires, so that its page can say so. With ErrExpired and ErrRevoked the session is
// returned, too, so that the browser can be sent back.
func (s *Store) Session(ctx context.Context, token string) (Session, error) {
	key, err := s.sessionKey(ctx, token)
	if err != nil {
		return Session{}, err
	}
	var session Session
	if err := s.records.Get(ctx, key, &session); err != nil {
		return Session{}, err
	}
	session.ID = sessionID(key)
	err = session.err(s.now())
	if errors.Is(err, ErrUsed) {
		err = nil
		if !s.now().Before(session.Expires) {
			err = fail(ErrExpired, "the session has expired")
		}
	}
	return session, err
}

// RenewSession moves a session's end to a full life from now, but not beyond its limit.
func (s *Store) RenewSession(ctx context.Context, token string) (Session, error) {
	return s.changeSession(ctx, token, func(_ context.Context, session *Session) error {
		expires := s.now().Add(s.options.SessionLife)
		if expires.After(session.Limit) {
			expires = session.Limit
		}
		// A page that asks every few seconds need not be a write each time.
		if expires.Sub(session.Expires) >= s.options.SessionLife/10 || expires.Equal(session.Limit) {
			session.Expires = expires
		}
		return nil
	})
}

// RememberTyped keeps what the customer typed, for when they come back.
func (s *Store) RememberTyped(ctx context.Context, token string, typed Typed) (Session, error) {
	if err := typed.check(); err != nil {
		return Session{}, invalid(err)
	}
	return s.changeSession(ctx, token, func(_ context.Context, session *Session) error {
		session.Typed = typed
		return nil
	})
}

// RevokeSession ends a session. One that has ended before stays as it is.
func (s *Store) RevokeSession(ctx context.Context, token string) error {
	_, err := s.changeSession(ctx, token, func(_ context.Context, session *Session) error {
		session.Revoked = s.now()
		return nil
	})
	if errors.Is(err, ErrExpired) || errors.Is(err, ErrRevoked) || errors.Is(err, ErrUsed) {
		return nil
	}
	return err
}

// changeSession changes a session that is still to be used.
func (s *Store) changeSession(ctx context.Context, token string, change func(context.Context, *Session) error) (Session, error) {
	key, err := s.sessionKey(ctx, token)
	if err != nil {
		return Session{}, err
	}
	var session Session
	err = s.records.Update(ctx, key, func(r *store.Record) error {
		found, err := r.Get(&session)
		switch {
		case err != nil:
			return err
		case !found:
			return fail(ErrNotFound, "there is no such session")
		}
		session.ID = sessionID(key)
		if err := session.err(s.now()); err != nil {
			return err
		}
		if err := change(r.Context(), &session); err != nil {
			return err
		}
		return r.Put(session)
	})
	return session, err
}

// sessionKey returns where the session of a token is stored: under a hash, so that neither the storage
// nor the time that a look-up takes says anything about tokens that exist.
func (s *Store) sessionKey(ctx context.Context, token string) (store.Key, error) {
	if !IsToken(token) {
		return store.Key{}, fail(ErrNotFound, "this is no token of a session")
	}
	return s.records.HashedKey(ctx, sessionKind, token)
}

func sessionID(k store.Key) string { return k.Name()[:16] }

// Sweep removes what expired sessions have left. It looks at up to limit sessions, going on where it
// stopped before, and returns how many it removed.
func (s *Store) Sweep(ctx context.Context, limit int) (removed int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, err := s.records.Keys(ctx, sessionKind, s.swept, limit)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, k := range keys {
		s.swept = k.Name()
		var session Session
		err := s.records.Get(ctx, k, &session)
		if err == nil && s.over(&session) {
			if err = s.drop(ctx, k, s.over); err == nil {
				removed++
			}
		}
		if err := ignoreNotFound(err); err != nil {
			errs = append(errs, err)
		}
	}
	if len(keys) < limit {
		s.swept = ""
	}
	return removed, errors.Join(errs...)
}

func (s *Store) over(session *Session) bool {
	return s.now().After(session.Expires.Add(graceAfterExpiry))
}

// drop removes a session, if it still should be, and last of all its own record.
func (s *Store) drop(ctx context.Context, k store.Key, should func(*Session) bool) error {
	return s.records.Update(ctx, k, func(r *store.Record) error {
		var session Session
		if found, err := r.Get(&session); !found || err != nil || !should(&session) {
			return err
		}
		if err := s.forget(r.Context(), &session); err != nil {
			return err
		}
		return r.Delete()
	})
}
