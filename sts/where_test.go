package sts

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

func TestCheckEndpoint(t *testing.T) {
	for _, u := range []string{
		"https://sts.eu-west-1.amazonaws.com", "https://sts.eu-west-1.amazonaws.com/", "https://vpce-0a1-b.sts.eu-west-1.vpce.amazonaws.com",
		"https://minio.example.com:9000", "https://minio/sts", "http://localhost:9000", "http://127.0.0.1:1", "http://[::1]:1", "http://127.9.9.9", "https://[2001:db8::1]",
	} {
		if err := CheckEndpoint(u); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	for u, want := range map[string]string{
		"":                                   "is no URL",
		"sts.eu-west-1.amazonaws.com":        "is no URL",
		"https://":                           "is no URL",
		"https:sts.amazonaws.com":            "is no URL",
		"https://%zz":                        "is no URL",
		"https://user:hidden@%zz":            "is no URL",
		"ftp://localhost":                    "is not https",
		"http://minio:9000":                  "is not encrypted",
		"http://10.0.0.1":                    "is not encrypted",
		"http://localhost.example.com":       "is not encrypted",
		"https://user:hidden@minio":          "it has a user name",
		"https://minio?x=y":                  "has a query or a fragment",
		"https://minio?":                     "has a query or a fragment",
		"https://minio#x":                    "has a query or a fragment",
		"https://s3.eu-west-1.amazonaws.com": "is an endpoint of s3",
	} {
		err := CheckEndpoint(u)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%q: got %v, want %q", u, err, want)
		}
	}
}

func TestWhere(t *testing.T) {
	for _, tc := range []struct {
		where Where
		role  string
		want  string
	}{
		{Where{}, "aws", ""},
		{Where{Endpoint: "https://sts.eu-west-1.amazonaws.com"}, "aws", ""},
		{Where{Endpoint: "https://sts.eu-west-1.amazonaws.com", Region: "eu-west-1"}, "aws", ""},
		{Where{Endpoint: "https://sts.eu-west-1.amazonaws.com", Region: "us-east-1"}, "aws", "is in the region eu-west-1 and can't be called in us-east-1"},
		{Where{Endpoint: "https://sts.eu-west-1.amazonaws.com", FIPS: true}, "aws", "write the FIPS endpoint's URL, or only fips"},
		{Where{Endpoint: "https://sts.eu-west-1.amazonaws.com"}, "aws-cn", "of aws: write a region of aws-cn"},
		{Where{Region: "cn-north-1"}, "aws", "region: "},
		{Where{Endpoint: "https://minio", Region: "us-east-1"}, "aws", ""},
		{Where{FIPS: true, Region: "us-gov-west-1"}, "aws-us-gov", ""},
	} {
		in := input("Proxy")
		in.RoleARN = strings.Replace(in.RoleARN, "arn:aws:", "arn:"+tc.role+":", 1)
		in.Region, in.Endpoint, in.FIPS = tc.where.Region, tc.where.Endpoint, tc.where.FIPS
		err := in.Check()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v of %s: got %v, want %q", tc.where, tc.role, err, tc.want)
		}
	}
}

// TestHostsThatAreCalled asks the SDK's own rules which host it calls, and sends nothing.
func TestHostsThatAreCalled(t *testing.T) {
	for _, tc := range []struct {
		where     Where
		partition string
		env       string
		want      string
	}{
		{Where{}, "aws", "", "https://sts.us-east-1.amazonaws.com"},
		{Where{}, "", "", "https://sts.us-east-1.amazonaws.com"},
		{Where{}, "aws-cn", "", "https://sts.cn-northwest-1.amazonaws.com.cn"},
		{Where{}, "aws-us-gov", "", "https://sts.us-gov-west-1.amazonaws.com"},
		{Where{}, "aws-iso", "", "https://sts.us-iso-east-1.c2s.ic.gov"},
		{Where{}, "aws-iso-b", "", "https://sts.us-isob-east-1.sc2s.sgov.gov"},
		{Where{}, "aws-iso-e", "", "https://sts.eu-isoe-west-1.cloud.adc-e.uk"},
		{Where{}, "aws-iso-f", "", "https://sts.us-isof-south-1.csp.hci.ic.gov"},
		{Where{}, "aws-eusc", "", "https://sts.eusc-de-east-1.amazonaws.eu"},
		{Where{Region: "eu-central-2"}, "aws", "", "https://sts.eu-central-2.amazonaws.com"},
		{Where{FIPS: true}, "aws", "", "https://sts-fips.us-east-1.amazonaws.com"},
		{Where{FIPS: true, Region: "us-west-2"}, "aws", "", "https://sts-fips.us-west-2.amazonaws.com"},
		{Where{FIPS: true}, "aws-us-gov", "", "https://sts.us-gov-west-1.amazonaws.com"},
		{Where{}, "aws", "AWS_USE_FIPS_ENDPOINT", "https://sts-fips.us-east-1.amazonaws.com"},
		{Where{Endpoint: "https://minio.example.com/sts"}, "aws", "", "https://minio.example.com/sts"},
		{Where{Endpoint: "https://minio.example.com"}, "aws", "AWS_USE_FIPS_ENDPOINT", "https://minio.example.com"},
		{Where{Endpoint: "https://minio.example.com"}, "aws", "AWS_USE_DUALSTACK_ENDPOINT", "https://minio.example.com"},
	} {
		cleanEnvironment(t, "")
		if tc.env != "" {
			t.Setenv(tc.env, "true")
		}
		client, region, err := NewClient(Config{}).client(context.Background(), tc.where, tc.partition)
		if err != nil {
			t.Fatal(err)
		}
		o := client.Options()
		fips, dual := o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled, o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled
		got, err := o.EndpointResolverV2.ResolveEndpoint(context.Background(),
			sts.EndpointParameters{Region: &region, UseFIPS: &fips, UseDualStack: &dual, Endpoint: o.BaseEndpoint, UseGlobalEndpoint: new(bool)})
		if err != nil || got.URI.String() != tc.want || o.Region != region {
			t.Errorf("%+v of %q: calls %s in %s, %v, want %s", tc.where, tc.partition, got.URI.String(), region, err, tc.want)
		}
	}
}

func TestEndpointOfTheCallBeatsTheEnvironments(t *testing.T) {
	environments, calls := ststest.New(t, brokerKey), ststest.New(t, brokerKey)
	cleanEnvironment(t, environments.URL)
	in := input("Proxy")
	in.Endpoint, in.Region = calls.URL, "eu-west-3"
	if _, _, err := NewClient(Config{}).AssumeRole(context.Background(), broker, in); err != nil {
		t.Fatal(err)
	}
	if len(environments.Calls()) > 0 || len(calls.Calls()) != 1 || calls.Calls()[0].Region != "eu-west-3" {
		t.Error("the endpoint of the environment was called, or the wrong region signed for")
	}
}

func TestRegionOfTheEndpointIsSignedFor(t *testing.T) {
	cleanEnvironment(t, "")
	t.Setenv("AWS_REGION", "us-west-2")
	c := NewClient(Config{})
	for url, want := range map[string]string{
		"https://vpce-0a1-b.sts.eu-west-1.vpce.amazonaws.com": "eu-west-1",
		"https://sts-fips.us-east-2.amazonaws.com":            "us-east-2",
		"https://minio.example.com":                           "us-west-2",
	} {
		if _, region, err := c.client(context.Background(), Where{Endpoint: url}, "aws"); err != nil || region != want {
			t.Errorf("%s: signed for %s (%v), want %s", url, region, err, want)
		}
	}
}
