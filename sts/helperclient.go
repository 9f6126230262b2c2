package sts

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/dial"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

const (
	// DefaultHelperTimeout is how long a call of an STS helper may take if nothing else is said. It
	// leaves a third of the time that a fetch has.
	DefaultHelperTimeout = 10 * time.Second

	// MaxHelperTimeout is how long it may take at most: after that the fetch is over anyway.
	MaxHelperTimeout = 15 * time.Second

	// UnknownHelperLife is how long credentials are used of which an STS helper does not say when
	// they expire.
	UnknownHelperLife = 5 * time.Minute

	maxHelperAnswer = 64 << 10
)

// HelperInput is what an STS helper is asked for. All four are sent, be they empty or not.
type HelperInput struct {
	// RoleARN is the role whose credentials are wanted.
	RoleARN string

	// ExternalID is what the role's trust policy asks for; it may be empty.
	ExternalID string

	// Region and Service say where the credentials are going to be used. Many helpers pay no heed
	// to them.
	Region, Service string
}

// Check says whether AWS would accept the form of the input. An error names the field.
func (in HelperInput) Check() error {
	for _, c := range []struct {
		field string
		err   error
	}{
		{"role_arn", CheckRoleARN(in.RoleARN)},
		{"external_id", checkOptional(in.ExternalID, CheckExternalID)},
		{"region", checkOptional(in.Region, func(r string) error { return CheckPartitions(in.RoleARN, r) })},
		{"service", checkOptional(in.Service, endpoint.CheckService)},
	} {
		if c.err != nil {
			return fmt.Errorf("%s: %w", c.field, c.err)
		}
	}
	return nil
}

// HelperConfig configures a HelperClient.
type HelperConfig struct {
	// URL is what is called, for example https://sts-helper.example.com/assume-role.
	URL string

	// Auth is what the helper knows its callers by. The zero value sends nothing.
	Auth HelperAuth

	// ClientCertificate returns the certificate to show if the helper asks for one. It is called
	// for each connection, so that a renewed one is used. Nil: there is none.
	ClientCertificate func() (*tls.Certificate, error)

	// RootCAs are whom the helper's certificate may come from. Nil: the system's.
	RootCAs *x509.CertPool

	// Timeout bounds one call. Default: DefaultHelperTimeout.
	Timeout time.Duration

	// Insecure permits http to other hosts than this machine. Whoever is on the way then reads
	// secrets and credentials.
	Insecure bool

	// OperatorHosts are the hosts, as of dial.Policy.Operator, that may be at private addresses or on
	// this machine. An empty list that is not nil has none. Default: the URL's, which the operator
	// wrote.
	OperatorHosts []string
}

// HelperClient calls an STS helper: a service that assumes roles with its own broker's credentials, and
// hands out the sessions. It is safe for concurrent use.
type HelperClient struct {
	url     *url.URL
	auth    HelperAuth
	timeout time.Duration
	http    *http.Client
}

