// Package webhook tells the vendor's servers what happens to connections, by POST of a signed JSON body to URLs.
//
// What is to be sent is kept in the storage, sealed, before the change that it tells of is, so that neither a
// crash nor a restart loses it; whether a change that nobody remembers was made is found out before it is told.
// It is sent at least once, with an ID that stays the same. Of several instances on one storage, one at a time
// has the lease of what is sent.
package webhook

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/dial"
)

// Endpoint is where events are sent.
type Endpoint struct {
	// URL is the operator's. Empty: the events and secrets are for the URLs that connections have of
	// their own.
	URL string

	// Secrets sign what is sent; the second, if there is one, beside the first, while receivers change over.
	Secrets []Secret

	// Events are those that are sent. Default: all.
	Events []Event
}

// sends says whether an event is to be sent there.
func (e *Endpoint) sends(event Event) bool {
	return len(e.Events) == 0 || slices.Contains(e.Events, event)
}

// Options are what a Sender is made of. All but the first three have defaults.
type Options struct {
	// Store keeps the connections, and what is to be sent.
	Store *connect.Store

	// Endpoints are where it is sent. The first one stands in for connections' own URLs if none is
	// for them. Without any, nothing is sent.
	Endpoints []Endpoint

	// Observe is told how each attempt went. It is called by several goroutines at once. Default:
	// nobody is told.
	Observe func(Delivery)

	// Report is told of what went wrong with the queue itself. Default: nobody is told.
	Report func(error)

	// Clock tells the time. Default: time.Now.
	Clock func() time.Time

	// TLS and Resolver are those of the connections to receivers. Defaults: the system's.
	TLS      *tls.Config
	Resolver *net.Resolver

	// Timeout bounds one attempt. Default: 20 seconds.
	Timeout time.Duration

	// Concurrency is how many attempts run at once, PerHost how many of them to one host. Defaults: 16
	// and 4.
	Concurrency, PerHost int

	// MaxQueue bounds what waits, MaxPerURL what waits for one URL; what comes then is dropped.
	// Defaults: 10,000 and 1,000.
	MaxQueue, MaxPerURL int

	// Poll is how often the storage is looked through for what other instances left. Default: a minute.
	Poll time.Duration
}

const (
	// maxBody bounds a body in bytes.
	maxBody = 256 << 10

	// leaseTime is how long an instance may be about something without a sign of life: longer than an
	// attempt, and than a record's lock is held.
	leaseTime = 90 * time.Second

	// maxAge is when something is given up for which there was no chance to try it.
	maxAge = 26 * time.Hour
)

func (o *Options) setDefaults() {
	if o.Observe == nil {
		o.Observe = func(Delivery) {}
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	for _, d := range []struct {
		field    *time.Duration
		standard time.Duration
	}{{&o.Timeout, 20 * time.Second}, {&o.Poll, time.Minute}} {
		if *d.field <= 0 {
			*d.field = d.standard
		}
	}
	for _, n := range []struct {
		field    *int
		standard int
	}{{&o.Concurrency, 16}, {&o.PerHost, 4}, {&o.MaxQueue, 10_000}, {&o.MaxPerURL, 1000}} {
		if *n.field <= 0 {
			*n.field = n.standard
		}
	}
	if o.TLS == nil {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
}

// Sender is a connect.Announcer that sends what it is told. It is safe for concurrent use.
type Sender struct {
	options Options
	records *store.Store
	policy  *dial.Policy
	client  *http.Client
	own     *Endpoint // for connections' own URLs; nil if there is no endpoint at all
	holder  string    // this instance, in leases

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	wake   chan struct{}

	mu       sync.Mutex
	closed   bool
	entries  map[store.Key]*entry
	perURL   map[string]int // entries
	busy     int            // attempts under way
	perHost  map[string]int // those by host
	circuits map[string]*circuit
}

var _ connect.Announcer = (*Sender)(nil)

// New returns a sender. It does no I/O until Start or Announce.
func New(o Options) (*Sender, error) {
	if o.Store == nil {
		return nil, errors.New("a store is needed")
	}
	o.setDefaults()
	s := &Sender{
		options: o, records: o.Store.Records(), policy: &dial.Policy{Resolver: o.Resolver}, wake: make(chan struct{}, 1),
		entries: make(map[store.Key]*entry), perURL: make(map[string]int), perHost: make(map[string]int), circuits: make(map[string]*circuit),
	}
	id := make([]byte, 12)
	rand.Read(id) // Never fails, says its documentation.
	s.holder = hex.EncodeToString(id)
	seen := make(map[string]bool)
	for i := range o.Endpoints {
		e := &o.Endpoints[i]
		if err := e.check(); err != nil {
			return nil, err
		}
		if seen[e.URL] {
			return nil, fmt.Errorf("webhook %s: it is there twice", e.URL)
		}
		seen[e.URL] = true
		if e.URL == "" {
			s.own = e
			continue
		}
		if u, err := url.Parse(e.URL); err == nil {
			s.policy.Operator = append(s.policy.Operator, u.Host)
		}
	}
	if s.own == nil && len(o.Endpoints) > 0 {
		s.own = &o.Endpoints[0]
	}
	s.client = &http.Client{
		Transport:     s.policy.NewTransport(o.TLS),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Start begins to send. It is called once at most.
func (s *Sender) Start() {
	s.spawn(s.pollForever)
	s.spawn(s.sendForever)
}

// Close gives up what is under way, for others or the next time, and waits until that is done.
func (s *Sender) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	s.client.CloseIdleConnections()
}

// spawn runs f in a goroutine that Close waits for, unless it is closed.
func (s *Sender) spawn(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.wg.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				s.options.Report(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		f()
	})
}

// QueueLength returns how much waits to be sent, as far as this instance knows.
func (s *Sender) QueueLength() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.entries)
}

// now returns the time as it is stored.
func (s *Sender) now() time.Time { return s.options.Clock().UTC().Truncate(time.Millisecond) }
