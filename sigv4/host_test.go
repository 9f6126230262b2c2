package sigv4

import "testing"

func TestStripDefaultPort(t *testing.T) {
	tests := []struct{ host, scheme, want string }{
		{"example.com:443", "https", "example.com"},
		{"example.com:80", "http", "example.com"},
		{"example.com:443", "HTTPS", "example.com"},
		{"example.com:443", "http", "example.com:443"},
		{"example.com:80", "https", "example.com:80"},
		{"example.com:443", "", "example.com:443"},
		{"example.com:8443", "https", "example.com:8443"},
		{"example.com:0443", "https", "example.com:0443"},
		{"example.com:", "https", "example.com"},
		{"example.com", "https", "example.com"},
		{"127.0.0.1:443", "https", "127.0.0.1"},
		{"[::1]:443", "https", "[::1]"},
		{"[::1]:80", "http", "[::1]"},
		{"[::1]:8182", "https", "[::1]:8182"},
		{"[::1]:", "https", "[::1]"},
		{"[::1]", "https", "[::1]"},
		{"[::443]", "https", "[::443]"},
		{"::1", "https", "::1"},
		{"::443", "https", "::443"},
		{"fe80::80", "http", "fe80::80"},
		{"::", "https", "::"},
		{"", "https", ""},
		{":443", "https", ""},
	}
	for _, c := range tests {
		equal(t, c.host+" "+c.scheme, StripDefaultPort(c.host, c.scheme), c.want)
	}
}
