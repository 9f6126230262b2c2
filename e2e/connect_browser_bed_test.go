package e2e_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/seal"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/web"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// browserIntegrations are those in whose failures no role of a customer's has a part, or only with a setting of the operator's.
const browserIntegrations = `
		integration tagging {
			display_name "Acme Analytics"
			service s3
			region <region>
			sts credentials broker
			tag team search
		}
		integration lasting {
			display_name "Acme Analytics"
			service s3
			region <region>
			sts credentials broker
			duration 2h
		}
		integration choosy {
			display_name "Acme Analytics"
			service s3
			regions eu-west-1 us-east-1
			sts credentials broker
		}
		integration brokerless {
			display_name "Acme Analytics"
			service s3
			region <region>
			sts credentials static AKIANOBODYHASTHISKEY no-secret-of-anybody-either-0123456789
		}
		integration unreachable {
			display_name "Acme Analytics"
			service s3
			region <region>
			sts helper http://<nobody>/ {
				principal ` + brokerARN + `
				probe
			}
		}
		integration refused {
			display_name "Acme Analytics"
			service s3
			region <region>
			sts helper http://<site>/sts/assume-role {
				principal ` + brokerARN + `
				probe
				api_key a-key-that-the-helper-does-not-know
			}
		}
		integration unproven {
			display_name "Acme Analytics"
			service s3
			region <region>
			sts helper http://<site>/sts/assume-role {
				principal ` + brokerARN + `
				probe
				api_key another-key-of-32-letters-or-more
			}
		}`

// browserRoutes has the page once more, for frames.
const browserRoutes = `
	handle /framed/* {
		aws_connect {
			api_key backend vendor-key-of-32-letters-or-more
			return_urls http://localhost:3000/
			frame_ancestors <ancestor>
			base_url http://<site>/framed
		}
	}`

