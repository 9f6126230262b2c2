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
// loaded. Where it says so below, other placeholders are filled by each request, so that one
// configuration can stand for many identities, each with credentials of its own. What a request
// fills in is checked by the rules for what is written here. A placeholder that is different in every
// request is refused, as each request would be a call to STS.
//
// The STS of the environment's region (`AWS_REGION` or the shared configuration file) is called if
// that is in the role's partition, else the STS of the partition's default region.
// `AWS_ENDPOINT_URL_STS`, `AWS_USE_FIPS_ENDPOINT` and `AWS_CA_BUNDLE` are honored.
type AssumeRole struct {
	// The ARN of the role, for example `arn:aws:iam::123456789012:role/Proxy`. Required. A request
	// may fill it; `allow_roles` is required then.
	RoleARN string `json:"role_arn,omitempty"`

	// Whose credentials call STS: the name of other credentials, or a source that needs no
	// configuration. Default: `default`.
	From string `json:"from,omitempty"`

	// The External ID that the role's trust policy asks for. A request may fill it, but with
	// nothing that the client sent, save for the client's certificate if it was verified. Default: none.
	ExternalID string `json:"external_id,omitempty"`

	// The name of the session, which the role's owner sees in CloudTrail: 2 to 64 letters, digits,
	// and any of `_+=,.@-`. A request may fill it. Default: `caddy-` and the host's name.
	SessionName string `json:"session_name,omitempty"`

	// How long the session lasts: 15 minutes to 12 hours, but not longer than the role allows, and
	// at most one hour if `from` is itself a role. Default: `1h`.
	Duration caddy.Duration `json:"duration,omitempty"`

	// A session policy, a JSON document: the session may do what both it and the role allow. A
	// request may fill what stands inside of its strings, by the rules of `external_id`, with letters,
	// digits, and any of `_+=,.@-`. IAM's own variables, such as `${aws:PrincipalTag/team}`, are
	// left to IAM. Default: none.
	Policy string `json:"policy,omitempty"`

	// A file with the session policy, read when the configuration is loaded. Excludes `policy`.
	PolicyFile string `json:"policy_file,omitempty"`

	// The ARNs of managed policies that limit the session as `policy` does, at most 10, of the
	// role's account or AWS's own. Default: none.
	PolicyARNs []string `json:"policy_arns,omitempty"`

	// Session tags by key, at most 50; the role's trust policy must allow `sts:TagSession`. A request
	// may fill the values. Default: none.
	Tags map[string]string `json:"tags,omitempty"`

	// The keys of those tags that are passed on to the sessions of roles that are assumed from this
	// one. Default: none.
	TransitiveTags []string `json:"transitive_tags,omitempty"`

	// Who is behind the session, 2 to 64 letters, digits, and any of `_+=,.@-`. It is in every line of
	// CloudTrail, is passed on to roles that are assumed from this one, and can't be changed there.
	// The role's trust policy must allow `sts:SetSourceIdentity`. A request may fill it, by the rules
	// of `external_id`. Default: none.
	SourceIdentity string `json:"source_identity,omitempty"`

	// The serial number of the broker's MFA device, which for a virtual one is its ARN. The broker
	// must be an IAM user, as roles have none. Needs `mfa_secret` or `mfa_command`; no value of the
	// role may be filled by a request then. Default: none.
	MFASerial string `json:"mfa_serial,omitempty"`

	// The secret of a virtual MFA device, in base32 as IAM shows it beside the QR code; codes are
	// computed from it.
	MFASecret string `json:"mfa_secret,omitempty"`

	// A command, with its arguments, that prints the code which the MFA device shows now. It is run,
	// without a shell, whenever the role is assumed.
	MFACommand []string `json:"mfa_command,omitempty"`

	// The region whose STS is called. Default: that of `sts_endpoint`, else as described above.
	STSRegion string `json:"sts_region,omitempty"`

	// The URL of the STS to call, such as that of a VPC endpoint. `http://` is for loopback
	// addresses alone. Default: AWS's own in the region.
	STSEndpoint string `json:"sts_endpoint,omitempty"`

	// Whether the region's FIPS 140 endpoint of STS is called; not every region has one. Default:
	// `false`, unless `AWS_USE_FIPS_ENDPOINT` says otherwise.
	FIPS bool `json:"fips,omitempty"`

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

// Provision resolves the placeholders that need no request, and reads the policy's file.
func (a *AssumeRole) Provision(ctx caddy.Context) error {
	var err error
	if a.values, err = a.roleValues(newTemplate); err != nil {
		return err
	}
	if a.values.policy, err = a.loadPolicy(); err != nil {
		return err
	}
	if a.values.mfa, err = a.loadMFA(); err != nil {
		return err
	}
	if a.MFASecret != "" && !HasPlaceholder(a.MFASecret) {
		warnOfLiteral(ctx, "mfa_secret")
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
	if err := a.check(a.values); err != nil {
		return err
	}
	return a.checkComplete(a.values)
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
		if err := a.checkChained(); err != nil {
			return err
		}
	}
	if a.MFASerial != "" && from.PerRequest() {
		return inField("mfa_serial", errMFAPerRequest)
	}
	a.from = from
	return nil
}

// checkChained refuses what the credentials of a role can't do.
func (a *AssumeRole) checkChained() error {
	if a.MFASerial != "" {
		return inField("mfa_serial", fmt.Errorf("only an IAM user has an MFA device, and %s is a role: write it where the user's credentials assume the first role", a.FromName()))
	}
	return inField("duration", sts.CheckChainedDuration(time.Duration(a.Duration)))
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
	in.FIPS = a.FIPS
	if err := in.Check(); err != nil {
		return credentials.Identity{}, err
	}
	from, err := a.broker(expand)
	if err != nil {
		return credentials.Identity{}, inField("from", err)
	}
	if from.RoleARN != "" {
		if err := a.checkChained(); err != nil {
			return credentials.Identity{}, err
		}
		if err := sts.CheckPartitions(in.RoleARN, from.RoleARN); err != nil {
			return credentials.Identity{}, inField("role_arn", err)
		}
	}

	id := credentials.NewRole(stsClient, from, a.FromName(), in) // Its tags are sorted by key.
	if a.values.sessionName.perRequest() {
		// The role alone would not tell whose session fails.
		id.Label += ", session " + in.SessionName
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

// IdentityFields implements credentials.Fields. The policy is not among them: its braces are mostly
// JSON's.
func (a *AssumeRole) IdentityFields() []credentials.Field {
	fields := make([]credentials.Field, 0, 4+len(a.Tags))
	fields = append(fields,
		credentials.Field{Name: "role_arn", Value: a.RoleARN},
		credentials.Field{Name: "external_id", Value: a.ExternalID},
		credentials.Field{Name: "session_name", Value: a.SessionName},
		credentials.Field{Name: "source_identity", Value: a.SourceIdentity},
	)
	for _, k := range slices.Sorted(maps.Keys(a.Tags)) {
		fields = append(fields, credentials.Field{Name: "tags." + k, Value: a.Tags[k]})
	}
	return fields
}

// MarshalLogObject leaves out what is nobody's business in Caddy's logs: the External ID, the values
// of tags, and where codes come from.
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
