package sts

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// Error is a call that did not succeed. It holds no secret: what AWS repeats of a request, such as
// the session token in the canonical request of a wrong signature, is cut out.
type Error struct {
	// Code is AWS's word for what is wrong, for example "AccessDenied"; empty if no answer of
	// AWS came.
	Code string

	// Message is AWS's explanation, or why no answer came.
	Message string

	// RequestID is what AWS's support asks for; empty if AWS sent none.
	RequestID string

	// Status is the HTTP status; 0 if no answer came.
	Status int

	retryable bool
	cause     error
}

// Error returns code, message, status and request ID, as far as they are known.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("AssumeRole: ")
	if e.Code != "" {
		b.WriteString(e.Code + ": ")
	}
	b.WriteString(e.Message)
	switch {
	case e.Status != 0 && e.RequestID != "":
		fmt.Fprintf(&b, " (HTTP %d, request ID %s)", e.Status, e.RequestID)
	case e.Status != 0:
		fmt.Fprintf(&b, " (HTTP %d)", e.Status)
	}
	return b.String()
}

// Unwrap returns context.Canceled or context.DeadlineExceeded if one of them ended the call, else
// nil: other causes are in the text, and errors of the AWS SDK may hold more than is fit to print.
func (e *Error) Unwrap() error { return e.cause }

// Retryable says whether the same call may succeed later with nothing changed: no answer came, AWS
// throttled it, or AWS itself failed.
func (e *Error) Retryable() bool { return e.retryable }

// newError tells what an error of the AWS SDK means, without the secrets of the credentials that
// the call was signed with.
func newError(err error, from sigv4.Credentials) *Error {
	e := &Error{}
	for _, c := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, c) {
			e.cause = c
		}
	}
	if r, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		e.Status, e.RequestID = r.HTTPStatusCode(), r.ServiceRequestID()
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		e.Code, e.Message = api.ErrorCode(), api.ErrorMessage()
		_, throttled := retry.DefaultThrottleErrorCodes[e.Code]
		_, retried := retry.DefaultRetryableErrorCodes[e.Code]
		e.retryable = throttled || retried
	} else {
		e.Message = err.Error()
		e.retryable = e.Status == 0
	}
	e.retryable = e.retryable || e.Status == 429 || e.Status >= 500
	e.Message = printable(e.Message, from)
	return e
}

// printable returns a message in one line of bounded length, without secrets.
func printable(msg string, from sigv4.Credentials) string {
	for _, secret := range []string{from.SessionToken, from.SecretAccessKey} {
		if secret != "" {
			msg = strings.ReplaceAll(msg, secret, "[redacted]")
		}
	}
	// The canonical request that follows has more of what was sent than anyone needs.
	msg, _, _ = strings.Cut(msg, "\n\nThe Canonical String")
	msg = strings.Join(strings.Fields(msg), " ")
	if most := 1000; len(msg) > most {
		msg = strings.ToValidUTF8(msg[:most], "") + "…"
	}
	return msg
}
