package sigv4

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// Credentials is an access key pair, with a session token if it is temporary.
//
// Printing, logging or marshalling a Credentials value shows the access key ID
// and never the secret access key or the session token. The fmt package cannot
// call methods on unexported fields of other structs, so a type that keeps
// Credentials in one must not be printed with %+v.
type Credentials struct {
	// AccessKeyID names the key. It is no secret: it is sent in clear and
	// appears in logs.
	AccessKeyID string
	// SecretAccessKey is the key that signing keys are derived from. It is
	// never sent.
	SecretAccessKey string
	// SessionToken is the token that came with temporary credentials; empty
	// for long-term ones. It is sent and signed as X-Amz-Security-Token.
	SessionToken string
}

// redacted stands in for a secret wherever a value is shown.
const redacted = "REDACTED"

// hide shows whether a secret is set without showing anything of it.
func hide(secret string) string {
	if secret == "" {
		return ""
	}
	return redacted
}

// String returns the access key ID and says which secrets are set.
func (c Credentials) String() string {
	return "{AccessKeyID:" + c.AccessKeyID + " SecretAccessKey:" + hide(c.SecretAccessKey) + " SessionToken:" + hide(c.SessionToken) + "}"
}

// GoString is String with the name of the type, for %#v.
func (c Credentials) GoString() string { return "sigv4.Credentials" + c.String() }

// Format writes String for every verb, so that no verb or flag reaches the
// fields.
func (c Credentials) Format(f fmt.State, verb rune) {
	text := c.String()
	if verb == 'v' && f.Flag('#') {
		text = c.GoString()
	}
	// A fmt.State has nowhere to report an error to.
	_, _ = io.WriteString(f, text)
}

// MarshalText returns String.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// MarshalJSON returns an object in which the secrets that are set read
// "REDACTED". There is deliberately no way back.
func (c Credentials) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct{ AccessKeyID, SecretAccessKey, SessionToken string }{
		c.AccessKeyID, hide(c.SecretAccessKey), hide(c.SessionToken),
	})
}

// LogValue is what log/slog records.
func (c Credentials) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("AccessKeyID", c.AccessKeyID),
		slog.String("SecretAccessKey", hide(c.SecretAccessKey)),
		slog.String("SessionToken", hide(c.SessionToken)),
	)
}

// check says what makes the credentials unusable for signing.
func (c Credentials) check() error {
	switch {
	case c.AccessKeyID == "":
		return inputError("the access key ID is empty: give the credentials that are to sign")
	case c.SecretAccessKey == "":
		return inputError("the secret access key is empty: give the credentials that are to sign")
	}
	for i := range len(c.AccessKeyID) {
		// A comma or a blank would end the Credential element of the
		// Authorization header early.
		if b := c.AccessKeyID[i]; b <= ' ' || b >= 0x7f || b == ',' {
			return inputError("the access key ID holds a byte that can't be in an Authorization header: copy it again, without blanks or commas")
		}
	}
	for i := range len(c.SessionToken) {
		// No token that AWS issues holds a blank; one that does was
		// damaged on its way, and its canonical form would differ.
		if b := c.SessionToken[i]; b <= ' ' || b >= 0x7f {
			return inputError("the session token holds a byte that can't be in a header: copy it again, in one line, without blanks")
		}
	}
	return nil
}
