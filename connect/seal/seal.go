// Package seal encrypts records so that whoever reads the storage they lie in learns nothing from
// them, and whoever writes to it can't alter one or put one in another's place unnoticed. (Putting
// an older version of a record back in its own place is not noticed.)
//
// A sealed record names the key it was sealed with, so that keys can be rotated: the ring seals with
// its first key and opens with all. The cipher is AES-256-GCM (NIST SP 800-38D) with the record's
// name as additional data. Each record has an AES key of its own, derived by HKDF-SHA256 (RFC 5869)
// from the ring's key and a random salt: random nonces under one AES key would be safe for 2^32
// records only.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// A sealed record is
//
//	magic | key ID in hexadecimal | ':' | salt | nonce and ciphertext and tag
//
// and all that stands before the salt is additional data, too.
const (
	magic      = "aws-connect-seal-1:"
	idSize     = 8
	saltSize   = 16
	headerSize = len(magic) + 2*idSize + 1
)

var (
	// ErrNotSealed says that the bytes do not have the form of a sealed record.
	ErrNotSealed = errors.New("this is no sealed record")

	// ErrUnknownKey says that a record was sealed with a key that the ring does not hold.
	ErrUnknownKey = errors.New("this record was sealed with a key that is not configured")

	// ErrAltered says that a record was altered, or stands where another one belongs.
	ErrAltered = errors.New("this record was altered or belongs elsewhere")
)

// Ring is the keys that records may be sealed with. It is immutable and safe for concurrent use.
type Ring struct {
	current Key
	keys    map[string]Key // by ID
}

// NewRing returns a ring that seals with the first key and opens with all. Rotating is to put a new
// key first and to keep the old ones until every record was sealed anew.
func NewRing(current Key, old ...Key) (*Ring, error) {
	r := &Ring{current: current, keys: make(map[string]Key)}
	for _, k := range append([]Key{current}, old...) {
		if k.id == "" {
			return nil, errors.New("a seal key is missing: " + makeOne)
		}
		if _, ok := r.keys[k.id]; ok {
			return nil, fmt.Errorf("%v is given twice: remove one", k)
		}
		r.keys[k.id] = k
	}
	return r, nil
}

// Seal encrypts a record under its name. Only Open with the same name gives it back.
func (r *Ring) Seal(name string, record []byte) []byte {
	sealed := make([]byte, 0, headerSize+saltSize+12+len(record)+16)
	sealed = append(sealed, magic...)
	sealed = append(sealed, r.current.id...)
	sealed = append(sealed, ':')
	salt := make([]byte, saltSize)
	rand.Read(salt) // Never fails, says its documentation.
	sealed = append(sealed, salt...)
	return r.current.aead(salt).Seal(sealed, nil, record, additional(sealed[:headerSize], name)) //nolint:gosec // this AEAD makes its own nonce
}

// Open decrypts what Seal made under the same name. The error is ErrNotSealed, ErrUnknownKey or
// ErrAltered, and says no more than which key is missing.
func (r *Ring) Open(name string, sealed []byte) ([]byte, error) {
	id, ok := keyID(sealed)
	if !ok {
		return nil, ErrNotSealed
	}
	k, ok := r.keys[id]
	if !ok {
		return nil, fmt.Errorf("%w: add the seal key whose ID is %s", ErrUnknownKey, id)
	}
	salt := sealed[headerSize : headerSize+saltSize]
	record, err := k.aead(salt).Open(nil, nil, sealed[headerSize+saltSize:], additional(sealed[:headerSize], name))
	if err != nil {
		return nil, ErrAltered
	}
	return record, nil
}

// Current says whether a record was sealed with the first key. It does not open it.
func (r *Ring) Current(sealed []byte) bool {
	id, ok := keyID(sealed)
	return ok && id == r.current.id
}

// keyID returns the ID of the key that a record says it was sealed with.
func keyID(sealed []byte) (string, bool) {
	if len(sealed) < headerSize+saltSize || !strings.HasPrefix(string(sealed[:headerSize]), magic) || sealed[headerSize-1] != ':' {
		return "", false
	}
	id := string(sealed[len(magic) : headerSize-1])
	if b, err := hex.DecodeString(id); err != nil || hex.EncodeToString(b) != id {
		return "", false
	}
	return id, true
}

// aead returns the cipher of one record.
func (k Key) aead(salt []byte) cipher.AEAD {
	derived, err := hkdf.Key(sha256.New, []byte(k.secret), salt, "aws_sigv4 connect: record", keySize)
	if err != nil {
		panic(err) // Only a length that HKDF can't give.
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		panic(err) // Only a length that AES does not have.
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // Only a block that AES does not have.
	}
	return aead
}

// additional joins the header, whose length is fixed, and the name.
func additional(header []byte, name string) []byte {
	return append(append(make([]byte, 0, len(header)+len(name)), header...), name...)
}
