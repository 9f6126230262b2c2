package connect

import (
	"context"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// Verified is what a verification has shown: what a session becomes a connection with.
type Verified struct {
	// RoleARN is the role, ExternalID what it was assumed with, Region where it will be used.
	RoleARN, ExternalID, Region string

	// Account is the account that AWS says the role is in.
	Account string

	// Probe is whether the role asks for its External ID; empty if nobody looked.
	Probe sts.Outcome

	// Revision is that of the integration that it was verified for, if that was written at run time:
	// FinishSession ends with ErrIntegrationChanged if it has another one by then.
	Revision string
}

// FinishSession makes the session's connection, or renews it, and says which of the two. It can be
// done once: of two that try, the second gets ErrUsed. After ErrUnavailable it can be tried again, and
// never makes a second connection; ErrUsed then means that the first try went well after all, and
// Session names the connection.
//
// What was verified must be what the session is for (else ErrInvalid): its External ID, and the
// values that the vendor has fixed. The External ID is then bound to the account; if it already is to
// another, the error is ErrWrongAccount.
func (s *Store) FinishSession(ctx context.Context, token string, v Verified) (c Connection, created bool, err error) {
	_, err = s.changeSession(ctx, token, func(ctx context.Context, session *Session) error {
		if err := s.checkVerified(ctx, session, v); err != nil {
			return err
		}
		c, err = s.connect(ctx, session, v)
		session.Succeeded, created = c.ID, !session.Reconnect
		return err
	})
	if err != nil {
		return Connection{}, false, err
	}
	return c, created, nil
}

func (s *Store) checkVerified(ctx context.Context, session *Session, v Verified) error {
	role, err := sts.ParseRoleARN(v.RoleARN)
	if err == nil {
		err = sts.CheckPartitions(v.RoleARN, v.Region)
	}
	switch {
	case err != nil:
		return invalid(err)
	case role.Account != v.Account:
		return fail(ErrInvalid, "the role that was assumed is in another account than the one that was named")
	case session.Prefill.RoleARN.refuses(v.RoleARN):
		return fail(ErrInvalid, "this session is for the role "+session.Prefill.RoleARN.Text)
	case session.Prefill.Region.refuses(v.Region):
		return fail(ErrInvalid, "this session is for the region "+session.Prefill.Region.Text)
	}
	switch want, err := s.ExternalIDFor(ctx, *session); {
	case err != nil:
		return err
	case v.ExternalID != want:
		return fail(ErrInvalid, "the External ID of this session is another one: load the page again, and put what it shows into the trust policy")
	}
	return nil
}

// connect writes the account that the External ID is bound to, then the connection. The session that
// says so is written last, by the caller: if the process dies before, the session can be finished
// again, and overwrites the same connection.
func (s *Store) connect(ctx context.Context, session *Session, v Verified) (c Connection, err error) {
	key, err := connectionKey(session.ConnectionID)
	if err != nil {
		return Connection{}, err
	}
	stored := func() {}
	err = s.records.Update(ctx, key, func(r *store.Record) error {
		found, err := r.Get(&c)
		switch {
		case err != nil:
			return err
		case !found && session.Reconnect:
			return fail(ErrNotFound, "the connection was deleted")
		case found && !session.Reconnect && (c.Integration != session.Integration || c.ExternalID != v.ExternalID):
			return fail(ErrInvalid, "a connection of this ID was made meanwhile")
		}
		if err := s.bind(r.Context(), v.ExternalID, v.Account); err != nil {
			return err
		}
		now := s.now()
		if !found {
			c = Connection{ID: session.ConnectionID, Integration: session.Integration, Created: now}
		}
		c.RoleARN, c.ExternalID, c.Account, c.Region = v.RoleARN, v.ExternalID, v.Account, v.Region
		c.EndUser, c.Organization = session.EndUser, session.Organization
		if len(session.Tags) > 0 {
			c.Tags = session.Tags
		}
		if session.WebhookURL != "" {
			c.WebhookURL = session.WebhookURL
		}
		c.Updated, c.Verified, c.Probe, c.LastError = now, now, v.Probe, nil
		kind := AuditConnectionCreated
		if session.Reconnect {
			kind = AuditConnectionRenewed
		}
		if stored, err = s.announce(r.Context(), kind, &c, now, session.ID); err != nil {
			return err
		}
		return s.whileIntegration(r.Context(), session.Integration, v.Revision, func(context.Context) error { return r.Put(c) })
	})
	if err == nil {
		stored()
	}
	return c, err
}
