package standin

import (
	"fmt"
	"strings"
	"testing"
)

// TestTrustPolicies asks trust policies whether somebody may assume the role.
func TestTrustPolicies(t *testing.T) {
	user := &principal{arn: brokerARN, account: "111122223333"}
	chained := &principal{
		arn: "arn:aws:sts::111122223333:assumed-role/Hop/session", roleARN: "arn:aws:iam::111122223333:role/x/Hop", account: "111122223333",
	}
	ctx := policyContext{"sts:externalid": {"id"}, "aws:principalarn": {brokerARN}, "aws:tagkeys": {"a", "b"}, "aws:requesttag/a": {"1"}}
	condition := func(operator, key, values string) string {
		return trusting("*", fmt.Sprintf(`,"Condition":{%q:{%q:%s}}`, operator, key, values))
	}
	tests := []struct {
		name   string
		policy string
		who    *principal
		ctx    policyContext
		want   bool
	}{
		{"the user", trusting(brokerARN, ""), user, ctx, true},
		{"another user", trusting("arn:aws:iam::111122223333:user/other", ""), user, ctx, false},
		{"the user's account", trusting("arn:aws:iam::111122223333:root", ""), user, ctx, true},
		{"the user's account by its number", trusting("111122223333", ""), user, ctx, true},
		{"another account", trusting("arn:aws:iam::999999999999:root", ""), user, ctx, false},
		{"everyone", trusting("*", ""), user, ctx, true},
		{"everyone, in short", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sts:*"}}`, user, ctx, true},
		{"a service", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}`, user, ctx, false},
		{"the role of a session", trusting("arn:aws:iam::111122223333:role/x/Hop", ""), chained, ctx, true},
		{"a session", trusting("arn:aws:sts::111122223333:assumed-role/Hop/session", ""), chained, ctx, true},
		{"another session", trusting("arn:aws:sts::111122223333:assumed-role/Hop/other", ""), chained, ctx, false},
		{"several", `{"Version":"2012-10-17","Statement":[{"Sid":"One","Effect":"Allow","Principal":{"AWS":["999999999999","` + brokerARN + `"]},"Action":["sts:TagSession","sts:AssumeRole"]}]}`, user, ctx, true},
		{"another action", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:TagSession"}]}`, user, ctx, false},
		{"an action in lower case", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:assume*"}]}`, user, ctx, true},
		{"a denial after all", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:*"},{"Effect":"Deny","Principal":{"AWS":"` + brokerARN + `"},"Action":"sts:*"}]}`, user, ctx, false},

		{"the External ID", condition("StringEquals", "sts:ExternalId", `"id"`), user, ctx, true},
		{"one of External IDs", condition("StringEquals", "sts:ExternalId", `["other","id"]`), user, ctx, true},
		{"another External ID", condition("StringEquals", "sts:ExternalId", `"other"`), user, ctx, false},
		{"the External ID in another case", condition("StringEquals", "sts:ExternalId", `"ID"`), user, ctx, false},
		{"no External ID", condition("StringEquals", "sts:ExternalId", `"id"`), user, policyContext{}, false},
		{"no External ID, if exists", condition("StringEqualsIfExists", "sts:ExternalId", `"id"`), user, policyContext{}, true},
		{"another External ID, if exists", condition("StringEqualsIfExists", "sts:ExternalId", `"other"`), user, ctx, false},
		{"not that External ID", condition("StringNotEquals", "sts:ExternalId", `"other"`), user, ctx, true},
		{"not that External ID, none sent", condition("StringNotEquals", "sts:ExternalId", `"other"`), user, policyContext{}, true},
		{"not this External ID", condition("StringNotEquals", "sts:ExternalId", `["other","id"]`), user, ctx, false},
		{"an External ID, whichever", condition("Null", "sts:ExternalId", `"false"`), user, ctx, true},
		{"an External ID, whichever, none sent", condition("Null", "sts:ExternalId", `false`), user, policyContext{}, false},
		{"like", condition("StringLike", "sts:ExternalId", `"i?"`), user, ctx, true},
		{"unlike", condition("StringLike", "sts:ExternalId", `"i"`), user, ctx, false},
		{"a pattern's other bytes are literal", condition("StringLike", "sts:ExternalId", `"i."`), user, ctx, false},
		{"the ARN", condition("ArnLike", "aws:PrincipalArn", `"arn:aws:iam::111122223333:user/*"`), user, ctx, true},
		{"not the ARN", condition("ArnNotLike", "aws:PrincipalArn", `"arn:aws:iam::111122223333:user/*"`), user, ctx, false},
		{"a tag", condition("StringEquals", "aws:RequestTag/A", `"1"`), user, ctx, true},
		{"all tags allowed", condition("ForAllValues:StringEquals", "aws:TagKeys", `["a","b","c"]`), user, ctx, true},
		{"not all tags allowed", condition("ForAllValues:StringEquals", "aws:TagKeys", `["a"]`), user, ctx, false},
		{"no tags, all allowed", condition("ForAllValues:StringEquals", "aws:TagKeys", `["a"]`), user, policyContext{}, true},
		{"any tag", condition("ForAnyValue:StringEquals", "aws:TagKeys", `["b"]`), user, ctx, true},
		{"no tags, any asked", condition("ForAnyValue:StringEquals", "aws:TagKeys", `["b"]`), user, policyContext{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := parsePolicy(tt.policy)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.allows(tt.who, "sts:AssumeRole", tt.ctx); got != tt.want {
				t.Errorf("allowed: %v, want %v\n%s", got, tt.want, tt.policy)
			}
		})
	}
}

// TestRefusesPolicies gives policies that are wrong, or hold what the stand-in could only overlook.
func TestRefusesPolicies(t *testing.T) {
	for _, tt := range []struct{ policy, says string }{
		{"", "EOF"},
		{`{"Version":"2008-10-17","Statement":[]}`, "2012-10-17"},
		{`{"Version":"2012-10-17","Statement":[]}`, "no Statement"},
		{`{"Version":"2012-10-17","Statement":[{"Effect":"Maybe","Principal":"*","Action":"sts:*"}]}`, "Effect"},
		{`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:*"}]}`, "no Principal"},
		{`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*"}]}`, "no Action"},
		{`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotPrincipal":"*","Action":"sts:*"}]}`, "NotPrincipal"},
		{trusting("broker", ""), "invalid"},
		{trusting(brokerARN, `,"Resource":"*"`), "Resource"},
		{trusting(brokerARN, `,"Condition":{"StringSame":{"sts:ExternalId":"id"}}`), "operator"},
		{trusting(brokerARN, `,"Condition":{"NotBool":{"aws:SecureTransport":"true"}}`), "operator"},
		{trusting(brokerARN, `,"Condition":{"ForSome:StringEquals":{"sts:ExternalId":"id"}}`), "ForSome"},
		{trusting(brokerARN, `,"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`), "operator"},
		{trusting(brokerARN, `,"Condition":{"Bool":{"aws:ViaAWSService":"true"}}`), "key"},
		{trusting(brokerARN, `,"Condition":{"StringEquals":{"sts:ExternalId":"${aws:username}"}}`), "variables"},
		{trusting(brokerARN, `,"Condition":{"StringEquals":{"sts:ExternalId":{}}}`), "no value"},
	} {
		if _, err := parsePolicy(tt.policy); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want an error with %q", tt.policy, err, tt.says)
		}
	}
}
