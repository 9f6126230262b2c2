package credentials

import (
	"errors"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// Explain says why there are no credentials, and what to do. Causes that can explain themselves do, as
// *sts.Error does; of others there is the message alone, which says what to do.
func (e *Error) Explain() sts.Explanation {
	// A broker's Error is one of those that can.
	if x, ok := errors.AsType[interface {
		error
		Explain() sts.Explanation
	}](e.Err); ok {
		return x.Explain()
	}
	return sts.Explanation{Message: e.Err.Error()}
}

// Failing returns the label of the identity whose fetch failed: that of the broker, if it is the broker's
// credentials that are missing.
func (e *Error) Failing() string { return e.failing().Label }

// FailingKey returns the key of the same identity.
func (e *Error) FailingKey() string { return e.failing().Key }

func (e *Error) failing() *Error {
	if broker, ok := errors.AsType[*Error](e.Err); ok {
		return broker.failing()
	}
	return e
}
