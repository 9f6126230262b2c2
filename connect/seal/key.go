package seal

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// keySize is the length of a key in bytes, that of AES-256.
const keySize = 32

// makeOne is what an error about a key ends with.
const makeOne = "write 32 random bytes in base64 or hexadecimal, as `openssl rand -base64 32` prints them"

// Key is a secret key that records are sealed with. Its zero value is no key. It prints as its ID.
type Key struct {
	secret string
	id     string
}

// ParseKey reads a key: 32 random bytes in base64 (standard or URL-safe, with or without padding) or
// in hexadecimal. White space around it is ignored, because files end with a line feed. A passphrase
// is refused, as are bytes that obviously are not random. Errors never repeat the text.
func ParseKey(text string) (Key, error) {
	text = strings.TrimSpace(text)
	var (
		secret []byte
		err    error
	)
	switch len(text) {
	case 0:
		return Key{}, errors.New("the seal key is empty: " + makeOne)
	case hex.EncodedLen(keySize):
		secret, err = hex.DecodeString(text)
	default:
		unpadded := strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(text), "=")
		secret, err = base64.RawStdEncoding.Strict().DecodeString(unpadded)
	}
	switch {
	case err != nil:
		return Key{}, errors.New("the seal key is neither base64 nor hexadecimal: " + makeOne)
	case len(secret) != keySize:
		return Key{}, fmt.Errorf("the seal key has %d bytes, not %d: %s", len(secret), keySize, makeOne)
	case distinct(secret) < 12:
		// Of 32 random bytes at least 12 differ, but for one key in 10^21.
		return Key{}, errors.New("the seal key repeats too few bytes to be random: " + makeOne)
	}
	return newKey(string(secret)), nil
}

func newKey(secret string) Key {
	id, err := hkdf.Expand(sha256.New, []byte(secret), "aws_sigv4 connect: key ID", idSize)
	if err != nil {
		panic(err) // Only a length that HKDF can't give.
	}
	return Key{secret: secret, id: hex.EncodeToString(id)}
}

// ID returns 16 hexadecimal digits that tell keys apart and say nothing about them. They stand in
// front of each record that was sealed with the key. The zero Key has none.
func (k Key) ID() string { return k.id }

// String returns the key's ID, so that no log holds the key.
func (k Key) String() string { return "seal key " + k.id }

// GoString is String, for %#v.
func (k Key) GoString() string { return k.String() }

func distinct(b []byte) int {
	seen := make(map[byte]bool, len(b))
	for _, c := range b {
		seen[c] = true
	}
	return len(seen)
}
