package sources

import (
	"context"
	"errors"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// Static is an access key that is written in the configuration or, better, in an environment
// variable or a file that the configuration names. Roles and their temporary credentials are safer
// than any access key; servers other than AWS's often know nothing else.
type Static struct {
	// The access key ID. The placeholders `{env.*}`, `{file.*}` and `{system.*}` are resolved once,
	// when the configuration is loaded.
	AccessKeyID string `json:"access_key_id,omitempty"`

	// The secret access key. Write a placeholder such as `{env.NAME}` or `{file./PATH}`: a secret
	// that stands here literally also stands in Caddy's autosaved configuration and in the answers
	// of its admin endpoint, which a warning says.
	SecretAccessKey string `json:"secret_access_key,omitempty"`

	// The session token, if the credentials are temporary. They are not renewed. Write a
	// placeholder, as for the secret access key.
	SessionToken string `json:"session_token,omitempty"`

	identity credentials.Identity
}

// CaddyModule returns the Caddy module information.
func (Static) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  Namespace + ".static",
		New: func() caddy.Module { return new(Static) },
	}
}

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	static [<access_key_id> <secret_access_key> [<session_token>]] {
//	    access_key_id     <id>
//	    secret_access_key <secret>
//	    session_token     <token>
//	}
//
// Each value is given once, on the line or in the block.
func (s *Static) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	options := []struct {
		name string
		into *string
	}{
		{"access_key_id", &s.AccessKeyID},
		{"secret_access_key", &s.SecretAccessKey},
		{"session_token", &s.SessionToken},
	}
	args, err := Args(d, 0, len(options))
	if err != nil {
		return err
	}
	seen := make(map[string]bool)
	for i, a := range args {
		*options[i].into = a
		seen[options[i].name] = true
	}
block:
	for d.NextBlock(0) {
		for _, o := range options {
			if d.Val() != o.name {
				continue
			}
			if err := Once(d, seen); err != nil {
				return err
			}
			if *o.into, err = OneArg(d); err != nil {
				return err
			}
			continue block
		}
		return Unknown(d, "access_key_id", "secret_access_key", "session_token")
	}
	for _, o := range options {
		if err := checkFixed(*o.into, checkKeyText); err != nil {
			return d.WrapErr(inField(o.name, err))
		}
	}
	for _, o := range options[:2] {
		if *o.into == "" {
			return d.Errf("static has no %s: write `static ACCESS_KEY_ID {env.SECRET}`, or the option in a block", o.name)
		}
	}
	return nil
}

// Provision resolves the placeholders.
func (s *Static) Provision(ctx caddy.Context) error {
	var v sigv4.Credentials
	for _, f := range []struct {
		name, value string
		into        *string
	}{
		{"access_key_id", s.AccessKeyID, &v.AccessKeyID},
		{"secret_access_key", s.SecretAccessKey, &v.SecretAccessKey},
		{"session_token", s.SessionToken, &v.SessionToken},
	} {
		var err error
		if *f.into, err = ResolveFixed(f.value); err != nil {
			return inField(f.name, err)
		}
		if err := checkKeyText(*f.into); err != nil {
			return inField(f.name, err)
		}
	}
	s.identity = credentials.Identity{
		Key:   credentials.NewKey("static", v.AccessKeyID, credentials.Sealed(v.SecretAccessKey), credentials.Sealed(v.SessionToken)),
		Label: "static " + v.AccessKeyID,
		Local: true,
		Fetch: func(context.Context, *credentials.Credentials) (*credentials.Credentials, error) {
			return credentials.New(v, time.Time{}, time.Now()), nil
		},
	}
	if s.SecretAccessKey != "" && !HasPlaceholder(s.SecretAccessKey) {
		warnOfLiteral(ctx, "secret_access_key")
	}
	return nil
}

// Validate refuses an incomplete key.
func (s *Static) Validate() error {
	for _, f := range []struct{ name, value string }{
		{"access_key_id", s.AccessKeyID},
		{"secret_access_key", s.SecretAccessKey},
	} {
		if f.value == "" {
			return inField(f.name, errors.New("it is missing: write {env.NAME}, {file./PATH} or the value itself"))
		}
	}
	return nil
}

// Identity implements credentials.Source.
func (s *Static) Identity(credentials.Expander) (credentials.Identity, error) {
	return s.identity, nil
}

// PerRequest implements credentials.Source.
func (*Static) PerRequest() bool { return false }

// MarshalLogObject keeps the secrets out of Caddy's logs.
func (s *Static) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("access_key_id", s.AccessKeyID)
	return nil
}

// checkKeyText refuses blanks and control characters in a key or a token, which come with a copied
// line or a file of several lines and make every signature wrong. The error does not repeat it.
func checkKeyText(v string) error {
	for _, r := range v {
		if r <= ' ' || r > '~' {
			return errors.New("it holds a blank, a line break or another character that no key has: write the key alone")
		}
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner       = (*Static)(nil)
	_ caddy.Validator         = (*Static)(nil)
	_ caddyfile.Unmarshaler   = (*Static)(nil)
	_ credentials.Source      = (*Static)(nil)
	_ zapcore.ObjectMarshaler = (*Static)(nil)
)
