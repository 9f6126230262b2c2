package awssigv4

import (
	"errors"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
)

// explanation is why credentials are missing and what to do about it, in words
// for logs, error routes and status. It holds no secret.
type explanation struct {
	// Failing is the identity whose fetch failed: the one that was asked for, or
	// a broker on its way.
	Failing string `json:"failing,omitempty"`

	// Code and RequestID are what AWS answered, if it did.
	Code      string `json:"code,omitempty"`
	RequestID string `json:"request_id,omitempty"`

	// Cause is the likeliest cause, and Remedy what to do then; empty if the
	// message says it all.
	Cause  string `json:"cause,omitempty"`
	Remedy string `json:"remedy,omitempty"`

	// OtherCauses are less likely, each with its remedy.
	OtherCauses []string `json:"other_causes,omitempty"`

	message string
}

func explain(err *credentials.Error) explanation {
	x := err.Explain()
	likely := x.Likeliest()
	e := explanation{
		Failing:   err.Failing(),
		Code:      x.Code,
		RequestID: x.RequestID,
		Cause:     likely.Why,
		Remedy:    likely.Remedy,
		message:   x.Message,
	}
	for _, other := range x.Others() {
		e.OtherCauses = append(e.OtherCauses, other.String())
	}
	return e
}

// explanationFields are the fields that a log line about err has besides err,
// which names identity and message. There are none if err is not about
// credentials, or says it all.
func explanationFields(err error) []zap.Field {
	c, ok := errors.AsType[*credentials.Error](err)
	if !ok {
		return nil
	}
	var fields []zap.Field
	e := explain(c)
	for _, f := range []struct{ name, value string }{
		{"code", e.Code},
		{"request_id", e.RequestID},
		{"cause", e.Cause},
		{"remedy", e.Remedy},
	} {
		if f.value != "" {
			fields = append(fields, zap.String(f.name, f.value))
		}
	}
	if len(e.OtherCauses) > 0 {
		fields = append(fields, zap.Strings("other_causes", e.OtherCauses))
	}
	return fields
}

// tellErrorRoutes sets the placeholders `{http.aws_sigv4.error.*}`, all of them:
// one that is not known would be left as it is written. nameOf finds the name of
// an identity by its key.
func tellErrorRoutes(repl *caddy.Replacer, err error, nameOf func(key string) string) {
	if repl == nil {
		return
	}
	e, name, reason := explanation{message: err.Error()}, "", ""
	if c, ok := errors.AsType[*callError](err); ok {
		reason = c.code
	}
	if c, ok := errors.AsType[*credentials.Error](err); ok {
		e, name = explain(c), nameOf(c.FailingKey())
	}
	for name, value := range map[string]string{
		"identity":   e.Failing,
		"name":       name,
		"code":       e.Code,
		"message":    e.message,
		"request_id": e.RequestID,
		"cause":      e.Cause,
		"remedy":     e.Remedy,
		"reason":     reason,
	} {
		repl.Set("http.aws_sigv4.error."+name, value)
	}
}
