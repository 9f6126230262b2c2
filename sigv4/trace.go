package sigv4

import (
	"fmt"
	"io"
	"strings"
)

// Trace is what one signature was made of, for comparing it with what a
// service says that it expected.
//
// CanonicalRequest holds the session token, exactly as signed. Log Redacted;
// printing a Trace prints that.
type Trace struct {
	// CanonicalRequest is the canonical request, session token included.
	CanonicalRequest string
	// StringToSign is the algorithm, date, credential scope and the hash of
	// the canonical request.
	StringToSign string
	// SignedHeaders are the names of the signed headers, joined by ';'.
	SignedHeaders string
	// Signature is the signature in lower-case hexadecimal.
	Signature string
	// CredentialScope is "day/region/service/aws4_request".
	CredentialScope string
}

// Redacted returns the canonical request, the string to sign and the signature
// as text for logs. Header values and query values whose names tell of a
// secret (tokens, keys of customers, cookies and the like) read "REDACTED".
func (t Trace) Redacted() string {
	lines := strings.Split(t.CanonicalRequest, "\n")
	const queryLine = 2
	for i, line := range lines {
		switch {
		case i == queryLine:
			lines[i] = redactPairs(line, "&", "=")
		case i > queryLine:
			lines[i] = redactPairs(line, "\n", ":")
		}
	}
	return "canonical request:\n" + strings.Join(lines, "\n") +
		"\nstring to sign:\n" + t.StringToSign +
		"\nsignature: " + t.Signature
}

// redactPairs hides the values of secret names in a list of pairs.
func redactPairs(list, between, within string) string {
	pairs := strings.Split(list, between)
	for i, p := range pairs {
		if name, _, ok := strings.Cut(p, within); ok && tellsOfSecret(name) {
			pairs[i] = name + within + redacted
		}
	}
	return strings.Join(pairs, between)
}

func tellsOfSecret(name string) bool {
	name = strings.ToLower(name)
	// The MD5 of a customer's key is made to be shown, and is told apart from
	// the key only by its end.
	if strings.HasSuffix(name, "-md5") {
		return false
	}
	for _, part := range []string{"token", "secret", "customer-key", "api-key", "apikey", "password", "cookie", "credential", "authorization", "signature"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// String returns Redacted.
func (t Trace) String() string { return t.Redacted() }

// Format writes Redacted for every verb, so that no verb reaches the fields.
func (t Trace) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.Redacted()) }

// MarshalText returns Redacted, for encoders such as encoding/json.
func (t Trace) MarshalText() ([]byte, error) { return []byte(t.Redacted()), nil }
