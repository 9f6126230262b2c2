package wireverify

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

// encode writes every byte but the unreserved ones and those of keep as %XX.
func encode(s, keep string) string {
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(unreserved+keep, s[i]) >= 0 {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}

// decode resolves %XX, and nothing else.
func decode(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", fmt.Errorf("escape %q is cut off", s[i:])
		}
		c, err := hex.DecodeString(s[i+1 : i+3])
		if err != nil {
			return "", fmt.Errorf("%q is no escape", s[i:i+3])
		}
		b.Write(c)
		i += 2
	}
	return b.String(), nil
}

// legalInTarget are the bytes of RFC 3986 that may stand in a path or a query
// without an escape.
const legalInTarget = unreserved + "!$&'()*+,;=:@/%?"

// checkTarget refuses what a request target in origin form can't hold.
func checkTarget(target string) error {
	if !strings.HasPrefix(target, "/") {
		return fmt.Errorf("request target %q is not in origin form", target)
	}
	for i := range len(target) {
		if strings.IndexByte(legalInTarget, target[i]) < 0 {
			return fmt.Errorf("request target %q holds the byte %q", target, target[i])
		}
	}
	path, query, _ := strings.Cut(target, "?")
	if strings.Contains(query, "?") {
		return fmt.Errorf("query %q holds a second question mark", query)
	}
	for _, part := range []string{path, query} {
		if _, err := decode(part); err != nil {
			return fmt.Errorf("request target %q: %w", target, err)
		}
	}
	return nil
}

// isS3Family tells whether a service decodes the path before it verifies.
// These are the ones for which AWS SDKs turn double encoding off.
func isS3Family(service string) bool {
	return slices.Contains([]string{"s3", "s3express", "s3-outposts", "s3-object-lambda"}, service)
}

// canonicalPaths returns every canonical path that a service might build from
// the path on the wire: all of them have to be the same.
func canonicalPaths(service, path string) ([]string, error) {
	if isS3Family(service) {
		decoded, err := decode(path)
		return []string{encode(decoded, "/")}, err
	}
	return []string{encode(normalise(path), "/"), encode(path, "/")}, nil
}

// normalise removes empty, "." and ".." segments.
func normalise(path string) string {
	var kept []string
	for segment := range strings.SplitSeq(path, "/") {
		switch segment {
		case "", ".":
		case "..":
			kept = kept[:max(len(kept)-1, 0)]
		default:
			kept = append(kept, segment)
		}
	}
	normal := "/" + strings.Join(kept, "/")
	if strings.HasSuffix(path, "/") && normal != "/" {
		normal += "/"
	}
	return normal
}

// canonicalQuery decodes and encodes each parameter and sorts them.
func canonicalQuery(query string) (string, error) {
	if query == "" {
		return "", nil
	}
	type parameter struct{ key, value string }
	var parameters []parameter
	for text := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(text, "=")
		key, err := decode(key)
		if err != nil {
			return "", err
		}
		value, err = decode(value)
		if err != nil {
			return "", err
		}
		parameters = append(parameters, parameter{encode(key, ""), encode(value, "")})
	}
	slices.SortFunc(parameters, func(a, b parameter) int {
		if c := strings.Compare(a.key, b.key); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	var texts []string
	for _, p := range parameters {
		texts = append(texts, p.key+"="+p.value)
	}
	return strings.Join(texts, "&"), nil
}

// authParameters are the query parameters that carry a signature, lower-case.
var authParameters = []string{
	"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders", "x-amz-signature",
	"x-amz-security-token", "x-amz-s3session-token", "x-amz-region-set",
}

// checkNoAuthQuery refuses a second signature in the query.
func checkNoAuthQuery(query string) error {
	for text := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(text, "=")
		decoded, err := decode(name)
		if err != nil {
			return err
		}
		if slices.Contains(authParameters, strings.ToLower(decoded)) {
			return fmt.Errorf("query parameter %q beside an Authorization header", decoded)
		}
	}
	return nil
}

// canonicalHeader returns the line of one signed header.
func canonicalHeader(r *Request, name string) string {
	values := slices.Clone(r.Values(name))
	for i := range values {
		for strings.Contains(values[i], "  ") {
			values[i] = strings.ReplaceAll(values[i], "  ", " ")
		}
	}
	return name + ":" + strings.Join(values, ",")
}
