package sources

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
)

// part is a piece of a configured value: text, or a placeholder.
type part struct {
	text        string // the text, or the placeholder with its braces
	placeholder string // its name; empty for text
	isText      bool
}

// parse takes a value apart as Caddy's replacer does: a placeholder is what stands between an open
// brace and the next closing one, neither after a backslash, which is left out before a brace. A
// brace without its partner is text.
func parse(value string) []part {
	var parts []part
	var text strings.Builder
	begun := 0 // of the text that is not yet written

	flush := func() {
		if text.Len() > 0 {
			parts = append(parts, part{text: text.String(), isText: true})
			text.Reset()
		}
	}
	for i := 0; i < len(value); i++ {
		if i > 0 && value[i-1] == '\\' && (value[i] == '{' || value[i] == '}') {
			text.WriteString(value[begun : i-1])
			begun = i
			continue
		}
		if value[i] != '{' {
			continue
		}
		end := closingBrace(value, i)
		if end < 0 {
			continue
		}
		text.WriteString(value[begun:i])
		flush()
		parts = append(parts, part{text: value[i : end+1], placeholder: value[i+1 : end]})
		i = end
		begun = end + 1
	}
	text.WriteString(value[begun:])
	flush()
	return parts
}

// closingBrace returns where the placeholder ends that begins at open, or -1.
func closingBrace(value string, open int) int {
	for i := open + 1; i < len(value); i++ {
		// At the very end of the value Caddy takes a brace as closing even after a backslash.
		if value[i] == '}' && (value[i-1] != '\\' || i == len(value)-1) {
			return i
		}
	}
	return -1
}

// HasPlaceholder says whether a value holds a placeholder.
func HasPlaceholder(value string) bool {
	for _, p := range parse(value) {
		if !p.isText {
			return true
		}
	}
	return false
}

// NeedsRequest says whether a value holds a placeholder that only a request can fill: any but
// {env.*}, {file.*} and {system.*}, which are resolved once when the configuration is loaded.
func NeedsRequest(value string) bool {
	for _, p := range parse(value) {
		if p.needsRequest() {
			return true
		}
	}
	return false
}

func (p part) needsRequest() bool {
	return !p.isText && !strings.HasPrefix(p.placeholder, "env.") &&
		!strings.HasPrefix(p.placeholder, "file.") && !strings.HasPrefix(p.placeholder, "system.")
}

// ResolveFixed resolves the placeholders of a value that must not depend on a request. What they
// stand for is not expanded again. A placeholder that is empty, or that needs a request, is an error.
func ResolveFixed(value string) (string, error) {
	t, err := newTemplate(value)
	if err != nil {
		return "", err
	}
	return t.resolve(nil)
}

// template is a configured value with all resolved that does not need a request.
type template struct {
	parts []part
}

// newTemplate resolves the placeholders that do not need a request.
func newTemplate(value string) (template, error) {
	var t template
	for _, p := range parse(value) {
		if !p.isText && !p.needsRequest() {
			v, err := fixed(p)
			if err != nil {
				return template{}, err
			}
			p = part{text: v, isText: true}
		}
		t.parts = append(t.parts, p)
	}
	return t, nil
}

// fixed resolves a placeholder that needs no request. Caddy knows every variable and every file: one
// that does not exist is empty, which is never what was meant here.
func fixed(p part) (string, error) {
	v, ok := caddy.NewReplacer().GetString(p.placeholder)
	if ok && v != "" {
		return v, nil
	}
	if name, ok := strings.CutPrefix(p.placeholder, "env."); ok {
		return "", fmt.Errorf("%s is empty: set the environment variable %s", p.text, name)
	}
	if path, ok := strings.CutPrefix(p.placeholder, "file."); ok {
		return "", fmt.Errorf("%s is empty: the file %s is missing, unreadable or empty", p.text, path)
	}
	return "", fmt.Errorf("there is no placeholder %s, or it is empty", p.text)
}

func (t template) empty() bool { return len(t.parts) == 0 }

func (t template) perRequest() bool {
	for _, p := range t.parts {
		if !p.isText {
			return true
		}
	}
	return false
}

