package sigv4

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// pathCase gives, for one path of a client, what each rule makes of it. The
// expected values were written down by hand from the rules; a case without
// any is refused.
type pathCase struct {
	raw string
	// single is wire and canonical path under PathSingle.
	single string
	// double and doubleCanonical are the two under PathDouble; an empty
	// doubleCanonical is the same as double.
	double, doubleCanonical string
}

var pathCases = []pathCase{
	{raw: "", single: "/", double: "/"},
	{raw: "/", single: "/", double: "/"},
	{raw: "//a//b/", single: "//a//b/", double: "/a/b/"},
	{raw: "//", single: "//", double: "/"},
	{raw: "/a//", single: "/a//", double: "/a/"},
	{raw: "/.", single: "/.", double: "/"},
	{raw: "/..", single: "/..", double: "/"},
	{raw: "/...", single: "/...", double: "/..."},
	{raw: "/.a/b.", single: "/.a/b.", double: "/.a/b."},
	{raw: "/a/.", single: "/a/.", double: "/a"},
	{raw: "/a/./", single: "/a/./", double: "/a/"},
	{raw: "/a/..", single: "/a/..", double: "/"},
	{raw: "/a/b/..", single: "/a/b/..", double: "/a"},
	{raw: "/a/../b", single: "/a/../b", double: "/b"},
	{raw: "/a/b/../", single: "/a/b/../", double: "/a/"},
	{raw: "/../../a", single: "/../../a", double: "/a"},
	{raw: "/a//../b", single: "/a//../b", double: "/b"},
	{raw: "/%2e%2e/a", single: "/../a", double: "/%2e%2e/a", doubleCanonical: "/%252e%252e/a"},
	{raw: "/a+b", single: "/a%2Bb", double: "/a%2Bb", doubleCanonical: "/a%252Bb"},
	{raw: "/a%2Bb", single: "/a%2Bb", double: "/a%2Bb", doubleCanonical: "/a%252Bb"},
	{raw: "/a%2bb", single: "/a%2Bb", double: "/a%2bb", doubleCanonical: "/a%252bb"},
	{raw: "/a b", single: "/a%20b", double: "/a%20b", doubleCanonical: "/a%2520b"},
	{raw: "/a%20b", single: "/a%20b", double: "/a%20b", doubleCanonical: "/a%2520b"},
	{raw: "/(x)", single: "/%28x%29", double: "/(x)", doubleCanonical: "/%28x%29"},
	{raw: "/*", single: "/%2A", double: "/*", doubleCanonical: "/%2A"},
	{raw: "/it's", single: "/it%27s", double: "/it's", doubleCanonical: "/it%27s"},
	{raw: "/a!", single: "/a%21", double: "/a!", doubleCanonical: "/a%21"},
	{raw: "/~a", single: "/~a", double: "/~a"},
	{raw: "/%7Ea", single: "/~a", double: "/%7Ea", doubleCanonical: "/%257Ea"},
	{raw: "/%7ea", single: "/~a", double: "/%7ea", doubleCanonical: "/%257ea"},
	{raw: "/é", single: "/%C3%A9", double: "/%C3%A9", doubleCanonical: "/%25C3%25A9"},
	{raw: "/%C3%A9", single: "/%C3%A9", double: "/%C3%A9", doubleCanonical: "/%25C3%25A9"},
	{raw: "/\xe9", single: "/%E9", double: "/%E9", doubleCanonical: "/%25E9"},
	{raw: "/a%2Fb", single: "/a/b", double: "/a%2Fb", doubleCanonical: "/a%252Fb"},
	{raw: "/a%2fb", single: "/a/b", double: "/a%2fb", doubleCanonical: "/a%252fb"},
	{raw: "/a%2Fb{c", single: "/a/b%7Bc", double: "/a%2Fb%7Bc", doubleCanonical: "/a%252Fb%257Bc"},
	{raw: "/%25", single: "/%25", double: "/%25", doubleCanonical: "/%2525"},
	{raw: "/%252F", single: "/%252F", double: "/%252F", doubleCanonical: "/%25252F"},
	{raw: "/:@$&,;=", single: "/%3A%40%24%26%2C%3B%3D", double: "/:@$&,;=", doubleCanonical: "/%3A%40%24%26%2C%3B%3D"},
	{raw: "/[x]", single: "/%5Bx%5D", double: "/%5Bx%5D", doubleCanonical: "/%255Bx%255D"},
	{
		raw: "/{}|^\"\\<>`", single: "/%7B%7D%7C%5E%22%5C%3C%3E%60",
		double: "/%7B%7D%7C%5E%22%5C%3C%3E%60", doubleCanonical: "/%257B%257D%257C%255E%2522%255C%253C%253E%2560",
	},
	{raw: "/%00", single: "/%00", double: "/%00", doubleCanonical: "/%2500"},
	{raw: "/\x00\t\x7f", single: "/%00%09%7F", double: "/%00%09%7F", doubleCanonical: "/%2500%2509%257F"},
	{raw: "/a#b", single: "/a%23b", double: "/a%23b", doubleCanonical: "/a%2523b"},
	{raw: "/a?b", single: "/a%3Fb", double: "/a%3Fb", doubleCanonical: "/a%253Fb"},
	{raw: "/a%3Fb", single: "/a%3Fb", double: "/a%3Fb", doubleCanonical: "/a%253Fb"},
	{raw: "/%zz"},
	{raw: "/%"},
	{raw: "/a%2"},
	{raw: "/%%20"},
	{raw: "*"},
	{raw: "a/b"},
	{raw: "http://host/a"},
}

