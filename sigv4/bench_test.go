package sigv4

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// benchmarkHeader is a request's six headers. By default three of them are
// signed, with benchmarkRules all but User-Agent.
func benchmarkHeader() http.Header {
	return http.Header{
		"Accept":       {"application/json"},
		"Content-Type": {"application/json"},
		"User-Agent":   {"benchmark/1.0"},
		"X-Amz-Meta-A": {"first"},
		"X-Amz-Target": {"Service_20200101.Operation"},
		"X-Request-Id": {"0123456789abcdef"},
	}
}

// benchmarkRules has signed what the AWS SDK's signer signs, which is every
// header but a few.
func benchmarkRules(tb testing.TB) *HeaderRules {
	tb.Helper()
	rules, err := NewHeaderRules("Accept", "X-Request-Id")
	if err != nil {
		tb.Fatal(err)
	}
	return rules
}

// BenchmarkSign compares a GET with six headers and a session token of 700
// bytes, from the client's URL to the header values, with the AWS SDK's
// signer. URL and time change with each request, so that nothing but the
// signing key can be remembered. Both sign the same headers, and the very same
// request: at first it is checked that their signatures are equal.
func BenchmarkSign(b *testing.B) {
	requests := newBenchmarkRequests(b)
	for i := range requests.paths {
		if i%64 == 0 {
			requests.check(b, i)
		}
	}
	b.Run("ours", func(b *testing.B) {
		header := benchmarkHeader()
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			requests.signOurs(b, i, header)
		}
	})
	b.Run("sdk", func(b *testing.B) {
		header := benchmarkHeader()
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			requests.signSDKs(b, i, header)
		}
	})
}

// TestBenchmarkSignsTheSame is the check that BenchmarkSign begins with, for
// those who run no benchmarks.
func TestBenchmarkSignsTheSame(t *testing.T) {
	newBenchmarkRequests(t).check(t, 1)
}

// benchmarkRequests are the requests of BenchmarkSign and their signers.
type benchmarkRequests struct {
	ours           *Signer
	rules          *HeaderRules
	sdk            *v4.Signer
	sdkCredentials aws.Credentials
	start          time.Time
	paths, decoded []string
	queries        []string
}

func newBenchmarkRequests(tb testing.TB) *benchmarkRequests {
	creds := Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", SessionToken: strings.Repeat("IQoJb3JpZ2", 70)}
	r := &benchmarkRequests{
		ours:           NewSigner(creds),
		rules:          benchmarkRules(tb),
		sdk:            v4.NewSigner(),
		sdkCredentials: aws.Credentials{AccessKeyID: creds.AccessKeyID, SecretAccessKey: creds.SecretAccessKey, SessionToken: creds.SessionToken},
		start:          time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	for i := range 1024 {
		n := strconv.Itoa(i)
		r.paths = append(r.paths, "/index-"+n+"/_doc/some%20document")
		r.decoded = append(r.decoded, "/index-"+n+"/_doc/some document")
		r.queries = append(r.queries, "size="+n+"&from=0&sort=a%2Fb")
	}
	return r
}

const (
	benchmarkHost    = "search-x.us-east-1.es.amazonaws.com"
	benchmarkService = "es"
	benchmarkRegion  = "us-east-1"
)

func (r *benchmarkRequests) time(i int) time.Time {
	return r.start.Add(time.Duration(i%86000) * time.Second)
}

func (r *benchmarkRequests) signOurs(tb testing.TB, i int, header http.Header) {
	at := i % len(r.paths)
	target, err := Canonicalize(r.paths[at], r.queries[at], PathDouble)
	if err != nil {
		tb.Fatal(err)
	}
	err = r.ours.Sign(Input{
		Method: http.MethodGet, Host: benchmarkHost, Target: target, Header: header, Rules: r.rules,
		PayloadHash: EmptyPayloadHash, Service: benchmarkService, Region: benchmarkRegion, Time: r.time(i),
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func (r *benchmarkRequests) signSDKs(tb testing.TB, i int, header http.Header) {
	at := i % len(r.paths)
	// The URL is given parsed: parsing is not signing.
	request := &http.Request{
		Method: http.MethodGet, Host: benchmarkHost, Header: header,
		URL: &url.URL{Scheme: "https", Host: benchmarkHost, Path: r.decoded[at], RawPath: r.paths[at], RawQuery: r.queries[at]},
	}
	err := r.sdk.SignHTTP(context.Background(), r.sdkCredentials, request, EmptyPayloadHash, benchmarkService, benchmarkRegion, r.time(i))
	if err != nil {
		tb.Fatal(err)
	}
}

// check has both sign the i-th request, and compares the headers that they
// signed and what came out.
func (r *benchmarkRequests) check(tb testing.TB, i int) {
	tb.Helper()
	ours, sdks := benchmarkHeader(), benchmarkHeader()
	r.signOurs(tb, i, ours)
	r.signSDKs(tb, i, sdks)
	a, err := ParseAuthorization(ours.Get(headerAuthorization))
	if err != nil {
		tb.Fatal(err)
	}
	b, err := ParseAuthorization(sdks.Get(headerAuthorization))
	if err != nil {
		tb.Fatal(err)
	}
	if !slices.Equal(a.SignedHeaders, b.SignedHeaders) {
		tb.Fatalf("we sign %v and the SDK %v: the comparison would not be fair", a.SignedHeaders, b.SignedHeaders)
	}
	if want := len(benchmarkHeader()) + 2; len(a.SignedHeaders) != want {
		tb.Fatalf("%d headers are signed, want %d: %v", len(a.SignedHeaders), want, a.SignedHeaders)
	}
	if a.Signature != b.Signature {
		tb.Fatalf("request %d: we sign %s, the SDK %s", i, a.Signature, b.Signature)
	}
}

// TestSignAllocates bounds what a signature costs the garbage collector. The
// measured number is 5; the race detector's is a little more, because it makes
// pools forget.
func TestSignAllocates(t *testing.T) {
	signer := NewSigner(exampleCredentials)
	header, rules := benchmarkHeader(), benchmarkRules(t)
	n := 0
	allocations := testing.AllocsPerRun(1000, func() {
		n++
		target, err := Canonicalize("/index/_doc/some%20document", "size=10&from=0&sort=a%2Fb", PathDouble)
		if err != nil {
			t.Fatal(err)
		}
		err = signer.Sign(Input{
			Method: http.MethodGet, Host: "search-x.us-east-1.es.amazonaws.com", Target: target, Header: header, Rules: rules,
			PayloadHash: EmptyPayloadHash, Service: "es", Region: "us-east-1", Time: exampleTime.Add(time.Duration(n) * time.Second),
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	if allocations > 15 {
		t.Errorf("%v allocations, want at most 15", allocations)
	}
}
