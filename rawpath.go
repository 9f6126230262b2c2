package awssigv4

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// withRawPath returns a copy of a request with another path, given as it is sent: nothing in it is merged or
// decoded and encoded again.
func withRawPath(r *http.Request, raw string) (*http.Request, error) {
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the path has a percent sign that begins no escape")
	}
	out := *r
	u := *r.URL
	u.Path, u.RawPath = decoded, raw
	out.URL, out.RequestURI = &u, raw
	if u.RawQuery != "" {
		out.RequestURI += "?" + u.RawQuery
	}
	return &out, nil
}

// withoutPrefix returns a request without the prefix of its path: `/proxy/key` without `/proxy` is `/key`.
func withoutPrefix(r *http.Request, prefix string) (*http.Request, error) {
	if prefix == "" {
		return r, nil
	}
	rest, ok := strings.CutPrefix(sigv4.RawPath(r), prefix)
	switch {
	case ok && rest == "":
		rest = "/"
	case !ok || rest[0] != '/':
		return nil, refuse(http.StatusNotFound, "the path is not below strip_prefix, %s", prefix)
	}
	return withRawPath(r, rest)
}

// belowPath returns a request whose path is below another one, whatever dots it holds.
func belowPath(r *http.Request, base, service string) (*http.Request, error) {
	if base == "" {
		return r, nil
	}
	raw := sigv4.RawPath(r)
	out, err := withRawPath(r, base+raw)
	if err != nil {
		return nil, err
	}
	if sigv4.PathRuleFor(service) == sigv4.PathDouble {
		// These would be resolved, and could lead out of the base. S3 takes them for names.
		for segment := range strings.SplitSeq(out.URL.Path, "/") {
			if segment == "." || segment == ".." {
				return nil, refuse(http.StatusBadRequest, "the path has a segment . or .., which could lead out of the base URL")
			}
		}
	}
	return out, nil
}

// checkPrefix reports what can't be stripped from a path.
func checkPrefix(prefix string) error {
	u, err := url.Parse(prefix)
	if err != nil || u.EscapedPath() != prefix || len(prefix) < 2 || prefix[0] != '/' || strings.HasSuffix(prefix, "/") || strings.ContainsAny(prefix, "{}*") {
		return fmt.Errorf("%q is no prefix of a path: begin it with a slash, as /proxy, and end it without one", prefix)
	}
	return nil
}
