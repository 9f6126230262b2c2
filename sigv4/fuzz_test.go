package sigv4

import (
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

func FuzzCanonicalize(f *testing.F) {
	for _, p := range pathCases {
		f.Add(p.raw, "a=b")
	}
	for _, q := range queryCases {
		f.Add("/a%2Fb", q.raw)
	}
	f.Fuzz(func(t *testing.T, path, query string) {
		for _, rule := range []PathRule{PathSingle, PathDouble} {
			target, err := Canonicalize(path, query, rule)
			if err != nil {
				var bad *TargetError
				if !errors.As(err, &bad) || target != (Target{}) {
					t.Fatalf("error %v, target %+v", err, target)
				}
				continue
			}
			again, err := Canonicalize(target.Path, target.Query, rule)
			if err != nil || again != target {
				t.Fatalf("%+v is canonicalized to %+v, %v", target, again, err)
			}
			if rule == PathSingle && target.CanonicalPath != target.Path {
				t.Fatalf("single: %+v", target)
			}
			if strings.ContainsAny(target.RequestURI(), "+ \r\n\x00#\"<>\\^`{|}[]") || strings.ContainsAny(target.Path, "?") {
				t.Fatalf("bytes that can't be on the wire: %+v", target)
			}
			var u url.URL
			target.SetURL(&u)
			if u.RequestURI() != target.RequestURI() {
				t.Fatalf("sent %q, signed %q", u.RequestURI(), target.RequestURI())
			}
			checkMeaning(t, path, query, target, rule)
			checkSent(t, target)
		}
	})
}

// checkMeaning compares what the client said with what is sent, with the
// decoders of net/url.
func checkMeaning(t *testing.T, path, query string, target Target, rule PathRule) {
	t.Helper()
	sent, err := url.PathUnescape(target.Path)
	if err != nil {
		t.Fatal(err)
	}
	if rule == PathSingle && path != "" {
		if said, err := url.PathUnescape(path); err != nil || said != sent {
			t.Fatalf("path %q means %q, sent is %q, %v", path, said, sent, err)
		}
	}
	wireAgain, err := url.PathUnescape(target.CanonicalPath)
	if err != nil || rule == PathDouble && wireAgain != target.Path {
		t.Fatalf("canonical path %q is not %q encoded, %v", target.CanonicalPath, target.Path, err)
	}
	if rule == PathDouble {
		for segment := range strings.SplitSeq(strings.TrimSuffix(target.Path[1:], "/"), "/") {
			if segment == "." || segment == ".." || segment == "" && target.Path != "/" {
				t.Fatalf("path %q is not normalised: %q", path, target.Path)
			}
		}
	}
	// net/url refuses a raw ';', which is data here.
	said, err := url.ParseQuery(strings.ReplaceAll(query, ";", "%3B"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := url.ParseQuery(target.Query)
	if err != nil || !sameValues(said, got) {
		t.Fatalf("query %q means %v, sent is %q, %v", query, said, target.Query, err)
	}
}

// sameValues compares without regard to the order of values, which is part of
// the canonical form.
func sameValues(a, b url.Values) bool {
	count := func(v url.Values) map[[2]string]int {
		n := map[[2]string]int{}
		for key, values := range v {
			for _, value := range values {
				n[[2]string{key, value}]++
			}
		}
		return n
	}
	return reflect.DeepEqual(count(a), count(b))
}

// checkSent has net/http write the request.
func checkSent(t *testing.T, target Target) {
	t.Helper()
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: "example.com"}, Header: http.Header{}}
	target.SetURL(r.URL)
	var wire strings.Builder
	if err := r.Write(&wire); err != nil {
		t.Fatal(err)
	}
	if line, _, _ := strings.Cut(wire.String(), "\r\n"); line != "GET "+target.RequestURI()+" HTTP/1.1" {
		t.Fatalf("sent %q, signed %q", line, target.RequestURI())
	}
}

// FuzzVerify changes parts of a signed request. Whatever is accepted must mean
// what was signed.
func FuzzVerify(f *testing.F) {
	c := Credentials{AccessKeyID: "AKIDLONGTERM", SecretAccessKey: "other"}
	base := signedExample(f, c, nil)
	authorization, date := base.Header.Get("Authorization"), base.Header.Get("X-Amz-Date")
	f.Add(base.Method, base.Host, base.RawPath, base.RawQuery, authorization, date, "X-Amz-Acl", "private", base.PayloadHash)
	f.Add("GET", base.Host, "//a/./b%20c", "y=2&x=1", authorization, date, "Accept", "a", base.PayloadHash)
	f.Add(base.Method, base.Host, base.RawPath, "x=1&y=2&X-Amz-Date=1", authorization, date, "authorization", "Basic", UnsignedPayload)
	f.Add(base.Method, base.Host, base.RawPath, base.RawQuery, strings.Replace(authorization, "AKIDLONGTERM", "AKIDNOBODY", 1), date, "x-amz-date", date, base.PayloadHash)
	f.Fuzz(func(t *testing.T, method, host, path, query, authorization, date, name, value, hash string) {
		header := base.Header.Clone()
		header["Authorization"] = []string{authorization}
		header["X-Amz-Date"] = []string{date}
		header[name] = append(header[name], value)
		in := VerifyInput{Method: method, Host: host, RawPath: path, RawQuery: query, Header: header, PayloadHash: hash}
		auth, err := exampleVerifier().Verify(in)
		if err != nil {
			var refused *VerifyError
			if !errors.As(err, &refused) || refused.Reason == "" || auth.AccessKeyID != "" {
				t.Fatalf("error %#v, authorization %+v", err, auth)
			}
			return
		}
		target, err := Canonicalize(path, query, PathDouble)
		if err != nil {
			t.Fatal(err)
		}
		if method != base.Method || host != base.Host || hash != base.PayloadHash ||
			target.Path != base.RawPath || target.Query != base.RawQuery || auth.AccessKeyID != c.AccessKeyID {
			t.Fatalf("accepted %+v", in)
		}
		lower := lowerASCII(name)
		if strings.HasPrefix(lower, "x-amz-") || lower == "content-type" || lower == "authorization" {
			t.Fatalf("accepted the header %q: %q", name, value)
		}
	})
}

func FuzzParseAuthorization(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=" + exampleSignature)
	f.Add("AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request,SignedHeaders=host,Signature=" + exampleSignature)
	f.Add("AWS4-HMAC-SHA256 Credential=/////, SignedHeaders=;;, Signature=,,,")
	f.Add("Basic dXNlcjpwYXNz")
	f.Add("")
	f.Fuzz(func(t *testing.T, value string) {
		a, err := ParseAuthorization(value)
		if err != nil {
			wantReason(t, err, ReasonMalformedAuthorization)
			return
		}
		built := a.Algorithm + " Credential=" + strings.Join([]string{a.AccessKeyID, a.Date, a.Region, a.Service, "aws4_request"}, "/") +
			", SignedHeaders=" + strings.Join(a.SignedHeaders, ";") + ", Signature=" + a.Signature
		again, err := ParseAuthorization(built)
		if err != nil || !reflect.DeepEqual(again, a) {
			t.Fatalf("%q reads as %+v, rebuilt as %+v, %v", value, a, again, err)
		}
		if strip := strings.NewReplacer(" ", ""); strip.Replace(built) != strip.Replace(value) {
			t.Fatalf("%q holds more than %q", value, built)
		}
	})
}
