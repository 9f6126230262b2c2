package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// Event is what a webhook tells of, as the operator chooses from.
type Event string

// The events.
const (
	EventCreation       Event = "creation"        // a connection was made
	EventOverride       Event = "override"        // it was renewed
	EventRefreshFailure Event = "refresh_failure" // its role can't be assumed any more, or is not tried any more
	EventRecovery       Event = "recovery"        // it can be again
	EventDeletion       Event = "deletion"        // the connection was deleted
)

// Events are all of them.
var Events = []Event{EventCreation, EventOverride, EventRefreshFailure, EventRecovery, EventDeletion}

// eventOf returns the event of a change, or "" if nobody is told of it.
func eventOf(kind connect.AuditKind) Event {
	switch kind {
	case connect.AuditConnectionCreated:
		return EventCreation
	case connect.AuditConnectionRenewed:
		return EventOverride
	case connect.AuditConnectionFailing, connect.AuditConnectionExhausted:
		return EventRefreshFailure
	case connect.AuditConnectionRecovered:
		return EventRecovery
	case connect.AuditConnectionDeleted:
		return EventDeletion
	default:
		return ""
	}
}

// body is what is sent: first the fields, in the order, that receivers of the widespread form of such webhooks
// know, then ours. Its keys never change their order.
type body struct {
	From              string            `json:"from"`
	Type              string            `json:"type"`
	ConnectionID      string            `json:"connectionId"`
	ProviderConfigKey string            `json:"providerConfigKey"`
	AuthMode          string            `json:"authMode"`
	Provider          string            `json:"provider"`
	Environment       string            `json:"environment"`
	Operation         string            `json:"operation"`
	Success           bool              `json:"success"`
	Error             *bodyError        `json:"error,omitempty"`
	Tags              map[string]string `json:"tags,omitempty"`
	EndUser           *bodyEndUser      `json:"endUser,omitempty"`

	Event         Event      `json:"event"`
	Time          time.Time  `json:"time"`
	Account       string     `json:"account"`
	RoleARN       string     `json:"roleArn"`
	Region        string     `json:"region"`
	FailingSince  *time.Time `json:"failingSince,omitempty"`
	Exhausted     bool       `json:"exhausted,omitempty"`
	ExternalProof string     `json:"externalIdProbe,omitempty"`
}

type bodyError struct {
	Type        string `json:"type"`
	Description string `json:"description"`
}

type bodyEndUser struct {
	EndUserID      string            `json:"endUserId"`
	EndUserEmail   string            `json:"endUserEmail,omitempty"`
	OrganizationID string            `json:"organizationId,omitempty"`
	Tags           map[string]string `json:"tags,omitempty"`
}

// newBody returns the body of an announcement. It holds no secret: no External ID, no credentials.
func newBody(event Event, a connect.Announcement) ([]byte, error) {
	c := &a.Connection
	b := body{
		From: "nango", Type: "auth", ConnectionID: c.ID, ProviderConfigKey: c.Integration, AuthMode: "AWS_SIGV4", Provider: "aws-sigv4",
		Environment: "prod", Operation: string(event), Success: true, Tags: c.Tags,
		Event: event, Time: a.At, Account: c.Account, RoleARN: c.RoleARN, Region: c.Region, ExternalProof: string(c.Probe),
	}
	if c.EndUser.ID != "" || c.Organization.ID != "" {
		b.EndUser = &bodyEndUser{EndUserID: c.EndUser.ID, EndUserEmail: c.EndUser.Email, OrganizationID: c.Organization.ID, Tags: c.EndUser.Tags}
	}
	switch event {
	case EventRefreshFailure:
		b.Operation, b.Success, b.Exhausted = "refresh", false, !c.LastError.Exhausted.IsZero()
		b.Error = &bodyError{string(c.LastError.Code), c.LastError.Text}
		b.FailingSince = &c.LastError.Since
	case EventRecovery:
		b.Operation, b.FailingSince = "refresh", &c.LastError.Since
	default:
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // As JSON.stringify writes it, for receivers that parse it before they verify it.
	if err := enc.Encode(b); err != nil {
		return nil, err
	}
	text := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	if len(text) > maxBody {
		return nil, fmt.Errorf("the body has %d bytes, of %d at most", len(text), maxBody)
	}
	return text, nil
}
