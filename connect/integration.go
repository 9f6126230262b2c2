package connect

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// Integration is the operator's settings that connections of one kind share.
type Integration struct {
	// Key names the integration in the API: 1 to 255 letters, digits, spaces, and any of ~:.@_-.
	Key string `json:"key"`

	// DisplayName is the vendor's name as customers see it. Default: Key.
	DisplayName string `json:"display_name,omitempty"`

	// Logo is the URL of the vendor's logo, https. Default: none.
	Logo string `json:"logo,omitempty"`

	// Service is the signing name of the AWS service that is called, for example s3.
	Service string `json:"service,omitempty"`

	// Region is the region of connections whose customer names none.
	Region string `json:"region,omitempty"`

	// Regions are those that a customer may choose from. Default: all of the role's partition.
	Regions []string `json:"regions,omitempty"`

	// BaseURL is what calls are sent below, https. Default: https://SERVICE.REGION. and the suffix of
	// the connection's partition.
	BaseURL string `json:"base_url,omitempty"`

	// Limits narrow what may be called with its connections.
	Limits Limits `json:"limits,omitzero"`

	// AllowAccounts are the only AWS accounts whose roles may be connected. Default: all but the
	// vendor's own.
	AllowAccounts []string `json:"allow_accounts,omitempty"`

	// DenyAccounts are AWS accounts whose roles may not be connected, whatever AllowAccounts says.
	DenyAccounts []string `json:"deny_accounts,omitempty"`

	// Duration is how long credentials of a connection's role last, 15 minutes to 12 hours.
	// Default: one hour.
	Duration time.Duration `json:"duration,omitempty"`

	// Tags are session tags that go with each AssumeRole. The trust policy must then allow
	// sts:TagSession.
	Tags map[string]string `json:"tags,omitempty"`

	// Policy is a session policy, in JSON, that narrows what the role allows. Default: none.
	Policy string `json:"policy,omitempty"`

	// Templates are CloudFormation templates that make the role, shown as cards.
	Templates []Template `json:"templates,omitempty"`

	// Instructions are links to guides.
	Instructions []Instruction `json:"instructions,omitempty"`

	// TestCall is a request that must succeed before a role is connected. Default: none.
	TestCall *TestCall `json:"test_call,omitempty"`

	// ExternalIDProbe says what to do about roles that may be assumed without the right External
	// ID. Default: ProbeRequire.
	ExternalIDProbe ProbeMode `json:"external_id_probe,omitempty"`
}

// Template is a CloudFormation template that makes the customer's role.
type Template struct {
	// ID names the template within its integration.
	ID string `json:"id"`

	// Label and Description are what the customer reads on its card. Label defaults to ID.
	Label       string `json:"label,omitempty"`
	Description string `json:"description,omitempty"`

	// URL is where the template lies, https; File is a file on this server. One of them is set.
	URL  string `json:"url,omitempty"`
	File string `json:"file,omitempty"`

	// StackName is the name of the stack that it makes.
	StackName string `json:"stack_name,omitempty"`

	// Parameters are values for the template's parameters, by name.
	Parameters map[string]string `json:"parameters,omitempty"`

	// ExternalIDParameter, AccountParameter and PrincipalParameter name the parameters that take the
	// External ID, the vendor's account, and the ARN of the principal that assumes the role.
	ExternalIDParameter string `json:"external_id_parameter,omitempty"`
	AccountParameter    string `json:"account_parameter,omitempty"`
	PrincipalParameter  string `json:"principal_parameter,omitempty"`
}

// Instruction is a link to a guide for customers.
type Instruction struct {
	Label       string `json:"label,omitempty"`
	URL         string `json:"url"`
	Description string `json:"description,omitempty"`
}

// TestCall is a request that is sent with a connection's credentials to see whether they can do what
// they are for.
type TestCall struct {
	Method string `json:"method"`

	// URL may hold {region} and {account}, which stand for those of the connection. It is signed for
	// the service and region that its host tells, else for those of the integration and the
	// connection.
	URL string `json:"url"`

	// Status is the one that is expected.
	Status int `json:"status"`
}

// ProbeMode says what to do when a role may be assumed without its External ID, or with a wrong one:
// everyone who learns its ARN could then have the vendor call AWS with it.
type ProbeMode string

const (
	// ProbeRequire refuses such a role.
	ProbeRequire ProbeMode = "require"

	// ProbeWarn connects it, and says so.
	ProbeWarn ProbeMode = "warn"

	// ProbeOff does not look.
	ProbeOff ProbeMode = "off"
)

var (
	integrationKey = regexp.MustCompile(`^[a-zA-Z0-9~:.@ _-]{1,255}$`)
	templateID     = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,128}$`)
	stackName      = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9-]{0,127}$`)
	accountID      = regexp.MustCompile(`^[0-9]{12}$`)
	methodName     = regexp.MustCompile(`^[A-Z]{1,16}$`)
)

// CheckIntegrationKey says whether key may name an integration.
func CheckIntegrationKey(key string) error {
	if !integrationKey.MatchString(key) {
		return fmt.Errorf("%q is no key of an integration: write 1 to 255 letters, digits, spaces, and any of ~:.@_-", clip.Text(key))
	}
	return nil
}

