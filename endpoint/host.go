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
	upper, colons, problem := scan(host)
	if problem != "" {
		return "", &Error{Problem: problem, Fix: fixHost}
	}
	if colons > 1 || host[0] == '[' {
		return "", refuseIPv6(host)
	}
	name, port, ok := strings.Cut(host, ":")
	if ok && !isPort(port) {
		return "", &Error{Problem: "has a port that is no number from 1 to 65535", Fix: fixHost}
	}
	name = strings.TrimSuffix(name, ".")
	if problem := labelProblem(name); problem != "" {
		return "", &Error{Problem: problem, Fix: fixHost}
	}
	if isDigit(name[len(name)-1]) {
		// No top-level domain ends with a digit, so this may be an IPv4
		// address; asking costs an allocation.
		if _, err := netip.ParseAddr(name); err == nil {
			return "", &Error{Problem: "is an IP address", Fix: fixBoth}
		}
	}
	if upper {
		name = strings.ToLower(name)
	}
	return name, nil
}

// scan looks at each byte of host once.
func scan(host string) (upper bool, colons int, problem string) {
	if host == "" {
		return false, 0, "is empty"
	}
	for i := 0; i < len(host); i++ {
		switch c := host[i]; {
		case isWord(c), c == '-', c == '.', c == '_', c == '[', c == ']':
		case c >= 'A' && c <= 'Z':
			upper = true
		case c == ':':
			colons++
		case c == '@':
			return false, 0, "has user information before the host"
		case c == '/', c == '?', c == '#', c == '\\':
			return false, 0, "is a URL or a path, not a host"
		case c < ' ', c == 0x7f:
			return false, 0, "has a control character"
		case c >= 0x80:
			return false, 0, "has a character outside ASCII"
		default:
			return false, 0, "has the character " + strconv.QuoteRune(rune(c))
		}
	}
	return upper, colons, ""
}

// labelProblem says what is wrong with the lengths and labels of a name.
func labelProblem(name string) string {
	if len(name) > maxHost {
		return "is longer than 253 characters"
	}
	for rest, more := name, true; more; {
		var label string
		label, rest, more = strings.Cut(rest, ".")
		switch {
		case label == "":
			return "has an empty label"
		case len(label) > maxLabel:
			return "has a label longer than 63 characters"
		case label[0] == '-' || label[len(label)-1] == '-':
			return "has a label that begins or ends with a hyphen"
		case strings.ContainsAny(label, "[]"):
			return "has a bracket but is no IPv6 literal"
		}
	}
	return ""
}

func isPort(s string) bool {
	port, err := strconv.ParseUint(s, 10, 16)
	return err == nil && port != 0
}

// refuseIPv6 tells an IPv6 literal, which is a host but names no service, from
// a broken one.
func refuseIPv6(host string) *Error {
	withPort := host
	if host[len(host)-1] == ']' {
		withPort += ":443"
	}
	_, err := netip.ParseAddr(host)
	if addr, e := netip.ParseAddrPort(withPort); e == nil && addr.Addr().Is6() && addr.Port() != 0 {
		err = nil
	}
	if err != nil {
		return &Error{Problem: "is neither a host name nor an IP address", Fix: fixHost}
	}
	return &Error{Problem: "is an IP address", Fix: fixBoth}
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
