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

// responseWriter passes on the answer to a signed request. It writes the names
// of an object's metadata as S3 does, and it watches, because a handler can't
// see what follows it: if the upstream says that the signature is wrong, or
// nothing behind the handler signed, the log tells what to look at.
type responseWriter struct {
	*caddyhttp.ResponseWriterWrapper
	logger   *zap.Logger
	plan     *plan
	signed   bool
	watching bool
	status   int // that was answered, 0 until then
}

func newResponseWriter(w http.ResponseWriter, logger *zap.Logger, p *plan, signed bool) *responseWriter {
	return &responseWriter{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		logger:                logger, plan: p, signed: signed,
	}
}

// WriteHeader looks at the status, puts metadata names into lower case, and
// passes it on.
func (w *responseWriter) WriteHeader(status int) {
	refused := status == http.StatusForbidden || status == http.StatusBadRequest || status == http.StatusUnauthorized
	switch {
	case refused && !w.signed && !w.plan.taken():
		w.hint("nothing signed this request: the reverse_proxy behind aws_sigv4 has no `transport aws_sigv4`; add it, or give aws_sigv4 a `host`")
	case status == http.StatusUnauthorized && strings.HasPrefix(w.Header().Get("Www-Authenticate"), "AWS4-HMAC-SHA256"):
		w.explain()
	case refused:
		w.watching = true
	}
	if w.status == 0 && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	if status >= http.StatusOK {
		lowerMetadata(w.Header())
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

const metadataPrefix = "X-Amz-Meta-"

// lowerMetadata writes the names of x-amz-meta-* headers in lower case, as S3
// does and clients show them. net/http has put them into its canonical form,
// and reverse_proxy would do so again with whatever a transport returns: this
// is the last place, and the server writes the keys of the map as they are.
func lowerMetadata(h http.Header) {
	for name, values := range h {
		if strings.HasPrefix(name, metadataPrefix) {
			delete(h, name)
			h[strings.ToLower(name)] = values
		}
	}
}

// Write looks at the beginning of the body, and passes it on.
func (w *responseWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.look(b)
	return w.ResponseWriterWrapper.Write(b)
}

// ReadFrom keeps the fast way of copying for all answers that aren't watched.
func (w *responseWriter) ReadFrom(r io.Reader) (int64, error) {
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

func (w *responseWriter) look(b []byte) {
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
func (w *responseWriter) explain() {
	if w.plan.taken() {
		w.hint("the upstream refused the signature: compare host, service and region with what it verifies for, and the secret key; debug logging shows the canonical request")
		return
	}
	w.hint("the upstream refused the signature: either host, service, region or the secret key is not what it verifies for, " +
		"or something behind aws_sigv4 changed the request; behind an https upstream write `header_up Host {http.aws_sigv4.host}`, or use `transport aws_sigv4`")
}

func (w *responseWriter) hint(message string) {
	if c := w.logger.Check(zapcore.WarnLevel, message); c != nil {
		c.Write(zap.String("host", w.plan.host), zap.String("identity", w.plan.label()))
	}
}

var (
	_ http.ResponseWriter = (*responseWriter)(nil)
	_ io.ReaderFrom       = (*responseWriter)(nil)
)
