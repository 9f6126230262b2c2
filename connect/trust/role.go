package trust

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/trust/shell"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// MaxPermissionsSize is how many characters besides white space a role's inline policies may have
// together, by IAM's quota.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html.
const MaxPermissionsSize = 10240

// Role is a role for a customer to make by hand.
type Role struct {
	// Name is the role's: 1 to 64 letters, digits, and any of _+=,.@-.
	Name string

	// Trust says who may assume it.
	Trust Policy

	// MaxSessionDuration is the longest session that it allows, 1 to 12 hours in whole seconds.
	// Default: IAM's own, one hour.
	MaxSessionDuration time.Duration

	// ManagedPolicies are the ARNs of policies to attach.
	ManagedPolicies []string

	// Permissions is a policy document, as JSON, to put into the role. Default: none.
	Permissions string
}

// inlinePolicy names the policy that Permissions becomes.
const inlinePolicy = "Access"

// Check says whether IAM would take the form of the role.
func (r Role) Check() error {
	_, _, err := r.documents()
	return err
}

// CreateCommands returns commands of the AWS CLI, for a POSIX shell, that make the role and print
// its ARN. It is one list joined by &&, so that nothing goes on after what did not work.
func (r Role) CreateCommands() (string, error) {
	trust, permissions, err := r.documents()
	if err != nil {
		return "", err
	}
	name := " --role-name " + shell.Quote(r.Name)
	create := "aws iam create-role" + name
	if r.MaxSessionDuration != 0 {
		create += fmt.Sprintf(" --max-session-duration %d", int(r.MaxSessionDuration.Seconds()))
	}
	commands := []string{create + " --assume-role-policy-document " + shell.Quote(asJSON(trust))}
	for _, arn := range r.ManagedPolicies {
		commands = append(commands, "aws iam attach-role-policy"+name+" --policy-arn "+shell.Quote(arn))
	}
	if permissions != nil {
		commands = append(commands, "aws iam put-role-policy"+name+" --policy-name "+inlinePolicy+
			" --policy-document "+shell.Quote(asJSON(permissions)))
	}
	commands = append(commands, "aws iam get-role"+name+" --query Role.Arn --output text")
	return strings.Join(commands, " &&\n"), nil
}

// UpdateCommand returns the command of the AWS CLI, for a POSIX shell, that gives a role that
// exists already the trust policy, in place of the one that it has.
func (r Role) UpdateCommand() (string, error) {
	trust, _, err := r.documents()
	if err != nil {
		return "", err
	}
	return "aws iam update-assume-role-policy --role-name " + shell.Quote(r.Name) +
		" --policy-document " + shell.Quote(asJSON(trust)), nil
}

// Terraform returns a configuration for the hashicorp/aws provider that makes the role and puts
// out its ARN as role_arn.
func (r Role) Terraform() (string, error) {
	trust, permissions, err := r.documents()
	if err != nil {
		return "", err
	}
	label := r.label()
	var b strings.Builder
	fmt.Fprintf(&b, "resource \"aws_iam_role\" %q {\n", label)
	if r.MaxSessionDuration == 0 {
		fmt.Fprintf(&b, "  name = %s\n", QuoteHCL(r.Name))
	} else {
		fmt.Fprintf(&b, "  name                 = %s\n", QuoteHCL(r.Name))
		fmt.Fprintf(&b, "  max_session_duration = %d\n", int(r.MaxSessionDuration.Seconds()))
	}
	fmt.Fprintf(&b, "  assume_role_policy = jsonencode(%s)\n}\n", asHCL(trust, step))
	for i, arn := range r.ManagedPolicies {
		fmt.Fprintf(&b, "\nresource \"aws_iam_role_policy_attachment\" \"%s_%d\" {\n", label, i+1)
		fmt.Fprintf(&b, "  role       = aws_iam_role.%s.name\n  policy_arn = %s\n}\n", label, QuoteHCL(arn))
	}
	if permissions != nil {
		fmt.Fprintf(&b, "\nresource \"aws_iam_role_policy\" %q {\n", label)
		fmt.Fprintf(&b, "  name = %s\n  role = aws_iam_role.%s.name\n", QuoteHCL(inlinePolicy), label)
		fmt.Fprintf(&b, "  policy = jsonencode(%s)\n}\n", asHCL(permissions, step))
	}
	fmt.Fprintf(&b, "\noutput \"role_arn\" {\n  value = aws_iam_role.%s.arn\n}\n", label)
	return b.String(), nil
}

