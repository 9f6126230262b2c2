package awssigv4

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/payload"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// attempt makes a request as reverse_proxy hands it over: the same body at
// every attempt.
func attempt(body io.ReadCloser, length int64) *http.Request {
	r := httptest.NewRequest(http.MethodPut, "http://example.com/", http.NoBody)
	r.Body, r.ContentLength = body, length
	r.TransferEncoding = []string{"chunked"}
	return ownCopy(r)
}

func TestAHeldBodyIsSentWholeAtEveryAttempt(t *testing.T) {
	const text = "the whole body"
	client := io.NopCloser(strings.NewReader(text))
	var b clientBody
	for i := range 3 {
		out := attempt(client, -1)
		hash, err := b.cover(out, bodyOptions{spool: new(payload.Spool), limit: 0}, sigv4.PayloadHash, false)
		if err != nil {
			t.Fatalf("attempt %d: %v", i, err)
		}
		if hash != sigv4.HashPayload([]byte(text)) {
			t.Errorf("attempt %d: wrong hash %s", i, hash)
		}
		if out.ContentLength != int64(len(text)) || out.TransferEncoding != nil {
			t.Errorf("attempt %d: length %d, transfer encoding %v", i, out.ContentLength, out.TransferEncoding)
		}
		for range 2 {
			sent, _ := io.ReadAll(out.Body)
			if string(sent) != text {
				t.Errorf("attempt %d: sent %q", i, sent)
			}
			out.Body, _ = out.GetBody()
		}
	}
}

func TestAHeldBodyIsSignedWithItsHash(t *testing.T) {
	text := strings.Repeat("x", 2<<20)
	client := io.NopCloser(strings.NewReader(text))
	o := bodyOptions{spool: new(payload.Spool)}
	var b clientBody
	for i := range 2 {
		out := attempt(client, -1)
		if i > 0 {
			// The handler has told its length by now.
			out.ContentLength = int64(len(text))
		}
		hash, err := b.cover(out, o, sigv4.PayloadHashOrUnsigned, true)
		if err != nil || hash != sigv4.HashPayload([]byte(text)) {
			t.Errorf("attempt %d: got %s, %v, want the body's hash", i, hash, err)
		}
	}
}

func TestAStreamedBodyIsNotSentTwice(t *testing.T) {
	client := io.NopCloser(strings.NewReader(strings.Repeat("x", 2<<20)))
	var b clientBody
	cover := func() (*http.Request, error) {
		out := attempt(client, 2<<20)
		hash, err := b.cover(out, bodyOptions{spool: new(payload.Spool), limit: 0}, sigv4.PayloadHashOrUnsigned, true)
		if err == nil && hash != sigv4.UnsignedPayload {
			t.Errorf("hash %s, want %s", hash, sigv4.UnsignedPayload)
		}
		return out, err
	}
	if _, err := cover(); err != nil {
		t.Fatal(err)
	}
	// Nothing was read, as after a dial error: it may go again.
	out, err := cover()
	if err != nil {
		t.Fatal(err)
	}
	io.CopyN(io.Discard, out.Body, 10)
	if _, err := cover(); !errors.Is(err, errNotReplayable) {
		t.Errorf("after a read: got %v, want %v", err, errNotReplayable)
	}
	// A fresh body, as reverse_proxy hands over with request_buffers.
	client = io.NopCloser(bytes.NewReader(make([]byte, 2<<20)))
	if _, err := cover(); err != nil {
		t.Errorf("a fresh body: %v", err)
	}
}

func TestCoverRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		body   string
		length int64
		limit  int64
		status int
	}{
		"a body over the limit":        {strings.Repeat("x", 11), 11, 10, 413},
		"an unknown length over it":    {strings.Repeat("x", 11), -1, 10, 413},
		"a body that ends early":       {"short", 10, 0, 400},
		"a body longer than it claims": {"longer than that", 10, 0, 400},
	} {
		var b clientBody
		_, err := b.cover(attempt(io.NopCloser(strings.NewReader(tc.body)), tc.length), bodyOptions{spool: new(payload.Spool), limit: tc.limit}, sigv4.PayloadHash, false)
		if r, ok := asRefusal(err); !ok || r.status != tc.status {
			t.Errorf("%s: got %v, want a refusal with %d", name, err, tc.status)
		}
	}
	var b clientBody
	out := attempt(io.NopCloser(strings.NewReader("x")), -1)
	out.Trailer = http.Header{"X-Sum": nil}
	_, err := b.cover(out, bodyOptions{spool: new(payload.Spool), limit: 0}, sigv4.PayloadHash, false)
	if r, ok := asRefusal(err); !ok || r.status != http.StatusBadRequest {
		t.Errorf("trailers: got %v, want a refusal with 400", err)
	}
}

