package web

import (
	"errors"
	"net/http"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/dial"
)

// Keyring tells which of several keys a request shows, for handlers beside this one that take the
// same keys.
type Keyring struct{ keys *keyring }

// NewKeyring returns a ring. The error says which key is wrong and what to write, without its secrets.
func NewKeyring(keys []Key) (*Keyring, error) {
	ring, err := newKeyring(keys)
	if err != nil {
		return nil, err
	}
	return &Keyring{ring}, nil
}

// What is wrong with the key that a request shows.
var (
	// ErrNoKey says that there is no Authorization header, ErrMalformedKey that it is not one
	// `Bearer SECRET`.
	ErrNoKey        = errNoAuthorization
	ErrMalformedKey = errBadAuthorization

	// ErrUnknownKey says that it is a bearer token, and no secret of a key.
	ErrUnknownKey = errors.New("this is no API key of ours")
)

// Of returns the key whose secret a request shows as `Authorization: Bearer SECRET`. Secrets are compared
// in constant time, all of them.
func (k *Keyring) Of(h http.Header) (*Key, error) {
	secret, err := bearer(h)
	if err != nil {
		return nil, err
	}
	if key := k.keys.find(secret); key != nil {
		return key, nil
	}
	return nil, ErrUnknownKey
}

// May says whether the key has a scope.
func (k *Key) May(s Scope) bool { return k.may(s) }

// MayUse says whether the key may be used with an integration, by the integration's key.
func (k *Key) MayUse(integration string) bool { return k.mayUse(integration) }

// TakesSecrets says whether a request may show a secret: it came by HTTPS, or from this machine or a
// network of its own.
func TakesSecrets(r *http.Request, https bool) bool {
	return https || dial.IsLoopback(r.Host) || private(r)
}