// NewHelperClient returns a client. It does no I/O.
func NewHelperClient(cfg HelperConfig) (*HelperClient, error) {
	u, err := ParseHelperURL(cfg.URL, cfg.Insecure)
	if err != nil {
		return nil, err
	}
	if cfg.Timeout < 0 || cfg.Timeout > MaxHelperTimeout {
		return nil, fmt.Errorf("timeout %v: write up to %v", cfg.Timeout, MaxHelperTimeout)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultHelperTimeout
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.RootCAs}
	if cfg.ClientCertificate != nil {
		if u.Scheme != "https" {
			return nil, errors.New("a client certificate is shown over https only: write https:// in the URL")
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, err := cfg.ClientCertificate()
			if err != nil {
				return nil, &certificateError{err}
			}
			return cert, nil
		}
	}
	policy := &dial.Policy{Operator: cfg.OperatorHosts}
	if cfg.OperatorHosts == nil {
		policy.Operator = []string{u.Host}
	}
	transport := policy.NewTransport(config)
	if u.Scheme == "http" && !cfg.Insecure {
		transport.DialContext = onlyLoopback(transport.DialContext)
	}
	return &HelperClient{
		url:     u,
		auth:    cfg.Auth,
		timeout: cfg.Timeout,
		http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

const exampleHelperURL = "https://sts-helper.example.com/assume-role"

// ParseHelperURL says whether an URL can be that of an STS helper: https, or http if the host is this
// machine or insecure is set. The error does not repeat more of it than the host.
func ParseHelperURL(raw string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return nil, fmt.Errorf("there is no URL: write one like %s", exampleHelperURL)
	case err != nil:
		return nil, fmt.Errorf("this is no URL: write one like %s", exampleHelperURL)
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "" || u.Opaque != "":
		return nil, fmt.Errorf("the URL does not begin with https:// and a host: write one like %s", exampleHelperURL)
	case u.Hostname() == "" || strings.ContainsAny(u.Host, " *{}"):
		return nil, fmt.Errorf("the URL's host %q is none: write one like %s", clip.Text(u.Host), exampleHelperURL)
	case u.User != nil:
		return nil, fmt.Errorf("the URL of %s holds a user: write it with the option `basic`", clip.Text(u.Host))
	case u.Fragment != "" || strings.HasSuffix(raw, "#"):
		return nil, fmt.Errorf("the URL of %s has a fragment, which is never sent: leave out what follows the #", clip.Text(u.Host))
	case u.Scheme == "http" && !insecure && !isThisMachine(u.Hostname()):
		return nil, fmt.Errorf("http to %s would send secrets and credentials in clear: write https, or `insecure` if the network in between is safe", clip.Text(u.Host))
	}
	return u, nil
}

// isThisMachine says whether a host is this machine by its name alone. See RFC 6761 §6.3 on localhost.
func isThisMachine(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// onlyLoopback refuses connections to other machines: some resolvers know another localhost.
func onlyLoopback(next dial.Func) dial.Func {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := next(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
			conn.Close()
			return nil, &notLoopbackError{address, conn.RemoteAddr().String()}
		}
		return conn, nil
	}
}

type notLoopbackError struct{ host, addr string }

func (e *notLoopbackError) Error() string {
	return fmt.Sprintf("%s is at %s, which is not this machine, and http would send secrets in clear: write https", e.host, e.addr)
}

// Host returns the host of the helper, with its port if the URL has one. It is fit for logs.
func (c *HelperClient) Host() string { return c.url.Host }

// AssumeRole asks the helper for credentials, and returns them and when they expire by this machine's
// clock. Input that AWS would refuse is refused before the call. What the helper answers instead, and
// what prevents an answer, is a *HelperError.
func (c *HelperClient) AssumeRole(ctx context.Context, in HelperInput) (sigv4.Credentials, time.Time, error) {
	var none sigv4.Credentials
	if err := in.Check(); err != nil {
		return none, time.Time{}, err
	}
	var creds sigv4.Credentials
	var expires time.Time
	err := c.ask(ctx, c.url, in, func(header http.Header, body []byte) error {
		now := time.Now()
		var err error
		if creds, expires, err = parseHelperAnswer(body, now); err != nil {
			return err
		}
		expires = byThisClock(expires, header.Get("Date"), now)
		return nil
	})
	if err != nil {
		return none, time.Time{}, err
	}
	return creds, expires, nil
}

func (c *HelperClient) teller(in HelperInput) *teller {
	// MFA: the advice to write a device down would be about options of the helper's operator.
	known := Known{RoleARN: in.RoleARN, ExternalID: in.ExternalID != "", Region: in.Region, MFA: true}
	return &teller{role: in.RoleARN, secrets: append([]string{in.ExternalID}, c.auth.secrets...), known: known}
}

// ask sends the input to the helper, and has an answer read that is no refusal. An error of read says what
// is wrong with the answer.
func (c *HelperClient) ask(ctx context.Context, to *url.URL, in HelperInput, read func(http.Header, []byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()

	req, err := c.request(ctx, to, in)
	if err != nil {
		return err
	}
	told := c.teller(in)
	res, err := c.http.Do(req)
	if err != nil {
		return c.noAnswer(ctx, told, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxHelperAnswer+1))
	switch {
	case err != nil:
		return c.noAnswer(ctx, told, fmt.Errorf("the answer broke off: %w", err))
	case res.StatusCode < 200 || res.StatusCode > 299:
		return c.refusal(res, told, body)
	case len(body) > maxHelperAnswer:
		return c.refusedAnswer(res, told, nil, fmt.Sprintf("the answer has more than %d bytes: is this the URL of an STS helper?", maxHelperAnswer))
	}
	if err := read(res.Header, body); err != nil {
		return c.refusedAnswer(res, told, body, err.Error())
	}
	return nil
}

// byThisClock keeps a slow clock of this machine from prolonging a session: it lasts no longer than it
// had left by the helper's clock.
func byThisClock(expires time.Time, date string, now time.Time) time.Time {
	sent, err := http.ParseTime(date)
	if left := expires.Sub(sent); err == nil && left > 0 {
		return earlier(expires, now.Add(left))
	}
	return expires
}

func (c *HelperClient) request(ctx context.Context, to *url.URL, in HelperInput) (*http.Request, error) {
	body, err := json.Marshal(struct {
		RoleARN    string `json:"role_arn"`
		ExternalID string `json:"external_id"`
		Region     string `json:"region"`
		Service    string `json:"service"`
	}{in.RoleARN, in.ExternalID, in.Region, in.Service})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "caddy-aws-sigv4")
	if c.auth.header != "" {
		req.Header[c.auth.header] = []string{c.auth.value}
	}
	// It may be sent again over a new connection if the helper has closed the old one meanwhile. A key
	// without a value says so to net/http and is not sent.
	req.Header["Idempotency-Key"] = nil
	return req, nil
}
