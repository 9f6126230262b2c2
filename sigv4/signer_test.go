package sigv4

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

var (
	exampleCredentials = Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", SessionToken: "session-token"}
	exampleTime        = time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
)

func mustTarget(t testing.TB, path, query string, rule PathRule) Target {
	t.Helper()
	target, err := Canonicalize(path, query, rule)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func exampleInput(t testing.TB) Input {
	t.Helper()
	return Input{
		Method: http.MethodGet, Host: "example.amazonaws.com",
		Target:      mustTarget(t, "/test/resource", "baz=qux&foo=bar&baz=aaa", PathDouble),
		Header:      http.Header{"Content-Type": {"application/json"}},
		PayloadHash: EmptyPayloadHash, Service: "execute-api", Region: "us-east-1", Time: exampleTime,
	}
}

// TestKnownSignature is a signature that a signer in another language locked
// in its own tests; that one sends the payload hash to all services.
func TestKnownSignature(t *testing.T) {
	in := exampleInput(t)
	in.PayloadHeader = true
	if err := NewSigner(exampleCredentials).Sign(in); err != nil {
		t.Fatal(err)
	}
	equal(t, "authorization", in.Header.Get("Authorization"),
		"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20250102/us-east-1/execute-api/aws4_request, "+
			"SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token, "+
			"Signature=3b3a97589b9cd7d1b94293d46a558de6801f06a65442669291c0b6e2126c2550")
	equal(t, "date", in.Header.Get("X-Amz-Date"), "20250102T030405Z")
	equal(t, "token", in.Header.Get("X-Amz-Security-Token"), "session-token")
}

// TestSignWritesOnlyItsOwnHeaders starts from a map with forged headers in
// several spellings.
func TestSignWritesOnlyItsOwnHeaders(t *testing.T) {
	forged := func() http.Header {
		return http.Header{
			"Accept":               {"a", "b"},
			"Authorization":        {"forged"},
			"authorization":        {"forged"},
			"Date":                 {"left alone"},
			"Host":                 {"forged.example.com"},
			"X-Amz-Content-Sha256": {"forged"},
			"x-amz-content-sha256": {"forged"},
			"X-Amz-Date":           {"forged", "twice"},
			"x-amz-date":           {"forged"},
			"X-AMZ-SECURITY-TOKEN": {"forged"},
			"X-Amz-Security-Token": {"forged"},
			"X-Amz-Meta-Empty":     {},
			"X-Amz-Meta-Nil":       nil,
		}
	}
	for _, token := range []string{"", "session-token"} {
		c := exampleCredentials
		c.SessionToken = token
		in := exampleInput(t)
		in.Header = forged()
		in.PayloadHeader = true
		var trace Trace
		in.Trace = &trace
		if err := NewSigner(c).Sign(in); err != nil {
			t.Fatal(err)
		}
		want := http.Header{
			"Accept":               {"a", "b"},
			"Authorization":        {in.Header.Get("Authorization")},
			"Date":                 {"left alone"},
			"Host":                 {"forged.example.com"},
			"X-Amz-Content-Sha256": {EmptyPayloadHash},
			"X-Amz-Date":           {"20250102T030405Z"},
			"X-Amz-Meta-Empty":     {},
			"X-Amz-Meta-Nil":       nil,
		}
		signed := "host;x-amz-content-sha256;x-amz-date"
		if token != "" {
			want["X-Amz-Security-Token"] = []string{token}
			signed += ";x-amz-security-token"
		}
		if !reflect.DeepEqual(in.Header, want) {
			t.Errorf("header is %v, want %v", in.Header, want)
		}
		equal(t, "signed headers", trace.SignedHeaders, signed)
		if strings.Contains(trace.CanonicalRequest, "forged") || !strings.HasPrefix(in.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
			t.Errorf("something forged was signed: %q", trace.CanonicalRequest)
		}
		// Nobody else's values may change with these.
		in.Header["X-Amz-Date"] = append(in.Header["X-Amz-Date"], "more")
		equal(t, "authorization", in.Header.Get("Authorization"), want.Get("Authorization"))
	}
}

// TestSigningAgainReplaces signs one map twice: a retry.
func TestSigningAgainReplaces(t *testing.T) {
	once, twice := exampleInput(t), exampleInput(t)
	signer := NewSigner(exampleCredentials)
	early := twice
	early.Time = exampleTime.Add(-time.Hour)
	early.PayloadHeader, twice.PayloadHeader, once.PayloadHeader = true, true, true
	for _, in := range []Input{once, early, twice} {
		if err := signer.Sign(in); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(once.Header, twice.Header) {
		t.Errorf("signed once %v, again %v", once.Header, twice.Header)
	}
}

func TestSignRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Input, *Credentials)
		want   string
	}{
		{"no access key", func(_ *Input, c *Credentials) { c.AccessKeyID = "" }, "access key ID is empty"},
		{"no secret", func(_ *Input, c *Credentials) { c.SecretAccessKey = "" }, "secret access key is empty"},
		{"access key with a comma", func(_ *Input, c *Credentials) { c.AccessKeyID = "AKID,x" }, "access key ID holds"},
		{"access key with a newline", func(_ *Input, c *Credentials) { c.AccessKeyID = "AKID\n" }, "access key ID holds"},
		{"token with a newline", func(_ *Input, c *Credentials) { c.SessionToken = "tok\r\nen" }, "session token holds"},
		{"token with a blank", func(_ *Input, c *Credentials) { c.SessionToken = "tok en" }, "session token holds"},
		{"no service", func(in *Input, _ *Credentials) { in.Service = "" }, "service is empty"},
		{"service with a slash", func(in *Input, _ *Credentials) { in.Service = "s3/us" }, "service \"s3/us\" holds"},
		{"service with a newline", func(in *Input, _ *Credentials) { in.Service = "s3\n" }, "service \"s3\\n\" holds"},
		{"no region", func(in *Input, _ *Credentials) { in.Region = "" }, "region is empty"},
		{"region with a blank", func(in *Input, _ *Credentials) { in.Region = "us east" }, "region \"us east\" holds"},
		{"region with a comma", func(in *Input, _ *Credentials) { in.Region = "us,east" }, "region \"us,east\" holds"},
		{"no method", func(in *Input, _ *Credentials) { in.Method = "" }, "method \"\" is no HTTP method"},
		{"method with a newline", func(in *Input, _ *Credentials) { in.Method = "GET\n/" }, "is no HTTP method"},
		{"no host", func(in *Input, _ *Credentials) { in.Host = "" }, "host is empty"},
		{"host with a newline", func(in *Input, _ *Credentials) { in.Host = "a\nb" }, "host \"a\\nb\" holds"},
		{"host with a path", func(in *Input, _ *Credentials) { in.Host = "a/b" }, "host \"a/b\" holds"},
		{"host in UTF-8", func(in *Input, _ *Credentials) { in.Host = "é.example" }, "punycode"},
		{"host with a zone", func(in *Input, _ *Credentials) { in.Host = "[fe80::1%25en0]" }, "without a zone"},
		{"no target", func(in *Input, _ *Credentials) { in.Target = Target{} }, "make it with Canonicalize"},
		{"target made by hand", func(in *Input, _ *Credentials) { in.Target.Query = "a=b\nhost:x" }, "make it with Canonicalize"},
		{"target with a plus", func(in *Input, _ *Credentials) { in.Target.Query = "a=b+c" }, "make it with Canonicalize"},
		{"no payload hash", func(in *Input, _ *Credentials) { in.PayloadHash = "" }, "payload hash \"\" is no SHA-256"},
		{"upper-case payload hash", func(in *Input, _ *Credentials) { in.PayloadHash = strings.ToUpper(EmptyPayloadHash) }, "is no SHA-256"},
		{"payload hash of another length", func(in *Input, _ *Credentials) { in.PayloadHash = EmptyPayloadHash + "0" }, "is no SHA-256"},
		{"unknown sentinel", func(in *Input, _ *Credentials) { in.PayloadHash = "UNSIGNED" }, "is no SHA-256"},
		{"no header map", func(in *Input, _ *Credentials) { in.Header = nil }, "header map is nil"},
		{"header with CR LF", func(in *Input, _ *Credentials) { in.Header["X-Amz-Meta-A"] = []string{"a\r\nX: y"} }, "header x-amz-meta-a has a value"},
		{"header with NUL", func(in *Input, _ *Credentials) { in.Header["Content-Type"] = []string{"ok", "a\x00b"} }, "header content-type has a value"},
		{"header with a bad name", func(in *Input, _ *Credentials) { in.Header["X-Amz-Meta A"] = []string{"a"} }, "is no field name"},
		{"contradicting payload header", func(in *Input, _ *Credentials) { in.Header["x-amz-content-sha256"] = []string{"other"} }, "contradicts the payload hash"},
		{"no time", func(in *Input, _ *Credentials) { in.Time = time.Time{} }, "time of signing is not set"},
		{"time out of range", func(in *Input, _ *Credentials) { in.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "time of signing is not set"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			in, creds := exampleInput(t), exampleCredentials
			in.Trace = &Trace{Signature: "untouched"}
			c.change(&in, &creds)
			before := in.Header.Clone()
			err := NewSigner(creds).Sign(in)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got error %v, want one with %q", err, c.want)
			}
			for _, secret := range []string{creds.SecretAccessKey, creds.SessionToken} {
				if secret != "" && strings.Contains(err.Error(), secret) {
					t.Errorf("the error tells a secret: %v", err)
				}
			}
			if !reflect.DeepEqual(in.Header, before) || in.Trace.Signature != "untouched" {
				t.Errorf("something was written: %v %v", in.Header, in.Trace)
			}
		})
	}
}

func TestTimeIsSignedInUTC(t *testing.T) {
	in := exampleInput(t)
	in.Time = exampleTime.In(time.FixedZone("east", 14*3600))
	if err := NewSigner(exampleCredentials).Sign(in); err != nil {
		t.Fatal(err)
	}
	equal(t, "date", in.Header.Get("X-Amz-Date"), "20250102T030405Z")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestHashPayload(t *testing.T) {
	// The second is of the NIST's test vectors.
	equal(t, "empty", HashPayload(nil), EmptyPayloadHash)
	equal(t, "abc", HashPayload([]byte("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
}

// TestDateFormat compares with package time over the years that Sign takes.
func TestDateFormat(t *testing.T) {
	zone := time.FixedZone("", -(5*60+30)*60)
	for at := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() <= 9999; at = at.Add(40*24*time.Hour + 3661*time.Second) {
		equal(t, "date", string(appendDate(nil, at.In(zone))), at.Format(dateFormat))
	}
	for _, at := range []time.Time{
		time.Date(9999, 12, 31, 23, 59, 59, 999, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(0, 1, 1, 0, 0, 0, -1, time.UTC),
		{},
	} {
		equal(t, "date", string(appendDate(nil, at)), at.Format(dateFormat))
	}
}
