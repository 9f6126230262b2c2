package sigv4

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"

	// maxKeys bounds the signing keys that one Signer keeps. One identity
	// signs for a few services in a few regions on one day, or on two around
	// midnight.
	maxKeys = 64
)

// keyScope is all that a signing key is derived from, besides the secret.
type keyScope struct{ day, region, service string }

// clone returns a scope that does not keep alive what the strings are cut from.
func (s keyScope) clone() keyScope {
	all := s.day + s.region + s.service
	day, region := len(s.day), len(s.day)+len(s.region)
	return keyScope{all[:day], all[day:region], all[region:]}
}

// signingKey holds a derived key as keyed HMAC states, which cost less to
// reset than to make.
type signingKey struct {
	scope  keyScope
	key    [sha256.Size]byte
	states sync.Pool
}

func newSigningKey(secret string, scope keyScope) *signingKey {
	k := &signingKey{scope: scope.clone(), key: deriveKey(secret, scope)}
	k.states.New = func() any { return hmac.New(sha256.New, k.key[:]) }
	return k
}

// appendMAC appends the HMAC of the message.
func (k *signingKey) appendMAC(b, message []byte) []byte {
	state := k.states.Get().(hash.Hash)
	state.Reset()
	state.Write(message)
	b = state.Sum(b)
	k.states.Put(state)
	return b
}

// deriveKey computes the signing key from a secret access key and the
// credential scope.
func deriveKey(secret string, scope keyScope) (key [sha256.Size]byte) {
	step := hmacSHA256([]byte("AWS4"+secret), scope.day)
	step = hmacSHA256(step, scope.region)
	step = hmacSHA256(step, scope.service)
	copy(key[:], hmacSHA256(step, terminator))
	return key
}

func hmacSHA256(key []byte, message string) []byte {
	state := hmac.New(sha256.New, key)
	state.Write([]byte(message))
	return state.Sum(nil)
}

// keyCache keeps the signing keys of one secret. It belongs to one Signer, so
// that keys of two identities can't mix, whatever their access key IDs. There
// may be very many of them, with a key or two each, so it is a list.
type keyCache struct {
	// keys are in the order in which they were derived. The list is never
	// changed, only replaced, so that readers need no lock.
	keys atomic.Pointer[[]*signingKey]
	mu   sync.Mutex // of those who replace it
}

// all returns the keys.
func (c *keyCache) all() []*signingKey {
	if p := c.keys.Load(); p != nil {
		return *p
	}
	return nil
}

// find returns the key for a scope, or nil.
func (c *keyCache) find(scope keyScope) *signingKey {
	for _, k := range c.all() {
		if k.scope == scope {
			return k
		}
	}
	return nil
}

// get returns the key for a scope, derived on first use.
func (c *keyCache) get(secret string, scope keyScope) *signingKey {
	if k := c.find(scope); k != nil {
		return k
	}
	// Derived outside the lock: two that race derive the same key.
	k := newSigningKey(secret, scope)
	c.mu.Lock()
	defer c.mu.Unlock()
	if first := c.find(scope); first != nil {
		return first
	}
	old := c.all()
	keys := append(make([]*signingKey, 0, len(old)+1), old...)
	if len(keys) >= maxKeys {
		// Of the oldest day, of several the one derived first.
		oldest := slices.MinFunc(keys, func(a, b *signingKey) int { return cmp.Compare(a.scope.day, b.scope.day) })
		keys = slices.DeleteFunc(keys, func(k *signingKey) bool { return k == oldest })
	}
	keys = append(keys, k)
	c.keys.Store(&keys)
	return k
}
