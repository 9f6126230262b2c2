package awssigv4

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// Target says for which endpoint a request is signed, and as whom. What is
// left out is found out from the host, or taken from the next outer place
// that says it.
type Target struct {
	// The signing name of the service, such as `s3` or `execute-api`. Default:
	// inferred from the host; a host that is no AWS host needs it. If it holds
	// a placeholder that is filled from the request, `allow_services` is
	// required.
	Service string `json:"service,omitempty"`

	// The region that the endpoint verifies for, such as `eu-west-1`. Default:
	// inferred from the host; a host that is no AWS host needs it. If it holds
	// a placeholder that is filled from the request, `allow_regions` is
	// required.
	Region string `json:"region,omitempty"`

	// The Host that is sent and signed, `NAME[:PORT]`. A default port is
	// neither signed nor sent. Default: what a `header_up Host` sets, else the
	// upstream that is dialled; never what the client sent. If it holds a
	// placeholder that is filled from the request, `allow_hosts` is required.
	Host string `json:"host,omitempty"`

	// The name of credentials that the `aws_sigv4` app defines. Excludes
	// `credentials`.
	CredentialsName string `json:"credentials_name,omitempty"`

	// Where credentials come from, if they are not among the named ones.
	// Default: the AWS SDK's default chain.
	CredentialsRaw json.RawMessage `json:"credentials,omitempty" caddy:"namespace=aws_sigv4.credentials inline_key=source"`

	service, region, host value
	source                credentials.Source

	// needsCertificate tells that what no client may choose comes from its
	// certificate, which must have been verified then.
	needsCertificate bool
	// identity is set if no request is needed to know it.
	identity *credentials.Identity
}

// provision resolves what doesn't need a request, and loads the credentials.
func (t *Target) provision(ctx caddy.Context, app *App, allow *Allow) error {
	var err error
	if t.service, err = newValue(t.Service, endpoint.CheckService); err != nil {
		return fieldError("service", err)
	}
	if t.region, err = newValue(t.Region, endpoint.CheckRegion); err != nil {
		return fieldError("region", err)
	}
	if t.host, err = newValue(t.Host, checkHost); err != nil {
		return fieldError("host", err)
	}
	for _, f := range []struct {
		name  string
		v     value
		allow []string
	}{
		{"service", t.service, allow.Services},
		{"region", t.region, allow.Regions},
		{"host", t.host, allow.Hosts},
	} {
		if f.v.perRequest() && len(f.allow) == 0 {
			return fieldError(f.name, fmt.Errorf("%q is filled from the request: say with allow_%ss which values it may take", f.v.raw, f.name))
		}
	}
	return t.loadCredentials(ctx, app, allow)
}

func (t *Target) loadCredentials(ctx caddy.Context, app *App, allow *Allow) error {
	switch {
	case t.CredentialsName != "" && len(t.CredentialsRaw) > 0:
		return fieldError("credentials_name", errors.New("credentials are given too: write one of the two"))
	case t.CredentialsName != "":
		src, err := app.Source(t.CredentialsName)
		if err != nil {
			return fieldError("credentials_name", err)
		}
		t.source = src
	case len(t.CredentialsRaw) > 0:
		mod, err := ctx.LoadModule(t, "CredentialsRaw")
		if err != nil {
			return fieldError("credentials", err)
		}
		src, ok := mod.(credentials.Source)
		if !ok {
			return fieldError("credentials", fmt.Errorf("module %T is not a source of credentials", mod))
		}
		if chained, ok := src.(credentials.Chained); ok {
			if err := chained.SetResolver(app); err != nil {
				return fieldError("credentials", err)
			}
		}
		t.source = src
	default:
		return nil
	}
	if err := app.checkIdentity(t.source, len(allow.Roles) > 0); err != nil {
		return fieldError("credentials", err)
	}
	if t.source.PerRequest() {
		t.needsCertificate = sources.NeedsVerifiedCertificate(t.source)
		return nil
	}
	id, err := t.source.Identity(nil)
	if err != nil {
		return fieldError("credentials", err)
	}
	if err := allow.permitRole(id); err != nil {
		return fieldError("allow_roles", err)
	}
	t.identity = &id
	return nil
}

// namesCredentials tells whether this place says whose credentials to use.
func (t *Target) namesCredentials() bool { return t.source != nil }

// resolveIdentity returns the identity for one request. It must not be called
// if namesCredentials is false.
func (t *Target) resolveIdentity(client *tls.ConnectionState, repl *caddy.Replacer) (credentials.Identity, error) {
	if t.identity != nil {
		return *t.identity, nil
	}
	if t.needsCertificate && (client == nil || len(client.VerifiedChains) == 0) {
		return credentials.Identity{}, errors.New("the client's certificate decides on the External ID, source identity or policy, and " +
			"none was verified: let `client_auth` have the mode require_and_verify and a trust_pool")
	}
	return t.source.Identity(expander(repl))
}

// expander fills placeholders from one request; nil without one.
func expander(repl *caddy.Replacer) credentials.Expander {
	if repl == nil {
		return nil
	}
	return func(v string) (string, error) { return repl.ReplaceOrErr(v, true, true) }
}

// value is a configured string that is known at Provision, or only with a
// request at hand.
type value struct {
	raw, fixed string
	check      func(string) error
}

func newValue(raw string, check func(string) error) (value, error) {
	v := value{raw: raw, check: check}
	if raw == "" || sources.NeedsRequest(raw) {
		return v, nil
	}
	fixed, err := sources.ResolveFixed(raw)
	if err != nil {
		return v, err
	}
	v.fixed = fixed
	return v, check(fixed)
}

func (v value) perRequest() bool { return v.raw != "" && v.fixed == "" }

// resolve returns the value for one request, or "" if none is configured.
// What the request fills in is data: it is checked, and not expanded again.
func (v value) resolve(repl *caddy.Replacer) (string, error) {
	if !v.perRequest() {
		return v.fixed, nil
	}
	if repl == nil {
		return "", fmt.Errorf("%q is filled from the request of a client, and this is none: write a fixed value", v.raw)
	}
	s, err := repl.ReplaceOrErr(v.raw, true, true)
	if err != nil {
		return "", err
	}
	return s, v.check(s)
}

// checkHost reports a Host that could not be sent.
func checkHost(host string) error {
	if len(host) > 1 && host[0] == '*' {
		return fmt.Errorf("%q is a pattern: write one host", host)
	}
	if len(host) > 260 || !onlyHostBytes(host) {
		return fmt.Errorf("%.80q is not a host: write HOST or HOST:PORT, of letters, digits, `-`, `_` and `.`", host)
	}
	return checkHostPattern(host)
}

const hostBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:[]"

func onlyHostBytes(host string) bool {
	for i := range len(host) {
		if strings.IndexByte(hostBytes, host[i]) < 0 {
			return false
		}
	}
	return true
}
