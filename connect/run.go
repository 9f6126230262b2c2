package connect

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"sync"
	"time"
)

// run is a verification that this process began: it goes on without whoever asked for it.
type run struct {
	id       string   // in Attempts
	before   []string // the IDs of those before, which have ended
	customer customer // for whom it runs, none if for the vendor
	cancel   context.CancelFunc
	done     chan struct{} // closed when it has ended

	mu sync.Mutex
	v  Verification
}

func (r *run) update(change func(*Verification)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.v)
}

// now returns how far it has come.
func (r *run) now() Verification {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.v
}

func (r *run) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// runsOfCustomer is how many a customer has at once, with however many sessions, so that none keeps others
// waiting.
const runsOfCustomer = 8

// runKept is how long the end of a run is remembered here, for when it could not be stored.
const runKept = 10 * time.Minute

// enter makes a run the one of a session or a connection, or returns the one that is there. Neither is
// returned if there are too many.
func (s *Service) enter(key string, v Verification) (mine, other *run, ctx context.Context) {
	return s.enterFor(key, customer{}, v)
}

// enterFor does so for a customer.
func (s *Service) enterFor(key string, whose customer, v Verification) (mine, other *run, ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var before []string
	if r := s.runs[key]; r != nil {
		if !r.ended() {
			return nil, r, nil
		}
		// Of these, the end of one may not have been stored.
		before = append(slices.Clone(r.before[max(0, len(r.before)-8):]), r.id)
	}
	maps.DeleteFunc(s.runs, func(_ string, r *run) bool {
		return r.ended() && s.now().Sub(r.now().Ended) > runKept
	})
	running, theirs := 0, 0
	for _, r := range s.runs {
		if r.ended() {
			continue
		}
		running++
		if whose != (customer{}) && r.customer == whose {
			theirs++
		}
	}
	if s.closed || running >= s.options.MaxVerifications || theirs >= runsOfCustomer {
		return nil, nil, nil
	}
	v.State, v.Step, v.Started = StateRunning, StepAssumeRole, s.now()
	r := &run{id: newRunID(), before: before, customer: whose, done: make(chan struct{}), v: v}
	// No verification outlives its lease.
	ctx, r.cancel = context.WithTimeout(s.ctx, s.lease())
	s.runs[key] = r
	return r, nil, ctx
}

// leave ends a run that never began.
func (s *Service) leave(key string, r *run) {
	r.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	close(r.done)
	if s.runs[key] == r {
		delete(s.runs, key)
	}
}

// lose ends a run of which it is not known whether the storage says that it runs.
func (s *Service) lose(r *run, err error) {
	s.end(r, storeProblem(err))
	r.cancel()
	close(r.done)
}

// runOf returns the run of a session or a connection that this process knows, or nil.
func (s *Service) runOf(key string) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs[key]
}

// lease is how long a verification may take in all.
func (s *Service) lease() time.Duration { return max(s.options.PropagationWait, 0) + 90*time.Second }

// end says how a run ended.
func (s *Service) end(r *run, p *problem) Verification {
	ended := s.ending(r, p)
	r.update(func(v *Verification) { *v = ended })
	return ended
}

// ending is what a run will have come to when it is ended.
func (s *Service) ending(r *run, p *problem) Verification {
	v := r.now()
	v.State = StateSucceeded
	if p != nil {
		v.State = StateFailed
		p.tell(&v)
	}
	v.Ended = s.now()
	return v
}

func newRunID() string {
	b := make([]byte, 12)
	rand.Read(b) // Never fails, says its documentation.
	return hex.EncodeToString(b)
}
