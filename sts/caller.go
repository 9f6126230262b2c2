package sts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// CallerIdentity is whom AWS takes the bearer of credentials for.
// See https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html.
type CallerIdentity struct {
	// Account is the 12 digits of the account that the credentials belong to.
	Account string

	// ARN names the principal, for example
	// "arn:aws:sts::123456789012:assumed-role/Proxy/caddy-web1".
	ARN string

	// UserID is the principal's unique ID; for a role it is the role's, a colon, and the session name.
	UserID string
}

// GetCallerIdentity asks AWS who the bearer of these credentials is. It needs no permission. What STS
// answers is an *Error.
func (c *Client) GetCallerIdentity(ctx context.Context, creds sigv4.Credentials, where Where) (CallerIdentity, error) {
	var none CallerIdentity
	if err := where.Check(); err != nil {
		return none, fmt.Errorf("endpoint: %w", err)
	}
	if where.Region != "" {
		if _, ok := endpoint.PartitionOf(where.Region); !ok {
			return none, fmt.Errorf("region: %q is not the name of an AWS region: write one like us-east-1", clip.Text(where.Region))
		}
	}
	if err := checkCaller(creds); err != nil {
		return none, err
	}
	client, region, err := c.client(ctx, where, "")
	if err != nil {
		return none, err
	}
	known := Known{Temporary: creds.SessionToken != "", Region: region, Endpoint: where.Endpoint, FIPS: where.FIPS}
	out, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}, signedBy(creds))
	if err != nil {
		return none, NewError(err, creds.SecretAccessKey, creds.SessionToken).knowing(known)
	}
	id := CallerIdentity{Account: aws.ToString(out.Account), ARN: aws.ToString(out.Arn), UserID: aws.ToString(out.UserId)}
	if !isAccount(id.Account) || !strings.HasPrefix(id.ARN, "arn:") {
		return none, (&Error{Operation: "GetCallerIdentity", Status: http.StatusOK, Message: "the answer names no account and ARN: is this the endpoint of STS?"}).
			knowing(known)
	}
	return id, nil
}

// CheckRole says whether the caller is a session of exactly this role: partition, account and the
// role's name are equal. A path of the role's is not in the caller's ARN, and names are unique in an
// account.
func (id CallerIdentity) CheckRole(roleARN string) error {
	role, err := ParseRoleARN(roleARN)
	if err != nil {
		return err
	}
	got, err := ParseSessionARN(id.ARN)
	if err != nil {
		return fmt.Errorf("the credentials are not those of %s: %w", roleARN, err)
	}
	if got.Partition != role.Partition || got.Account != role.Account || got.RoleName != role.Name || id.Account != role.Account {
		return fmt.Errorf("the credentials are those of %s in account %s, and not of %s", clip.Text(id.ARN), clip.Text(id.Account), roleARN)
	}
	return nil
}

// SessionARN is the ARN of a session of a role, taken apart.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html.
type SessionARN struct {
	// Partition and Account are those of the role.
	Partition, Account string

	// RoleName is the role's name, without its path.
	RoleName string

	// SessionName is the name that the session was given.
	SessionName string
}

// String returns the ARN.
func (s SessionARN) String() string {
	return "arn:" + s.Partition + ":sts::" + s.Account + ":assumed-role/" + s.RoleName + "/" + s.SessionName
}

var errNoSession = errors.New("it does not have the form arn:PARTITION:sts::ACCOUNT:assumed-role/NAME/SESSION")

// ParseSessionARN takes the ARN of a role's session apart.
func ParseSessionARN(arn string) (SessionARN, error) {
	bad := func(err error) (SessionARN, error) {
		return SessionARN{}, fmt.Errorf("%q is not the ARN of a role's session: %w", clip.Text(arn), err)
	}
	f := strings.Split(arn, ":")
	if len(f) != 6 || f[0] != "arn" || f[2] != "sts" || f[3] != "" {
		return bad(errNoSession)
	}
	r := strings.Split(f[5], "/")
	if len(r) != 3 || r[0] != "assumed-role" {
		return bad(errNoSession)
	}
	s := SessionARN{Partition: f[1], Account: f[4], RoleName: r[1], SessionName: r[2]}
	switch {
	case !isPartition(s.Partition):
		return bad(fmt.Errorf("%q is none of the partitions %s", clip.Text(s.Partition), partitionIDs()))
	case !isAccount(s.Account):
		return bad(fmt.Errorf("the account %q is not 12 digits", clip.Text(s.Account)))
	case s.RoleName == "" || len(s.RoleName) > 64 || !consistsOf(s.RoleName, isNameByte):
		return bad(fmt.Errorf("the role's name %q is not 1 to 64 letters, digits, and any of _+=,.@-", clip.Text(s.RoleName)))
	}
	if err := CheckSessionName(s.SessionName); err != nil {
		return bad(err)
	}
	return s, nil
}
