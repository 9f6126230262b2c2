package awssigv4

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/stshelper"
)

// Integration is what connections of one kind share: what customers are asked for, and how the role that
// they grant is assumed. The placeholders `{env.*}`, `{file.*}` and `{system.*}` are resolved once, when
// the configuration is loaded.
type Integration struct {
	// The vendor's name as customers see it. Default: the integration's key.
	DisplayName string `json:"display_name,omitempty"`

	// The https URL of the vendor's logo. Default: none.
	Logo string `json:"logo,omitempty"`

	// The signing name of the service that connections are for, such as `s3`.
	Service string `json:"service,omitempty"`

	// The region of connections whose customer names none.
	Region string `json:"region,omitempty"`

	// The regions that customers may choose from. Default: any of the role's partition.
	Regions []string `json:"regions,omitempty"`

	// What calls on behalf of customers are sent below, such as `https://s3.eu-west-1.amazonaws.com`.
	// One without TLS may stand for a server on this machine. A host that is none of AWS's must also
	// be in `allow_hosts`. Default: the usual endpoint of `service` in the connection's region.
	BaseURL string `json:"base_url,omitempty"`

	// The signing names of the services that may be called on behalf of customers, such as `s3`;
	// `service` is one of them only if it is here. Default: `service` alone.
	AllowServices []string `json:"allow_services,omitempty"`

	// The regions that may be called on behalf of customers. Default: all of the role's partition.
	AllowRegions []string `json:"allow_regions,omitempty"`

	// The hosts that may be called on behalf of customers: `HOST[:PORT]`, or `*.suffix` for every
	// host below a suffix. Those that are none of AWS's may be called only if they are here. Default:
	// the hosts of AWS that are of the services and of the role's partition.
	AllowHosts []string `json:"allow_hosts,omitempty"`

	// The HTTP methods of calls on behalf of customers. Default: all.
	AllowMethods []string `json:"allow_methods,omitempty"`

	// The paths that may be called on behalf of customers, as AWS sees them, decoded. A `*` at the end
	// stands for anything. If it is set, what S3 is to copy must be among them, too. Default: all.
	AllowPaths []string `json:"allow_paths,omitempty"`

	// How many calls may be made on behalf of all its customers together, in this process. Default:
	// no bound.
	RateLimit *RateLimit `json:"rate_limit,omitempty"`

	// How the customers' roles are assumed.
	STS IntegrationSTS `json:"sts,omitzero"`

	// The only AWS accounts whose roles may be connected, 12 digits each. Default: all but the
	// broker's own, which is allowed only if it is named here.
	AllowAccounts []string `json:"allow_accounts,omitempty"`

	// AWS accounts whose roles may not be connected, whatever `allow_accounts` says.
	DenyAccounts []string `json:"deny_accounts,omitempty"`

	// How long sessions of a role last: 15 minutes to 12 hours, but not longer than the roles allow,
	// and at most one hour if the broker is a role itself. Default: `1h`.
	Duration caddy.Duration `json:"duration,omitempty"`

	// Session tags by key. The roles' trust policies must allow `sts:TagSession`, which the Connect
	// page says. Default: none.
	Tags map[string]string `json:"tags,omitempty"`

	// A session policy, in JSON, that narrows what the roles allow. It holds no placeholders.
	// Default: none.
	Policy string `json:"policy,omitempty"`

	// CloudFormation templates that make the role, a card each on the Connect page, in their order.
	Templates []connect.Template `json:"templates,omitempty"`

	// Guides for customers. The Connect page links each of its fields to the first one.
	Instructions []connect.Instruction `json:"instructions,omitempty"`

	// A request that has to succeed with the role's credentials before it is connected. In its URL,
	// `{region}` and `{account}` stand for those of the role. Default: none.
	TestCall *connect.TestCall `json:"test_call,omitempty"`

	// What to do about roles that can be assumed without the right External ID: `require` refuses
	// them, `warn` connects them and says so, `off` does not look. Default: `require`.
	ExternalIDProbe connect.ProbeMode `json:"external_id_probe,omitempty"`
}

