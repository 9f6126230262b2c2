package connect

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Attempts keep a session to one verification at a time, and to so many of them, so that nobody finds
// out by a Connect page which roles of others exist or trust the vendor.
type Attempts struct {
	// Running names the verification that runs, in whichever process, and Until is when it is
	// given up for dead.
	Running string    `json:"running,omitempty"`
	Until   time.Time `json:"until,omitzero"`

	// Recent are the times of the last ones, Total is how many there were.
	Recent []time.Time `json:"recent,omitempty"`
	Total  int         `json:"total,omitempty"`

	// Refused are the times of the last submissions that AWS was not asked about.
	Refused []time.Time `json:"refused,omitempty"`
}

// A session has attemptsAtOnce verifications in attemptsWindow, and attemptsInAll. Of what is refused
// without AWS, refusalsAtOnce in attemptsWindow are kept and told.
const (
	attemptsAtOnce = 10
	refusalsAtOnce = 30
	attemptsWindow = 10 * time.Minute
	attemptsInAll  = 60
)

// errRunning says that a verification of the session runs, perhaps in another process; errTooMany that
// there were too many.
var (
	errRunning = errors.New("a verification of this session is under way")
	errTooMany = errors.New("there were too many verifications in this session")
)

func (a *Attempts) runs(now time.Time) bool { return a.Running != "" && now.Before(a.Until) }

func (a *Attempts) begin(id string, now, until time.Time) error {
	if a.runs(now) {
		return errRunning
	}
	recent := recentOf(a.Recent, now)
	if len(recent) >= attemptsAtOnce || a.Total >= attemptsInAll {
		return errTooMany
	}
	a.Running, a.Until = id, until
	a.Recent = append(recent, now)
	a.Total++
	return nil
}

// refuse notes that a submission was refused. It returns errTooMany if so many were that another one is not
// worth a word.
func (a *Attempts) refuse(now time.Time) error {
	refused := recentOf(a.Refused, now)
	if len(refused) >= refusalsAtOnce {
		return errTooMany
	}
	a.Refused = append(refused, now)
	return nil
}

// recentOf returns those of the times that are in attemptsWindow, in a slice of their own.
func recentOf(times []time.Time, now time.Time) []time.Time {
	recent := make([]time.Time, 0, len(times)+1)
	for _, t := range times {
		if now.Sub(t) < attemptsWindow {
			recent = append(recent, t)
		}
	}
	return recent
}

// beginAttempt marks a verification as running. Those whose IDs are dead are known to have ended. The session
// lasts at least as long as the verification may.
func (s *Store) beginAttempt(ctx context.Context, token, id string, dead []string, typed Typed, life time.Duration) (Session, error) {
	if err := typed.check(); err != nil {
		return Session{}, invalid(err)
	}
	return s.changeSession(ctx, token, func(_ context.Context, session *Session) error {
		now := s.now()
		until := now.Add(life)
		if slices.Contains(dead, session.Attempts.Running) {
			session.Attempts.Running = ""
		}
		if err := session.Attempts.begin(id, now, until); err != nil {
			return err
		}
		session.Typed, session.Failed = typed, nil
		if until.After(session.Limit) {
			until = session.Limit
		}
		if until.After(session.Expires) {
			session.Expires = until
		}
		return nil
	})
}

// endAttempt keeps how a verification failed, unless another one was begun since.
func (s *Store) endAttempt(ctx context.Context, token, id string, failed Verification) error {
	_, err := s.changeSession(ctx, token, func(_ context.Context, session *Session) error {
		if session.Attempts.Running != id {
			return nil
		}
		session.Attempts.Running, session.Attempts.Until = "", time.Time{}
		session.Failed = &failed
		return nil
	})
	return err
}

// refuseInput keeps what was typed, and what is wrong with it. It returns errTooMany, and keeps nothing, if
// that happens all the time.
func (s *Store) refuseInput(ctx context.Context, token string, typed Typed, failed Verification) error {
	if err := typed.check(); err != nil {
		typed = Typed{} // Nobody wants to go on typing that.
	}
	_, err := s.changeSession(ctx, token, func(_ context.Context, session *Session) error {
		session.Typed, session.Failed = typed, &failed
		return session.Attempts.refuse(s.now())
	})
	return err
}

// refuseAttempt notes that a session has had its attempts. It returns errTooMany if that was noted so often
// that it need not be told again.
func (s *Store) refuseAttempt(ctx context.Context, token string) error {
	_, err := s.changeSession(ctx, token, func(_ context.Context, session *Session) error {
		return session.Attempts.refuse(s.now())
	})
	return err
}
