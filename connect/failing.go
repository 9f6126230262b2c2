package connect

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// learnEvery is how often what calls learn about a connection is kept at most.
const learnEvery = time.Hour

// exhausted says whether a connection has failed for so long that it is not tried any more.
func (c *Connection) exhausted() bool { return c.LastError != nil && !c.LastError.Exhausted.IsZero() }

// exhaustion is the error of calls with such a connection.
func (c *Connection) exhaustion() error {
	return fail(ErrExhausted, fmt.Sprintf("the connection's role could not be assumed since %s, and is not tried any more: %s; mend it, and verify the connection anew",
		c.LastError.Since.Format(time.DateOnly), c.LastError.Text))
}

// failed returns what is kept of a failure. A day counts once, however often it fails, and only if it
// is one that all verifications find; after so many days it is exhausted.
func (s *Service) failed(before *Failure, p *problem, now time.Time) *Failure {
	f := &Failure{Code: p.code, Text: p.text, AWSCode: p.awsCode, RequestID: p.requestID, Since: now, At: now}
	if before != nil {
		f.Since, f.Days, f.LastDay, f.Exhausted = before.Since, before.Days, before.LastDay, before.Exhausted
	}
	if today := now.UTC().Format(time.DateOnly); today != f.LastDay && !p.code.onlyInFull() {
		f.Days, f.LastDay = f.Days+1, today
	}
	if most := s.options.ExhaustedAfter; f.Exhausted.IsZero() && most > 0 && f.Days >= most {
		f.Exhausted = now
	}
	return f
}

// Recheck assumes a connection's role now, whether or not it is time and however long it has failed, and
// keeps in the connection how it went. It is what a forced refresh does first where Identity says
// ErrExhausted. The error is one of the storage; why the role can't be assumed is in what is returned.
func (s *Service) Recheck(ctx context.Context, connectionID string) (Connection, error) {
	c, err := s.store.Connection(ctx, connectionID)
	if err != nil {
		return Connection{}, err
	}
	if c.Paused {
		return Connection{}, fail(ErrPaused, "the connection is paused")
	}
	r, err := s.roleOf(&c)
	if err != nil {
		return Connection{}, err
	}
	check := &check{s: s, role: r, progress: func(func(*Verification)) {}}
	_, p := check.assumable(ctx)
	if err := s.record(ctx, c, p, "", false); err != nil {
		return Connection{}, err
	}
	return s.store.Connection(ctx, connectionID)
}

// learn keeps what a call for credentials has shown about a connection. It waits for nothing. Failures are
// kept once an hour at most; a success is only worth a write after one.
func (s *Service) learn(c Connection, r role, err error) {
	var p *problem
	if err != nil {
		if p = assumeProblem(err, r.vendor); !p.code.aboutRole() || errors.Is(err, context.Canceled) {
			return
		}
		if c.LastError != nil && s.now().Sub(c.LastError.At) < learnEvery || !s.mayLearn(c.ID) {
			return
		}
	} else if c.LastError == nil || !c.LastError.Code.ofAssumeRole() {
		return
	}
	s.spawn(func() {
		_ = s.record(s.ctx, c, p, "", false) // It has been reported.
	})
}

// mayLearn says whether nothing was kept about a connection for a while, and that something is now.
func (s *Service) mayLearn(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if last, ok := s.learnt[id]; ok && now.Sub(last) < learnEvery {
		return false
	}
	// Only those that fail are in it, and only for an hour.
	if len(s.learnt) >= s.learntLimit {
		for other, last := range s.learnt {
			if now.Sub(last) >= learnEvery {
				delete(s.learnt, other)
			}
		}
		s.learntLimit = max(minLearnt, 2*len(s.learnt))
	}
	s.learnt[id] = now
	return true
}

const minLearnt = 1024

// ofAssumeRole says whether a failure is one that AssumeRole itself shows, so that its success is the end
// of it.
func (c Code) ofAssumeRole() bool {
	return c == CodeAssumeRoleDenied || c == CodeTagSessionDenied || c == CodeDurationTooLong
}
