package web

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// maxBody is how many bytes a request's body may have.
const maxBody = 64 << 10

// call answers a call of the API with a status and what to encode as JSON, nil for nothing.
type call func(r *http.Request) (status int, body any, err error)

// api registers a call. See crossOrigin for what browsers are told of other origins.
func (h *Handler) api(pattern string, answer call) {
	h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if !h.confidential(r) && !private(r) {
			writeError(w, refuse(http.StatusForbidden, "https_required", "secrets are taken by HTTPS only"))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		status, body, err := answer(r)
		switch {
		case err != nil:
			e := asAPIError(err)
			if e.cause != nil {
				h.options.Report(e.cause)
			}
			writeError(w, e)
		case body == nil:
			w.WriteHeader(status)
		default:
			writeJSON(w, status, body)
		}
	})
}

// byKey has a call answered with the key of the caller, if that has one of the scopes.
func (h *Handler) byKey(answer func(*http.Request, *Key) (int, any, error), scopes ...Scope) call {
	return func(r *http.Request) (int, any, error) {
		secret, err := bearer(r.Header)
		if err != nil {
			return 0, nil, unauthorized(err)
		}
		key := h.keys.find(secret)
		switch {
		case key == nil:
			return 0, nil, refuse(http.StatusUnauthorized, "unknown_account", "this is no API key of ours")
		case !slices.ContainsFunc(scopes, key.may):
			return 0, nil, forbidden(key, scopes...)
		}
		return answer(r.WithContext(connect.WithActor(r.Context(), key.Name)), key)
	}
}

// byToken has a call answered with the token that the caller shows.
func (h *Handler) byToken(answer func(context.Context, string) (int, any, error)) call {
	return func(r *http.Request) (int, any, error) {
		token, err := bearer(r.Header)
		switch {
		case err != nil:
			return 0, nil, unauthorized(err)
		case !connect.IsToken(token):
			return 0, nil, errTokenFormat
		}
		status, body, err := answer(r.Context(), token)
		if errors.Is(err, connect.ErrNotFound) {
			err = errUnknownToken
		}
		return status, body, err
	}
}

func unauthorized(err error) *apiError {
	code := "malformed_auth_header"
	if errors.Is(err, errNoAuthorization) {
		code = "missing_auth_header"
	}
	return refuse(http.StatusUnauthorized, code, err.Error())
}

// body reads a request's body as a JSON object.
func body(r *http.Request) (*fields, error) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return nil, refuse(http.StatusUnsupportedMediaType, "invalid_content_type", "send the body as application/json")
	}
	data, err := io.ReadAll(r.Body)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, refuse(http.StatusRequestEntityTooLarge, "body_too_large", "the body has more than 64 KiB")
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "invalid_body", "the body broke off")
	}
	f := readFields(data)
	if len(*f.problems) > 0 {
		return nil, invalidBody(*f.problems...) // Of what can't be read, nothing is missing.
	}
	return f, nil
}

// timestamp is a time as the API writes it.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
