package connect

import (
	"errors"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// Verification is how far the verification of a role has come, or how it ended. It holds no secret, and
// all of it may be shown to the customer.
type Verification struct {
	State State `json:"state"`

	// Step is what is being done, or was when it failed.
	Step Step `json:"step,omitempty"`

	// Attempt counts the calls of AssumeRole: a role that was just made is not known everywhere in
	// AWS at once.
	Attempt int `json:"attempt,omitempty"`

	// Code is why it failed; while it is running, why the last attempt did. Field is the input to
	// look at, "role_arn" or "region", or empty.
	Code  Code   `json:"code,omitempty"`
	Field string `json:"field,omitempty"`

	// Text says what Code does in a sentence without a full stop, and Remedy what to do, in
	// English. Causes are what else may be wrong where AWS does not tell.
	Text   string      `json:"text,omitempty"`
	Remedy string      `json:"remedy,omitempty"`
	Causes []sts.Cause `json:"causes,omitempty"`

	// Fields are all that is wrong with the input, if that is why it failed.
	Fields []FieldError `json:"fields,omitempty"`

	// AWSCode and RequestID are AWS's own words for a failure.
	AWSCode   string `json:"aws_code,omitempty"`
	RequestID string `json:"request_id,omitempty"`

	// RoleARN and Region are what is verified, Account the role's.
	RoleARN string `json:"role_arn,omitempty"`
	Region  string `json:"region,omitempty"`
	Account string `json:"account,omitempty"`

	// ConnectionID is what it became, if it succeeded.
	ConnectionID string `json:"connection_id,omitempty"`

	// Probe is whether the role asks for its External ID; empty if nobody looked.
	Probe sts.Outcome `json:"probe,omitempty"`

	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
}

// State is where a verification stands.
type State string

// The states of a verification.
const (
	StateNone      State = "none"
	StateRunning   State = "running"
	StateSucceeded State = "succeeded"
	StateFailed    State = "failed"
)

// Step is a part of a verification.
type Step string

// The steps of a verification, in their order. StepInput is over when it begins to run.
const (
	StepInput      Step = "input"
	StepAssumeRole Step = "assume_role"
	StepIdentity   Step = "identity"
	StepExternalID Step = "external_id"
	StepTestCall   Step = "test_call"
	StepSaving     Step = "saving"
)

// Code says why something failed. Programs and translations go by it.
type Code string

// What may be wrong with the input.
const (
	CodeInvalidRoleARN    Code = "invalid_role_arn"
	CodeInvalidRegion     Code = "invalid_region"
	CodeRegionNotAllowed  Code = "region_not_allowed"
	CodeAccountNotAllowed Code = "account_not_allowed" // by the operator's lists, or it is the vendor's own
	CodePartitionMismatch Code = "partition_mismatch"
	CodePrefillMismatch   Code = "prefill_mismatch"
)

// What may be wrong with the role.
const (
	CodeAssumeRoleDenied      Code = "assume_role_denied" // a wrong External ID, too: AWS does not tell
	CodeRoleNotReady          Code = "role_not_ready"     // AWS does not know it everywhere yet
	CodeTagSessionDenied      Code = "tag_session_denied"
	CodeDurationTooLong       Code = "duration_too_long"
	CodeWrongAccount          Code = "wrong_account"
	CodeIdentityMismatch      Code = "identity_mismatch"
	CodeExternalIDNotEnforced Code = "external_id_not_enforced"
	CodeExternalIDUnproven    Code = "external_id_unproven"
	CodeTestCallFailed        Code = "test_call_failed"
)

// What may be wrong on the vendor's side, or with AWS.
const (
	CodeSTSUnavailable     Code = "sts_unavailable"
	CodeHelperUnreachable  Code = "helper_unreachable"
	CodeHelperRefused      Code = "helper_refused"
	CodeBrokerUnavailable  Code = "broker_unavailable"
	CodeStorageUnavailable Code = "storage_unavailable"
	CodeInterrupted        Code = "interrupted" // the server was stopped, or other input came
	CodeTooManyAttempts    Code = "too_many_attempts"
	CodeBusy               Code = "busy" // more verifications than the server takes at once
)

// What may be wrong with the session.
const (
	CodeSessionExpired    Code = "session_expired"
	CodeSessionRevoked    Code = "session_revoked"
	CodeSessionUsed       Code = "session_used"
	CodeExternalIDChanged Code = "external_id_changed" // the vendor has had it replaced meanwhile
)

// FieldError is something wrong with what a customer typed.
type FieldError struct {
	// Field is "role_arn" or "region".
	Field string `json:"field"`

	Code Code `json:"code"`

	// Text says what is wrong and what to write, in English.
	Text string `json:"text"`
}

// The names of the fields.
const (
	FieldRoleARN = "role_arn"
	FieldRegion  = "region"
)

// CodeOf returns the code of an error of a Store or a Service, or "" if it has none.
func CodeOf(err error) Code {
	for _, c := range []struct {
		is   error
		code Code
	}{
		{ErrExpired, CodeSessionExpired},
		{ErrRevoked, CodeSessionRevoked},
		{ErrUsed, CodeSessionUsed},
		{ErrWrongAccount, CodeWrongAccount},
		{ErrUnavailable, CodeStorageUnavailable},
		{ErrDamaged, CodeStorageUnavailable},
	} {
		if errors.Is(err, c.is) {
			return c.code
		}
	}
	return ""
}
