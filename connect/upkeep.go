package connect

import (
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// recheckForever assumes the roles of all connections from time to time.
func (s *Service) recheckForever(ctx context.Context) {
	if s.options.RecheckEvery < 0 {
		return
	}
	every := max(min(s.options.RecheckEvery, s.options.RecheckFailed)/4, time.Minute)
	// Several instances begin at several times, and find what another has just done.
	for s.pause(ctx, rand.N(every)) == nil { //nolint:gosec // a jitter is no secret
		if err := s.recheckDue(ctx); err != nil && ctx.Err() == nil {
			s.options.Report(err)
		}
		if s.pause(ctx, every/2) != nil {
			return
		}
	}
}

// recheckDue goes once through all connections, and checks those that are due, one after another.
func (s *Service) recheckDue(ctx context.Context) error {
	const page = 100
	// An integration whose broker or helper does not work fails for all its connections alike, and
	// says nothing about any of them.
	const most = 3
	failed := make(map[string]int)
	for after := ""; ; {
		connections, next, err := s.pageOf(ctx, after, page)
		if err != nil {
			return err
		}
		for _, c := range connections {
			if !s.due(&c) || failed[c.Integration] >= most {
				continue
			}
			p, err := s.recheck(ctx, c.ID)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				return err
			case p != nil && !p.code.aboutRole():
				if failed[c.Integration]++; failed[c.Integration] == most {
					s.options.Report(errors.New("integration " + c.Integration + ": its connections can't be checked: " + p.detail))
				}
			default:
				failed[c.Integration] = 0
			}
			if s.pause(ctx, s.options.RecheckPause/2+rand.N(max(s.options.RecheckPause, 1))) != nil { //nolint:gosec // a jitter is no secret
				return ctx.Err()
			}
		}
		if next == "" {
			return nil
		}
		after = next
	}
}

// due says whether it is time to look after a connection.
func (s *Service) due(c *Connection) bool {
	if _, ok := s.Integration(c.Integration); !ok || c.Paused {
		return false
	}
	last, every := c.Verified, s.options.RecheckEvery
	if c.LastError != nil && c.LastError.At.After(last) {
		last, every = c.LastError.At, s.options.RecheckFailed
		if c.exhausted() {
			every = s.options.RecheckExhausted
		}
	}
	// Connections that were made at once are not checked at once for all time.
	h := fnv.New32a()
	h.Write([]byte(c.ID))
	every -= every / 10 * time.Duration(h.Sum32()%1000) / 1000
	return s.now().Sub(last) >= every
}

// recheck assumes a connection's role and asks who the bearer is. Another instance may have done so
// just now.
func (s *Service) recheck(ctx context.Context, id string) (*problem, error) {
	c, err := s.store.Connection(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrDamaged):
		return nil, nil //nolint:nilnil // there is nothing to check, and nothing wrong
	case err != nil:
		return nil, err
	}
	r, err := s.roleOf(&c)
	if err != nil || !s.due(&c) {
		return nil, nil //nolint:nilerr,nilnil // it is not to be used, so it need not work
	}
	check := &check{s: s, role: r, progress: func(func(*Verification)) {}}
	_, p := check.assumable(ctx)
	p = s.ifUnchanged(r.integration, p)
	if err := s.record(ctx, c, p, "", false); err != nil && !errors.Is(err, ErrNotFound) {
		return p, err
	}
	return p, nil
}

const (
	sweepEvery = time.Minute
	sweepBatch = 500
)

// sweepForever removes what expired sessions leave.
func (s *Service) sweepForever(ctx context.Context) {
	for s.pause(ctx, sweepEvery/2+rand.N(sweepEvery)) == nil { //nolint:gosec // a jitter is no secret
		if _, err := s.store.Sweep(ctx, sweepBatch); err != nil && ctx.Err() == nil {
			s.options.Report(err)
		}
	}
}

const (
	resealBatch = 100
	resealPause = 100 * time.Millisecond
	resealRetry = 10 * time.Minute
)

// reseal goes through all records, and seals those anew that are sealed with an old key. It ends when it
// has gone through all of them without an error.
func (s *Service) reseal(ctx context.Context) {
	clean := true
	next := rand.N(sweepEvery) //nolint:gosec // a jitter is no secret
	for s.pause(ctx, next) == nil {
		next = resealPause
		_, done, err := s.store.Reseal(ctx, resealBatch)
		if err != nil && ctx.Err() == nil {
			s.options.Report(err)
			clean = false
			next = sweepEvery
		}
		switch {
		case done && clean:
			return
		case done:
			clean, next = true, resealRetry
		}
	}
}
