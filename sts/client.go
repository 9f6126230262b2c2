package sts

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go/logging"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
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

	// Tags are the session's tags; the role's trust policy must allow sts:TagSession.
	Tags []Tag

	// Region is whose STS is called. Empty: the region of the environment (AWS_REGION or the
	// shared configuration) if it is in the role's partition, else the partition's default.
	Region string
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
		{"tags", CheckTags(in.Tags)},
		{"region", checkOptional(in.Region, func(r string) error { return CheckPartitions(in.RoleARN, r) })},
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

// Config configures a Client. The zero value has all defaults.
type Config struct {
	// AttemptTimeout bounds one HTTP exchange with STS, of which a call makes at most two.
	// Default: 6 s, so that both fit into the 15 s that a fetch has.
	AttemptTimeout time.Duration
}

// Client calls STS. One client serves all roles and brokers: it holds no credentials, and one
// connection pool for each region. It reads the environment (AWS_REGION, AWS_ENDPOINT_URL_STS,
// AWS_CA_BUNDLE, AWS_USE_FIPS_ENDPOINT and the like) and the shared configuration file as the AWS
// SDK does, at the first call and again when they have changed.
type Client struct {
	cfg Config

	mu          sync.Mutex
	environment [sha256.Size]byte // what settings were read from
	settings    aws.Config
	regions     map[string]*sts.Client
}

// NewClient returns a client. It does no I/O.
func NewClient(cfg Config) *Client {
	if cfg.AttemptTimeout <= 0 {
		cfg.AttemptTimeout = 6 * time.Second
	}
	return &Client{cfg: cfg}
}

// AssumeRole assumes a role with the credentials of a broker. It returns the session's credentials
// and when they expire by this machine's clock. Input that AWS would refuse is refused before the call. What STS answers is
// an *Error.
func (c *Client) AssumeRole(ctx context.Context, from sigv4.Credentials, in AssumeRoleInput) (sigv4.Credentials, time.Time, error) {
	var none sigv4.Credentials
	if err := in.Check(); err != nil {
		return none, time.Time{}, err
	}
	if from.AccessKeyID == "" || from.SecretAccessKey == "" {
		return none, time.Time{}, errors.New("the broker has no access key: a role can't be assumed anonymously")
	}
	client, err := c.client(ctx, in)
	if err != nil {
		return none, time.Time{}, err
	}
	out, err := client.AssumeRole(ctx, in.call(), func(o *sts.Options) {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{
				AccessKeyID:     from.AccessKeyID,
				SecretAccessKey: from.SecretAccessKey,
				SessionToken:    from.SessionToken,
			}, nil
		})
	})
	if err != nil {
		return none, time.Time{}, NewError(err, from.SecretAccessKey, from.SessionToken)
	}
	got := out.Credentials
	if got == nil || aws.ToString(got.AccessKeyId) == "" || aws.ToString(got.SecretAccessKey) == "" ||
		aws.ToString(got.SessionToken) == "" || got.Expiration == nil {
		return none, time.Time{}, &Error{Operation: "AssumeRole", Status: http.StatusOK, Message: "the answer has no complete credentials: is this the endpoint of STS?"}
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

// call returns the input as the SDK wants it.
func (in AssumeRoleInput) call() *sts.AssumeRoleInput {
	call := &sts.AssumeRoleInput{
		RoleArn:         aws.String(in.RoleARN),
		RoleSessionName: aws.String(in.SessionName),
		DurationSeconds: aws.Int32(int32(in.Duration / time.Second)),
	}
	if in.ExternalID != "" {
		call.ExternalId = aws.String(in.ExternalID)
	}
	for _, t := range in.Tags {
		call.Tags = append(call.Tags, types.Tag{Key: aws.String(t.Key), Value: aws.String(t.Value)})
	}
	return call
}

// client returns the SDK's client for the region that a call goes to.
func (c *Client) client(ctx context.Context, in AssumeRoleInput) (*sts.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if env := environment(); c.regions == nil || env != c.environment {
		settings, err := c.load(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading the AWS environment and shared configuration: %w", err)
		}
		c.environment, c.settings, c.regions = env, settings, map[string]*sts.Client{}
	}
	region, err := c.region(in)
	if err != nil {
		return nil, err
	}
	client := c.regions[region]
	if client == nil {
		client = sts.NewFromConfig(c.settings, func(o *sts.Options) {
			o.Region = region
			o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
				r.MaxAttempts = 2 // More of them are the cache's, which makes longer pauses.
				r.MaxBackoff = time.Second
			})
			o.RetryMaxAttempts = 0
		})
		c.regions[region] = client
	}
	return client, nil
}

// load reads the settings. It leaves out credentials, which come with every call.
func (c *Client) load(ctx context.Context) (aws.Config, error) {
	return config.LoadDefaultConfig(ctx,
		config.WithCredentialsProvider(aws.AnonymousCredentials{}),
		config.WithLogger(logging.Nop{}), // It would write past Caddy's logs, and errors tell enough.
		// A type that the SDK can still add the AWS_CA_BUNDLE to.
		config.WithHTTPClient(awshttp.NewBuildableClient().
			WithTimeout(c.cfg.AttemptTimeout).
			WithDialerOptions(func(d *net.Dialer) { d.Timeout = min(d.Timeout, c.cfg.AttemptTimeout/2) }).
			WithTransportOptions(func(t *http.Transport) {
				t.TLSHandshakeTimeout = c.cfg.AttemptTimeout / 2
				t.ResponseHeaderTimeout = c.cfg.AttemptTimeout
			})),
	)
}

// region returns the region whose STS is called.
func (c *Client) region(in AssumeRoleInput) (string, error) {
	if in.Region != "" {
		return in.Region, nil
	}
	role, err := ParseRoleARN(in.RoleARN)
	if err != nil {
		return "", err
	}
	if p, ok := endpoint.PartitionOf(c.settings.Region); ok && p.ID == role.Partition {
		return c.settings.Region, nil
	}
	return defaultRegion(role.Partition), nil
}
