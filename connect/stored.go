package connect

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// Stored is an integration that was written at run time, and is kept in the store. What it may name is
// less than what a configuration may: those who write it need not be those who run the server.
type Stored struct {
	Integration

	// Assume is how its roles are assumed.
	Assume Assume `json:"assume"`

	// Incarnation is random, and differs from that of another integration that had the key before.
	Incarnation string `json:"incarnation"`

	// Revision is random, and another one after each change of what a verification depends on.
	Revision string `json:"revision"`

	// Created is when it was made, Updated when it was last changed.
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// Assume says how the roles of an integration are assumed that was written at run time: with named
// credentials, an access key, or by a helper. Exactly one of these is given.
type Assume struct {
	// Credentials is the name of the broker's credentials, one of Runtime.Credentials.
	Credentials string `json:"credentials,omitempty"`

	// AccessKeyID and SecretAccessKey are an access key of the broker's.
	AccessKeyID     string `json:"access_key_id,omitempty"`
	SecretAccessKey string `json:"secret_access_key,omitempty"`

	// Helper is the STS helper that assumes the roles.
	Helper *AssumeHelper `json:"helper,omitempty"`

	// Region is the region of the STS that is called. Default: the connection's.
	Region string `json:"region,omitempty"`

	// FIPS calls the FIPS 140 endpoint of the region.
	FIPS bool `json:"fips,omitempty"`
}

// AssumeHelper is an STS helper.
type AssumeHelper struct {
	// URL is what is called, https.
	URL string `json:"url"`

	// Principal is the helper's broker, whom customers' roles have to trust: the ARN of a role or a
	// user, or a 12-digit account. Default: Runtime.HelperPrincipal.
	Principal string `json:"principal,omitempty"`

	// Probe says that the helper can find out whether a role asks for its External ID.
	Probe bool `json:"probe,omitempty"`

	// APIKey is what the helper knows this server by, in a header: sts.DefaultAPIKeyHeader if
	// APIKeyHeader is empty.
	APIKey       string `json:"api_key,omitempty"`
	APIKeyHeader string `json:"api_key_header,omitempty"`

	// BasicUser and BasicPassword are for HTTP Basic authentication, in place of an API key.
	BasicUser     string `json:"basic_user,omitempty"`
	BasicPassword string `json:"basic_password,omitempty"`
}

// Runtime permits integrations to be written at run time.
type Runtime struct {
	// Mode returns how the roles of an integration are assumed. It does no I/O, and its errors
	// repeat no secret.
	Mode func(*Integration, *Assume) (Mode, error)

	// Credentials are the names of the credentials that may be named as a broker's.
	Credentials []string

	// Hosts are those, HOST[:PORT] or *.SUFFIX, that may be at private addresses, or be called with
	// customers' credentials without being AWS's.
	Hosts []string

	// HelperPrincipal is the broker of helpers whose integrations name none.
	HelperPrincipal string
}

// SecretMask is shown in place of a secret.
const SecretMask = "***"

// maxStored is how many integrations may be written at run time, and maxStoredSize how many bytes of
// JSON all of them may have.
const (
	maxStored     = 1000
	maxStoredSize = 4 << 20
)

// clone returns a copy that shares nothing.
func (i *Stored) clone() *Stored {
	text, err := json.Marshal(i)
	if err != nil {
		panic(err) // It consists of texts and numbers.
	}
	c := new(Stored)
	if err := json.Unmarshal(text, c); err != nil {
		panic(err)
	}
	return c
}

// material is what a verification depends on.
func (i *Stored) material() string {
	m := *i
	m.DisplayName, m.Logo, m.Templates, m.Instructions = "", "", nil, nil
	m.Revision, m.Created, m.Updated = "", time.Time{}, time.Time{}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// sameMode says whether the two assume roles in the same way.
func (i *Stored) sameMode(other *Stored) bool {
	text := func(i *Stored) string {
		b, err := json.Marshal([]any{i.Assume, i.Service, i.Region})
		if err != nil {
			panic(err)
		}
		return string(b)
	}
	return text(i) == text(other)
}

// keepSecrets fills in the secrets of before where now has none, or what is shown in their place. A
// secret stays with what it was written for: it is not kept for another access key, nor shown to
// another host.
func (a *Assume) keepSecrets(before *Assume) error {
	for _, s := range a.secrets() {
		asked := *s.value == SecretMask
		if !asked && (*s.value != "" || !s.wanted) {
			continue
		}
		*s.value = ""
		for _, b := range before.secrets() {
			switch {
			case b.name != s.name || *b.value == "":
			case b.of != s.of:
				return fmt.Errorf("sts: %s: it was written for %s: write it again for %s", s.name, b.of, s.of)
			default:
				*s.value = *b.value
			}
		}
		if asked && *s.value == "" {
			return fmt.Errorf("sts: %s: there is none yet that could be kept: write it", s.name)
		}
	}
	return nil
}

// assumeSecret is a secret of Assume.
type assumeSecret struct {
	name   string
	value  *string
	of     string // what it goes with
	wanted bool   // whether it would be missing
}

func (a *Assume) secrets() []assumeSecret {
	all := []assumeSecret{{"secret_access_key", &a.SecretAccessKey, "the access key " + clip.Text(a.AccessKeyID), a.AccessKeyID != ""}}
	if h := a.Helper; h != nil {
		origin := clip.Text(h.URL)
		if u, err := url.Parse(h.URL); err == nil {
			origin = strings.ToLower(u.Scheme + "://" + u.Host)
		}
		all = append(
			all,
			assumeSecret{"helper.api_key", &h.APIKey, origin, h.APIKeyHeader != ""},
			assumeSecret{"helper.basic_password", &h.BasicPassword, origin, h.BasicUser != ""},
		)
	}
	return all
}

// HidesSecrets returns a copy with SecretMask in place of each secret that is there.
func (a *Assume) HidesSecrets() Assume {
	c := *a
	if a.Helper != nil {
		h := *a.Helper
		c.Helper = &h
	}
	for _, s := range c.secrets() {
		if *s.value != "" {
			*s.value = SecretMask
		}
	}
	return c
}

// check says whether the integration may be stored, without asking for what assumes its roles.
func (i *Stored) check(r *Runtime) error {
	if err := i.Check(); err != nil {
		return err
	}
	if i.Key == "." || i.Key == ".." {
		return fmt.Errorf("integration %s: no URL can name it: write another key", i.Key)
	}
	if err := sts.CheckPolicySize(i.Policy, nil); i.Policy != "" && err != nil {
		return fmt.Errorf("integration %s: policy: %w", i.Key, err)
	}
	if err := i.checkReach(r); err != nil {
		return err
	}
	return i.Assume.check(&i.Integration, r)
}

// checkReach has templates ask for the External ID, and keeps an integration from reading this server's files, and from having customers'
// credentials shown to whomever it names.
func (i *Stored) checkReach(r *Runtime) error {
	for _, t := range i.Templates {
		if t.ExternalIDParameter == "" {
			return fmt.Errorf("template %s: external_id_parameter is missing: write the name of its parameter that takes the customer's External ID", t.ID)
		}
		if t.File != "" {
			return fmt.Errorf("template %s: a file can be named in the server's configuration only: write url", t.ID)
		}
	}
	called := []struct{ field, text string }{{"base_url", i.BaseURL}}
	if i.TestCall != nil {
		called = append(called, struct{ field, text string }{"test_call", i.TestCall.target("us-east-1", "123456789012")})
	}
	for _, c := range called {
		u, err := url.Parse(c.text)
		if err != nil || u.Host == "" || r.lists(u.Host) {
			continue
		}
		if _, err := endpoint.Parse(u.Host); err != nil {
			return fmt.Errorf("%s: %s is no host of AWS's, and is not among the hosts that the operator lists: write another, or ask for it to be listed", c.field, clip.Text(u.Host))
		}
	}
	return nil
}

// lists says whether the operator lists a host.
func (r *Runtime) lists(host string) bool {
	return slices.ContainsFunc(r.Hosts, func(p string) bool { return matchesHost(strings.ToLower(p), host) })
}

func (a *Assume) check(i *Integration, r *Runtime) error {
	ways := 0
	for _, given := range []bool{a.Credentials != "", a.AccessKeyID != "" || a.SecretAccessKey != "", a.Helper != nil} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return fmt.Errorf("sts: write one of credentials, access_key_id with secret_access_key, and helper, and here are %d", ways)
	case a.Credentials != "" && !slices.Contains(r.Credentials, a.Credentials):
		return fmt.Errorf("sts: credentials %q may not be used here (allowed: %s)", clip.Text(a.Credentials), orNone(r.Credentials))
	case a.AccessKeyID != "" && a.SecretAccessKey == "":
		return errors.New("sts: secret_access_key is missing: write the one of the access key")
	case a.SecretAccessKey != "" && a.AccessKeyID == "":
		return errors.New("sts: access_key_id is missing: write the one of the secret access key")
	case strings.ContainsFunc(a.AccessKeyID+a.SecretAccessKey, func(c rune) bool { return c <= ' ' || c > '~' }):
		return errors.New("sts: the access key holds a blank or a character that none has: write it alone")
	case len(a.AccessKeyID) > 128 || len(a.SecretAccessKey) > 256:
		return errors.New("sts: the access key is too long to be one")
	}
	if a.Region != "" {
		if _, ok := endpoint.PartitionOf(a.Region); !ok {
			return fmt.Errorf("sts: region %q is not the name of an AWS region: write one like us-east-1", clip.Text(a.Region))
		}
	}
	if a.Helper != nil {
		return a.Helper.check(i, r)
	}
	return nil
}

func (h *AssumeHelper) check(i *Integration, r *Runtime) error {
	u, err := sts.ParseHelperURL(h.URL, false)
	switch {
	case err != nil:
		return fmt.Errorf("sts: helper: url: %w", err)
	case u.Scheme != "https" && !r.lists(u.Host):
		return fmt.Errorf("sts: helper: url: %s is not https: write https://", clip.Text(u.Host))
	case h.APIKey == "" && h.APIKeyHeader != "":
		return errors.New("sts: helper: api_key is missing: write it, or leave api_key_header out")
	case h.BasicPassword == "" && h.BasicUser != "":
		return errors.New("sts: helper: basic_password is missing: write it, or leave basic_user out")
	case h.APIKey != "" && h.BasicPassword != "":
		return errors.New("sts: helper: api_key and basic_password are both there: write one of the two")
	case h.Principal == "" && r.HelperPrincipal == "":
		return errors.New("sts: helper: principal is missing (stsPrincipal in integration_config), so customers would not know whom their roles have to trust: write the ARN of the role or user that the helper assumes roles as, or have the operator write helper_principal in runtime_integrations")
	case i.Duration != 0 || len(i.Tags) > 0 || i.Policy != "":
		return errors.New("how long sessions last, their tags and their policy are the helper's business: leave duration, tags and policy out, and write them there")
	case !h.Probe && (i.ExternalIDProbe == "" || i.ExternalIDProbe == ProbeRequire):
		return errors.New("no role could be shown to ask for its External ID, so none would be connected: write probe if the helper has probe-external-id, or else external_id_probe warn")
	}
	return nil
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
