package connect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/trust"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// HelperOptions are what a HelperMode is made of.
type HelperOptions struct {
	// Client calls the helper.
	Client *sts.HelperClient

	// Key differs for helpers, or ways to authenticate, that may give other credentials. What is
	// secret in it goes through credentials.Sealed. Default: the helper's host.
	Key string

	// Service is the service that the credentials are for, which the helper is told.
	Service string

	// Partition is that of AWS in which Principal is. Default: aws, or the one in its ARN.
	Partition string

	// Principal is the helper's broker, whom customers' roles have to trust: the ARN of a role or
	// a user, or a 12-digit account. No helper tells it.
	Principal string

	// STS is the STS that GetCallerIdentity is called at. Default: that of the connection's region.
	STS sts.Where

	// Probe has the helper find out whether a role asks for its External ID. Default: the helper is
	// asked for credentials with other External IDs. That shows when a role takes them, but a
	// helper's refusal is no proof that it does not.
	Probe func(context.Context, sts.HelperInput) (sts.ProbeResult, error)
}

// HelperMode has roles assumed by an STS helper, with a broker of its own. How long sessions last, and
// their policy and tags, are the helper's business.
type HelperMode struct {
	options   HelperOptions
	principal Principal
}

// NewHelperMode returns a mode. It does no I/O.
func NewHelperMode(o HelperOptions) (*HelperMode, error) {
	if o.Client == nil {
		return nil, errors.New("there is no client of the helper")
	}
	if o.Principal == "" {
		return nil, errors.New("customers' roles have to trust the helper's broker: write its ARN as principal")
	}
	if err := o.STS.Check(); err != nil {
		return nil, fmt.Errorf("the STS to call: %w", err)
	}
	if o.Partition == "" {
		o.Partition = "aws"
		if strings.HasPrefix(o.Principal, "arn:") {
			o.Partition = partitionOfARN(o.Principal)
		}
	}
	if o.Key == "" {
		o.Key = o.Client.Host()
	}
	principal, err := trust.ParsePrincipal(o.Partition, o.Principal)
	if err != nil {
		return nil, err
	}
	return &HelperMode{options: o, principal: principal}, nil
}

// Where says which STS is shown credentials for a region: the one that was configured, else the region's
// own.
func (m *HelperMode) Where(region string) sts.Where {
	w := m.options.STS
	if w.Region == "" && w.Endpoint == "" {
		w.Region = region
	}
	return w
}

func (m *HelperMode) input(in sts.AssumeRoleInput) sts.HelperInput {
	return sts.HelperInput{RoleARN: in.RoleARN, ExternalID: in.ExternalID, Region: in.Region, Service: m.options.Service}
}

// AssumeRole asks the helper.
func (m *HelperMode) AssumeRole(ctx context.Context, in sts.AssumeRoleInput) (sigv4.Credentials, time.Time, error) {
	return m.options.Client.AssumeRole(ctx, m.input(in))
}

// Probe has the helper probe.
func (m *HelperMode) Probe(ctx context.Context, in sts.AssumeRoleInput) sts.ProbeResult {
	if m.options.Probe == nil {
		return sts.Probe(ctx, func(ctx context.Context, externalID string) error {
			in := m.input(in)
			in.ExternalID = externalID
			_, _, err := m.options.Client.AssumeRole(ctx, in)
			return err
		}, in.ExternalID)
	}
	result, err := m.options.Probe(ctx, m.input(in))
	if err != nil {
		return sts.ProbeResult{Outcome: sts.Unproven, Reason: "the helper could not probe: " + err.Error()}
	}
	return result
}

// Identity returns the role as an identity that the helper gives credentials of.
func (m *HelperMode) Identity(in sts.AssumeRoleInput) credentials.Identity {
	asked := m.input(in)
	return credentials.Identity{
		Key:     credentials.NewKey("sts_helper", m.options.Key, asked.RoleARN, credentials.Sealed(asked.ExternalID), asked.Region, asked.Service),
		Label:   "sts_helper " + asked.RoleARN + " (from " + m.options.Client.Host() + ")",
		RoleARN: asked.RoleARN,
		Fetch: func(ctx context.Context, _ *credentials.Credentials) (*credentials.Credentials, error) {
			v, expires, err := m.options.Client.AssumeRole(ctx, asked)
			if err != nil {
				return nil, err
			}
			return credentials.New(v, expires, time.Now()), nil
		},
	}
}

// Principal returns the broker that the operator wrote.
func (m *HelperMode) Principal(context.Context) (Principal, error) { return m.principal, nil }
