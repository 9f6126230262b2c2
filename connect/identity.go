package connect

import (
	"context"
	"errors"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
)

// Identity returns a connection's role as an identity for the cache of credentials. It is to be asked
// for at each use, with the connection as it is then: a connection that is paused, has failed for too many
// days or has lost its integration is refused, here and when credentials are fetched or refreshed, where also one that was
// deleted, or renewed with another role, is.
func (s *Service) Identity(c Connection) (credentials.Identity, error) {
	r, err := s.usable(&c)
	if err != nil {
		return credentials.Identity{}, err
	}
	id := r.integration.Mode.Identity(r.input())
	fetch, how := id.Fetch, id.Key
	// Two connections never share credentials, so that each has its own name in CloudTrail, and its
	// own end.
	id.Key = credentials.NewKey("connection", c.ID, id.Key)
	id.Label = "connection " + c.ID + " (" + c.RoleARN + ")"
	id.Local = false
	id.Fetch = func(ctx context.Context, from *credentials.Credentials) (*credentials.Credentials, error) {
		now, err := s.Lookup(ctx, c.ID)
		if err == nil && (now.RoleARN != c.RoleARN || now.ExternalID != c.ExternalID || now.Region != c.Region) {
			err = fail(ErrNotFound, "the connection was renewed with another role")
		}
		if err == nil {
			var as role
			if as, err = s.usable(&now); err == nil && as.integration.Mode.Identity(as.input()).Key != how {
				err = errIntegrationChanged
			}
		}
		if err != nil {
			return nil, &fetchError{err}
		}
		creds, err := fetch(ctx, from)
		s.learn(now, r, err)
		return creds, err
	}
	return id, nil
}

// fetchError is why no credentials are fetched for a connection. The cache asks it whether another
// attempt makes sense.
type fetchError struct{ err error }

func (e *fetchError) Error() string   { return e.err.Error() }
func (e *fetchError) Unwrap() error   { return e.err }
func (e *fetchError) Retryable() bool { return errors.Is(e.err, ErrUnavailable) }

// usable returns a connection's role, if the connection may be used.
func (s *Service) usable(c *Connection) (role, error) {
	if c.Paused {
		return role{}, fail(ErrPaused, "the connection is paused")
	}
	if c.exhausted() {
		return role{}, c.exhaustion()
	}
	r, err := s.roleOf(c)
	if err != nil {
		return role{}, err
	}
	if p := r.denied(); p != nil {
		return role{}, fail(ErrDenied, p.text)
	}
	return r, nil
}

// denied says whether the operator has denied the role's account since it was connected. It asks nobody who
// the vendor is.
func (r *role) denied() *problem {
	if r.integration.allows(r.account, r.vendor.Account) {
		return nil
	}
	text := "roles of the account " + r.account + " may not be used: the integration's allow_accounts and deny_accounts say so"
	return &problem{code: CodeAccountNotAllowed, text: text, remedy: askVendor, detail: text}
}

// roleOf returns a connection's role.
func (s *Service) roleOf(c *Connection) (role, error) {
	integration, err := s.integrationOf(c.Integration)
	if err != nil {
		return role{}, err
	}
	return role{
		integration: integration, connection: c.ID, arn: c.RoleARN, region: c.Region, externalID: c.ExternalID,
		account: c.Account, vendor: s.knownPrincipal(c.Integration),
	}, nil
}
