package sigv4

import (
	"bytes"
	"strings"
)

// PathRule says how a service builds the canonical path from the path on the
// wire. Zero is no rule; take one from [PathRuleFor].
type PathRule string

const (
	// PathSingle is the rule of the S3 family: the canonical path is the
	// decoded path, encoded once. Nothing is normalised, because an object key
	// may hold "//", ".", ".." and a trailing slash.
	PathSingle PathRule = "single"

	// PathDouble is the rule of all other services: the path is normalised,
	// and the canonical path is the path on the wire encoded once more, so
	// that its percent signs read %25.
	PathDouble PathRule = "double"
)

// PathRuleFor returns the rule for a service by its signing name. The services
// of [PathSingle] are those for which the endpoint rules of the AWS SDKs say
// "disableDoubleEncoding".
func PathRuleFor(service string) PathRule {
	switch service {
	case "s3", "s3express", "s3-outposts", "s3-object-lambda":
		return PathSingle
	}
	return PathDouble
}

// canonicalPath returns the path to send and its canonical form.
func canonicalPath(raw string, rule PathRule) (wire, canonical string, err error) {
	if at := badEscape(raw); at >= 0 {
		return "", "", newTargetError(partPath, raw[at:])
	}
	if raw == "" {
		return "/", "/", nil
	}
	if raw[0] != '/' {
		return "", "", &TargetError{Part: partPath, Bytes: quoteClipped(raw, 16), Fix: "a path that begins with a slash"}
	}
	if rule == PathSingle {
		wire = singleEncode(raw)
		return wire, wire, nil
	}
	wire = minimalEscape(normalizePath(raw), false)
	return wire, encodeAgain(wire), nil
}

// singleEncode decodes raw, which holds no bad escape, and encodes it once.
func singleEncode(raw string) string {
	if unreservedPathBytes.all(raw) {
		return raw
	}
	var space [256]byte
	b := appendDecoded(space[:0], raw, unreservedPathBytes, '+')
	// Most paths with escapes are canonical already.
	if string(b) == raw {
		return raw
	}
	return string(b)
}

// encodeAgain encodes a path as it is on the wire, percent signs included.
func encodeAgain(wire string) string {
	if unreservedPathBytes.all(wire) {
		return wire
	}
	var space [384]byte
	return string(appendEscape(space[:0], wire, unreservedPathBytes))
}

// minimalEscape escapes the bytes that can't be in a path on the wire and
// leaves all others. Percent signs are kept with what follows them, unless the
// text is decoded, in which they are data.
func minimalEscape(s string, decoded bool) string {
	keep := legalPathBytes
	if !decoded {
		keep = wirePathBytes
	}
	if keep.all(s) {
		return s
	}
	var space [256]byte
	return string(appendEscape(space[:0], s, keep))
}

// normalizePath removes "." and ".." segments and empty ones from a path that
// begins with a slash. It never climbs above the root, and it keeps one
// trailing slash where there was one: "/a/." is "/a" and "/a/./" is "/a/".
// This is RFC 3986 §5.2.4 as the AWS SDKs that normalise do it.
//
// It reads the bytes of the wire: an escaped dot ("%2e%2e") is data. Services
// sign such a segment as it stands; whether an upstream resolves it later is
// nothing that the signature hides.
func normalizePath(raw string) string {
	if isNormalPath(raw) {
		return raw
	}
	out := make([]byte, 0, len(raw))
	for segment := range strings.SplitSeq(raw, "/") {
		switch segment {
		case "", ".":
		case "..":
			if i := bytes.LastIndexByte(out, '/'); i >= 0 {
				out = out[:i]
			}
		default:
			out = append(append(out, '/'), segment...)
		}
	}
	if len(out) == 0 || raw[len(raw)-1] == '/' {
		out = append(out, '/')
	}
	return string(out)
}

// isNormalPath reports whether a path that begins with a slash has no segment
// to remove, the common case.
func isNormalPath(raw string) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '/' {
			continue
		}
		end := i + 1
		for end < len(raw) && raw[end] == '.' {
			end++
		}
		// What follows the slash is nothing or only dots: it is a segment
		// that goes, unless it is the end, or has three dots or more.
		if end < len(raw) && raw[end] != '/' {
			continue
		}
		switch end - (i + 1) {
		case 0:
			if end < len(raw) {
				return false
			}
		case 1, 2:
			return false
		}
	}
	return true
}
