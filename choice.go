package awssigv4

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// choice puts together what the upstream's block, the handler's plan and the
// transport's own options say, in this order.
type choice struct {
	t     *Transport
	block *UpstreamTarget
	plan  *plan
	repl  *caddy.Replacer

	// client is the TLS connection that the client's request came by, if any.
	client *tls.ConnectionState
}

func (c *choice) pick(of func(*Target) value, planned func(*plan) string) (string, error) {
	if c.block != nil && of(&c.block.Target).raw != "" {
		return of(&c.block.Target).resolve(c.repl)
	}
	if c.plan != nil {
		if v := planned(c.plan); v != "" {
			return v, nil
		}
	}
	return of(&c.t.Target).resolve(c.repl)
}

func (c *choice) host(userHost func() string, dialled string) (string, error) {
	host, err := c.pick(func(t *Target) value { return t.host }, func(p *plan) string { return p.host })
	switch {
	case err != nil:
		return "", refuse(http.StatusForbidden, "host: %w", err)
	case host != "":
		return host, nil
	}
	return cmp.Or(userHost(), dialled), nil
}

func (c *choice) scope() (service, region string, err error) {
	if service, err = c.pick(func(t *Target) value { return t.service }, func(p *plan) string { return p.service }); err != nil {
		return "", "", refuse(http.StatusForbidden, "service: %w", err)
	}
	if region, err = c.pick(func(t *Target) value { return t.region }, func(p *plan) string { return p.region }); err != nil {
		return "", "", refuse(http.StatusForbidden, "region: %w", err)
	}
	return service, region, nil
}

// allowedByPlan asks the handler's allow-lists too, now that the destination
// is known.
func (c *choice) allowedByPlan(d destination, dialled string) error {
	if c.plan == nil {
		return nil
	}
	return c.plan.permit(d, dialled)
}

// options returns how the body and which headers are covered: as the transport
// says, else as the handler does.
func (c *choice) options() (bodyOptions, *sigv4.HeaderRules) {
	bodies, rules := c.t.bodyOptions(), c.t.rules
	if p := c.plan; p != nil {
		bodies.mode = cmp.Or(bodies.mode, p.bodies.mode)
		bodies.memory = cmp.Or(bodies.memory, p.bodies.memory)
		bodies.limit = cmp.Or(bodies.limit, p.bodies.limit)
		rules = cmp.Or(rules, p.rules)
	}
	return bodies, rules
}

// credentials returns whoever signs this attempt, with credentials.
func (c *choice) credentials(ctx context.Context) (by signedBy, err error) {
	var id credentials.Identity
	var perRequest bool
	switch {
	case c.block != nil && c.block.namesCredentials():
		id, err = c.t.allowedIdentity(&c.block.Target, c.client, c.repl)
		perRequest = c.block.source.PerRequest()
	case c.plan != nil && c.plan.identity != nil:
		id, perRequest = *c.plan.identity, c.plan.perRequest
		err = c.t.Allow.permitRole(id)
	default:
		id, err = c.t.identityOf(c.client, c.repl)
		perRequest = c.t.namesCredentials() && c.t.source.PerRequest()
	}
	if err == nil && c.plan != nil {
		err = c.plan.permitRole(id)
	}
	if err != nil {
		return by, err
	}
	creds, err := c.t.app.credentials(ctx, id)
	if ce, ok := errors.AsType[*credentials.Error](err); ok && perRequest {
		// Whose credentials are missing was the client's choice: it says
		// nothing about the upstream.
		return by, &refusal{credentialsStatus(ce), ce}
	}
	return signedBy{identity: id, creds: creds}, err
}

// userHost returns the Host that the operator put on the request, with
// `header_up Host` or `health_headers Host`, or "".
func (t *Transport) userHost(req *http.Request, repl *caddy.Replacer, dialled string) string {
	host := req.Host
	if host == "" || strings.EqualFold(host, dialled) || strings.EqualFold(host, req.URL.Host) {
		return ""
	}
	client, ok := "", false
	if repl != nil {
		client, ok = repl.GetString("http.request.hostport")
	}
	switch {
	case !ok:
		// A health check, which has no client.
		return host
	case t.hostChange != nil && t.hostChange.signed():
		return host
	case t.hostChange != nil:
		return ""
	}
	// Whoever uses this transport is not Caddy's reverse_proxy: what differs
	// from the client's own Host was put there by it.
	name, _ := repl.GetString("http.request.host")
	if strings.EqualFold(host, client) || strings.EqualFold(host, name) {
		return ""
	}
	return host
}
