package awssigv4

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/payload"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// refusal is a request that is not signed for a reason that lies in the
// request itself. It says nothing about the upstream's health.
type refusal struct {
	status int
	err    error
}

func refuse(status int, format string, args ...any) error {
	return &refusal{status: status, err: fmt.Errorf(format, args...)}
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// asRefusal finds out whether err is the client's doing, and its status.
func asRefusal(err error) (*refusal, bool) {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r, true
	}
	if c, ok := errors.AsType[*callError](err); ok {
		return &refusal{c.status, c}, true
	}
	if t, ok := errors.AsType[*sigv4.TargetError](err); ok {
		return &refusal{http.StatusBadRequest, t}, true
	}
	if p, ok := errors.AsType[*payload.Error](err); ok && p.Status < 500 {
		return &refusal{p.Status, p}, true
	}
	return nil, false
}

// handlerError gives err the status with which Caddy's error routes see it.
func handlerError(err error) error {
	if r, ok := asRefusal(err); ok {
		return caddyhttp.Error(r.status, r)
	}
	if c, ok := errors.AsType[*credentials.Error](err); ok {
		return caddyhttp.Error(credentialsStatus(c), c)
	}
	if p, ok := errors.AsType[*payload.Error](err); ok {
		return caddyhttp.Error(p.Status, p)
	}
	return caddyhttp.Error(http.StatusInternalServerError, err)
}

// answerBeforeBody lets a client have the error that waits for "100 Continue"
// before it sends its body. net/http would see that it waits, had Caddy not put
// a reader of its own around the body; as it is, it reads the body first, which
// does not come before the answer. Unless the connection is to be closed.
func answerBeforeBody(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 && strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		w.Header().Set("Connection", "close")
	}
}

// clientText is what the client is told about a refusal. What it can mend is
// explained; what is the operator's business is in the log.
func (r *refusal) clientText() string {
	switch r.status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusNotImplemented:
		return r.Error() + "\n"
	}
	return http.StatusText(r.status) + "\n"
}

// answerOrError explains to the client what it can mend, unless the server has
// error routes, which have the say then. Without them Caddy answers an error
// with a status alone.
func answerOrError(w http.ResponseWriter, r *http.Request, logger *zap.Logger, err error) error {
	answerBeforeBody(w, r)
	refused, ok := asRefusal(err)
	if !ok {
		return handlerError(err)
	}
	srv, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if srv == nil || srv.Errors != nil && len(srv.Errors.Routes) > 0 {
		return handlerError(err)
	}
	if c := logger.Check(zapcore.DebugLevel, "request not signed"); c != nil {
		c.Write(zap.Int("status", refused.status), zap.Error(refused))
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(refused.status)
	_, _ = io.WriteString(w, refused.clientText()) //nolint:gosec // plain text, which no browser takes for a page
	return nil
}

// credentialsStatus is 503 for what may pass by itself and 502 for what won't.
func credentialsStatus(err *credentials.Error) int {
	if err.Temporary() {
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}

// unsent is what the transport returns if it has no credentials: a dial error,
// so that reverse_proxy tries the next upstream whatever the method, and a
// handler error, so that the client gets the fitting status if there is none.
type unsent struct {
	dial   reverseproxy.DialError
	status caddyhttp.HandlerError
}

func newUnsent(err error) error {
	he, _ := errors.AsType[caddyhttp.HandlerError](handlerError(err))
	return unsent{dial: reverseproxy.NewDialError(err), status: he}
}

func (u unsent) Error() string   { return u.dial.Error() }
func (u unsent) Unwrap() []error { return []error{u.dial, u.status} }

// fieldError names the JSON field that err is about.
func fieldError(path string, err error) error {
	return fmt.Errorf("%s: %w", path, err)
}
