package connect

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Lookup returns a connection for a call on its customer's behalf. It is to be asked for at each use: so
// whatever any instance does to the connection counts here within seconds.
//
// It is answered from memory. Until all connections have been loaded after Start, and for one that is not
// known, the storage is asked. If the storage does not answer, connections that are known are returned
// until nothing was heard of it for ServiceOptions.MaxStale; after that, and for others at once, the error
// is ErrUnavailable.
func (s *Service) Lookup(ctx context.Context, id string) (Connection, error) {
	return s.replica.lookup(ctx, id)
}

func (r *replica) lookup(ctx context.Context, id string) (Connection, error) {
	r.mu.Lock()
	complete, unsure, failing := r.complete, r.unsure[id], r.failing != nil
	staleErr := r.stale()
	r.mu.Unlock()
	known := r.index.get(id)
	switch {
	case !complete:
		c, err := r.store.Connection(ctx, id)
		if known != nil && staleErr == nil && errors.Is(err, ErrUnavailable) {
			return known.connection.clone(), nil
		}
		return c, err
	case staleErr != nil:
		return Connection{}, staleErr
	case known != nil && !unsure:
		return known.connection.clone(), nil
	}
	// Another instance may have made it just now, or this one's own change of it failed.
	e, err := r.read(ctx, id)
	switch {
	case err == nil:
		return e.connection.clone(), nil
	case known != nil && errors.Is(err, ErrUnavailable):
		return known.connection.clone(), nil
	case failing && errors.Is(err, ErrNotFound):
		err = fmt.Errorf("%w: it is not known whether there is such a connection", ErrUnavailable)
	}
	return Connection{}, err
}

// stale says whether nothing was heard of the storage for too long. The caller holds mu.
func (r *replica) stale() error {
	// Not in the time of the process alone: a machine that slept has heard nothing either.
	age := max(time.Since(r.synced), time.Now().Round(0).Sub(r.synced.Round(0)))
	if age <= r.maxStale {
		return nil
	}
	if r.failing != nil {
		return fmt.Errorf("%w for more than %v: %w", ErrUnavailable, r.maxStale, r.failing)
	}
	return fmt.Errorf("%w for more than %v", ErrUnavailable, r.maxStale)
}

// List returns up to limit, at least one, of the connections that a filter chooses, those after a given ID,
// in the order of their IDs; the ID to go on after, which is empty at the end; and how many the filter
// chooses in all. It is answered from memory, like Lookup: the changes of other instances come within
// seconds. Right after Start it waits until all connections have been loaded. If that takes too long, or
// the storage does not answer for ServiceOptions.MaxStale, the error is ErrUnavailable.
func (s *Service) List(ctx context.Context, f Filter, after string, limit int) (chosen []Connection, next string, total int, err error) {
	return s.ListFrom(ctx, f, after, 0, limit)
}

// ListFrom is List without the first few after the given ID.
func (s *Service) ListFrom(ctx context.Context, f Filter, after string, skip, limit int) (chosen []Connection, next string, total int, err error) {
	r := s.replica
	if !r.isStarted() {
		return s.listStored(ctx, f, after, skip, limit)
	}
	if err := r.ready(ctx); err != nil {
		return nil, "", 0, err
	}
	found, next, total := r.index.page(f, after, skip, limit)
	chosen = make([]Connection, 0, len(found))
	for _, e := range found {
		chosen = append(chosen, e.connection.clone())
	}
	return chosen, next, total, nil
}

// ready waits until all connections have been loaded once, and says whether they still count.
func (r *replica) ready(ctx context.Context) error {
	late := time.NewTimer(firstWait)
	defer late.Stop()
	select {
	case <-r.first:
	case <-ctx.Done():
		return fmt.Errorf("%w: the connections are still being loaded: %w", ErrUnavailable, ctx.Err())
	case <-late.C:
		return fmt.Errorf("%w: the connections are still being loaded: ask again", ErrUnavailable)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stale()
}

func (r *replica) isStarted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.started
}

// listStored is List without Start.
func (s *Service) listStored(ctx context.Context, f Filter, after string, skip, limit int) (chosen []Connection, next string, total int, err error) {
	limit = max(limit, 1)
	if chosen, next, err = s.store.Connections(ctx, f, after, skip+limit); err != nil {
		return nil, "", 0, err
	}
	chosen = chosen[min(skip, len(chosen)):]
	for from := ""; ; {
		some, more, err := s.store.Connections(ctx, f, from, loadPage)
		if err != nil {
			return nil, "", 0, err
		}
		if total += len(some); more == "" {
			return chosen, next, total, nil
		}
		from = more
	}
}

// pageOf returns a page of all connections for those who go through them, and change nothing in them.
func (s *Service) pageOf(ctx context.Context, after string, limit int) (page []Connection, next string, err error) {
	r := s.replica
	if !r.isStarted() {
		return s.store.Connections(ctx, Filter{}, after, limit)
	}
	if err := r.ready(ctx); err != nil {
		return nil, "", err
	}
	found, next, _ := r.index.page(Filter{}, after, 0, limit)
	for _, e := range found {
		page = append(page, e.connection)
	}
	return page, next, nil
}
