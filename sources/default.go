package sources

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// Default gets credentials as the AWS SDK and the AWS CLI do: from the environment variables
// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, a web identity token, the shared configuration
// and credentials files with the profile that `AWS_PROFILE` names, the container's credentials
// endpoint (ECS, EKS Pod Identity), or the instance metadata service of EC2; the first that is
// there counts. It has no options. It is what is used where no credentials are configured.
//
// The chain is walked at the first fetch and at every refresh, never when the configuration is
// loaded. Credentials that do not expire, such as those of a file, are kept until AWS refuses them or
// a refresh is asked for.
type Default struct{}

// CaddyModule returns the Caddy module information.
func (Default) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  Namespace + ".default",
		New: func() caddy.Module { return new(Default) },
	}
}

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	default
func (*Default) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return noArgs(d) }

// Identity implements credentials.Source.
func (*Default) Identity(credentials.Expander) (credentials.Identity, error) {
	return defaultIdentity, nil
}

// PerRequest implements credentials.Source.
func (*Default) PerRequest() bool { return false }

var defaultIdentity = credentials.Identity{
	Key:   credentials.NewKey("default"),
	Label: "default",
	Fetch: fetchDefault,
}

// fetchDefault walks the chain from its beginning. The provider that a loaded configuration of the SDK
// keeps would give the same credentials again until they have all but expired, which leaves no time
// to refresh them, and it never sees that a file has changed.
func fetchDefault(ctx context.Context, _ *credentials.Credentials) (*credentials.Credentials, error) {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithLogger(logging.Nop{})) // It would write past Caddy's logs.
	if err != nil {
		return nil, sts.NewError(err)
	}
	if cfg.Credentials == nil || aws.IsCredentialsProvider(cfg.Credentials, aws.AnonymousCredentials{}) {
		return nil, errors.New("the AWS SDK's chain has no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
	}
	got, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("the AWS SDK's chain: %w; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role", sts.NewError(err))
	}
	var expires time.Time
	if got.CanExpire {
		expires = got.Expires
	}
	return credentials.New(sigv4.Credentials{
		AccessKeyID:     got.AccessKeyID,
		SecretAccessKey: got.SecretAccessKey,
		SessionToken:    got.SessionToken,
	}, expires, time.Now()), nil
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*Default)(nil)
	_ credentials.Source    = (*Default)(nil)
)
