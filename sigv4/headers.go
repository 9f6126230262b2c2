package sigv4

import (
	"net/http"
	"strings"
)

// HeaderRules choose which headers are signed. Host and every x-amz-* are
// always: AWS refuses requests whose x-amz-* headers are not. A nil
// *HeaderRules is the default, which adds content-type and content-md5:
// nothing that a hop between here and the service may change.
//
// Note that x-amzn-* is not x-amz-*.
//
// HeaderRules are immutable and safe for concurrent use.
type HeaderRules struct {
	names map[string]struct{}
}

// NewHeaderRules returns the default rules with more header names, in any
// case. It refuses names that are no field names, and names of headers that a
// hop changes or that net/http writes on its own, whose signature would not
// survive.
func NewHeaderRules(extra ...string) (*HeaderRules, error) {
	return newHeaderRules([]string{"content-type", "content-md5"}, extra)
}

// OnlyHeaderRules returns rules that sign host, x-amz-* and these names, in
// any case, and no others: content-type and content-md5 only if named. It
// refuses the same names as [NewHeaderRules].
func OnlyHeaderRules(names ...string) (*HeaderRules, error) {
	return newHeaderRules(nil, names)
}

func newHeaderRules(base, more []string) (*HeaderRules, error) {
	r := &HeaderRules{names: make(map[string]struct{}, len(base)+len(more))}
	for _, name := range base {
		r.names[name] = struct{}{}
	}
	for _, name := range more {
		lower := lowerASCII(name)
		if lower == "" || !tokenBytes.all(lower) {
			return nil, inputError("header name " + quoteClipped(name, 64) + " is no field name: write letters, digits and hyphens, such as x-request-id")
		}
		if why := unsignable(lower); why != "" {
			return nil, inputError("header " + lower + " can't be signed: " + why + "; leave it out")
		}
		r.names[lower] = struct{}{}
	}
	return r, nil
}

// unsignable returns why a header must not be signed, or "".
func unsignable(lower string) string {
	switch lower {
	case "authorization":
		return "it carries the signature"
	case "date":
		return "the time of a signature is x-amz-date"
	case "content-length", "user-agent", "accept-encoding", "expect", "trailer":
		return "net/http writes it after signing"
	case "connection", "keep-alive", "te", "transfer-encoding", "upgrade":
		return "it is for one hop only"
	case "via", "forwarded", "x-amzn-trace-id", "cookie":
		return "proxies and load balancers change it"
	}
	switch {
	case strings.HasPrefix(lower, "proxy-"), strings.HasPrefix(lower, "sec-websocket-"):
		return "it is for one hop only"
	case strings.HasPrefix(lower, "x-forwarded-"):
		return "proxies and load balancers change it"
	}
	return ""
}

// IsSigned reports whether a header is signed if it is present. The name is in
// lower case.
func (r *HeaderRules) IsSigned(lowerName string) bool {
	if lowerName == "host" || strings.HasPrefix(lowerName, "x-amz-") {
		return true
	}
	if r == nil {
		return lowerName == "content-type" || lowerName == "content-md5"
	}
	_, ok := r.names[lowerName]
	return ok
}

// concerns is a cheap first look: a header of a name for which it reports false,
// in whatever case, is neither signed nor one that Sign replaces.
func (r *HeaderRules) concerns(name string) bool {
	if r != nil || name == "" {
		return true
	}
	switch name[0] {
	case 'A', 'a':
		return len(name) == len("authorization")
	case 'C', 'c', 'H', 'h': // content-type, content-md5, host
		return true
	case 'X', 'x':
		return len(name) > 2 && (name[2] == 'A' || name[2] == 'a')
	}
	return false
}

// isSigned is IsSigned without a conversion that allocates.
func (r *HeaderRules) isSigned(lower []byte) bool {
	if len(lower) >= 6 && string(lower[:6]) == "x-amz-" {
		return true
	}
	if r == nil {
		return string(lower) == "content-type" || string(lower) == "content-md5"
	}
	_, ok := r.names[string(lower)]
	return ok
}

// IsAuthHeader reports whether a client authenticates itself, or pretends to,
// with a header of this name, in whatever case it is written: Authorization,
// Proxy-Authorization, X-Amz-Date, X-Amz-Security-Token, X-Amz-Content-Sha256,
// X-Amz-S3session-Token, X-Amz-Region-Set and Date.
func IsAuthHeader(name string) bool {
	// Names of different lengths need not be compared. Of equal length,
	// strings.EqualFold takes no letter of another script for one of these: it
	// has more bytes.
	switch len(name) {
	case len("date"):
		return strings.EqualFold(name, "date")
	case len("x-amz-date"):
		return strings.EqualFold(name, "x-amz-date")
	case len("authorization"):
		return strings.EqualFold(name, "authorization")
	case len("x-amz-region-set"):
		return strings.EqualFold(name, "x-amz-region-set")
	case len("proxy-authorization"):
		return strings.EqualFold(name, "proxy-authorization")
	case len("x-amz-security-token"): // And of x-amz-content-sha256.
		return strings.EqualFold(name, "x-amz-security-token") || strings.EqualFold(name, "x-amz-content-sha256")
	case len("x-amz-s3session-token"):
		return strings.EqualFold(name, "x-amz-s3session-token")
	}
	return false
}

// RemoveAuthHeaders deletes the headers that [IsAuthHeader] names. Read
// X-Amz-Content-Sha256 before, if it matters.
func RemoveAuthHeaders(h http.Header) {
	for key := range h {
		if IsAuthHeader(key) {
			delete(h, key)
		}
	}
}
