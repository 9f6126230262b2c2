package awssigv4

import (
	"context"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/payload"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// clientBody remembers, over all attempts at one request, what became of the
// client's body: reverse_proxy calls the transport again after a failure, and
// a body that was read once reads as empty the second time, without an error.
type clientBody struct {
	held *payload.Held

	// heldFrom is the body that was read; touched is set when a body that send
	// made is read, see isOurs.
	heldFrom io.ReadCloser
	touched  atomic.Bool

	// streamed is the body that went out untouched; consumed tells whether
	// anything was read from it.
	streamed io.ReadCloser
	consumed atomic.Bool
}

// String keeps a body out of logs: the transport alone has no better place for
// it than the request's variables, which `{http.vars.*}` can print.
func (*clientBody) String() string { return "[request body]" }

const bodyVar = "aws_sigv4.body"

// bodyOptions are what the configuration says of bodies.
type bodyOptions struct {
	mode          payload.Mode
	memory, limit int64
	spool         *payload.Spool
}

// bodyOf returns what is remembered of the body of the request with this
// context, by the handler's plan if there is one. A health check has nowhere
// to remember it, and is never repeated.
func bodyOf(ctx context.Context, p *plan) *clientBody {
	if p != nil {
		return &p.body
	}
	if b, ok := caddyhttp.GetVar(ctx, bodyVar).(*clientBody); ok {
		return b
	}
	b := new(clientBody)
	caddyhttp.SetVar(ctx, bodyVar, b)
	return b
}

// cover decides how the body of out is covered, makes it so, and returns the
// payload hash that is to be signed. out must be the caller's own copy.
func (b *clientBody) cover(out *http.Request, o bodyOptions, rule sigv4.PayloadRule, tls bool) (string, error) {
	hasBody := out.Body != nil && out.Body != http.NoBody
	length := out.ContentLength
	switch {
	case !hasBody:
		length = 0
	case length == 0:
		// For net/http a body and no length means that it is not known.
		length = -1
	}
	if len(out.Trailer) > 0 {
		return "", refuse(http.StatusBadRequest, "a request with trailers can't be signed: they come after the signature; send the fields as headers")
	}
	held := b.held != nil && hasBody && b.isOurs(out.Body)
	if held {
		length = b.held.Size
	}
	q := payload.Question{Mode: o.mode, Rule: rule, TLS: tls, HasBody: hasBody, Length: length, Memory: o.memory, Limit: o.limit}
	plan, err := q.Decide()
	if err != nil {
		return "", err
	}
	if held && plan == payload.Stream && o.mode != payload.Unsigned && rule != sigv4.PayloadUnsigned {
		// Its length was not known when it was held; its hash is now.
		plan = payload.Hash
	}
	if !held && hasBody && b.consumed.Load() && sameBody(b.streamed, out.Body) {
		return "", errNotReplayable
	}
	switch plan {
	case payload.Empty:
		if hasBody {
			out.Body.Close()
		}
		b.send(out, nil)
		return emptyHash(rule), nil
	case payload.Stream:
		if held {
			b.send(out, b.held)
		} else {
			b.stream(out, o.limit)
		}
		return sigv4.UnsignedPayload, nil
	default:
		if !held {
			if err := b.hold(out, o.spool, length, q.HoldMemory(), q.HoldLimit()); err != nil {
				return "", err
			}
		}
		b.send(out, b.held)
		if plan == payload.Hold {
			return sigv4.UnsignedPayload, nil
		}
		return b.held.Hash, nil
	}
}

// emptyHash is the payload hash of a request without a body.
func emptyHash(rule sigv4.PayloadRule) string {
	if rule == sigv4.PayloadUnsigned {
		return sigv4.UnsignedPayload
	}
	return sigv4.EmptyPayloadHash
}

// hold reads the body, and keeps it until the request is over.
func (b *clientBody) hold(out *http.Request, spool *payload.Spool, length, memory, limit int64) error {
	from := out.Body
	held, err := spool.Read(from, length, memory, limit)
	from.Close()
	if err != nil {
		return err
	}
	context.AfterFunc(out.Context(), func() { held.Close() })
	b.held, b.heldFrom = held, from
	return nil
}

// send makes a held body, or none, the body of out, with its length and with
// GetBody, so that net/http can repeat it by itself on a connection that turns
// out to be dead.
func (b *clientBody) send(out *http.Request, held *payload.Held) {
	out.ContentLength = 0
	if held != nil {
		out.ContentLength = held.Size
	}
	// net/http ignores ContentLength as long as this says "chunked".
	out.TransferEncoding = nil
	out.Header.Del("Content-Length")
	// The body is already here, so there is nothing to wait for.
	out.Header.Del("Expect")
	if out.ContentLength == 0 {
		out.Body, out.GetBody = http.NoBody, nil
		return
	}
	out.GetBody = func() (io.ReadCloser, error) { return &replay{held.NewReader(), &b.touched}, nil }
	out.Body, _ = out.GetBody()
}

// isOurs tells whether a body is the one that is held: the one that was read
// for it, or one that send made, in whatever others have wrapped it. A read of
// no bytes goes through a wrapper and changes nothing. Anything else was put
// there since, and counts.
func (b *clientBody) isOurs(body io.ReadCloser) bool {
	if sameBody(b.heldFrom, body) {
		return true
	}
	b.touched.Store(false)
	_, _ = body.Read(nil)
	return b.touched.Load()
}

// replay is a held body on its way out.
type replay struct {
	io.Reader
	touched *atomic.Bool
}

func (r *replay) Read(p []byte) (int, error) {
	if len(p) == 0 {
		r.touched.Store(true)
		return 0, nil
	}
	return r.Reader.Read(p)
}

func (*replay) Close() error { return nil }

// stream lets the body through and notes whether it was read.
func (b *clientBody) stream(out *http.Request, limit int64) {
	b.streamed = out.Body
	b.consumed.Store(false)
	out.Body = &watchedBody{ReadCloser: out.Body, consumed: &b.consumed, limit: limit}
	out.GetBody = nil
	if out.ContentLength > 0 {
		out.TransferEncoding = nil
	}
}

// watchedBody notes that it was read, and ends in an error past its limit. Once
// it is closed, it can't be read: behind a handler that signs by itself,
// reverse_proxy would send what a second attempt finds, nothing, as all of a
// body whose length nobody knows.
type watchedBody struct {
	io.ReadCloser
	consumed *atomic.Bool
	closed   atomic.Bool
	limit    int64 // 0: none
	n        int64
}

func (w *watchedBody) Close() error {
	w.closed.Store(true)
	return w.ReadCloser.Close()
}

func (w *watchedBody) Read(p []byte) (int, error) {
	if w.closed.Load() {
		return 0, handlerError(errNotReplayable)
	}
	w.consumed.Store(true)
	n, err := w.ReadCloser.Read(p)
	w.n += int64(n)
	if w.limit > 0 && w.n > w.limit {
		// With its status, which reverse_proxy finds in what it gets from any
		// transport.
		return 0, handlerError(refuse(http.StatusRequestEntityTooLarge, "the request body is larger than body_limit, %d bytes", w.limit))
	}
	return n, err
}

// sameBody tells a body that reverse_proxy hands over again, already read,
// from a fresh one that it replays from its own buffer (`request_buffers`).
func sameBody(a, b io.ReadCloser) bool {
	ta, tb := reflect.TypeOf(a), reflect.TypeOf(b)
	return ta == tb && ta.Comparable() && a == b
}

// refuseFraming refuses bodies whose framing belongs to the client's own
// signature: passed on as they are under another signature, their chunk
// headers would be stored as part of the object.
func refuseFraming(h http.Header) error {
	for _, v := range h.Values("X-Amz-Content-Sha256") {
		if len(v) > 10 && strings.EqualFold(v[:10], "STREAMING-") {
			return errFraming
		}
	}
	for _, v := range h.Values("Content-Encoding") {
		for coding := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(coding), "aws-chunked") {
				return errFraming
			}
		}
	}
	return nil
}

// refuseForm refuses a browser's upload form to S3: it carries a signature of
// its own in the body, and S3 takes no other beside it.
func refuseForm(r *http.Request, service string) error {
	if service != "s3" || r.Method != http.MethodPost {
		return nil
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "multipart/form-data" {
		return nil
	}
	return refuse(http.StatusBadRequest, "a form upload to S3 carries its own signature and can't be signed again: "+
		"let it pass to a plain reverse_proxy before aws_sigv4, as examples/s3-form-upload shows")
}

var (
	errFraming = refuse(http.StatusNotImplemented, "the request body is framed as aws-chunked, which can't be signed again yet: "+
		"have the client send a plain body (AWS SDKs and CLI: request_checksum_calculation=when_required, and no chunked signing)")
	errNotReplayable = &payload.Error{
		Status:  http.StatusBadGateway,
		Problem: "the request body went to another upstream already and is not held, so it can't be sent again: set `payload signed`, or request_buffers in reverse_proxy",
	}
)
