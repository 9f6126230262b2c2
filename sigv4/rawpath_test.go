package sigv4

import (
	"bufio"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestRawPath(t *testing.T) {
	tests := []struct {
		name    string
		uri     string
		url     url.URL
		want    string
		refused bool
	}{
		{name: "origin form", uri: "/a%2Fb{c?q", url: url.URL{Path: "/a/b{c"}, want: "/a%2Fb{c"},
		{name: "origin form, two slashes", uri: "//host/p", url: url.URL{Path: "//host/p"}, want: "//host/p"},
		{name: "origin form with a URL inside", uri: "/x://y/z", url: url.URL{Path: "/x://y/z"}, want: "/x://y/z"},
		{name: "absolute form", uri: "http://host:81/a%2Fb?q=/x", url: url.URL{Path: "/a/b"}, want: "/a%2Fb"},
		{name: "absolute form without a path", uri: "http://host?q=/x", url: url.URL{Path: ""}, want: ""},
		{name: "asterisk", uri: "*", url: url.URL{Path: "*"}, want: "*", refused: true},
		{name: "authority form", uri: "host:443", url: url.URL{Host: "host:443"}, want: ""},
		{name: "no path at all", uri: "mailto:someone", url: url.URL{Scheme: "mailto", Opaque: "someone"}, want: "someone", refused: true},
		{name: "opaque with an authority", url: url.URL{Scheme: "http", Opaque: "//host/a%2Fb"}, want: "/a%2Fb"},
		{name: "rewritten path", uri: "/old%2Fpath", url: url.URL{Path: "/new"}, want: "/new"},
		{name: "rewritten to the same", uri: "/a%2fb", url: url.URL{Path: "/a/b", RawPath: "/a%2Fb"}, want: "/a%2fb"},
		{name: "rewritten, with RawPath", uri: "/old", url: url.URL{Path: "/a/b", RawPath: "/a%2Fb"}, want: "/a%2Fb"},
		{name: "RawPath with a raw brace", url: url.URL{Path: "/a/b{", RawPath: "/a%2Fb{"}, want: "/a%2Fb{"},
		{name: "RawPath of another path", url: url.URL{Path: "/c", RawPath: "/a%2Fb"}, want: "/c"},
		{name: "broken RawPath", url: url.URL{Path: "/c", RawPath: "/%zz"}, want: "/c"},
		{name: "path alone", url: url.URL{Path: "/a b%c?d#e(f)+é"}, want: "/a%20b%25c%3Fd%23e(f)%2B%C3%A9"},
		{name: "empty", url: url.URL{}, want: ""},
		{name: "stripped of a prefix", uri: "/foo/bar", url: url.URL{Path: "bar"}, want: "/bar"},
		{name: "stripped of a prefix, RawPath", uri: "/foo/b%2Fr", url: url.URL{Path: "b/r", RawPath: "b%2Fr"}, want: "/b%2Fr"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			got := RawPath(&http.Request{RequestURI: c.uri, URL: &c.url})
			equal(t, "raw path", got, c.want)
			if _, err := Canonicalize(got, "", PathSingle); (err != nil) != c.refused {
				t.Errorf("canonicalize: %v", err)
			}
		})
	}
}

// TestRawPathOfParsedRequests has net/http parse request lines.
func TestRawPathOfParsedRequests(t *testing.T) {
	for _, path := range []string{
		"/", "//a//b/", "/a/../b", "/a%2Fb{c", "/%2e%2e/x", "/a+b", "/é", "/\xe9", "/[x]", "/a#b", "/%00", "/:@$&,;=", "/{}|^\"\\<>`",
	} {
		for _, target := range []string{path, "http://example.com" + path} {
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + "?k=v HTTP/1.1\r\nHost: example.com\r\n\r\n")))
			if err != nil {
				t.Fatalf("%q: %v", target, err)
			}
			equal(t, "raw path of "+target, RawPath(r), path)
		}
	}
}

// TestDecodesTo compares with percentDecode.
func TestDecodesTo(t *testing.T) {
	texts := []string{"", "/", "/a", "/a b", "/a%20b", "/a%20b/", "/a%2", "/%", "/a%zzb", "/a%2520b", "%2F", "%2f", "/%2F%2f", "///", "/a%20%", "/a ", "/%41", "/A"}
	for _, encoded := range texts {
		want, ok := percentDecode(encoded)
		for _, decoded := range texts {
			if got := decodesTo(encoded, decoded); got != (ok && decoded == want) {
				t.Errorf("decodesTo(%q, %q) = %v", encoded, decoded, got)
			}
		}
		if ok && !decodesTo(encoded, want) {
			t.Errorf("decodesTo(%q, %q) = false", encoded, want)
		}
	}
}
