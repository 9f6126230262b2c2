package credentials

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

func TestGetDoesNotAllocate(t *testing.T) {
	c := NewCache(Options{})
	defer c.Close()
	s := newSTS(t, time.Hour)
	id := s.role("role", s.identity("base"))
	get(t, c, id)
	if n := testing.AllocsPerRun(1000, func() { _, _ = c.Get(context.Background(), id) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkGetCached(b *testing.B) {
	for _, identities := range []int{1, 10_000} {
		c := NewCache(Options{MaxIdentities: identities})
		ids := make([]Identity, identities)
		for i := range ids {
			ids[i] = fakeIdentity(i)
			if _, err := c.Get(context.Background(), ids[i]); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(fmt.Sprintf("identities=%d", identities), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if _, err := c.Get(context.Background(), ids[i%identities]); err != nil {
						b.Error(err)
					}
				}
			})
		})
		c.Close()
	}
}

// BenchmarkGetNew is the whole way of an identity that was never seen, in a cache that is full.
func BenchmarkGetNew(b *testing.B) {
	c := NewCache(Options{})
	defer c.Close()
	b.ReportAllocs()
	for i := range b.N {
		if _, err := c.Get(context.Background(), fakeIdentity(i)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMemory reports what an identity takes with a session token of the usual length.
func BenchmarkMemory(b *testing.B) {
	const identities = 20_000
	for range b.N {
		before := heapInUse()
		c := NewCache(Options{MaxIdentities: identities})
		for i := range identities {
			if _, err := c.Get(context.Background(), fakeIdentity(i)); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(heapInUse()-before)/identities, "B/identity")
		c.Close()
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func fakeIdentity(i int) Identity {
	role := fmt.Sprintf("arn:aws:iam::%012d:role/Proxy", i)
	return Identity{
		Key:     NewKey(role),
		Label:   "assume_role " + role + " (from default)",
		RoleARN: role,
		Fetch: func(context.Context, *Credentials) (*Credentials, error) {
			return New(sigv4.Credentials{
				AccessKeyID:     "ASIAIOSFODNN7EXAMPLE",
				SecretAccessKey: strings.Repeat("s", 40),
				SessionToken:    strings.Repeat("t", 1000),
			}, time.Now().Add(time.Hour), time.Now()), nil
		},
	}
}
