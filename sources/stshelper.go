package sources

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// STSHelper gets temporary credentials of a role from an STS helper: a service that assumes roles with
// its own broker's credentials, and hands out the sessions, such as `aws_sts_helper`. It is asked by
// `POST` with the JSON object `{"role_arn","external_id","region","service"}`, all four always
// there. It answers with an access key ID, a secret access key and a session token, flat or in an
// object `credentials`, in camel, snake or AWS's own case, and with when they expire, as a date or as
// seconds or milliseconds since 1970; without that they are used for 5 minutes.
//
// The placeholders `{env.*}`, `{file.*}` and `{system.*}` are resolved once, when the configuration is
// loaded. Where it says so below, other placeholders are filled by each request, as for `assume_role`.
//
// At most one of `api_key`, `basic_password` and `bearer_token` may be given, and with each of them, or
// alone, a client certificate. No redirect is followed and no proxy is asked, whatever
// `HTTPS_PROXY` says. The helper may be on this machine or in a private network, but not at a
// link-local address, whatever its name leads to.
type STSHelper struct {
	HelperEndpoint

	// The ARN of the role, for example `arn:aws:iam::123456789012:role/Proxy`. Required. A request
	// may fill it; `allow_roles` is required then.
	RoleARN string `json:"role_arn,omitempty"`

	// The External ID that the role's trust policy asks for. A request may fill it, but with
	// nothing that the client sent, save for the client's certificate if it was verified. Default: empty, which some
	// helpers refuse.
	ExternalID string `json:"external_id,omitempty"`

	// The region that the helper is told; it must be in the role's partition. Some helpers call
	// its STS and not the one that they have as default. Default: the environment's region (`AWS_REGION`
	// or the shared configuration file, as they are when the configuration is loaded) if it is in that
	// partition, else the default region of that partition, such as `us-east-1`.
	Region string `json:"region,omitempty"`

	// The signing name of the service that the helper is told. Default: `sts`.
	Service string `json:"service,omitempty"`

	values helperValues
	client *sts.HelperClient
	around string                               // the environment's region
	key    string                               // what selects an identity but for what is asked for
	fixed  atomic.Pointer[credentials.Identity] // if it does not depend on the request
}

// defaultHelperService is what helpers are told that want a service and pay no heed to it.
const defaultHelperService = "sts"

// CaddyModule returns the Caddy module information.
func (*STSHelper) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  Namespace + ".sts_helper",
		New: func() caddy.Module { return new(STSHelper) },
	}
}

// Provision resolves the placeholders that need no request, and reads certificates. It does not touch
// the network.
func (h *STSHelper) Provision(ctx caddy.Context) error {
	if err := h.checkFixedFields(); err != nil {
		return err
	}
	var err error
	if h.values, err = h.helperValues(newTemplate); err != nil {
		return err
	}
	if err := h.check(h.values); err != nil {
		return err
	}
	if err := h.checkComplete(h.values); err != nil {
		return err
	}
	if h.values.region.isEmpty() {
		if h.around, err = sts.EnvironmentRegion(ctx); err != nil {
			return inField("region", fmt.Errorf("%w: correct that, or write region", err))
		}
	}
	h.client, h.key, err = h.HelperEndpoint.Client(ctx)
	return err
}

// PerRequest implements credentials.Source.
func (h *STSHelper) PerRequest() bool {
	return h.values.roleARN.perRequest() || h.values.externalID.perRequest()
}

// Identity implements credentials.Source.
func (h *STSHelper) Identity(expand credentials.Expander) (credentials.Identity, error) {
	if id := h.fixed.Load(); id != nil {
		return *id, nil
	}
	in := sts.HelperInput{Region: h.values.region.known(), Service: h.values.service.known()}
	var err error
	if in.RoleARN, err = h.values.roleARN.resolve(expand); err != nil {
		return credentials.Identity{}, inField("role_arn", err)
	}
	if in.ExternalID, err = h.values.externalID.resolve(expand); err != nil {
		return credentials.Identity{}, inField("external_id", err)
	}
	if in.Service == "" {
		in.Service = defaultHelperService
	}
	if in.Region == "" {
		in.Region = regionFor(in.RoleARN, h.around)
	}
	if err := in.Check(); err != nil {
		return credentials.Identity{}, err
	}
	client := h.client
	id := credentials.Identity{
		Key:     credentials.NewKey("sts_helper", h.key, in.RoleARN, credentials.Sealed(in.ExternalID), in.Region, in.Service),
		Label:   fmt.Sprintf("sts_helper %s (from %s)", in.RoleARN, client.Host()),
		RoleARN: in.RoleARN,
		Fetch: func(ctx context.Context, _ *credentials.Credentials) (*credentials.Credentials, error) {
			v, expires, err := client.AssumeRole(ctx, in)
			if err != nil {
				return nil, err
			}
			return credentials.New(v, expires, time.Now()), nil
		},
	}
	if !h.PerRequest() {
		h.fixed.Store(&id)
	}
	return id, nil
}

// regionFor returns the environment's region if it is in a role's partition, or else the default region of
// that partition; "" if the ARN is none, which is said elsewhere.
func regionFor(roleARN, around string) string {
	role, err := sts.ParseRoleARN(roleARN)
	if err != nil {
		return ""
	}
	if p, ok := endpoint.PartitionOf(around); ok && p.ID == role.Partition {
		return around
	}
	for _, p := range endpoint.Partitions() {
		if p.ID == role.Partition {
			return p.DefaultRegion
		}
	}
	return ""
}

// IdentityFields implements credentials.Fields.
func (h *STSHelper) IdentityFields() []credentials.Field {
	return []credentials.Field{
		{Name: "role_arn", Value: h.RoleARN},
		{Name: "external_id", Value: h.ExternalID},
	}
}

// MarshalLogObject leaves out what is nobody's business in Caddy's logs: the External ID, the secrets, and
// the URL, whose query may hold one.
func (h *STSHelper) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("role_arn", h.RoleARN)
	if h.client != nil {
		enc.AddString("host", h.client.Host())
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner       = (*STSHelper)(nil)
	_ caddyfile.Unmarshaler   = (*STSHelper)(nil)
	_ credentials.Source      = (*STSHelper)(nil)
	_ credentials.Fields      = (*STSHelper)(nil)
	_ zapcore.ObjectMarshaler = (*STSHelper)(nil)
)
