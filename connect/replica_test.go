package connect

import (
	"errors"
	"reflect"
	"testing"
	"time"
)

// startReplica returns one that has loaded all, and is polled by the test.
func startReplica(t testing.TB, s *Store) *replica {
	t.Helper()
	r := newReplica(s, time.Hour, time.Hour, func(err error) { t.Logf("reported: %v", err) })
	r.begin()
	mustPoll(t, r)
	if err := r.loadOnce(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if !r.complete {
		t.Fatal("it is not complete")
	}
	return r
}

func mustPoll(t testing.TB, r *replica) {
	t.Helper()
	if err := r.poll(t.Context()); err != nil {
		t.Fatalf("polling: %v", err)
	}
}

// sameAsStored compares what is in memory with what is stored.
func sameAsStored(t testing.TB, r *replica) {
	t.Helper()
	all, _, err := r.store.Connections(t.Context(), Filter{}, "", 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	if n := r.index.len(); n != len(all) {
		t.Errorf("%d connections are in memory, and %d are stored", n, len(all))
	}
	for _, c := range all {
		got, err := r.lookup(t.Context(), c.ID)
		if err != nil || !reflect.DeepEqual(got, c) || r.index.get(c.ID) == nil {
			t.Errorf("in memory is %+v, %v; stored is %+v", got, err, c)
		}
	}
}

func wantErr(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
