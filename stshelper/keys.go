package stshelper

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"unicode"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// Key is what a caller authenticates with, and what it may ask for.
type Key struct {
	// Name stands for the key in the audit log, in the path /credentials/NAME, and, unless
	// SessionName says otherwise, in CloudTrail as the name of the session. It is of 1 to 64
	// letters, digits, and any of -_. and no other key has it.
	Name string

	// User makes it a key for HTTP basic authentication, of which the secrets are passwords.
	User string

	// Secrets are what the caller sends; several while one takes over from another.
	Secrets []string

	// Roles are the roles that may be asked for, as patterns of sts.CheckRolePattern.
	Roles []string

	// ExternalIDs are those that may be sent along, exact or as patterns of
	// CheckExternalIDPattern. Default: any.
	ExternalIDs []string

	// Role is the one that GET /credentials/NAME gives, with its External ID; empty for none.
	Role, ExternalID string

	// Probe lets the key ask whether one of its roles really asks for its External ID.
	Probe bool

	// SessionName is the name of its sessions. Default: Name.
	SessionName string

	// Tags are the tags of its sessions.
	Tags []sts.Tag
}

const (
	minSecret = 8

	// ShortSecret is the number of characters below which a secret deserves a warning.
	ShortSecret = 24
)

// key is a Key in use.
type key struct {
	Key

	// scope enters the keys of all identities that are fetched for this one, so that keys with
	// other permissions never share a session.
	scope string

	derived bool // its session name is made of its name
	regions regionSet
	probing sync.Mutex // held during a probe
}

// secret is a secret's digest: comparing digests takes the same time wherever they differ.
type secret struct {
	digest [sha256.Size]byte
	key    *key
	number int // among the key's secrets, from 1
}

