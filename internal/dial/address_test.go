package dial

import (
	"net/netip"
	"strings"
	"testing"
)

func TestClassify(t *testing.T) {
	for text, want := range map[string]Class{
		"8.8.8.8": Public, "1.1.1.1": Public, "52.95.110.1": Public, "100.63.255.255": Public, "100.128.0.0": Public,
		"172.15.255.255": Public, "172.32.0.0": Public, "169.253.255.255": Public, "169.255.0.0": Public, "11.0.0.0": Public,
		"126.255.255.255": Public, "128.0.0.0": Public, "223.255.255.255": Public, "168.63.129.15": Public,
		"2600:1f18::1": Public, "2a05:d018::1": Public, "2001:4860:4860::8888": Public, "fb00::1": Public,

		"10.0.0.1": Private, "10.255.255.255": Private, "172.16.0.0": Private, "172.31.255.255": Private, "192.168.1.1": Private,
		"100.64.0.1": Private, "100.127.255.255": Private, "100.100.100.199": Private, "198.18.0.1": Private, "192.0.2.1": Private,
		"198.51.100.9": Private, "203.0.113.9": Private, "fc00::1": Private, "fdff::1": Private, "fd00:ec1::1": Private,
		"fd00:ec3::1": Private, "fec0::1": Private, "2001:db8::1": Private, "3fff::1": Private,

		"127.0.0.1": Loopback, "127.1.2.3": Loopback, "127.255.255.255": Loopback, "::1": Loopback,

		"169.254.169.254": Never, "169.254.170.2": Never, "169.254.170.23": Never, "169.254.0.1": Never,
		"100.100.100.200": Never, "168.63.129.16": Never, "192.0.0.192": Never, "0.0.0.0": Never, "0.1.2.3": Never,
		"224.0.0.1": Never, "239.255.255.255": Never, "240.0.0.1": Never, "255.255.255.255": Never, "192.88.99.1": Never,
		"::": Never, "fe80::1": Never, "fe80::1%eth0": Never, "febf::1": Never, "fd00:ec2::254": Never, "fd00:ec2::23": Never,
		"fd00:ec2:1::1": Never, "fd20:ce::254": Never, "ff02::1": Never, "100::1": Never,

		// What an IPv6 address holds of IPv4.
		"::ffff:8.8.8.8": Public, "::ffff:10.0.0.1": Private, "::ffff:127.0.0.1": Loopback, "::ffff:169.254.169.254": Never, "::ffff:0.0.0.0": Never,
		"::8.8.8.8": Public, "::10.0.0.1": Private, "::127.0.0.1": Loopback, "::169.254.169.254": Never, "::2": Never,
		"::ffff:0:8.8.8.8": Public, "::ffff:0:169.254.169.254": Never,
		"64:ff9b::8.8.8.8": Public, "64:ff9b::10.0.0.1": Private, "64:ff9b::127.0.0.1": Loopback, "64:ff9b::169.254.169.254": Never,
		"64:ff9b:1::8.8.8.8": Private, "64:ff9b:1::169.254.169.254": Never, "64:ff9b:1:a9fe:a9:fe00::": Never,
		"64:ff9b:1:00a9:00fe:a9fe::": Never, "64:ff9b:1::a9:fea9:fe00:0": Never,
		"2002:808:808::1": Public, "2002:a00:1::": Private, "2002:7f00:1::": Loopback, "2002:a9fe:a9fe::1": Never,
		// Teredo: the server 8.8.8.8, and clients 8.8.8.8, 127.0.0.1 and 169.254.169.254.
		"2001:0:808:808:0:0:f7f7:f7f7": Public, "2001:0:808:808:0:0:80ff:fffe": Loopback, "2001:0:808:808:0:0:5601:5601": Never,
		"2001:0:a9fe:a9fe:0:0:f7f7:f7f7": Never,
		"2600::5efe:8.8.8.8":             Public, "2600::5efe:10.0.0.1": Private, "2600::200:5efe:169.254.169.254": Never,
	} {
		got, what := Classify(netip.MustParseAddr(text))
		if got != want || (what == "") != (want == Public) {
			t.Errorf("%s: got %v, %q, want %v", text, got, what, want)
		}
	}
	if got, _ := Classify(netip.Addr{}); got != Never {
		t.Errorf("no address: got %v", got)
	}
}

// FuzzClassify compares with what package netip knows, which is less, and puts each address inside of
// others.
func FuzzClassify(f *testing.F) {
	for _, s := range []string{"8.8.8.8", "169.254.169.254", "127.0.0.1", "::1", "fe80::1%1", "2002:a9fe:a9fe::1", "64:ff9b::1", "2001:0:808:808::5601:5601", "fd00:ec2::254", "::"} {
		a := netip.MustParseAddr(s)
		f.Add(a.AsSlice())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := netip.AddrFromSlice(b)
		if !ok {
			t.Skip()
		}
		class, what := Classify(a)
		if (what == "") != (class == Public) || strings.ContainsAny(what, "\n%") {
			t.Errorf("%v: class %v is %q", a, class, what)
		}
		least := Public
		switch u := a.Unmap(); {
		case u.IsLinkLocalUnicast(), u.IsMulticast(), u.IsUnspecified():
			least = Never
		case u.IsLoopback():
			least = Loopback
		case u.IsPrivate():
			least = Private
		}
		if class < least {
			t.Errorf("%v: got %v, want at least %v", a, class, least)
		}
		if got, _ := Classify(a.WithZone("x")); a.Is6() && got != class {
			t.Errorf("%v: got %v with a zone, %v without", a, got, class)
		}
		if !a.Is4() {
			return
		}
		v := a.As4()
		for _, p := range []struct {
			prefix string
			at     int
			invert byte
		}{
			{"::ffff:0:0", 12, 0},
			{"::ffff:0:0:0", 12, 0},
			{"64:ff9b::", 12, 0},
			{"64:ff9b:1::", 12, 0},
			{"2002::", 2, 0},
			{"2001:0:808:808::", 12, 0xff},
			{"2001::f7f7:f7f7", 4, 0},
			{"2600::5efe:0:0", 12, 0},
		} {
			outer := netip.MustParseAddr(p.prefix).As16()
			for i, x := range v {
				outer[p.at+i] = x ^ p.invert
			}
			if got, _ := Classify(netip.AddrFrom16(outer)); got < class {
				t.Errorf("%v: got %v, want at least %v as for %v", netip.AddrFrom16(outer), got, class, a)
			}
		}
	})
}
