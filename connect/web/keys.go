package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// Scope is something that an API key may do.
type Scope string

// The scopes.
const (
	// ScopeSessions is to make connect sessions.
	ScopeSessions Scope = "connect_sessions:write"

	// ScopeList is to list connections, and ScopeRead to read one; neither shows credentials.
	ScopeList Scope = "connections:list"
	ScopeRead Scope = "connections:read"

	// ScopeCredentials is to read connections with the temporary credentials of their roles.
	ScopeCredentials Scope = "connections:read_credentials"

	// ScopeUpdate is to change connections, to pause and to resume them, to verify their roles anew, and
	// to have a customer get another External ID.
	ScopeUpdate Scope = "connections:update"

	// ScopeDelete is to delete connections.
	ScopeDelete Scope = "connections:delete"

	// ScopeReadIntegrations and ScopeWriteIntegrations are to read and to change integrations.
	ScopeReadIntegrations  Scope = "integrations:read"
	ScopeWriteIntegrations Scope = "integrations:write"

	// ScopeProxy is to make calls on a customer's behalf.
	ScopeProxy Scope = "proxy"
)

// Scopes returns all scopes.
func Scopes() []Scope {
	return []Scope{
		ScopeSessions, ScopeList, ScopeRead, ScopeCredentials, ScopeUpdate, ScopeDelete,
		ScopeReadIntegrations, ScopeWriteIntegrations, ScopeProxy,
	}
}

// ScopeNames returns all scopes in a line.
func ScopeNames() string { return scopeNames(Scopes()) }

func scopeNames(scopes []Scope) string {
	names := make([]string, 0, len(scopes))
	for _, s := range scopes {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

// Key is what the vendor's own programs authenticate with, and what they may do.
type Key struct {
	// Name stands for the key in the audit log: 1 to 64 letters, digits, and any of -_.
	Name string

	// Secrets are what the caller sends as `Authorization: Bearer SECRET`; several while one takes
	// over from another. Each has at least 16 visible ASCII characters.
	Secrets []string

	// Scopes are what it may do. Default: ScopeSessions and ScopeRead.
	Scopes []Scope

	// Integrations are the keys of the integrations that it may do that with. Default: all.
	Integrations []string
}

// minSecret is short of what should be used, and long enough to keep out what can be guessed online.
const minSecret = 16

var keyName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Check says what is wrong with a key, if anything, and what to write. It does not repeat secrets.
func (k *Key) Check() error {
	if !keyName.MatchString(k.Name) {
		return fmt.Errorf("%.80q can't be the name of a key: write up to 64 letters, digits, and any of -_", k.Name)
	}
	if len(k.Secrets) == 0 {
		return fmt.Errorf("key %s has no secret: write api_key NAME SECRET", k.Name)
	}
	for _, s := range k.Secrets {
		switch {
		case len(s) < minSecret:
			return fmt.Errorf("a secret of key %s has fewer than %d characters: write one that nobody can guess, such as what `openssl rand -hex 32` prints", k.Name, minSecret)
		case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
			return fmt.Errorf("a secret of key %s holds a blank or a character that no header carries: write visible ASCII alone", k.Name)
		case connect.IsToken(s):
			return fmt.Errorf("a secret of key %s is the token of a connect session: write a secret of your own", k.Name)
		}
	}
	for _, s := range k.Scopes {
		if !slices.Contains(Scopes(), s) {
			return fmt.Errorf("key %s: there is no scope %.80q: write any of %s", k.Name, s, ScopeNames())
		}
	}
	for _, i := range k.Integrations {
		if err := connect.CheckIntegrationKey(i); err != nil {
			return fmt.Errorf("key %s: %w", k.Name, err)
		}
	}
	return nil
}

func (k *Key) may(s Scope) bool { return slices.Contains(k.Scopes, s) }

// mayUse says whether the key may be used with an integration.
func (k *Key) mayUse(integration string) bool {
	return len(k.Integrations) == 0 || slices.Contains(k.Integrations, integration)
}

// keyring finds the key of a secret.
type keyring struct {
	digestKey []byte // random, so that digests say nothing outside of this ring
	entries   []keyEntry
}

// keyEntry is a secret's digest: comparing digests takes the same time wherever they differ.
type keyEntry struct {
	digest []byte
	key    *Key
}

func newKeyring(keys []Key) (*keyring, error) {
	r := &keyring{digestKey: make([]byte, sha256.Size)}
	rand.Read(r.digestKey) // Never fails, says its documentation.
	for i, k := range keys {
		if err := k.Check(); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(keys[:i], func(other Key) bool { return other.Name == k.Name }) {
			return nil, fmt.Errorf("there are two keys %s: give each a name of its own, or one key two secrets", k.Name)
		}
		if len(k.Scopes) == 0 {
			k.Scopes = []Scope{ScopeSessions, ScopeRead}
		}
		for _, s := range k.Secrets {
			e := keyEntry{r.digest(s), &k}
			for _, other := range r.entries {
				switch {
				case !hmac.Equal(other.digest, e.digest):
				case other.key.Name == k.Name:
					return nil, fmt.Errorf("api_key %s has the same secret twice: write it once", k.Name)
				default:
					return nil, fmt.Errorf("api_key %s and api_key %s have the same secret: give each its own", other.key.Name, k.Name)
				}
			}
			r.entries = append(r.entries, e)
		}
	}
	return r, nil
}

func (r *keyring) digest(secret string) []byte {
	m := hmac.New(sha256.New, r.digestKey)
	m.Write([]byte(secret))
	return m.Sum(nil)
}

// find returns the key of a secret, or nil. All secrets are compared, each in constant time.
func (r *keyring) find(secret string) *Key {
	d := r.digest(secret)
	var found *Key
	for i := range r.entries {
		if subtle.ConstantTimeCompare(d, r.entries[i].digest) == 1 {
			found = r.entries[i].key
		}
	}
	return found
}

var (
	errNoAuthorization  = errors.New("there is no Authorization header: send `Authorization: Bearer SECRET`")
	errBadAuthorization = errors.New("the Authorization header is not one `Bearer SECRET`")
)

// bearer returns what a request shows as a bearer token (RFC 6750). A header that is there twice shows
// nothing, because nobody knows which one others looked at.
func bearer(h http.Header) (string, error) {
	values := h.Values("Authorization")
	if len(values) == 0 {
		return "", errNoAuthorization
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > 4096 {
		return "", errBadAuthorization
	}
	return token, nil
}
