package connect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/trust"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// BrokerOptions are what a BrokerMode is made of.
type BrokerOptions struct {
	// Client calls STS.
	Client *sts.Client

	// Cache holds the broker's credentials.
	Cache *credentials.Cache

	// Broker is who assumes the customers' roles, and Name what the configuration calls it.
	Broker credentials.Identity
	Name   string

	// STS is the STS to call. Default: that of the connection's region.
	STS sts.Where

	// Home is a region of the broker's own partition: that of the integration, for example.
	// Default: the environment's.
	Home string

	// Clock tells the time. Default: time.Now.
	Clock func() time.Time
}

// BrokerMode has roles assumed by a broker whose credentials this server has.
type BrokerMode struct {
	options BrokerOptions

	mu        sync.Mutex
	principal Principal
	err       error
	asked     time.Time
}

// NewBrokerMode returns a mode. It does no I/O.
func NewBrokerMode(o BrokerOptions) (*BrokerMode, error) {
	if o.Client == nil || o.Cache == nil || o.Broker.Fetch == nil {
		return nil, errors.New("a broker needs a client of STS, a cache and an identity")
	}
	if err := o.STS.Check(); err != nil {
		return nil, fmt.Errorf("the STS to call: %w", err)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &BrokerMode{options: o}, nil
}

// Where says which STS is called for a region: the one that was configured, else the region's own.
func (m *BrokerMode) Where(region string) sts.Where {
	w := m.options.STS
	if w.Region == "" && w.Endpoint == "" {
		w.Region = region
	}
	return w
}

func (m *BrokerMode) at(in sts.AssumeRoleInput) sts.AssumeRoleInput {
	w := m.Where(in.Region)
	in.Region, in.Endpoint, in.FIPS = w.Region, w.Endpoint, w.FIPS
	return in
}

// AssumeRole assumes a role with the broker's credentials.
func (m *BrokerMode) AssumeRole(ctx context.Context, in sts.AssumeRoleInput) (sigv4.Credentials, time.Time, error) {
	broker, err := m.options.Cache.Get(ctx, m.options.Broker)
	if err != nil {
		return sigv4.Credentials{}, time.Time{}, err
	}
	creds, expires, err := m.options.Client.AssumeRole(ctx, broker.Value, m.at(in))
	if e, ok := errors.AsType[*sts.Error](err); ok {
		e.Known.BrokerARN = m.brokerARN()
	}
	return creds, expires, err
}

// brokerARN is the broker's role or user as far as it is known without asking.
func (m *BrokerMode) brokerARN() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return cmp.Or(m.options.Broker.RoleARN, cmp.Or(m.principal.Only, m.principal.ARN))
}

// Probe probes with the broker's credentials.
func (m *BrokerMode) Probe(ctx context.Context, in sts.AssumeRoleInput) sts.ProbeResult {
	broker, err := m.options.Cache.Get(ctx, m.options.Broker)
	if err != nil {
		return sts.ProbeResult{Outcome: sts.Unproven, Reason: "the broker has no credentials at the moment"}
	}
	return sts.Probe(ctx, m.options.Client.Assumer(broker.Value, m.at(in)), in.ExternalID)
}

// Identity returns the role as an identity that stands on the broker.
func (m *BrokerMode) Identity(in sts.AssumeRoleInput) credentials.Identity {
	return credentials.NewRole(m.options.Client, &m.options.Broker, m.options.Name, m.at(in))
}

const (
	// principalLife is how long the broker is taken for whom AWS said it was.
	principalLife = time.Hour

	// principalRetry is how long a failure to learn it is remembered, so that each page does not
	// wait for its own.
	principalRetry = 5 * time.Second

	principalWait = 10 * time.Second
)

// Principal asks AWS who the broker is, unless it is a role whose ARN is configured. The answer is
// kept for an hour; if AWS can't be asked then, the last answer holds.
func (m *BrokerMode) Principal(ctx context.Context) (Principal, error) {
	if arn := m.options.Broker.RoleARN; arn != "" {
		return trust.ParsePrincipal(partitionOfARN(arn), arn)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	age := m.options.Clock().Sub(m.asked)
	switch {
	case m.principal.ARN != "" && m.err == nil && age < principalLife, m.principal.ARN != "" && m.err != nil && age < principalRetry:
		return m.principal, nil
	case m.err != nil && age < principalRetry:
		return Principal{}, m.err
	}
	// The answer is for all who wait, so it does not end with the one who asked first.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), principalWait)
	defer cancel()
	principal, err := m.ask(ctx)
	if err != nil {
		err = fmt.Errorf("the broker's credentials %s: %w", m.options.Name, err)
	}
	m.asked, m.err = m.options.Clock(), err
	if err == nil {
		m.principal = principal
	}
	if m.principal.ARN != "" {
		return m.principal, nil
	}
	return Principal{}, err
}

func (m *BrokerMode) ask(ctx context.Context) (Principal, error) {
	broker, err := m.options.Cache.Get(ctx, m.options.Broker)
	if err != nil {
		return Principal{}, err
	}
	w := m.options.STS
	if w.Region == "" && w.Endpoint == "" {
		w.Region = m.options.Home
	}
	id, err := m.options.Client.GetCallerIdentity(ctx, broker.Value, w)
	if err != nil {
		return Principal{}, err
	}
	return trust.ParsePrincipal(partitionOfARN(id.ARN), id.ARN)
}

// partitionOfARN returns the second field of an ARN, or "".
func partitionOfARN(arn string) string {
	_, rest, _ := strings.Cut(arn, ":")
	partition, _, _ := strings.Cut(rest, ":")
	return partition
}

// partitionOfRegion returns the ID of a region's partition, or "".
func partitionOfRegion(region string) string {
	p, _ := endpoint.PartitionOf(region)
	return p.ID
}
