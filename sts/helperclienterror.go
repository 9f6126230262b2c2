package sts

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/dial"
)

// HelperError is a call of an STS helper that got no credentials. It is not an Error: what a helper
// says is its own word and not AWS's, even if it repeats AWS's codes. It holds no secret.
type HelperError struct {
	// Host is the helper's host, with its port if the URL has one.
	Host string

	// Status is the HTTP status; 0 if no answer came.
	Status int

	// Code is the helper's word for what is wrong, for example "invalid_api_key"; empty if it has
	// none.
	Code string

	// Message is what else the helper says, or why no answer came.
	Message string

	// RequestID is what the helper, or AWS through it, calls the request; empty if it is not known.
	RequestID string

	awsCode   string // AWS's word, if the helper passes one on
	hint      string
	authSent  bool
	known     Known
	retryable bool
	cause     error
}

// Error returns host, status, code, message and request ID, as far as they are known, and what to do.
func (e *HelperError) Error() string {
	text := e.said()
	if e.RequestID != "" {
		text += " (request ID " + e.RequestID + ")"
	}
	if e.hint != "" {
		text += ": " + e.hint
	}
	return text
}

// said returns host, status, code and message.
func (e *HelperError) said() string {
	parts := []string{"STS helper " + e.Host}
	if e.Status != 0 {
		parts = append(parts, fmt.Sprintf("HTTP %d", e.Status))
	}
	for _, p := range []string{e.Code, e.Message} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns context.Canceled or context.DeadlineExceeded if one of them ended the call, else nil.
func (e *HelperError) Unwrap() error { return e.cause }

// Retryable says whether the same call may succeed later with nothing changed: no answer came, AWS failed
// or throttled by the word that the helper passes on, or, without such a word, the helper answered 408, 429
// or 5xx. Its 502 with "assume_role_failed" or "sts_missing_credentials" does not pass by itself.
func (e *HelperError) Retryable() bool { return e.retryable }

const helperAnswers = `it answers {"accessKeyId":"…","secretAccessKey":"…","sessionToken":"…","expiresAt":"2006-01-02T15:04:05Z"}`

// refusal is the error of an answer whose status is not 2xx.
func (c *HelperClient) refusal(res *http.Response, told *teller, body []byte) *HelperError {
	e := told.answer(res, body)
	e.Host, e.authSent, e.known = c.Host(), c.auth.header != "", told.known
	e.retryable = e.isTemporary()
	switch status := res.StatusCode; {
	case status >= 300 && status < 400:
		e.awsCode = ""
		e.Code, e.Message = "", "it redirects"+redirectsTo(c.url, res)
		e.hint = "redirects are not followed, as they would take secrets elsewhere: write the URL where it is"
	case status == http.StatusUnauthorized && c.auth.header == "":
		e.hint = "nothing was sent to authenticate: write api_key, basic, bearer or client_certificate"
	case status == http.StatusUnauthorized:
		e.hint = "write the key, password or token that it knows"
	case e.awsCode != "", e.Code == helperNotPermitted:
		// AWS's word or the helper's own says who refuses.
	case e.Code == helperHTTPSRequired:
		e.hint = "write https:// in the URL"
	case status == http.StatusForbidden:
		e.hint = "it, or AWS, does not permit this role and External ID to this caller"
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		e.hint = "write the full URL; with many helpers its path is /assume-role"
	case status < 500 && status != http.StatusTooManyRequests && e.Code == "" && e.Message == "":
		e.Message, e.hint = "it does not say why", "is this the URL of an STS helper?"
	}
	return e
}

// refusedAnswer is the error of an answer with a status of 2xx that holds no credentials.
func (c *HelperClient) refusedAnswer(res *http.Response, told *teller, body []byte, problem string) *HelperError {
	e := told.answer(res, body)
	e.Host, e.hint, e.awsCode = c.Host(), helperAnswers, ""
	said := strings.Trim(e.Code+": "+e.Message, ": ")
	if e.Code, e.Message = "", problem; said != "" {
		e.Message += ", and says: " + said
	}
	return e
}

// redirectsTo tells where to, but for what may be secret in it.
func redirectsTo(from *url.URL, res *http.Response) string {
	to, err := res.Location()
	switch {
	case err != nil || to.Host == "":
		return ""
	case to.Scheme == from.Scheme && to.Host == from.Host:
		return " to another path"
	}
	return fmt.Sprintf(" to %s://%s", (&teller{}).clean(to.Scheme, 20), (&teller{}).clean(to.Host, 100))
}

// noAnswer is the error if no answer came, or not all of it.
func (c *HelperClient) noAnswer(ctx context.Context, told *teller, err error) *HelperError {
	e := &HelperError{Host: c.Host(), retryable: true}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // The URL's query may be secret.
	}
	e.Message = told.clean(err.Error(), 300)
	switch ended := ctx.Err(); {
	case errors.Is(ended, context.DeadlineExceeded), isTimeout(err):
		e.cause, e.Message = context.DeadlineExceeded, fmt.Sprintf("no answer came within %v", c.timeout.Round(time.Millisecond))
	case ended != nil:
		e.cause, e.Message = context.Canceled, "the call was given up"
	}
	if refused, ok := errors.AsType[*dial.Error](err); ok {
		e.Message, e.retryable = refused.Error(), false
	}
	if elsewhere, ok := errors.AsType[*notLoopbackError](err); ok {
		e.Message, e.retryable = elsewhere.Error(), false
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		e.retryable, e.hint = false, "write `ca FILE` if its certificate comes from a private CA"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" { // A TLS alert.
		e.retryable, e.hint = false, "does it ask for a client certificate? write the right `client_certificate FILE KEYFILE`"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || strings.Contains(e.Message, "server gave HTTP response to HTTPS client") {
		e.retryable, e.hint = false, "there is no TLS at this port: write the port of https"
	}
	if _, ok := errors.AsType[*certificateError](err); ok {
		e.retryable = false
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" && e.retryable && isThisMachine(c.url.Hostname()) {
		e.hint = fmt.Sprintf("see that the helper runs and listens there; in a container %s is the container itself: write the address that the helper has for it", c.url.Hostname())
	}
	return e
}

// certificateError is a client certificate that can't be shown.
type certificateError struct{ err error }

func (e *certificateError) Error() string { return "client certificate: " + e.err.Error() }
func (e *certificateError) Unwrap() error { return e.err }

// isTimeout says whether connecting alone took too long.
func isTimeout(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

// teller repeats what an answer says, as far as that is fit for logs.
type teller struct {
	role    string
	secrets []string
	known   Known
}

// longWord finds what may be a secret: keys and tokens are long, and in one piece.
var longWord = regexp.MustCompile(`[A-Za-z0-9+/=]{40,}|[A-Za-z0-9+/_=-]{80,}`)

// clean returns a text in one line, with at most so many bytes, and without what is secret or may be.
func (t *teller) clean(text string, most int) string {
	for _, s := range t.secrets {
		text = redact(text, s)
	}
	text = longWord.ReplaceAllStringFunc(text, func(w string) string {
		if strings.Contains(t.role, w) {
			return w
		}
		return "[redacted]"
	})
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
