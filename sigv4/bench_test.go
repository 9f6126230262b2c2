package sigv4

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// benchmarkHeader is a request's six headers, three of them signed.
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

// BenchmarkSign compares a GET with six headers and a session token of 700
// bytes, from the client's URL to the header values, with the AWS SDK's
// signer. URL and time change with each request, so that nothing but the
// signing key can be remembered.
func BenchmarkSign(b *testing.B) {
	creds := Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", SessionToken: strings.Repeat("IQoJb3JpZ2", 70)}
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const urls = 1024
	paths, queries := make([]string, urls), make([]string, urls)
	for i := range urls {
		paths[i] = "/index-" + strconv.Itoa(i) + "/_doc/some%20document"
		queries[i] = "size=" + strconv.Itoa(i) + "&from=0&sort=a%2Fb"
	}

	b.Run("ours", func(b *testing.B) {
		signer := NewSigner(creds)
		header := benchmarkHeader()
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			target, err := Canonicalize(paths[i%urls], queries[i%urls], PathDouble)
			if err != nil {
				b.Fatal(err)
			}
			err = signer.Sign(Input{
				Method: http.MethodGet, Host: "search-x.us-east-1.es.amazonaws.com", Target: target, Header: header,
				PayloadHash: EmptyPayloadHash, Service: "es", Region: "us-east-1", Time: start.Add(time.Duration(i%86000) * time.Second),
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sdk", func(b *testing.B) {
		signer := v4.NewSigner()
		awsCreds := aws.Credentials{AccessKeyID: creds.AccessKeyID, SecretAccessKey: creds.SecretAccessKey, SessionToken: creds.SessionToken}
		header := benchmarkHeader()
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			// The URL is given parsed: parsing is not signing.
			r := &http.Request{Method: http.MethodGet, Host: "search-x.us-east-1.es.amazonaws.com", Header: header}
			r.URL = &url.URL{Scheme: "https", Host: r.Host, Path: "/index-" + strconv.Itoa(i%urls) + "/_doc/some document", RawPath: paths[i%urls], RawQuery: queries[i%urls]}
			err := signer.SignHTTP(context.Background(), awsCreds, r, EmptyPayloadHash, "es", "us-east-1", start.Add(time.Duration(i%86000)*time.Second))
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestSignAllocates bounds what a signature costs the garbage collector. The
// measured number is 5; the race detector's is a little more, because it makes
// pools forget.
func TestSignAllocates(t *testing.T) {
	signer := NewSigner(exampleCredentials)
	header := benchmarkHeader()
	n := 0
	allocations := testing.AllocsPerRun(1000, func() {
		n++
		target, err := Canonicalize("/index/_doc/some%20document", "size=10&from=0&sort=a%2Fb", PathDouble)
		if err != nil {
			t.Fatal(err)
		}
		err = signer.Sign(Input{
			Method: http.MethodGet, Host: "search-x.us-east-1.es.amazonaws.com", Target: target, Header: header,
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
