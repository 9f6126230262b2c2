package connect

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
)

func TestConnectionsAreFoundByTheirIDOnly(t *testing.T) {
	s := openStore(t, &storetest.Memory{}, newClock())
	c := mustConnect(t, s, forOrganization("o1"), role1)
	for _, bad := range []string{
		"", ".", "..", "../" + c.ID, c.ID + "/", c.ID + "\x00", " " + c.ID, strings.ToUpper(c.ID), "{" + c.ID + "}",
		strings.ReplaceAll(c.ID, "-", ""), c.ID[:35], newUUID(), "sessions", "00000000-0000-0000-0000-000000000000",
	} {
		if _, err := s.Connection(t.Context(), bad); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", bad, err)
		}
		if err := s.DeleteConnection(t.Context(), bad); !errors.Is(err, ErrNotFound) {
			t.Errorf("deleting %q: %v", bad, err)
		}
		if _, err := s.UpdateConnection(t.Context(), bad, func(*Connection) error { return nil }); !errors.Is(err, ErrNotFound) {
			t.Errorf("changing %q: %v", bad, err)
		}
	}
	if _, err := s.Connection(t.Context(), c.ID); err != nil {
		t.Error(err)
	}
	if err := s.DeleteConnection(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Connection(t.Context(), c.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
	again := mustConnect(t, s, forOrganization("o1"), role1)
	if again.ExternalID != c.ExternalID || again.ID == c.ID {
		t.Errorf("connecting again: %+v", again)
	}
}

func TestUpdateConnection(t *testing.T) {
	clock := newClock()
	m := &storetest.Memory{}
	s := openStore(t, m, clock)
	c := mustConnect(t, s, forOrganization("o1"), role1)
	clock.pass(time.Minute)

	got, err := s.UpdateConnection(t.Context(), c.ID, func(c *Connection) error {
		c.Paused = true
		c.Metadata = map[string]json.RawMessage{"a": json.RawMessage(`{"b":[1,2]}`)}
		return nil
	})
	if err != nil || !got.Paused || !got.Updated.Equal(clock.now()) || !got.Created.Equal(c.Created) {
		t.Errorf("%+v, %v", got, err)
	}
	if stored, err := s.Connection(t.Context(), c.ID); err != nil || !reflect.DeepEqual(stored, got) {
		t.Errorf("%+v, %v", stored, err)
	}

	clock.pass(time.Minute)
	before := m.Values()
	if _, err := s.UpdateConnection(t.Context(), c.ID, func(*Connection) error { return nil }); err != nil || !reflect.DeepEqual(m.Values(), before) {
		t.Errorf("no change is written: %v", err)
	}
	for name, change := range map[string]func(*Connection){
		"ID":          func(c *Connection) { c.ID = newUUID() },
		"integration": func(c *Connection) { c.Integration = "x" },
		"role":        func(c *Connection) { c.RoleARN = role2 },
		"External ID": func(c *Connection) { c.ExternalID = "xx" },
		"account":     func(c *Connection) { c.Account = "222222222222" },
		"creation":    func(c *Connection) { c.Created = clock.now() },
		"tags":        func(c *Connection) { c.Tags = map[string]string{"A": "b"} },
		"end user":    func(c *Connection) { c.EndUser.Email = "x" },
		"no JSON":     func(c *Connection) { c.Metadata["a"] = json.RawMessage(`{`) },
		"much JSON":   func(c *Connection) { c.Metadata["a"] = json.RawMessage(`"` + strings.Repeat("a", maxMetadata) + `"`) },
	} {
		_, err := s.UpdateConnection(t.Context(), c.ID, func(c *Connection) error { change(c); return nil })
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	stop := errors.New("stop")
	if _, err := s.UpdateConnection(t.Context(), c.ID, func(c *Connection) error { c.Paused = false; return stop }); !errors.Is(err, stop) {
		t.Errorf("a change that gives up: %v", err)
	}
	if !reflect.DeepEqual(m.Values(), before) {
		t.Error("a change that was refused is stored")
	}
}

func TestConnectionsComeInPages(t *testing.T) {
	var reported []error
	m := &storetest.Memory{}
	s, err := Open(m, testRing(t, 1), Options{Report: func(err error) { reported = append(reported, err) }})
	if err != nil {
		t.Fatal(err)
	}
	var all, tagged []string
	for i := range 12 {
		n := NewSession{Integration: "acme-s3", Organization: Organization{ID: fmt.Sprint("o", i%3)}, EndUser: EndUser{ID: fmt.Sprint("u", i)}}
		if i%4 == 0 {
			n.Tags = map[string]string{"team": "search", "plan": "pro"}
		}
		c := mustConnect(t, s, n, role1)
		all = append(all, c.ID)
		if i%4 == 0 {
			tagged = append(tagged, c.ID)
		}
	}
	slices.Sort(all)
	slices.Sort(tagged)

	pages := func(f Filter, limit int) (ids []string) {
		t.Helper()
		for after := ""; ; {
			page, next, err := s.Connections(t.Context(), f, after, limit)
			if err != nil || len(page) > max(limit, 1) {
				t.Fatalf("%d connections, %v", len(page), err)
			}
			for _, c := range page {
				ids = append(ids, c.ID)
			}
			if after = next; after == "" {
				return ids
			}
		}
	}
	for _, limit := range []int{0, 1, 5, 11, 12, 13} {
		if got := pages(Filter{}, limit); !slices.Equal(got, all) {
			t.Errorf("pages of %d: %d connections", limit, len(got))
		}
		if got := pages(Filter{Tags: map[string]string{"team": "search"}}, limit); !slices.Equal(got, tagged) {
			t.Errorf("pages of %d: %d tagged", limit, len(got))
		}
	}
	for name, tt := range map[string]struct {
		f    Filter
		want int
	}{
		"an organization":         {Filter{Organization: "o1"}, 4},
		"an end user":             {Filter{EndUser: "u5"}, 1},
		"both":                    {Filter{EndUser: "u5", Organization: "o1"}, 0},
		"integrations":            {Filter{Integrations: []string{"x", "acme-s3"}}, 12},
		"another integration":     {Filter{Integrations: []string{"x"}}, 0},
		"two tags":                {Filter{Tags: map[string]string{"team": "search", "plan": "pro"}}, 3},
		"a tag that some lack":    {Filter{Tags: map[string]string{"team": "search", "x": ""}}, 0},
		"a tag of another value":  {Filter{Tags: map[string]string{"team": "x"}}, 0},
		"a tag and an end user 4": {Filter{EndUser: "u4", Tags: map[string]string{"team": "search"}}, 1},
	} {
		if got := pages(tt.f, 5); len(got) != tt.want {
			t.Errorf("%s: %d connections, want %d", name, len(got), tt.want)
		}
	}

	m.Set("aws_sigv4/connect/connections/"+all[3][:2]+"/"+all[3], []byte("garbage"))
	if got := pages(Filter{}, 100); len(got) != 11 || len(reported) != 1 || !errors.Is(reported[0], ErrDamaged) {
		t.Errorf("with one that is damaged: %d, %v", len(got), reported)
	}
}

// TestCustomerStays: a connection is not handed from one customer to another, whose External ID is a different one.
func TestCustomerStays(t *testing.T) {
	org, user := Organization{ID: "o", DisplayName: "O"}, EndUser{ID: "u"}
	for _, tc := range []struct {
		name          string
		before, after Connection
		ok            bool
	}{
		{"another organization", Connection{Organization: org}, Connection{Organization: Organization{ID: "p"}}, false},
		{"no organization", Connection{Organization: org, EndUser: user}, Connection{EndUser: user}, false},
		{"another name of it", Connection{Organization: org}, Connection{Organization: Organization{ID: "o", DisplayName: "P"}}, true},
		{"another of its users", Connection{Organization: org, EndUser: user}, Connection{Organization: org, EndUser: EndUser{ID: "v"}}, true},
		{"another end user", Connection{EndUser: user}, Connection{EndUser: EndUser{ID: "v"}}, false},
		{"nobody", Connection{EndUser: user}, Connection{}, false},
		{"an organization for an end user", Connection{EndUser: user}, Connection{EndUser: user, Organization: org}, false},
		{"another name of the end user", Connection{EndUser: user}, Connection{EndUser: EndUser{ID: "u", Email: "u@example.com"}}, true},
		{"somebody for a session's", Connection{}, Connection{EndUser: user, Organization: org}, true},
	} {
		if err := tc.before.keepsCustomer(&tc.after); (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// TestFilter: what a filter chooses.
func TestFilter(t *testing.T) {
	c := Connection{
		ID: "6f1c0d5e-0000-4000-8000-000000000001", Integration: "a", EndUser: EndUser{ID: "u-7", Email: "Ann@globex.example", DisplayName: "Ann"},
		Organization: Organization{ID: "globex", DisplayName: "Globex"}, Tags: map[string]string{"team": "x", "organization_display_name": "mine"},
	}
	for _, tc := range []struct {
		name string
		f    Filter
		want bool
	}{
		{"all", Filter{}, true},
		{"its ID", Filter{ID: c.ID}, true},
		{"another ID", Filter{ID: c.ID[:8]}, false},
		{"a part of its ID", Filter{Search: "6F1C"}, true},
		{"a part of the e-mail address", Filter{Search: "ann@GLOB"}, true},
		{"something else", Filter{Search: "initech"}, false},
		{"integrations", Filter{Integrations: []string{"b", "a"}}, true},
		{"other integrations", Filter{Integrations: []string{"b"}}, false},
		{"customer", Filter{EndUser: "u-7", Organization: "globex"}, true},
		{"another customer", Filter{EndUser: "u-8", Organization: "globex"}, false},
		{"tags", Filter{Tags: map[string]string{"team": "x", "end_user_email": "Ann@globex.example"}}, true},
		{"a tag of its own before what stands for it", Filter{Tags: map[string]string{"organization_display_name": "Globex"}}, false},
		{"another value", Filter{Tags: map[string]string{"team": "y"}}, false},
		{"no such tag", Filter{Tags: map[string]string{"plan": ""}}, false},
	} {
		if got := tc.f.matches(&c); got != tc.want {
			t.Errorf("%s: %t", tc.name, got)
		}
	}
}
