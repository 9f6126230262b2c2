package web

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// The members of integration_config, a flat object of strings.
const (
	configService   = "service"
	configRegion    = "defaultRegion"
	configMode      = "stsMode"
	configKeyID     = "awsAccessKeyId"
	configSecret    = "awsSecretAccessKey"
	configURL       = "stsEndpointUrl"
	configAuth      = "stsAuthType"
	configHeader    = "stsAuthHeader"
	configAPIKey    = "stsApiKey"
	configUser      = "stsAuthUsername"
	configPassword  = "stsAuthPassword"
	configName      = "credentialsName" // of the operator's credentials, instead of an access key
	configPrincipal = "stsPrincipal"    // the helper's broker, whom customers' roles have to trust
	configProbe     = "stsProbe"        // "true": the helper can probe External IDs
	modeBuiltin     = "builtin"
	modeCustom      = "custom"
	authNone        = "none"
	authAPIKey      = "api_key"
	authBasic       = "basic"
)

var (
	configBuiltin = []string{configKeyID, configSecret, configName}
	configCustom  = []string{configURL, configAuth, configHeader, configAPIKey, configUser, configPassword, configPrincipal, configProbe}
	configMasked  = []string{configSecret, configAPIKey, configPassword}
	configAll     = slices.Concat([]string{configService, configRegion, configMode}, configBuiltin, configCustom)
)

// configOf is an integration in the form of integration_config, without secrets.
func configOf(c *connect.Configured) map[string]string {
	out := map[string]string{configService: c.Service, configRegion: c.Region}
	if c.Stored != nil {
		a := c.Stored.Assume.HidesSecrets()
		out[configMode] = modeBuiltin
		out[configKeyID], out[configSecret], out[configName] = a.AccessKeyID, a.SecretAccessKey, a.Credentials
		if h := a.Helper; h != nil {
			out[configMode], out[configURL], out[configAuth], out[configPrincipal] = modeCustom, h.URL, authNone, h.Principal
			switch {
			case h.APIKey != "":
				out[configAuth], out[configHeader], out[configAPIKey] = authAPIKey, h.APIKeyHeader, h.APIKey
			case h.BasicPassword != "":
				out[configAuth], out[configUser], out[configPassword] = authBasic, h.BasicUser, h.BasicPassword
			}
			if h.Probe {
				out[configProbe] = "true"
			}
		}
	}
	maps.DeleteFunc(out, func(_, v string) bool { return v == "" })
	return out
}

// readConfig changes an integration by the member integration_config. Members that are not there stay, as do
// secrets that are blank.
func readConfig(f *fields, i *connect.Stored) {
	given := f.object("integration_config")
	if given == nil {
		f.problem("invalid_type", "write an object of strings", "integration_config")
		return
	}
	config := configOf(&connect.Configured{Integration: i.Integration, Stored: i})
	if i.Assume == (connect.Assume{}) {
		delete(config, configMode)
	}
	change := map[string]string{}
	for _, name := range configAll {
		if value, ok := given.trimmed(name); ok {
			change[name] = value
		}
	}
	for _, name := range given.names() {
		if !given.asked[name] {
			given.problem("unrecognized_keys", "Unknown field "+strconv.Quote(name), name)
		}
	}
	applyConfig(given, i, config, change)
}

// applyConfig sets an integration to a configuration with changes.
func applyConfig(f *fields, i *connect.Stored, config, change map[string]string) {
	keeps := func(name string) bool { return slices.Contains(configMasked, name) && config[name] != "" }
	for name, value := range change {
		if value == "" && !keeps(name) {
			delete(config, name)
		} else if value != "" {
			config[name] = value
		}
	}
	mode := config[configMode]
	if mode == "" {
		mode = modeBuiltin
	}
	if config[configService] == "" {
		f.problem("custom", "service is required: write the signing name of one, such as s3", configService)
	}
	i.Service, i.Region = config[configService], config[configRegion]
	assume := connect.Assume{Region: i.Assume.Region, FIPS: i.Assume.FIPS}
	var foreign []string
	switch mode {
	case modeBuiltin:
		foreign = configCustom
		if change[configName] != "" && change[configKeyID] == "" {
			delete(config, configKeyID)
			delete(config, configSecret)
		}
		if change[configKeyID] != "" && change[configName] == "" {
			delete(config, configName)
		}
		assume.Credentials, assume.AccessKeyID, assume.SecretAccessKey = config[configName], config[configKeyID], config[configSecret]
		switch {
		case assume.Credentials != "":
		case assume.AccessKeyID == "":
			f.problem("custom", "awsAccessKeyId is required with stsMode builtin: write it with awsSecretAccessKey, or credentialsName for credentials of the operator's", configKeyID)
		case assume.SecretAccessKey == "":
			f.problem("custom", "awsSecretAccessKey is required with awsAccessKeyId", configSecret)
		}
	case modeCustom:
		foreign = configBuiltin
		assume.Helper = configHelper(f, config)
		if i.ExternalIDProbe == "" && !assume.Helper.Probe {
			i.ExternalIDProbe = connect.ProbeWarn // Helpers of this form know nothing of probes.
		}
	default:
		f.problem("invalid_value", "write builtin or custom", configMode)
	}
	for _, name := range foreign {
		if v := change[name]; v != "" && v != authNone {
			f.problem("custom", name+" does not go with stsMode "+mode+": leave it out, or write the other mode", name)
		}
	}
	i.Assume = assume
}

