package awssigv4

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// RuntimeIntegrations permits integrations to be written while the server runs: by API keys of `aws_connect`
// with the scope `integrations:write`, and on the page of `aws_connect_admin`. They are kept in Caddy's
// storage, sealed as connections are, and none takes the place of one that the configuration has. What they
// may use is what stands here, access keys, and STS helpers at public addresses.
type RuntimeIntegrations struct {
	// The names of the credentials that they may name as their brokers'. Default: none.
	Credentials []string `json:"credentials,omitempty"`

	// Hosts, as `HOST`, `HOST:PORT` or `*.SUFFIX`, of helpers and templates that may be at private
	// addresses, or, if written in full, on this machine; and hosts other than AWS's that may be called
	// with customers' credentials. Default: none.
	Hosts []string `json:"hosts,omitempty"`

	// The broker of STS helpers for which no other is named, whom customers' roles have to trust: the
	// ARN of a role or a user, or the 12 digits of an account. Default: each names its own.
	HelperPrincipal string `json:"helper_principal,omitempty"`

	// The region of the STS that is called. Default: the connection's, or the one that the integration
	// names.
	STSRegion string `json:"sts_region,omitempty"`

	// The URL of the STS that is called, in place of AWS's own in the region.
	STSEndpoint string `json:"sts_endpoint,omitempty"`
}

// runtime returns what integrations may use that are written at run time, and a text that differs wherever
// that does. It is nil if none may be written.
func (a *App) runtime() (*connect.Runtime, string, error) {
	c := a.RuntimeIntegrations
	if c == nil {
		return nil, "", nil
	}
	r := new(connect.Runtime)
	var err error
	if r.Hosts, err = resolveAll("hosts", c.Hosts); err != nil {
		return nil, "", err
	}
	if r.HelperPrincipal, err = sources.ResolveFixed(c.HelperPrincipal); err != nil {
		return nil, "", fieldError("helper_principal", err)
	}
	if r.HelperPrincipal != "" {
		if err := checkPrincipal(r.HelperPrincipal); err != nil {
			return nil, "", fieldError("helper_principal", err)
		}
	}
	where, err := (&IntegrationSTS{Region: c.STSRegion, Endpoint: c.STSEndpoint}).where()
	if err != nil {
		return nil, "", fieldError("sts", err)
	}
	brokers := make(map[string]credentials.Identity, len(c.Credentials))
	key := []string{fmt.Sprintf("%q %q %+v", r.Hosts, r.HelperPrincipal, where)}
	for _, name := range c.Credentials {
		if slices.Contains(r.Credentials, name) {
			return nil, "", fieldError("credentials", fmt.Errorf("%s is there twice", name))
		}
		if brokers[name], _, err = a.broker(a.ctx, nil, name, nil); err != nil {
			return nil, "", err
		}
		r.Credentials = append(r.Credentials, name)
		key = append(key, name, brokers[name].Key)
	}
	cache := a.cache
	r.Mode = func(i *connect.Integration, as *connect.Assume) (connect.Mode, error) {
		at := where
		if as.Region != "" && at.Endpoint == "" {
			at.Region = as.Region
		}
		at.FIPS = at.FIPS || as.FIPS && at.Endpoint == ""
		if as.Helper != nil {
			return runtimeHelper(i, as.Helper, r, at)
		}
		name := as.Credentials
		broker, ok := brokers[name]
		if as.AccessKeyID != "" {
			name, ok = "access key "+as.AccessKeyID, true
			broker = accessKey(as.AccessKeyID, as.SecretAccessKey)
		}
		if !ok {
			return nil, errors.New("nobody assumes its roles")
		}
		if broker.RoleARN != "" {
			if err := sts.CheckChainedDuration(i.Duration); err != nil {
				return nil, err
			}
		}
		return connect.NewBrokerMode(connect.BrokerOptions{Client: connectSTS, Cache: cache, Broker: broker, Name: name, STS: at, Home: i.Region})
	}
	return r, credentials.NewKey(key...), nil
}

// accessKey is the identity of an access key.
func accessKey(id, secret string) credentials.Identity {
	return credentials.Identity{
		Key: credentials.NewKey("access key", id, credentials.Sealed(secret)), Label: "access key " + id, Local: true,
		Fetch: func(context.Context, *credentials.Credentials) (*credentials.Credentials, error) {
			return credentials.New(sigv4.Credentials{AccessKeyID: id, SecretAccessKey: secret}, time.Time{}, time.Now()), nil
		},
	}
}

// runtimeHelper assumes roles by an STS helper that the operator did not write: it may be at public addresses
// and at the hosts that are listed.
func runtimeHelper(i *connect.Integration, h *connect.AssumeHelper, r *connect.Runtime, where sts.Where) (connect.Mode, error) {
	config := sts.HelperConfig{URL: h.URL, OperatorHosts: append([]string{}, r.Hosts...)}
	var err error
	switch {
	case h.APIKey != "":
		config.Auth, err = sts.HelperAPIKey(h.APIKeyHeader, h.APIKey)
	case h.BasicPassword != "":
		config.Auth, err = sts.HelperBasic(h.BasicUser, h.BasicPassword)
	}
	if err != nil {
		return nil, err
	}
	client, err := sts.NewHelperClient(config)
	if err != nil {
		return nil, err
	}
	o := connect.HelperOptions{
		Client: client, Service: i.Service, STS: where, Principal: h.Principal,
		Key: credentials.NewKey(
			"run time", credentials.Sealed(h.URL), h.APIKeyHeader, credentials.Sealed(h.APIKey), credentials.Sealed(h.BasicUser), credentials.Sealed(h.BasicPassword),
		),
	}
	if o.Principal == "" {
		o.Principal = r.HelperPrincipal
	}
	if h.Probe {
		o.Probe = client.Probe
	}
	return connect.NewHelperMode(o)
}

// checkRuntimeHost wants a host, with a port or with a star in place of its first labels.
func checkRuntimeHost(text string) error {
	l := connect.Limits{Hosts: []string{text}}
	return l.Check()
}
