package stshelper

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// PlainHTTP says from where requests are answered that come without TLS. The address is that of the
// connection's other end, and if that is a trusted proxy which says that its client came without TLS too,
// also the client's.
type PlainHTTP string

// The values of PlainHTTP.
const (
	// PlainHTTPLoopback admits this machine alone.
	PlainHTTPLoopback PlainHTTP = "loopback"

	// PlainHTTPPrivate admits this machine and networks that the Internet does not route, such as
	// those of containers.
	PlainHTTPPrivate PlainHTTP = "private"

	// PlainHTTPAny admits everyone.
	PlainHTTPAny PlainHTTP = "any"
)

// CheckPlainHTTP says whether a value exists.
func CheckPlainHTTP(p PlainHTTP) error {
	switch p {
	case PlainHTTPLoopback, PlainHTTPPrivate, PlainHTTPAny:
		return nil
	}
	return fmt.Errorf("%.80q: write loopback, private or any", string(p))
}

// sharedSpace is what carriers use between themselves and their customers, RFC 6598; cloud networks
// use it too.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// admits says whether a request may carry a secret the way it came.
func (p PlainHTTP) admits(r *http.Request) bool {
	if r.TLS != nil || p == PlainHTTPAny {
		return true
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		// Not a network: a Unix socket has no address.
		return r.RemoteAddr == "" || r.RemoteAddr[0] == '@' || r.RemoteAddr[0] == '/'
	}
	return p.covers(from.Addr())
}

// admitsBeforeProxy says whether a request may carry a secret the way that it came to a trusted proxy, if
// one sent it.
func (p PlainHTTP) admitsBeforeProxy(r *http.Request, proxiedFor func(*http.Request) (netip.Addr, bool)) bool {
	client, proxied := proxiedFor(r)
	if !proxied || p == PlainHTTPAny {
		return true
	}
	// Of several proxies the first one met the client.
	scheme, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",")
	return !strings.EqualFold(strings.TrimSpace(scheme), "http") || p.covers(client)
}

// covers says whether requests without TLS are answered that come from an address.
func (p PlainHTTP) covers(addr netip.Addr) bool {
	addr = addr.Unmap()
	if addr.IsLoopback() {
		return true
	}
	return p == PlainHTTPPrivate && (addr.IsPrivate() || addr.IsLinkLocalUnicast() || sharedSpace.Contains(addr))
}