// embedder is a page of another site that has what its query names in a frame.
func (b *bed) embedder() string {
	b.t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		b.t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Settings</title><h1>Settings</h1><iframe title="Connect" src="%s" style="width: 100%%; height: 40rem"></iframe>`,
			html.EscapeString(r.URL.Query().Get("frame")))
	}))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	b.t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "http://localhost:" + port
}

// own is a Connect of its own beside Caddy, for what could be brought about there only by waiting or by breaking what others use.
type own struct {
	b       *bed
	service *connect.Service
	mode    *ownMode
	storage *ownStorage
	later   atomic.Int64 // how much time has passed by its clock besides what really has, as a time.Duration
	url     string
}

// ownMode is a broker, but for what a test has it do.
type ownMode struct {
	connect.Mode
	assume func(ctx context.Context, in sts.AssumeRoleInput) (sts.AssumeRoleInput, error) // before it assumes a role
	probe  *sts.ProbeResult
}

func (m *ownMode) AssumeRole(ctx context.Context, in sts.AssumeRoleInput) (sigv4.Credentials, time.Time, error) {
	if m.assume != nil {
		var err error
		if in, err = m.assume(ctx, in); err != nil {
			return sigv4.Credentials{}, time.Time{}, err
		}
	}
	return m.Mode.AssumeRole(ctx, in)
}

func (m *ownMode) Probe(ctx context.Context, in sts.AssumeRoleInput) sts.ProbeResult {
	if m.probe != nil {
		return *m.probe
	}
	return m.Mode.Probe(ctx, in)
}

// ownStorage can fail.
type ownStorage struct {
	storetest.Memory
	broken atomic.Bool
}

var errBroken = errors.New("the storage is broken")

func (s *ownStorage) Lock(ctx context.Context, name string) error {
	if s.broken.Load() {
		return errBroken
	}
	return s.Memory.Lock(ctx, name)
}

func (s *ownStorage) Load(ctx context.Context, key string) ([]byte, error) {
	if s.broken.Load() {
		return nil, errBroken
	}
	return s.Memory.Load(ctx, key)
}

var _ certmagic.Storage = (*ownStorage)(nil)

// s3Templates is a way to AWS on which only one template of a vendor's bucket is found.
type s3Templates struct{ template []byte }

const templateURL = "https://acme-templates.s3.eu-west-1.amazonaws.com/s3-readonly.json"

func (s s3Templates) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.String() != templateURL {
		return nil, errors.New("there is nothing else")
	}
	w := httptest.NewRecorder()
	_, err := w.Write(s.template)
	return w.Result(), err
}

// own starts one, with what a test changes.
func (b *bed) own(change func(*connect.ServiceOptions, *connect.Integration)) *own {
	b.t.Helper()
	must := func(err error) {
		b.t.Helper()
		if err != nil {
			b.t.Fatal(err)
		}
	}
	o := &own{b: b, storage: &ownStorage{}}
	clock := func() time.Time { return time.Now().Add(time.Duration(o.later.Load())) }
	key, err := seal.ParseKey(base64.StdEncoding.EncodeToString([]byte("0123456789abcdefghijklmnopqrstuv")))
	must(err)
	ring, err := seal.NewRing(key)
	must(err)
	store, err := connect.Open(o.storage, ring, connect.Options{Clock: clock})
	must(err)
	cache := credentials.NewCache(credentials.Options{})
	b.t.Cleanup(cache.Close)
	client := sts.NewClient(sts.Config{})
	broker, err := connect.NewBrokerMode(connect.BrokerOptions{
		Client: client, Cache: cache, Name: "broker", STS: sts.Where{Region: b.Region(), Endpoint: b.STS()},
		Broker: credentials.Identity{
			Key: "broker", Label: "broker", Local: true,
			Fetch: func(context.Context, *credentials.Credentials) (*credentials.Credentials, error) {
				return credentials.New(sigv4.Credentials{AccessKeyID: b.broker.AccessKeyID, SecretAccessKey: b.broker.SecretAccessKey}, time.Time{}, time.Now()), nil
			},
		},
	})
	must(err)
	o.mode = &ownMode{Mode: broker}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(b.CA())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	b.t.Cleanup(transport.CloseIdleConnections)
	options := connect.ServiceOptions{Store: store, STS: client, Clock: clock, PropagationWait: -1, HTTPClient: &http.Client{Transport: transport}}
	integration := connect.Integration{Key: "acme-s3", DisplayName: "Acme Analytics", Service: "s3", Region: b.Region()}
	if change != nil {
		change(&options, &integration)
	}
	options.Integrations = map[string]*connect.Configured{"acme-s3": {Integration: integration, Mode: o.mode}}
	o.service, err = connect.NewService(options)
	must(err)
	b.t.Cleanup(o.service.Close)
	handler, err := web.New(web.Options{Service: o.service})
	must(err)
	server := httptest.NewServer(handler)
	b.t.Cleanup(server.Close)
	o.url = server.URL
	return o
}

// session makes a connect session, and returns its token and its link.
func (o *own) session() (token, link string) {
	o.b.t.Helper()
	token, _, err := o.service.CreateSession(o.b.t.Context(), connect.NewSession{Integration: "acme-s3", Organization: connect.Organization{ID: "globex", DisplayName: "Globex"}})
	if err != nil {
		o.b.t.Fatal(err)
	}
	return token, o.url + "/connect/?session_token=" + token
}

// atAnotherHost is a link to a server of this machine by a name that does not tell so.
func atAnotherHost(link string) string { return strings.Replace(link, "127.0.0.1", "connect.test", 1) }

// denied is what AWS says when a role can't be assumed.
func denied(ctx context.Context, m *ownMode, in sts.AssumeRoleInput) error {
	in.RoleARN = "arn:aws:iam::444455556666:role/NotThere"
	_, _, err := m.Mode.AssumeRole(ctx, in)
	return err
}