// queryCases are queries of a client and what is sent and signed for them;
// none is "refused".
var queryCases = []struct{ raw, want string }{
	{"", ""},
	{"acl", "acl="},
	{"acl=", "acl="},
	{"a=1;b=2", "a=1%3Bb%3D2"},
	{"a=b+c", "a=b%20c"},
	{"a=b%20c", "a=b%20c"},
	{"a=b%2Bc", "a=b%2Bc"},
	{"+=+", "%20=%20"},
	{"a==b", "a=%3Db"},
	{"&&a", "a="},
	{"a&", "a="},
	{"&", ""},
	{"=v", "=v"},
	{"=", "="},
	{"b=2&b=1", "b=1&b=2"},
	{"b=1&b=1", "b=1&b=1"},
	{"k=a/b&k=a-b", "k=a%2Fb&k=a-b"},
	{"k=a-b&k=a/b", "k=a%2Fb&k=a-b"},
	{"a-b=1&a=2", "a=2&a-b=1"},
	{"a.b=1&a%20b=0&a=2", "a=2&a%20b=0&a.b=1"},
	{"é=1", "%C3%A9=1"},
	{"\xff=1", "%FF=1"},
	{"%C3%A9=1", "%C3%A9=1"},
	{"B=1&a=2&A=3", "A=3&B=1&a=2"},
	{"%41=%42", "A=B"},
	{"a=%7E~", "a=~~"},
	{"a=%2f", "a=%2F"},
	{"a=(*)'!", "a=%28%2A%29%27%21"},
	{"a=:@$,[]{}|^\"\\<>`", "a=%3A%40%24%2C%5B%5D%7B%7D%7C%5E%22%5C%3C%3E%60"},
	{"a=?#", "a=%3F%23"},
	{"a=%00 ", "a=%00%20"},
	{"X-Amz-Signature=1", "X-Amz-Signature=1"},
	{"a=%zz", "refused"},
	{"%", "refused"},
	{"a=1&b%2", "refused"},
}

func TestCanonicalPath(t *testing.T) {
	for _, c := range pathCases {
		for _, rule := range []PathRule{PathSingle, PathDouble} {
			wire, canonical := c.single, c.single
			if rule == PathDouble {
				wire, canonical = c.double, c.doubleCanonical
				if canonical == "" {
					canonical = wire
				}
			}
			t.Run(string(rule)+" "+c.raw, func(t *testing.T) {
				got, err := Canonicalize(c.raw, "b=1&a", rule)
				if wire == "" {
					wantTargetError(t, err, "path")
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "path", got.Path, wire)
				equal(t, "canonical path", got.CanonicalPath, canonical)
				equal(t, "query", got.Query, "a=&b=1")
			})
		}
	}
}

