// Package payload decides how a request's body is covered by its signature, and
// reads the bodies that have to be hashed. It knows nothing of Caddy.
package payload

import (
	"fmt"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// Mode is what the operator asked for with the `payload` option.
type Mode string

const (
	// Auto lets the service decide: a hash wherever one is possible, and
	// UNSIGNED-PAYLOAD where the service takes it over TLS and the body is
	// too large to be held, or where the service takes nothing else.
	Auto Mode = "auto"
	// Signed always signs the body's SHA-256.
	Signed Mode = "signed"
	// Unsigned signs the word UNSIGNED-PAYLOAD in the hash's place.
	Unsigned Mode = "unsigned"
)

const (
	// DefaultLimit is the size in bytes above which a body that has to be held
	// is refused: 1 GiB.
	DefaultLimit = 1 << 30
	// DefaultMemory is the size in bytes up to which a body is held in memory,
	// and up to which Auto hashes one that the service would take unsigned:
	// 1 MiB, about 0.7 ms of SHA-256.
	DefaultMemory = 1 << 20
)

// CheckMode reports a mode that does not exist.
func CheckMode(m Mode) error {
	switch m {
	case "", Auto, Signed, Unsigned:
		return nil
	}
	return fmt.Errorf("payload mode %q does not exist: write auto, signed or unsigned", m)
}

// CheckService reports a mode that the service can't take, as far as it is
// known before any request. An empty service is not known yet.
func CheckService(m Mode, service string) error {
	if m == Signed && service != "" && sigv4.PayloadRuleFor(service) == sigv4.PayloadUnsigned {
		return fmt.Errorf("service %s takes only UNSIGNED-PAYLOAD: write `payload unsigned`, or leave the option out", service)
	}
	return nil
}

// Plan is how one body is covered.
type Plan int

const (
	// Empty: there is no body; the hash of nothing is signed.
	Empty Plan = iota
	// Hash: the body is held and its SHA-256 is signed.
	Hash
	// Hold: the body is held to learn its length, and signed as
	// UNSIGNED-PAYLOAD.
	Hold
	// Stream: the body goes through untouched, signed as UNSIGNED-PAYLOAD.
	Stream
)

// Question is what a decision depends on.
type Question struct {
	Mode Mode
	Rule sigv4.PayloadRule
	// TLS is whether the upstream is dialled with TLS.
	TLS bool
	// HasBody is false if the request certainly has no body.
	HasBody bool
	// Length is the body's length in bytes, or -1 if it is not known.
	Length int64
	// Memory is the operator's `body_memory` in bytes; 0 is DefaultMemory.
	Memory int64
	// Limit is the operator's `body_limit` in bytes; 0 is DefaultLimit for
	// bodies that are held and no limit for those that are streamed.
	Limit int64
}

// HoldMemory is the size in bytes up to which a body is held in memory.
func (q Question) HoldMemory() int64 {
	if q.Memory > 0 {
		return q.Memory
	}
	return DefaultMemory
}

// HoldLimit is the size in bytes up to which a body may be held.
func (q Question) HoldLimit() int64 {
	if q.Limit > 0 {
		return q.Limit
	}
	return DefaultLimit
}

// Decide answers how the body is covered. Its error is a *Error, with the HTTP
// status that the client should get.
//
// UNSIGNED-PAYLOAD is never sent over plaintext http to a service that would
// also take a hash, as the AWS SDKs do: nothing else would protect the body.
func (q Question) Decide() (Plan, error) {
	if q.Limit > 0 && q.Length > q.Limit {
		return 0, tooLarge(q.Limit)
	}
	if !q.HasBody || q.Length == 0 {
		return Empty, nil
	}
	unsigned := false
	switch {
	case q.Rule == sigv4.PayloadUnsigned:
		if q.Mode == Signed {
			return 0, &Error{Status: 500, Problem: "this service takes only UNSIGNED-PAYLOAD: write `payload unsigned`, or leave the option out"}
		}
		// The only rule whose services take a body of unknown length.
		return Stream, nil
	case q.Mode == Unsigned:
		if !q.TLS {
			return 0, &Error{Status: 500, Problem: "`payload unsigned` needs an https upstream: over plaintext http nothing would protect the body; write `payload signed`"}
		}
		unsigned = true
	case q.Mode == Signed:
	default:
		unsigned = q.Rule == sigv4.PayloadHashOrUnsigned && q.TLS && q.Length > q.HoldMemory()
	}
	if unsigned && q.Length > 0 {
		return Stream, nil
	}
	if q.Length > q.HoldLimit() {
		return 0, tooLarge(q.HoldLimit())
	}
	if unsigned {
		// S3 refuses a body without a Content-Length, so it is held until
		// its length is known.
		return Hold, nil
	}
	return Hash, nil
}

func tooLarge(limit int64) *Error {
	return &Error{Status: 413, Problem: fmt.Sprintf("the request body is larger than the %d bytes that may be held to be signed (option body_limit)", limit)}
}
