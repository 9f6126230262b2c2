package web

import (
	"slices"
	"strconv"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/cfn"
)

// card is a template as the customer sees it.
type card struct {
	*frame
	*connect.Card

	ID         string // in the page
	Only       bool   // there is no other
	NotNow     string // that it can't be offered, and what to do
	NoLink     string // why there is no link into the console
	Parameters []parameter
	Findings   []string
	Grants     grants
}

// parameter is one of a template, with what the stack is made with.
type parameter struct {
	Name, Description string
	Value             string
	Yours, Hidden     bool
}

// grants is what a template gives to whom.
type grants struct {
	Roles      []role
	Policies   []policy // those of no role
	Others     []cfn.Resource
	Conditions []cfn.NamedCondition
}

// GrantsShown says whether a card shows what its template grants.
func (p *connectPage) GrantsShown() bool {
	return slices.ContainsFunc(p.Cards, func(c *card) bool { return c.Problem == "" && !c.Grants.Nothing() })
}

func (g grants) Nothing() bool { return len(g.Roles) == 0 && len(g.Policies) == 0 }

type role struct {
	cfn.Role
	Who     []statement // who may use it
	Allowed []policy
}

type policy struct {
	cfn.Policy
	Statements []statement
}

// statement is one of a policy in rows.
type statement struct {
	Verb       string // the key of the text before the actions
	Actions    []cfn.Entry
	On         string // the key of the text before the resources
	Resources  []cfn.Entry
	Principals []cfn.Entry
	Conditions []cfn.Condition
	When       []string
	Opaque     string
}

// told are the findings that concern customers. The others are for the operator.
var told = map[cfn.Code]bool{
	cfn.TrustAnyone: true, cfn.TrustNoExternalID: true, cfn.TrustOtherExternalID: true, cfn.TrustOtherPrincipal: true,
	cfn.TrustUser: true, cfn.Opaque: true, cfn.GrantsWrite: true, cfn.GrantsAll: true, cfn.GrantsIAM: true,
	cfn.LongLivedKeys: true, cfn.RunsCode: true, cfn.NestedStack: true, cfn.Transformed: true, cfn.NoRoleOutput: true,
}

func (p *connectPage) card(of *connect.Card, n int) *card {
	c := &card{frame: &p.frame, Card: of, ID: "card-" + strconv.Itoa(n+1), Only: len(p.Page.Cards) == 1}
	if of.Problem != "" {
		c.NotNow = p.T("card.problem")
		if p.Page.Problem != "" {
			c.NotNow = p.T("card.problem_now") // There is no other way either.
		}
		return c
	}
	if of.Launch.NoLink != nil {
		c.NoLink = p.T("nolink." + string(of.Launch.NoLink.Reason))
	}
	for _, a := range of.Arguments {
		row := parameter{Name: a.Name, Description: a.Description, Value: a.Value, Hidden: a.NoEcho}
		if !a.Set {
			row.Value, row.Yours = a.Default, !a.HasDefault
		}
		c.Parameters = append(c.Parameters, row)
	}
	for _, f := range of.Findings {
		if told[f.Code] {
			c.Findings = append(c.Findings, p.T("finding."+string(f.Code), "where", f.Where, "detail", f.Detail))
		}
	}
	c.Grants = grantsOf(of.Parsed)
	return c
}

func grantsOf(t *cfn.Template) grants {
	g := grants{Others: t.Others, Conditions: t.Conditions, Policies: policies(t.Policies)}
	for _, r := range t.Roles {
		g.Roles = append(g.Roles, role{r, statements(r.Trust), policies(r.Policies)})
	}
	return g
}

func policies(all []cfn.Policy) []policy {
	out := make([]policy, 0, len(all))
	for _, p := range all {
		out = append(out, policy{p, statements(p.Statements)})
	}
	return out
}

func statements(all []cfn.Statement) []statement {
	out := make([]statement, 0, len(all))
	for _, s := range all {
		row := statement{
			Actions: s.Actions, On: "grants.on", Resources: s.Resources,
			Conditions: s.Conditions, When: s.When, Opaque: s.Opaque,
		}
		switch deny, except := s.Effect == "Deny", len(s.NotActions) > 0; {
		case deny && except:
			row.Verb, row.Actions = "grants.deny_except", s.NotActions
		case deny:
			row.Verb = "grants.deny"
		case except:
			row.Verb, row.Actions = "grants.allow_except", s.NotActions
		default:
			row.Verb = "grants.allow"
		}
		if len(s.NotResources) > 0 {
			row.On, row.Resources = "grants.on_except", s.NotResources
		}
		for _, p := range s.Principals {
			row.Principals = append(row.Principals, p.Entry)
		}
		for _, p := range s.NotPrincipals {
			p.Text = "* ∖ " + p.Text
			row.Principals = append(row.Principals, p.Entry)
		}
		out = append(out, row)
	}
	return out
}
