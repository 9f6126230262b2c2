package sources

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// AssumeRole gets temporary credentials of a role from AWS STS. They are fetched at the first use,
// or when the server starts if the credentials have a name, and renewed long before they expire.
//
// The placeholders `{env.*}`, `{file.*}` and `{system.*}` are resolved once, when the configuration is
// loaded. Other placeholders are filled by each request, so that one configuration can stand for
// many identities, each with credentials of its own. What a request fills in is checked by the
// rules for what is written here. A placeholder that is different in every request is refused, as
// each request would be a call to STS.
//
// The STS of the environment's region (`AWS_REGION` or the shared configuration file) is called if
// that is in the role's partition, else the STS of the partition's default region.
// `AWS_ENDPOINT_URL_STS` and `AWS_CA_BUNDLE` are honored.
type AssumeRole struct {
	// The ARN of the role, for example `arn:aws:iam::123456789012:role/Proxy`. Required. May hold
	// placeholders.
	RoleARN string `json:"role_arn,omitempty"`

	// Whose credentials call STS: the name of other credentials, or a source that needs no
	// configuration. Default: `default`.
	From string `json:"from,omitempty"`

	// The External ID that the role's trust policy asks for. May hold placeholders, but none that
	// repeats what the client sent, save for the client's certificate. Default: none.
	ExternalID string `json:"external_id,omitempty"`

	// The name of the session, which the role's owner sees in CloudTrail: 2 to 64 letters, digits,
	// and any of `_+=,.@-`. May hold placeholders. Default: `caddy-` and the host's name.
	SessionName string `json:"session_name,omitempty"`

	// How long the session lasts: 15 minutes to 12 hours, but not longer than the role allows, and
	// at most one hour if `from` is itself a role. Default: `1h`.
	Duration caddy.Duration `json:"duration,omitempty"`

	// Session tags by key, at most 50; the role's trust policy must allow `sts:TagSession`. Values
	// may hold placeholders. Default: none.
	Tags map[string]string `json:"tags,omitempty"`

	values    roleValues
	from      credentials.Source
	fixed     atomic.Pointer[credentials.Identity] // this one, if it does not depend on the request
	fixedFrom atomic.Pointer[credentials.Identity] // the broker, likewise
}

const defaultDuration = time.Hour

// stsClient is shared by all roles, as is its connection pool. It holds no credentials.
var stsClient = sts.NewClient(sts.Config{})