// Check says what is wrong with an integration, if anything, and what to write.
func (i *Integration) Check() error {
	if err := CheckIntegrationKey(i.Key); err != nil {
		return err
	}
	for _, err := range []error{
		i.checkRegions(), i.checkCalls(), i.checkAccounts(), i.checkSession(), i.checkTemplates(), i.checkLinks(), i.checkProbe(),
	} {
		if err != nil {
			return fmt.Errorf("integration %s: %w", i.Key, err)
		}
	}
	return nil
}

func (i *Integration) checkRegions() error {
	if i.Service != "" {
		if err := endpoint.CheckService(i.Service); err != nil {
			return err
		}
	}
	for _, r := range append([]string{i.Region}, i.Regions...) {
		if r == "" && i.Region == "" {
			continue
		}
		if _, ok := endpoint.PartitionOf(r); !ok {
			return fmt.Errorf("%q is not the name of an AWS region: write one like us-east-1", clip.Text(r))
		}
	}
	if i.Region != "" && len(i.Regions) > 0 && !slices.Contains(i.Regions, i.Region) {
		return fmt.Errorf("region %s is not among its regions: add it there, or choose one of them", i.Region)
	}
	return nil
}

func (i *Integration) checkCalls() error {
	if err := i.Limits.Check(); err != nil {
		return fmt.Errorf("limits: %w", err)
	}
	if i.BaseURL == "" {
		return nil
	}
	if err := checkServiceURL(i.BaseURL); err != nil {
		return fmt.Errorf("base_url: %w", err)
	}
	return nil
}

func (i *Integration) checkAccounts() error {
	for _, a := range slices.Concat(i.AllowAccounts, i.DenyAccounts) {
		if !accountID.MatchString(a) {
			return fmt.Errorf("%q is no AWS account: write its 12 digits", clip.Text(a))
		}
	}
	return nil
}

func (i *Integration) checkSession() error {
	if i.Duration != 0 {
		if err := sts.CheckDuration(i.Duration); err != nil {
			return err
		}
	}
	if i.Policy != "" {
		if err := sts.CheckPolicy(i.Policy); err != nil {
			return fmt.Errorf("policy: %w", err)
		}
	}
	tags := make([]sts.Tag, 0, len(i.Tags))
	for k, v := range i.Tags {
		tags = append(tags, sts.Tag{Key: k, Value: v})
	}
	return sts.CheckTags(tags)
}

func (i *Integration) checkTemplates() error {
	seen := make(map[string]bool)
	for _, t := range i.Templates {
		switch {
		case !templateID.MatchString(t.ID):
			return fmt.Errorf("%q is no ID of a template: write up to 128 letters, digits, and any of ._-", clip.Text(t.ID))
		case seen[t.ID]:
			return fmt.Errorf("there are two templates %s: give one another ID", t.ID)
		case (t.URL == "") == (t.File == ""):
			return fmt.Errorf("template %s: write either url or file", t.ID)
		case t.StackName != "" && !stackName.MatchString(t.StackName):
			return fmt.Errorf("template %s: %q is no name of a stack: write a letter, then up to 127 letters, digits and hyphens", t.ID, clip.Text(t.StackName))
		}
		seen[t.ID] = true
		if t.URL != "" {
			if err := checkWebURL(t.URL); err != nil {
				return fmt.Errorf("template %s: url: %w", t.ID, err)
			}
		}
	}
	return nil
}

func (i *Integration) checkLinks() error {
	if i.Logo != "" {
		if err := checkWebURL(i.Logo); err != nil {
			return fmt.Errorf("logo: %w", err)
		}
	}
	for _, in := range i.Instructions {
		if err := checkWebURL(in.URL); err != nil {
			return fmt.Errorf("instructions: %w", err)
		}
	}
	if c := i.TestCall; c != nil {
		switch {
		case !methodName.MatchString(c.Method):
			return fmt.Errorf("test_call: %q is no HTTP method: write one like GET", clip.Text(c.Method))
		case c.Status < 200 || c.Status > 599:
			return fmt.Errorf("test_call: %d is no status to expect: write one like 200", c.Status)
		}
		text := c.target("us-east-1", "123456789012")
		if err := checkWebURLAs(text, c.URL); err != nil {
			return fmt.Errorf("test_call: %w", err)
		}
		if u, err := url.Parse(text); err == nil && i.Service == "" {
			if _, err := endpoint.Parse(u.Host); err != nil {
				return fmt.Errorf("test_call: it can't be told which service it is signed for: write `service NAME` in the integration: %w", err)
			}
		}
	}
	return nil
}

func (i *Integration) checkProbe() error {
	switch i.ExternalIDProbe {
	case "", ProbeRequire, ProbeWarn, ProbeOff:
		return nil
	default:
		return fmt.Errorf("external_id_probe %q: write require, warn or off", clip.Text(string(i.ExternalIDProbe)))
	}
}

// checkWebURL wants an absolute https URL. Other schemes, such as javascript:, would run in the
// customer's browser.
func checkWebURL(text string) error { return checkWebURLAs(text, text) }

// checkWebURLAs is checkWebURL of what was written in another way.
func checkWebURLAs(text, written string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return fmt.Errorf("%q is no URL: write one that begins with https://", clip.Text(written))
	case u.Scheme != "https" || u.Host == "" || u.Opaque != "":
		return fmt.Errorf("%q does not begin with https:// and a host", clip.Text(written))
	case u.User != nil:
		return errors.New("a URL that names a user: leave that out")
	case len(text) > 2048:
		return fmt.Errorf("a URL of %d characters: write at most 2048", len(text))
	}
	return nil
}
