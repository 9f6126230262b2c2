package connect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	// storedEvery is how often it is looked whether another instance has written integrations.
	storedEvery = 2 * time.Second

	// storedWait is how long somebody waits for integrations that were not read yet.
	storedWait = 5 * time.Second
)

// written are the integrations that were written at run time, as they were read last.
type written struct {
	mu     sync.Mutex
	text   string // of the record
	byKey  map[string]*Configured
	loaded bool
	err    error     // why the last attempt to read them failed
	tried  time.Time // by the machine's own clock
}

var errIntegrationChanged = fail(ErrIntegrationChanged, "the integration was changed meanwhile")

// incarnation differs between integrations that had one key after another.
func (c *Configured) incarnation() string {
	if c.Stored == nil {
		return ""
	}
	return c.Stored.Incarnation
}

// revision differs wherever a verification may have another outcome.
func (c *Configured) revision() string {
	if c.Stored == nil {
		return ""
	}
	return c.Stored.Revision
}

// Integration returns an integration: one of the configuration, else one that was written at run time.
func (s *Service) Integration(key string) (*Configured, bool) {
	if c, ok := s.options.Integrations[key]; ok {
		return c, true
	}
	c, err := s.storedIntegration(key)
	return c, err == nil && c != nil
}

// Integrations returns all integrations, in the order of their keys. The error says that those that
// were written at run time could not be read; the others are returned all the same.
func (s *Service) Integrations() ([]*Configured, error) {
	all := maps.Clone(s.options.Integrations)
	if all == nil {
		all = make(map[string]*Configured)
	}
	byKey, err := s.storedIntegrations()
	for key, c := range byKey {
		if _, ok := all[key]; !ok {
			all[key] = c
		}
	}
	list := make([]*Configured, 0, len(all))
	for _, key := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[key])
	}
	return list, err
}

// Runtime says what integrations may use that are written at run time; nil: none may be written.
func (s *Service) Runtime() *Runtime { return s.options.Runtime }

func (s *Service) storedIntegration(key string) (*Configured, error) {
	byKey, err := s.storedIntegrations()
	if err != nil {
		return nil, err
	}
	return byKey[key], nil
}

// storedIntegrations returns those that were written at run time, as this instance knows them. The
// storage is asked if they were never read.
func (s *Service) storedIntegrations() (map[string]*Configured, error) {
	if s.options.Runtime == nil {
		return nil, nil //nolint:nilnil // there are none, and nothing is wrong
	}
	s.written.mu.Lock()
	known, loaded, err := s.written.byKey, s.written.loaded, s.written.err
	fresh := time.Since(s.written.tried) < storedEvery
	s.written.mu.Unlock()
	switch {
	case loaded:
		return known, nil
	case err != nil && fresh:
		return nil, err
	}
	ctx, cancel := context.WithTimeout(s.ctx, storedWait)
	defer cancel()
	return s.readStored(ctx)
}

// readStored reads the integrations that were written at run time.
func (s *Service) readStored(ctx context.Context) (map[string]*Configured, error) {
	text, err := s.store.integrationsText(ctx)
	return s.took(text, err)
}

// took makes the record that was read the one that counts.
func (s *Service) took(text string, err error) (map[string]*Configured, error) {
	w := &s.written
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tried = time.Now()
	if err == nil && w.loaded && text == w.text {
		w.err = nil
		return w.byKey, nil
	}
	var stored map[string]*Stored
	if err == nil {
		stored, err = readIntegrations(text)
	}
	if w.err = err; err != nil {
		return nil, err
	}
	byKey := make(map[string]*Configured, len(stored))
	for key, i := range stored {
		byKey[key] = s.ready(i, w.byKey[key])
	}
	for key, before := range w.byKey {
		if now := byKey[key]; now == nil || now.Mode != before.Mode {
			s.forgetPrincipal(key)
		}
	}
	w.text, w.byKey, w.loaded = text, byKey, true
	return byKey, nil
}

// ready returns an integration with the way its roles are assumed, that of before if it is the same.
func (s *Service) ready(i *Stored, before *Configured) *Configured {
	c := &Configured{Integration: i.Integration, Stored: i}
	if before != nil && before.Stored != nil && before.Problem == "" && before.Stored.sameMode(i) {
		c.Mode = before.Mode
	}
	err := i.check(s.options.Runtime)
	if err == nil && c.Mode == nil {
		c.Mode, err = s.options.Runtime.Mode(&i.Integration, &i.Assume)
	}
	if err != nil {
		c.Problem = err.Error()
		c.Mode = &brokenMode{fmt.Errorf("integration %s: %w", i.Key, err)}
		if before == nil || before.Problem != c.Problem {
			s.options.Report(fmt.Errorf("integration %s, which was written at run time, can't be used: %w", i.Key, err))
		}
	}
	return c
}

func (s *Service) forgetPrincipal(integration string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.principals, integration)
}

// watchStored looks from time to time whether another instance has written integrations.
func (s *Service) watchStored(ctx context.Context) {
	if s.options.Runtime == nil {
		return
	}
	failing := false
	for {
		reading, cancel := context.WithTimeout(ctx, storedWait)
		_, err := s.readStored(reading)
		cancel()
		if err != nil && !failing && ctx.Err() == nil {
			s.options.Report(fmt.Errorf("reading the integrations that were written at run time: %w", err))
		}
		failing = err != nil
		// Several instances come at several times.
		if pause(ctx, storedEvery*3/4+rand.N(storedEvery/4)) != nil { //nolint:gosec // a jitter is no secret
			return
		}
	}
}

// ifUnchanged returns what a verification has come to, unless its integration is not what it was when the
// verification began: then it says nothing about the connection.
func (s *Service) ifUnchanged(c *Configured, p *problem) *problem {
	if now, ok := s.Integration(c.Key); ok && now.revision() == c.revision() {
		return p
	}
	return storeProblem(errIntegrationChanged)
}

// integrationOf returns the integration of a connection.
func (s *Service) integrationOf(key string) (*Configured, error) {
	if c, ok := s.options.Integrations[key]; ok {
		return c, nil
	}
	c, err := s.storedIntegration(key)
	switch {
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrDamaged):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case c == nil:
		return nil, notConfigured(key)
	}
	return c, nil
}

// integrationOfSession returns the integration that a session was made for, and no other that has its
// key now.
func (s *Service) integrationOfSession(session *Session) (*Configured, error) {
	c, err := s.integrationOf(session.Integration)
	if err == nil && c.incarnation() != session.Incarnation {
		return nil, notConfigured(session.Integration)
	}
	return c, err
}
