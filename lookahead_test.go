package awssigv4

import (
	"cmp"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func TestLookAheadLeavesTheBodyWhole(t *testing.T) {
	const limit = 10
	for _, text := range []string{"", "short", "0123456789", "0123456789 and more"} {
		for _, ends := range []error{io.EOF, io.ErrUnexpectedEOF} {
			for name, chunked := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader} {
				ahead, body := lookAhead(io.NopCloser(chunked(io.MultiReader(strings.NewReader(text), iotest.ErrReader(ends)))), limit, time.Minute)
				if want := text[:min(len(text), limit)]; string(ahead) != want {
					t.Errorf("%q, %s: %q is ahead, want %q", text, name, ahead, want)
				}
				got, err := io.ReadAll(iotest.OneByteReader(body))
				if string(got) != text || !errors.Is(cmp.Or(err, io.EOF), ends) {
					t.Errorf("%q, %s: %q and %v are left, want all and %v", text, name, got, err, ends)
				}
			}
		}
	}
}

// TestLookAheadHoldsNoStreamUp: what has come is read on at once, and so is what
// comes later.
func TestLookAheadHoldsNoStreamUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go io.WriteString(w, "first")
		begun := time.Now()
		ahead, body := lookAhead(r, 1<<10, time.Second)
		if took := time.Since(begun); ahead != nil || took != time.Second {
			t.Fatalf("got %q after %v", ahead, took)
		}
		read := func(want string) {
			t.Helper()
			buf := make([]byte, 100)
			if n, err := body.Read(buf); err != nil || string(buf[:n]) != want || time.Since(begun) != time.Second {
				t.Errorf("got %q and %v, want %q, after %v", buf[:n], err, want, time.Since(begun))
			}
		}
		read("first")
		go io.WriteString(w, "second")
		read("second")
		body.Close()
		if _, err := body.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("after Close: %v", err)
		}
	})
}
