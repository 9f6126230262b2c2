package connect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/cfn"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/quickcreate"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
)

// Page is what the Connect page of a session shows.
type Page struct {
	Session     Session
	Integration *Integration

	// ExternalID is what the role's trust policy has to ask for.
	ExternalID string

	// Principal is whom the role has to trust. It is the zero one if Problem is set.
	Principal Principal

	// Problem says why it is not known who assumes the role, and with it what else is missing:
	// CodeBrokerUnavailable, or empty.
	Problem Code

	// Cards are the templates, in their order.
	Cards []Card

	// Regions are those that may be chosen, none if any may be. Region is the one that is shown
	// first: what was typed, else what the vendor or the integration says; it may be empty, or wrong.
	Regions []string
	Region  string

	// RoleARN is the one that is shown first; it may be empty, or wrong.
	RoleARN string

	// TagSession says whether the trust policy has to allow sts:TagSession, too.
	TagSession bool

	// Verification is how that of the session stands.
	Verification Verification
}

// Card is a template of a Connect page.
type Card struct {
	Template Template

	// Problem says why the template can't be used, in words for the operator. All that follows is
	// missing then.
	Problem string

	// Parsed is what the template says, Findings what is to be known of it.
	Parsed   *cfn.Template
	Findings []cfn.Finding

	// Arguments are the template's parameters with the values for this session.
	Arguments []cfn.Argument

	// Region is where the stack is made, Launch how.
	Region string
	Launch quickcreate.Launch
}

// Page returns the page of a session. Its errors are those of Store.Session, and as there the session is
// returned with ErrExpired and ErrRevoked. What AWS or a template's server do not answer is left out
// and said; nobody waits for them longer than some seconds.
func (s *Service) Page(ctx context.Context, token string) (*Page, error) {
	session, err := s.store.Session(ctx, token)
	page := &Page{Session: session}
	if err != nil {
		if c, err := s.integrationOfSession(&session); err == nil {
			page.Integration = &c.Integration
		}
		return page, err
	}
	c, err := s.integrationOfSession(&session)
	if err != nil {
		return page, err
	}
	page.Integration = &c.Integration
	if page.Verification, err = s.verificationOf(ctx, session); err != nil {
		return page, err
	}
	page.ExternalID, err = s.store.ExternalIDFor(ctx, session)
	switch {
	case errors.Is(err, ErrNotFound) && session.Succeeded != "": // The connection was deleted since.
	case err != nil:
		return page, err
	}
	page.RoleARN = cmp.Or(session.Typed.RoleARN, session.Prefill.RoleARN.Text)
	page.Region = cmp.Or(session.Typed.Region, regionOf(&session, &c.Integration, ""))
	page.Regions = slices.Clone(c.Regions)
	if session.Prefill.Region.Fixed {
		page.Region, page.Regions = session.Prefill.Region.Text, []string{session.Prefill.Region.Text}
	}
	if session.Prefill.RoleARN.Fixed {
		page.RoleARN = session.Prefill.RoleARN.Text
	}
	s.fill(ctx, page, c)
	return page, nil
}

// fill writes into a page what does not depend on how far its session has come.
func (s *Service) fill(ctx context.Context, page *Page, c *Configured) {
	var err error
	page.TagSession = len(c.Tags) > 0
	if page.Principal, err = s.principal(ctx, c); err != nil {
		s.options.Report(fmt.Errorf("integration %s: whom its roles have to trust can't be told: %w", c.Key, err))
		page.Problem = CodeBrokerUnavailable
	}
	for i := range c.Templates {
		page.Cards = append(page.Cards, s.card(ctx, page, &c.Templates[i]))
	}
}

// card makes a template ready for a session.
func (s *Service) card(ctx context.Context, page *Page, t *Template) Card {
	card := Card{Template: *t, Region: stackRegion(page)}
	card.Template.Label = cmp.Or(t.Label, t.ID)
	card.Template.StackName = cmp.Or(t.StackName, defaultStackName(page.Integration.Key, t.ID))
	l, err := s.templates.checked(ctx, t)
	if err == nil {
		card.Arguments, err = l.parsed.Arguments(t.settings(), cfn.Values{
			ExternalID: page.ExternalID, Account: page.Principal.Account, Principal: page.Principal.ARN,
		})
	}
	if err == nil {
		card.Launch, err = card.stack(l).Launch()
	}
	if err != nil {
		return Card{Template: card.Template, Problem: err.Error()}
	}
	card.Parsed, card.Findings = l.parsed, l.parsed.Findings(t.settings(), t.ID, t.Label, t.Description)
	return card
}

func (c *Card) stack(l *loaded) quickcreate.Stack {
	stack := quickcreate.Stack{
		Region:       c.Region,
		Name:         c.Template.StackName,
		TemplateURL:  c.Template.URL,
		TemplateSize: l.parsed.Size,
		Capabilities: l.parsed.Capabilities,
	}
	if c.Template.URL == "" {
		stack.TemplateFile = c.Template.ID + "." + l.parsed.Format
	}
	for _, a := range c.Arguments {
		stack.Parameters = append(stack.Parameters, quickcreate.Parameter{
			Name: a.Name, Value: a.Value, Set: a.Set, Default: a.HasDefault, NoEcho: a.NoEcho,
		})
	}
	return stack
}

// stackRegion is where a stack is made: roles are in no region, so that any of the partition does.
func stackRegion(page *Page) string {
	partition := page.Principal.Partition
	for _, r := range []string{page.Region, page.Session.Prefill.Region.Text, page.Integration.Region} {
		if p := partitionOfRegion(r); p != "" && (partition == "" || p == partition) {
			return r
		}
	}
	for _, p := range endpoint.Partitions() {
		if p.ID == cmp.Or(partition, "aws") {
			return p.DefaultRegion
		}
	}
	return ""
}

var notStackName = regexp.MustCompile(`[^a-zA-Z0-9]+`)

// defaultStackName makes the name of a stack of the names of integration and template.
func defaultStackName(integration, template string) string {
	name := strings.Trim(notStackName.ReplaceAllString("Connect-"+integration+"-"+template, "-"), "-")
	return strings.TrimRight(name[:min(len(name), 100)], "-")
}
