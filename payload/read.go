package payload

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Error says why a body can't be covered, with the HTTP status that fits:
// 413 for a body over the limit, 400 for one that ended early, 500 for a
// configuration that can't work.
type Error struct {
	Status  int
	Problem string
	Cause   error
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Problem + ": " + e.Cause.Error()
	}
	return e.Problem
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error { return e.Cause }

// Read reads a whole body of the given length in bytes (-1: unknown), and not
// one byte more than limit. A body that is shorter or longer than its known
// length is an error: what is signed is never less than what the client meant
// to send.
func Read(body io.Reader, length, limit int64) ([]byte, error) {
	if length > limit {
		return nil, tooLarge(limit)
	}
	if length >= 0 {
		return readKnown(body, length)
	}
	// One byte over the limit tells a body that fits from one that doesn't.
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, readError(err)
	}
	if int64(len(b)) > limit {
		return nil, tooLarge(limit)
	}
	return b, nil
}

// readKnown grows with what arrives, so that a Content-Length alone allocates
// nothing.
func readKnown(body io.Reader, length int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(body, length))
	if err != nil {
		return nil, readError(err)
	}
	if int64(len(b)) != length {
		return nil, &Error{Status: http.StatusBadRequest, Problem: fmt.Sprintf("the request body ended after %d of %d bytes", len(b), length)}
	}
	var one [1]byte
	for {
		n, err := body.Read(one[:])
		if n > 0 {
			return nil, &Error{Status: http.StatusBadRequest, Problem: fmt.Sprintf("the request body is longer than its Content-Length of %d bytes", length)}
		}
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return nil, readError(err)
		}
	}
}

func readError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &Error{Status: http.StatusRequestEntityTooLarge, Problem: "reading the request body", Cause: err}
	}
	return &Error{Status: http.StatusBadRequest, Problem: "reading the request body", Cause: err}
}
