package sts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Error is a call that did not succeed. It holds no secret: what AWS repeats of a request, such as
// the session token in the canonical request of a wrong signature, is cut out.
type Error struct {
	// Operation is the call, for example "AssumeRole"; empty if it is not known.
	Operation string

	// Code is AWS's word for what is wrong, for example "AccessDenied"; empty if no answer of
	// AWS came.
	Code string

	// Message is AWS's explanation, or why no answer came.
	Message string

	// RequestID is what AWS's support asks for; empty if AWS sent none.
	RequestID string

	// Status is the HTTP status; 0 if no answer came.
	Status int

	// Known is what was known about the call.
	Known Known

	retryable bool
	ofSTS     bool // the call was one of STS
	answered  bool // by STS itself, with its code
	cause     error
}

// Error returns operation, code, message, status and request ID, as far as they are known.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Operation != "" {
		b.WriteString(e.Operation + ": ")
	}
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

const unknownError = "UnknownError"

// NewError tells what an error of the AWS SDK means. The secrets are those that the call was made
// with; they are cut out of the message.
func NewError(err error, secrets ...string) *Error {
	e := &Error{Message: err.Error()}
	for _, c := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, c) {
			e.cause, e.retryable = c, true
		}
	}
	if op, ok := errors.AsType[*smithy.OperationError](err); ok {
		e.Operation, e.Message = op.Operation(), op.Unwrap().Error()
		e.ofSTS = op.Service() == sts.ServiceID
	}
	if send, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		e.Message, e.retryable = send.Err.Error(), true
	}
	if read, ok := errors.AsType[*smithy.DeserializationError](err); ok {
		e.Message = fmt.Sprintf("the answer can't be read (%v): is this the endpoint of STS?", read.Err)
		if _, ok := errors.AsType[net.Error](read.Err); ok || errors.Is(read.Err, io.ErrUnexpectedEOF) {
			e.Message, e.retryable = fmt.Sprintf("the answer broke off (%v)", read.Err), true
		}
	}
	if r, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		e.Status, e.RequestID = r.HTTPStatusCode(), r.ServiceRequestID()
		if r.Response != nil {
			e.Known.Skew = skew(r.Response.Header.Get("Date"), time.Now())
		}
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		e.Code, e.Message = api.ErrorCode(), api.ErrorMessage()
		if e.Code == unknownError {
			// The SDK's word for an answer that it cannot read, such as a proxy's page.
			e.Code, e.Message = "", "the answer is not one of AWS: is a proxy in between, or another service at this endpoint?"
		}
		e.answered = e.ofSTS && e.Code != ""
		_, throttled := retry.DefaultThrottleErrorCodes[e.Code]
		_, retried := retry.DefaultRetryableErrorCodes[e.Code]
		e.retryable = e.retryable || throttled || retried
	}
	e.retryable = e.retryable || e.Status == http.StatusTooManyRequests || e.Status >= http.StatusInternalServerError
	e.Message = printable(e.Message, secrets)
	return e
}

// redact cuts a secret out of a message. A short one is cut out only where it stands for itself: an
// External ID of two letters is in half of all words.
func redact(msg, secret string) string {
	const mark = "[redacted]"
	switch {
	case secret == "":
		return msg
	case len(secret) >= 8:
		return strings.ReplaceAll(msg, secret, mark)
	}
	var b strings.Builder
	for i := 0; i < len(msg); {
		end := i + len(secret)
		if strings.HasPrefix(msg[i:], secret) && (i == 0 || !isWordByte(msg[i-1])) && (end == len(msg) || !isWordByte(msg[end])) {
			b.WriteString(mark)
			i = end
			continue
		}
		b.WriteByte(msg[i])
		i++
	}
	return b.String()
}

func isWordByte(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf
}

// printable returns a message in one line of bounded length, without secrets.
func printable(msg string, secrets []string) string {
	for _, secret := range secrets {
		msg = redact(msg, secret)
	}
	// The canonical request that follows has more of what was sent than anyone needs.
	msg, _, _ = strings.Cut(msg, "\n\nThe Canonical String")
	msg = strings.Join(strings.Fields(msg), " ")
	if most := 1000; len(msg) > most {
		msg = strings.ToValidUTF8(msg[:most], "") + "…"
	}
	return msg
}
