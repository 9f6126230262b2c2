package credentials

import (
	"context"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// NewRole returns the identity of a role that client assumes with the credentials of from. The label
// calls the broker fromName. The input must be complete, that is, have a duration and a session name,
// and is to be checked before: the cache would only learn at the fetch that AWS refuses it.
func NewRole(client *sts.Client, from *Identity, fromName string, in sts.AssumeRoleInput) Identity {
	parts := []string{
		"assume_role", from.Key, in.RoleARN, Sealed(in.ExternalID), in.SessionName,
		in.Duration.String(), in.Region,
	}
	for _, t := range in.Tags {
		parts = append(parts, t.Key, t.Value)
	}
	return Identity{
		Key:     NewKey(parts...),
		Label:   "assume_role " + in.RoleARN + " (from " + fromName + ")",
		RoleARN: in.RoleARN,
		From:    from,
		Fetch: func(ctx context.Context, from *Credentials) (*Credentials, error) {
			v, expires, err := client.AssumeRole(ctx, from.Value, in)
			if err != nil {
				return nil, err
			}
			return New(v, expires, time.Now()), nil
		},
	}
}
