package connect

import (
	"context"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// brokenMode is that of an integration whose roles can't be assumed: the operator does not allow any
// more what it names.
type brokenMode struct{ err error }

func (m *brokenMode) AssumeRole(context.Context, sts.AssumeRoleInput) (sigv4.Credentials, time.Time, error) {
	return sigv4.Credentials{}, time.Time{}, m.err
}

func (m *brokenMode) Probe(context.Context, sts.AssumeRoleInput) sts.ProbeResult {
	return sts.ProbeResult{Outcome: sts.Unproven, Reason: m.err.Error()}
}

func (m *brokenMode) Identity(in sts.AssumeRoleInput) credentials.Identity {
	return credentials.Identity{
		Key: credentials.NewKey("broken", in.RoleARN), Label: "broken " + in.RoleARN, RoleARN: in.RoleARN, Local: true,
		Fetch: func(context.Context, *credentials.Credentials) (*credentials.Credentials, error) {
			return nil, &fetchError{m.err}
		},
	}
}

func (m *brokenMode) Where(region string) sts.Where { return sts.Where{Region: region} }

func (m *brokenMode) Principal(context.Context) (Principal, error) { return Principal{}, m.err }