// RateLimit is a number of calls in a time. As many may come at once.
type RateLimit struct {
	// The number of calls, at least 1.
	Calls int `json:"calls,omitempty"`

	// The time, 1 second to 24 hours.
	Per caddy.Duration `json:"per,omitempty"`
}

// IntegrationSTS says how an integration's roles are assumed: by a broker whose credentials this server
// has, or by an STS helper.
type IntegrationSTS struct {
	// The name of the broker's credentials, which the `aws_sigv4` app defines. Excludes
	// `credentials`.
	CredentialsName string `json:"credentials_name,omitempty"`

	// Where the broker's credentials come from, if they are not among the named ones. They must
	// not depend on a request. Default: the AWS SDK's default chain.
	CredentialsRaw json.RawMessage `json:"credentials,omitempty" caddy:"namespace=aws_sigv4.credentials inline_key=source"`

	// The STS helper that assumes the roles. Excludes `credentials_name` and `credentials`, and the
	// integration's `duration`, `tags` and `policy`, which are the helper's business.
	Helper *IntegrationHelper `json:"helper,omitempty"`

	// The region of the STS that is called. Default: the connection's. With a helper, it is that
	// which is asked whose credentials the helper gave.
	Region string `json:"region,omitempty"`

	// The URL of the STS that is called, in place of AWS's own in the region.
	Endpoint string `json:"endpoint,omitempty"`

	// Call the FIPS 140 endpoint of the region.
	FIPS bool `json:"fips,omitempty"`
}

// IntegrationHelper is an STS helper that assumes an integration's roles with a broker of its own.
type IntegrationHelper struct {
	sources.HelperEndpoint

	// The helper's broker, whom the customers' roles have to trust, since no helper tells it: the
	// ARN of a role or a user, or the 12 digits of an account. Required.
	Principal string `json:"principal,omitempty"`

	// Have the helper find out whether a role asks for its External ID, by `POST` to
	// `probe-external-id` beside the URL, as `aws_sts_helper` does for keys with `probe`. Default:
	// the helper is asked for credentials with other External IDs, which shows roles that take
	// them, and proves nothing of others; `external_id_probe` must not be `require` then.
	Probe bool `json:"probe,omitempty"`
}

