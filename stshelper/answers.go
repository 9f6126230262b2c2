package stshelper

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// failure is an answer that gives nothing.
type failure struct {
	status  int
	word    string // "error" in the body
	field   string // which part of the request is meant
	message string // for the caller
	outcome Outcome

	code, requestID string // AWS's
	retryAfter      int    // seconds; 0 says nothing
	cause           error  // for the audit log alone

	container bool // whether an SDK asks for container credentials
}

// body is what a failure looks like: a stable word, and what else is known. SDKs that ask for container
// credentials show code and message, so that there both are always filled.
func (f *failure) body() any {
	code, message := f.code, f.message
	if f.container {
		if code == "" {
			code = f.word
		}
		if message == "" {
			message = strings.ReplaceAll(f.word, "_", " ")
		}
	}
	return struct {
		Error     string `json:"error"`
		Field     string `json:"field,omitempty"`
		Code      string `json:"code,omitempty"`
		Message   string `json:"message,omitempty"`
		RequestID string `json:"requestId,omitempty"`
	}{f.word, f.field, code, message, f.requestID}
}

func writeFailure(w http.ResponseWriter, f *failure) {
	if f.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.retryAfter))
	}
	writeJSON(w, f.status, f.body())
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	// A caller that is gone gets nothing.
	_ = enc.Encode(body)
}

// brokerFaults are AWS's words for what is wrong with the broker's credentials or clock, which the
// caller has no part in.
var brokerFaults = []string{
	"ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InvalidAccessKeyId", "InvalidClientTokenId",
	"InvalidSignatureException", "MissingAuthenticationToken", "RequestExpired", "RequestTimeTooSkewed",
	"SignatureDoesNotMatch", "UnrecognizedClientException",
}

// explain makes an answer of the cache's error: 4xx if AWS refused what the caller asked for, 503 if the
// same may succeed later, 502 if the operator has to do something.
func explain(err error) *failure {
	f := &failure{word: "assume_role_failed", outcome: Failed, cause: err}
	unavailable := func(message string) *failure {
		f.status, f.message = http.StatusBadGateway, message+"; the log of the helper says more"
		ce, ok := errors.AsType[*credentials.Error](err)
		if !ok || ce.Temporary() {
			f.status = http.StatusServiceUnavailable
			f.retryAfter = retryAfter(ce)
		}
		return f
	}
	ce, ok := errors.AsType[*credentials.Error](err)
	if !ok {
		return unavailable("the helper is not ready")
	}
	if _, ofBroker := ce.Err.(*credentials.Error); ofBroker { //nolint:errorlint // only the very cause
		return unavailable("the helper's broker has no credentials at the moment")
	}
	if crowded, ok := errors.AsType[*credentials.CrowdedError](ce.Err); ok {
		f.status, f.word, f.outcome, f.retryAfter = http.StatusTooManyRequests, "too_many_requests", Refused, 1
		f.message = fmt.Sprintf("%d sessions are being fetched for this key: wait for some of them", crowded.Limit)
		return f
	}
	if ce.Busy() {
		return unavailable("the helper is busy")
	}
	se, ok := errors.AsType[*sts.Error](ce.Err)
	if !ok {
		return unavailable("STS did not answer")
	}
	f.code, f.requestID = se.Code, se.RequestID
	switch {
	case se.Retryable():
		return unavailable("STS did not answer, or asked to be called less often")
	case se.Code == "" && se.Status == http.StatusOK:
		f.word = "sts_missing_credentials"
		return unavailable("STS answered without credentials")
	case se.Code == "" || se.Status < 400 || se.Status >= 500:
		return unavailable("STS gave no answer that can be understood")
	case slices.Contains(brokerFaults, se.Code):
		return unavailable("AWS does not accept the helper's broker")
	}
	f.status, f.outcome, f.message = se.Status, Denied, se.Message
	if f.status == http.StatusUnauthorized {
		// That word belongs to the caller's own key here.
		f.status = http.StatusForbidden
	}
	return f
}

// statusAbandoned is what servers log, since nginx did, of callers that hung up. No caller sees it.
const statusAbandoned = 499

// abandoned is the failure of a call whose caller is gone.
func abandoned(err error) *failure {
	return &failure{status: statusAbandoned, word: "abandoned", outcome: Abandoned, message: "the caller hung up before there was an answer", cause: err}
}

// retryAfter is when the cache asks again: its pauses double from a second to a minute.
func retryAfter(err *credentials.Error) int {
	if err == nil || err.Attempts < 1 {
		return 1
	}
	return min(60, 1<<min(err.Attempts-1, 6))
}

// crossOrigin serves browsers of allowed origins, and tells whether that was all there is to answer.
func (h *Handler) crossOrigin(w http.ResponseWriter, r *http.Request, methods []string) bool {
	if len(h.origins) == 0 {
		return false
	}
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if !h.origins[origin] {
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	w.Header().Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
	w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Api-Key")
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// Error makes a failure an error for tests and logs.
func (f *failure) Error() string { return fmt.Sprintf("%d %s %s", f.status, f.word, f.message) }
