package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Secret is what a vendor and a receiver share. It tells itself to nobody.
type Secret struct{ text, key []byte }

// ParseSecret reads a secret: "whsec_" and 24 to 64 bytes in base64, as the Standard Webhooks specification has
// it, or any other 16 visible ASCII characters or more, which are then the key themselves.
func ParseSecret(text string) (Secret, error) {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] >= 0x7f {
			return Secret{}, fmt.Errorf("a webhook's secret holds something else than visible ASCII characters: write what `%s` prints", makeSecret)
		}
	}
	if len(text) < 16 || len(text) > 512 {
		return Secret{}, fmt.Errorf("a webhook's secret has %d characters: write what `%s` prints", len(text), makeSecret)
	}
	encoded, ok := strings.CutPrefix(text, "whsec_")
	if !ok {
		return Secret{[]byte(text), []byte(text)}, nil
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(key) < 24 || len(key) > 64 {
		return Secret{}, fmt.Errorf("a webhook's secret begins with whsec_, and 24 to 64 bytes in base64 do not follow: write what `%s` prints", makeSecret)
	}
	return Secret{[]byte(text), key}, nil
}

const makeSecret = "echo whsec_$(openssl rand -base64 32)" //nolint:gosec // how to make one

// String keeps it out of logs.
func (Secret) String() string { return "***" }

// GoString keeps it out of logs.
func (Secret) GoString() string { return "***" }

// MarshalText keeps it out of what is encoded.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// sign sets the headers that prove where a body comes from, and when.
//
// X-Nango-Hmac-Sha256 is the HMAC-SHA256 of the body with the first secret, in hexadecimal. The others are those
// of https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
func sign(h http.Header, secrets []Secret, id string, at time.Time, body []byte) {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	h.Set("X-Nango-Hmac-Sha256", hex.EncodeToString(mac(secrets[0].text, body)))
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", timestamp)
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac(secret.key, []byte(id+"."+timestamp+"."), body))
	}
	h.Set("Webhook-Signature", strings.Join(signatures, " "))
}

func mac(key []byte, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}
