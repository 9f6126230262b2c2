package sigv4

import (
	"net"
	"strings"
)

// StripDefaultPort removes the port from a host if it is the default of the
// scheme ("http", "https") or empty, and returns any other host unchanged.
// IPv6 literals keep their brackets: "[::1]:443" under https becomes "[::1]".
//
// A default port must be neither sent nor signed: servers differ in whether
// they take it off before they verify.
func StripDefaultPort(host, scheme string) string {
	var suffix string
	switch {
	case strings.HasSuffix(host, ":"):
		suffix = ":"
	case strings.EqualFold(scheme, "https"):
		suffix = ":443"
	case strings.EqualFold(scheme, "http"):
		suffix = ":80"
	}
	if suffix == "" || !strings.HasSuffix(host, suffix) {
		return host
	}
	// A bare IPv6 literal may end like a port; it is refused here.
	if _, _, err := net.SplitHostPort(host); err != nil {
		return host
	}
	return host[:len(host)-len(suffix)]
}

// checkHost says what makes a host unusable for signing: what net/http would
// change on its way out, or what would break the canonical request.
func checkHost(host string) error {
	if host == "" {
		return inputError("the host is empty: give the Host that the request is sent with")
	}
	if !hostBytes.all(host) {
		return inputError("host " + quoteClipped(host, 64) + " holds a byte that can't be in a Host header: give a name in ASCII (punycode), or an IP address without a zone, and an optional port")
	}
	return nil
}
