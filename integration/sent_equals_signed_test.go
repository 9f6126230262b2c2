package integration_test

import (
	"fmt"
	"strings"
	"testing"
)

// target is what a client writes on its request line, and what has to arrive:
// for S3, which decodes a path once, and for all other services, which encode
// what they receive. "" is 400 for both, "=" is what the client wrote.
type target struct{ raw, s3, other string }

var targets = []target{
	// Segments: a key of S3 is bytes, everywhere else a path is normalised.
	{"/", "=", "="},
	{"//a//b/", "=", "/a/b/"},
	{"/.", "=", "/"},
	{"/..", "=", "/"},
	{"/a/.", "=", "/a"},
	{"/a/./", "=", "/a/"},
	{"/a/../b", "=", "/b"},
	{"/a/../../b/", "=", "/b/"},
	{"/%2e%2e/b", "/../b", "="},
	{"/...", "=", "="},

	// Bytes of a path.
	{"/a+b", "/a%2Bb", "/a%2Bb"},
	{"/a%2Bb", "=", "="},
	{"/a%20b", "=", "="},
	{"/a(b)", "/a%28b%29", "="},
	{"/a*b", "/a%2Ab", "="},
	{"/a'b", "/a%27b", "="},
	{"/a!b", "/a%21b", "="},
	{"/a~b", "=", "="},
	{"/a%7Eb", "/a~b", "="},
	{"/a%7eb", "/a~b", "="},
	{"/%C3%A9", "=", "="},
	{"/%c3%a9", "/%C3%A9", "="},
	{"/é", "/%C3%A9", "/%C3%A9"},
	{"/%ff", "/%FF", "="},
	{"/a%2Fb", "/a/b", "="},
	{"/a%2fb", "/a/b", "="},
	{"/a%2F%2Fb", "/a//b", "="},
	{"/a%25b", "=", "="},
	{"/a%252Fb", "=", "="},
	{"/:@$&,;=", "/%3A%40%24%26%2C%3B%3D", "="},
	{"/[x]", "/%5Bx%5D", "/%5Bx%5D"},
	{"/{}|^\"\\<>`", "/%7B%7D%7C%5E%22%5C%3C%3E%60", "/%7B%7D%7C%5E%22%5C%3C%3E%60"},
	{"/a%2Fb{c", "/a/b%7Bc", "/a%2Fb%7Bc"},
	{"/%00", "=", "="},
	{"/a%0d%0ab", "/a%0D%0Ab", "="},
	{"/a%3Fb", "=", "="},
	{"/a%23b", "=", "="},
	{"/%zz", "", ""},
	{"/a%", "", ""},
	{"/a b", "", ""},

	// Queries: decoded, encoded again and sorted, for all services.
	{"/?", "/", "/"},
	{"/?acl", "/?acl=", "/?acl="},
	{"/?a=1;b=2", "/?a=1%3Bb%3D2", "/?a=1%3Bb%3D2"},
	{"/?a=b+c", "/?a=b%20c", "/?a=b%20c"},
	{"/?a=b%2Bc", "=", "="},
	{"/?a==b", "/?a=%3Db", "/?a=%3Db"},
	{"/?&&a", "/?a=", "/?a="},
	{"/?=a", "=", "="},
	{"/?b=2&b=1", "/?b=1&b=2", "/?b=1&b=2"},
	{"/?k=a/b&k=a-b", "/?k=a%2Fb&k=a-b", "/?k=a%2Fb&k=a-b"},
	{"/?k-x=1&k=2", "/?k=2&k-x=1", "/?k=2&k-x=1"},
	{"/?é=1", "/?%C3%A9=1", "/?%C3%A9=1"},
	{"/?%c3%a9=1", "/?%C3%A9=1", "/?%C3%A9=1"},
	{"/?b=1&A=2&a=3", "/?A=2&a=3&b=1", "/?A=2&a=3&b=1"},
	{"/?a=%00", "=", "="},
	{"/?a=%ff", "/?a=%FF", "/?a=%FF"},
	{"/?a?b=c?d", "/?a%3Fb=c%3Fd", "/?a%3Fb=c%3Fd"},
	{"/?a={}|^\"\\<>`[]", "/?a=%7B%7D%7C%5E%22%5C%3C%3E%60%5B%5D", "/?a=%7B%7D%7C%5E%22%5C%3C%3E%60%5B%5D"},
	{"/?a=~%7e'()*!", "/?a=~~%27%28%29%2A%21", "/?a=~~%27%28%29%2A%21"},
	{"/?a=%zz", "", ""},
	{"/?a=%", "", ""},
	{"/?%zz", "", ""},
	{"/a%2fb//c%20d?b=2&a=1&z=a+b&n", "/a/b//c%20d?a=1&b=2&n=&z=a%20b", "/a%2fb/c%20d?a=1&b=2&n=&z=a%20b"},

	// Absolute form, and targets without a path.
	{"http://any.example", "/", "/"},
	{"http://any.example?a", "/?a=", "/?a="},
	{"http://any.example/a%2fb?c+d", "/a/b?c%20d=", "/a%2fb?c%20d="},
	{"http://any.example//a//b", "//a//b", "/a/b"},
	{"*", "", ""},
	{"mailto:any", "", ""},
	{"//any.example", "=", "/any.example"},
}

