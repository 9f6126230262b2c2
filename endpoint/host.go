package endpoint

import (
	"net/netip"
	"strconv"
	"strings"
)

// Limits of RFC 1035 §2.3.4, in bytes; the name without its trailing dot.
const (
	maxHost  = 253
	maxLabel = 63
)

// cleanHost checks the host's form and answers its name in lower case, without
// port and trailing dot.
func cleanHost(host string) (string, *Error) {
	bad := func(problem string) (string, *Error) {
		return "", &Error{Problem: problem, Fix: fixHost}
	}
	if host == "" {
		return bad("is empty")
	}
	upper := false
	colons := 0
	for i := 0; i < len(host); i++ {
		switch c := host[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '[', c == ']':
		case c >= 'A' && c <= 'Z':
			upper = true
		case c == ':':
			colons++
		case c == '@':
			return bad("has user information before the host")
		case c == '/', c == '?', c == '#', c == '\\':
			return bad("is a URL or a path, not a host")
		case c < ' ', c == 0x7f:
			return bad("has a control character")
		case c >= 0x80:
			return bad("has a character outside ASCII")
		default:
			return bad("has the character " + strconv.QuoteRune(rune(c)))
		}
	}

	name := host
	if colons > 1 || name[0] == '[' {
		return cleanIPv6(host)
	}
	if colons == 1 {
		i := strings.IndexByte(name, ':')
		port, err := strconv.ParseUint(name[i+1:], 10, 16)
		if err != nil || port == 0 {
			return bad("has a port that is no number from 1 to 65535")
		}
		name = name[:i]
	}
	name = strings.TrimSuffix(name, ".")
	if len(name) > maxHost {
		return bad("is longer than 253 characters")
	}
	if upper {
		name = strings.ToLower(name)
	}
	for rest, more := name, true; more; {
		var label string
		label, rest, more = strings.Cut(rest, ".")
		switch {
		case label == "":
			return bad("has an empty label")
		case len(label) > maxLabel:
			return bad("has a label longer than 63 characters")
		case label[0] == '-' || label[len(label)-1] == '-':
			return bad("has a label that begins or ends with a hyphen")
		case strings.ContainsAny(label, "[]"):
			return bad("has a bracket but is no IPv6 literal")
		}
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return "", &Error{Problem: "is an IP address", Fix: fixBoth}
	}
	return name, nil
}

// cleanIPv6 tells an IPv6 literal, which is a host but names no service, from
// a broken one.
func cleanIPv6(host string) (string, *Error) {
	literal := host
	if _, err := netip.ParseAddr(literal); err != nil {
		addr, err := netip.ParseAddrPort(literal)
		if inner, ok := strings.CutSuffix(strings.TrimPrefix(literal, "["), "]"); ok && literal[0] == '[' {
			a, e := netip.ParseAddr(inner)
			addr, err = netip.AddrPortFrom(a, 1), e
		}
		if err != nil || !addr.Addr().Is6() || addr.Port() == 0 {
			return "", &Error{Problem: "is neither a host name nor an IP address", Fix: fixHost}
		}
	}
	return "", &Error{Problem: "is an IP address", Fix: fixBoth}
}

// cutLast splits off the last label: "a.b.c" is "a.b" and "c".
func cutLast(labels string) (head, last string) {
	i := strings.LastIndexByte(labels, '.')
	if i < 0 {
		return "", labels
	}
	return labels[:i], labels[i+1:]
}

// dropFIPS removes the marks of a FIPS endpoint, of which AWS has three:
// "-fips" at the end of a label, "fips-" at its beginning, and a label "fips".
// A FIPS endpoint signs as the plain one does.
func dropFIPS(labels string) string {
	if !strings.Contains(labels, "fips") {
		return labels
	}
	kept := make([]byte, 0, maxHost)
	for rest, more := labels, true; more; {
		var label string
		label, rest, more = strings.Cut(rest, ".")
		label = strings.TrimPrefix(strings.TrimSuffix(label, "-fips"), "fips-")
		if label == "" || label == "fips" && more {
			continue
		}
		if len(kept) > 0 {
			kept = append(kept, '.')
		}
		kept = append(kept, label...)
	}
	return string(kept)
}
