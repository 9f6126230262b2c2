package payload

import (
	"errors"
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

func readError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &Error{Status: http.StatusRequestEntityTooLarge, Problem: "reading the request body", Cause: err}
	}
	return &Error{Status: http.StatusBadRequest, Problem: "reading the request body", Cause: err}
}
