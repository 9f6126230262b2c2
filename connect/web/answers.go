package web

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// apiError is what the API answers instead of what was asked for.
type apiError struct {
	Status  int            `json:"-"`
	Code    string         `json:"code"`
	Message string         `json:"message,omitempty"`
	Errors  []fieldProblem `json:"errors,omitempty"`
	Payload any            `json:"payload,omitempty"`

	cause error         // for the operator alone
	retry time.Duration // when to try again, if it is known
}

func (e *apiError) Error() string { return e.Code + ": " + e.Message }

func (e *apiError) Unwrap() error { return e.cause }

// refuse returns an error of the API.
func refuse(status int, code, message string) *apiError {
	return &apiError{Status: status, Code: code, Message: message}
}

// because keeps the cause for the operator.
func (e *apiError) because(cause error) *apiError {
	e.cause = cause
	return e
}

var (
	errNotFound = refuse(http.StatusNotFound, "not_found", "there is nothing here")
	errMethod   = refuse(http.StatusMethodNotAllowed, "method_not_allowed", "this path has other methods")
)

// forbidden says which scope an API key lacks: one of them would do.
func forbidden(key *Key, scopes ...Scope) *apiError {
	which := "the scope " + scopeNames(scopes)
	if len(scopes) > 1 {
		which = "one of the scopes " + scopeNames(scopes)
	}
	return refuse(http.StatusForbidden, "forbidden", "the API key "+key.Name+" does not have "+which+", which this needs")
}

// asAPIError says what an error of the store means to those who call the API. What is not their
// mistake is told to the operator alone.
func asAPIError(err error) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	is := func(target error) bool { return errors.Is(err, target) }
	switch {
	case is(connect.ErrInvalid):
		return invalidBody(fieldProblem{Code: "custom", Message: err.Error(), Path: []any{}})
	case is(connect.ErrConflict):
		return refuse(http.StatusConflict, "conflict", err.Error())
	case is(connect.ErrReadOnly):
		return refuse(http.StatusConflict, "integration_read_only", err.Error())
	case is(connect.ErrInUse):
		return refuse(http.StatusConflict, "integration_in_use", err.Error())
	case is(connect.ErrNotFound):
		return errNotFound
	case is(connect.ErrExpired):
		return refuse(http.StatusUnauthorized, "session_expired", "the connect session has expired: create another")
	case is(connect.ErrRevoked):
		return refuse(http.StatusUnauthorized, "session_revoked", "the connect session was revoked: create another")
	case is(connect.ErrUsed):
		return refuse(http.StatusUnauthorized, "session_used", "the connect session has already made its connection: create another")
	case is(connect.ErrUnavailable):
		return refuse(http.StatusServiceUnavailable, "storage_unavailable", "the storage does not answer: try again").because(err)
	default:
		return refuse(http.StatusInternalServerError, "server_error", "something went wrong here: the operator's log says what").because(err)
	}
}

// invalidQuery is about the parameters of a URL.
func invalidQuery(problems ...fieldProblem) *apiError {
	return &apiError{Status: http.StatusBadRequest, Code: "invalid_query_params", Errors: problems}
}

func invalidBody(problems ...fieldProblem) *apiError {
	return &apiError{Status: http.StatusBadRequest, Code: "invalid_body", Errors: problems}
}

// writeJSON answers with JSON that nothing keeps.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) //nolint:errcheck // all that is given here can be encoded; the client may be gone
}

func writeError(w http.ResponseWriter, e *apiError) {
	switch e.Status {
	case http.StatusUnauthorized:
		w.Header().Set("Www-Authenticate", `Bearer realm="aws_connect"`)
	case http.StatusTooManyRequests:
		w.Header().Set("X-Ratelimit-Remaining", "0")
		w.Header().Set("X-Ratelimit-Reset", strconv.FormatInt(time.Now().Add(cmp.Or(e.retry, 5*time.Second)).Unix(), 10))
		fallthrough
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(int(cmp.Or(e.retry, 5*time.Second).Seconds())))
	}
	if e.Message == "" && len(e.Errors) > 0 {
		with := *e
		with.Message = e.Errors[0].String() // All that client libraries show.
		e = &with
	}
	writeJSON(w, e.Status, map[string]*apiError{"error": e})
}