// CaddyModule returns the Caddy module information.
func (*AssumeRole) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  Namespace + ".assume_role",
		New: func() caddy.Module { return new(AssumeRole) },
	}
}

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	assume_role <role_arn> {
//	    from         <name>
//	    external_id  <id>
//	    session_name <name>
//	    duration     <duration>
//	    tag          <key> <value>
//	}
//
// tag may be given several times, with different keys.
func (a *AssumeRole) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	var err error
	if a.RoleARN, err = OneArg(d); err != nil {
		return err
	}
	if err := a.checkWritten(); err != nil {
		return d.WrapErr(err)
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		if err := a.unmarshalOption(d, seen); err != nil {
			return err
		}
		// Here, the error has the option's line. Placeholders are not resolved yet.
		if err := a.checkWritten(); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

func (a *AssumeRole) unmarshalOption(d *caddyfile.Dispenser, seen map[string]bool) error {
	var into *string
	switch d.Val() {
	case "tag":
		return a.unmarshalTag(d)
	case "from":
		into = &a.From
	case "external_id":
		into = &a.ExternalID
	case "session_name":
		into = &a.SessionName
	case "duration":
	default:
		return Unknown(d, "from", "external_id", "session_name", "duration", "tag")
	}
	option := d.Val()
	if err := Once(d, seen); err != nil {
		return err
	}
	value, err := OneArg(d)
	if err != nil {
		return err
	}
	if value == "" {
		return d.Errf("%s is empty: write a value, or leave the option out", option)
	}
	if into != nil {
		*into = value
		return nil
	}
	duration, err := caddy.ParseDuration(value)
	if err != nil || duration == 0 {
		return d.Errf("duration %q: write 15m to 12h, with the unit", value)
	}
	a.Duration = caddy.Duration(duration)
	return nil
}

func (a *AssumeRole) unmarshalTag(d *caddyfile.Dispenser) error {
	tag, err := Args(d, 2, 2)
	if err != nil {
		return err
	}
	if _, ok := a.Tags[tag[0]]; ok {
		return d.Errf("tag %s is given twice: keep one", tag[0])
	}
	if a.Tags == nil {
		a.Tags = make(map[string]string)
	}
	a.Tags[tag[0]] = tag[1]
	return nil
}

// Provision resolves the placeholders that need no request.
func (a *AssumeRole) Provision(caddy.Context) error {
	var err error
	if a.values, err = a.roleValues(newTemplate); err != nil {
		return err
	}
	if a.values.sessionName.isEmpty() {
		host, err := os.Hostname()
		if err != nil {
			return inField("session_name", fmt.Errorf("its default is the host's name, which is not known: write one (%w)", err))
		}
		a.values.sessionName = text(sts.SessionName("caddy-" + host))
	}
	return nil
}

// Validate refuses what AWS would refuse.
func (a *AssumeRole) Validate() error {
	return a.check(a.values)
}

// checkWritten is Validate for a Caddyfile that is being read: all placeholders are still open, and
// options may follow.
func (a *AssumeRole) checkWritten() error {
	v, err := a.roleValues(func(value string) (template, error) { return template{parse(value)}, nil })
	if err != nil {
		return err
	}
	return a.check(v)
}

// check checks everything that is known without a request.
func (a *AssumeRole) check(values roleValues) error {
	for _, f := range a.IdentityFields() {
		if err := CheckIdentityPlaceholders(f.Name, f.Value); err != nil {
			return err
		}
	}
	if err := values.check(); err != nil {
		return err
	}
	if a.Duration != 0 {
		if err := sts.CheckDuration(time.Duration(a.Duration)); err != nil {
			return inField("duration", err)
		}
	}
	if HasPlaceholder(a.From) {
		return inField("from", fmt.Errorf("%q holds a placeholder: write a name", a.From))
	}
	return nil
}

// FromName implements credentials.Chained.
func (a *AssumeRole) FromName() string {
	if a.From == "" {
		return "default"
	}
	return a.From
}

// SetResolver implements credentials.Chained.
func (a *AssumeRole) SetResolver(r credentials.Resolver) error {
	from, err := r.Source(a.FromName())
	if err != nil {
		return inField("from", err)
	}
	if _, ok := from.(credentials.Chained); ok {
		if err := sts.CheckChainedDuration(time.Duration(a.Duration)); err != nil {
			return inField("duration", err)
		}
	}
	a.from = from
	return nil
}

// PerRequest implements credentials.Source.
func (a *AssumeRole) PerRequest() bool {
	return a.values.perRequest() || a.from != nil && a.from.PerRequest()
}

// Identity implements credentials.Source.
func (a *AssumeRole) Identity(expand credentials.Expander) (credentials.Identity, error) {
	if id := a.fixed.Load(); id != nil {
		return *id, nil
	}
	in, err := a.values.resolve(expand)
	if err != nil {
		return credentials.Identity{}, err
	}
	if in.Duration = time.Duration(a.Duration); in.Duration == 0 {
		in.Duration = defaultDuration
	}
	if err := in.Check(); err != nil {
		return credentials.Identity{}, err
	}
	from, err := a.broker(expand)
	if err != nil {
		return credentials.Identity{}, inField("from", err)
	}
	if from.RoleARN != "" {
		if err := sts.CheckPartitions(in.RoleARN, from.RoleARN); err != nil {
			return credentials.Identity{}, inField("role_arn", err)
		}
	}

	id := credentials.NewRole(stsClient, from, a.FromName(), in) // Its tags are sorted by key.
	if !a.PerRequest() {
		a.fixed.Store(&id)
	}
	return id, nil
}

// broker returns the identity that calls STS, the same one every time if it does not depend on the
// request: many identities then share it in memory.
func (a *AssumeRole) broker(expand credentials.Expander) (*credentials.Identity, error) {
	if from := a.fixedFrom.Load(); from != nil {
		return from, nil
	}
	if a.from == nil {
		return nil, errors.New("nobody has looked it up yet")
	}
	from, err := a.from.Identity(expand)
	if err != nil {
		return nil, err
	}
	if !a.from.PerRequest() {
		a.fixedFrom.Store(&from)
	}
	return &from, nil
}

// IdentityFields implements credentials.Fields.
func (a *AssumeRole) IdentityFields() []credentials.Field {
	fields := make([]credentials.Field, 0, 3+len(a.Tags))
	fields = append(fields,
		credentials.Field{Name: "role_arn", Value: a.RoleARN},
		credentials.Field{Name: "external_id", Value: a.ExternalID},
		credentials.Field{Name: "session_name", Value: a.SessionName},
	)
	for _, k := range slices.Sorted(maps.Keys(a.Tags)) {
		fields = append(fields, credentials.Field{Name: "tags." + k, Value: a.Tags[k]})
	}
	return fields
}

// MarshalLogObject leaves out what is nobody's business in Caddy's logs: the External ID and the
// values of tags.
func (a *AssumeRole) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("role_arn", a.RoleARN)
	enc.AddString("from", a.FromName())
	enc.AddString("session_name", a.SessionName)
	enc.AddDuration("duration", time.Duration(a.Duration))
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner       = (*AssumeRole)(nil)
	_ caddy.Validator         = (*AssumeRole)(nil)
	_ caddyfile.Unmarshaler   = (*AssumeRole)(nil)
	_ credentials.Source      = (*AssumeRole)(nil)
	_ credentials.Chained     = (*AssumeRole)(nil)
	_ credentials.Fields      = (*AssumeRole)(nil)
	_ zapcore.ObjectMarshaler = (*AssumeRole)(nil)
)
