package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
)

// integrationsRecord is the one record of them all: so a change of one is either there or not, whatever
// crashes, and to look for changes is one read.
type integrationsRecord struct {
	ByKey map[string]*Stored `json:"by_key"`
}

func integrationsKey() (store.Key, error) {
	return store.NewKey(integrationKind, "integrations-written-at-run-time")
}

// integrationsText returns the record as it is, "" if there is none.
func (s *Store) integrationsText(ctx context.Context) (string, error) {
	key, err := integrationsKey()
	if err != nil {
		return "", err
	}
	var text json.RawMessage
	switch err := s.records.Get(ctx, key, &text); {
	case errors.Is(err, ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	}
	return string(text), nil
}

// readIntegrations reads what integrationsText returned.
func readIntegrations(text string) (map[string]*Stored, error) {
	r := integrationsRecord{}
	if text != "" {
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return nil, fmt.Errorf("the integrations that were written at run time: %w: %w", ErrDamaged, err)
		}
	}
	if r.ByKey == nil {
		r.ByKey = make(map[string]*Stored)
	}
	return r.ByKey, nil
}

// underIntegrations calls change with the record's lock held, and stores what it changed.
func (s *Store) underIntegrations(ctx context.Context, change func(context.Context, map[string]*Stored) error) (text string, err error) {
	key, err := integrationsKey()
	if err != nil {
		return "", err
	}
	err = s.records.Update(ctx, key, func(r *store.Record) error {
		var raw json.RawMessage
		if _, err := r.Get(&raw); err != nil {
			return err
		}
		text = string(raw)
		all, err := readIntegrations(text)
		if err != nil {
			return err
		}
		if err := change(r.Context(), all); err != nil {
			return err
		}
		after, err := json.Marshal(integrationsRecord{all})
		switch {
		case err != nil:
			return err
		case len(after) > maxStoredSize || len(all) > maxStored:
			return fail(ErrInvalid, fmt.Sprintf("there are too many integrations, or too large ones: at most %d, and %d MiB in all", maxStored, maxStoredSize>>20))
		case text == "" && len(all) == 0 || text == string(after):
			return nil
		}
		text = string(after)
		return r.Put(json.RawMessage(after))
	})
	return text, err
}

// whileIntegration calls do while the integration stays what it was at a revision; "" stands for one of the
// configuration, which doesn't change. Nobody deletes it meanwhile.
func (s *Store) whileIntegration(ctx context.Context, integration, revision string, do func(context.Context) error) error {
	if revision == "" {
		return do(ctx)
	}
	_, err := s.underIntegrations(ctx, func(ctx context.Context, all map[string]*Stored) error {
		if i := all[integration]; i == nil || i.Revision != revision {
			return errIntegrationChanged
		}
		return do(ctx)
	})
	return err
}
