package connect

import (
	"errors"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
)

// What an operation of a Store may end with. Each is matched with errors.Is; the text of what is
// returned says more, and never holds a token or a key. Only the text of ErrInvalid, ErrConflict,
// ErrReadOnly, ErrInUse and ErrWrongAccount is meant for those who called the API; that of ErrDamaged and ErrUnavailable is for
// the operator's log.
var (
	// ErrInvalid says that what was asked for can't be, however often it is tried: something is
	// malformed, or not what the session or the connection was made for.
	ErrInvalid = errors.New("invalid")

	// ErrNotFound says that there is no such session or connection.
	ErrNotFound = store.ErrNotFound

	// ErrExpired says that a session has come to its end.
	ErrExpired = errors.New("expired")

	// ErrRevoked says that a session was ended by the vendor or by the customer.
	ErrRevoked = errors.New("revoked")

	// ErrUsed says that a session has already become a connection.
	ErrUsed = errors.New("already used")

	// ErrConflict says that an External ID belongs to another customer, or a customer to another
	// External ID.
	ErrConflict = errors.New("conflict")

	// ErrWrongAccount says that an External ID is bound to another AWS account.
	ErrWrongAccount = errors.New("another AWS account")

	// ErrReadOnly says that an integration is part of the configuration, or that none may be written.
	ErrReadOnly = errors.New("read only")

	// ErrInUse says that an integration has connections.
	ErrInUse = errors.New("in use")

	// ErrIntegrationChanged says that an integration is not any more what a role was verified for.
	ErrIntegrationChanged = errors.New("integration changed")

	// ErrPaused says that the vendor does not want a connection used.
	ErrPaused = errors.New("paused")

	// ErrDenied says that the operator's lists do not allow the account of a connection any more. The
	// text names the account, and may be shown to the vendor.
	ErrDenied = errors.New("account not allowed")

	// ErrExhausted says that a connection's role could not be assumed for so many days that it is not
	// tried any more. The text says since when and why, and may be shown to the vendor.
	ErrExhausted = errors.New("exhausted")

	// ErrDamaged says that a record can't be read: its seal key is not configured, or somebody
	// altered it. It is never treated as a record that does not exist.
	ErrDamaged = store.ErrDamaged

	// ErrUnavailable says that the storage did not answer, or that a lock was not to be had in time.
	// What was asked for may have been done all the same, and can be asked for again.
	ErrUnavailable = store.ErrUnavailable
)

// failure is an error of one of the kinds above, in words of its own.
type failure struct {
	kind error
	text string
}

func (f *failure) Error() string { return f.text }

func (f *failure) Is(target error) bool { return target == f.kind }

// fail returns an error of a kind.
func fail(kind error, text string) error { return &failure{kind, text} }

// invalid makes a failure of what a check found.
func invalid(err error) error {
	if err == nil {
		return nil
	}
	return fail(ErrInvalid, err.Error())
}
