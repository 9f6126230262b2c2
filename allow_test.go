package awssigv4

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
)

func TestMatchHost(t *testing.T) {
	for i, tc := range []struct {
		pattern, host string
		want          bool
	}{
		{"example.com", "example.com", true},
		{"example.com", "EXAMPLE.com", true},
		{"example.com", "example.com.", true},
		{"example.com", "example.com:443", true},
		{"example.com", "example.com:8443", true},
		{"example.com:443", "example.com:443", true},
		{"example.com:443", "example.com:8443", false},
		{"example.com:443", "example.com", false},
		{"example.com", "sub.example.com", false},
		{"example.com", "notexample.com", false},
		{"example.com", "example.com.evil.example", false},
		{"*.example.com", "a.example.com", true},
		{"*.example.com", "a.b.example.com:443", true},
		{"*.example.com:443", "a.b.example.com:443", true},
		{"*.example.com:443", "a.b.example.com:80", false},
		{"*.example.com", "example.com", false},
		{"*.example.com", "aexample.com", false},
		{"*.example.com", "a.example.com.evil.example", false},
		{"[::1]", "[::1]:8080", true},
		{"[::1]:8080", "[::1]:8080", true},
		{"::1", "[::1]:8080", true},
		{"127.0.0.1", "127.0.0.1:9000", true},
	} {
		if _, got := matchHost(tc.pattern, tc.host); got != tc.want {
			t.Errorf("%d: pattern %s, host %s: got %v, want %v", i, tc.pattern, tc.host, got, tc.want)
		}
	}
}

func TestTheMostExactUpstreamBlockWins(t *testing.T) {
	transport := &Transport{Upstreams: []*UpstreamTarget{
		{Match: "*.amazonaws.com"},
		{Match: "vpc-a.eu-west-1.es.amazonaws.com"},
		{Match: "*.es.amazonaws.com"},
		{Match: "vpc-a.eu-west-1.es.amazonaws.com:9243"},
	}}
	for dialled, want := range map[string]string{
		"vpc-a.eu-west-1.es.amazonaws.com:443":  "vpc-a.eu-west-1.es.amazonaws.com",
		"vpc-a.eu-west-1.es.amazonaws.com:9243": "vpc-a.eu-west-1.es.amazonaws.com:9243",
		"vpc-b.eu-west-1.es.amazonaws.com:443":  "*.es.amazonaws.com",
		"sqs.eu-west-1.amazonaws.com:443":       "*.amazonaws.com",
		"example.com:443":                       "",
	} {
		got, err := transport.blockFor(dialled)
		switch {
		case err != nil:
			t.Errorf("%s: %v", dialled, err)
		case want == "" && got != nil:
			t.Errorf("%s: got block %s, want none", dialled, got.Match)
		case want != "" && (got == nil || got.Match != want):
			t.Errorf("%s: got block %v, want %s", dialled, got, want)
		}
	}
	transport.UpstreamOnly = true
	_, err := transport.blockFor("example.com:443")
	if r, ok := asRefusal(err); !ok || r.status != http.StatusForbidden {
		t.Errorf("upstream_only: got %v, want a refusal with 403", err)
	}
}

func TestCheckHostPattern(t *testing.T) {
	for _, good := range []string{"example.com", "example.com:443", "*.example.com", "*.example.com:8443", "localhost", "127.0.0.1:80", "[::1]:443", "[::1]", "a_b.example.com"} {
		if err := checkHostPattern(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "*", "*.", "https://example.com", "example.com/path", "a*.example.com", "*.*.example.com", "example.com:", "example.com:https", ".example.com", "a..b", "user@example.com", "a b", "example.com:80:90", "a,b", "a;b"} {
		if err := checkHostPattern(bad); err == nil {
			t.Errorf("%q: want an error", bad)
		}
	}
}

func TestAllowLists(t *testing.T) {
	a := &Allow{
		Services: []string{"s3"},
		Regions:  []string{"eu-west-1"},
		Hosts:    []string{"*.s3.eu-west-1.amazonaws.com"},
		Roles:    []string{"arn:aws:iam::*:role/acme-*"},
	}
	role := func(arn string) error { return a.permitRole(credentials.Identity{RoleARN: arn, Label: "test"}) }
	for name, err := range map[string]error{
		"service": a.permitService("s3"),
		"region":  a.permitRegion("eu-west-1"),
		"host":    a.permitHost("b.s3.eu-west-1.amazonaws.com:443"),
		"role":    role("arn:aws:iam::123456789012:role/acme-reader"),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"service":      a.permitService("sqs"),
		"region":       a.permitRegion("us-east-1"),
		"host":         a.permitHost("b.s3.eu-west-1.amazonaws.com.evil.example"),
		"role":         role("arn:aws:iam::123456789012:role/other"),
		"role path":    role("arn:aws:iam::123456789012:role/acme-x/y"),
		"not a role":   role(""),
		"another kind": role("arn:aws:iam::1:user/acme-reader"),
	} {
		var r *refusal
		if !errors.As(err, &r) || r.status != http.StatusForbidden {
			t.Errorf("%s: got %v, want a refusal with 403", name, err)
		}
	}
	empty := new(Allow)
	if err := errors.Join(empty.permitService("x"), empty.permitRegion("x"), empty.permitHost("x"), empty.permitRole(credentials.Identity{})); err != nil {
		t.Errorf("without lists: %v", err)
	}
}

func TestAllowListsAreChecked(t *testing.T) {
	for path, a := range map[string]*Allow{
		"allow_services[1]": {Services: []string{"s3", "bad service"}},
		"allow_regions[0]":  {Regions: []string{"europe"}},
		"allow_hosts[0]":    {Hosts: []string{"https://example.com"}},
		"allow_roles[0]":    {Roles: []string{"role/x"}},
	} {
		if err := a.check(); err == nil || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("%s: got %v, want an error with that path", path, err)
		}
	}
}
