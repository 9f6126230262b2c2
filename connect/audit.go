package connect

import (
	"context"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// AuditEvent is something that happened to a session or a connection. It holds no secret: no token, no
// External ID, no credentials.
type AuditEvent struct {
	Time time.Time
	Kind AuditKind

	// Actor is who did it: see WithActor. Empty: the customer in a session, or the server itself.
	Actor string

	// Session is Session.ID; Connection, Integration, EndUser and Organization are IDs as well.
	// Each is empty if it has nothing to do with the event.
	Session, Connection, Integration, EndUser, Organization string

	// RoleARN, Region and Account are those of the role.
	RoleARN, Region, Account string

	// Code is why it failed; empty if it did not. AWSCode and RequestID are AWS's, Text says more to
	// the operator than customers are told.
	Code               Code
	AWSCode, RequestID string
	Text               string

	// Probe is whether the role asks for its External ID, ProbeReason how that is known.
	Probe       sts.Outcome
	ProbeReason string

	// Attempts counts calls of AssumeRole, Took is how long a verification took.
	Attempts int
	Took     time.Duration
}

// AuditKind is what happened.
type AuditKind string

// What happens to sessions and connections.
const (
	AuditSessionCreated        AuditKind = "session_created"
	AuditSessionRevoked        AuditKind = "session_revoked"
	AuditVerificationStarted   AuditKind = "verification_started"
	AuditVerificationSucceeded AuditKind = "verification_succeeded"
	AuditVerificationFailed    AuditKind = "verification_failed"
	AuditConnectionCreated     AuditKind = "connection_created"
	AuditConnectionRenewed     AuditKind = "connection_renewed"
	AuditConnectionChanged     AuditKind = "connection_changed"
	AuditConnectionPaused      AuditKind = "connection_paused"
	AuditConnectionResumed     AuditKind = "connection_resumed"
	AuditConnectionDeleted     AuditKind = "connection_deleted"
	AuditConnectionFailing     AuditKind = "connection_failing"   // its role can't be assumed any more
	AuditConnectionExhausted   AuditKind = "connection_exhausted" // nor for so long that it is not tried any more
	AuditConnectionRecovered   AuditKind = "connection_recovered" // it can be again
	AuditExternalIDReplaced    AuditKind = "external_id_replaced"
	AuditIntegrationCreated    AuditKind = "integration_created" // those of the configuration are not told of
	AuditIntegrationChanged    AuditKind = "integration_changed"
	AuditIntegrationDeleted    AuditKind = "integration_deleted"
)

type actorKey struct{}

// WithActor returns a context in which events have an actor: the name of the API key or of the
// operator who asks.
func WithActor(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, actorKey{}, name)
}

func actor(ctx context.Context) string {
	name, _ := ctx.Value(actorKey{}).(string)
	return name
}

func (s *Service) audit(ctx context.Context, e AuditEvent) {
	e.Time, e.Actor = s.now(), actor(ctx)
	s.options.Audit(e)
}

// eventOf is an event of a session.
func (session *Session) event(kind AuditKind) AuditEvent {
	return AuditEvent{
		Kind: kind, Session: session.ID, Connection: session.ConnectionID, Integration: session.Integration,
		EndUser: session.EndUser.ID, Organization: session.Organization.ID,
	}
}

// event is an event of a connection.
func (c *Connection) event(kind AuditKind) AuditEvent {
	return AuditEvent{
		Kind: kind, Connection: c.ID, Integration: c.Integration, EndUser: c.EndUser.ID, Organization: c.Organization.ID,
		RoleARN: c.RoleARN, Region: c.Region, Account: c.Account,
	}
}
