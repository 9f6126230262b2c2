package integration_test

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// keyring holds the keys that endpoints of a test know.
type keyring struct {
	mu   sync.Mutex
	keys map[string]wireverify.Key
}

func newKeyring() *keyring {
	return &keyring{keys: map[string]wireverify.Key{"AKIDALICE": {Secret: "alice/secret+access=key"}}}
}

// alice is the Caddyfile of the one key that every keyring has.
const alice = "credentials static AKIDALICE alice/secret+access=key"

func (k *keyring) add(id string, key wireverify.Key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[id] = key
}

func (k *keyring) get(id string) (wireverify.Key, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.keys[id]
	return key, ok
}

// endpoint plays an AWS endpoint: it answers 200 and who signed, or 403 and why
// the request is refused.
type endpoint struct {
	*wireverify.Server
	t      *testing.T
	keys   *keyring
	host   string // the one Host that it serves; by default its address
	decide func(head *wireverify.Request) (wireverify.Action, bool)
}

// newEndpoint starts an endpoint on loopback. decide may do something else
// with a request; it may be nil.
func newEndpoint(t *testing.T, keys *keyring, decide func(head *wireverify.Request) (wireverify.Action, bool)) *endpoint {
	t.Helper()
	return listenEndpoint(t, "127.0.0.1:0", nil, keys, decide)
}

// newTLSEndpoint is newEndpoint with TLS, for which Caddy is told to trust
// anything.
func newTLSEndpoint(t *testing.T, keys *keyring, decide func(head *wireverify.Request) (wireverify.Action, bool)) *endpoint {
	t.Helper()
	return listenEndpoint(t, "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate(t).cert}}, keys, decide)
}

func listenEndpoint(t *testing.T, addr string, config *tls.Config, keys *keyring, decide func(head *wireverify.Request) (wireverify.Action, bool)) *endpoint {
	t.Helper()
	e := &endpoint{t: t, keys: keys, decide: decide}
	var err error
	e.Server, err = wireverify.Listen(addr, config, e.act)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) act(head *wireverify.Request) wireverify.Action {
	if e.decide != nil {
		if a, ok := e.decide(head); ok {
			return a
		}
	}
	return wireverify.Action{Respond: func(r *wireverify.Request) wireverify.Response {
		s, err := e.verify(r)
		if err != nil {
			return wireverify.Response{Status: 403, Body: "SignatureDoesNotMatch: " + err.Error()}
		}
		return wireverify.Response{Body: fmt.Sprintf("%s signed for %s in %s", s.AccessKeyID, s.Service, s.Region)}
	}}
}

func (e *endpoint) verify(r *wireverify.Request) (wireverify.Signature, error) {
	v := &wireverify.Verifier{Key: e.keys.get}
	s, err := v.Verify(r)
	host := e.host
	if host == "" {
		host = e.Addr()
	}
	if err == nil && r.Get("Host") != host {
		err = fmt.Errorf("the Host is %q, and this is %q", r.Get("Host"), host)
	}
	return s, err
}

// all returns the requests so far and fails the test if there are not n, or if
// one is not rightly signed.
func (e *endpoint) all(n int) []*wireverify.Request {
	e.t.Helper()
	requests := e.Wait(n, time.Second)
	if len(requests) != n {
		e.t.Fatalf("the endpoint received %d requests, want %d", len(requests), n)
	}
	for _, r := range requests {
		if _, err := e.verify(r); err != nil {
			e.t.Errorf("%s: %v", r.Line, err)
		}
	}
	return requests
}

// nothing fails the test if the endpoint received anything.
func (e *endpoint) nothing() {
	e.t.Helper()
	for _, r := range e.Requests() {
		e.t.Errorf("the endpoint received %q", r.Line)
	}
	for _, err := range e.Malformed() {
		e.t.Errorf("the endpoint received what is no request: %v", err)
	}
}

// last returns the latest request of an endpoint that received some.
func (e *endpoint) last() *wireverify.Request {
	e.t.Helper()
	requests := e.Requests()
	if len(requests) == 0 {
		e.t.Fatal("the endpoint received nothing")
	}
	return requests[len(requests)-1]
}

// testCertificate is a certificate with the files that Caddy reads it from.
type testCertificate struct {
	cert              tls.Certificate
	pem               []byte
	certFile, keyFile string
}

var certificateOnce struct {
	sync.Mutex
	made *testCertificate
}

// certificate returns the certificate for loopback.
func certificate(t *testing.T) *testCertificate {
	t.Helper()
	certificateOnce.Lock()
	defer certificateOnce.Unlock()
	if certificateOnce.made == nil {
		cert, certPEM, keyPEM, err := wireverify.NewCertificate("localhost", "127.0.0.1", "::1")
		if err != nil {
			t.Fatal(err)
		}
		dir, err := os.MkdirTemp("", "certificate")
		if err != nil {
			t.Fatal(err)
		}
		c := &testCertificate{cert: cert, pem: certPEM, certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem")}
		for name, text := range map[string][]byte{c.certFile: certPEM, c.keyFile: keyPEM} {
			if err := os.WriteFile(name, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		certificateOnce.made = c
	}
	return certificateOnce.made
}
