package connect

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
)

// CreateSession is Store.CreateSession for an integration that is configured, or several.
func (s *Service) CreateSession(ctx context.Context, n NewSession) (token string, session Session, err error) {
	n.Choices = slices.Clone(n.Choices)
	for i := range n.Choices {
		c, err := s.integrationOf(n.Choices[i].Integration)
		if err != nil {
			return "", Session{}, err
		}
		n.Choices[i].Incarnation = c.incarnation()
	}
	if len(n.Choices) == 0 {
		c, err := s.integrationOf(n.Integration)
		if err != nil {
			return "", Session{}, err
		}
		n.incarnation = c.incarnation()
	}
	token, session, err = s.store.CreateSession(ctx, n)
	if err == nil {
		s.audit(ctx, session.event(AuditSessionCreated))
	}
	return token, session, err
}

// CreateReconnectSession is Store.CreateReconnectSession for an integration that is configured.
func (s *Service) CreateReconnectSession(ctx context.Context, connectionID string, n NewSession) (token string, session Session, err error) {
	c, err := s.integrationOf(n.Integration)
	if err != nil {
		return "", Session{}, err
	}
	n.incarnation = c.incarnation()
	token, session, err = s.store.CreateReconnectSession(ctx, connectionID, n)
	if err == nil {
		s.audit(ctx, session.event(AuditSessionCreated))
	}
	return token, session, err
}

// RevokeSession ends a session, and its verification if one runs here.
func (s *Service) RevokeSession(ctx context.Context, token string) error {
	session, sessionErr := s.store.Session(ctx, token)
	if err := s.store.RevokeSession(ctx, token); err != nil {
		return err
	}
	if sessionErr == nil && session.Succeeded == "" {
		s.audit(ctx, session.event(AuditSessionRevoked))
		s.mu.Lock()
		defer s.mu.Unlock()
		if r := s.runs[session.ID]; r != nil {
			r.cancel()
		}
	}
	return nil
}

// UpdateConnection is Store.UpdateConnection: it pauses or resumes a connection, or changes its tags and
// metadata.
func (s *Service) UpdateConnection(ctx context.Context, id string, change func(*Connection) error) (Connection, error) {
	var before Connection
	var changed bool
	after, err := s.store.UpdateConnection(ctx, id, func(c *Connection) error {
		before = *c
		was, err := json.Marshal(c) // Maps may be changed in place.
		if err != nil {
			return err
		}
		if err := change(c); err != nil {
			return err
		}
		is, err := json.Marshal(c)
		changed = !bytes.Equal(was, is)
		return err
	})
	if err != nil || !changed {
		return after, err
	}
	kind := AuditConnectionChanged
	if after.Paused != before.Paused {
		kind = AuditConnectionResumed
		if after.Paused {
			kind = AuditConnectionPaused
		}
	}
	s.audit(ctx, after.event(kind))
	return after, nil
}

// DeleteConnection is Store.DeleteConnection.
func (s *Service) DeleteConnection(ctx context.Context, id string) error {
	c, err := s.store.Connection(ctx, id)
	if err != nil {
		return err
	}
	if err := s.store.DeleteConnection(ctx, id); err != nil {
		return err
	}
	s.audit(ctx, c.event(AuditConnectionDeleted))
	return nil
}

// ReplaceExternalID is Store.ReplaceExternalID.
func (s *Service) ReplaceExternalID(ctx context.Context, integration string, o Organization, u EndUser) error {
	if err := s.store.ReplaceExternalID(ctx, integration, o, u); err != nil {
		return err
	}
	s.audit(ctx, AuditEvent{Kind: AuditExternalIDReplaced, Integration: integration, Organization: o.ID, EndUser: u.ID})
	return nil
}
