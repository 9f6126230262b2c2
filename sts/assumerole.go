package sts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// AssumeRoleInput is one call of AssumeRole.
// See https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html.
type AssumeRoleInput struct {
	// RoleARN is the role to assume.
	RoleARN string

	// ExternalID is what the role's trust policy asks for; empty sends none.
	ExternalID string

	// SessionName names the session in CloudTrail.
	SessionName string

	// Duration is how long the session lasts.
	Duration time.Duration

	// Policy is a session policy, a JSON document; the session may do what both it and the role
	// allow. Empty sends none.
	Policy string

	// PolicyARNs are managed policies of the role's account, or of AWS, that limit the session
	// in the same way.
	PolicyARNs []string

	// Tags are the session's tags; the role's trust policy must allow sts:TagSession.
	Tags []Tag

	// TransitiveTagKeys are the keys of those tags that also count in the sessions of roles
	// assumed from this one, and can't be changed there.
	TransitiveTagKeys []string

	// SourceIdentity names who is behind the session. It stays with all roles assumed from this
	// one, and is in every line of CloudTrail. The role's trust policy must allow
	// sts:SetSourceIdentity. Empty sends none.
	SourceIdentity string

	// MFA proves that the caller has an MFA device; nil sends none. Only an IAM user has one.
	MFA *MFA

	// Region is whose STS is called. Empty: the region that Endpoint tells, else the region of
	// the environment (AWS_REGION or the shared configuration) if it is in the role's partition,
	// else the partition's default.
	Region string

	// Endpoint is the URL of the STS to call, such as that of a VPC endpoint. Empty: the
	// environment's (AWS_ENDPOINT_URL_STS), else AWS's own in the region.
	Endpoint string

	// FIPS calls the FIPS 140 endpoint of the region, of which not every region has one. False
	// leaves that to the environment (AWS_USE_FIPS_ENDPOINT).
	FIPS bool
}

// MFA is a multi-factor authentication device of an IAM user.
type MFA struct {
	// Serial is the device's serial number, or the ARN of a virtual one.
	Serial string

	// Code returns the six digits that the device shows now. It is asked once for each call,
	// and must not return the same ones twice: AWS accepts a code once.
	Code func(context.Context) (string, error)

	// Key differs for devices that give different codes. It must tell no secret.
	Key string
}

// Check says whether AWS would accept the form of the input. An error names the field.
func (in AssumeRoleInput) Check() error {
	for _, c := range []struct {
		field string
		err   error
	}{
		{"role_arn", CheckRoleARN(in.RoleARN)},
		{"external_id", checkOptional(in.ExternalID, CheckExternalID)},
		{"session_name", CheckSessionName(in.SessionName)},
		{"duration", CheckDuration(in.Duration)},
		{"policy", checkOptional(in.Policy, CheckPolicy)},
		{"policy_arns", CheckPolicyARNs(in.PolicyARNs, in.RoleARN)},
		{"policy", CheckPolicySize(in.Policy, in.PolicyARNs)},
		{"tags", CheckTags(in.Tags)},
		{"transitive_tags", CheckTransitiveTags(in.TransitiveTagKeys, in.Tags)},
		{"source_identity", checkOptional(in.SourceIdentity, CheckSourceIdentity)},
		{"mfa_serial", in.MFA.check()},
		{"region", checkOptional(in.Region, func(r string) error { return CheckPartitions(in.RoleARN, r) })},
		{"endpoint", in.checkEndpoint()},
	} {
		if c.err != nil {
			return fmt.Errorf("%s: %w", c.field, c.err)
		}
	}
	return nil
}

func checkOptional(value string, check func(string) error) error {
	if value == "" {
		return nil
	}
	return check(value)
}

func (m *MFA) check() error {
	if m == nil {
		return nil
	}
	if m.Code == nil {
		return errors.New("nobody gives its codes")
	}
	return CheckMFASerial(m.Serial)
}

