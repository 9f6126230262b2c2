package dial

import (
	"encoding/binary"
	"net/netip"
)

// Class says how far an address is from everybody, the worst last.
type Class int

const (
	// Public is an address of the internet.
	Public Class = iota

	// Private is an address of a network that is somebody's own.
	Private

	// Loopback is this machine.
	Loopback

	// Never is an address where no server of anybody's is: link-local, with the metadata services
	// of the clouds, unspecified, multicast, reserved.
	Never
)

// block is a range of addresses of one class.
type block struct {
	prefix netip.Prefix
	class  Class
	what   string // completes "10.0.0.1 is …"
}

// blocks has what is not public, from the registries of special-purpose addresses that RFC 6890
// founds, https://www.iana.org/assignments/iana-ipv4-special-registry and
// https://www.iana.org/assignments/iana-ipv6-special-registry, and the addresses of metadata services
// that lie elsewhere. The first that holds an address counts.
var blocks = parseBlocks([]struct {
	prefix string
	class  Class
	what   string
}{
	{"169.254.0.0/16", Never, "a link-local address, where metadata services are"},
	{"100.100.100.200/32", Never, "the address of a metadata service"},
	{"168.63.129.16/32", Never, "the address of a metadata service"},
	{"192.0.0.0/24", Never, "a reserved address"}, // One of them is a metadata service.
	{"0.0.0.0/8", Never, "an unspecified address"},
	{"224.0.0.0/4", Never, "a multicast address"},
	{"240.0.0.0/4", Never, "a reserved address"},
	{"127.0.0.0/8", Loopback, "a loopback address"},
	{"10.0.0.0/8", Private, "a private address"},
	{"172.16.0.0/12", Private, "a private address"},
	{"192.168.0.0/16", Private, "a private address"},
	{"100.64.0.0/10", Private, "a private address"},
	{"198.18.0.0/15", Private, "an address for benchmarks"},
	{"192.0.2.0/24", Private, "an address for documentation"},
	{"198.51.100.0/24", Private, "an address for documentation"},
	{"203.0.113.0/24", Private, "an address for documentation"},
	{"192.88.99.0/24", Never, "a reserved address"},

	{"::/128", Never, "an unspecified address"},
	{"::1/128", Loopback, "a loopback address"},
	{"fe80::/10", Never, "a link-local address, where metadata services are"},
	{"fd00:ec2::/32", Never, "the address of a metadata service"},
	{"fd20:ce::254/128", Never, "the address of a metadata service"},
	{"fc00::/7", Private, "a private address"},
	{"fec0::/10", Private, "a private address"},
	{"ff00::/8", Never, "a multicast address"},
	{"100::/64", Never, "a reserved address"},
	{"64:ff9b:1::/48", Private, "an address of a network's own translation to IPv4"},
	{"2001:db8::/32", Private, "an address for documentation"},
	{"3fff::/20", Private, "an address for documentation"},
})

func parseBlocks(rows []struct {
	prefix string
	class  Class
	what   string
},
) []block {
	parsed := make([]block, len(rows))
	for i, r := range rows {
		parsed[i] = block{netip.MustParsePrefix(r.prefix), r.class, r.what}
	}
	return parsed
}

// Classify returns the class of an address, and what it is, such as "a private address"; that is empty
// if it is public. An IPv6 address that stands for an IPv4 address, as a translator or a tunnel makes
// of it, has the worse class of the two. What is no address at all is never to be connected to.
func Classify(a netip.Addr) (Class, string) {
	if !a.IsValid() {
		return Never, "no address"
	}
	a = a.WithZone("").Unmap()
	class, what := Public, ""
	for _, b := range blocks {
		if b.prefix.Contains(a) {
			class, what = b.class, b.what
			break
		}
	}
	for _, e := range embedded(a) {
		if c, w := Classify(e); c > class {
			class, what = c, w+" ("+e.String()+") inside of another"
		}
	}
	return class, what
}

// embedded returns the IPv4 addresses that an IPv6 address may be delivered to.
func embedded(a netip.Addr) []netip.Addr {
	if !a.Is6() {
		return nil
	}
	b := a.As16()
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte(b[i : i+4])) }
	hi, mid, word := binary.BigEndian.Uint32(b[:]), binary.BigEndian.Uint64(b[4:]), binary.BigEndian.Uint32(b[8:])
	switch {
	case hi == 0 && mid == 0 && binary.BigEndian.Uint32(b[12:]) > 1: // ::/96, IPv4-compatible, RFC 4291 §2.5.5.1
		return []netip.Addr{at(12)}
	case hi == 0 && mid == 0xffff0000: // ::ffff:0:0:0/96, IPv4-translated, RFC 2765 §2.1
		return []netip.Addr{at(12)}
	case hi == 0x0064ff9b && mid == 0: // 64:ff9b::/96, RFC 6052
		return []netip.Addr{at(12)}
	case hi == 0x0064ff9b && b[4] == 0 && b[5] == 1: // 64:ff9b:1::/48, RFC 8215, with prefixes of RFC 6052 §2.2
		all := []netip.Addr{at(12)}
		for _, v4 := range [][4]byte{
			{b[6], b[7], b[9], b[10]},   // of /48
			{b[7], b[9], b[10], b[11]},  // of /56
			{b[9], b[10], b[11], b[12]}, // of /64
		} {
			if v4[0] != 0 { // Else it is the padding of a longer prefix.
				all = append(all, netip.AddrFrom4(v4))
			}
		}
		return all
	case b[0] == 0x20 && b[1] == 0x02: // 2002::/16, 6to4, RFC 3056
		return []netip.Addr{at(2)}
	case hi == 0x20010000: // 2001::/32, Teredo, RFC 4380 §4: the server, and the client with its bits inverted
		client := [4]byte{^b[12], ^b[13], ^b[14], ^b[15]}
		return []netip.Addr{at(4), netip.AddrFrom4(client)}
	case word|0x02000000 == 0x02005efe: // an interface identifier of ISATAP, RFC 5214 §6.1
		return []netip.Addr{at(12)}
	}
	return nil
}
