package sts

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// ProbeSessionName is the name of every session that a probe begins, so that the role's owner knows it
// in CloudTrail.
const ProbeSessionName = "external-id-check"

// Outcome is what a probe found out.
type Outcome string

// The outcomes of a probe.
const (
	// Proven: the role can be assumed with the right External ID, and with no other.
	Proven Outcome = "proven"

	// Unproven: something else than the trust policy decided, so nothing is known.
	Unproven Outcome = "unproven"

	// Open: the role can be assumed with a wrong External ID or without one, so whoever has the
	// broker assume roles can reach it.
	Open Outcome = "open"
)

// ProbeResult is what Probe returns. It holds no secret.
type ProbeResult struct {
	Outcome Outcome

	// Reason says why, and what to do unless the outcome is Proven. It is one sentence without a
	// full stop.
	Reason string

	// Finding is Reason without the error Err that decided, if one did, for those who are not to
	// read what an error says of the broker or of the network.
	Finding string
	Err     error

	// Steps are the calls that were made, in their order.
	Steps []ProbeStep
}

// ProbeStep is one call of a probe.
type ProbeStep struct {
	// Sent is which External ID was sent: "right", "wrong", "none" or "right again".
	Sent string

	// Answer is "granted", "denied" by the role's trust policy, or "unclear".
	Answer string

	// Code and RequestID are AWS's; empty if it sent none.
	Code, RequestID string
}

// Assumer assumes a role with an External ID, or without one if that is empty, lets go of the
// credentials at once, and says whether it worked. It makes a call of its own every time, always as
// the same broker and in the same region. Only an *Error that AWS's own STS answered says that a role
// denied it.
type Assumer func(ctx context.Context, externalID string) error

// Assumer returns the assumer of a role for Probe. Session name and duration, the shortest there is, are
// the probe's own; everything else is as in the calls that it stands for.
func (c *Client) Assumer(from sigv4.Credentials, in AssumeRoleInput) Assumer {
	in.SessionName, in.Duration = ProbeSessionName, MinDuration
	return func(ctx context.Context, externalID string) error {
		in := in
		in.ExternalID = externalID
		_, _, err := c.AssumeRole(ctx, from, in)
		return err
	}
}

// Probe finds out whether a role's trust policy asks for this External ID: the right one is accepted,
// a fresh wrong one is not, none is not, and the right one still is. Only a refusal by STS itself
// for the trust policy's sake counts as one; throttling, an organisation's policy, a refusal by a
// helper or anything else leave it unproven. If anything but the right ID is accepted, the role is
// open, whatever else went wrong. It takes up to four calls and is for the moment when a role is
// connected, and for when somebody asks.
func Probe(ctx context.Context, assume Assumer, externalID string) ProbeResult {
	var r ProbeResult
	if err := CheckExternalID(externalID); err != nil {
		return r.end(Unproven, err, "there is no External ID to prove")
	}
	if step, err := r.try(ctx, assume, "right", externalID); step.Answer != granted {
		return r.end(Unproven, err, "the role can't be assumed with the right External ID")
	}
	wrong, wrongErr := r.try(ctx, assume, "wrong", wrongExternalID())
	if wrong.Answer == granted {
		return r.end(Open, nil, "the role was assumed with a wrong External ID: its trust policy has to ask for the right one, with the condition StringEquals on sts:ExternalId")
	}
	none, noneErr := r.try(ctx, assume, "none", "")
	switch {
	case none.Answer == granted:
		return r.end(Open, nil, "the role was assumed without an External ID: its trust policy has to ask for one in every statement that trusts the broker, with StringEquals and not StringEqualsIfExists on sts:ExternalId")
	case wrong.Answer == unclear:
		return r.end(Unproven, wrongErr, "with a wrong External ID, something else than the trust policy decided")
	case none.Answer == unclear:
		return r.end(Unproven, noneErr, "without an External ID, something else than the trust policy decided")
	}
	if again, err := r.try(ctx, assume, "right again", externalID); again.Answer != granted {
		return r.end(Unproven, err, "the role could be assumed with the right External ID at first and then no more, so it or its trust policy was changed meanwhile")
	}
	return r.end(Proven, nil, "only the right External ID was accepted")
}

// The answers of a step.
const (
	granted = "granted"
	denied  = "denied"
	unclear = "unclear"
)

func (r *ProbeResult) try(ctx context.Context, assume Assumer, sent, externalID string) (ProbeStep, error) {
	err := assume(ctx, externalID)
	step := ProbeStep{Sent: sent, Answer: unclear}
	if err == nil {
		step.Answer = granted
	}
	if e, ok := errors.AsType[*Error](err); ok {
		step.Code, step.RequestID = e.Code, e.RequestID
		if d, ok := e.denial(); ok && e.Operation == "AssumeRole" && d.byTrust() {
			step.Answer = denied
		}
	}
	r.Steps = append(r.Steps, step)
	return step, err
}

func (r *ProbeResult) end(o Outcome, err error, finding string) ProbeResult {
	r.Outcome, r.Reason, r.Finding, r.Err = o, finding, finding, err
	if err != nil {
		r.Reason = fmt.Sprintf("%s: %v", finding, err)
	}
	return *r
}

// wrongExternalID returns an External ID that nobody was given.
func wrongExternalID() string {
	b := make([]byte, 16)
	rand.Read(b) // Never fails: crypto/rand ends the program instead.
	return "external-id-check-" + hex.EncodeToString(b)
}
