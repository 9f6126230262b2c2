package adminweb

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

const timeFormat = time.RFC3339Nano

// The ways in which roles are assumed, and in which a helper knows this server.
const (
	wayCredentials = "credentials"
	wayAccessKey   = "access_key"
	wayHelper      = "helper"
	authNone       = "none"
	authAPIKey     = "api_key"
	authBasic      = "basic"
)

// form is an integration as a form has it: each field is a text. Secrets are never in a form that is shown.
type form struct {
	Updated string // when the integration was changed that the form is about

	Key, DisplayName, Logo, Service, Region, Regions string

	Way, Credentials, AccessKeyID, SecretAccessKey                string
	HelperURL, Principal, Auth, Header, APIKey, User, Password    string
	Probe, FIPS                                                   bool
	STSRegion, ExternalIDProbe, Duration, Tags, Policy            string
	AllowAccounts, DenyAccounts                                   string
	BaseURL, Services, LimitRegions, Hosts, Methods, Paths, Calls string
	Seconds                                                       string
	TestMethod, TestURL, TestStatus                               string
	GuideLabel, GuideURL, GuideDescription                        string

	HasSecret, HasAPIKey, HasPassword bool // whether one is stored
}

func formOf(i *connect.Stored) *form {
	f := &form{
		Updated: i.Updated.Format(timeFormat), Key: i.Key, DisplayName: i.DisplayName, Logo: i.Logo, Service: i.Service, Region: i.Region,
		Regions: strings.Join(i.Regions, " "), Way: wayCredentials, Credentials: i.Assume.Credentials, AccessKeyID: i.Assume.AccessKeyID, Auth: authNone,
		FIPS: i.Assume.FIPS, STSRegion: i.Assume.Region, ExternalIDProbe: string(i.ExternalIDProbe), Policy: i.Policy,
		AllowAccounts: strings.Join(i.AllowAccounts, " "), DenyAccounts: strings.Join(i.DenyAccounts, " "),
		BaseURL: i.BaseURL, Services: strings.Join(i.Limits.Services, " "), LimitRegions: strings.Join(i.Limits.Regions, " "),
		Hosts: strings.Join(i.Limits.Hosts, " "), Methods: strings.Join(i.Limits.Methods, " "), Paths: strings.Join(i.Limits.Paths, "\n"),
		HasSecret: i.Assume.SecretAccessKey != "",
	}
	if i.ExternalIDProbe == "" {
		f.ExternalIDProbe = string(connect.ProbeRequire)
	}
	if i.Duration != 0 {
		f.Duration = i.Duration.String()
	}
	if r := i.Limits.Rate; r.Calls != 0 {
		f.Calls, f.Seconds = strconv.Itoa(r.Calls), strconv.Itoa(int(r.Per.Seconds()))
	}
	for _, k := range slices.Sorted(maps.Keys(i.Tags)) {
		f.Tags += k + "=" + i.Tags[k] + "\n"
	}
	if i.Assume.AccessKeyID != "" {
		f.Way = wayAccessKey
	}
	if h := i.Assume.Helper; h != nil {
		f.Way, f.HelperURL, f.Principal, f.Probe, f.Header, f.User = wayHelper, h.URL, h.Principal, h.Probe, h.APIKeyHeader, h.BasicUser
		f.HasAPIKey, f.HasPassword = h.APIKey != "", h.BasicPassword != ""
		switch {
		case f.HasAPIKey:
			f.Auth = authAPIKey
		case f.HasPassword:
			f.Auth = authBasic
		}
	}
	if c := i.TestCall; c != nil {
		f.TestMethod, f.TestURL, f.TestStatus = c.Method, c.URL, strconv.Itoa(c.Status)
	}
	if len(i.Instructions) > 0 {
		in := i.Instructions[0]
		f.GuideLabel, f.GuideURL, f.GuideDescription = in.Label, in.URL, in.Description
	}
	return f
}

// readIntegration reads the form that was sent.
func (v *visit) readIntegration() *form {
	f := new(form)
	for name, into := range map[string]*string{
		"updated": &f.Updated, "key": &f.Key, "display_name": &f.DisplayName, "logo": &f.Logo, "service": &f.Service, "region": &f.Region,
		"regions": &f.Regions, "way": &f.Way, "credentials": &f.Credentials, "access_key_id": &f.AccessKeyID, "secret_access_key": &f.SecretAccessKey,
		"helper_url": &f.HelperURL, "principal": &f.Principal, "auth": &f.Auth, "header": &f.Header, "api_key": &f.APIKey, "user": &f.User,
		"password": &f.Password, "sts_region": &f.STSRegion, "external_id_probe": &f.ExternalIDProbe, "duration": &f.Duration, "tags": &f.Tags,
		"policy": &f.Policy, "allow_accounts": &f.AllowAccounts, "deny_accounts": &f.DenyAccounts, "base_url": &f.BaseURL, "services": &f.Services,
		"limit_regions": &f.LimitRegions, "hosts": &f.Hosts, "methods": &f.Methods, "paths": &f.Paths, "calls": &f.Calls, "seconds": &f.Seconds,
		"test_method": &f.TestMethod, "test_url": &f.TestURL, "test_status": &f.TestStatus, "guide_label": &f.GuideLabel, "guide_url": &f.GuideURL,
		"guide_description": &f.GuideDescription,
	} {
		*into = v.value(name)
	}
	f.Probe, f.FIPS = v.value("probe") != "", v.value("fips") != ""
	f.HasSecret, f.HasAPIKey, f.HasPassword = v.value("has_secret") != "", v.value("has_api_key") != "", v.value("has_password") != ""
	return f
}

