package credentials

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// NewRole returns the identity of a role that client assumes with the credentials of from. The label
// calls the broker fromName. The input must be complete, that is, have a duration and a session name,
// and is to be checked before: the cache would only learn at the fetch that AWS refuses it.
func NewRole(client *sts.Client, from *Identity, fromName string, in sts.AssumeRoleInput) Identity {
	return Identity{
		Key:     roleKey(from.Key, in),
		Label:   "assume_role " + in.RoleARN + " (from " + fromName + ")",
		RoleARN: in.RoleARN,
		From:    from,
		Fetch: func(ctx context.Context, broker *Credentials) (*Credentials, error) {
			v, expires, err := client.AssumeRole(ctx, broker.Value, in)
			if err != nil {
				if e, ok := errors.AsType[*sts.Error](err); ok {
					e.Known.BrokerARN = from.RoleARN
				}
				return nil, err
			}
			return New(v, expires, time.Now()), nil
		},
	}
}

// roleKey covers every field of the input. Lists have keys of their own, so that what ends one is not
// taken for the beginning of the next.
func roleKey(from string, in sts.AssumeRoleInput) string {
	tags := make([]string, 0, 2*len(in.Tags))
	for _, t := range in.Tags {
		tags = append(tags, t.Key, t.Value)
	}
	var device []string
	if in.MFA != nil {
		device = []string{in.MFA.Serial, in.MFA.Key}
	}
	return NewKey(
		"assume_role", from, in.RoleARN, sealedIfAny(in.ExternalID), in.SessionName, in.Duration.String(),
		sealedIfAny(in.Policy), keyOfList(in.PolicyARNs), keyOfList(tags), keyOfList(in.TransitiveTagKeys),
		in.SourceIdentity, keyOfList(device), in.Region, in.Endpoint, strconv.FormatBool(in.FIPS),
	)
}

// sealedIfAny and keyOfList spare the hash of nothing: keys are made for every request.
func sealedIfAny(secret string) string {
	if secret == "" {
		return ""
	}
	return Sealed(secret)
}

func keyOfList(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return NewKey(list...)
}
