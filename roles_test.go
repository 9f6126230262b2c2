package awssigv4

import (
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
)

// silentSource doesn't tell what a request has a say in.
type silentSource bool

func (s silentSource) Identity(credentials.Expander) (credentials.Identity, error) {
	return credentials.Identity{}, nil
}
func (s silentSource) PerRequest() bool { return bool(s) }

// tellingSource does.
type tellingSource struct {
	silentSource
	fields []credentials.Field
}

func (s tellingSource) IdentityFields() []credentials.Field { return s.fields }

// chainedSource stands on another one.
type chainedSource struct{ tellingSource }

func (chainedSource) FromName() string                         { return "below" }
func (chainedSource) SetResolver(r credentials.Resolver) error { return nil }

// TestRolesOfRequestsNeedAllowRoles: whatever a client may influence chooses only what allow_roles
// permits, and what allow_roles is not asked about is nobody's choice.
func TestRolesOfRequestsNeedAllowRoles(t *testing.T) {
	byRequest := tellingSource{true, []credentials.Field{{Name: "role_arn", Value: "arn:aws:iam::123456789012:role/{http.auth.user.id}"}}}
	fixed := tellingSource{true, []credentials.Field{{Name: "role_arn", Value: "arn:aws:iam::123456789012:role/R"}, {Name: "session_name", Value: "{http.auth.user.id}"}}}
	for name, tc := range map[string]struct {
		src, below credentials.Source
		allowRoles bool
		want       string
	}{
		"fixed":                            {src: silentSource(false)},
		"fixed role":                       {src: fixed},
		"role of the request":              {src: byRequest, want: "say with allow_roles which roles it may name"},
		"role of the request, list":        {src: byRequest, allowRoles: true},
		"who knows":                        {src: silentSource(true), want: "say with allow_roles"},
		"who knows, list":                  {src: silentSource(true), allowRoles: true},
		"from the request's":               {src: chainedSource{fixed}, below: byRequest, allowRoles: true, want: "allow_roles would not be asked; write a fixed role"},
		"from who knows":                   {src: chainedSource{fixed}, below: silentSource(true), allowRoles: true, want: "allow_roles would not be asked"},
		"from a fixed one":                 {src: chainedSource{fixed}, below: fixed},
		"both from the request, list":      {src: chainedSource{byRequest}, below: byRequest, allowRoles: true, want: "allow_roles would not be asked"},
		"the request's from a fixed, list": {src: chainedSource{byRequest}, below: silentSource(false), allowRoles: true},
	} {
		a := &App{named: map[string]credentials.Source{"below": tc.below}}
		err := a.checkIdentity(tc.src, tc.allowRoles)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}
