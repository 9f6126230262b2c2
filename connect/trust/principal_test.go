package trust

import (
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

func TestParsePrincipal(t *testing.T) {
	for _, tt := range []struct{ partition, text, arn, only string }{
		{"aws", "123456789012", "arn:aws:iam::123456789012:root", ""},
		{"aws-cn", "123456789012", "arn:aws-cn:iam::123456789012:root", ""},
		{"aws-iso-b", "123456789012", "arn:aws-iso-b:iam::123456789012:root", ""},
		{"aws", "arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:root", ""},
		{"aws", "arn:aws:iam::123456789012:role/Broker", "arn:aws:iam::123456789012:role/Broker", ""},
		{"aws-us-gov", "arn:aws-us-gov:iam::123456789012:role/a/b/Broker", "arn:aws-us-gov:iam::123456789012:role/a/b/Broker", ""},
		{"aws-eusc", "arn:aws-eusc:iam::123456789012:user/ops/Broker@x", "arn:aws-eusc:iam::123456789012:user/ops/Broker@x", ""},
		{"aws", "arn:aws:sts::123456789012:assumed-role/Broker/i-0123456789abcdef0", "arn:aws:iam::123456789012:role/Broker", ""},
		{"aws-cn", "arn:aws-cn:sts::123456789012:assumed-role/Broker/me@example.com", "arn:aws-cn:iam::123456789012:role/Broker", ""},
		{
			"aws", "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/me@example.com",
			"arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:role/aws-reserved/*/AWSReservedSSO_Admin_0123456789abcdef",
		},
	} {
		got, err := ParsePrincipal(tt.partition, tt.text)
		want := Principal{tt.partition, "123456789012", tt.arn, tt.only}
		if err != nil || got != want {
			t.Errorf("ParsePrincipal(%s, %s) = %+v, %v, want %+v", tt.partition, tt.text, got, err, want)
		}
	}
}

func TestPrincipalsThatAreRefused(t *testing.T) {
	for _, tt := range []struct{ partition, text, want string }{
		{"aws", "", "it is empty"},
		{"aws", "*", "wildcard"},
		{"aws", "arn:aws:iam::*:root", "wildcard"},
		{"aws", "arn:aws:iam::123456789012:role/*", "wildcard"},
		{"aws", "arn:aws:iam::123456789012:role/a?/b", "wildcard"},
		{"aws", "12345678901", "neither an ARN"},
		{"aws", "1234567890123", "neither an ARN"},
		{"aws", "１２３４５６７８９０１２", "neither an ARN"},
		{"aws", "AROAEXAMPLEID", "neither an ARN"},
		{"aws", "arn:aws:iam::123456789012", "neither an ARN"},
		{"aws", "arn:aws-moon:iam::123456789012:root", "none of the partitions"},
		{"moon", "123456789012", `"moon" is no AWS partition`},
		{"", "123456789012", "is no AWS partition"},
		{"aws", "arn:aws-cn:iam::123456789012:role/Broker", "is in the partition aws-cn and the role is in aws"},
		{"aws", "arn:aws:iam:eu-west-1:123456789012:role/Broker", "no region"},
		{"aws", "arn:aws:iam::12345:role/Broker", "not 12 digits"},
		{"aws", "arn:aws:iam::123456789012:role/", "the role's name"},
		{"aws", "arn:aws:iam::123456789012:user/", "its path or its user's name"},
		{"aws", "arn:aws:iam::123456789012:user/a b", "its path or its user's name"},
		{"aws", "arn:aws:iam::123456789012:group/Admins", "neither a role nor a user"},
		{"aws", "arn:aws:iam::123456789012:rootkit", "neither a role nor a user"},
		{"aws", "arn:aws:s3::123456789012:root", "neither a role nor a user"},
		{"aws", "arn:aws:sts::123456789012:federated-user/Bob", "federated user"},
		{"aws", "arn:aws:sts::123456789012:assumed-role/Broker", "assumed-role/NAME/SESSION"},
		{"aws", "arn:aws:sts::123456789012:assumed-role/Broker/a/b", "assumed-role/NAME/SESSION"},
		{"aws", "arn:aws:sts::123456789012:assumed-role//session", "assumed-role/NAME/SESSION"},
		{"aws", "arn:aws:sts::123456789012:root", "neither a role nor a user"},
	} {
		got, err := ParsePrincipal(tt.partition, tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) || got != (Principal{}) {
			t.Errorf("ParsePrincipal(%q, %q) = %+v, %v, want an error with %q", tt.partition, tt.text, got, err, tt.want)
		}
	}
}

func TestByAccount(t *testing.T) {
	for text, only := range map[string]string{
		"arn:aws:iam::123456789012:role/Broker":            "arn:aws:iam::123456789012:role/Broker",
		"arn:aws:iam::123456789012:user/Broker":            "arn:aws:iam::123456789012:user/Broker",
		"arn:aws:iam::123456789012:role/${aws:x}/Broker":   "arn:aws:iam::123456789012:role/${$}{aws:x}/Broker",
		"arn:aws:sts::123456789012:assumed-role/Broker/me": "arn:aws:iam::123456789012:role/Broker",
		"123456789012": "",
		"arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_A/me": "arn:aws:iam::123456789012:role/aws-reserved/*/AWSReservedSSO_A",
	} {
		p, err := ParsePrincipal("aws", text)
		if err != nil {
			t.Fatal(err)
		}
		got := p.ByAccount()
		want := Principal{"aws", "123456789012", "arn:aws:iam::123456789012:root", only}
		if got != want {
			t.Errorf("%s: ByAccount = %+v, want %+v", text, got, want)
		}
	}
}

// FuzzParsePrincipal: no panic; what is accepted is in the partition asked for, names a role, a user
// or a root by a grammar that others check, and reads as itself.
func FuzzParsePrincipal(f *testing.F) {
	for _, text := range []string{
		"", "*", "123456789012", "arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:role/a/b", "arn:aws:iam::123456789012:user/b",
		"arn:aws:sts::123456789012:assumed-role/Broker/me", "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_A/me", "arn:aws-cn:iam::123456789012:root",
	} {
		f.Add("aws", text)
	}
	f.Fuzz(func(t *testing.T, partition, text string) {
		p, err := ParsePrincipal(partition, text)
		if err != nil {
			if p != (Principal{}) || strings.ContainsAny(err.Error(), "\n\x00\x1b") || len(err.Error()) > 1500 {
				t.Fatalf("%+v, %q", p, err)
			}
			return
		}
		known := false
		for _, one := range endpoint.Partitions() {
			known = known || one.ID == p.Partition
		}
		resource, ok := strings.CutPrefix(p.ARN, "arn:"+partition+":iam::"+p.Account+":")
		asRole := "arn:" + partition + ":iam::" + p.Account + ":" + strings.Replace(resource, "user/", "role/", 1)
		if !known || !ok || resource != "root" && sts.CheckRoleARN(asRole) != nil {
			t.Fatalf("ParsePrincipal(%q, %q) = %+v", partition, text, p)
		}
		again, err := ParsePrincipal(partition, p.ARN)
		again.Only = p.Only
		if err != nil || again != p {
			t.Fatalf("ParsePrincipal(%q) = %+v, %v, but from %q it was %+v", p.ARN, again, err, text, p)
		}
		if _, err := (Policy{Principal: p.ByAccount(), ExternalID: "id"}).JSON(); err != nil {
			t.Fatal(err)
		}
	})
}
