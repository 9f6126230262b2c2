package connect

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
)

// EndUser is the vendor's customer, a person, as the vendor knows them. The zero value is nobody.
type EndUser struct {
	// ID is the vendor's own name for the person: 1 to 255 characters.
	ID string `json:"id"`

	// Email and DisplayName are shown to the vendor's operators. Each has at most 255 characters.
	Email       string `json:"email,omitempty"`
	DisplayName string `json:"display_name,omitempty"`

	// Tags are the vendor's own. See CheckTags.
	Tags map[string]string `json:"tags,omitempty"`
}

// Organization is the vendor's customer, a company, as the vendor knows it. The zero value is none.
type Organization struct {
	// ID is the vendor's own name for the company: 1 to 255 characters.
	ID string `json:"id"`

	// DisplayName is shown to the vendor's operators: at most 255 characters.
	DisplayName string `json:"display_name,omitempty"`
}

// Check says what is wrong with an end user, if anything. Without an ID there may be nothing else.
func (u EndUser) Check() error {
	if u.ID == "" && (u.Email != "" || u.DisplayName != "" || len(u.Tags) > 0) {
		return errors.New("the end user has no id: write the one that you know them by")
	}
	for _, f := range []struct{ name, text string }{{"id", u.ID}, {"email", u.Email}, {"display_name", u.DisplayName}} {
		if err := checkText(f.text, 255); err != nil {
			return fmt.Errorf("the end user's %s %w", f.name, err)
		}
	}
	if err := CheckTags(u.Tags); err != nil {
		return fmt.Errorf("the end user's tags: %w", err)
	}
	return checkDistinct("the end user's id", u.ID)
}

// Check says what is wrong with an organization, if anything. Without an ID there may be nothing
// else.
func (o Organization) Check() error {
	if o.ID == "" && o.DisplayName != "" {
		return errors.New("the organization has no id: write the one that you know it by")
	}
	for _, f := range []struct{ name, text string }{{"id", o.ID}, {"display_name", o.DisplayName}} {
		if err := checkText(f.text, 255); err != nil {
			return fmt.Errorf("the organization's %s %w", f.name, err)
		}
	}
	return checkDistinct("the organization's id", o.ID)
}

// checkDistinct refuses an ID with the character that decoders put in place of all that they can't read:
// two customers would have one ID then, and with it one External ID.
func checkDistinct(what, id string) error {
	if strings.ContainsRune(id, utf8.RuneError) {
		return fmt.Errorf("%s holds U+FFFD, which stands for what could not be read: send it as UTF-8, without halves of surrogate pairs", what)
	}
	return nil
}

var tagKey = regexp.MustCompile(`^[a-z][a-z0-9_\-./]{0,63}$`)

// CheckTags says whether tags may stand at an end user or a connection: at most 10; keys of a lower
// case letter and up to 63 lower case letters, digits, and any of _-./; values of 1 to 255
// characters. They are the vendor's own and never reach AWS.
func CheckTags(tags map[string]string) error {
	if len(tags) > 10 {
		return fmt.Errorf("there are %d tags: write at most 10", len(tags))
	}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		if !tagKey.MatchString(k) {
			return fmt.Errorf("%q is no key of a tag: write a lower case letter, then up to 63 lower case letters, digits, and any of _-./", clip.Text(k))
		}
		if tags[k] == "" {
			return fmt.Errorf("the tag %s has no value: write one, or leave the tag out", k)
		}
		if err := checkText(tags[k], 255); err != nil {
			return fmt.Errorf("the value of the tag %s %w", k, err)
		}
	}
	return nil
}

// checkText wants at most that many characters of UTF-8 without control characters. Its error
// continues a sentence that names the text.
func checkText(s string, most int) error {
	switch n := utf8.RuneCountInString(s); {
	case !utf8.ValidString(s):
		return errors.New("is not UTF-8")
	case n > most:
		return fmt.Errorf("has %d characters: write at most %d", n, most)
	case strings.ContainsFunc(s, unicode.IsControl):
		return errors.New("holds a control character: leave it out")
	}
	return nil
}
