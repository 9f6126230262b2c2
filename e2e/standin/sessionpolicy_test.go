package standin

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// statements returns a policy document.
func statements(s ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(s, ",") + `]}`
}

const (
	allowAll = `{"Effect":"Allow","Action":"*","Resource":"*"}`
	denyAll  = `{"Effect":"Deny","Action":"*","Resource":"*"}`
)

// TestSessionPolicies asks policies about actions.
func TestSessionPolicies(t *testing.T) {
	ctx := policyContext{"aws:principaltag/team": {"search"}, "aws:principaltag/star": {"*"}, "s3:prefix": {"search/"}}
	const object = "arn:aws:s3:::bucket/search/k"
	allowing := func(elements string) string { return statements(`{"Effect":"Allow",` + elements + `}`) }
	for _, tt := range []struct {
		name, policy string
		want         decision
	}{
		{"everything", statements(allowAll), allow},
		{"nothing", statements(denyAll), deny},
		{"everything, and nothing after all", statements(allowAll, denyAll), deny},
		{"the action", allowing(`"Action":"s3:GetObject","Resource":"*"`), allow},
		{"the action in another case", allowing(`"Action":"S3:getobject","Resource":"*"`), allow},
		{"another action", allowing(`"Action":["s3:PutObject","s3:GetObjectAcl"],"Resource":"*"`), noMatch},
		{"actions like it", allowing(`"Action":"s3:Get*","Resource":"*"`), allow},
		{"not this action", allowing(`"NotAction":"s3:Get*","Resource":"*"`), noMatch},
		{"not another action", allowing(`"NotAction":"s3:Put*","Resource":"*"`), allow},
		{"the object", allowing(`"Action":"*","Resource":"` + object + `"`), allow},
		{"the bucket", allowing(`"Action":"*","Resource":"arn:aws:s3:::bucket"`), noMatch},
		{"the bucket's objects", allowing(`"Action":"*","Resource":["arn:aws:s3:::bucket","arn:aws:s3:::bucket/*"]`), allow},
		{"not this object", allowing(`"Action":"*","NotResource":"` + object + `"`), noMatch},
		{"a variable", allowing(`"Action":"*","Resource":"arn:aws:s3:::bucket/${aws:PrincipalTag/team}/*"`), allow},
		{"a variable without a value", allowing(`"Action":"*","Resource":"arn:aws:s3:::bucket/${aws:PrincipalTag/other}*"`), noMatch},
		{"a variable whose value looks like a wildcard", allowing(`"Action":"*","Resource":"arn:aws:s3:::bucket/${aws:PrincipalTag/star}"`), noMatch},
		{"a condition", allowing(`"Action":"*","Resource":"*","Condition":{"StringLike":{"s3:prefix":"search/*"}}`), allow},
		{"a condition that does not hold", allowing(`"Action":"*","Resource":"*","Condition":{"StringEquals":{"s3:prefix":"ads/"}}`), noMatch},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := parsePermissions(tt.policy)
			if err != nil {
				t.Fatal(err)
			}
			if got := decide([]*permissions{p}, "s3:GetObject", object, ctx); got != tt.want {
				t.Errorf("decided %d, want %d\n%s", got, tt.want, tt.policy)
			}
		})
	}
}

// TestRefusesSessionPolicies tells what IAM would refuse from what only the stand-in does not know.
func TestRefusesSessionPolicies(t *testing.T) {
	for _, tt := range []struct {
		policy string
		beyond bool
	}{
		{`{}`, true},
		{`{"Version":"2012-10-17","Statement":[]}`, false},
		{`no JSON`, false},
		{statements(`{"Effect":"Maybe","Action":"*","Resource":"*"}`), false},
		{statements(`{"Effect":"Allow","Resource":"*"}`), false},
		{statements(`{"Effect":"Allow","Action":"*"}`), false},
		{statements(`{"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"}`), false},
		{statements(`{"Effect":"Allow","Action":"GetObject","Resource":"*"}`), false},
		{statements(`{"Effect":"Allow","Action":"s3:*","Resource":"bucket/*"}`), false},
		{statements(`{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}`), false},
		{statements(`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::bucket/${aws:CurrentTime}"}`), true},
		{statements(`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`), true},
		{statements(`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"sts:ExternalId":"id"}}}`), true},
	} {
		_, err := parsePermissions(tt.policy)
		if err == nil || errors.As(err, new(beyondError)) != tt.beyond {
			t.Errorf("%s: %v; only the stand-in does not know it: %t", tt.policy, err, tt.beyond)
		}
	}
}

