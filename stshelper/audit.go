package stshelper

import (
	"errors"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// Outcome is how a call ended.
type Outcome string

// The outcomes.
const (
	Issued          Outcome = "issued"          // credentials were handed out
	Probed          Outcome = "probed"          // a probe was made
	Unauthenticated Outcome = "unauthenticated" // no key of ours
	Invalid         Outcome = "invalid"         // what was sent makes no sense
	Refused         Outcome = "refused"         // the key may not; AWS was not asked
	Denied          Outcome = "denied"          // AWS refused
	Abandoned       Outcome = "abandoned"       // the caller hung up before there was an answer
	Failed          Outcome = "failed"          // neither the caller nor the role is at fault
)

// Entry is one line of the audit log. It holds no secret, and no External ID in clear.
type Entry struct {
	// Endpoint is the path that was asked, without the key's name.
	Endpoint string

	// Key is the name of the caller's key, empty if it has none, and Secret which of the key's
	// secrets it showed, counted from 1.
	Key    string
	Secret int

	// RoleARN is the role that was asked for, once it is known to be one.
	RoleARN string

	// ExternalID stands for the one that was sent: equal ones have equal seals as long as the
	// process runs. Empty if there was none.
	ExternalID string

	// Region is whose STS was asked; empty if the client of STS chooses.
	Region string

	// Service is what the caller said it would call.
	Service string

	// Outcome is how the call ended, with the HTTP status of the answer.
	Outcome Outcome
	Status  int

	// Cached says that the session was begun for an earlier call.
	Cached bool

	// AccessKeyID and Expires are of the credentials that were handed out. CloudTrail shows the
	// access key ID both where it was issued and where it is used.
	AccessKeyID string
	Expires     time.Time

	// Probe is what a probe found out.
	Probe string

	// Code and RequestID are AWS's, if it refused.
	Code, RequestID string

	// Message is what the caller was told, and Err the cause if there is more to say. Advice is the
	// likeliest reason for AWS's refusal, and what to do about it.
	Message string
	Err     error
	Advice  string
}

// asks notes what a caller asks for, which is of the right form.
func (e *Entry) asks(q question) {
	e.RoleARN = q.roleARN
	if q.externalID != "" {
		e.ExternalID = credentials.Sealed(q.externalID)[:16]
	}
	if len(q.service) <= 64 {
		e.Service = q.service
	}
}

// fail notes why a caller got nothing.
func (e *Entry) fail(f *failure) {
	e.Outcome, e.Status = f.outcome, f.status
	e.Code, e.RequestID = f.code, f.requestID
	e.Message, e.Err = f.message, f.cause
	if se, ok := errors.AsType[*sts.Error](f.cause); ok {
		if likeliest := se.Explain().Likeliest(); likeliest.Why != "" {
			e.Advice = likeliest.String()
		}
	}
}
