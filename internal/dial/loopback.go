package dial

import (
	"net"
	"net/netip"
	"strings"
)

// IsLoopback says whether a host, with or without a port, is this machine by its name or its address:
// localhost, 127.0.0.0/8 or ::1. It resolves nothing.
func IsLoopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}
