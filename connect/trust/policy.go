package trust

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// MaxPolicySize is how many characters besides white space a trust policy may have, by IAM's
// default quota.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html.
const MaxPolicySize = 2048

// Policy is the trust policy of a customer's role: the one principal may assume it, if it knows the
// External ID. See
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_common-scenarios_third-party.html.
type Policy struct {
	// Principal is whom the role trusts.
	Principal Principal

	// ExternalID is what the principal must say. A policy without one is an error: any customer of
	// the vendor could have the vendor use the role.
	ExternalID string

	// TagSession lets the principal set session tags. Set it only if it does.
	TagSession bool

	// SetSourceIdentity lets the principal set a source identity. Set it only if it does.
	SetSourceIdentity bool
}

// JSON returns the policy document, indented.
func (p Policy) JSON() (string, error) {
	document, err := p.document()
	if err != nil {
		return "", err
	}
	return asJSON(document), nil
}

func (p Policy) document() (object, error) {
	if p.Principal.ARN == "" {
		return nil, errors.New("a trust policy without a principal trusts nobody: name the broker's role")
	}
	if parsed, err := ParsePrincipal(p.Principal.Partition, p.Principal.ARN); err != nil {
		return nil, err
	} else if parsed.ARN != p.Principal.ARN || parsed.Account != p.Principal.Account {
		return nil, fmt.Errorf("principal %q does not belong to account %q: read it with ParsePrincipal", clip.Text(p.Principal.ARN), clip.Text(p.Principal.Account))
	}
	if err := sts.CheckExternalID(p.ExternalID); err != nil {
		return nil, err
	}
	actions := []any{"sts:AssumeRole"}
	if p.TagSession {
		actions = append(actions, "sts:TagSession")
	}
	if p.SetSourceIdentity {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	var action any = actions
	if len(actions) == 1 {
		action = actions[0]
	}
	condition := object{{"StringEquals", object{{"sts:ExternalId", p.ExternalID}}}}
	if p.Principal.Only != "" {
		condition = append(condition, member{"ArnLike", object{{"aws:PrincipalArn", p.Principal.Only}}})
	}
	document := object{
		{"Version", "2012-10-17"},
		{"Statement", []any{object{
			{"Effect", "Allow"},
			{"Principal", object{{"AWS", p.Principal.ARN}}},
			{"Action", action},
			{"Condition", condition},
		}}},
	}
	if n := countInk(asJSON(document)); n > MaxPolicySize {
		return nil, fmt.Errorf("the trust policy has %d characters and IAM takes %d: use a shorter External ID", n, MaxPolicySize)
	}
	return document, nil
}

// countInk counts the characters that IAM counts.
func countInk(text string) int {
	return len([]rune(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)))
}
