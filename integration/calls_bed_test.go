package integration_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

const (
	callSecret   = "caller-key-0123456789abcdef"
	updateSecret = "update-key-0123456789abcdef"
)

// callBed is a bed whose site also makes calls on behalf of customers, below /proxy.
type callBed struct {
	*connectBed
	up   *endpoint // what is called
	keys *keyring
}

// callParts are what a test puts into the Caddyfile of a bed.
type callParts struct {
	integration string // in the block of the integration, beside base_url and allow_hosts
	target      string // in their place
	form        string // in the block of aws_sigv4 connection, beside those below
	options     string // in place of id, integration, api_key and strip_prefix
	http        string // of the transport
	proxy       string // the directives below /proxy, in place of aws_sigv4 connection
	global      string // in the global options
	errors      string // of the site
	more        string // in the global option aws_sigv4
}

const callOptions = "id {header.connection-id}\nintegration {header.provider-config-key}\n" +
	"api_key backend {env.CALL_KEY}\nstrip_prefix /proxy\n"

// newCallBed does not start Caddy. What is called has TLS, and knows the sessions of roles that end in Acme
// and Other.
func newCallBed(t *testing.T, decide func(*wireverify.Request) (wireverify.Action, bool)) *callBed {
	t.Helper()
	b := &callBed{connectBed: newConnectBed(t), keys: &keyring{keys: map[string]wireverify.Key{}}}
	for n := range 200 {
		for _, role := range []string{"ACME", "OTHER"} {
			b.keys.keys[fmt.Sprintf("ASIA%s%03d", role, n)] = wireverify.Key{
				Secret: fmt.Sprintf("issued-secret-%d", n), Token: fmt.Sprintf("issued-token-%d//+==", n),
			}
		}
	}
	t.Setenv("CALL_KEY", callSecret)
	b.up = newTLSEndpoint(t, b.keys, decide)
	return b
}

// config is the Caddyfile of the bed.
func (b *callBed) config(p callParts) string {
	if p.target == "" {
		p.target = "base_url https://" + b.up.Addr() + "\nallow_hosts " + b.up.Addr()
	}
	if p.options == "" {
		p.options = callOptions
	}
	if p.http == "" {
		p.http = "tls_insecure_skip_verify"
	}
	if p.proxy == "" {
		p.proxy = "aws_sigv4 connection {\n" + p.options + p.form + "\ntransport aws_sigv4 {\n" + p.http + "\n}\n}"
	}
	return strings.Replace(b.caddyfile(connectParts{
		before: p.global, handler: "api_key updater " + updateSecret + " {\nscopes connections:update\n}", integration: p.target + "\n" + p.integration,
		wrap: "handle /proxy* {\n" + p.proxy + "\n}\n" + p.errors + "\nhandle",
	}), "integration acme-s3 {", p.more+"\nintegration acme-s3 {", 1)
}

// connected has a customer connect a role, and returns the connection's ID.
func (b *callBed) connected(organization, role string) string {
	b.t.Helper()
	_, link := b.session(organization)
	c := b.follow(link)
	b.makeRole(role, c.read(shownExternalID))
	c.submit(role, "").expect(b.t, 303)
	c.wait("succeeded")
	waitFor(b.t, patience, func() bool { return b.idOf(organization) != "" }, "the connection of %s to be audited", organization)
	return b.idOf(organization)
}

func (b *callBed) idOf(organization string) string {
	lines, _ := b.told()
	for _, l := range lines {
		if l["event"] == "connection_created" && l["organization"] == organization {
			return fmt.Sprint(l["connection"])
		}
	}
	return ""
}

// as returns the header lines of a call.
func as(connection string, more ...string) []string {
	return append([]string{
		"Authorization: Bearer " + callSecret, "Connection-Id: " + connection, "Provider-Config-Key: acme-s3",
	}, more...)
}

// without returns header lines without one, or with another in its place.
func without(lines []string, name string, instead ...string) []string {
	return append(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return strings.HasPrefix(l, name+":") }), instead...)
}

// expectError fails the test if a reply is not the error.
func (r reply) expectError(t *testing.T, status int, code string) {
	t.Helper()
	var body struct {
		Error struct{ Code, Message string }
	}
	if r.status != status || json.Unmarshal([]byte(r.body), &body) != nil || body.Error.Code != code || body.Error.Message == "" {
		t.Errorf("answered %v, want status %d and code %s", r, status, code)
	}
	if strings.Contains(r.body, callSecret) || strings.Contains(r.body, "issued-") {
		t.Errorf("a secret is in %v", r)
	}
}
