package sigv4

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// sdkSign signs the request with the AWS SDK for Go and sets its headers. The
// SDK signs every header that it sees, so it is shown only those that the
// rules choose.
func sdkSign(t testing.TB, c Credentials, in Input) http.Header {
	t.Helper()
	r := &http.Request{Method: in.Method, Host: in.Host, URL: &url.URL{Scheme: "https", Host: in.Host}, Header: http.Header{}}
	in.Target.SetURL(r.URL)
	for name, values := range in.Header {
		if in.Rules.IsSigned(strings.ToLower(name)) {
			r.Header[name] = values
		}
	}
	if in.PayloadHeader {
		r.Header.Set("X-Amz-Content-Sha256", in.PayloadHash)
	}
	err := v4.NewSigner().SignHTTP(
		context.Background(),
		aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken},
		r, in.PayloadHash, in.Service, in.Region, in.Time,
		func(o *v4.SignerOptions) { o.DisableURIPathEscaping = PathRuleFor(in.Service) == PathSingle },
	)
	if err != nil {
		t.Fatal(err)
	}
	if r.URL.RequestURI() != in.Target.RequestURI() {
		t.Fatalf("the SDK sends %q for the target %q", r.URL.RequestURI(), in.Target.RequestURI())
	}
	return r.Header
}

// A generator makes requests from a seed: the same ones in every run.
type generator struct{ *rand.Rand }

func newGenerator() generator { return generator{rand.New(rand.NewPCG(4, 20150830))} }

func (g generator) pick(choices ...string) string { return choices[g.IntN(len(choices))] }

// text makes a string of pieces, at most n of them.
func (g generator) text(n int, pieces ...string) string {
	var b strings.Builder
	for range g.IntN(n + 1) {
		b.WriteString(g.pick(pieces...))
	}
	return b.String()
}

func (g generator) path() string {
	return "/" + g.text(12, "/", "a", "b0", "Z", ".", "..", "-", "_", "~", "%20", "%2F", "%2f", "%25", "%2B", "+", "(", ")", "*", "'", "!", ":", "@", "$", "&", ",", ";", "=", "[", "{", "|", "\\", "\"", "<", "é", "%C3%A9", "\xff", "%00", "?", "#", " ")
}

func (g generator) query() string {
	return g.text(14, "&", "&", "=", "a", "b", "A", "a-b", "a.b", "acl", "1", "%20", "+", "%2B", "%2F", "/", "%7E", "~", ";", ":", "é", "%C3%A9", "%00", "*", "'", "[", "%3D", "%26")
}

func (g generator) headerValue() string {
	return g.text(8, "a", "B", "0", " ", "  ", "   ", ",", ", ", "\"", "=", ";", "é", "\xff", "text/plain", ":")
}

func (g generator) input(t testing.TB) (Credentials, Input) {
	t.Helper()
	c := Credentials{AccessKeyID: g.pick("AKIDEXAMPLE", "ASIAOTHER"), SecretAccessKey: g.pick("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "secret")}
	if g.IntN(2) == 0 {
		c.SessionToken = g.pick("token", "IQoJb3JpZ2luX2Vj//8=")
	}
	in := Input{
		Method:        g.pick("GET", "PUT", "POST", "DELETE", "HEAD", "PATCH"),
		Host:          g.pick("example.com", "bucket.s3.eu-west-1.amazonaws.com", "example.com:8182", "127.0.0.1:9000", "[::1]:9000", "Example.COM"),
		Header:        http.Header{},
		PayloadHash:   g.pick(EmptyPayloadHash, UnsignedPayload, HashPayload([]byte("body"))),
		PayloadHeader: g.IntN(2) == 0,
		Service:       g.pick("s3", "s3", "s3express", "es", "execute-api", "dynamodb", "lambda"),
		Region:        g.pick("us-east-1", "eu-west-1", "cn-north-1"),
		Time:          time.Unix(1_400_000_000+g.Int64N(800_000_000), g.Int64N(1e9)),
	}
	extra := []string{"range", "x-request-id", "accept"}
	rules, err := NewHeaderRules(extra[:g.IntN(len(extra)+1)]...)
	if err != nil {
		t.Fatal(err)
	}
	if in.Rules = rules; g.IntN(3) == 0 {
		in.Rules = nil
	}
	for _, name := range []string{
		"Content-Type", "Content-Md5", "X-Amz-Meta-A", "X-Amz-Meta-B", "X-Amz-Target", "X-Amz-Copy-Source", "X-Amzn-Trace-Id",
		"Range", "X-Request-Id", "Accept", "Accept-Encoding", "User-Agent", "Date", "X-Forwarded-For", "Via", "Connection",
	} {
		switch g.IntN(4) {
		case 0:
			in.Header[name] = []string{g.headerValue()}
		case 1:
			in.Header[name] = []string{g.headerValue(), g.headerValue()}
		}
	}
	if in.Target, err = Canonicalize(g.path(), g.query(), PathRuleFor(in.Service)); err != nil {
		t.Fatal(err)
	}
	return c, in
}

// TestAgreementWithSDK compares each header that carries a signature with
// those of the AWS SDK for Go, on targets that are canonical: the SDK neither
// normalises a path nor decodes one for S3.
func TestAgreementWithSDK(t *testing.T) {
	count := 100_000
	if testing.Short() {
		count = 5_000
	}
	g := newGenerator()
	// With a duration in SIGV4_DIFFERENTIAL it goes on that long, with requests
	// that are new in every run. Their seed is logged.
	var until time.Time
	if text := os.Getenv("SIGV4_DIFFERENTIAL"); text != "" {
		length, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("SIGV4_DIFFERENTIAL: %v", err)
		}
		until = time.Now().Add(length)
		seed := uint64(time.Now().UnixNano())
		g = generator{rand.New(rand.NewPCG(4, seed))}
		t.Logf("seed %d", seed)
	}
	signers := map[Credentials]*Signer{}
	single, targets := 0, map[Target]struct{}{}
	for i := 0; i < count || time.Now().Before(until); i++ {
		count = max(count, i+1)
		c, in := g.input(t)
		if PathRuleFor(in.Service) == PathSingle {
			single++
		}
		if len(targets) < 1_000_000 {
			targets[in.Target] = struct{}{}
		}
		want := sdkSign(t, c, in)
		if signers[c] == nil {
			signers[c] = NewSigner(c)
		}
		var trace Trace
		if i%64 == 0 {
			in.Trace = &trace
		}
		if err := signers[c].Sign(in); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256"} {
			if in.Header.Get(name) != want.Get(name) {
				t.Fatalf("request %d: %s\n got %q\nwant %q\ninput %+v", i, name, in.Header.Get(name), want.Get(name), in)
			}
		}
	}
	t.Logf("%d requests agree, %d of them by the single rule, %d targets differ from each other", count, single, len(targets))
	if single < count/4 || single > count*3/4 || len(targets) < min(count, 1_000_000)/2 {
		t.Errorf("the generated requests are too much alike")
	}
}
