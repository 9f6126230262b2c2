package sources

import (
	"context"
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

	roleARN, externalID, sessionName template
	tags                             []tagTemplate
	from                             credentials.Source
	fixed                            atomic.Pointer[credentials.Identity]
	fixedFrom                        atomic.Pointer[credentials.Identity]
}

type tagTemplate struct {
	key   string
	value template
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
	role, err := OneArg(d)
	if err != nil {
		return err
	}
	a.RoleARN = role
	if err := a.checkFields(); err != nil {
		return d.WrapErr(err)
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		if err := a.unmarshalOption(d, seen); err != nil {
			return err
		}
	}
	return nil
}

func (a *AssumeRole) unmarshalOption(d *caddyfile.Dispenser, seen map[string]bool) error {
	option := d.Val()
	if option == "tag" {
		kv, err := Args(d, 2, 2)
		if err != nil {
			return err
		}
		if _, ok := a.Tags[kv[0]]; ok {
			return d.Errf("tag %s is given twice: keep one", kv[0])
		}
		if a.Tags == nil {
			a.Tags = make(map[string]string)
		}
		a.Tags[kv[0]] = kv[1]
		if err := a.checkFields(); err != nil {
			return d.WrapErr(err)
		}
		return nil
	}

	into := map[string]*string{"from": &a.From, "external_id": &a.ExternalID, "session_name": &a.SessionName, "duration": nil}
	field, ok := into[option]
	if !ok {
		return Unknown(d, "from", "external_id", "session_name", "duration", "tag")
	}
	if err := Once(d, seen); err != nil {
		return err
	}
	value, err := OneArg(d)
	if err != nil {
		return err
	}
	switch {
	case value == "":
		return d.Errf("%s is empty: write a value, or leave the option out", option)
	case field != nil:
		*field = value
	default:
		dur, err := caddy.ParseDuration(value)
		if err != nil {
			return d.Errf("duration %q: write 15m to 12h", value)
		}
		if err := sts.CheckDuration(dur); err != nil {
			return d.WrapErr(err)
		}
		a.Duration = caddy.Duration(dur)
	}
	if err := a.checkFields(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// checkFields checks what is written, and leaves values with placeholders until they are resolved. The
// Caddyfile, which has the line, and Validate, which has the whole, share it.
func (a *AssumeRole) checkFields() error {
	optional := func(value string, check func(string) error) error {
		if value == "" {
			return nil
		}
		return checkFixed(value, check)
	}
	for _, f := range a.IdentityFields() {
		if err := CheckIdentityPlaceholders(f.Name, f.Value); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		name string
		err  error
	}{
		{"role_arn", checkFixed(a.RoleARN, sts.CheckRoleARN)},
		{"external_id", optional(a.ExternalID, sts.CheckExternalID)},
		{"session_name", optional(a.SessionName, sts.CheckSessionName)},
		{"duration", a.checkDuration()},
		{"tags", a.checkTags()},
	} {
		if f.err != nil {
			return inField(f.name, f.err)
		}
	}
	if HasPlaceholder(a.From) {
		return fmt.Errorf("from: %q holds a placeholder: write a name", a.From)
	}
	return nil
}

func (a *AssumeRole) checkDuration() error {
	if a.Duration == 0 {
		return nil
	}
	return sts.CheckDuration(time.Duration(a.Duration))
}

func (a *AssumeRole) checkTags() error {
	var tags []sts.Tag
	for _, k := range slices.Sorted(maps.Keys(a.Tags)) {
		v := a.Tags[k]
		if HasPlaceholder(v) {
			v = ""
		}
		tags = append(tags, sts.Tag{Key: k, Value: v})
	}
	return sts.CheckTags(tags)
}

// Provision resolves the placeholders that need no request.
func (a *AssumeRole) Provision(caddy.Context) error {
	for _, f := range []struct {
		name, value string
		into        *template
	}{
		{"role_arn", a.RoleARN, &a.roleARN},
		{"external_id", a.ExternalID, &a.externalID},
		{"session_name", a.SessionName, &a.sessionName},
	} {
		var err error
		if *f.into, err = newTemplate(f.value); err != nil {
			return inField(f.name, err)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(a.Tags)) {
		v, err := newTemplate(a.Tags[k])
		if err != nil {
			return inField("tags."+k, err)
		}
		a.tags = append(a.tags, tagTemplate{k, v})
	}
	if a.sessionName.empty() {
		host, err := os.Hostname()
		if err != nil {
			return inField("session_name", fmt.Errorf("the host's name, which is its default, is not known: %w; write one", err))
		}
		a.sessionName = template{parts: []part{{text: sts.SessionName("caddy-" + host), isText: true}}}
	}
	return nil
}

// Validate refuses what AWS would refuse.
func (a *AssumeRole) Validate() error {
	if a.RoleARN == "" {
		return inField("role_arn", errMissing)
	}
	if err := a.checkFields(); err != nil {
		return err
	}
	if a.ownPerRequest() {
		return nil
	}
	_, err := a.input(nil)
	return err
}

// input resolves everything that goes into the call, and checks it.
func (a *AssumeRole) input(expand credentials.Expander) (sts.AssumeRoleInput, error) {
	in := sts.AssumeRoleInput{Duration: defaultDuration}
	if a.Duration != 0 {
		in.Duration = time.Duration(a.Duration)
	}
	for _, f := range []struct {
		name     string
		template template
		into     *string
	}{
		{"role_arn", a.roleARN, &in.RoleARN},
		{"external_id", a.externalID, &in.ExternalID},
		{"session_name", a.sessionName, &in.SessionName},
	} {
		var err error
		if *f.into, err = f.template.resolve(expand); err != nil {
			return in, inField(f.name, err)
		}
	}
	for _, t := range a.tags {
		v, err := t.value.resolve(expand)
		if err != nil {
			return in, inField("tags."+t.key, err)
		}
		in.Tags = append(in.Tags, sts.Tag{Key: t.key, Value: v})
	}
	return in, in.Check()
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
	return a.ownPerRequest() || a.from != nil && a.from.PerRequest()
}

func (a *AssumeRole) ownPerRequest() bool {
	return a.roleARN.perRequest() || a.externalID.perRequest() || a.sessionName.perRequest() ||
		slices.ContainsFunc(a.tags, func(t tagTemplate) bool { return t.value.perRequest() })
}

// Identity implements credentials.Source.
func (a *AssumeRole) Identity(expand credentials.Expander) (credentials.Identity, error) {
	if id := a.fixed.Load(); id != nil {
		return *id, nil
	}
	in, err := a.input(expand)
	if err != nil {
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

	parts := []string{
		"assume_role", from.Key, in.RoleARN, credentials.Sealed(in.ExternalID), in.SessionName,
		in.Duration.String(), in.Region,
	}
	for _, t := range in.Tags { // Sorted by key.
		parts = append(parts, t.Key, t.Value)
	}
	id := credentials.Identity{
		Key:     credentials.NewKey(parts...),
		Label:   "assume_role " + in.RoleARN + " (from " + a.FromName() + ")",
		RoleARN: in.RoleARN,
		From:    from,
		Fetch: func(ctx context.Context, from *credentials.Credentials) (*credentials.Credentials, error) {
			v, expires, err := stsClient.AssumeRole(ctx, from.Value, in)
			if err != nil {
				return nil, err
			}
			return credentials.New(v, expires, time.Now()), nil
		},
	}
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
	fields := []credentials.Field{
		{Name: "role_arn", Value: a.RoleARN},
		{Name: "external_id", Value: a.ExternalID},
		{Name: "session_name", Value: a.SessionName},
	}
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
