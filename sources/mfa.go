package sources

import (
	"bytes"
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// loadMFA makes the device that is configured, or nil.
func (a *AssumeRole) loadMFA() (*sts.MFA, error) {
	serial, err := ResolveFixed(a.MFASerial)
	if err != nil || serial == "" {
		return nil, inField("mfa_serial", err)
	}
	if a.MFASecret != "" {
		secret, err := ResolveFixed(a.MFASecret)
		if err != nil {
			return nil, inField("mfa_secret", err)
		}
		key, err := parseTOTPSecret(secret)
		if err != nil {
			return nil, inField("mfa_secret", err)
		}
		return newMFA(serial, credentials.NewKey("totp", credentials.Sealed(string(key))), func(context.Context) (string, error) {
			return totp(key, time.Now()), nil
		}), nil
	}
	command := make([]string, len(a.MFACommand))
	for i, arg := range a.MFACommand {
		if command[i], err = ResolveFixed(arg); err != nil {
			return nil, inField(fmt.Sprintf("mfa_command[%d]", i), err)
		}
	}
	if len(command) == 0 {
		return nil, nil // Validate says what is missing.
	}
	sealed := make([]string, 0, 1+len(command))
	sealed = append(sealed, "command")
	for _, arg := range command {
		sealed = append(sealed, credentials.Sealed(arg))
	}
	return newMFA(serial, credentials.NewKey(sealed...), func(ctx context.Context) (string, error) { return run(ctx, command) }), nil
}

// newMFA returns a device that never gives one code twice.
func newMFA(serial, key string, code func(context.Context) (string, error)) *sts.MFA {
	return &sts.MFA{Serial: serial, Key: key, Code: func(ctx context.Context) (string, error) {
		c, err := code(ctx)
		if err != nil {
			return "", err
		}
		// By serial number: two sources of codes may be one device.
		if !lastCodes.use(serial, c) {
			return "", usedCodeError{}
		}
		return c, nil
	}}
}

// lastCodes has the last code of every device, for all configurations of this process: roles that share
// a device share its codes, and AWS takes each once.
var lastCodes = codes{last: make(map[string]string)}

type codes struct {
	mu   sync.Mutex
	last map[string]string // by serial number, sealed
}

// use says whether the code is another one than the last, and remembers it.
func (c *codes) use(serial, code string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	code = credentials.Sealed(code)
	if c.last[serial] == code {
		return false
	}
	c.last[serial] = code
	return true
}

// usedCodeError passes by itself.
type usedCodeError struct{}

func (usedCodeError) Error() string {
	return "the one that the device shows now was used already, and AWS takes each once: it shows another one every 30 seconds, " +
		"so let one device serve one role, and assume others from that"
}

func (usedCodeError) Retryable() bool { return true }

// parseTOTPSecret reads the secret of a virtual MFA device: base32 in upper or lower case, with or without
// padding and blanks. The error does not repeat it.
func parseTOTPSecret(s string) ([]byte, error) {
	s = strings.ToUpper(strings.Join(strings.Fields(s), ""))
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(s, "="))
	if err != nil || len(key) < 10 {
		return nil, errors.New("it is not the secret of a virtual MFA device: write the base32 text that IAM shows beside the QR code; " +
			"a code of six digits works only once")
	}
	return key, nil
}

// run runs a command and returns what it prints, without blanks around it. What it prints on standard
// error is nobody's business: it may be secret.
func run(ctx context.Context, command []string) (string, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // It is the operator's own.
	cmd.WaitDelay = time.Second                                 // A child of it may hold its output open.
	var out limitedBuffer
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("mfa_command %s did not end in time: %w", command[0], ctx.Err())
		}
		return "", fmt.Errorf("mfa_command %s: %w: run it by hand as Caddy's user to see why", command[0], err)
	}
	code := string(bytes.TrimSpace(out.b))
	if err := sts.CheckMFACode(code); err != nil {
		return "", fmt.Errorf("mfa_command %s printed something else than a code: %w", command[0], err)
	}
	return code, nil
}

// limitedBuffer keeps the beginning of what is written to it.
type limitedBuffer struct{ b []byte }

func (l *limitedBuffer) Write(p []byte) (int, error) {
	l.b = append(l.b, p[:min(len(p), 64-len(l.b))]...)
	return len(p), nil
}

// warnOfLiteral says that a secret should not stand in the configuration.
func warnOfLiteral(ctx caddy.Context, field string) {
	ctx.Logger().Warn(field + " stands literally in the configuration, " +
		"which Caddy also saves and shows at its admin endpoint: write {env.NAME} or {file./PATH} instead")
}
