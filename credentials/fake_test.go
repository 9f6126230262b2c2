package credentials

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// fakeSTS makes identities whose fetches it counts, and answers as the test says at the moment.
type fakeSTS struct {
	life time.Duration

	mu      sync.Mutex
	fetches map[string]int
	running int
	most    int
	latency time.Duration
	err     error
	hang    bool
	at      map[string][]time.Time
}

func newSTS(t *testing.T, life time.Duration) *fakeSTS {
	t.Helper()
	return &fakeSTS{life: life, fetches: map[string]int{}, at: map[string][]time.Time{}}
}

// set changes how it answers.
func (s *fakeSTS) set(change func(*fakeSTS)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// calls returns how often an identity was fetched.
func (s *fakeSTS) calls(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches[name]
}

// times returns when an identity was fetched.
func (s *fakeSTS) times(name string) []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.at[name])
}

// mostAtOnce returns how many fetches there were at the same time.
func (s *fakeSTS) mostAtOnce() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}

// total returns how often anything was fetched.
func (s *fakeSTS) total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, f := range s.fetches {
		n += f
	}
	return n
}

func (s *fakeSTS) identity(name string) Identity {
	return Identity{Key: NewKey(name), Label: name, Fetch: s.fetcher(name)}
}

func (s *fakeSTS) role(name string, from Identity) Identity {
	return Identity{
		Key:     NewKey(name, from.Key),
		Label:   fmt.Sprintf("%s (from %s)", name, from.Label),
		RoleARN: "arn:aws:iam::123456789012:role/" + name,
		From:    &from,
		Fetch:   s.fetcher(name),
	}
}

// fetcher returns credentials whose key ID names the identity, the broker's key ID and the number
// of the fetch.
func (s *fakeSTS) fetcher(name string) FetchFunc {
	return func(ctx context.Context, from *Credentials) (*Credentials, error) {
		s.mu.Lock()
		s.fetches[name]++
		s.at[name] = append(s.at[name], time.Now())
		s.running++
		s.most = max(s.most, s.running)
		n, latency, err, hang := s.fetches[name], s.latency, s.err, s.hang
		s.mu.Unlock()

		defer s.set(func(s *fakeSTS) { s.running-- })
		if hang {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		select {
		case <-time.After(latency):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		broker := ""
		if from != nil {
			broker = from.Value.AccessKeyID + "/"
		}
		var expires time.Time
		if s.life != 0 {
			expires = time.Now().Add(s.life)
		}
		return New(sigv4.Credentials{
			AccessKeyID:     fmt.Sprintf("%s%s-%d", broker, name, n),
			SecretAccessKey: "secret of " + name,
		}, expires, time.Now()), nil
	}
}
