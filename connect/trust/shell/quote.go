// Package shell writes words of a POSIX shell's command line, for the commands that a customer
// copies from the Connect page. It is pure.
package shell

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Quote returns text as one word that a POSIX shell (and bash, zsh and ksh, also when they are
// interactive) takes literally. Text that Check refuses has no such word.
// See https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02.
func Quote(text string) string {
	if isPlain(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// Hole returns text, a variable's value behind it, as one word that stops the command with the hint
// as long as the variable is unset or empty: a command with a hole in it can't be run by mistake.
// The variable's name has the grammar of names; text and hint hold letters, digits, spaces and = only.
// See https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_06_02.
func Hole(text, variable, hint string) string {
	return `"` + text + "${" + variable + ":?" + hint + `}"`
}

// Check says whether text can be part of a command that is copied into a terminal. It can't if it
// is not UTF-8, or has control characters: no word can hold NUL, and terminals act on many others
// before a shell sees the quotes around them. A line feed is no such character.
func Check(text string) error {
	if !utf8.ValidString(text) {
		return errors.New("it is not UTF-8")
	}
	for i, r := range text {
		switch {
		case r == '\n':
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			return fmt.Errorf("byte %d is the control character %U", i+1, r)
		case r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return fmt.Errorf("byte %d is %U, which makes text look as if it said something else", i+1, r)
		}
	}
	return nil
}

// isPlain says whether a shell takes text literally without quotes. A leading = is a path to zsh.
func isPlain(text string) bool {
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("_@+:,./-", c) >= 0:
		case c == '=' && i > 0:
		default:
			return false
		}
	}
	return text != ""
}
