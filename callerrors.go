package awssigv4

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
)

// callError is why a call on a customer's behalf is not made. The message is for the vendor's program that
// calls; it holds no secret.
type callError struct {
	status        int
	code, message string

	retryAfter time.Duration // if it is known when to try again
	cause      error         // for the operator's log
}

func newCallError(status int, code, message string) *callError {
	return &callError{status: status, code: code, message: message}
}

func (e *callError) Error() string {
	if e.cause != nil {
		return e.message + ": " + e.cause.Error()
	}
	return e.message
}

func (e *callError) Unwrap() error { return e.cause }

// because keeps the cause for the operator.
func (e *callError) because(cause error) *callError {
	e.cause = cause
	return e
}

// The errors that say the same whatever the reason is, so that nobody learns what there is that they may
// not use.
var (
	errUnknownIntegration = newCallError(http.StatusNotFound, "unknown_provider_config", "there is no such integration")
	errUnknownConnection  = newCallError(http.StatusNotFound, "unknown_connection", "there is no such connection")
)

// connectError says what an error of Connect's means to a caller; nil if it is none.
func connectError(err error) *callError {
	is := func(target error) bool { return errors.Is(err, target) }
	switch {
	case is(connect.ErrPaused):
		return newCallError(http.StatusForbidden, "connection_paused", "the connection is paused").because(err)
	case is(connect.ErrDenied):
		return newCallError(http.StatusForbidden, string(connect.CodeAccountNotAllowed), kindText(err, connect.ErrDenied)).because(err)
	case is(connect.ErrExhausted):
		return newCallError(http.StatusFailedDependency, "connection_refresh_exhausted", kindText(err, connect.ErrExhausted)).because(err)
	case is(connect.ErrNotFound):
		return errUnknownConnection
	case is(connect.ErrUnavailable):
		e := newCallError(http.StatusServiceUnavailable, "storage_unavailable", "the storage of connections does not answer: try again").because(err)
		e.retryAfter = 5 * time.Second
		return e
	case is(connect.ErrDamaged):
		return newCallError(http.StatusInternalServerError, "server_error", "the connection can't be read: the operator's log says why").because(err)
	}
	return nil
}

// kindText returns the text of the error in err's chain that is of a kind itself, not because of what it
// wraps.
func kindText(err, kind error) string {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if k, ok := e.(interface{ Is(error) bool }); ok && k.Is(kind) {
			return e.Error()
		}
	}
	return err.Error()
}

// asCallError says what an error means to a caller.
func asCallError(err error) *callError {
	if e, ok := errors.AsType[*callError](err); ok {
		return e
	}
	if e := connectError(err); e != nil {
		return e
	}
	if c, ok := errors.AsType[*credentials.Error](err); ok {
		return credentialsCallError(c)
	}
	if r, ok := asRefusal(err); ok {
		code := map[int]string{
			http.StatusBadRequest: "invalid_request", http.StatusForbidden: "not_permitted",
			http.StatusRequestEntityTooLarge: "body_too_large", http.StatusNotImplemented: "unsupported_body",
		}[r.status]
		if code == "" {
			code = "not_signed"
		}
		return newCallError(r.status, code, r.err.Error()).because(err)
	}
	he, _ := errors.AsType[caddyhttp.HandlerError](handlerError(err))
	switch he.StatusCode {
	case http.StatusBadGateway:
		return newCallError(he.StatusCode, "no_answer", "the service does not answer, or may not be connected to: the operator's log says why").because(err)
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return newCallError(he.StatusCode, "no_answer", "the service does not answer in time, or there is none").because(err)
	}
	return newCallError(he.StatusCode, "server_error", "something went wrong here: the operator's log says what").because(err)
}

// credentialsCallError says why a connection has no credentials: what AWS answered, and what that means
// most likely.
func credentialsCallError(c *credentials.Error) *callError {
	x := explain(c)
	text := "there are no credentials for the connection: " + x.message
	if x.Code != "" {
		text = "there are no credentials for the connection: AWS answered " + x.Code
		if x.message != "" {
			text += ", " + strconv.Quote(x.message)
		}
	}
	if x.Cause != "" {
		text += "; " + x.Cause + ": " + x.Remedy
	}
	e := newCallError(credentialsStatus(c), "credentials_unavailable", text).because(c)
	if e.status == http.StatusServiceUnavailable {
		e.retryAfter = 5 * time.Second
	}
	return e
}

// body is what the caller gets.
func (e *callError) body() []byte {
	text, err := json.Marshal(map[string]any{"error": map[string]string{"code": e.code, "message": e.message}})
	if err != nil {
		panic(err) // It consists of texts.
	}
	return append(text, '\n')
}

// head sets the headers that go with the body.
func (e *callError) head(h http.Header) {
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	if e.status == http.StatusUnauthorized {
		h.Set("Www-Authenticate", `Bearer realm="aws_sigv4"`)
	}
	if e.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.retryAfter.Seconds()))))
	}
}

// refuseCall answers a call that was not made, unless the server has error routes, which have the say
// then.
func refuseCall(w http.ResponseWriter, r *http.Request, logger *zap.Logger, err error) error {
	answerBeforeBody(w, r)
	e := asCallError(err)
	level := zapcore.DebugLevel
	if e.status >= http.StatusInternalServerError {
		level = zapcore.ErrorLevel
	}
	if c := logger.Check(level, "call not made"); c != nil {
		c.Write(append([]zap.Field{zap.Int("status", e.status), zap.String("error_code", e.code), zap.Error(err)}, explanationFields(err)...)...)
	}
	e.head(w.Header())
	if hasErrorRoutes(r) {
		w.Header().Del("Content-Type") // It is theirs; the rest they have no way to know.
		return caddyhttp.Error(e.status, err)
	}
	w.WriteHeader(e.status)
	_, _ = w.Write(e.body()) //nolint:gosec // JSON, which no browser takes for a page
	return nil
}

// hasErrorRoutes says whether the operator has a say in what errors look like.
func hasErrorRoutes(r *http.Request) bool {
	srv, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return srv == nil || srv.Errors != nil && len(srv.Errors.Routes) > 0
}
