package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// PublicKey is what a program in a customer's browser authenticates with. It is no secret: it only says whose
// proof goes with it. What a customer may connect, and under which ID, the vendor proves with HMACKeys.
type PublicKey struct {
	// ID is the public key itself, a UUID.
	ID string

	// HMACKeys are the vendor's, of at least 16 visible ASCII characters each; several while one takes
	// over from another. The proof is the HMAC-SHA256, in hexadecimal, of INTEGRATION:CONNECTION-ID.
	HMACKeys []string

	// Integrations are the keys of the integrations that may be connected with it. Default: all.
	Integrations []string
}

var publicKeyGrammar = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// Check says what is wrong with a public key, if anything, and what to write. It does not repeat its secrets.
func (k *PublicKey) Check() error {
	if !publicKeyGrammar.MatchString(strings.ToLower(k.ID)) {
		return fmt.Errorf("%.80q is no public key: write a UUID, such as what `uuidgen` prints", k.ID)
	}
	if len(k.HMACKeys) == 0 {
		return fmt.Errorf("public key %s has no hmac_key, so that anybody could make and take over connections with it: write hmac_key SECRET in its block", k.ID)
	}
	for n, s := range k.HMACKeys {
		switch {
		case len(s) < minSecret:
			return fmt.Errorf("an hmac_key of public key %s has fewer than %d characters: write one that nobody can guess, such as what `openssl rand -hex 32` prints", k.ID, minSecret)
		case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
			return fmt.Errorf("an hmac_key of public key %s holds a blank or something else than visible ASCII: write visible ASCII alone", k.ID)
		case containsSecret(k.HMACKeys[:n], s):
			return fmt.Errorf("an hmac_key of public key %s is there twice: write it once", k.ID)
		}
	}
	for _, i := range k.Integrations {
		if err := connect.CheckIntegrationKey(i); err != nil {
			return fmt.Errorf("public key %s: %w", k.ID, err)
		}
	}
	return nil
}

func containsSecret(all []string, s string) bool {
	return slices.ContainsFunc(all, func(other string) bool { return subtle.ConstantTimeCompare([]byte(other), []byte(s)) == 1 })
}

// publicKey is a PublicKey that is ready for use.
type publicKey struct {
	PublicKey

	id []byte
}

func newPublicKeys(keys []PublicKey, service *connect.Service) ([]publicKey, error) {
	ready := make([]publicKey, 0, len(keys))
	for _, k := range keys {
		if err := k.Check(); err != nil {
			return nil, err
		}
		k.ID = strings.ToLower(k.ID)
		if slices.ContainsFunc(ready, func(other publicKey) bool { return other.ID == k.ID }) {
			return nil, fmt.Errorf("public key %s is there twice: write it once, with two of hmac_key", k.ID)
		}
		for _, i := range k.Integrations {
			if _, ok := service.Integration(i); !ok && service.Runtime() == nil { // Else it may be written yet.
				return nil, fmt.Errorf("public key %s: there is no integration %s: configure it, or leave it out", k.ID, i)
			}
		}
		ready = append(ready, publicKey{k, []byte(k.ID)})
	}
	return ready, nil
}

// publicKey returns the one of an ID. All are compared, each in constant time.
func (h *Handler) publicKey(id string) (found *publicKey, err error) {
	if id == "" {
		return nil, refuse(http.StatusUnauthorized, "missing_public_key", "send the token of a connect session as connect_session_token, or public_key")
	}
	id = strings.ToLower(id)
	if !publicKeyGrammar.MatchString(id) {
		return nil, refuse(http.StatusUnauthorized, "invalid_public_key", "the public key is no UUID")
	}
	for n := range h.public {
		if subtle.ConstantTimeCompare(h.public[n].id, []byte(id)) == 1 {
			found = &h.public[n]
		}
	}
	if found == nil {
		return nil, refuse(http.StatusUnauthorized, "unknown_account", "this is no public key of ours")
	}
	return found, nil
}

// proofParameter is the parameter with the vendor's proof.
const proofParameter = "hmac"

// proven returns the secret that a proof was made with. All are compared, each in constant time.
func (k *publicKey) proven(proof, integration, connectionID string) (secret []byte, err error) {
	if proof == "" {
		return nil, refuse(http.StatusBadRequest, "missing_hmac", "a public key alone proves nothing: send hmac, the HMAC-SHA256 of INTEGRATION:CONNECTION-ID in hexadecimal, which your server makes")
	}
	given, decodeErr := hex.DecodeString(proof)
	for _, s := range k.HMACKeys {
		mac := hmac.New(sha256.New, []byte(s))
		mac.Write([]byte(integration + ":" + connectionID))
		if hmac.Equal(mac.Sum(nil), given) && decodeErr == nil {
			secret = []byte(k.HMACKeys[0])
		}
	}
	if secret == nil {
		return nil, refuse(http.StatusBadRequest, "invalid_hmac", "hmac is not the HMAC-SHA256 of INTEGRATION:CONNECTION-ID, in hexadecimal, by the key that is configured")
	}
	return secret, nil
}

// openByPublicKey returns the session of a connection whose ID the vendor has chosen, and proven to have.
func (h *Handler) openByPublicKey(r *http.Request, q *authQuery, integration string) (token string, session connect.Session, err error) {
	key, err := h.publicKey(q.publicKey)
	if err != nil {
		return "", connect.Session{}, err
	}
	if err := q.err; err != nil {
		return "", connect.Session{}, err
	}
	if q.connectionID == "" {
		return "", connect.Session{}, invalidQuery(fieldProblem{"invalid_type", "which connection? write a random UUID of version 4, in lower case, that your server has chosen", []any{"connection_id"}})
	}
	secret, err := key.proven(q.proof, integration, q.connectionID)
	if err != nil {
		return "", connect.Session{}, err
	}
	if _, ok := h.service.Integration(integration); !ok || len(key.Integrations) > 0 && !slices.Contains(key.Integrations, integration) {
		return "", connect.Session{}, errUnknownIntegration
	}
	token, session, err = h.service.OpenSession(connect.WithActor(r.Context(), key.ID), secret, integration, q.connectionID)
	switch {
	case errors.Is(err, connect.ErrInvalid):
		err = invalidQuery(fieldProblem{"custom", err.Error(), []any{"connection_id"}})
	case errors.Is(err, connect.ErrConflict):
		err = refuse(http.StatusBadRequest, "invalid_connection", err.Error())
	}
	return token, session, err
}

var errUnknownIntegration = refuse(http.StatusNotFound, "unknown_provider_config", "there is no such integration")
