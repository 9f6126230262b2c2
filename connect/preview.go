package connect

import (
	"context"
	"slices"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/cfn"
)

// PreviewPage returns the page of an integration as a customer sees it at first. There is no session, and
// nothing is stored; its External ID is made up.
func (s *Service) PreviewPage(ctx context.Context, integration string) (*Page, error) {
	c, err := s.integrationOf(integration)
	if err != nil {
		return nil, err
	}
	page := &Page{
		Session: Session{
			Integration: integration, Organization: Organization{ID: "example", DisplayName: "Example customer"},
			Expires: s.now().Add(s.store.options.SessionLife),
		},
		Integration: &c.Integration, ExternalID: newExternalID(), Region: c.Region, Regions: slices.Clone(c.Regions),
		Verification: Verification{State: StateNone},
	}
	s.fill(ctx, page, c)
	return page, nil
}

// InspectTemplate fetches a template, so that an operator sees what it asks for before it is used: over https
// alone, from public addresses, and from the hosts that the operator has listed. The error says what is
// wrong, and is for operators.
func (s *Service) InspectTemplate(ctx context.Context, url string) (*cfn.Template, error) {
	if err := checkWebURL(url); err != nil {
		return nil, invalid(err)
	}
	ctx, cancel := context.WithTimeout(ctx, templateWait)
	defer cancel()
	got := s.templates.fetch(ctx, url)
	if got.err != nil {
		return nil, fail(ErrInvalid, hostOf(url)+": "+got.err.Error())
	}
	parsed, err := cfn.Parse(got.data)
	if err != nil {
		return nil, fail(ErrInvalid, hostOf(url)+": "+err.Error())
	}
	return parsed, nil
}

// Proof returns what only those who have the storage and its seal key can make of a purpose and its parts: the
// same on all instances.
func (s *Store) Proof(ctx context.Context, purpose string, parts ...string) (string, error) {
	key, err := s.records.HashedKey(ctx, "proofs", append([]string{purpose}, parts...)...)
	if err != nil {
		return "", err
	}
	return key.Name(), nil
}
