package wireverify

import (
	"strings"
	"testing"
	"time"
)

// TestRefusals changes one thing at a time in a request that is verified, and
// expects the reason for which it is refused.
func TestRefusals(t *testing.T) {
	const sameHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	tests := map[string]struct{ old, new, want string }{
		"other path":                {"/test.txt", "/test2.txt", "SignatureDoesNotMatch"},
		"other method":              {"GET ", "PUT ", "SignatureDoesNotMatch"},
		"other host":                {"examplebucket.s3", "otherbucket.s3", "SignatureDoesNotMatch"},
		"host with its port":        {"amazonaws.com\r", "amazonaws.com:443\r", "SignatureDoesNotMatch"},
		"added query":               {"/test.txt", "/test.txt?acl", "SignatureDoesNotMatch"},
		"changed signed header":     {"bytes=0-9", "bytes=0-8", "SignatureDoesNotMatch"},
		"other region":              {"us-east-1", "us-east-2", "SignatureDoesNotMatch"},
		"other signature":           {"Signature=f0", "Signature=f1", "SignatureDoesNotMatch"},
		"no authorization":          {"Authorization", "X-Authorization", "0 headers Authorization"},
		"basic authorization":       {"AWS4-HMAC-SHA256 ", "Basic ", "not of AWS4-HMAC-SHA256"},
		"unknown key":               {"AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLF", "unknown"},
		"two authorizations":        {"Range:", "Authorization: x\r\nRange:", "2 headers Authorization"},
		"two hosts":                 {"Range:", "Host: x\r\nRange:", "2 headers Host"},
		"two dates":                 {"Range:", "X-Amz-Date: 20130524T000000Z\r\nRange:", "2 headers X-Amz-Date"},
		"unsigned x-amz header":     {"Range:", "X-Amz-Acl: public-read\r\nRange:", `"X-Amz-Acl" is not signed`},
		"unsigned content type":     {"Range:", "Content-Type: text/plain\r\nRange:", `"Content-Type" is not signed`},
		"unexpected token":          {"Range:", "X-Amz-Security-Token: x\r\nRange:", "a session token came"},
		"missing signed header":     {"Range: bytes=0-9\r\n", "", `"range" is signed and missing`},
		"unsorted signed headers":   {"host;range", "range;host", "not lower-case, sorted"},
		"signed twice":              {"host;range", "host;host;range", "not lower-case, sorted"},
		"old":                       {"x-amz-date: 20130524T000000Z", "x-amz-date: 20130523T235958Z", "X-Amz-Date is 5m1s off"},
		"scope of another day":      {"/20130524/", "/20130523/", "scope is of 20130523"},
		"presigned too":             {"/test.txt", "/test.txt?X-Amz-Signature=1", "beside an Authorization"},
		"presigned too, escaped":    {"/test.txt", "/test.txt?a=1&x-%61mz-date=1", "beside an Authorization"},
		"raw plus":                  {"/test.txt", "/te+st.txt", "raw plus"},
		"raw plus in the query":     {"/test.txt", "/test.txt?a=b+c", "raw plus"},
		"absolute form":             {"/test.txt", "http://examplebucket.s3.amazonaws.com/test.txt", "not in origin form"},
		"illegal byte":              {"/test.txt", "/te|st.txt", "holds the byte"},
		"raw UTF-8":                 {"/test.txt", "/é.txt", "holds the byte"},
		"bad escape":                {"/test.txt", "/%zz", "is no escape"},
		"cut escape in the query":   {"/test.txt", "/test.txt?a=%2", "is cut off"},
		"hash of another body":      {sameHash, strings.Repeat("0", 64), "the body's is"},
		"no hash for S3":            {"x-amz-content-sha256: " + sameHash + "\r\n", "", "is signed and missing"},
		"unsigned payload, no TLS":  {sameHash, "UNSIGNED-PAYLOAD", "without TLS"},
		"body not hashed":           {"Range:", "Content-Length: 2\r\nRange:", "the body's is"},
		"chunked":                   {"Range:", "Transfer-Encoding: chunked\r\nRange:", "S3 wants a Content-Length"},
		"length and chunked":        {"Range:", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\nRange:", "stands beside"},
		"two lengths":               {"Range:", "Content-Length: 0\r\nContent-Length: 0\r\nRange:", "given twice"},
		"signed length":             {"Range:", "Content-Length: +0\r\nRange:", `Content-Length is "+0"`},
		"odd coding":                {"Range:", "Transfer-Encoding: xchunked\r\nRange:", "want chunked"},
		"blank before the colon":    {"Range:", "Range :", "blanks in it"},
		"folded line":               {"Range:", " folded\r\nRange:", "has no name"},
		"bare line feed":            {"Range: bytes=0-9\r\n", "Range: bytes=0-9\n", "CR LF"},
		"NUL in a header":           {"bytes=0-9", "bytes=0-9\x00", "control character"},
		"other protocol":            {"HTTP/1.1", "HTTP/1.0", "want HTTP/1.1"},
		"four parts of the request": {"/test.txt", "/te st.txt", "4 parts"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			raw := strings.Replace(documented, tt.old, tt.new, 1)
			if raw == documented {
				t.Fatalf("%q is not in the request", tt.old)
			}
			raw += "0\r\n\r\n" // A body, for those that have one.
			r, err := parse(raw)
			if err == nil {
				_, err = documentedVerifier().Verify(r)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestReadsPathsAsServicesDo compares with what AWS documents: S3 decodes the
// path once, all others encode what they receive, normalised or not.
func TestReadsPathsAsServicesDo(t *testing.T) {
	tests := []struct {
		service, path string
		want          []string
	}{
		{"s3", "/a//b/../c", []string{"/a//b/../c"}},
		{"s3", "/%61%2Fb%20c%7E@", []string{"/a/b%20c~%40"}},
		{"s3-outposts", "/%2520", []string{"/%2520"}},
		{"es", "/a%20b", []string{"/a%2520b", "/a%2520b"}},
		{"es", "/_all*", []string{"/_all%2A", "/_all%2A"}},
		{"es", "/a//b/../c/", []string{"/a/c/", "/a//b/../c/"}},
		{"es", "/..", []string{"/", "/.."}},
	}
	for _, tt := range tests {
		got, err := canonicalPaths(tt.service, tt.path)
		if err != nil || strings.Join(got, " ") != strings.Join(tt.want, " ") {
			t.Errorf("%s %s: %q, %v; want %q", tt.service, tt.path, got, err, tt.want)
		}
	}
	for raw, want := range map[string]string{
		"b=2&a=1&b=1": "a=1&b=1&b=2", "acl": "acl=", "a=%2b&a=b%20c": "a=%2B&a=b%20c",
		"k-b=1&k=2": "k=2&k-b=1", "a;b=1=2": "a%3Bb=1%3D2",
	} {
		if got, err := canonicalQuery(raw); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", raw, got, err, want)
		}
	}
}

// TestSessionTokens: a key with a token needs it, once, exactly and signed.
func TestSessionTokens(t *testing.T) {
	r, err := parse(documented)
	if err != nil {
		t.Fatal(err)
	}
	v := documentedVerifier()
	key := v.Key
	v.Key = func(id string) (Key, bool) { k, ok := key(id); k.Token = "token"; return k, ok }
	for _, tokens := range [][]string{nil, {"other"}, {"token", "token"}} {
		other := *r
		for _, token := range tokens {
			other.Headers = append(other.Headers, Header{"X-Amz-Security-Token", token})
		}
		if _, err := v.Verify(&other); err == nil || !strings.Contains(err.Error(), "session tokens") {
			t.Errorf("tokens %q: %v", tokens, err)
		}
	}
	other := *r
	other.Headers = append(other.Headers, Header{"X-Amz-Security-Token", "token"})
	if _, err := v.Verify(&other); err == nil || !strings.Contains(err.Error(), "is not signed") {
		t.Errorf("unsigned token: %v", err)
	}
}

// TestClockIsCompared: by default with the real one.
func TestClockIsCompared(t *testing.T) {
	r, err := parse(documented)
	if err != nil {
		t.Fatal(err)
	}
	v := documentedVerifier()
	v.Now = nil
	if _, err := v.Verify(r); err == nil || !strings.Contains(err.Error(), "off") {
		t.Errorf("a request of 2013: %v", err)
	}
	v.Now = func() time.Time { return time.Date(2013, 5, 23, 23, 55, 0, 0, time.UTC) }
	if _, err := v.Verify(r); err != nil {
		t.Errorf("5 minutes ahead: %v", err)
	}
}
