package connect

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/dial"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// ServiceOptions are what a Service is made of. All but the first three have defaults.
type ServiceOptions struct {
	// Store keeps sessions and connections.
	Store *Store

	// Integrations are by their key.
	Integrations map[string]*Configured

	// Runtime permits integrations to be written at run time. Default: none may be, and those that
	// were count for nothing.
	Runtime *Runtime

	// STS asks who the bearer of credentials is.
	STS *sts.Client

	// HTTPClient fetches templates and makes test calls. It must connect to no address that the
	// operator did not mean; redirects are not followed in any case. Default: one that connects to
	// public addresses, and to the hosts that the integrations name, wherever these are.
	HTTPClient *http.Client

	// Audit is told what happened to sessions and connections. It is called by several goroutines
	// at once. Default: nobody is told.
	Audit func(AuditEvent)

	// Report is told of what went wrong where nobody asked for anything. Default: nobody is told.
	Report func(error)

	// Clock tells the time. Default: time.Now.
	Clock func() time.Time

	// PropagationWait is how long a role that refuses is asked again, because IAM takes a while
	// until a new role or trust policy counts everywhere. Default: 60 seconds; negative: not at
	// all.
	PropagationWait time.Duration

	// MaxVerifications is how many run at a time; who comes then is told to wait. MaxCalls is how
	// many of them ask AWS at a time; the others wait for each other. Defaults: 256 and 16.
	MaxVerifications int
	MaxCalls         int

	// RecheckEvery is how often each connection's role is assumed to see whether it still can be;
	// after a failure, RecheckFailed. Defaults: 24 hours and 1 hour; a negative RecheckEvery: never.
	RecheckEvery  time.Duration
	RecheckFailed time.Duration

	// ExhaustedAfter is on how many days a role must have failed, with no success in between, until it is
	// exhausted: no longer tried by calls, and rechecked after RecheckExhausted only. Defaults: 4, and
	// 7 days; a negative ExhaustedAfter: never.
	ExhaustedAfter   int
	RecheckExhausted time.Duration

	// RecheckPause is how long to wait after each of these. Default: 200 milliseconds.
	RecheckPause time.Duration

	// PollEvery is how often it is looked whether other instances have changed connections. MaxStale is
	// how long connections that are known are served while the storage does not answer. Defaults: 2
	// seconds and 15 minutes.
	PollEvery, MaxStale time.Duration

	// TemplateLife is how long a template is taken for what its URL gave. Default: 5 minutes.
	TemplateLife time.Duration
}

func (o *ServiceOptions) setDefaults() {
	if o.Audit == nil {
		o.Audit = func(AuditEvent) {}
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
	}{
		{&o.PropagationWait, time.Minute},
		{&o.RecheckEvery, 24 * time.Hour},
		{&o.RecheckFailed, time.Hour},
		{&o.RecheckExhausted, 7 * 24 * time.Hour},
		{&o.RecheckPause, 200 * time.Millisecond},
		{&o.TemplateLife, 5 * time.Minute},
		{&o.PollEvery, pollEvery},
		{&o.MaxStale, 15 * time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.standard
		}
	}
	if o.ExhaustedAfter == 0 {
		o.ExhaustedAfter = 4
	}
	if o.MaxVerifications <= 0 {
		o.MaxVerifications = 256
	}
	if o.MaxCalls <= 0 {
		o.MaxCalls = 16
	}
	if o.HTTPClient == nil {
		o.HTTPClient = defaultClient(o.Integrations, o.Runtime)
	}
}

// defaultClient connects to what dialPolicy lets it.
func defaultClient(integrations map[string]*Configured, runtime *Runtime) *http.Client {
	return &http.Client{Transport: dialPolicy(integrations, runtime).NewTransport(&tls.Config{MinVersion: tls.VersionTLS12})}
}

// dialPolicy allows the hosts of the integrations' URLs, which the operator wrote, and else public
// addresses only.
func dialPolicy(integrations map[string]*Configured, runtime *Runtime) *dial.Policy {
	var hosts []string
	if runtime != nil {
		hosts = slices.Clone(runtime.Hosts)
	}
	add := func(text string) {
		if u, err := url.Parse(text); err == nil && u.Host != "" {
			hosts = append(hosts, u.Host)
		}
	}
	for _, c := range integrations {
		for _, t := range c.Templates {
			add(t.URL)
		}
		if c.TestCall != nil {
			add(c.TestCall.URL) // One with a placeholder in its host is no URL, and public.
		}
	}
	return &dial.Policy{Operator: hosts, AWS: func(host string) bool {
		_, err := endpoint.Parse(host)
		return err == nil
	}}
}

