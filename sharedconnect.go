package awssigv4

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/seal"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/webhook"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
)

// connectServices holds the services of this process by all that they are made of, so that a
// verification goes on while a configuration is replaced by one that has the same.
var connectServices = caddy.NewUsagePool()

// sharedConnect is a service that several configurations use one after another.
type sharedConnect struct {
	*connect.Service
	webhooks *webhook.Sender
	storage  *sharedStorage
	listener *latest[*connectLog]
	start    sync.Once
}

// newSharedConnect makes a service.
func newSharedConnect(storage certmagic.Storage, ring *seal.Ring, c *Connections, integrations map[string]*connect.Configured, runtime *connect.Runtime, webhooks []webhook.Endpoint) (*sharedConnect, error) {
	s := &sharedConnect{
		storage:  &sharedStorage{latest: latest[certmagic.Storage]{last: storage}, locks: make(map[string]certmagic.Storage)},
		listener: new(latest[*connectLog]),
	}
	report := func(err error) { s.listener.get().report(err) }
	records, err := connect.Open(s.storage, ring, connect.Options{SessionLife: time.Duration(c.SessionLife), Report: report})
	if err != nil {
		return nil, err
	}
	s.webhooks, err = webhook.New(webhook.Options{
		Store: records, Endpoints: webhooks, Report: report,
		Observe: func(d webhook.Delivery) { s.listener.get().delivered(d) },
	})
	if err != nil {
		return nil, fieldError("webhooks", err)
	}
	records.SetAnnouncer(s.webhooks)
	s.Service, err = connect.NewService(connect.ServiceOptions{
		Store:           records,
		Integrations:    integrations,
		Runtime:         runtime,
		STS:             connectSTS,
		Audit:           func(e connect.AuditEvent) { s.listener.get().audit(e) },
		Report:          report,
		PropagationWait: time.Duration(c.PropagationWait),
		RecheckEvery:    time.Duration(c.RecheckEvery),
		MaxStale:        time.Duration(c.MaxStale),
		ExhaustedAfter:  c.ExhaustedAfter,
	})
	return s, err
}

// begin starts what the service does by itself.
func (s *sharedConnect) begin() {
	s.webhooks.Start()
	s.Start()
}

// Destruct ends what the service does, and then what tells of it.
func (s *sharedConnect) Destruct() error {
	s.Close()
	s.webhooks.Close()
	return nil
}

// latest is something of the configuration that runs. While one is replaced there are two; should the
// new one fail to start, the old one's counts again.
type latest[T any] struct {
	mu   sync.Mutex
	all  []*T
	last T // of the configuration that ended last, for what is still under way
}

// attach makes v the latest until release is called.
func (l *latest[T]) attach(v T) (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := &v
	l.all = append(l.all, mine)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for i, one := range l.all {
			if one == mine {
				l.last = v
				l.all = append(l.all[:i:i], l.all[i+1:]...)
				return
			}
		}
	}
}

func (l *latest[T]) get() T {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.all); n > 0 {
		return *l.all[n-1]
	}
	return l.last
}

// sharedStorage is the storage of the configuration that runs: that of one that has ended may be closed.
type sharedStorage struct {
	latest[certmagic.Storage]

	locked sync.Mutex
	locks  map[string]certmagic.Storage // whose lock it is
}

// Lock implements certmagic.Locker.
func (s *sharedStorage) Lock(ctx context.Context, name string) error {
	storage := s.get()
	if err := storage.Lock(ctx, name); err != nil {
		return err
	}
	s.locked.Lock()
	defer s.locked.Unlock()
	s.locks[name] = storage
	return nil
}

// Unlock implements certmagic.Locker. It asks the storage that gave the lock.
func (s *sharedStorage) Unlock(ctx context.Context, name string) error {
	s.locked.Lock()
	storage, ok := s.locks[name]
	delete(s.locks, name)
	s.locked.Unlock()
	if !ok {
		storage = s.get()
	}
	return storage.Unlock(ctx, name)
}

// Store implements certmagic.Storage.
func (s *sharedStorage) Store(ctx context.Context, key string, value []byte) error {
	return s.get().Store(ctx, key, value)
}

// Load implements certmagic.Storage.
func (s *sharedStorage) Load(ctx context.Context, key string) ([]byte, error) {
	return s.get().Load(ctx, key)
}

// Delete implements certmagic.Storage.
func (s *sharedStorage) Delete(ctx context.Context, key string) error {
	return s.get().Delete(ctx, key)
}

// Exists implements certmagic.Storage.
func (s *sharedStorage) Exists(ctx context.Context, key string) bool {
	return s.get().Exists(ctx, key)
}

// List implements certmagic.Storage.
func (s *sharedStorage) List(ctx context.Context, path string, recursive bool) ([]string, error) {
	return s.get().List(ctx, path, recursive)
}

// Stat implements certmagic.Storage.
func (s *sharedStorage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	return s.get().Stat(ctx, key)
}

// String names the storage in Caddy's log.
func (s *sharedStorage) String() string { return fmt.Sprint(s.get()) }

var storages atomic.Int64

// storageKey tells whether two configurations have the same storage. One that doesn't tell how it is
// configured is another one each time.
func storageKey(s certmagic.Storage) string {
	if f, ok := s.(*certmagic.FileStorage); ok {
		return credentials.NewKey("file", f.Path)
	}
	if m, ok := s.(caddy.Module); ok {
		if text, err := json.Marshal(m); err == nil && len(text) > len("{}") {
			return credentials.NewKey("module", string(m.CaddyModule().ID), credentials.Sealed(string(text)))
		}
	}
	return credentials.NewKey("other", fmt.Sprint(storages.Add(1)))
}
