package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"strings"
	"sync"
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

// signingKey holds a derived key as keyed HMAC states, which cost less to
// reset than to make.
type signingKey struct {
	key    [sha256.Size]byte
	states sync.Pool
	// born orders keys of one day by age.
	born uint64
}

func newSigningKey(secret string, scope keyScope) *signingKey {
	k := &signingKey{key: deriveKey(secret, scope)}
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
// that keys of two identities can't mix, whatever their access key IDs.
type keyCache struct {
	mu    sync.RWMutex
	keys  map[keyScope]*signingKey
	count uint64
}

// get returns the key for a scope, derived on first use.
func (c *keyCache) get(secret string, scope keyScope) *signingKey {
	c.mu.RLock()
	k := c.keys[scope]
	c.mu.RUnlock()
	if k != nil {
		return k
	}
	// Derived outside the lock: two that race derive the same key.
	k = newSigningKey(secret, scope)
	c.mu.Lock()
	defer c.mu.Unlock()
	if first := c.keys[scope]; first != nil {
		return first
	}
	if c.keys == nil {
		c.keys = make(map[keyScope]*signingKey)
	}
	if len(c.keys) >= maxKeys {
		c.evict()
	}
	c.count++
	k.born = c.count
	// The cache must not keep alive what the strings are cut from.
	c.keys[keyScope{strings.Clone(scope.day), strings.Clone(scope.region), strings.Clone(scope.service)}] = k
	return k
}

// evict drops the key of the oldest day, of several the one derived first.
func (c *keyCache) evict() {
	var (
		oldest keyScope
		born   uint64
	)
	for scope, k := range c.keys {
		if born == 0 || scope.day < oldest.day || scope.day == oldest.day && k.born < born {
			oldest, born = scope, k.born
		}
	}
	delete(c.keys, oldest)
}