// resolve fills the placeholders of an integration, and checks it.
func (i *Integration) resolve(key string) (connect.Integration, error) {
	r := connect.Integration{
		Key:             key,
		Duration:        time.Duration(i.Duration),
		ExternalIDProbe: i.ExternalIDProbe,
		Templates:       slices.Clone(i.Templates),
		Instructions:    slices.Clone(i.Instructions),
	}
	var err error
	fill := func(field, value string, into *string) {
		if err != nil {
			return
		}
		if *into, err = sources.ResolveFixed(value); err != nil {
			err = fieldError(field, err)
		}
	}
	fill("display_name", i.DisplayName, &r.DisplayName)
	fill("logo", i.Logo, &r.Logo)
	fill("service", i.Service, &r.Service)
	fill("region", i.Region, &r.Region)
	fill("base_url", i.BaseURL, &r.BaseURL)
	if i.RateLimit != nil {
		r.Limits.Rate = connect.Rate{Calls: i.RateLimit.Calls, Per: time.Duration(i.RateLimit.Per)}
	}
	r.Tags = make(map[string]string, len(i.Tags))
	for _, k := range slices.Sorted(maps.Keys(i.Tags)) {
		var value string
		fill("tags."+k, i.Tags[k], &value)
		r.Tags[k] = value
	}
	for n := range r.Templates {
		fillTemplate(&r.Templates[n], fmt.Sprintf("templates[%d].", n), fill)
	}
	for n := range r.Instructions {
		in, field := &r.Instructions[n], fmt.Sprintf("instructions[%d].", n)
		fill(field+"label", in.Label, &in.Label)
		fill(field+"url", in.URL, &in.URL)
		fill(field+"description", in.Description, &in.Description)
	}
	if i.TestCall != nil {
		if err := checkCallPlaceholders(i.TestCall.URL); err != nil {
			return r, err
		}
		call := *i.TestCall
		fill("test_call.url", callPlaceholders.Replace(call.URL), &call.URL)
		r.TestCall = &call
	}
	if err != nil {
		return r, err
	}
	for _, l := range []struct {
		field  string
		values []string
		into   *[]string
	}{
		{"regions", i.Regions, &r.Regions},
		{"allow_services", i.AllowServices, &r.Limits.Services},
		{"allow_regions", i.AllowRegions, &r.Limits.Regions},
		{"allow_hosts", i.AllowHosts, &r.Limits.Hosts},
		{"allow_methods", i.AllowMethods, &r.Limits.Methods},
		{"allow_paths", i.AllowPaths, &r.Limits.Paths},
		{"allow_accounts", i.AllowAccounts, &r.AllowAccounts},
		{"deny_accounts", i.DenyAccounts, &r.DenyAccounts},
	} {
		if *l.into, err = resolveAll(l.field, l.values); err != nil {
			return r, err
		}
	}
	if r.Policy, err = checkedPolicy(i.Policy); err != nil {
		return r, fieldError("policy", err)
	}
	return r, r.Check()
}

// callPlaceholders keep what a test call fills in from being read as Caddy's placeholders.
var callPlaceholders = strings.NewReplacer("{region}", `\{region\}`, "{account}", `\{account\}`)

var inBraces = regexp.MustCompile(`\{([^{}]*)\}`)

// checkCallPlaceholders finds what would stand for nothing in a test call's URL.
func checkCallPlaceholders(url string) error {
	for _, found := range inBraces.FindAllStringSubmatch(url, -1) {
		namespace, _, dotted := strings.Cut(found[1], ".")
		if !dotted && namespace != "region" && namespace != "account" {
			return fieldError("test_call", fmt.Errorf("%s is unknown here: write {region}, {account}, or one of {env.…}, {file.…} and {system.…}", found[0]))
		}
	}
	return nil
}

func fillTemplate(t *connect.Template, field string, fill func(field, value string, into *string)) {
	for _, f := range []struct {
		name string
		text *string
	}{
		{"label", &t.Label},
		{"description", &t.Description},
		{"url", &t.URL},
		{"file", &t.File},
		{"stack_name", &t.StackName},
	} {
		fill(field+f.name, *f.text, f.text)
	}
	parameters := make(map[string]string, len(t.Parameters))
	for _, name := range slices.Sorted(maps.Keys(t.Parameters)) {
		var value string
		fill(field+"parameters."+name, t.Parameters[name], &value)
		parameters[name] = value
	}
	t.Parameters = parameters
}

func checkedPolicy(policy string) (string, error) {
	if policy == "" {
		return "", nil
	}
	if err := sts.CheckPolicy(policy); err != nil {
		return "", err
	}
	compact, err := sts.CompactPolicy(policy)
	if err != nil {
		return "", err
	}
	return compact, sts.CheckPolicySize(compact, nil)
}

// where returns which STS is called.
func (s *IntegrationSTS) where() (sts.Where, error) {
	w := sts.Where{FIPS: s.FIPS}
	var err error
	if w.Region, err = sources.ResolveFixed(s.Region); err != nil {
		return w, fieldError("region", err)
	}
	if w.Endpoint, err = sources.ResolveFixed(s.Endpoint); err != nil {
		return w, fieldError("endpoint", err)
	}
	if w.Region != "" {
		if err := stshelper.CheckRegion(w.Region); err != nil {
			return w, fieldError("region", err)
		}
	}
	if err := w.Check(); err != nil {
		return w, fieldError("endpoint", err)
	}
	return w, nil
}

