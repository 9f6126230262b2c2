package payload

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

func TestSpoolHoldsWhatWasRead(t *testing.T) {
	for _, size := range []int{0, 1, 99, 100, 101, 40000, 1 << 20} {
		body := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		sum := sha256.Sum256(body)
		for _, length := range []int64{-1, int64(size)} {
			s := &Spool{Dir: t.TempDir()}
			h, err := s.Read(iotest.HalfReader(bytes.NewReader(body)), length, 100, 1<<20)
			if err != nil {
				t.Fatalf("%d bytes, length %d: %v", size, length, err)
			}
			if h.Size != int64(size) || h.Hash != hex.EncodeToString(sum[:]) {
				t.Errorf("%d bytes, length %d: size %d, hash %s", size, length, h.Size, h.Hash)
			}
			wantUsed := int64(0)
			if size > 100 {
				wantUsed = int64(size)
			}
			if s.Used() != wantUsed {
				t.Errorf("%d bytes: %d in files, want %d", size, s.Used(), wantUsed)
			}
			var readers sync.WaitGroup
			for range 3 {
				readers.Go(func() {
					if got, err := io.ReadAll(h.NewReader()); err != nil || !bytes.Equal(got, body) {
						t.Errorf("%d bytes: read %d, %v", size, len(got), err)
					}
				})
			}
			readers.Wait()
			if files, _ := os.ReadDir(s.Dir); len(files) != 0 {
				t.Errorf("%d bytes: the file has a name: %v", size, files)
			}
			for range 2 {
				if err := h.Close(); err != nil {
					t.Error(err)
				}
			}
			if s.Used() != 0 {
				t.Errorf("%d bytes: %d still counted after Close", size, s.Used())
			}
		}
	}
}

func TestSpoolRefuses(t *testing.T) {
	broken := errors.New("connection reset")
	for name, tc := range map[string]struct {
		body          io.Reader
		length, limit int64
		spool         int64
		status        int
	}{
		"over the limit by its length":  {strings.NewReader(strings.Repeat("x", 300)), 300, 200, 0, http.StatusRequestEntityTooLarge},
		"over the limit":                {strings.NewReader(strings.Repeat("x", 300)), -1, 200, 0, http.StatusRequestEntityTooLarge},
		"too short":                     {strings.NewReader(strings.Repeat("x", 150)), 151, 200, 0, http.StatusBadRequest},
		"too long":                      {strings.NewReader(strings.Repeat("x", 150)), 149, 200, 0, http.StatusBadRequest},
		"too short, in memory":          {strings.NewReader("hell"), 5, 200, 0, http.StatusBadRequest},
		"too long, in memory":           {strings.NewReader("hello!"), 5, 200, 0, http.StatusBadRequest},
		"broken off":                    {io.MultiReader(strings.NewReader(strings.Repeat("x", 150)), iotest.ErrReader(broken)), -1, 200, 0, http.StatusBadRequest},
		"broken off, in memory":         {iotest.ErrReader(broken), -1, 200, 0, http.StatusBadRequest},
		"over a limit of another's":     {iotest.ErrReader(&http.MaxBytesError{Limit: 3}), -1, 200, 0, http.StatusRequestEntityTooLarge},
		"no room on disk":               {strings.NewReader(strings.Repeat("x", 190)), -1, 200, 120, http.StatusServiceUnavailable},
		"no room on disk, known length": {strings.NewReader(strings.Repeat("x", 190)), 190, 200, 120, http.StatusServiceUnavailable},
	} {
		s := &Spool{Dir: t.TempDir(), Limit: tc.spool}
		h, err := s.Read(tc.body, tc.length, 100, tc.limit)
		var perr *Error
		if h != nil || !errors.As(err, &perr) || perr.Status != tc.status {
			t.Errorf("%s: got %v, %v, want status %d", name, h, err, tc.status)
		}
		if s.Used() != 0 {
			t.Errorf("%s: %d bytes still counted", name, s.Used())
		}
		if files, _ := os.ReadDir(s.Dir); len(files) != 0 {
			t.Errorf("%s: left behind: %v", name, files)
		}
	}
	s := &Spool{Dir: filepath.Join(t.TempDir(), "missing")}
	_, err := s.Read(strings.NewReader(strings.Repeat("x", 150)), -1, 100, 200)
	var perr *Error
	if !errors.As(err, &perr) || perr.Status != http.StatusServiceUnavailable {
		t.Errorf("no directory: got %v, want status 503", err)
	}
}

func TestSpoolIsBoundedTogether(t *testing.T) {
	s := &Spool{Dir: t.TempDir(), Limit: 1000}
	read := func() (*Held, error) {
		return s.Read(strings.NewReader(strings.Repeat("x", 400)), -1, 10, 1000)
	}
	first, err := read()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read(); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); err == nil {
		t.Error("a third body of 400 bytes got in under a limit of 1000")
	}
	first.Close()
	if _, err := read(); err != nil {
		t.Errorf("after one was closed: %v", err)
	}
}

func TestSpoolRemovesLeftovers(t *testing.T) {
	dir := t.TempDir()
	left, other := filepath.Join(dir, "caddy-aws-sigv4-123.body"), filepath.Join(dir, "other.body")
	for _, name := range []string{left, other} {
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h, err := (&Spool{Dir: dir}).Read(strings.NewReader("larger than memory"), -1, 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file of a process that crashed is still there: %v", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("a file of somebody else is gone: %v", err)
	}
}
