// Package clip keeps values that somebody else wrote from filling an error.
package clip

import "strings"

// most is how many bytes of a value are shown.
const most = 80

// Text returns a text, or its beginning and an ellipsis if it is longer than 80 bytes. A character that would
// be cut in two is left out.
func Text(s string) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
