package awssigv4

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
)

func TestCallErrors(t *testing.T) {
	wrapped := func(err error) error {
		return &credentials.Error{Label: "connection x", Err: fmt.Errorf("why: %w", err)}
	}
	for _, tt := range []struct {
		err        error
		status     int
		code       string
		retryAfter string
	}{
		{connect.ErrNotFound, 404, "unknown_connection", ""},
		{wrapped(connect.ErrNotFound), 404, "unknown_connection", ""},
		{wrapped(connect.ErrPaused), 403, "connection_paused", ""},
		{wrapped(connect.ErrExhausted), 424, "connection_refresh_exhausted", ""},
		{connect.ErrUnavailable, 503, "storage_unavailable", "5"},
		{connect.ErrDamaged, 500, "server_error", ""},
		{wrapped(errors.New("x")), 502, "credentials_unavailable", ""},
		{refuse(http.StatusForbidden, "x"), 403, "not_permitted", ""},
		{refuse(http.StatusRequestEntityTooLarge, "x"), 413, "body_too_large", ""},
		{errFraming, 501, "unsupported_body", ""},
		{errNotReplayable, 502, "no_answer", ""},
		{caddyhttp.Error(http.StatusServiceUnavailable, errors.New("no upstreams available")), 503, "no_answer", ""},
		{caddyhttp.Error(http.StatusGatewayTimeout, errors.New("timeout")), 504, "no_answer", ""},
		{errors.New("x"), 500, "server_error", ""},
		{&callError{status: 429, code: "too_many_request", message: "m", retryAfter: 1500 * time.Millisecond}, 429, "too_many_request", "2"},
	} {
		e := asCallError(tt.err)
		h := make(http.Header)
		e.head(h)
		var body struct {
			Error struct{ Code, Message string }
		}
		if err := json.Unmarshal(e.body(), &body); err != nil || e.status != tt.status || body.Error.Code != tt.code || body.Error.Message == "" || h.Get("Retry-After") != tt.retryAfter {
			t.Errorf("%v is %d %s with Retry-After %q; want %d %s %q", tt.err, e.status, e.body(), h.Get("Retry-After"), tt.status, tt.code, tt.retryAfter)
		}
	}
}
