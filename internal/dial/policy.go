// Package dial connects to hosts that were named by somebody, and to no address that they have no
// business with: it is what keeps a client from being used to reach this machine, the network around
// it or a cloud's metadata service (server-side request forgery).
//
// What is checked is the address that is connected to, at the moment it is connected to, for each
// address tried: so neither a name that points inside, nor one that is looked up twice with different
// answers, nor an unusual way to write an address gets around it.
package dial

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Policy says which addresses may be connected to. Public ones may always, link-local addresses and
// those of metadata services never. Loopback and private addresses may if the host is one that the
// operator wrote. The zero value is for hosts that came from an API or from a browser: only public
// addresses.
type Policy struct {
	// Operator are the hosts that the operator wrote, HOST[:PORT] each, or `*.suffix` for every host
	// below a suffix. A pattern permits private addresses, as somebody else may name hosts below
	// it; only a host that is written in full may be at a loopback address.
	Operator []string

	// AWS says whether a host is one of AWS's, which may be at private addresses, as VPC endpoints
	// are. Nil stands for no host.
	AWS func(host string) bool

	// Resolver looks up names. Default: net.DefaultResolver. Only DialContext uses it.
	Resolver *net.Resolver
}

// Error is a connection that was refused. No byte was sent.
type Error struct {
	// Host is the host that was to be connected to, as it was written.
	Host string

	// Addr is its address; the zero Addr if that is not known because a proxy would look it up.
	Addr netip.Addr

	// Class is the class of the address.
	Class Class

	reason, remedy string
}

// Error names host, address and reason, and what to write.
func (e *Error) Error() string {
	if !e.Addr.IsValid() {
		return fmt.Sprintf("%s: %s: %s", e.Host, e.reason, e.remedy)
	}
	is := "is at " + e.Addr.String() + ", "
	if literal, err := netip.ParseAddr(hostOf(e.Host)); err == nil && literal == e.Addr {
		is = "is "
	}
	return fmt.Sprintf("%s %s%s: %s", e.Host, is, e.reason, e.remedy)
}

// Retryable is false: another attempt would be refused as well.
func (*Error) Retryable() bool { return false }

// Check says whether an address of a host, HOST[:PORT], may be connected to. The error is an *Error.
func (p *Policy) Check(host string, addr netip.Addr) error {
	class, what := Classify(addr)
	refuse := func(remedy string) error {
		return &Error{Host: host, Addr: addr, Class: class, reason: what, remedy: remedy}
	}
	if class == Public {
		return nil
	}
	if class == Never {
		return refuse("nothing is ever sent there: write another host")
	}
	switch w := p.written(host); {
	case w == inFull, w == byPattern && class == Private:
		return nil
	case w == byPattern:
		return refuse("a pattern such as *.example.com permits no loopback address: write the host in full if that is meant")
	case class == Private && p.AWS != nil && p.AWS(hostOf(host)):
		return nil
	}
	return refuse("it is for hosts that the configuration names: write the host there, or in allow_hosts, if that is meant")
}

// CheckProxied says whether a proxy may be asked to connect to a host, HOST[:PORT]. A proxy looks names
// up itself, so its word has to do for hosts that the operator wrote and for those of AWS; others
// are refused. An address in place of a name is checked as ever. The error is an *Error.
func (p *Policy) CheckProxied(host string) error {
	if addr, err := netip.ParseAddr(hostOf(host)); err == nil {
		return p.Check(host, addr)
	}
	if p.written(host) != notWritten || p.AWS != nil && p.AWS(hostOf(host)) {
		return nil
	}
	return &Error{
		Host:   host,
		Class:  Never,
		reason: "a proxy would look it up, and where it leads can't be seen from here",
		remedy: "write the host in the configuration or in allow_hosts, or connect without a proxy",
	}
}

type writing int

const (
	notWritten writing = iota
	byPattern
	inFull
)

// written says how the operator wrote a host.
func (p *Policy) written(host string) writing {
	best := notWritten
	for _, o := range p.Operator {
		best = max(best, match(o, host))
	}
	return best
}

// match says how one entry of the operator's covers a host.
func match(entry, host string) writing {
	name, isPattern := strings.CutPrefix(entry, "*.")
	want, wantPort := split(name)
	got, gotPort := split(host)
	switch {
	case want == "" || wantPort != "" && wantPort != gotPort:
		return notWritten
	case isPattern && strings.HasSuffix(got, "."+want) && len(got) > len(want)+1:
		return byPattern
	case !isPattern && sameHost(want, got):
		return inFull
	}
	return notWritten
}

// sameHost compares names, and addresses however they are written.
func sameHost(a, b string) bool {
	if a == b {
		return true
	}
	x, err := netip.ParseAddr(a)
	if err != nil {
		return false
	}
	y, err := netip.ParseAddr(b)
	return err == nil && x == y
}

// split takes apart a host that may have a port: lower-case, without brackets and trailing dot.
func split(hostport string) (host, port string) {
	host = hostport
	if h, p, err := net.SplitHostPort(hostport); err == nil {
		host, port = h, p
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.TrimSuffix(strings.ToLower(host), "."), port
}

func hostOf(hostport string) string {
	host, _ := split(hostport)
	return host
}
