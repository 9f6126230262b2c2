package sources

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// Env reads credentials from the environment variables `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`
// and, for temporary ones, `AWS_SESSION_TOKEN`, and from nowhere else. It has no options. They are
// read at the first use.
type Env struct{}

// CaddyModule returns the Caddy module information.
func (Env) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  Namespace + ".env",
		New: func() caddy.Module { return new(Env) },
	}
}

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	env
func (*Env) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return noArgs(d) }

// Identity implements credentials.Source.
func (*Env) Identity(credentials.Expander) (credentials.Identity, error) { return envIdentity, nil }

// PerRequest implements credentials.Source.
func (*Env) PerRequest() bool { return false }

var envIdentity = credentials.Identity{
	Key:   credentials.NewKey("env"),
	Label: "env",
	Local: true,
	Fetch: fetchEnv,
}

func fetchEnv(context.Context, *credentials.Credentials) (*credentials.Credentials, error) {
	var v sigv4.Credentials
	for _, e := range []struct {
		name string
		into *string
	}{
		{"AWS_ACCESS_KEY_ID", &v.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", &v.SecretAccessKey},
	} {
		if *e.into = os.Getenv(e.name); *e.into == "" {
			return nil, fmt.Errorf("the environment variable %s is not set: set it for the process of Caddy", e.name)
		}
		if err := checkKeyText(*e.into); err != nil {
			return nil, fmt.Errorf("the environment variable %s: %w", e.name, err)
		}
	}
	v.SessionToken = os.Getenv("AWS_SESSION_TOKEN")
	if err := checkKeyText(v.SessionToken); err != nil {
		return nil, fmt.Errorf("the environment variable AWS_SESSION_TOKEN: %w", err)
	}
	return credentials.New(v, time.Time{}, time.Now()), nil
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*Env)(nil)
	_ credentials.Source    = (*Env)(nil)
)
