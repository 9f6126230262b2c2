package sts

import (
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// Known is what the caller of STS knew about a call that failed. It makes some causes likelier than
// others. The zero value knows nothing. It holds no secret.
type Known struct {
	// RoleARN is the role that was to be assumed.
	RoleARN string

	// BrokerARN is the role whose credentials made the call, if it is known to be one. What AWS
	// names in its answer counts more.
	BrokerARN string

	// Temporary says that the call was made with temporary credentials. Those of a role can't
	// begin sessions of more than an hour.
	Temporary bool

	// ExternalID, Tags, SourceIdentity, MFA and Policy say whether these were sent.
	ExternalID, Tags, SourceIdentity, MFA, Policy bool

	// Duration is how long the session was to last.
	Duration time.Duration

	// Region, Endpoint and FIPS are where the call went to. Endpoint is empty for AWS's own.
	Region, Endpoint string
	FIPS             bool

	// RoleAge is how long ago the role or its trust policy was made or changed; 0 if that is not
	// known.
	RoleAge time.Duration

	// Skew is how far this machine's clock is ahead of AWS's, or behind if it is negative, as
	// far as AWS's answer told; 0 if it did not, or if that is less than a minute.
	Skew time.Duration
}

func (in AssumeRoleInput) known(from sigv4.Credentials, region string) Known {
	return Known{
		RoleARN:        in.RoleARN,
		Temporary:      from.SessionToken != "",
		ExternalID:     in.ExternalID != "",
		Tags:           len(in.Tags) > 0,
		SourceIdentity: in.SourceIdentity != "",
		MFA:            in.MFA != nil,
		Policy:         in.Policy != "" || len(in.PolicyARNs) > 0,
		Duration:       in.Duration,
		Region:         region,
		Endpoint:       in.Endpoint,
		FIPS:           in.FIPS,
	}
}

// knowing adds what is known of the call to an error that nobody else holds yet.
func (e *Error) knowing(k Known) *Error {
	k.Skew = e.Known.Skew
	e.Known, e.ofSTS = k, true
	return e
}

// skew compares the date of an answer of AWS's with this machine's clock.
func skew(date string, now time.Time) time.Duration {
	at, err := time.Parse(time.RFC1123, date)
	if err != nil {
		return 0
	}
	if d := now.Sub(at).Round(time.Second); d.Abs() >= time.Minute {
		return d
	}
	return 0
}
