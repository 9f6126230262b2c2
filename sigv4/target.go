package sigv4

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Target is the path and the query of a request in the one form that is both
// sent and signed. [Canonicalize] makes it.
type Target struct {
	// Path is the path to send. It begins with a slash.
	Path string
	// CanonicalPath is the path in the canonical request. For [PathSingle] it
	// is Path.
	CanonicalPath string
	// Query is the query to send, without '?'; it is its own canonical form.
	Query string
}

// Canonicalize brings a path and a query, as the client sent them, into the
// form that is both sent and signed. It removes nothing: presign parameters
// are taken out before, with [StripAuthQuery].
//
// The path follows the rule of the service. For [PathSingle] it is decoded and
// encoded once, with upper-case hexadecimal digits, everything but
// A-Za-z0-9-._~ and the slash: %2F becomes a slash, as S3 reads it, and
// nothing is normalised. For [PathDouble] the "." and ".." segments and empty
// segments go, the bytes that can't be in a path on the wire are escaped, and
// escapes that the client sent stay as they are; the canonical path is that,
// encoded again. An empty path is "/". A '+' in a path is a plus, and is sent
// as %2B under both rules because S3 reads a raw one as a space.
//
// The query is split on '&' only, each key and value is decoded and encoded
// again, "k" becomes "k=", empty pairs go, and the pairs are sorted. A raw '+'
// in a query is a space, as in HTML forms and in S3, and is sent as %20; a
// client that means a plus writes %2B.
//
// The error is a [*TargetError], the client's mistake: a percent sign that
// begins no escape, or a path that is not empty and does not begin with a
// slash, such as the "*" of OPTIONS.
//
// Any rule but [PathSingle] is taken for [PathDouble].
//
// Canonicalizing a Target's Path and Query again yields the same Target.
func Canonicalize(rawPath, rawQuery string, rule PathRule) (Target, error) {
	wire, canonical, err := canonicalPath(rawPath, rule)
	if err != nil {
		return Target{}, err
	}
	query, err := canonicalQuery(rawQuery, plusIsSpace)
	if err != nil {
		return Target{}, err
	}
	return Target{Path: wire, CanonicalPath: canonical, Query: query}, nil
}

// RequestURI returns the origin form of the request target, RFC 9112 §3.2.1:
// what stands on the request line.
func (t Target) RequestURI() string {
	if t.Query == "" {
		return t.Path
	}
	return t.Path + "?" + t.Query
}

// SetURL puts the target into u such that u.RequestURI() equals
// t.RequestURI(), byte for byte, which is what net/http sends. Scheme, Host
// and User stay.
func (t Target) SetURL(u *url.URL) {
	// RawPath is honoured only where it is a valid encoding of Path; the path
	// of a Target always is. Opaque would be sent unchecked, and as an
	// absolute URL if the path begins with two slashes.
	if !decodesTo(t.Path, u.Path) {
		u.Path, _ = percentDecode(t.Path)
	}
	u.RawPath = t.Path
	u.RawQuery = t.Query
	u.Opaque = ""
	u.ForceQuery = false
	u.Fragment = ""
	u.RawFragment = ""
}

// RawPath returns the path of a request in the client's own bytes, as
// [Canonicalize] wants it, honouring what earlier handlers made of the URL: the
// path of RequestURI if it decodes to the current URL.Path, else a URL.RawPath
// that does, else URL.Path with the bytes escaped that need it. RequestURI may
// be in origin form, in absolute form ("http://host/path?query") or "*".
//
// URL.EscapedPath is no substitute: for a path with one byte that should have
// been escaped it drops RawPath and, with it, the difference between %2F and a
// slash.
//
// A rewrite that strips a prefix may leave a path without its first slash; it
// gets one, as in url.URL.String. A URL that has no path at all, as in
// "mailto:someone", and "*" are returned such that Canonicalize refuses them.
func RawPath(r *http.Request) string {
	if opaque := r.URL.Opaque; opaque != "" {
		// With an authority, as in "//host/path", it is an absolute form.
		if strings.HasPrefix(opaque, "//") {
			return requestURIPath(":" + opaque)
		}
		return opaque
	}
	for _, raw := range [...]string{requestURIPath(r.RequestURI), r.URL.RawPath} {
		if raw != "" && decodesTo(raw, r.URL.Path) {
			return rooted(raw)
		}
	}
	return rooted(minimalEscape(r.URL.Path, true))
}

func rooted(path string) string {
	if path == "" || path == "*" || path[0] == '/' {
		return path
	}
	return "/" + path
}

// requestURIPath cuts the path out of a request target.
func requestURIPath(uri string) string {
	uri, _, _ = strings.Cut(uri, "?")
	if strings.HasPrefix(uri, "/") {
		return uri
	}
	if _, rest, ok := strings.Cut(uri, "://"); ok {
		slash := strings.IndexByte(rest, '/')
		if slash < 0 {
			return ""
		}
		return rest[slash:]
	}
	return uri
}

const (
	partPath  = "path"
	partQuery = "query"
)

// TargetError is the client's mistake in the path or query of a request. The
// answer to it is 400 Bad Request.
type TargetError struct {
	// Part is "path" or "query".
	Part string
	// Bytes are the offending ones, quoted and clipped.
	Bytes string
	// Fix is what to send instead.
	Fix string
}

// Error says which part is wrong, where, and what to send instead.
func (e *TargetError) Error() string {
	return "request " + e.Part + ": " + e.Bytes + " is not valid here: send " + e.Fix
}

// newTargetError reports the percent sign that rest begins with.
func newTargetError(part, rest string) *TargetError {
	return &TargetError{
		Part:  part,
		Bytes: quoteClipped(rest, 3),
		Fix:   "a percent sign followed by two hexadecimal digits, or %25 for the percent sign itself",
	}
}

// quoteClipped quotes at most limit bytes of s in ASCII.
func quoteClipped(s string, limit int) string {
	return strconv.QuoteToASCII(s[:min(len(s), limit)])
}
