package credentials

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestGetFetchesOnceAndServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache(Options{})
		defer c.Close()
		s := newSTS(t, time.Hour)
		first, err := c.Get(context.Background(), s.identity("role"))
		if err != nil {
			t.Fatal(err)
		}
		second, err := c.Get(context.Background(), s.identity("role"))
		if err != nil || first != second || s.calls("role") != 1 {
			t.Fatalf("got %p, then %p (%v) by %d fetches, want the same by one", first, second, err, s.calls("role"))
		}
	})
}
