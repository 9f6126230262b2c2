package sigv4

import "strings"

const upperHex = "0123456789ABCDEF"

// A byteSet answers whether a byte is one of a set.
type byteSet [256]bool

func newByteSet(members string) *byteSet {
	var s byteSet
	for i := range len(members) {
		s[members[i]] = true
	}
	return &s
}

const (
	digits       = "0123456789"
	upperLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	alphanumeric = upperLetters + "abcdefghijklmnopqrstuvwxyz" + digits
)

var (
	// unreservedBytes are those of RFC 3986 §2.3, which SigV4 never encodes.
	unreservedBytes = newByteSet(alphanumeric + "-._~")

	// unreservedPathBytes are the unreserved ones and the slash, which is
	// encoded in a query but not in a path.
	unreservedPathBytes = newByteSet(alphanumeric + "-._~/")

	// legalPathBytes may stand for themselves in a path on the wire: pchar
	// and the slash of RFC 3986 §3.3, but no percent sign, which is judged by
	// what follows it, and no '+', which some servers read as a space.
	legalPathBytes = newByteSet(alphanumeric + "-._~/!$&'()*,;=:@")

	// wirePathBytes are these and the percent sign, in a path in which each
	// begins an escape.
	wirePathBytes = newByteSet(alphanumeric + "-._~/!$&'()*,;=:@%")

	// tokenBytes make up methods and field names, RFC 9110 §5.6.2.
	tokenBytes = newByteSet(alphanumeric + "!#$%&'*+-.^_`|~")

	// hostBytes are those of a host and port, RFC 3986 §3.2.2, without the
	// percent sign: net/http would remove an IPv6 zone from Host after it was
	// signed. Non-ASCII is left out because net/http sends it as punycode.
	hostBytes = newByteSet(alphanumeric + "-._~!$&'()*+,;=:[]")

	digitBytes    = newByteSet(digits)
	lowerHexBytes = newByteSet(digits + "abcdef")
	sentinelBytes = newByteSet(upperLetters + digits + "-")
)

// all reports whether s is made of the set's bytes only.
func (set *byteSet) all(s string) bool {
	for i := range len(s) {
		if !set[s[i]] {
			return false
		}
	}
	return true
}

// appendEscape appends s with every byte outside keep as %XX in upper case.
func appendEscape(b []byte, s string, keep *byteSet) []byte {
	start := 0 // of the bytes that stay
	for i := range len(s) {
		if !keep[s[i]] {
			b = append(b, s[start:i]...)
			b = appendEscapeByte(b, s[i], keep)
			start = i + 1
		}
	}
	return append(b, s[start:]...)
}

// appendDecoded decodes s, which holds no bad escape, and appends it with every
// byte outside keep as %XX. A '+' stands for plus. Neither it nor the percent
// sign is in keep.
func appendDecoded(b []byte, s string, keep *byteSet, plus byte) []byte {
	start := 0 // of the bytes that stay
	for i := 0; i < len(s); i++ {
		c := s[i]
		if keep[c] {
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '%':
			c, _ = unhexAt(s, i)
			i += 2
		case '+':
			c = plus
		}
		b = appendEscapeByte(b, c, keep)
		start = i + 1
	}
	return append(b, s[start:]...)
}

func appendEscapeByte(b []byte, c byte, keep *byteSet) []byte {
	if keep[c] {
		return append(b, c)
	}
	return append(b, '%', upperHex[c>>4], upperHex[c&15])
}

// unhexAt decodes the escape that begins at s[i], which is a percent sign.
func unhexAt(s string, i int) (byte, bool) {
	if i+2 >= len(s) {
		return 0, false
	}
	hi, ok1 := unhex(s[i+1])
	lo, ok2 := unhex(s[i+2])
	return hi<<4 | lo, ok1 && ok2
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// badEscape returns the index of the first percent sign that begins no escape,
// or -1.
func badEscape(s string) int {
	for i := strings.IndexByte(s, '%'); i >= 0 && i < len(s); i++ {
		if s[i] != '%' {
			continue
		}
		if _, ok := unhexAt(s, i); !ok {
			return i
		}
		i += 2
	}
	return -1
}

// percentDecode decodes %XX and nothing else; '+' stays '+'. It reports false
// for a percent sign that begins no escape.
func percentDecode(s string) (string, bool) {
	first := strings.IndexByte(s, '%')
	if first < 0 {
		return s, true
	}
	b := make([]byte, first, len(s))
	copy(b, s)
	for i := first; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			var ok bool
			if c, ok = unhexAt(s, i); !ok {
				return "", false
			}
			i += 2
		}
		b = append(b, c)
	}
	return string(b), true
}

// decodesTo reports whether percentDecode makes decoded of s.
func decodesTo(s, decoded string) bool {
	first := strings.IndexByte(s, '%')
	if first < 0 {
		return s == decoded
	}
	if len(decoded) < first || s[:first] != decoded[:first] {
		return false
	}
	i := first
	for j := first; j < len(decoded); j++ {
		if i >= len(s) {
			return false
		}
		c := s[i]
		if c == '%' {
			var ok bool
			if c, ok = unhexAt(s, i); !ok {
				return false
			}
			i += 2
		}
		if c != decoded[j] {
			return false
		}
		i++
	}
	return i == len(s)
}

// lowerASCII returns s with A-Z in lower case. strings.ToLower would also turn
// letters of other scripts, such as the Kelvin sign, into ASCII.
func lowerASCII(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
