package sources

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238's default, which AWS's virtual devices have.
	"encoding/binary"
	"fmt"
	"time"
)

// totp returns the six digits that a virtual MFA device shows at a time: HMAC-SHA-1 over the number of
// half minutes since 1970, truncated. See RFC 6238 and section 5.3 of RFC 4226.
func totp(key []byte, at time.Time) string {
	mac := hmac.New(sha1.New, key)
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(at.Unix()/30))
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[offset:])&0x7fffffff%1_000_000)
}
