package sts

import (
	"cmp"
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
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// Config configures a Client. The zero value has all defaults.
type Config struct {
	// AttemptTimeout bounds one HTTP exchange with STS, of which a call makes at most two.
	// Default: 6 s, so that both fit into the 15 s that a fetch has.
	AttemptTimeout time.Duration
}

// Client calls STS. One client serves all roles and brokers: it holds no credentials, and one
// connection pool for all. It reads the environment (AWS_REGION, AWS_ENDPOINT_URL_STS,
// AWS_CA_BUNDLE, AWS_USE_FIPS_ENDPOINT and the like) and the shared configuration file as the AWS
// SDK does, at the first call and again when they have changed.
type Client struct {
	cfg Config

	mu          sync.Mutex
	environment [sha256.Size]byte // what settings were read from
	settings    aws.Config
	clients     map[Where]*sts.Client
}

// NewClient returns a client. It does no I/O.
func NewClient(cfg Config) *Client {
	if cfg.AttemptTimeout <= 0 {
		cfg.AttemptTimeout = 6 * time.Second
	}
	return &Client{cfg: cfg}
}

// checkCaller refuses credentials that can't sign.
func checkCaller(from sigv4.Credentials) error {
	if from.AccessKeyID == "" || from.SecretAccessKey == "" {
		return errors.New("the broker has no access key: STS can't be called anonymously")
	}
	return nil
}

// signedBy makes a call one of these credentials.
func signedBy(from sigv4.Credentials) func(*sts.Options) {
	return func(o *sts.Options) {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{
				AccessKeyID:     from.AccessKeyID,
				SecretAccessKey: from.SecretAccessKey,
				SessionToken:    from.SessionToken,
			}, nil
		})
	}
}

// maxClients is how many of the SDK's clients are kept: some for each region that AWS has.
const maxClients = 256

// client returns the SDK's client for where a call goes to, and the region that is called. Where
// nothing says the region, it is one of the partition.
func (c *Client) client(ctx context.Context, where Where, partition string) (client *sts.Client, region string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if env := environment(); c.clients == nil || env != c.environment {
		settings, err := c.load(ctx)
		if err != nil {
			return nil, "", fmt.Errorf("reading the AWS environment and shared configuration: %w", err)
		}
		c.environment, c.settings, c.clients = env, settings, map[Where]*sts.Client{}
	}
	if where.Region, err = c.region(where, partition); err != nil {
		return nil, "", err
	}
	client = c.clients[where]
	if client == nil {
		// Callers may name regions that don't exist. All clients share their connections, so that
		// little is lost with them.
		if len(c.clients) >= maxClients {
			clear(c.clients)
		}
		client = sts.NewFromConfig(c.settings, where.options)
		c.clients[where] = client
	}
	return client, where.Region, nil
}

// options makes the SDK call this STS.
func (w Where) options(o *sts.Options) {
	o.HTTPSignerV4 = forgetfulSigner{}
	o.Region = w.Region
	o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
		r.MaxAttempts = 2 // More of them are the cache's, which makes longer pauses.
		r.MaxBackoff = time.Second
	})
	o.RetryMaxAttempts = 0
	if w.FIPS {
		o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
	}
	if w.Endpoint != "" {
		// What the environment says of FIPS and dual stack is about endpoints that the SDK
		// chooses, and an error beside one that is given.
		o.BaseEndpoint = aws.String(w.Endpoint)
		o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateDisabled
		o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateDisabled
	}
}

// load reads the settings. It leaves out credentials, which come with every call.
func (c *Client) load(ctx context.Context) (aws.Config, error) {
	settings, err := config.LoadDefaultConfig(ctx,
		config.WithCredentialsProvider(aws.AnonymousCredentials{}),
		config.WithLogger(logging.Nop{}), // It would write past Caddy's logs, and errors tell enough.
		// A type that the SDK can still add the AWS_CA_BUNDLE to.
		config.WithHTTPClient(awshttp.NewBuildableClient().
			WithDialerOptions(func(d *net.Dialer) { d.Timeout = min(d.Timeout, c.cfg.AttemptTimeout/2) }).
			WithTransportOptions(func(t *http.Transport) {
				t.TLSHandshakeTimeout = c.cfg.AttemptTimeout / 2
				t.ResponseHeaderTimeout = c.cfg.AttemptTimeout
			})),
	)
	if err != nil {
		return settings, err
	}
	built, ok := settings.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		return settings, fmt.Errorf("the AWS SDK made an HTTP client of %T", settings.HTTPClient)
	}
	settings.HTTPClient = &http.Client{
		Transport: built.GetTransport(),
		Timeout:   c.cfg.AttemptTimeout,
		// STS redirects nobody. Whoever does would get the signed call, External ID included.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return settings, nil
}

// region returns the region whose STS is called.
func (c *Client) region(where Where, partition string) (string, error) {
	if where.Region != "" {
		return where.Region, nil
	}
	if r := where.regionOfEndpoint(); r != "" {
		return r, nil
	}
	if p, ok := endpoint.PartitionOf(c.settings.Region); ok && (partition == "" || p.ID == partition) {
		return c.settings.Region, nil
	}
	if r := defaultRegion(cmp.Or(partition, "aws")); r != "" {
		return r, nil
	}
	return "", fmt.Errorf("%q is none of the partitions %s", clip.Text(partition), partitionIDs())
}

// forgetfulSigner signs with a signer of the SDK's that is new each time. One that is kept remembers
// derived keys by access key ID, whatever the secret is: a secret that was wrong at first would be
// wrong for the day, and one that is wrong later would be right.
type forgetfulSigner struct{}

func (forgetfulSigner) SignHTTP(
	ctx context.Context, c aws.Credentials, r *http.Request, payloadHash, service, region string, at time.Time, o ...func(*v4.SignerOptions),
) error {
	return v4.NewSigner().SignHTTP(ctx, c, r, payloadHash, service, region, at, o...)
}
