package sts

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
)

// DefaultAPIKeyHeader is where an API key is sent if nothing else is said.
const DefaultAPIKeyHeader = "x-api-key"

// HelperAuth is what an STS helper knows its callers by: a header. The zero value is none.
type HelperAuth struct {
	header, value string
	secrets       []string // that may not be repeated
}

// HelperAPIKey returns an API key in a header; DefaultAPIKeyHeader if that is empty. The error does not
// repeat the key.
func HelperAPIKey(header, key string) (HelperAuth, error) {
	if header == "" {
		header = DefaultAPIKeyHeader
	}
	if err := checkAuthHeader(header); err != nil {
		return HelperAuth{}, err
	}
	if err := checkSecret("API key", key); err != nil {
		return HelperAuth{}, err
	}
	return HelperAuth{http.CanonicalHeaderKey(header), key, []string{key}}, nil
}

// HelperBasic returns a user and a password by RFC 7617. The user may be empty. The error does not repeat
// them.
func HelperBasic(user, password string) (HelperAuth, error) {
	switch {
	case password == "":
		return HelperAuth{}, errors.New("the password is empty: write it, or leave basic authentication out")
	case strings.Contains(user, ":"):
		return HelperAuth{}, errors.New("the user holds a colon, which ends it: write a user without one")
	case strings.ContainsFunc(user+password, isControl):
		return HelperAuth{}, errors.New("the user or the password holds a line break or another control character: write them alone")
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	return HelperAuth{"Authorization", "Basic " + encoded, []string{encoded, password}}, nil
}

// HelperBearer returns a bearer token by RFC 6750. The error does not repeat it.
func HelperBearer(token string) (HelperAuth, error) {
	if err := checkSecret("bearer token", token); err != nil {
		return HelperAuth{}, err
	}
	return HelperAuth{"Authorization", "Bearer " + token, []string{token}}, nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// checkSecret refuses what no key has, and what comes with a copied line.
func checkSecret(what, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("the %s is empty: write it, or leave the option out", what)
	case !consistsOf(s, isPathByte):
		return fmt.Errorf("the %s holds a blank, a line break or another character that none has: write it alone", what)
	}
	return nil
}

// ownHeaders are headers of HTTP itself, or of this client.
var ownHeaders = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Connection": true, "Content-Encoding": true, "Content-Length": true,
	"Content-Type": true, "Expect": true, "Host": true, "Idempotency-Key": true, "Keep-Alive": true,
	"Proxy-Authorization": true, "Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true,
	"Upgrade": true, "User-Agent": true,
}

// checkAuthHeader says whether a header can carry an API key. See RFC 9110 §5.6.2 on its characters.
func checkAuthHeader(name string) error {
	if !consistsOf(name, func(c byte) bool {
		return isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
	}) {
		return fmt.Errorf("header %q: write letters, digits and hyphens, such as %s", clip.Text(name), DefaultAPIKeyHeader)
	}
	if ownHeaders[http.CanonicalHeaderKey(name)] {
		return fmt.Errorf("header %q has a meaning of its own in HTTP: write another one, such as %s", clip.Text(name), DefaultAPIKeyHeader)
	}
	return nil
}