// configure makes an integration ready for use. It returns a text that differs wherever roles may be
// assumed in another way.
func (a *App) configure(ctx caddy.Context, key string, i *Integration) (c *connect.Configured, way string, err error) {
	if i == nil {
		return nil, "", errors.New("it is null: write an object")
	}
	c = new(connect.Configured)
	if c.Integration, err = i.resolve(key); err != nil {
		return nil, "", err
	}
	if c.Mode, way, err = a.mode(ctx, &c.Integration, &i.STS); err != nil {
		return nil, "", err
	}
	for _, warning := range c.Warnings() {
		a.logger.Warn(warning, zap.String("integration", key))
	}
	return c, way, nil
}

// mode returns how roles are assumed.
func (a *App) mode(ctx caddy.Context, i *connect.Integration, s *IntegrationSTS) (connect.Mode, string, error) {
	where, err := s.where()
	if err != nil {
		return nil, "", fieldError("sts", err)
	}
	if s.Helper != nil {
		mode, way, err := helperMode(ctx, i, s, where)
		if err != nil {
			return nil, "", fieldError("sts", err)
		}
		return mode, way, nil
	}
	broker, name, err := a.broker(ctx, s, s.CredentialsName, s.CredentialsRaw)
	if err != nil {
		return nil, "", fieldError("sts", err)
	}
	if broker.RoleARN != "" {
		if err := sts.CheckChainedDuration(i.Duration); err != nil {
			return nil, "", fieldError("duration", err)
		}
	}
	mode, err := connect.NewBrokerMode(connect.BrokerOptions{
		Client: connectSTS, Cache: a.cache, Broker: broker, Name: name, STS: where, Home: i.Region,
	})
	if err != nil {
		return nil, "", fieldError("sts", err)
	}
	return mode, fmt.Sprintf("broker %q %q %+v", broker.Key, name, where), nil
}

// helperMode returns how roles are assumed by a helper.
func helperMode(ctx caddy.Context, i *connect.Integration, s *IntegrationSTS, where sts.Where) (connect.Mode, string, error) {
	switch {
	case s.CredentialsName != "" || len(s.CredentialsRaw) > 0:
		return nil, "", fieldError("helper", errors.New("credentials are given too: write one of the two"))
	case i.Duration != 0 || len(i.Tags) > 0 || i.Policy != "":
		return nil, "", fieldError("helper", errHelperSessions)
	case s.Helper.provesNothing(i.ExternalIDProbe):
		return nil, "", fieldError("helper", errHelperProbe)
	}
	client, key, err := s.Helper.Client(ctx)
	if err != nil {
		return nil, "", fieldError("helper", err)
	}
	o := connect.HelperOptions{Client: client, Key: key, Service: i.Service, STS: where}
	if o.Principal, err = sources.ResolveFixed(s.Helper.Principal); err != nil {
		return nil, "", fieldError("helper.principal", err)
	}
	if s.Helper.Probe {
		o.Probe = client.Probe
	}
	mode, err := connect.NewHelperMode(o)
	if err != nil {
		return nil, "", fieldError("helper", err)
	}
	return mode, fmt.Sprintf("helper %q %q %t %+v", key, o.Principal, s.Helper.Probe, where), nil
}

// provesNothing says whether no role could be connected, because none can be proven.
func (h *IntegrationHelper) provesNothing(mode connect.ProbeMode) bool {
	return !h.Probe && (mode == "" || mode == connect.ProbeRequire)
}

var errHelperProbe = errors.New("no role could be shown to ask for its External ID, so none would be connected: write `probe` if the helper has probe-external-id, as aws_sts_helper has for keys with probe, or else `external_id_probe warn`")

var errHelperSessions = errors.New("how long sessions last, their tags and their policy are the helper's business: leave duration, tag and policy out, and write them there")
