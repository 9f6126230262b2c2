package connect

import (
	"context"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/changelog"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/seal"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
)

// The kinds of records, in the order in which their locks are taken: who holds one of a kind may take
// one of a later kind, never of an earlier one.
const (
	sessionKind    = "sessions"    // Session, by hash of its token
	connectionKind = "connections" // Connection, by its ID
	customerKind   = "customers"   // customer, by hash of who it is
	externalIDKind = "externalids" // externalID, by hash of the External ID

	// integrationKind is the one record of all integrations that were written at run time.
	integrationKind = "integrations"

	// WebhookKind is what waits to be sent, of which package webhook knows more.
	WebhookKind = "webhooks"

	// The last locks are those of package changelog.
)

// Store keeps sessions, External IDs and connections, sealed, in Caddy's storage. It is safe for
// concurrent use, also by several processes on one storage.
//
// Each operation that writes several records writes them in such an order that what a crash leaves
// behind is either used when the operation is tried again or removed by Sweep. An operation that
// returned without an error has been stored.
type Store struct {
	records   *store.Store
	options   Options
	announcer Announcer // nil: nobody is told

	changes    *changelog.Log // of connections
	replicasMu sync.RWMutex
	replicas   []*replica

	mu      sync.Mutex
	swept   string // the name of the session that Sweep looked at last
	resealK int    // the kind, and the name, that Reseal will go on from
	resealN string
}

// Options are what a Store may be told. The zero value has the defaults.
type Options struct {
	// Clock tells the time. Default: time.Now.
	Clock func() time.Time

	// SessionLife is how long a session lasts, from its creation and from each renewal. Default: 30
	// minutes.
	SessionLife time.Duration

	// SessionLimit is how long a session may last however often it is renewed. Default: 8 hours.
	SessionLimit time.Duration

	// Report is told of what went wrong without the operation having failed. Default: nobody is told.
	Report func(error)

	// Storage are the options of the records' store.
	Storage store.Options
}

// Open returns a store. It does not touch the storage yet.
func Open(storage certmagic.Storage, ring *seal.Ring, o Options) (*Store, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.SessionLife == 0 {
		o.SessionLife = 30 * time.Minute
	}
	if o.SessionLimit == 0 {
		o.SessionLimit = 8 * time.Hour
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	if o.Storage.Report == nil {
		o.Storage.Report = o.Report
	}
	records, err := store.New(storage, ring, o.Storage)
	if err != nil {
		return nil, err
	}
	s := &Store{records: records, options: o, changes: changelog.NewLog(records, changelog.Options{})}
	records.Watch(connectionKind, watch{s})
	return s, nil
}

// now returns the time as it is stored.
func (s *Store) now() time.Time { return s.options.Clock().UTC().Truncate(time.Millisecond) }

// Reseal seals anew up to limit records, going on where it stopped before, those that are sealed with
// another key than the ring's first. It returns how many it sealed, and whether it has come to the end.
// When it came there from the beginning without an error, the old keys are needed no more.
func (s *Store) Reseal(ctx context.Context, limit int) (sealed int, done bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kinds := []string{sessionKind, connectionKind, customerKind, externalIDKind, integrationKind, WebhookKind, changelog.MembersKind}
	if s.resealK == 0 && s.resealN == "" {
		if err := s.records.ResealIndex(ctx); err != nil {
			return 0, false, err
		}
	}
	next, sealed, err := s.records.Reseal(ctx, kinds[s.resealK], s.resealN, limit)
	if s.resealN = next; next == "" {
		s.resealK = (s.resealK + 1) % len(kinds)
		done = s.resealK == 0
	}
	return sealed, done, err
}
