package store

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/caddyserver/certmagic"
)

func TestKeysComeInPages(t *testing.T) {
	files := &certmagic.FileStorage{Path: t.TempDir()}
	s := newStore(t, files, Options{})
	want := make(map[Key]bool)
	for i := range 23 {
		k := hashed(t, s, fmt.Sprint(i))
		want[k] = true
		put(t, s, k, thing{Count: i})
		// What a crash leaves behind.
		if err := files.Store(t.Context(), "aws_sigv4/connect/things/"+k.name[:2]+"/"+k.name[:2]+"12345678", nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, size := range []int{1, 7, 22, 23, 24, 100} {
		got, after := 0, ""
		for {
			keys, err := s.Keys(t.Context(), "things", after, size)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range keys {
				if !want[k] || k.name <= after {
					t.Errorf("page size %d: %v after %q", size, k, after)
				}
				got, after = got+1, k.name
			}
			if len(keys) < size {
				break
			}
		}
		if got != len(want) {
			t.Errorf("page size %d: %d keys, want %d", size, got, len(want))
		}
	}
	if keys, err := s.Keys(t.Context(), "others", "", 10); err != nil || len(keys) != 0 {
		t.Errorf("a kind without records: %v, %v", keys, err)
	}
	if _, err := s.Keys(t.Context(), "../x", "", 10); err == nil {
		t.Error("a kind that climbs")
	}
}

// TestKeysWhileOthersWrite: certmagic.FileStorage can't list a directory out of which a file vanishes.
func TestKeysWhileOthersWrite(t *testing.T) {
	files := &certmagic.FileStorage{Path: t.TempDir()}
	s := newStore(t, files, Options{})
	k := hashed(t, s, "a")
	put(t, s, k, thing{})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				_ = files.Store(context.Background(), k.path(s.options.Prefix)+"x", []byte("x"))
			}
		}
	})
	for range 200 {
		if _, err := s.Keys(t.Context(), "things", "", 10); err != nil {
			t.Errorf("%v", err)
			break
		}
	}
	close(stop)
	wg.Wait()
}