// want returns what has to arrive on the wire, or "" for 400.
func (tt target) want(service string) string {
	w := tt.other
	if service == "s3" {
		w = tt.s3
	}
	if w == "=" {
		return tt.raw
	}
	return w
}

// TestSentEqualsSigned sends each target through a real Caddy to a socket, and
// compares the bytes of the request line, and the signature over them.
func TestSentEqualsSigned(t *testing.T) {
	for _, service := range []string{"s3", "execute-api"} {
		for style, configure := range styles {
			t.Run(service+", "+style, func(t *testing.T) {
				up := newEndpoint(t, newKeyring(), nil)
				s := startCaddy(t, configure(up.Addr(), setup{options: signFor(service)}))
				sent := 0
				for _, tt := range targets {
					r := s.get(tt.raw)
					want := tt.want(service)
					if want == "" {
						if r.status != 400 {
							t.Errorf("%s: %v, want 400", tt.raw, r)
						}
						continue
					}
					sent++
					if r.status != 200 {
						t.Errorf("%s: %v", tt.raw, r)
						continue
					}
					if line := up.last().Line; line != "GET "+want+" HTTP/1.1" {
						t.Errorf("%s: arrived as %q, want %q", tt.raw, line, want)
					}
				}
				for _, r := range up.all(sent) {
					if strings.Contains(r.Target, "+") {
						t.Errorf("a raw plus arrived: %q", r.Line)
					}
				}
				if len(up.Malformed()) > 0 {
					t.Errorf("what is no request arrived: %v", up.Malformed())
				}
			})
		}
	}
}

