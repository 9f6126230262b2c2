package awssigv4

import (
	"bytes"
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// hintWriter watches the answer to a signed request, because a handler can't
// see what follows it: if the upstream says that the signature is wrong, or
// nothing behind the handler signed, the log tells what to look at.
type hintWriter struct {
	*caddyhttp.ResponseWriterWrapper
	logger   *zap.Logger
	plan     *plan
	signed   bool
	watching bool
}

func newHintWriter(w http.ResponseWriter, logger *zap.Logger, p *plan, signed bool) *hintWriter {
	return &hintWriter{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		logger:                logger, plan: p, signed: signed,
	}
}

// WriteHeader looks at the status, and passes it on.
func (w *hintWriter) WriteHeader(status int) {
	refused := status == http.StatusForbidden || status == http.StatusBadRequest || status == http.StatusUnauthorized
	switch {
	case refused && !w.signed && !w.plan.taken():
		w.hint("nothing signed this request: the reverse_proxy behind aws_sigv4 has no `transport aws_sigv4`; add it, or give aws_sigv4 a `host`")
	case status == http.StatusUnauthorized && strings.HasPrefix(w.Header().Get("Www-Authenticate"), "AWS4-HMAC-SHA256"):
		w.explain()
	case refused:
		w.watching = true
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

// Write looks at the beginning of the body, and passes it on.
func (w *hintWriter) Write(b []byte) (int, error) {
	w.look(b)
	return w.ResponseWriterWrapper.Write(b)
}

// ReadFrom keeps the fast way of copying for all answers that aren't watched.
func (w *hintWriter) ReadFrom(r io.Reader) (int64, error) {
	if !w.watching {
		return w.ResponseWriterWrapper.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{w}, r)
}

// signatureErrors are what AWS services call a signature that is wrong.
var signatureErrors = [][]byte{
	[]byte("SignatureDoesNotMatch"),
	[]byte("InvalidSignatureException"),
	[]byte("The request signature we calculated does not match"),
}

func (w *hintWriter) look(b []byte) {
	if !w.watching {
		return
	}
	w.watching = false
	b = b[:min(len(b), 4096)]
	for _, e := range signatureErrors {
		if bytes.Contains(b, e) {
			w.explain()
			return
		}
	}
}

// explain says what makes a signature wrong.
func (w *hintWriter) explain() {
	if w.plan.taken() {
		w.hint("the upstream refused the signature: compare host, service and region with what it verifies for, and the secret key; debug logging shows the canonical request")
		return
	}
	w.hint("the upstream refused the signature: either host, service, region or the secret key is not what it verifies for, " +
		"or something behind aws_sigv4 changed the request; behind an https upstream write `header_up Host {http.aws_sigv4.host}`, or use `transport aws_sigv4`")
}

func (w *hintWriter) hint(message string) {
	if c := w.logger.Check(zapcore.WarnLevel, message); c != nil {
		c.Write(zap.String("host", w.plan.host), zap.String("identity", w.plan.label()))
	}
}

var (
	_ http.ResponseWriter = (*hintWriter)(nil)
	_ io.ReaderFrom       = (*hintWriter)(nil)
)
