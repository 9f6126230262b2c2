package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
)

const (
	// UnsignedPayload stands in the canonical request for the hash of a body
	// that the signature does not cover. Services that take it (S3, OpenSearch
	// Serverless and few others) want it in X-Amz-Content-Sha256 as well.
	UnsignedPayload = "UNSIGNED-PAYLOAD"

	// EmptyPayloadHash is the SHA-256 of nothing, the payload hash of a
	// request without a body.
	EmptyPayloadHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// HashPayload returns the lower-case hexadecimal SHA-256 of a body, the form
// that [Input.PayloadHash] takes.
func HashPayload(body []byte) string {
	if len(body) == 0 {
		return EmptyPayloadHash
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// isHexSHA256 reports whether s is 64 lower-case hexadecimal digits.
func isHexSHA256(s string) bool {
	return len(s) == 2*sha256.Size && lowerHexBytes.all(s)
}
