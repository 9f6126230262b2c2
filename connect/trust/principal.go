// Package trust writes the trust policy by which a customer's role lets a vendor in, as JSON, as
// commands of the AWS CLI and as Terraform, for those who make the role by hand. It is pure.
package trust

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// Principal is whom a role trusts. See
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html.
type Principal struct {
	// Partition is the ID of the AWS partition, for example "aws" or "aws-cn".
	Partition string

	// Account is the 12 digits of the vendor's account.
	Account string

	// ARN is what the policy's Principal element holds: a role, a user, or an account's root,
	// which stands for every principal that the account itself lets assume roles.
	ARN string

	// Only narrows an account's root down to the principals whose ARN it matches: a pattern for
	// the condition ArnLike of aws:PrincipalArn. Empty: no condition.
	Only string
}

// ssoRole begins the names of the roles that IAM Identity Center makes. They have a path that
// depends on its home region, and that the ARN of a session does not tell.
const ssoRole = "AWSReservedSSO_"

// ParsePrincipal reads whom to trust: the ARN of a role, a user or an account's root, a 12-digit
// account, or the ARN of a role's session, as GetCallerIdentity returns it, which stands for its
// role. The partition is the customer's; another one in the ARN is an error, because credentials of
// one partition mean nothing in another.
//
// The ARN of a session lacks the path of its role. A role of IAM Identity Center is found without
// it; any other is taken to have none, and IAM refuses the policy if it has one.
func ParsePrincipal(partition, text string) (Principal, error) {
	if !isPartition(partition) {
		return Principal{}, fmt.Errorf("%q is no AWS partition: write one of %s", clip.Text(partition), strings.Join(partitions(), ", "))
	}
	if isAccount(text) {
		return root(partition, text), nil
	}
	p, err := parseARN(text)
	if err != nil {
		return Principal{}, err
	}
	if p.Partition != partition {
		return Principal{}, fmt.Errorf("principal %q is in the partition %s and the role is in %s: write a principal of %s, credentials of one partition mean nothing in another",
			clip.Text(text), p.Partition, partition, partition)
	}
	return p, nil
}

func parseARN(text string) (Principal, error) {
	bad := func(why string) (Principal, error) {
		return Principal{}, fmt.Errorf("principal %q: %s: write the ARN of the role that assumes customers' roles, such as arn:aws:iam::123456789012:role/NAME",
			clip.Text(text), why)
	}
	f := strings.SplitN(text, ":", 6)
	switch {
	case text == "":
		return bad("it is empty")
	case strings.ContainsAny(text, "*?"):
		return bad("IAM takes no wildcard in a principal, but for the one that lets anybody in")
	case len(f) < 6 || f[0] != "arn":
		return bad("it is neither an ARN nor a 12-digit account")
	case !isPartition(f[1]):
		return bad(fmt.Sprintf("%q is none of the partitions %s", clip.Text(f[1]), strings.Join(partitions(), ", ")))
	case f[3] != "":
		return bad("ARNs of IAM and STS name no region")
	case !isAccount(f[4]):
		return bad(fmt.Sprintf("the account %q is not 12 digits", clip.Text(f[4])))
	}
	partition, service, account := f[1], f[2], f[4]
	kind, rest, _ := strings.Cut(f[5], "/")
	switch {
	case service == "iam" && f[5] == "root":
		return root(partition, account), nil
	case service == "iam" && kind == "role":
		if _, err := sts.ParseRoleARN(text); err != nil {
			return Principal{}, fmt.Errorf("principal: %w", err)
		}
		return Principal{Partition: partition, Account: account, ARN: text}, nil
	case service == "iam" && kind == "user":
		// Users' paths and names have the grammar of roles'.
		asRole := sts.RoleARN{Partition: partition, Account: account, Path: "/", Name: rest}
		if sts.CheckRoleARN(asRole.String()) != nil {
			return bad("its path or its user's name is none that IAM knows")
		}
		return Principal{Partition: partition, Account: account, ARN: text}, nil
	case service == "sts" && kind == "assumed-role":
		return session(partition, account, rest, bad)
	case service == "sts" && kind == "federated-user":
		return bad("a federated user can't be trusted across accounts")
	}
	return bad(fmt.Sprintf("%q is neither a role nor a user nor an account's root", clip.Text(service+":"+kind)))
}

// session turns assumed-role/NAME/SESSION into the role.
func session(partition, account, rest string, bad func(string) (Principal, error)) (Principal, error) {
	name, session, ok := strings.Cut(rest, "/")
	role := sts.RoleARN{Partition: partition, Account: account, Path: "/", Name: name}
	if !ok || strings.Contains(session, "/") || sts.CheckSessionName(session) != nil || sts.CheckRoleARN(role.String()) != nil {
		return bad("it does not have the form arn:PARTITION:sts::ACCOUNT:assumed-role/NAME/SESSION")
	}
	if strings.HasPrefix(name, ssoRole) {
		p := root(partition, account)
		p.Only = "arn:" + partition + ":iam::" + account + ":role/aws-reserved/*/" + name
		return p, nil
	}
	return Principal{Partition: partition, Account: account, ARN: role.String()}, nil
}

// ByAccount returns the principal as its account's root, narrowed down to the same role or user. A
// policy that names a role's ARN stops working when the role is deleted and made anew, because IAM
// stores its unique ID; this one goes on. It comes with a condition more. A principal that is an
// account's root is returned as it is.
func (p Principal) ByAccount() Principal {
	wide := root(p.Partition, p.Account)
	if p.ARN == wide.ARN {
		return p
	}
	// A path may hold what begins a policy variable; this is IAM's own escape for it. See
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html.
	wide.Only = strings.ReplaceAll(p.ARN, "$", "${$}")
	return wide
}

func root(partition, account string) Principal {
	return Principal{Partition: partition, Account: account, ARN: "arn:" + partition + ":iam::" + account + ":root"}
}

func partitions() []string {
	all := endpoint.Partitions()
	ids := make([]string, len(all))
	for i, p := range all {
		ids[i] = p.ID
	}
	return ids
}

func isPartition(id string) bool { return slices.Contains(partitions(), id) }

func isAccount(text string) bool {
	return len(text) == 12 && strings.Trim(text, "0123456789") == ""
}
