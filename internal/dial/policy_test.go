package dial

import (
	"net/netip"
	"strings"
	"testing"
)

func isAWS(host string) bool { return strings.HasSuffix(host, ".amazonaws.com") }

func TestCheck(t *testing.T) {
	operator := []string{"Helper.example", "helper2.example:8443", "*.corp.example", "127.0.0.1", "[::1]:3055", "10.1.2.3:80", "169.254.169.254", "*.amazonaws.com"}
	for _, tc := range []struct {
		host, addr string
		want       string // "" permits
	}{
		{"anybody.example", "8.8.8.8", ""},
		{"anybody.example:443", "2600::1", ""},
		{"anybody.example", "10.0.0.1", "anybody.example is at 10.0.0.1, a private address: it is for hosts that the configuration names: write the host there, or in allow_hosts, if that is meant"},
		{"anybody.example", "127.0.0.1", "a loopback address: it is for hosts"},
		{"10.0.0.1:80", "10.0.0.1", "10.0.0.1:80 is a private address: it is for hosts"},
		{"", "10.0.0.1", "a private address"},

		{"helper.example", "127.0.0.1", ""},
		{"HELPER.example.:443", "10.0.0.1", ""},
		{"helper.example:1", "::1", ""},
		{"helper.example", "169.254.169.254", "helper.example is at 169.254.169.254, a link-local address, where metadata services are: nothing is ever sent there: write another host"},
		{"helper.example", "fe80::1", "nothing is ever sent there"},
		{"helper.example", "::ffff:169.254.169.254", "nothing is ever sent there"},
		{"helper.example", "0.0.0.0", "an unspecified address: nothing is ever"},
		{"169.254.169.254", "169.254.169.254", "169.254.169.254 is a link-local address, where metadata services are: nothing"},
		{"xhelper.example", "10.0.0.1", "it is for hosts"},
		{"helper.example.evil.example", "10.0.0.1", "it is for hosts"},

		{"helper2.example:8443", "10.0.0.1", ""},
		{"helper2.example:443", "10.0.0.1", "it is for hosts"},
		{"helper2.example", "10.0.0.1", "it is for hosts"},

		{"a.corp.example:443", "10.0.0.1", ""},
		{"a.b.corp.example", "fc00::1", ""},
		{"a.corp.example", "127.0.0.1", "a loopback address: a pattern such as *.example.com permits no loopback address: write the host in full"},
		{"corp.example", "10.0.0.1", "it is for hosts"},
		{"xcorp.example", "10.0.0.1", "it is for hosts"},

		{"127.0.0.1:9000", "127.0.0.1", ""},
		{"127.0.0.2:9000", "127.0.0.2", "it is for hosts"},
		{"[::1]:3055", "::1", ""},
		{"[0:0:0:0:0:0:0:1]:3055", "::1", ""},
		{"[::1]:3056", "::1", "it is for hosts"},
		{"10.1.2.3:80", "10.1.2.3", ""},

		{"vpce-1.s3.eu-west-1.vpce.amazonaws.com:443", "10.0.0.1", ""},
		{"x.amazonaws.com", "127.0.0.1", "loopback"},
	} {
		p := &Policy{Operator: operator}
		err := p.Check(tc.host, netip.MustParseAddr(tc.addr))
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s at %s:\ngot  %v\nwant %s", tc.host, tc.addr, err, tc.want)
		}
	}
}

func TestHostsOfAWSMayBePrivate(t *testing.T) {
	p := &Policy{AWS: isAWS}
	for addr, want := range map[string]bool{"8.8.8.8": true, "10.0.0.1": true, "fd12::1": true, "127.0.0.1": false, "169.254.169.254": false, "fd00:ec2::254": false} {
		if err := p.Check("vpce-1.s3.eu-west-1.vpce.amazonaws.com:443", netip.MustParseAddr(addr)); (err == nil) != want {
			t.Errorf("%s: got %v", addr, err)
		}
	}
	if err := p.Check("amazonaws.com.evil.example", netip.MustParseAddr("10.0.0.1")); err == nil {
		t.Error("another host at a private address")
	}
}

func TestCheckProxied(t *testing.T) {
	p := &Policy{Operator: []string{"helper.example", "*.corp.example", "10.0.0.1"}, AWS: isAWS}
	for host, want := range map[string]string{
		"helper.example:443":               "",
		"a.corp.example":                   "",
		"b.s3.eu-west-1.amazonaws.com:443": "",
		"8.8.8.8:443":                      "",
		"10.0.0.1:443":                     "",
		"10.0.0.2:443":                     "10.0.0.2:443 is a private address",
		"127.0.0.1":                        "a loopback address",
		"[::ffff:169.254.169.254]:80":      "nothing is ever sent there",
		"anybody.example:443":              "anybody.example:443: a proxy would look it up, and where it leads can't be seen from here: write the host",
		"2130706433":                       "a proxy would look it up", // 127.0.0.1, to some.
		"helper.example.evil.example":      "a proxy would look it up",
		"":                                 "a proxy would look it up",
	} {
		err := p.CheckProxied(host)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", host, err, want)
		}
	}
}

func TestEmptyPatternsCoverNothing(t *testing.T) {
	p := &Policy{Operator: []string{"", "*.", ":80", "*.:80"}}
	for _, host := range []string{"", ":80", "x", "x.", "127.0.0.1:80"} {
		if w := p.written(host); w != notWritten {
			t.Errorf("%q is covered", host)
		}
	}
}
