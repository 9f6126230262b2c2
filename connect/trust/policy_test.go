package trust

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

const id = "9b1c3f5e-7d2a-4c8b-a0e6-5f4d3c2b1a09"

func principal(t *testing.T, partition, text string) Principal {
	t.Helper()
	p, err := ParsePrincipal(partition, text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPolicyJSON(t *testing.T) {
	broker := principal(t, "aws", "arn:aws:iam::123456789012:role/Broker")
	for name, tt := range map[string]struct {
		policy Policy
		want   string
	}{
		"a role": {
			Policy{Principal: broker, ExternalID: id},
			`{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::123456789012:role/Broker"
      },
      "Action": "sts:AssumeRole",
      "Condition": {
        "StringEquals": {
          "sts:ExternalId": "9b1c3f5e-7d2a-4c8b-a0e6-5f4d3c2b1a09"
        }
      }
    }
  ]
}`,
		},
		"tags and source identity, by account": {
			Policy{Principal: broker.ByAccount(), ExternalID: "a:b/c=d+e,f.g@h", TagSession: true, SetSourceIdentity: true},
			`{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::123456789012:root"
      },
      "Action": [
        "sts:AssumeRole",
        "sts:TagSession",
        "sts:SetSourceIdentity"
      ],
      "Condition": {
        "StringEquals": {
          "sts:ExternalId": "a:b/c=d+e,f.g@h"
        },
        "ArnLike": {
          "aws:PrincipalArn": "arn:aws:iam::123456789012:role/Broker"
        }
      }
    }
  ]
}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tt.policy.JSON()
			if err != nil || got != tt.want {
				t.Errorf("%v\n%s\nwant\n%s", err, got, tt.want)
			}
		})
	}
}

func TestPathsWithQuotesStayInTheirString(t *testing.T) {
	arn := `arn:aws:iam::123456789012:role/a"},{"b'<&>\/Broker`
	got, err := Policy{Principal: principal(t, "aws", arn), ExternalID: id}.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Statement []struct{ Principal map[string]string }
	}
	if err := json.Unmarshal([]byte(got), &document); err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"AWS": arn}; len(document.Statement) != 1 || !reflect.DeepEqual(document.Statement[0].Principal, want) {
		t.Errorf("%+v", document)
	}
}

func TestPoliciesThatAreRefused(t *testing.T) {
	broker := principal(t, "aws", "arn:aws:iam::123456789012:role/Broker")
	for name, tt := range map[string]struct {
		policy Policy
		want   string
	}{
		"no principal":              {Policy{ExternalID: id}, "trusts nobody"},
		"no External ID":            {Policy{Principal: broker}, "External ID has 2 to 1224"},
		"a variable in it":          {Policy{Principal: broker, ExternalID: "${externalId}"}, "External ID holds only"},
		"a wildcard in it":          {Policy{Principal: broker, ExternalID: "acme-*"}, "External ID holds only"},
		"a principal made by hand":  {Policy{Principal: Principal{Partition: "aws", Account: "1", ARN: "*"}, ExternalID: id}, "wildcard"},
		"a session made by hand":    {Policy{Principal: Principal{Partition: "aws", Account: "123456789012", ARN: "arn:aws:sts::123456789012:assumed-role/a/bc"}, ExternalID: id}, "does not belong"},
		"another account's":         {Policy{Principal: Principal{Partition: "aws", Account: "210987654321", ARN: broker.ARN}, ExternalID: id}, "does not belong"},
		"more than IAM's quota":     {Policy{Principal: principal(t, "aws", "arn:aws:iam::123456789012:role/"+strings.Repeat("p", 510)+"/"+strings.Repeat("n", 64)).ByAccount(), ExternalID: strings.Repeat("x", 1224), TagSession: true, SetSourceIdentity: true}, "2048"},
		"an External ID over limit": {Policy{Principal: broker, ExternalID: strings.Repeat("x", 1225)}, "External ID has 2 to 1224"},
	} {
		got, err := tt.policy.JSON()
		if err == nil || !strings.Contains(err.Error(), tt.want) || got != "" {
			t.Errorf("%s: %q, %v, want %q", name, got, err, tt.want)
		}
	}
}
