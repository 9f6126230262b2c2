package credentials

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Identity is one fully specified principal: everything that decides which credentials a fetch
// will return. It is a value; whoever holds one may keep it.
type Identity struct {
	// Key tells identities apart: two identities share credentials exactly if their keys are
	// equal. It covers all that selects the principal (source, role, External ID, session name,
	// tags, policy, duration, STS region, and From's Key). Build it with NewKey.
	Key string

	// Label names the identity in logs and in status, for example
	// "assume_role arn:aws:iam::123456789012:role/Proxy (from default)". Its first word is the
	// source. It is not unique and never holds a secret.
	Label string

	// RoleARN is the role that is assumed, or empty if none is. A policy about roles has to
	// look at the whole chain, see Roles.
	RoleARN string

	// From is the broker, the identity whose credentials make the call that fetches this one;
	// nil if the fetch needs none.
	From *Identity

	// Owner is on whose behalf the identity is fetched, if those are many that don't trust one
	// another: of each, only so many fetches run, and when the cache is full, those who have
	// more than a quarter of it make room first. Empty for none, without these limits.
	Owner string

	// Local says that Fetch reads what this process already has and waits for nobody. Such a
	// fetch does not queue behind those that wait for the network.
	Local bool

	// Fetch gets the credentials.
	Fetch FetchFunc
}

// FetchFunc gets a set of credentials. The cache calls it with its own context, which has a
// deadline and must be honoured, and with the broker's valid credentials, or nil if the identity
// has no From. At most one fetch of an identity runs at a time.
type FetchFunc func(ctx context.Context, from *Credentials) (*Credentials, error)

// Roles returns the ARN of every role on the way to the identity, its own first. A policy that
// permits roles must permit each of them.
func (id Identity) Roles() []string {
	var roles []string
	for i := &id; i != nil; i = i.From {
		if i.RoleARN != "" {
			roles = append(roles, i.RoleARN)
		}
	}
	return roles
}

// NewKey returns a key for Identity.Key that differs whenever the parts do: each part enters with
// its length, so that parts cannot run into one another. A part that is secret goes through Sealed
// first.
func NewKey(parts ...string) string {
	h := sha256.New()
	var length [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(p)))
		h.Write(length[:])
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// sealKey is random in every process, so that a sealed secret says nothing outside of it.
var sealKey = func() []byte {
	k := make([]byte, 32)
	rand.Read(k) // Never fails: crypto/rand ends the program instead.
	return k
}()

// Sealed returns the HMAC-SHA256 of a secret under a random key of this process, in hex. It stands
// for the secret in a key: equal secrets have equal seals, and a seal cannot be checked against
// guesses by anyone who does not run inside this process.
func Sealed(secret string) string {
	m := hmac.New(sha256.New, sealKey)
	m.Write([]byte(secret))
	return hex.EncodeToString(m.Sum(nil))
}