// resolve returns the value in one request; without one, expand is nil. Each placeholder is expanded
// on its own, so that what one stands for is never read as a placeholder.
func (t template) resolve(expand credentials.Expander) (string, error) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.isText {
			b.WriteString(p.text)
			continue
		}
		if expand == nil {
			return "", fmt.Errorf("%s needs a request, and there is none: write {env.NAME}, {file.PATH} or the value itself", p.text)
		}
		v, err := expand(p.text)
		if err != nil {
			return "", err
		}
		if v == "" {
			return "", fmt.Errorf("%s is empty in this request", p.text)
		}
		b.WriteString(v)
	}
	return b.String(), nil
}

// uniquePlaceholders differ in every request, or in nearly every one, or are not known before the
// request is answered. One that ends in a dot stands for all that begin with it.
var uniquePlaceholders = []string{
	"http.error.",
	"http.request.body",
	"http.request.body_base64",
	"http.request.duration",
	"http.request.duration_ms",
	"http.request.remote",
	"http.request.remote.port",
	"http.request.uuid",
	"http.response.",
	"http.reverse_proxy.duration",
	"http.reverse_proxy.duration_ms",
	"http.reverse_proxy.retries",
	"http.reverse_proxy.status_code",
	"http.reverse_proxy.upstream.duration",
	"http.reverse_proxy.upstream.duration_ms",
	"http.reverse_proxy.upstream.fails",
	"http.reverse_proxy.upstream.latency",
	"http.reverse_proxy.upstream.latency_ms",
	"http.reverse_proxy.upstream.num_requests",
	"http.reverse_proxy.upstream.requests",
	"http.time_until_shutdown",
	"http.vars.span_id",
	"http.vars.start_time",
	"http.vars.trace_id",
	"http.vars.uuid",
	"time.",
}

// uniqueHeaders are made to differ in every request.
var uniqueHeaders = []string{
	"Idempotency-Key", "Traceparent", "Tracestate", "X-Amzn-Trace-Id", "X-B3-Spanid", "X-B3-Traceid",
	"X-Correlation-Id", "X-Request-Id",
}

func isUnique(placeholder string) bool {
	if h, ok := strings.CutPrefix(placeholder, "http.request.header."); ok {
		for _, u := range uniqueHeaders {
			if strings.EqualFold(h, u) {
				return true
			}
		}
		return false
	}
	for _, u := range uniquePlaceholders {
		if placeholder == u || strings.HasSuffix(u, ".") && strings.HasPrefix(placeholder, u) {
			return true
		}
	}
	return false
}

// CheckIdentityPlaceholders says whether the placeholders in a field of an identity, named as in JSON,
// make sense there. One that is unique to each request does not, as each request would be an
// identity of its own, with a call to STS of its own. Nor does an external_id that the client
// chooses, as it proves nothing then; {http.request.tls.client.*} comes from a certificate.
func CheckIdentityPlaceholders(field, value string) error {
	for _, p := range parse(value) {
		switch {
		case p.isText:
		case isUnique(p.placeholder):
			return fmt.Errorf("%s: %s is different in every request, so each would be a call to AWS STS of its own: "+
				"write a placeholder that few values are behind, such as {http.auth.user.id}, or a fixed value", field, p.text)
		case field == "external_id" && isClientChosen(p.placeholder):
			return fmt.Errorf("%s: %s is chosen by the client, and an External ID protects only if it is not: "+
				"write a fixed value, {env.NAME}, {file.PATH}, or a placeholder that you set with map or vars", field, p.text)
		}
	}
	return nil
}

// isClientChosen says whether a placeholder repeats what the client sent.
func isClientChosen(placeholder string) bool {
	if strings.HasPrefix(placeholder, "http.request.tls.client.") {
		return false
	}
	for _, p := range []string{"http.request.", "http.regexp.", "http.matchers."} {
		if strings.HasPrefix(placeholder, p) {
			return true
		}
	}
	return false
}

// checkFixed checks a value that holds no placeholder, where it is written.
func checkFixed(value string, check func(string) error) error {
	if HasPlaceholder(value) {
		return nil
	}
	return check(value)
}

// inField adds the name of a field to an error.
func inField(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

var errMissing = errors.New("it is missing")
