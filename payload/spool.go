package payload

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
)

// DefaultSpoolLimit is the number of bytes that all bodies in files may have
// together if nothing else is configured: 4 GiB.
const DefaultSpoolLimit = 4 << 30

// spoolPattern names the files of a spool. Where the system lets us, they have
// their name for an instant only.
const spoolPattern = "caddy-aws-sigv4-*.body"

// Spool holds bodies until they are sent: small ones in memory, larger ones in
// private temporary files, which together are bounded. It is safe for
// concurrent use. The zero value is ready: the system's directory for temporary
// files, and DefaultSpoolLimit.
type Spool struct {
	// Dir is where the files are; empty is the system's directory for temporary
	// files.
	Dir string
	// Limit is the number of bytes that all files may have together; 0 is
	// DefaultSpoolLimit.
	Limit int64

	used  atomic.Int64
	sweep sync.Once
}

// Held is a body that was read to its end. It can be read any number of times,
// by several readers at once, until it is closed.
type Held struct {
	// Size is the body's length in bytes.
	Size int64
	// Hash is the SHA-256 of the body, in lower-case hex.
	Hash string

	memory []byte
	file   *os.File
	spool  *Spool
	close  sync.Once
}

// Used returns the number of bytes that are in files now.
func (s *Spool) Used() int64 { return s.used.Load() }

// Read reads a whole body of the given length in bytes (-1: unknown), of which
// it keeps up to memory bytes in memory and the whole in a file if it is
// larger, and not one byte more than limit. A body that is shorter or longer
// than its known length is an error: what is signed is never less than what the
// client meant to send. The error is a *Error: 413 over the limit, 400 for a
// body that can't be read, 503 if there is no room.
func (s *Spool) Read(body io.Reader, length, memory, limit int64) (held *Held, err error) {
	if length > limit {
		return nil, tooLarge(limit)
	}
	w := &heldWriter{spool: s, memory: memory, sum: sha256.New()}
	defer func() {
		if err != nil {
			w.abandon()
		}
	}()
	allowed := limit
	if length >= 0 {
		allowed = length
	}
	// One byte over tells a body that fits from one that doesn't.
	buffer := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buffer)
	n, err := io.CopyBuffer(w, io.LimitReader(onlyReader{body}, allowed+1), *buffer)
	switch {
	case err != nil && w.err != nil:
		return nil, w.err
	case err != nil:
		return nil, readError(err)
	case length >= 0 && n < length:
		return nil, &Error{Status: http.StatusBadRequest, Problem: fmt.Sprintf("the request body ended after %d of %d bytes", n, length)}
	case length >= 0 && n > length:
		return nil, &Error{Status: http.StatusBadRequest, Problem: fmt.Sprintf("the request body is longer than its Content-Length of %d bytes", length)}
	case n > limit:
		return nil, tooLarge(limit)
	}
	return w.held(), nil
}

// copyBuffers are what bodies pass through on their way into a Held.
var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// onlyReader hides what else a reader can do, so that the buffer is used.
type onlyReader struct{ io.Reader }

// NewReader returns a reader of the whole body, from its beginning.
func (h *Held) NewReader() io.Reader {
	if h.file != nil {
		return io.NewSectionReader(h.file, 0, h.Size)
	}
	return bytes.NewReader(h.memory)
}

// Close gives back what the body takes. Readers of a file get an error then.
// Closing again does nothing.
func (h *Held) Close() error {
	var err error
	h.close.Do(func() {
		if h.file != nil {
			err = h.spool.drop(h.file)
			h.spool.used.Add(-h.Size)
		}
	})
	return err
}

// heldWriter takes a body in: into memory first, and into a file once it is
// larger than that.
type heldWriter struct {
	spool  *Spool
	memory int64
	sum    hash.Hash
	buffer bytes.Buffer
	file   *os.File
	size   int64
	filed  int64 // bytes that were counted as used
	err    error
}

func (w *heldWriter) Write(p []byte) (int, error) {
	w.sum.Write(p)
	if w.file == nil && w.size+int64(len(p)) <= w.memory {
		w.size += int64(len(p))
		return w.buffer.Write(p)
	}
	if w.err = w.toFile(p); w.err != nil {
		return 0, w.err
	}
	w.size += int64(len(p))
	return len(p), nil
}

func (w *heldWriter) toFile(p []byte) error {
	more := int64(len(p))
	if w.file == nil {
		more += w.size
	}
	limit := w.spool.Limit
	if limit <= 0 {
		limit = DefaultSpoolLimit
	}
	w.filed += more
	if w.spool.used.Add(more) > limit {
		return &Error{Status: http.StatusServiceUnavailable, Problem: fmt.Sprintf("there is no room to hold the request body: bodies on disk are limited to %d bytes together", limit)}
	}
	if w.file == nil {
		var err error
		if w.file, err = w.spool.create(); err != nil {
			return &Error{Status: http.StatusServiceUnavailable, Problem: "making a file for the request body", Cause: err}
		}
		if _, err := w.file.Write(w.buffer.Bytes()); err != nil {
			return &Error{Status: http.StatusServiceUnavailable, Problem: "writing the request body to a file", Cause: err}
		}
		w.buffer = bytes.Buffer{}
	}
	if _, err := w.file.Write(p); err != nil {
		return &Error{Status: http.StatusServiceUnavailable, Problem: "writing the request body to a file", Cause: err}
	}
	return nil
}

func (w *heldWriter) held() *Held {
	return &Held{
		Size:   w.size,
		Hash:   hex.EncodeToString(w.sum.Sum(nil)),
		memory: w.buffer.Bytes(),
		file:   w.file,
		spool:  w.spool,
	}
}

func (w *heldWriter) abandon() {
	if w.file != nil {
		_ = w.spool.drop(w.file)
	}
	w.spool.used.Add(-w.filed)
}

// create makes a file that only this process can open. Its name is gone at
// once, so that a crash leaves nothing behind, where the system allows that.
func (s *Spool) create() (*os.File, error) {
	dir := s.Dir
	if dir == "" {
		dir = os.TempDir()
	}
	s.sweep.Do(func() { removeLeftovers(dir) })
	// The mode is 0600.
	f, err := os.CreateTemp(dir, spoolPattern)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" {
		if err := os.Remove(f.Name()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// drop closes a file, and removes it where its name was not gone yet.
func (s *Spool) drop(f *os.File) error {
	err := f.Close()
	if runtime.GOOS == "windows" {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// removeLeftovers removes files whose process ended between making the file and
// removing its name. Where names stay, those in use can't be removed.
func removeLeftovers(dir string) {
	names, err := filepath.Glob(filepath.Join(dir, spoolPattern))
	if err != nil {
		return
	}
	for _, name := range names {
		_ = os.Remove(name)
	}
}
