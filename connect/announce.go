package connect

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/dial"
)

// Change is something that happened to a connection, and is told from others of its kind.
type Change struct {
	// Kind is AuditConnectionCreated, Renewed, Deleted, Failing, Exhausted or Recovered.
	Kind AuditKind `json:"kind"`

	// ConnectionID is the connection's.
	ConnectionID string `json:"connection_id"`

	// At is when it happened, in UTC and milliseconds.
	At time.Time `json:"at"`

	// Since is when the connection was made, or for the last three kinds when it began to fail.
	Since time.Time `json:"since,omitzero"`
}

// Announcement is a change that others are to learn of.
type Announcement struct {
	Change

	// ID is the same whenever the same change is announced again, as after a crash: "msg_" and 32
	// hexadecimal digits.
	ID string

	// Connection is as it is after the change; one that was deleted or has recovered is as it was
	// before, but for LastError, which is how it failed.
	Connection Connection
}

// Announcer is told of changes.
type Announcer interface {
	// Announce is called before a change is stored, with the connection's lock held. What it keeps of
	// the change must not count before it calls Store.Happened or stored is called: the process may
	// die in between, or the storage may fail and the change never be made. With an error the change
	// is not made.
	Announce(ctx context.Context, a Announcement) (stored func(), err error)

	// CheckURL says whether a connection's own webhook URL may be called.
	CheckURL(text string) error
}

// SetAnnouncer has changes announced. It is called before the store is used.
func (s *Store) SetAnnouncer(a Announcer) { s.announcer = a }

// Records returns where the records are kept.
func (s *Store) Records() *store.Store { return s.records }

// announce tells of a change that is about to be stored.
func (s *Store) announce(ctx context.Context, kind AuditKind, c *Connection, at time.Time, parts ...string) (stored func(), err error) {
	if s.announcer == nil {
		return func() {}, nil
	}
	a := Announcement{Change: Change{Kind: kind, ConnectionID: c.ID, At: at, Since: c.Created}, Connection: *c}
	switch kind {
	case AuditConnectionFailing, AuditConnectionExhausted, AuditConnectionRecovered:
		a.Since = c.LastError.Since
	default:
	}
	hash := sha256.New()
	for _, p := range append([]string{string(kind), c.ID, a.Since.UTC().Format(time.RFC3339Nano)}, parts...) {
		fmt.Fprintf(hash, "%d %s", len(p), p)
	}
	a.ID = "msg_" + hex.EncodeToString(hash.Sum(nil)[:16])
	return s.announcer.Announce(ctx, a)
}

// announceFailing tells how a connection's failing has changed, if it has.
func (s *Store) announceFailing(ctx context.Context, before, after *Connection) (stored func(), err error) {
	at := after.Updated
	switch was, is := before.LastError, after.LastError; {
	case was == nil && is != nil:
		return s.announce(ctx, AuditConnectionFailing, after, at)
	case was != nil && is == nil:
		told := *after
		told.LastError = was
		return s.announce(ctx, AuditConnectionRecovered, &told, at)
	case was != nil && was.Exhausted.IsZero() && !is.Exhausted.IsZero():
		return s.announce(ctx, AuditConnectionExhausted, after, at)
	}
	return func() {}, nil
}

// Happened says whether a change was stored that was announced, and of which nobody knows any more. It
// must not be asked before the change's lock has been given up.
func (s *Store) Happened(ctx context.Context, change Change) (bool, error) {
	c, err := s.Connection(ctx, change.ConnectionID)
	exists := !errors.Is(err, ErrNotFound)
	if err != nil && exists {
		return false, err
	}
	same := c.LastError != nil && c.LastError.Since.Equal(change.Since)
	switch change.Kind {
	case AuditConnectionCreated:
		return exists && c.Created.Equal(change.Since), nil
	case AuditConnectionRenewed:
		return exists && !c.Verified.Before(change.At), nil
	case AuditConnectionDeleted:
		return !exists, nil
	case AuditConnectionFailing:
		return same, nil
	case AuditConnectionExhausted:
		return same && !c.LastError.Exhausted.IsZero(), nil
	case AuditConnectionRecovered:
		return exists && !same, nil
	default:
		return false, nil
	}
}

// CheckWebhookURL says whether a URL may be a connection's own webhook, as far as its text tells: https,
// or http on the loopback; without a user and a fragment. An empty one is none, and fine.
func CheckWebhookURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		return fmt.Errorf("the webhook's URL: %q is no URL: write one that begins with https:// and a host", clip.Text(text))
	case u.Scheme != "https" && (u.Scheme != "http" || !dial.IsLoopback(u.Hostname())):
		return errors.New("the webhook's URL is not https, which only loopback addresses may do without")
	case u.User != nil:
		return errors.New("the webhook's URL names a user: leave that out")
	case u.Fragment != "":
		return errors.New("the webhook's URL has a fragment: leave that out")
	case len(text) > 2048:
		return fmt.Errorf("the webhook's URL has %d characters: write at most 2048", len(text))
	}
	return nil
}

// checkWebhook says whether the announcer would call a connection's own webhook URL.
func (s *Store) checkWebhook(text string) error {
	if text == "" || s.announcer == nil {
		return nil
	}
	return invalid(s.announcer.CheckURL(text))
}
