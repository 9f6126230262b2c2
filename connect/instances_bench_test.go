package connect

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

// benchmarked is how many connections there are.
const benchmarked = 100_000

// BenchmarkLookup is one look-up among 100,000 connections, and says what these take in memory.
func BenchmarkLookup(b *testing.B) {
	r, ids := filled(b)
	ctx := b.Context()
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for i := 0; p.Next(); i++ {
			if _, err := r.lookup(ctx, ids[i%len(ids)]); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkList is one page of 100 of 100,000 connections, with how many there are in all.
func BenchmarkList(b *testing.B) {
	r, ids := filled(b)
	s := &Service{replica: r}
	for name, f := range map[string]Filter{
		"all":              {},
		"integration":      {Integrations: []string{"integration-1"}},
		"two_integrations": {Integrations: []string{"integration-1", "integration-2"}},
		"organization":     {Organization: "organization-77"},
		"tag":              {Tags: map[string]string{"team": "t3"}},
		"tag_of_many":      {Tags: map[string]string{"team": "t3", "plan": "pro"}, Integrations: []string{"integration-1"}},
		"search":           {Search: "user77"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				if _, _, _, err := s.List(b.Context(), f, ids[i%len(ids)], 100); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkChange is a change of one of 100,000 connections.
func BenchmarkChange(b *testing.B) {
	r, ids := filled(b)
	b.ResetTimer()
	for i := range b.N {
		c := made(i)
		c.ID = ids[i%len(ids)]
		r.index.set(c.ID, newIndexed(c, fmt.Sprint(i)))
	}
}

func filled(b *testing.B) (*replica, []string) {
	b.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x := fill(benchmarked)
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.Cleanup(func() { b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/benchmarked, "heap-B/connection") })
	first := make(chan struct{})
	close(first)
	return &replica{index: x, started: true, complete: true, synced: time.Now(), maxStale: time.Hour, first: first}, x.between("", "")
}

// BenchmarkLoad loads 10,000 connections from a directory, as each instance does once after Start.
func BenchmarkLoad(b *testing.B) {
	const stored = 10_000
	s := openStore(b, &certmagic.FileStorage{Path: b.TempDir()}, newClock())
	for i := range stored {
		c := made(i)
		key, err := connectionKey(c.ID)
		if err == nil {
			err = s.records.Write(b.Context(), key, c)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		r := newReplica(s, time.Hour, time.Hour, func(err error) { b.Error(err) })
		if err := r.loadAll(b.Context(), 0); err != nil || r.index.len() != stored {
			b.Fatal(r.index.len(), err)
		}
	}
	b.ReportMetric(float64(stored*b.N)/b.Elapsed().Seconds(), "connections/s")
}
