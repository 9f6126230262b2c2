package standin

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// TestTOTP computes codes of RFC 6238, appendix B, whose last six digits are what a device shows.
func TestTOTP(t *testing.T) {
	for seconds, want := range map[uint64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 20000000000: "353130"} {
		if got := totp([]byte("12345678901234567890"), seconds/30); got != want {
			t.Errorf("after %d s: %s, want %s", seconds, got, want)
		}
	}
}

// TestMFA assumes a role that asks for a code.
func TestMFA(t *testing.T) {
	s, plain := start(t)
	const role, serial, secret = "arn:aws:iam::123456789012:role/Guarded", "arn:aws:iam::111122223333:mfa/alice", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	alice, err := s.AddUser(User{ARN: "arn:aws:iam::111122223333:user/alice", MFA: MFADevice{Serial: serial, Secret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, Role{ARN: role, TrustPolicy: trusting("*", `,"Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`)})
	step := uint64(time.Now().Unix() / 30)
	code := func(step uint64) string { return totp([]byte("12345678901234567890"), step) }

	const denied = "403 AccessDenied"
	for _, tt := range []struct {
		name         string
		who          User
		serial, code string
		fail, says   string
	}{
		{"neither", alice, "", "", denied, "is not authorized to perform: sts:AssumeRole on resource: " + role},
		{"no code", alice, serial, "", denied, "must provide both MFA serial number and one time pass code"},
		{"no serial number", alice, "", code(step), denied, "must provide both"},
		{"another device", alice, serial + "2", code(step), denied, "verify your MFA serial number"},
		{"a user without a device", plain, serial, code(step), denied, "verify your MFA serial number"},
		{"an old code", alice, serial, code(step - 10), denied, "invalid MFA one time pass code"},
		{"five digits", alice, serial, "12345", "400 ValidationError", "'tokenCode'"},
		{"letters", alice, serial, "abcdef", "400 ValidationError", "'tokenCode'"},
		{"a short serial number", alice, "GAHT1234", code(step), "400 ValidationError", "'serialNumber'"},
		{"the code", alice, serial, code(step), "", ""},
		{"the code again", alice, serial, code(step), denied, "invalid MFA one time pass code"},
		{"the next one", alice, serial, code(step + 1), "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("session")}
			if tt.serial != "" {
				in.SerialNumber = &tt.serial
			}
			if tt.code != "" {
				in.TokenCode = &tt.code
			}
			_, err := stsClient(s, provider(tt.who.AccessKeyID, tt.who.SecretAccessKey, "")).AssumeRole(t.Context(), in)
			if tt.fail == "" && err == nil {
				return
			}
			if code, message := failure(err); err == nil || code != tt.fail || !strings.Contains(message, tt.says) {
				t.Errorf("%s: %s\nwant %s: … %s", code, message, tt.fail, tt.says)
			}
		})
	}
	for _, x := range s.Sessions(role) {
		if !x.MFA {
			t.Errorf("a session without a code: %+v", x)
		}
	}
	for _, device := range []MFADevice{{Serial: "phone", Secret: secret}, {Serial: serial}, {Serial: serial, Secret: "1"}} {
		if _, err := s.AddUser(User{ARN: "arn:aws:iam::111122223333:user/bob", MFA: device}); err == nil {
			t.Errorf("the device %+v was taken", device)
		}
	}
}