// documents returns the trust policy and, unless there is none, that of Permissions.
func (r Role) documents() (trust, permissions any, err error) {
	trust, err = r.Trust.document()
	if err != nil {
		return nil, nil, err
	}
	principal := r.Trust.Principal
	asARN := sts.RoleARN{Partition: principal.Partition, Account: principal.Account, Path: "/", Name: r.Name}
	if len(r.Name) == 0 || strings.Contains(r.Name, "/") || sts.CheckRoleARN(asARN.String()) != nil {
		return nil, nil, fmt.Errorf("%q is no name of a role: write 1 to 64 letters, digits, and any of _+=,.@-", clip.Text(r.Name))
	}
	if d := r.MaxSessionDuration; d != 0 && (d < time.Hour || d > sts.MaxDuration || d%time.Second != 0) {
		return nil, nil, fmt.Errorf("a role's maximum session duration is 1 to 12 hours in whole seconds, not %s", d)
	}
	for _, arn := range r.ManagedPolicies {
		if err := checkPolicyARN(principal.Partition, arn); err != nil {
			return nil, nil, err
		}
	}
	if r.Permissions == "" {
		return trust, nil, nil
	}
	if len(r.Permissions) > 4*MaxPermissionsSize {
		return nil, nil, fmt.Errorf("the permissions have %d bytes: write a policy of at most %d characters", len(r.Permissions), MaxPermissionsSize)
	}
	permissions, err = parseJSON(r.Permissions)
	if err != nil {
		return nil, nil, fmt.Errorf("the permissions are not the JSON of a policy: %w", err)
	}
	if _, ok := permissions.(object); !ok {
		return nil, nil, errors.New("the permissions are no policy document: write a JSON object with Version and Statement")
	}
	if err := shell.Check(asJSON(permissions)); err != nil {
		return nil, nil, fmt.Errorf("the permissions can't be shown: %w", err)
	}
	if n := countInk(asJSON(permissions)); n > MaxPermissionsSize {
		return nil, nil, fmt.Errorf("the permissions have %d characters and IAM takes %d", n, MaxPermissionsSize)
	}
	return trust, permissions, nil
}

// checkPolicyARN wants arn:PARTITION:iam::aws:policy/… or that of the customer's own account.
func checkPolicyARN(partition, arn string) error {
	rest, ok := strings.CutPrefix(arn, "arn:"+partition+":iam::")
	owner, path, _ := strings.Cut(rest, ":policy/")
	// Policies' paths have the grammar of roles'; their names may be twice as long.
	dir, name := "", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		dir, name = path[:i+1], path[i+1:]
	}
	head := sts.RoleARN{Partition: partition, Account: "123456789012", Path: "/" + dir, Name: "x"}
	if !ok || owner != "aws" && !isAccount(owner) || name == "" || len(name) > 128 ||
		strings.Trim(name, policyName) != "" || sts.CheckRoleARN(head.String()) != nil {
		return fmt.Errorf("%q is not the ARN of a managed policy: write one like arn:%s:iam::aws:policy/NAME", clip.Text(arn), partition)
	}
	return nil
}

const policyName = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+=,.@-"

// label returns the role's name as Terraform's names are.
func (r Role) label() string {
	label := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			return c
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		}
		return '_'
	}, r.Name)
	if label[0] >= '0' && label[0] <= '9' {
		return "role_" + label
	}
	return label
}