// TestSentEqualsSignedAfterRewrites sends targets through what Caddy offers to
// change a path before it is signed. What arrives is then Caddy's choice (it
// merges slashes and resolves dots), and is signed as it arrives.
func TestSentEqualsSignedAfterRewrites(t *testing.T) {
	tests := []struct {
		before, proxy string // directives around reverse_proxy, and in it
		target        string
		s3, other     string
	}{
		{before: "uri strip_prefix /proxy", target: "/proxy/a/b?x=1", s3: "/a/b?x=1", other: "/a/b?x=1"},
		{before: "uri strip_prefix /proxy", target: "/proxy//k//x", s3: "/k/x", other: "/k/x"},
		{before: "uri strip_prefix /proxy", target: "/proxy/a/../b", s3: "/b", other: "/b"},
		{before: "uri strip_prefix /proxy", target: "/proxy/a%2Fb{c", s3: "/a/b%7Bc", other: "/a/b%7Bc"},
		{before: "uri strip_prefix /proxy", target: "/proxy/a%20b+c", s3: "/a%20b%2Bc", other: "/a%20b%2Bc"},
		{before: "uri strip_prefix /proxy", target: "/proxy", s3: "/", other: "/"},
		{before: "uri strip_prefix /proxy", target: "/other%2Fx/", s3: "/other/x/", other: "/other%2Fx/"},
		{before: "uri strip_suffix .html", target: "/a%2Fb.html", s3: "/a/b", other: "/a%2Fb"},
		{before: "uri replace /old /new", target: "/old/%C3%A9?old", s3: "/new/%C3%A9?old=", other: "/new/%C3%A9?old="},
		{before: "uri query +b 1", target: "/p?a=b+c", s3: "/p?a=b%20c&b=1", other: "/p?a=b%20c&b=1"},
		{before: "rewrite * /new{uri}", target: "/a(b)?x=y", s3: "/new/a%28b%29?x=y", other: "/new/a%28b%29?x=y"},
		{before: "rewrite * /fixed?q=1;2", target: "/%2F", s3: "/fixed?q=1%3B2", other: "/fixed?q=1%3B2"},
		{before: "rewrite * /é", target: "/", s3: "/%C3%A9", other: "/%C3%A9"},
		{before: "method POST", target: "/m", s3: "/m", other: "/m"},
		{proxy: "rewrite /in{uri}", target: "/a%20b?x", s3: "/in/a%20b?x=", other: "/in/a%20b?x="},
		{proxy: "method HEAD", target: "/h", s3: "/h", other: "/h"},
	}
	for _, service := range []string{"s3", "execute-api"} {
		for i, tt := range tests {
			t.Run(fmt.Sprintf("%s, %d %s%s", service, i, tt.before, tt.proxy), func(t *testing.T) {
				up := newEndpoint(t, newKeyring(), nil)
				s := startCaddy(t, styles["transport"](up.Addr(), setup{
					options: signFor(service), before: tt.before, proxy: tt.proxy,
				}))
				s.get(tt.target).expect(t, 200)
				want := tt.other
				if service == "s3" {
					want = tt.s3
				}
				if got := up.all(1)[0].Target; got != want {
					t.Errorf("arrived as %q, want %q", got, want)
				}
			})
		}
	}
}

// TestSentEqualsSignedBelowHandlePath: handle_path strips a prefix as
// uri strip_prefix does.
func TestSentEqualsSignedBelowHandlePath(t *testing.T) {
	for service, want := range map[string]map[string]string{
		"s3":          {"/files/a%2Fb": "/a/b", "/files//k//x": "/k/x", "/files/": "/", "/files/a%20b?l": "/a%20b?l=", "/files/(x)": "/%28x%29"},
		"execute-api": {"/files/a%2Fb": "/a%2Fb", "/files//k//x": "/k/x", "/files/": "/", "/files/a%20b?l": "/a%20b?l=", "/files/(x)": "/(x)"},
	} {
		t.Run(service, func(t *testing.T) {
			up := newEndpoint(t, newKeyring(), nil)
			s := startCaddy(t, "http://<port> {\n handle_path /files/* {\n aws_sigv4 "+up.Addr()+" {\n"+signFor(service)+"\n}\n}\n}")
			for target, want := range want {
				s.get(target).expect(t, 200)
				if got := up.last().Target; got != want {
					t.Errorf("%s arrived as %q, want %q", target, got, want)
				}
			}
			up.all(len(want))
		})
	}
}

// TestHealthChecksAreSigned: active health checks have their own path and no
// client, and pass through no handler.
func TestHealthChecksAreSigned(t *testing.T) {
	for _, style := range []string{"transport", "short form", "handler and transport"} {
		for service, want := range map[string]string{"s3": "/health%28x%29/a%20b?p=q%20r", "execute-api": "/health(x)/a%20b?p=q%20r"} {
			t.Run(style+", "+service, func(t *testing.T) {
				up := newEndpoint(t, newKeyring(), nil)
				startCaddy(t, styles[style](up.Addr(), setup{
					options:   signFor(service),
					transport: signFor(service),
					proxy:     "health_uri /health(x)/a%20b?p=q+r\nhealth_interval 20ms\nhealth_headers {\nX-Amz-Meta-Check yes\n}",
				}))
				up.Wait(3, patience)
				requests := up.Requests()
				for _, r := range requests {
					if r.Target != want || r.Get("X-Amz-Meta-Check") != "yes" {
						t.Errorf("%q arrived, want %q", r.Target, want)
					}
				}
				up.all(len(requests))
			})
		}
	}
}
