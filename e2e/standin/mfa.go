package standin

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238 says so.
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// MFADevice is a virtual device of a user, which shows other six digits every 30 seconds.
type MFADevice struct {
	// Serial is its ARN: arn:aws:iam::111122223333:mfa/broker.
	Serial string

	// Secret is what the device and AWS share, in Base32.
	Secret string
}

// mfaStep is how long a code is shown.
const mfaStep = 30 * time.Second

// totp is RFC 6238 with SHA-1 and six digits, as IAM's virtual devices compute it.
func totp(secret []byte, step uint64) string {
	m := hmac.New(sha1.New, secret)
	_ = binary.Write(m, binary.BigEndian, step) // A hash takes everything.
	sum := m.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[offset:])&0x7fffffff)%1_000_000)
}

// checkMFA checks serial number and code, if the call has them, and uses the code up.
func (d *directory) checkMFA(who *principal, in *assumeRoleInput, now time.Time) *refusal {
	const failed = "MultiFactorAuthentication failed"
	switch {
	case in.serial == "" && in.code == "":
		return nil
	case in.serial == "" || in.code == "":
		return refuse(http.StatusForbidden, "AccessDenied", failed+", must provide both MFA serial number and one time pass code.")
	case who.isSession() || in.serial != who.mfa.Serial:
		return refuse(http.StatusForbidden, "AccessDenied", failed+", unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.")
	}
	// It was checked when the user was added.
	secret, _ := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(who.mfa.Secret))
	d.mu.Lock()
	defer d.mu.Unlock()
	current := uint64(now.Unix()) / uint64(mfaStep/time.Second)
	// A clock may be wrong by a step.
	for step := current - 1; step <= current+1; step++ {
		if totp(secret, step) == in.code && step > d.mfaSteps[in.serial] {
			d.mfaSteps[in.serial] = step
			return nil
		}
	}
	return refuse(http.StatusForbidden, "AccessDenied", failed+" with invalid MFA one time pass code. ")
}
