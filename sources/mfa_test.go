package sources

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

// TestTOTP has the vectors of RFC 6238, appendix B, for SHA-1. They have eight digits; the last six are
// what a device of six shows.
func TestTOTP(t *testing.T) {
	key := []byte("12345678901234567890")
	for at, want := range map[int64]string{
		59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130",
	} {
		if got := totp(key, time.Unix(at, 0)); got != want[2:] {
			t.Errorf("%d: got %s, want %s", at, got, want[2:])
		}
	}
}

func TestParseTOTPSecret(t *testing.T) {
	want := "12345678901234567890"
	text := base32.StdEncoding.EncodeToString([]byte(want))
	for _, s := range []string{text, strings.ToLower(text), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ", text + "\n", " " + text + "======"} {
		if got, err := parseTOTPSecret(s); err != nil || string(got) != want {
			t.Errorf("%q: got %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "123456", "GEZDGNBV", "GEZDGNBVGY3TQOJ1", "GEZDGNBVGY3TQOJQ-", strings.Repeat("ä", 20)} {
		if got, err := parseTOTPSecret(s); err == nil || s != "" && strings.Contains(err.Error(), s) {
			t.Errorf("%q: got %q, %v", s, got, err)
		}
	}
}

func FuzzParseTOTPSecret(f *testing.F) {
	f.Add("GEZD GNBV GY3T QOJQ")
	f.Fuzz(func(t *testing.T, s string) {
		if key, err := parseTOTPSecret(s); err == nil && len(totp(key, time.Now())) != 6 {
			t.Errorf("%q has no codes", s)
		}
	})
}

func TestMFAEndToEnd(t *testing.T) {
	server := ststest.New(t, ststest.Key{ID: "AKIABROKER", Secret: "broker-secret"})
	cleanEnvironment(t)
	t.Setenv("AWS_ENDPOINT_URL_STS", server.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIABROKER")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "broker-secret")
	t.Setenv("TEST_TOTP", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
	config := func(name, serial string) string {
		return `{"source":"assume_role","role_arn":"` + role + name + `","mfa_serial":"` + serial + `","mfa_secret":"{env.TEST_TOTP}"}`
	}
	const serial = "arn:aws:iam::123456789012:mfa/end-to-end"
	before := totp([]byte("12345678901234567890"), time.Now())
	if _, err := fetch(t, mustIdentity(t, mustResolve(t, config("One", serial), nil), nil)); err != nil {
		t.Fatal(err)
	}
	after := totp([]byte("12345678901234567890"), time.Now())
	form := server.Calls()[0].Form
	if code := form.Get("TokenCode"); form.Get("SerialNumber") != serial || code != before && code != after {
		t.Errorf("sent %v, want the code %s or %s", form, before, after)
	}

	// The same device within half a minute: no call, and an error that passes. If the half minute ended
	// meanwhile, there is another code.
	_, err := fetch(t, mustIdentity(t, mustResolve(t, config("Two", serial), nil), nil))
	if e, ok := errors.AsType[*credentials.Error](err); (!ok || !e.Temporary() || !strings.Contains(e.Error(), "used already")) && len(server.Calls()) != 2 {
		t.Errorf("got %v and %d calls", err, len(server.Calls()))
	}
}

func TestNextCodeAfterHalfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := mustLoad(t, `{"source":"assume_role","role_arn":"`+role+`","mfa_serial":"next-code-test","mfa_secret":"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}`).(*AssumeRole)
		seen := map[string]bool{}
		for range 5 {
			code, err := a.values.mfa.Code(context.Background())
			if err != nil || seen[code] {
				t.Errorf("got %q, %v", code, err)
			}
			seen[code] = true
			if again, err := a.values.mfa.Code(context.Background()); !errors.Is(err, usedCodeError{}) {
				t.Errorf("got %q twice (%v)", again, err)
			}
			time.Sleep(30 * time.Second)
		}
	})
}

func TestMFACommand(t *testing.T) {
	dir := t.TempDir()
	script := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, tc := range map[string]struct {
		command []string
		code    string
		want    string
	}{
		"code":           {[]string{script("good", "echo \" $1 \"\n"), "012345"}, "012345", ""},
		"no shell":       {[]string{script("args", "echo ${#1}23456\n"), "$(x)"}, "423456", ""},
		"fails":          {[]string{script("fails", "echo 123456; echo hidden >&2; exit 3\n")}, "", "exit status 3: run it by hand as Caddy's user"},
		"not there":      {[]string{filepath.Join(dir, "missing")}, "", "no such file"},
		"no code":        {[]string{script("none", "echo hidden\n")}, "", "printed something else than a code: it is not six digits, but 6 characters"},
		"nothing":        {[]string{script("nothing", "")}, "", "but 0 characters"},
		"much":           {[]string{script("much", "head -c 1000000 /dev/zero\n")}, "", "but 64 characters"},
		"hangs":          {[]string{script("hangs", "sleep 60\n")}, "", "did not end in time"},
		"leaves a child": {[]string{script("child", "sleep 60 &\necho 123456\n")}, "", "mfa_command"},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		got, err := run(ctx, tc.command)
		cancel()
		if got != tc.code || (err == nil) != (tc.want == "") || err != nil && (!strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hidden")) {
			t.Errorf("%s: got %q, %v, want %q, %q", name, got, err, tc.code, tc.want)
		}
	}
}

// TestSecretOfADeviceIsNotTold: it is in neither key nor errors nor logs.
func TestSecretOfADeviceIsNotTold(t *testing.T) {
	const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	source := mustResolve(t, `{"source":"assume_role","role_arn":"`+role+`","mfa_serial":"GAHT12345678","mfa_secret":"`+secret+`"}`, nil)
	id := mustIdentity(t, source, nil)
	a := source.(*AssumeRole)
	if text := fmt.Sprintf("%s %s %s %s", id.Key, id.Label, a.values.mfa.Key, a.values.mfa.Serial); strings.Contains(text, secret) {
		t.Errorf("the secret is in %s", text)
	}
	if a.values.mfa.Key == credentials.NewKey("totp", "12345678901234567890") || a.values.mfa.Key == credentials.NewKey("totp", secret) {
		t.Error("the key of the device can be checked against guesses")
	}
}