func TestCanonicalQuery(t *testing.T) {
	for _, c := range queryCases {
		t.Run(c.raw, func(t *testing.T) {
			got, err := Canonicalize("/", c.raw, PathDouble)
			if c.want == "refused" {
				wantTargetError(t, err, "query")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "query", got.Query, c.want)
		})
	}
}

func wantTargetError(t *testing.T, err error, part string) {
	t.Helper()
	var bad *TargetError
	if !errors.As(err, &bad) || bad.Part != part {
		t.Fatalf("got error %v, want a TargetError for the %s", err, part)
	}
}

// TestTargetErrorText keeps long and unprintable bytes of a client out of
// messages.
func TestTargetErrorText(t *testing.T) {
	for raw, want := range map[string]string{
		"/ok%\n\x1b" + strings.Repeat("x", 999): `request path: "%\n\x1b" is not valid here: send a percent sign followed by two hexadecimal digits, or %25 for the percent sign itself`,
		"*":                                     `request path: "*" is not valid here: send a path that begins with a slash`,
		"" + strings.Repeat("é", 99):            `request path: "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9" is not valid here: send a path that begins with a slash`,
	} {
		_, err := Canonicalize(raw, "", PathSingle)
		if err == nil {
			t.Fatalf("%q was not refused", raw)
		}
		equal(t, "message", err.Error(), want)
	}
}

func TestPathRuleFor(t *testing.T) {
	for service, want := range map[string]PathRule{
		"s3": PathSingle, "s3express": PathSingle, "s3-outposts": PathSingle, "s3-object-lambda": PathSingle,
		"es": PathDouble, "execute-api": PathDouble, "s3tables": PathDouble, "s3vectors": PathDouble, "": PathDouble,
	} {
		equal(t, service, string(PathRuleFor(service)), string(want))
	}
}

// canonicalTargets returns the targets of all the cases, paths and queries
// combined.
func canonicalTargets(t *testing.T) []Target {
	t.Helper()
	var targets []Target
	for _, rule := range []PathRule{PathSingle, PathDouble} {
		for _, p := range pathCases {
			if target, err := Canonicalize(p.raw, "", rule); err == nil {
				targets = append(targets, target)
			}
		}
		for _, q := range queryCases {
			if target, err := Canonicalize("/a%2Fb", q.raw, rule); err == nil {
				targets = append(targets, target)
			}
		}
	}
	if len(targets) < 100 {
		t.Fatalf("only %d targets", len(targets))
	}
	return targets
}

func TestSetURLSendsTheTarget(t *testing.T) {
	for _, target := range canonicalTargets(t) {
		u := &url.URL{
			Scheme: "https", Host: "example.com", User: url.User("u"), Path: "/old", RawPath: "/%6Fld", RawQuery: "old",
			Opaque: "//elsewhere", ForceQuery: true, Fragment: "f", RawFragment: "f",
		}
		target.SetURL(u)
		equal(t, "request URI", u.RequestURI(), target.RequestURI())
		if u.Scheme != "https" || u.Host != "example.com" || u.User == nil || u.Fragment != "" {
			t.Errorf("URL is %#v", u)
		}
	}
}

// TestWireEqualsSigned sends each target with net/http and reads the request
// line from the socket.
func TestWireEqualsSigned(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	lines := make(chan string, 1)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			reader := bufio.NewReader(conn)
			line, _ := reader.ReadString('\n')
			for {
				if header, err := reader.ReadString('\n'); err != nil || header == "\r\n" {
					break
				}
			}
			lines <- line
			_, _ = conn.Write([]byte("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"))
			conn.Close()
		}
	}()
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	for _, target := range canonicalTargets(t) {
		r, err := http.NewRequest(http.MethodGet, "http://"+listener.Addr().String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		target.SetURL(r.URL)
		response, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatalf("%s: %v", target.RequestURI(), err)
		}
		response.Body.Close()
		equal(t, "request line", <-lines, "GET "+target.RequestURI()+" HTTP/1.1\r\n")
	}
}