// addKey checks a key and takes it in. Errors begin with the field's name.
func (h *Handler) addKey(k Key) error {
	if err := CheckKeyName(k.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	for _, other := range h.keys {
		if other.Name == k.Name {
			return fmt.Errorf("name: there are two keys %q: give each a name of its own, or one key two secrets", k.Name)
		}
	}
	if err := h.checkPermissions(&k); err != nil {
		return err
	}
	derived := k.SessionName == ""
	if derived {
		k.SessionName = sts.SessionName(k.Name)
	}
	if err := sts.CheckSessionName(k.SessionName); err != nil {
		return fmt.Errorf("session_name: %w", err)
	}
	if err := sts.CheckTags(k.Tags); err != nil {
		return fmt.Errorf("tags: %w", err)
	}
	for _, other := range h.keys {
		if other.SessionName == k.SessionName && (derived || other.derived) {
			return fmt.Errorf("name: the sessions of the keys %q and %q would have the same name, %q, so that CloudTrail could not tell them apart: give one of the keys another name, of two characters or more", other.Name, k.Name, k.SessionName)
		}
	}
	added := &key{
		Key:     k,
		derived: derived,
		scope:   credentials.NewKey(append(append([]string{"aws_sts_helper", k.Name, "roles"}, k.Roles...), append([]string{"external_ids"}, k.ExternalIDs...)...)...),
	}
	if strings.Contains(k.User, ":") || strings.ContainsFunc(k.User, unicode.IsControl) {
		return errors.New("user: it holds a colon or a control character, which basic authentication can't send")
	}
	if len(k.Secrets) == 0 {
		return fmt.Errorf("secrets: key %q has none: write api_key NAME SECRET", k.Name)
	}
	for i, text := range k.Secrets {
		if err := CheckSecret(text, k.User != ""); err != nil {
			return fmt.Errorf("secrets[%d]: key %q: %w", i, k.Name, err)
		}
		s := secret{digest: digest(k.User, text), key: added, number: i + 1}
		for _, other := range h.secrets {
			switch {
			case other.digest != s.digest:
			case other.key == added:
				return fmt.Errorf("secrets[%d]: key %q has this secret already: write it once", i, k.Name)
			default:
				return fmt.Errorf("secrets[%d]: key %q has a secret of key %q: nobody could tell them apart", i, k.Name, other.key.Name)
			}
		}
		h.secrets = append(h.secrets, s)
	}
	h.keys = append(h.keys, added)
	return nil
}

// CheckKeyName says whether name may name a key: 1 to 64 letters, digits, and any of -_.
func CheckKeyName(name string) error {
	ok := name != "" && len(name) <= 64 && strings.Trim(name, ".") != ""
	for _, c := range name {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_.", c))
	}
	if !ok {
		return fmt.Errorf("%.80q can't be the name of a key: write up to 64 letters, digits, `-`, `_` and `.`", name)
	}
	return nil
}

// CheckSecret says whether a secret can be sent and is not trivial. The error does not repeat it.
func CheckSecret(text string, password bool) error {
	switch {
	case len(text) < minSecret:
		return fmt.Errorf("the secret has fewer than %d characters: write one that nobody can guess, such as what `openssl rand -hex 32` prints", minSecret)
	case strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("the secret holds a line break or another control character: write the secret alone")
	case !password && strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("the secret holds a blank or a character that no header carries: write visible ASCII alone")
	}
	return nil
}

// digestKey is random in every process, so that digests say nothing outside of it.
var digestKey = func() []byte {
	k := make([]byte, sha256.Size)
	rand.Read(k) // Never fails: crypto/rand ends the program instead.
	return k
}()

// digest returns the HMAC of a secret, and of the user if it is a password. A user holds no colon, and
// an API key's digest differs from that of a password without a user.
func digest(user, text string) (d [sha256.Size]byte) {
	m := hmac.New(sha256.New, digestKey)
	if user != "" {
		m.Write([]byte("basic:" + user + ":" + text))
	} else {
		m.Write([]byte("key:" + text))
	}
	m.Sum(d[:0])
	return d
}

// authenticate finds out whose secret a request has. All secrets are compared, each in constant time.
func (h *Handler) authenticate(r *http.Request) (*key, int) {
	user, text, ok := presented(r.Header)
	if !ok {
		return nil, 0
	}
	d := digest(user, text)
	var found *secret
	for i := range h.secrets {
		if subtle.ConstantTimeCompare(d[:], h.secrets[i].digest[:]) == 1 {
			found = &h.secrets[i]
		}
	}
	if found == nil {
		return nil, 0
	}
	return found.key, found.number
}

// presented returns the secret that a request shows: in X-Api-Key, or else in Authorization, where it
// may stand alone, after `Bearer`, or with a user after `Basic`. A header that is there twice shows
// nothing, as nobody knows which one others looked at.
func presented(header http.Header) (user, text string, ok bool) {
	if keys := header.Values("X-Api-Key"); len(keys) > 0 {
		return "", keys[0], len(keys) == 1 && keys[0] != ""
	}
	values := header.Values("Authorization")
	if len(values) != 1 {
		return "", "", false
	}
	scheme, rest, hasScheme := strings.Cut(values[0], " ")
	rest = strings.TrimLeft(rest, " ")
	switch {
	case !hasScheme:
		return "", scheme, scheme != ""
	case strings.EqualFold(scheme, "Bearer"):
		return "", rest, rest != ""
	case !strings.EqualFold(scheme, "Basic"):
		return "", "", false
	}
	pair, err := base64.StdEncoding.DecodeString(rest)
	if err != nil {
		return "", "", false
	}
	user, text, ok = strings.Cut(string(pair), ":")
	return user, text, ok && user != ""
}

// challenge is the WWW-Authenticate of a 401.
func (h *Handler) challenge() string {
	schemes := []string{`ApiKey realm="aws_sts_helper"`}
	for _, k := range h.keys {
		if k.User != "" {
			schemes = append(schemes, `Basic realm="aws_sts_helper", charset="UTF-8"`)
			break
		}
	}
	return strings.Join(schemes, ", ")
}
