package sigv4

import (
	"bytes"
	"slices"
	"strings"
)

// StripAuthQuery removes from a raw query the parameters by which a request
// can carry a signature or its credentials: X-Amz-Algorithm, X-Amz-Credential,
// X-Amz-Date, X-Amz-Expires, X-Amz-SignedHeaders, X-Amz-Signature,
// X-Amz-Security-Token, X-Amz-S3session-Token and X-Amz-Region-Set. S3 refuses
// a request that has both these and an Authorization header.
//
// Names are compared after percent-decoding and without regard to case, since
// that is how a lenient server would read them. All other bytes of the query
// stay as they are.
func StripAuthQuery(rawQuery string) string {
	if !hasAuthQuery(rawQuery) {
		return rawQuery
	}
	b := make([]byte, 0, len(rawQuery))
	first := true
	for pair := range strings.SplitSeq(rawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if isAuthParameter(name) {
			continue
		}
		if !first {
			b = append(b, '&')
		}
		first = false
		b = append(b, pair...)
	}
	return string(b)
}

func hasAuthQuery(rawQuery string) bool {
	if !mayHoldAuthQuery(rawQuery) {
		return false
	}
	for rest, more := rawQuery, true; more; {
		var pair string
		pair, rest, more = strings.Cut(rest, "&")
		name, _, _ := strings.Cut(pair, "=")
		if isAuthParameter(name) {
			return true
		}
	}
	return false
}

// mayHoldAuthQuery is a cheap first look: each of the names begins with an x,
// spelled in one of these ways.
func mayHoldAuthQuery(rawQuery string) bool {
	return strings.ContainsAny(rawQuery, "xX%")
}

func isAuthParameter(encodedName string) bool {
	// The shortest and longest of the names below, the longest with each byte
	// escaped.
	const shortest, longest = len("X-Amz-Date"), len("X-Amz-S3session-Token")
	if len(encodedName) < shortest || len(encodedName) > 3*longest {
		return false
	}
	name, ok := percentDecode(encodedName)
	if !ok || len(name) < shortest || len(name) > longest {
		return false
	}
	switch lowerASCII(name) {
	case "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders",
		"x-amz-signature", "x-amz-security-token", "x-amz-s3session-token", "x-amz-region-set":
		return true
	}
	return false
}

// plusReading says what a raw '+' in a query stands for.
type plusReading byte

const (
	// plusIsSpace is the reading of HTML forms, of S3 and of most clients'
	// and servers' query parsers. It is what Canonicalize reads.
	plusIsSpace plusReading = ' '
	// plusIsPlus is the reading of RFC 3986, which some signers follow.
	plusIsPlus plusReading = '+'
)

// pair is one parameter in its encoded form: buffer[start:end] is
// "key=value" with the '=' at index equals.
type pair struct{ start, equals, end int }

// canonicalQuery splits on '&' alone (a ';' is data), drops empty pairs,
// decodes each key and value, encodes them with RFC 3986's unreserved bytes
// only, gives a key without '=' an empty value, and sorts by encoded key, then
// by encoded value.
func canonicalQuery(raw string, plus plusReading) (string, error) {
	if raw == "" {
		return "", nil
	}
	if at := badEscape(raw); at >= 0 {
		return "", newTargetError(partQuery, raw[at:])
	}
	var (
		bufferSpace [512]byte
		pairSpace   [16]pair
	)
	b, pairs := bufferSpace[:0], pairSpace[:0]
	sorted := true
	for rest, more := raw, true; more; {
		var text string
		text, rest, more = strings.Cut(rest, "&")
		if text == "" {
			continue
		}
		if len(pairs) > 0 {
			b = append(b, '&')
		}
		key, value, _ := strings.Cut(text, "=")
		p := pair{start: len(b)}
		b = appendDecoded(b, key, unreservedBytes, byte(plus))
		p.equals = len(b)
		b = append(b, '=')
		b = appendDecoded(b, value, unreservedBytes, byte(plus))
		p.end = len(b)
		if n := len(pairs); n > 0 && sorted {
			sorted = comparePairs(b, pairs[n-1], p) <= 0
		}
		pairs = append(pairs, p)
	}
	if sorted {
		if string(b) == raw {
			return raw, nil
		}
		return string(b), nil
	}
	sortPairs(b, pairs)
	var outSpace [512]byte
	out := outSpace[:0]
	for i, p := range pairs {
		if i > 0 {
			out = append(out, '&')
		}
		out = append(out, b[p.start:p.end]...)
	}
	return string(out), nil
}

// comparePairs orders by key and then by value. Comparing "key=value" as a
// whole would be wrong: '-' and '.' sort before '=', so "a-b" would come
// before "a".
func comparePairs(b []byte, x, y pair) int {
	if c := bytes.Compare(b[x.start:x.equals], b[y.start:y.equals]); c != 0 {
		return c
	}
	return bytes.Compare(b[x.equals:x.end], b[y.equals:y.end])
}

func sortPairs(b []byte, pairs []pair) {
	slices.SortFunc(pairs, func(x, y pair) int { return comparePairs(b, x, y) })
}