// TestLimitedSessions uses sessions with policies at S3, and for further sessions.
func TestLimitedSessions(t *testing.T) {
	s, broker := start(t)
	const role, next = "arn:aws:iam::123456789012:role/Limited", "arn:aws:iam::123456789012:role/Next"
	const readOnly, ours, foreign = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess", "arn:aws:iam::123456789012:policy/team/Ours", "arn:aws:iam::999999999999:policy/Theirs"
	put(t, s, Role{ARN: role, TrustPolicy: strings.Replace(trusting("*", ""), `"sts:AssumeRole"`, `["sts:AssumeRole","sts:TagSession"]`, 1)})
	put(t, s, Role{ARN: next, TrustPolicy: trusting("*", "")})
	for arn, policy := range map[string]string{
		readOnly: statements(`{"Effect":"Allow","Action":["s3:Get*","s3:List*"],"Resource":"*"}`),
		ours:     statements(`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"` + next + `"}`),
		foreign:  statements(allowAll),
	} {
		if err := s.PutPolicy(arn, policy); err != nil {
			t.Fatal(err)
		}
	}
	arns := func(list ...string) (types []types.PolicyDescriptorType) {
		for _, arn := range list {
			types = append(types, descriptor(arn))
		}
		return types
	}
	tags := []types.Tag{{Key: aws.String("team"), Value: aws.String("search")}}
	tests := []struct {
		name            string
		in              sts.AssumeRoleInput
		fail            string // of AssumeRole
		put, get, chain string // "" where it is allowed
	}{
		{"no policy", sts.AssumeRoleInput{}, "", "", "", ""},
		{"everything", sts.AssumeRoleInput{Policy: aws.String(statements(allowAll))}, "", "", "", ""},
		{"nothing", sts.AssumeRoleInput{Policy: aws.String(statements(denyAll))}, "", "explicit deny", "explicit deny", "with an explicit deny in a session policy"},
		{"reading", sts.AssumeRoleInput{Policy: aws.String(statements(`{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}`))}, "", "s3:PutObject", "", "because no session policy allows the sts:AssumeRole action"},
		{"another object", sts.AssumeRoleInput{Policy: aws.String(statements(`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::bucket/other"}`))}, "", "s3:PutObject", "s3:GetObject", "no session policy"},
		{"a tag's objects", sts.AssumeRoleInput{Policy: aws.String(statements(`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::bucket/${aws:PrincipalTag/team}/*"}`)), Tags: tags}, "", "", "", "no session policy"},
		{"a managed policy", sts.AssumeRoleInput{PolicyArns: arns(readOnly)}, "", "s3:PutObject", "", "no session policy"},
		{"two managed policies", sts.AssumeRoleInput{PolicyArns: arns(readOnly, ours)}, "", "s3:PutObject", "", ""},
		{"a managed policy and another", sts.AssumeRoleInput{PolicyArns: arns(ours), Policy: aws.String(statements(`{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}`))}, "", "", "s3:GetObject", ""},

		{"no JSON", sts.AssumeRoleInput{Policy: aws.String("policy")}, "400 MalformedPolicyDocument", "", "", ""},
		{"letters beyond U+00FF", sts.AssumeRoleInput{Policy: aws.String(statements(`{"Sid":"日","Effect":"Allow","Action":"*","Resource":"*"}`))}, "400 ValidationError", "", "", ""},
		{"2049 characters", sts.AssumeRoleInput{Policy: aws.String(strings.Repeat(" ", 2049-len(statements(allowAll))) + statements(allowAll))}, "400 ValidationError", "", "", ""},
		{"2048 characters and an ARN", sts.AssumeRoleInput{PolicyArns: arns(readOnly), Policy: aws.String(strings.Repeat(" ", 2048-len(statements(allowAll))) + statements(allowAll))}, "400 ValidationError", "", "", ""},
		{"what the stand-in does not know", sts.AssumeRoleInput{Policy: aws.String(statements(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"2026-01-01"}}}`))}, "501 NotImplemented", "", "", ""},
		{"a managed policy that is not there", sts.AssumeRoleInput{PolicyArns: arns(readOnly + "2")}, "400 ValidationError", "", "", ""},
		{"a managed policy of another account", sts.AssumeRoleInput{PolicyArns: arns(foreign)}, "400 ValidationError", "", "", ""},
		{"eleven managed policies", sts.AssumeRoleInput{PolicyArns: arns(strings.Fields(strings.Repeat(readOnly+" ", 11))...)}, "400 ValidationError", "", "", ""},
		{"a managed policy whose ARN is short", sts.AssumeRoleInput{PolicyArns: arns("arn")}, "400 ValidationError", "", "", ""},
		{"more than can be packed", sts.AssumeRoleInput{Tags: randomTags(50)}, "400 PackedPolicyTooLarge", "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.RoleArn, tt.in.RoleSessionName = aws.String(role), aws.String("session")
			out, err := stsClient(s, provider(broker.AccessKeyID, broker.SecretAccessKey, "")).AssumeRole(t.Context(), &tt.in)
			if tt.fail != "" {
				if code, message := failure(err); err == nil || code != tt.fail {
					t.Errorf("%s: %s, want %s", code, message, tt.fail)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c := provider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
			check := func(what, want string, err error) {
				t.Helper()
				if want == "" && err == nil {
					return
				}
				if code, message := failure(err); err == nil || want == "" || code != "403 AccessDenied" || !strings.Contains(message, want) {
					t.Errorf("%s: %s: %s, want %q", what, code, message, want)
				}
			}
			// The AWS SDK for Go, while it sends a body, may miss an answer that comes early, so there is none.
			object := func() (*string, *string) { return aws.String("bucket"), aws.String("search/k") }
			bucket, key := object()
			_, err = s3Client(s, c).PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key})
			check("put", tt.put, err)
			_, err = s3Client(s, c).GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key})
			check("get", tt.get, err)
			_, err = stsClient(s, c).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(next), RoleSessionName: aws.String("next")})
			check("chain", tt.chain, err)
			if _, err := stsClient(s, c).GetCallerIdentity(t.Context(), nil); err != nil {
				t.Errorf("GetCallerIdentity needs no permission: %v", err)
			}
		})
	}
	got := s.Sessions(role)[2]
	if got.Policy != statements(denyAll) || got.MFA {
		t.Errorf("session: %+v", got)
	}
	if err := s.PutPolicy("arn:aws:iam::123456789012:role/R", statements(allowAll)); err == nil {
		t.Error("a role's ARN was taken for a policy's")
	}
	if err := s.PutPolicy(ours, "{}"); err == nil {
		t.Error("a managed policy without a statement was taken")
	}
}

func descriptor(arn string) types.PolicyDescriptorType { return types.PolicyDescriptorType{Arn: &arn} }

// randomTags returns tags of full length that can't be packed.
func randomTags(n int) (tags []types.Tag) {
	for i := range n {
		tags = append(tags, types.Tag{Key: aws.String(fmt.Sprint("key", i)), Value: aws.String(fmt.Sprintf("%x", random(128)))})
	}
	return tags
}

// TestTrustOfTags assumes roles whose trust policies lack an action that the call needs, whether tags and source identity
// are sent or inherited.
func TestTrustOfTags(t *testing.T) {
	s, broker := start(t)
	const hop = "arn:aws:iam::123456789012:role/Hop"
	role := func(name, actions string) string {
		arn := "arn:aws:iam::123456789012:role/" + name
		put(t, s, Role{ARN: arn, TrustPolicy: strings.Replace(trusting("*", ""), `"sts:AssumeRole"`, actions, 1)})
		return arn
	}
	all := role("All", `"sts:*"`)
	none := role("None", `"sts:AssumeRole"`)
	tagging := role("Tagging", `["sts:AssumeRole","sts:TagSession"]`)
	identifying := role("Identifying", `["sts:AssumeRole","sts:SetSourceIdentity"]`)
	put(t, s, Role{ARN: hop, TrustPolicy: strings.Replace(trusting(brokerARN, ""), `"sts:AssumeRole"`, `"sts:*"`, 1)})

	tags := []types.Tag{{Key: aws.String("team"), Value: aws.String("search")}}
	begin := func(in sts.AssumeRoleInput) aws.CredentialsProvider {
		in.RoleArn, in.RoleSessionName = aws.String(hop), aws.String("hop")
		out, err := stsClient(s, provider(broker.AccessKeyID, broker.SecretAccessKey, "")).AssumeRole(t.Context(), &in)
		if err != nil {
			t.Fatal(err)
		}
		return provider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
	}
	plain := begin(sts.AssumeRoleInput{Tags: tags})
	transitive := begin(sts.AssumeRoleInput{Tags: tags, TransitiveTagKeys: []string{"team"}})
	identified := begin(sts.AssumeRoleInput{SourceIdentity: aws.String("alice")})

	for _, tt := range []struct {
		name  string
		who   aws.CredentialsProvider
		in    sts.AssumeRoleInput
		lacks map[string]string // by role
	}{
		{"nothing", plain, sts.AssumeRoleInput{}, nil},
		{"tags", plain, sts.AssumeRoleInput{Tags: tags}, map[string]string{none: "sts:TagSession", identifying: "sts:TagSession"}},
		{"a source identity", plain, sts.AssumeRoleInput{SourceIdentity: aws.String("alice")}, map[string]string{none: "sts:SetSourceIdentity", tagging: "sts:SetSourceIdentity"}},
		{"inherited tags", transitive, sts.AssumeRoleInput{}, map[string]string{none: "sts:TagSession", identifying: "sts:TagSession"}},
		{"an inherited source identity", identified, sts.AssumeRoleInput{}, map[string]string{none: "sts:SetSourceIdentity", tagging: "sts:SetSourceIdentity"}},
		{"the inherited source identity", identified, sts.AssumeRoleInput{SourceIdentity: aws.String("alice")}, map[string]string{none: "sts:SetSourceIdentity", tagging: "sts:SetSourceIdentity"}},
		{"another source identity", identified, sts.AssumeRoleInput{SourceIdentity: aws.String("bob")}, map[string]string{
			all: "sts:SetSourceIdentity", none: "sts:SetSourceIdentity", tagging: "sts:SetSourceIdentity", identifying: "sts:SetSourceIdentity",
		}},
	} {
		for _, arn := range []string{all, none, tagging, identifying} {
			tt.in.RoleArn, tt.in.RoleSessionName = &arn, aws.String("end")
			_, err := stsClient(s, tt.who).AssumeRole(t.Context(), &tt.in)
			lacks := tt.lacks[arn]
			if lacks == "" && err == nil {
				continue
			}
			code, message := failure(err)
			if err == nil || lacks == "" || code != fmt.Sprint(http.StatusForbidden, " AccessDenied") || !strings.Contains(message, "perform: "+lacks+" on resource: "+arn) {
				t.Errorf("%s, %s: %v, want %q", tt.name, arn, err, lacks)
			}
		}
	}
}