// Service is what Connect does beyond keeping records: it verifies roles and makes connections of
// them, looks whether the roles can still be assumed, and reads templates. It is safe for concurrent
// use.
type Service struct {
	options   ServiceOptions
	store     *Store
	templates *templates
	replica   *replica

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// pause waits between two attempts. Tests replace it.
	pause func(context.Context, time.Duration) error

	calls chan struct{} // one for each verification that asks AWS

	mu         sync.Mutex
	closed     bool
	runs       map[string]*run // by session, or by connection for those that the vendor asked for
	principals map[string]Principal

	written written

	learnt      map[string]time.Time // when what calls learnt of a connection was last kept, by ID
	learntLimit int                  // when it is time to forget some
}

// NewService returns a service. It does no I/O until Start, or until it is asked for something.
func NewService(o ServiceOptions) (*Service, error) {
	if o.Store == nil || o.STS == nil {
		return nil, errors.New("a store and a client of STS are needed")
	}
	o.Integrations = maps.Clone(o.Integrations)
	for _, key := range slices.Sorted(maps.Keys(o.Integrations)) {
		c := o.Integrations[key]
		switch {
		case c == nil || c.Mode == nil:
			return nil, fmt.Errorf("integration %s: nobody assumes its roles", clip.Text(key))
		case c.Key != key:
			return nil, fmt.Errorf("integration %s has the key %s", clip.Text(key), clip.Text(c.Key))
		}
		if err := c.Check(); err != nil {
			return nil, err
		}
		if _, ok := c.Mode.(*HelperMode); ok && (c.Duration != 0 || len(c.Tags) > 0 || c.Policy != "") {
			return nil, fmt.Errorf("integration %s: its sessions are begun by an STS helper: set duration, tags and policy there", key)
		}
	}
	o.setDefaults()
	s := &Service{
		options:    o,
		store:      o.Store,
		pause:      pause,
		calls:      make(chan struct{}, o.MaxCalls),
		runs:       make(map[string]*run),
		principals: make(map[string]Principal),
		learnt:     make(map[string]time.Time),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.templates = newTemplates(s)
	s.replica = newReplica(o.Store, o.PollEvery, o.MaxStale, o.Report)
	return s, nil
}

// Store returns the store that the service works on.
func (s *Service) Store() *Store { return s.store }

// Start begins what goes on by itself: to load templates, to look after connections, and to tidy up
// the storage. It is called once at most.
func (s *Service) Start() {
	s.replica.begin()
	for _, job := range []func(context.Context){s.replica.follow, s.replica.load, s.loadTemplates, s.recheckForever, s.sweepForever, s.reseal, s.watchStored} {
		s.spawn(func() { job(s.ctx) })
	}
}

// Close ends what is under way, and waits until it has ended. Verifications fail with CodeInterrupted.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
}

// spawn runs f in a goroutine that Close waits for, unless it is closed.
func (s *Service) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Go(func() {
		defer func() {
			// Whatever a customer's template or role brings about, it must not end the server.
			if p := recover(); p != nil {
				s.options.Report(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		f()
	})
	return true
}

// now returns the time as it is stored.
func (s *Service) now() time.Time { return s.options.Clock().UTC().Truncate(time.Millisecond) }

// principal returns whom the customers of an integration have to trust.
func (s *Service) principal(ctx context.Context, c *Configured) (Principal, error) {
	p, err := c.Mode.Principal(ctx)
	if err == nil && (p.Account == "" || p.ARN == "") {
		err = errors.New("it is not known who assumes the roles")
	}
	if err != nil {
		return Principal{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.principals[c.Key] = p
	return p, nil
}

// knownPrincipal returns the last answer, or nobody.
func (s *Service) knownPrincipal(integration string) Principal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.principals[integration]
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// integrationKeys are in their order.
func (s *Service) integrationKeys() []string {
	return slices.Sorted(maps.Keys(s.options.Integrations))
}

// notConfigured is that there is no such integration.
func notConfigured(key string) error {
	return fail(ErrNotFound, "the integration "+clip.Text(strings.ToValidUTF8(key, "?"))+" is not configured any more")
}
