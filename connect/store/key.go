package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
)

// Key says where a record lies. Its two parts are made of letters that mean nothing to a storage, so
// that nobody can climb out of their directory; what people choose, such as the IDs of end users, goes
// into a key only through Store.HashedKey.
type Key struct{ kind, name string }

var (
	kindGrammar = regexp.MustCompile(`^[a-z]{2,32}$`)

	// A name is longer than those of the temporary files that certmagic.FileStorage may leave.
	nameGrammar  = regexp.MustCompile(`^[0-9a-z][0-9a-z-]{31,63}$`)
	shardGrammar = regexp.MustCompile(`^[0-9a-z][0-9a-z-]$`)
)

// indexKeyAt is the only key without a name.
var indexKeyAt = Key{kind: "indexkey"}

// NewKey returns the key of a record: kind is 2 to 32 lower case letters, name 32 to 64 lower case
// letters, digits and hyphens, not beginning with a hyphen, for example a UUID.
func NewKey(kind, name string) (Key, error) {
	if !kindGrammar.MatchString(kind) || kind == indexKeyAt.kind {
		return Key{}, fmt.Errorf("%q is no kind of record", kind)
	}
	if !nameGrammar.MatchString(name) {
		return Key{}, fmt.Errorf("this is no name of a record of the kind %s", kind)
	}
	return Key{kind, name}, nil
}

// Name returns the second part of the key.
func (k Key) Name() string { return k.name }

// String returns the name that the record is sealed under.
func (k Key) String() string { return path.Join(k.kind, k.name) }

// path spreads the records of a kind over directories by the first two characters of their names:
// listing a directory of certmagic.FileStorage fails while others write to it.
func (k Key) path(prefix string) string {
	if k.name == "" {
		return path.Join(prefix, k.kind)
	}
	return path.Join(prefix, k.kind, k.name[:2], k.name)
}

// lock names the record's lock. Engines make file names of it, of which some ignore case.
func (k Key) lock(prefix string) string {
	sum := sha256.Sum256([]byte(k.path(prefix)))
	return "aws_sigv4-connect-" + hex.EncodeToString(sum[:16])
}
