package awssigv4

import (
	"errors"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// TestPathsAreThoseOfAHost: who may call some paths can't have the same paths of another bucket by naming its
// host, unless the operator has said which hosts there are.
func TestPathsAreThoseOfAHost(t *testing.T) {
	paths := connect.Limits{Paths: []string{"/reports/*"}}
	withHosts := connect.Limits{Paths: paths.Paths, Hosts: []string{"public.s3.eu-west-1.amazonaws.com", "more.s3.eu-west-1.amazonaws.com"}}
	const public = "https://public.s3.eu-west-1.amazonaws.com"
	for _, tt := range []struct {
		name           string
		of, own        connect.Limits
		base, override string
		allowed        bool
	}{
		{"no paths", connect.Limits{}, connect.Limits{}, public, "https://private.s3.eu-west-1.amazonaws.com", true},
		{"another bucket", paths, connect.Limits{}, public, "https://private.s3.eu-west-1.amazonaws.com", false},
		{"another bucket by the connection's paths", connect.Limits{}, paths, public, "https://private.s3.eu-west-1.amazonaws.com", false},
		{"all buckets", paths, connect.Limits{}, public, "https://s3.eu-west-1.amazonaws.com", false},
		{"a bucket, where all are meant", paths, connect.Limits{}, "", "https://reports.s3.eu-west-1.amazonaws.com", false},
		{"another region", paths, connect.Limits{}, "", "https://s3.eu-central-1.amazonaws.com", false},
		{"the same host", paths, connect.Limits{}, public, public + "/reports", true},
		{"the same host, in capitals and with its port", paths, connect.Limits{}, public, "https://PUBLIC.s3.eu-west-1.amazonaws.com:443", true},
		{"the usual host", paths, connect.Limits{}, "", "https://s3.eu-west-1.amazonaws.com", true},
		{"hosts are listed, and Limits.Permit asks for them", withHosts, connect.Limits{}, public, "https://more.s3.eu-west-1.amazonaws.com", true},
		{"the integration lists them for the connection too", withHosts, paths, public, "https://more.s3.eu-west-1.amazonaws.com", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := targeting{
				connection:  &connect.Connection{Region: "eu-west-1", Limits: tt.own},
				integration: &connect.Integration{Service: "s3", BaseURL: tt.base, Limits: tt.of},
			}
			_, err := target.of(tt.override)
			if e, ok := errors.AsType[*callError](err); tt.allowed != (err == nil) || err != nil && (!ok || e.code != "base_url_override_not_allowed") {
				t.Errorf("got %v; want it allowed: %v", err, tt.allowed)
			}
		})
	}
	// Where nothing else says where to, the caller has to.
	target := targeting{
		connection:  &connect.Connection{Region: "eu-west-1"},
		integration: &connect.Integration{Service: "neptune-db", Limits: paths},
	}
	if _, err := target.of("https://c.cluster-x.eu-west-1.neptune.amazonaws.com"); err != nil {
		t.Error(err)
	}
}
