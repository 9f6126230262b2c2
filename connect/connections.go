package connect

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store"
)

// connectionKey returns where a connection is stored: its ID is the server's own, and is taken only in
// the one form that newUUID gives it.
func connectionKey(id string) (store.Key, error) {
	if !uuid.MatchString(id) {
		return store.Key{}, fail(ErrNotFound, "this is no ID of a connection")
	}
	return store.NewKey(connectionKind, id)
}

// Connection returns a connection.
func (s *Store) Connection(ctx context.Context, id string) (Connection, error) {
	key, err := connectionKey(id)
	if err != nil {
		return Connection{}, err
	}
	var c Connection
	err = s.records.Get(ctx, key, &c)
	return c, err
}

// UpdateConnection changes a connection under its lock: pauses or resumes it, changes tags and
// metadata, keeps the outcome of a verification. What it is (ID, integration, role, External ID,
// account, creation) can't be changed.
func (s *Store) UpdateConnection(ctx context.Context, id string, change func(*Connection) error) (Connection, error) {
	key, err := connectionKey(id)
	if err != nil {
		return Connection{}, err
	}
	var c Connection
	stored := func() {}
	err = s.records.Update(ctx, key, func(r *store.Record) error {
		var before Connection
		found, err := r.Get(&before)
		switch {
		case err != nil:
			return err
		case !found:
			return fail(ErrNotFound, "there is no such connection")
		}
		if _, err := r.Get(&c); err != nil { // Shares no map with the one before.
			return err
		}
		if err := change(&c); err != nil {
			return err
		}
		if c.ID != before.ID || c.Integration != before.Integration || c.RoleARN != before.RoleARN ||
			c.ExternalID != before.ExternalID || c.Account != before.Account || !c.Created.Equal(before.Created) {
			return fail(ErrInvalid, "a connection stays what it is: make a new one, or renew it with a reconnect session")
		}
		if err := before.keepsCustomer(&c); err != nil {
			return err
		}
		if err := c.check(); err != nil {
			return invalid(err)
		}
		if reflect.DeepEqual(c, before) {
			return nil
		}
		if c.WebhookURL != before.WebhookURL {
			if err := s.checkWebhook(c.WebhookURL); err != nil {
				return err
			}
		}
		c.Updated = s.now()
		if stored, err = s.announceFailing(r.Context(), &before, &c); err != nil {
			return err
		}
		return r.Put(c)
	})
	if err != nil {
		return Connection{}, err
	}
	stored()
	return c, nil
}

// keepsCustomer says whether the External ID would still be that of the customer whom it was made for: the
// organization, else the end user. Somebody else would be shown it when the connection is renewed. One that
// was made for a session alone may be given to any customer.
func (c *Connection) keepsCustomer(after *Connection) error {
	switch {
	case c.Organization.ID != "" && c.Organization.ID != after.Organization.ID:
		return fail(ErrInvalid, "the External ID of this connection belongs to its organization, which can't be changed: make a new connection for the other one")
	case c.Organization.ID == "" && c.EndUser.ID != "" && (c.EndUser.ID != after.EndUser.ID || after.Organization.ID != ""):
		return fail(ErrInvalid, "the External ID of this connection belongs to its end user, who can't be changed, nor be made one of an organization: make a new connection for the other customer")
	}
	return nil
}

// DeleteConnection removes a connection. Its External ID remains the customer's, for the next one.
func (s *Store) DeleteConnection(ctx context.Context, id string) error {
	key, err := connectionKey(id)
	if err != nil {
		return err
	}
	stored := func() {}
	err = s.records.Update(ctx, key, func(r *store.Record) error {
		var c Connection
		found, err := r.Get(&c)
		switch {
		case err != nil:
			return err
		case !found:
			return fail(ErrNotFound, "there is no such connection")
		}
		if stored, err = s.announce(r.Context(), AuditConnectionDeleted, &c, s.now()); err != nil {
			return err
		}
		return r.Delete()
	})
	if err == nil {
		stored()
	}
	return err
}

// Filter chooses connections. A field that is empty chooses all.
type Filter struct {
	// ID is that of the only connection to choose.
	ID string

	// Search is a part of the connection's ID, or of the ID, the e-mail address or the display name
	// of its end user or its organization, in whatever case.
	Search string

	// Integrations are keys of integrations, of which a connection has one.
	Integrations []string

	// EndUser and Organization are IDs.
	EndUser, Organization string

	// Tags are tags that a connection has, all of them. Where it has no such tag, end_user_id,
	// end_user_email, end_user_display_name, organization_id and organization_display_name stand for
	// what is known of its customer.
	Tags map[string]string
}

// tag returns the value of a tag, or of what stands for one.
func (c *Connection) tag(key string) string {
	if v, ok := c.Tags[key]; ok {
		return v
	}
	switch key {
	case "end_user_id":
		return c.EndUser.ID
	case "end_user_email":
		return c.EndUser.Email
	case "end_user_display_name":
		return c.EndUser.DisplayName
	case "organization_id":
		return c.Organization.ID
	case "organization_display_name":
		return c.Organization.DisplayName
	}
	return ""
}

// mentions says whether one of the connection's names has a part, which is in lower case.
func (c *Connection) mentions(part string) bool {
	return slices.ContainsFunc([]string{
		c.ID, c.EndUser.ID, c.EndUser.Email, c.EndUser.DisplayName, c.Organization.ID, c.Organization.DisplayName,
	}, func(name string) bool { return strings.Contains(strings.ToLower(name), part) })
}

func (f Filter) matches(c *Connection) bool {
	for k, v := range f.Tags {
		if v == "" || c.tag(k) != v {
			return false // No tag is empty.
		}
	}
	return (f.ID == "" || f.ID == c.ID) &&
		(f.Search == "" || c.mentions(strings.ToLower(f.Search))) &&
		(len(f.Integrations) == 0 || slices.Contains(f.Integrations, c.Integration)) &&
		(f.EndUser == "" || f.EndUser == c.EndUser.ID) &&
		(f.Organization == "" || f.Organization == c.Organization.ID)
}

// Connections returns up to limit, at least one, of the connections that a filter chooses, those after a given ID, in
// the order of their IDs, and the ID to go on after, which is empty at the end. Connections that can't
// be read are left out, and reported.
func (s *Store) Connections(ctx context.Context, f Filter, after string, limit int) (chosen []Connection, next string, err error) {
	const batch = 256
	limit = max(limit, 1)
	for {
		keys, err := s.records.Keys(ctx, connectionKind, after, batch)
		if err != nil {
			return nil, "", err
		}
		for _, k := range keys {
			var c Connection
			switch err := s.records.Get(ctx, k, &c); {
			case errors.Is(err, ErrDamaged):
				s.options.Report(err)
			case errors.Is(err, ErrNotFound): // It was deleted meanwhile.
			case err != nil:
				return nil, "", err
			case !f.matches(&c):
			case len(chosen) == limit:
				return chosen, chosen[limit-1].ID, nil
			default:
				chosen = append(chosen, c)
			}
			after = k.Name()
		}
		if len(keys) < batch {
			return chosen, "", nil
		}
	}
}