// configHelper reads what belongs to stsMode custom.
func configHelper(f *fields, config map[string]string) *connect.AssumeHelper {
	h := &connect.AssumeHelper{URL: config[configURL], Principal: config[configPrincipal]}
	if h.URL == "" {
		f.problem("custom", "stsEndpointUrl is required with stsMode custom: write the https URL of the STS helper", configURL)
	}
	switch config[configProbe] {
	case "true":
		h.Probe = true
	case "", "false":
	default:
		f.problem("invalid_value", `write "true" or "false"`, configProbe)
	}
	switch config[configAuth] {
	case "", authNone:
	case authAPIKey:
		h.APIKey, h.APIKeyHeader = config[configAPIKey], config[configHeader]
		if h.APIKey == "" {
			f.problem("custom", "stsApiKey is required with stsAuthType api_key", configAPIKey)
		}
	case authBasic:
		h.BasicUser, h.BasicPassword = config[configUser], config[configPassword]
		if h.BasicPassword == "" {
			f.problem("custom", "stsAuthPassword is required with stsAuthType basic", configPassword)
		}
	default:
		f.problem("invalid_value", "write none, api_key or basic", configAuth)
	}
	return h
}

// readTemplatesConfig changes an integration by custom.aws_sigv4_config, a text of JSON that says everything
// at once: what it does not name is taken away, but for secrets.
func readTemplatesConfig(custom *fields, i *connect.Stored) {
	const name = "aws_sigv4_config"
	if !custom.mentions(name) {
		return
	}
	text := custom.text(name)
	if text == "" {
		custom.problem("custom", "an integration can't be without settings: delete it instead", name)
		return
	}
	if !json.Valid([]byte(text)) {
		custom.problem("custom", "aws_sigv4_config must be valid JSON", name)
		return
	}
	f := &fields{path: append(slices.Clone(custom.path), name), problems: custom.problems}
	f.read([]byte(text))
	change := map[string]string{}
	for _, n := range []string{configService, configRegion, configMode, configKeyID, configSecret, configName} {
		if value, ok := f.trimmed(n); ok {
			change[n] = value
		}
	}
	if e := f.object("stsEndpoint"); e != nil {
		change[configURL], change[configPrincipal] = e.text("url"), e.text("principal")
		change[configAuth] = authNone
		if a := e.object("auth"); a != nil {
			change[configAuth] = a.text("type")
			change[configHeader], change[configAPIKey] = a.text("header"), a.text("value")
			change[configUser], change[configPassword] = a.text("username"), a.text("password")
			a.done()
		}
		e.done()
		if change[configMode] == "" {
			change[configMode] = modeCustom
		}
	}
	i.Instructions, i.Templates = nil, nil
	if in := f.object("instructions"); in != nil {
		i.Instructions = []connect.Instruction{{Label: in.text("label"), URL: in.text("url"), Description: in.text("description")}}
		in.done()
	}
	for _, t := range f.objects("templates") {
		one := connect.Template{
			ID: t.text("id"), Label: t.text("label"), Description: t.text("description"), StackName: t.text("stackName"),
			URL: t.text("templateUrl"), Parameters: t.textMap("parameters"), ExternalIDParameter: t.text("externalIdParameter"),
			AccountParameter: t.text("accountParameter"), PrincipalParameter: t.text("principalParameter"),
		}
		if one.ExternalIDParameter == "" {
			one.ExternalIDParameter = "ExternalId" // This form has no word for it.
		}
		i.Templates = append(i.Templates, one)
		t.done()
	}
	f.done()
	kept := configOf(&connect.Configured{Integration: i.Integration, Stored: i})
	maps.DeleteFunc(kept, func(n, _ string) bool { return !slices.Contains(configMasked, n) && n != configPrincipal })
	applyConfig(f, i, kept, change)
}