func TestAStreamEndsAtTheLimit(t *testing.T) {
	var b clientBody
	out := attempt(io.NopCloser(strings.NewReader(strings.Repeat("x", 100))), -1)
	if _, err := b.cover(out, bodyOptions{spool: new(payload.Spool), limit: 50}, sigv4.PayloadUnsigned, true); err != nil {
		t.Fatal(err)
	}
	_, err := io.ReadAll(out.Body)
	if r, ok := asRefusal(err); !ok || r.status != http.StatusRequestEntityTooLarge {
		t.Errorf("got %v, want a refusal with 413", err)
	}
}

func TestEmptyBodies(t *testing.T) {
	for name, body := range map[string]io.ReadCloser{"nil": nil, "NoBody": http.NoBody, "empty": io.NopCloser(strings.NewReader(""))} {
		for rule, want := range map[sigv4.PayloadRule]string{
			sigv4.PayloadHash:           sigv4.EmptyPayloadHash,
			sigv4.PayloadHashOrUnsigned: sigv4.EmptyPayloadHash,
		} {
			var b clientBody
			length := int64(0)
			if name == "empty" {
				length = -1 // as an HTTP/3 GET arrives
			}
			out := attempt(body, length)
			got, err := b.cover(out, bodyOptions{spool: new(payload.Spool), limit: 0}, rule, true)
			if err != nil || got != want || out.Body != http.NoBody || out.ContentLength != 0 || out.TransferEncoding != nil {
				t.Errorf("%s, %s: got %s, %v, body %v, length %d", name, rule, got, err, out.Body, out.ContentLength)
			}
		}
	}
	var b clientBody
	if got, err := b.cover(attempt(nil, 0), bodyOptions{spool: new(payload.Spool), limit: 0}, sigv4.PayloadUnsigned, true); err != nil || got != sigv4.UnsignedPayload {
		t.Errorf("a service that takes only UNSIGNED-PAYLOAD: got %s, %v", got, err)
	}
}

func TestBodiesAreRememberedWithoutShowing(t *testing.T) {
	ctx := context.WithValue(context.Background(), caddyhttp.VarsCtxKey, make(map[string]any))
	b := bodyOf(ctx, nil)
	if err := b.hold(attempt(io.NopCloser(strings.NewReader("secret body")), -1), new(payload.Spool), -1, 100, 100); err != nil {
		t.Fatal(err)
	}
	if bodyOf(ctx, nil) != b {
		t.Error("the body was forgotten between two attempts")
	}
	if shown := fmt.Sprintf("%v %+v %s", caddyhttp.GetVar(ctx, bodyVar), b, b); strings.Contains(shown, "secret") {
		t.Errorf("the body shows in %q", shown)
	}
	if bodyOf(context.Background(), nil) == nil {
		t.Error("a request without variables, as a health check is, needs a place too")
	}
}

func TestFormUploadsAreRefusedWithTheWayOut(t *testing.T) {
	request := func(method, kind string) *http.Request {
		r := httptest.NewRequest(method, "http://example.com/", nil)
		r.Header.Set("Content-Type", kind)
		return r
	}
	for _, kind := range []string{"multipart/form-data; boundary=x", "Multipart/Form-Data; boundary=x"} {
		r, ok := asRefusal(refuseForm(request("POST", kind), "s3"))
		if !ok || r.status != http.StatusBadRequest || !strings.Contains(r.Error(), "examples/s3-form-upload") {
			t.Errorf("%s: got %v, want a refusal with 400 that names the example", kind, r)
		}
	}
	for _, r := range []*http.Request{request("PUT", "multipart/form-data; boundary=x"), request("POST", "application/xml"), request("POST", "")} {
		if err := refuseForm(r, "s3"); err != nil {
			t.Errorf("%s %s: %v", r.Method, r.Header.Get("Content-Type"), err)
		}
	}
	if err := refuseForm(request("POST", "multipart/form-data; boundary=x"), "execute-api"); err != nil {
		t.Errorf("another service: %v", err)
	}
}

func TestFramingOfTheClientsSignatureIsRefused(t *testing.T) {
	for i, h := range []http.Header{
		{"X-Amz-Content-Sha256": {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}},
		{"X-Amz-Content-Sha256": {"STREAMING-UNSIGNED-PAYLOAD-TRAILER"}},
		{"X-Amz-Content-Sha256": {"streaming-aws4-hmac-sha256-payload"}},
		{"Content-Encoding": {"aws-chunked"}},
		{"Content-Encoding": {"gzip, AWS-Chunked"}},
		{"Content-Encoding": {"gzip", "aws-chunked"}},
	} {
		if r, ok := asRefusal(refuseFraming(h)); !ok || r.status != http.StatusNotImplemented {
			t.Errorf("%d: %v: want a refusal with 501", i, h)
		}
	}
	for i, h := range []http.Header{{}, {"Content-Encoding": {"gzip"}}, {"X-Amz-Content-Sha256": {sigv4.UnsignedPayload}}} {
		if err := refuseFraming(h); err != nil {
			t.Errorf("%d: %v: %v", i, h, err)
		}
	}
}