// apply writes the form into an integration. Secrets that are left blank stay as they are.
func (f *form) apply(i *connect.Stored) error {
	i.Key, i.DisplayName, i.Logo, i.Service, i.Region, i.Regions = f.Key, f.DisplayName, f.Logo, f.Service, f.Region, words(f.Regions)
	i.ExternalIDProbe, i.Policy, i.BaseURL = connect.ProbeMode(f.ExternalIDProbe), f.Policy, f.BaseURL
	i.AllowAccounts, i.DenyAccounts = words(f.AllowAccounts), words(f.DenyAccounts)
	i.Limits = connect.Limits{
		Services: words(f.Services), Regions: words(f.LimitRegions), Hosts: words(strings.ToLower(f.Hosts)), Methods: words(strings.ToUpper(f.Methods)), Paths: linesOf(f.Paths),
	}
	var err error
	number := func(what, text string) (n int) {
		if text != "" && err == nil {
			if n, err = strconv.Atoi(text); err != nil {
				err = wrong("%s: %q is no number", what, text)
			}
		}
		return n
	}
	i.Limits.Rate = connect.Rate{Calls: number("calls", f.Calls), Per: time.Duration(min(number("seconds", f.Seconds), 1<<20)) * time.Second}
	i.Duration = 0
	if f.Duration != "" && err == nil {
		if i.Duration, err = time.ParseDuration(f.Duration); err != nil {
			err = wrong("duration: %q is none: write one with its unit, such as 1h", f.Duration)
		}
	}
	i.Tags = nil
	for _, line := range linesOf(f.Tags) {
		k, value, ok := strings.Cut(line, "=")
		if !ok && err == nil {
			err = wrong("tags: %q: write KEY=VALUE, each on a line of its own", line)
		}
		if i.Tags == nil {
			i.Tags = make(map[string]string)
		}
		i.Tags[strings.TrimSpace(k)] = strings.TrimSpace(value)
	}
	i.TestCall = nil
	if f.TestURL != "" {
		i.TestCall = &connect.TestCall{Method: strings.ToUpper(f.TestMethod), URL: f.TestURL, Status: http.StatusOK}
		if i.TestCall.Method == "" {
			i.TestCall.Method = http.MethodGet
		}
		if f.TestStatus != "" {
			i.TestCall.Status = number("status", f.TestStatus)
		}
	}
	guides := i.Instructions[min(len(i.Instructions), 1):]
	i.Instructions = nil
	if f.GuideURL != "" {
		i.Instructions = append(i.Instructions, connect.Instruction{Label: f.GuideLabel, URL: f.GuideURL, Description: f.GuideDescription})
	}
	i.Instructions = append(i.Instructions, guides...)
	i.Assume = f.assume()
	return err
}

func (f *form) assume() connect.Assume {
	a := connect.Assume{Region: f.STSRegion, FIPS: f.FIPS}
	kept := func(text string) string {
		if text == "" {
			return connect.SecretMask
		}
		return text
	}
	switch f.Way {
	case wayCredentials:
		a.Credentials = f.Credentials
	case wayAccessKey:
		a.AccessKeyID, a.SecretAccessKey = f.AccessKeyID, kept(f.SecretAccessKey)
	case wayHelper:
		a.Helper = &connect.AssumeHelper{URL: f.HelperURL, Principal: f.Principal, Probe: f.Probe}
		switch f.Auth {
		case authAPIKey:
			a.Helper.APIKey, a.Helper.APIKeyHeader = kept(f.APIKey), f.Header
		case authBasic:
			a.Helper.BasicUser, a.Helper.BasicPassword = f.User, kept(f.Password)
		}
	}
	return a
}

// linesOf are the lines of a field that hold something.
func linesOf(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// wrong is something wrong with a form.
func wrong(format string, args ...any) error {
	return fmt.Errorf("%w%s", &formError{}, fmt.Sprintf(format, args...))
}

// formError is an ErrInvalid; the words are those around it.
type formError struct{}

func (*formError) Error() string        { return "" }
func (*formError) Is(target error) bool { return target == connect.ErrInvalid }
