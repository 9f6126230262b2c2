package connect

import (
	"context"
	"fmt"
	"reflect"
)

// mayWrite says whether an integration may be written at run time.
func (s *Service) mayWrite(key string) error {
	if s.options.Runtime == nil {
		return fail(ErrReadOnly, "integrations are part of the server's configuration: its operator has not allowed others with runtime_integrations")
	}
	if _, ok := s.options.Integrations[key]; ok {
		return fail(ErrReadOnly, "the integration "+key+" is part of the server's configuration: it is changed there")
	}
	return nil
}

// CreateIntegration stores an integration. Its incarnation, its revision and its times are made here.
// The error is ErrInvalid, ErrReadOnly or ErrConflict if there is one of that key, or one of the
// storage.
func (s *Service) CreateIntegration(ctx context.Context, i Stored) (*Configured, error) {
	return s.writeIntegration(ctx, AuditIntegrationCreated, i.Key, func(_ context.Context, all map[string]*Stored) (*Stored, error) {
		if all[i.Key] != nil {
			return nil, fail(ErrConflict, "there is an integration "+i.Key+" already")
		}
		n := i.clone()
		if err := n.Assume.keepSecrets(&Assume{}); err != nil {
			return nil, invalid(err)
		}
		n.Incarnation, n.Revision = newUUID(), newUUID()
		n.Created = s.now()
		n.Updated = n.Created
		all[n.Key] = n
		return n, nil
	})
}

// UpdateIntegration changes an integration that was written at run time. Secrets that change leaves
// empty, or sets to SecretMask, stay. A key can be changed as long as there are no connections; the
// error is ErrInUse else.
func (s *Service) UpdateIntegration(ctx context.Context, key string, change func(*Stored) error) (*Configured, error) {
	return s.writeIntegration(ctx, AuditIntegrationChanged, key, func(ctx context.Context, all map[string]*Stored) (*Stored, error) {
		before := all[key]
		if before == nil {
			return nil, fail(ErrNotFound, "there is no such integration")
		}
		n := before.clone()
		if err := change(n); err != nil {
			return nil, err
		}
		if err := n.Assume.keepSecrets(&before.Assume); err != nil {
			return nil, invalid(err)
		}
		n.Incarnation, n.Revision, n.Created, n.Updated = before.Incarnation, before.Revision, before.Created, before.Updated
		if n.Key != key {
			if err := s.mayRename(ctx, all, key, n.Key); err != nil {
				return nil, err
			}
			delete(all, key)
			n.Incarnation = newUUID()
		}
		if n.material() != before.material() {
			n.Revision = newUUID()
		}
		if !reflect.DeepEqual(n, before) {
			n.Updated = s.now()
		}
		all[n.Key] = n
		return n, nil
	})
}

func (s *Service) mayRename(ctx context.Context, all map[string]*Stored, from, to string) error {
	if all[to] != nil {
		return fail(ErrConflict, "there is an integration "+to+" already")
	}
	if err := s.mayWrite(to); err != nil {
		return fail(ErrConflict, err.Error())
	}
	return s.unused(ctx, from, "renamed")
}

// DeleteIntegration removes an integration that was written at run time. The error is ErrInUse as long as
// it has connections.
func (s *Service) DeleteIntegration(ctx context.Context, key string) error {
	_, err := s.writeIntegration(ctx, AuditIntegrationDeleted, key, func(ctx context.Context, all map[string]*Stored) (*Stored, error) {
		if all[key] == nil {
			return nil, fail(ErrNotFound, "there is no such integration")
		}
		if err := s.unused(ctx, key, "deleted"); err != nil {
			return nil, err
		}
		delete(all, key)
		return nil, nil //nolint:nilnil // it is gone
	})
	return err
}

// unused says whether an integration has no connections. Nobody makes one meanwhile: see
// Store.whileIntegration.
func (s *Service) unused(ctx context.Context, key, done string) error {
	some, _, err := s.store.Connections(ctx, Filter{Integrations: []string{key}}, "", 1)
	if err == nil && len(some) > 0 {
		err = fail(ErrInUse, fmt.Sprintf("the integration %s has connections, and can't be %s: delete them before", key, done))
	}
	return err
}

// writeIntegration makes a change, which returns the integration as it is afterwards.
func (s *Service) writeIntegration(ctx context.Context, kind AuditKind, key string, change func(context.Context, map[string]*Stored) (*Stored, error)) (*Configured, error) {
	if err := s.mayWrite(key); err != nil {
		return nil, err
	}
	var after *Stored
	text, err := s.store.underIntegrations(ctx, func(ctx context.Context, all map[string]*Stored) (err error) {
		if after, err = change(ctx, all); err != nil || after == nil {
			return err
		}
		if err := after.check(s.options.Runtime); err != nil {
			return invalid(err)
		}
		_, err = s.options.Runtime.Mode(&after.Integration, &after.Assume)
		return invalid(err)
	})
	if err != nil {
		return nil, err
	}
	byKey, err := s.took(text, nil)
	if err != nil {
		return nil, err
	}
	event := AuditEvent{Kind: kind, Integration: key}
	if after == nil {
		s.audit(ctx, event)
		return nil, nil //nolint:nilnil // it is gone
	}
	if event.Integration = after.Key; after.Key != key {
		event.Text = "its key was " + key
	}
	s.audit(ctx, event)
	return byKey[after.Key], nil
}
