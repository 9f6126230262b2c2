package connect

import (
	"context"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/trust"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// Mode is how an integration's roles are assumed: by a broker of this server, or by an STS helper. In
// each input the region is that of the connection; which STS is called for it, the mode decides.
// Implementations are safe for concurrent use.
type Mode interface {
	// AssumeRole assumes a role, and returns the credentials and when they expire. It asks each
	// time, because a verification must not be told what was true before. What AWS answered is an
	// *sts.Error, what a helper answered an *sts.HelperError; that the broker itself has no
	// credentials is a *credentials.Error.
	AssumeRole(ctx context.Context, in sts.AssumeRoleInput) (sigv4.Credentials, time.Time, error)

	// Probe finds out whether the role asks for the External ID of the input, as sts.Probe does.
	Probe(ctx context.Context, in sts.AssumeRoleInput) sts.ProbeResult

	// Identity returns the role as an identity of the cache of credentials.
	Identity(in sts.AssumeRoleInput) credentials.Identity

	// Where says which STS credentials for a region are shown to.
	Where(region string) sts.Where

	// Principal is whom the customer's role has to trust. It may have to be asked for, and is
	// remembered.
	Principal(ctx context.Context) (Principal, error)
}

// Principal is whom a customer's role has to trust. Its ARN is that of a role, a user or an account's
// root, and never that of a session.
type Principal = trust.Principal

// Configured is an integration with the way its roles are assumed.
type Configured struct {
	Integration
	Mode Mode

	// Stored is the integration as it was written at run time; nil if it is one of the configuration.
	Stored *Stored

	// Problem is why its roles can't be assumed although it was stored, empty if they can.
	Problem string
}
