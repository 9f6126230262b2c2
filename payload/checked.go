package payload

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
)

// NewChecked returns a body that must have the SHA-256 want, in lower-case hex.
// Its last byte is only handed out after the whole has been checked, so that
// whoever it is streamed to never gets a complete body that is wrong: the read
// ends in a *Error with status 400 instead.
func NewChecked(body io.ReadCloser, want string) io.ReadCloser {
	return &checked{body: body, want: want, sum: sha256.New()}
}

type checked struct {
	body io.ReadCloser
	want string
	sum  hash.Hash

	// last is the byte that is held back.
	last    byte
	hasLast bool
	err     error
}

func (c *checked) Read(p []byte) (int, error) {
	if c.err != nil || len(p) == 0 {
		return 0, c.err
	}
	n, err := c.body.Read(p)
	c.sum.Write(p[:n])
	if n > 0 {
		// The byte held back goes first, and the newest one is held.
		newest := p[n-1]
		if c.hasLast {
			copy(p[1:n], p[:n-1])
			p[0] = c.last
		} else {
			n--
		}
		c.last, c.hasLast = newest, true
	}
	switch {
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		c.err = err
		return n, err
	}
	got := hex.EncodeToString(c.sum.Sum(nil))
	if subtle.ConstantTimeCompare([]byte(got), []byte(c.want)) != 1 {
		c.err = &Error{Status: http.StatusBadRequest, Problem: "the request body does not have the hash that x-amz-content-sha256 says"}
		return n, c.err
	}
	c.err = io.EOF
	if !c.hasLast {
		return n, io.EOF
	}
	if n < len(p) {
		p[n] = c.last
		return n + 1, io.EOF
	}
	// No room: the next read hands it out.
	c.err = nil
	c.body = finished{c.body}
	return n, nil
}

// Close closes the body beneath.
func (c *checked) Close() error { return c.body.Close() }

// finished is a body that was read to its end.
type finished struct{ io.Closer }

func (finished) Read([]byte) (int, error) { return 0, io.EOF }