// checkEndpoint also looks at the partition of an endpoint of AWS's.
func (in AssumeRoleInput) checkEndpoint() error {
	w := in.where()
	if err := w.Check(); err != nil || w.regionOfEndpoint() == "" {
		return err
	}
	return CheckPartitions(in.RoleARN, w.regionOfEndpoint())
}

func (in AssumeRoleInput) where() Where {
	return Where{Region: in.Region, Endpoint: in.Endpoint, FIPS: in.FIPS}
}

// AssumeRole assumes a role with the credentials of a broker. It returns the session's credentials
// and when they expire by this machine's clock. Input that AWS would refuse is refused before the
// call. What STS answers is an *Error.
func (c *Client) AssumeRole(ctx context.Context, from sigv4.Credentials, in AssumeRoleInput) (sigv4.Credentials, time.Time, error) {
	var none sigv4.Credentials
	if err := in.Check(); err != nil {
		return none, time.Time{}, err
	}
	if err := checkCaller(from); err != nil {
		return none, time.Time{}, err
	}
	role, err := ParseRoleARN(in.RoleARN)
	if err != nil {
		return none, time.Time{}, err
	}
	client, region, err := c.client(ctx, in.where(), role.Partition)
	if err != nil {
		return none, time.Time{}, err
	}
	call := in.call()
	if in.MFA != nil {
		code, err := in.MFA.Code(ctx)
		if err == nil {
			err = CheckMFACode(code)
		}
		if err != nil {
			return none, time.Time{}, fmt.Errorf("the code of the MFA device: %w", err)
		}
		call.SerialNumber, call.TokenCode = aws.String(in.MFA.Serial), aws.String(code)
	}
	out, err := client.AssumeRole(ctx, call, signedBy(from), func(o *sts.Options) {
		if in.MFA != nil {
			o.Retryer = aws.NopRetryer{} // AWS takes a code once.
		}
	})
	if err != nil {
		return none, time.Time{}, NewError(err, from.SecretAccessKey, from.SessionToken, in.ExternalID, aws.ToString(call.TokenCode)).
			knowing(in.known(from, region))
	}
	got := out.Credentials
	if got == nil || aws.ToString(got.AccessKeyId) == "" || aws.ToString(got.SecretAccessKey) == "" ||
		aws.ToString(got.SessionToken) == "" || got.Expiration == nil {
		return none, time.Time{}, (&Error{Operation: "AssumeRole", Status: http.StatusOK, Message: "the answer has no complete credentials: is this the endpoint of STS?"}).
			knowing(in.known(from, region))
	}
	return sigv4.Credentials{
		AccessKeyID:     *got.AccessKeyId,
		SecretAccessKey: *got.SecretAccessKey,
		SessionToken:    *got.SessionToken,
	}, earlier(*got.Expiration, time.Now().Add(in.Duration)), nil
}

// earlier returns the earlier of two times. A session does not last longer than was asked for, so if
// AWS's time for its end is later than that, this machine's clock is slow, and would have dead
// credentials served.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// call returns the input as the SDK wants it, but for the MFA device.
func (in AssumeRoleInput) call() *sts.AssumeRoleInput {
	call := &sts.AssumeRoleInput{
		RoleArn:           aws.String(in.RoleARN),
		RoleSessionName:   aws.String(in.SessionName),
		DurationSeconds:   aws.Int32(int32(in.Duration / time.Second)),
		ExternalId:        optional(in.ExternalID),
		Policy:            optional(in.Policy),
		SourceIdentity:    optional(in.SourceIdentity),
		TransitiveTagKeys: in.TransitiveTagKeys,
	}
	for _, arn := range in.PolicyARNs {
		call.PolicyArns = append(call.PolicyArns, types.PolicyDescriptorType{Arn: aws.String(arn)})
	}
	for _, t := range in.Tags {
		call.Tags = append(call.Tags, types.Tag{Key: aws.String(t.Key), Value: aws.String(t.Value)})
	}
	return call
}

func optional(v string) *string {
	if v == "" {
		return nil
	}
	return &v
}
