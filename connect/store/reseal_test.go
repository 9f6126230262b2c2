package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
)

func TestReseal(t *testing.T) {
	m := &storetest.Memory{}
	old := newStore(t, m, Options{}, 1)
	var keys []Key
	for i := range 10 {
		keys = append(keys, hashed(t, old, fmt.Sprint(i)))
		put(t, old, keys[i], thing{Count: i})
	}

	both := newStore(t, m, Options{}, 2, 1)
	put(t, both, keys[3], thing{Count: 3}) // Unchanged, but sealed anew.
	if err := both.ResealIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	total, after := 0, ""
	for {
		next, n, err := both.Reseal(t.Context(), "things", after, 4)
		if err != nil {
			t.Fatal(err)
		}
		if total, after = total+n, next; after == "" {
			break
		}
	}
	if total != 9 {
		t.Errorf("%d records were sealed anew, want 9", total)
	}

	last := newStore(t, m, Options{}, 2)
	for i, k := range keys {
		var got thing
		if err := last.Get(t.Context(), k, &got); err != nil || got.Count != i {
			t.Errorf("record %d: %v, %v", i, got, err)
		}
	}
	if hashed(t, last, "5") != keys[5] {
		t.Error("names depend on the seal key")
	}
}

func TestResealGoesOnPastDamage(t *testing.T) {
	m := &storetest.Memory{}
	old := newStore(t, m, Options{}, 1)
	for i := range 5 {
		put(t, old, hashed(t, old, fmt.Sprint(i)), thing{Count: i})
	}
	bad := hashed(t, old, "2")
	m.Set(bad.path(old.options.Prefix), []byte("garbage"))

	next, n, err := newStore(t, m, Options{}, 2, 1).Reseal(t.Context(), "things", "", 100)
	if next != "" || n != 4 || !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), bad.String()) {
		t.Errorf("%q, %d, %v", next, n, err)
	}

	_, _, err = newStore(t, storetest.NewProcess(m, 1, storetest.Dies), Options{}, 2).Reseal(t.Context(), "things", "", 100)
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("without storage: %v", err)
	}
}
