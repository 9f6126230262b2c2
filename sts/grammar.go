package sts

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
)

// The limits of AssumeRole, from
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html.
const (
	// MinDuration and MaxDuration bound how long a session may last. The role's own maximum,
	// one hour unless it was raised, may be lower.
	MinDuration = 15 * time.Minute
	MaxDuration = 12 * time.Hour

	// MaxChainedDuration bounds sessions that are begun with the credentials of another role.
	MaxChainedDuration = time.Hour

	maxTags = 50
)

// CheckExternalID says whether id may be an External ID: 2 to 1224 letters, digits, and any of
// _+=,.@:/-. The error does not repeat it.
func CheckExternalID(id string) error {
	switch {
	case len(id) < 2 || len(id) > 1224:
		return fmt.Errorf("an External ID has 2 to 1224 characters and this one %d: write the one that the role's trust policy names", len(id))
	case !consistsOf(id, func(c byte) bool { return isNameByte(c) || c == ':' || c == '/' }):
		return errors.New("an External ID holds only letters, digits, and _+=,.@:/-: write the one that the role's trust policy names")
	}
	return nil
}

// CheckSessionName says whether name may name a session: 2 to 64 letters, digits, and any of
// _+=,.@-. The role's owner sees it in CloudTrail.
func CheckSessionName(name string) error {
	switch {
	case len(name) < 2 || len(name) > 64:
		return fmt.Errorf("session name %q has %d characters: write 2 to 64", clip.Text(name), len(name))
	case !consistsOf(name, isNameByte):
		return fmt.Errorf("session name %q: write only letters, digits, and _+=,.@-", clip.Text(name))
	}
	return nil
}

// CheckSourceIdentity says whether id may be a source identity: 2 to 64 letters, digits, and any of
// _+=,.@-.
func CheckSourceIdentity(id string) error {
	switch {
	case len(id) < 2 || len(id) > 64:
		return fmt.Errorf("source identity %q has %d characters: write 2 to 64", clip.Text(id), len(id))
	case !consistsOf(id, isNameByte):
		return fmt.Errorf("source identity %q: write only letters, digits, and _+=,.@-", clip.Text(id))
	}
	return nil
}

// CheckMFASerial says whether serial may be that of an MFA device: 9 to 256 letters, digits, and any
// of _+=/:,.@-. That of a virtual device is its ARN.
func CheckMFASerial(serial string) error {
	if len(serial) < 9 || len(serial) > 256 || !consistsOf(serial, func(c byte) bool { return isNameByte(c) || c == '/' || c == ':' }) {
		return fmt.Errorf("%q is not the serial number of an MFA device: write the one that IAM shows for the user, such as arn:aws:iam::123456789012:mfa/NAME", clip.Text(serial))
	}
	return nil
}

// CheckMFACode says whether code may be the code of an MFA device: six digits. The error does not
// repeat it.
func CheckMFACode(code string) error {
	if len(code) != 6 || !consistsOf(code, isDigit) {
		return fmt.Errorf("it is not six digits, but %d characters", len(code))
	}
	return nil
}

// SessionName makes a session name of any text: what may not stand in one becomes a hyphen, and
// only the first 64 characters are kept. Text that is too short is followed by hyphens.
func SessionName(text string) string {
	var b strings.Builder
	for _, r := range text {
		if b.Len() == 64 {
			break
		}
		if r < utf8.RuneSelf && isNameByte(byte(r)) {
			b.WriteByte(byte(r))
		} else {
			b.WriteByte('-')
		}
	}
	for b.Len() < 2 {
		b.WriteByte('-')
	}
	return b.String()
}

// CheckDuration says whether d may be the duration of a session: 15 minutes to 12 hours in whole
// seconds.
func CheckDuration(d time.Duration) error {
	switch {
	case d < MinDuration || d > MaxDuration:
		return fmt.Errorf("duration %v: write 15m to 12h; a role allows 1h unless its owner raised that", d)
	case d%time.Second != 0:
		return fmt.Errorf("duration %v: write whole seconds", d)
	}
	return nil
}

// CheckChainedDuration says whether d may be the duration of a session that is begun with the
// credentials of another role, which AWS limits to one hour whatever the role allows.
func CheckChainedDuration(d time.Duration) error {
	if d > MaxChainedDuration {
		return fmt.Errorf("duration %v: AWS limits a role that is assumed with another role's credentials to 1h: write 1h or less", d)
	}
	return nil
}

// Tag is a session tag. See https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html.
type Tag struct{ Key, Value string }

// CheckTag says whether key and value may be a session tag: a key of 1 to 128 characters that does
// not begin with aws:, a value of at most 256, both of letters, digits, spaces, and any of
// _.:/=+-@.
func CheckTag(key, value string) error {
	switch n := utf8.RuneCountInString(key); {
	case n == 0:
		return errors.New("a tag has no key: write 1 to 128 characters")
	case n > 128:
		return fmt.Errorf("the key of the tag %q has %d characters: write at most 128", clip.Text(key), n)
	case !isTagText(key):
		return fmt.Errorf("the key of the tag %q: write only letters, digits, spaces, and _.:/=+-@", clip.Text(key))
	case len(key) >= 4 && strings.EqualFold(key[:4], "aws:"):
		return fmt.Errorf("the key of the tag %q: AWS keeps aws: for itself; write another", clip.Text(key))
	}
	switch n := utf8.RuneCountInString(value); {
	case n > 256:
		return fmt.Errorf("the value of the tag %q has %d characters: write at most 256", clip.Text(key), n)
	case !isTagText(value):
		return fmt.Errorf("the value of the tag %q, %q: write only letters, digits, spaces, and _.:/=+-@", clip.Text(key), clip.Text(value))
	}
	return nil
}

// CheckTags says whether tags may go into one call: at most 50, each as CheckTag wants it, with keys
// that differ in more than their case.
func CheckTags(tags []Tag) error {
	if len(tags) > maxTags {
		return fmt.Errorf("there are %d tags: write at most %d", len(tags), maxTags)
	}
	seen := make(map[string]string, len(tags))
	for _, t := range tags {
		if err := CheckTag(t.Key, t.Value); err != nil {
			return err
		}
		folded := strings.ToLower(t.Key)
		if other, ok := seen[folded]; ok {
			return fmt.Errorf("the tags %q and %q have one key for AWS, which ignores case: write one of them", other, t.Key)
		}
		seen[folded] = t.Key
	}
	return nil
}

// CheckTransitiveTags says whether the tags with these keys may be transitive: each is the key of a
// tag, and there once.
func CheckTransitiveTags(keys []string, tags []Tag) error {
	seen := make(map[string]bool, len(keys))
	for _, k := range keys {
		folded := strings.ToLower(k)
		switch {
		case !slices.ContainsFunc(tags, func(t Tag) bool { return strings.ToLower(t.Key) == folded }):
			return fmt.Errorf("there is no tag %q: write the key of a tag of this session", clip.Text(k))
		case seen[folded]:
			return fmt.Errorf("%q is there twice: keep one", clip.Text(k))
		}
		seen[folded] = true
	}
	return nil
}

// isTagText accepts what IAM writes as [\p{L}\p{Z}\p{N}_.:/=+\-@].
func isTagText(s string) bool {
	for _, r := range s { // What is no UTF-8 comes as U+FFFD, which is none of these.
		if !unicode.In(r, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", r) {
			return false
		}
	}
	return true
}
