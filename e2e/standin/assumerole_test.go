package standin

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
)

// failure returns status and code of an error that a service answered, and its message.
func failure(err error) (string, string) {
	var api smithy.APIError
	var response *awshttp.ResponseError
	if !errors.As(err, &api) || !errors.As(err, &response) {
		return "", fmt.Sprint(err)
	}
	return fmt.Sprint(response.HTTPStatusCode(), " ", api.ErrorCode()), api.ErrorMessage()
}

// TestAssumeRole calls AssumeRole with the AWS SDK.
func TestAssumeRole(t *testing.T) {
	s, broker := start(t)
	stranger, err := s.AddUser(User{ARN: "arn:aws:iam::444455556666:user/stranger"})
	if err != nil {
		t.Fatal(err)
	}
	restricted, err := s.AddUser(User{ARN: "arn:aws:iam::111122223333:user/restricted", MayAssume: []string{"arn:aws:iam::*:role/Open"}})
	if err != nil {
		t.Fatal(err)
	}
	const open, long, tagged, elsewhere = "arn:aws:iam::123456789012:role/Open", "arn:aws:iam::123456789012:role/Long",
		"arn:aws:iam::123456789012:role/Tagged", "arn:aws:iam::123456789012:role/Elsewhere"
	put(t, s, Role{ARN: open, TrustPolicy: trusting("*", "")})
	put(t, s, Role{ARN: long, TrustPolicy: trusting("*", ""), MaxSessionDuration: 12 * time.Hour})
	put(t, s, Role{ARN: tagged, TrustPolicy: strings.Replace(trusting("*", `,"Condition":{"StringEqualsIfExists":{"aws:RequestTag/team":"search"}}`), `"sts:AssumeRole"`, `["sts:AssumeRole","sts:TagSession"]`, 1)})
	put(t, s, Role{ARN: elsewhere, TrustPolicy: trusting("arn:aws:iam::444455556666:root", "")})

	id := aws.String(externalID)
	tag := func(pairs ...string) (tags []types.Tag) {
		for i := 0; i < len(pairs); i += 2 {
			tags = append(tags, types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
		}
		return tags
	}
	many := func(n int) (tags []types.Tag) {
		for i := range n {
			tags = append(tags, tag(fmt.Sprint("k", i), "v")...)
		}
		return tags
	}
	const denied = "403 AccessDenied"
	notAuthorized := func(u User, action, role string) string {
		return "User: " + u.ARN + " is not authorized to perform: sts:" + action + " on resource: " + role
	}
	tests := []struct {
		name string
		who  User
		in   sts.AssumeRoleInput
		fail string
		says string
	}{
		{"with the External ID", broker, sts.AssumeRoleInput{RoleArn: aws.String(readerARN), ExternalId: id}, "", ""},
		{"without the External ID", broker, sts.AssumeRoleInput{RoleArn: aws.String(readerARN)}, denied, notAuthorized(broker, "AssumeRole", readerARN)},
		{"with a wrong External ID", broker, sts.AssumeRoleInput{RoleArn: aws.String(readerARN), ExternalId: aws.String("wrong")}, denied, notAuthorized(broker, "AssumeRole", readerARN)},
		{"with the External ID in another case", broker, sts.AssumeRoleInput{RoleArn: aws.String(readerARN), ExternalId: aws.String(strings.ToLower(externalID))}, denied, ""},
		{"with an External ID that no one asks for", broker, sts.AssumeRoleInput{RoleArn: aws.String(open), ExternalId: id}, "", ""},
		{"by a stranger with the External ID", stranger, sts.AssumeRoleInput{RoleArn: aws.String(readerARN), ExternalId: id}, denied, notAuthorized(stranger, "AssumeRole", readerARN)},
		{"by a user of the trusted account", stranger, sts.AssumeRoleInput{RoleArn: aws.String(elsewhere)}, "", ""},
		{"of a role that does not exist", broker, sts.AssumeRoleInput{RoleArn: aws.String(readerARN + "2")}, denied, notAuthorized(broker, "AssumeRole", readerARN+"2")},
		{"that the user's own policy allows", restricted, sts.AssumeRoleInput{RoleArn: aws.String(open)}, "", ""},
		{"that the user's own policy does not allow", restricted, sts.AssumeRoleInput{RoleArn: aws.String(long)}, denied, "because no identity-based policy allows the sts:AssumeRole action"},

		{"for 15 minutes", broker, sts.AssumeRoleInput{RoleArn: aws.String(open), DurationSeconds: aws.Int32(900)}, "", ""},
		{"for less", broker, sts.AssumeRoleInput{RoleArn: aws.String(open), DurationSeconds: aws.Int32(899)}, "400 ValidationError", "Value '899' at 'durationSeconds'"},
		{"for 12 hours", broker, sts.AssumeRoleInput{RoleArn: aws.String(long), DurationSeconds: aws.Int32(43200)}, "", ""},
		{"for more", broker, sts.AssumeRoleInput{RoleArn: aws.String(long), DurationSeconds: aws.Int32(43201)}, "400 ValidationError", "less than or equal to 43200"},
		{"for more than the role allows", broker, sts.AssumeRoleInput{RoleArn: aws.String(open), DurationSeconds: aws.Int32(3601)}, "400 ValidationError", "MaxSessionDuration"},

		{"with a role ARN that is none", broker, sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::1234:role/Open")}, "400 ValidationError", "is invalid"},
		{"with a role ARN that is too short", broker, sts.AssumeRoleInput{RoleArn: aws.String("arn")}, "400 ValidationError", "'roleArn'"},
		{"with a session name of one letter", broker, sts.AssumeRoleInput{RoleArn: aws.String(open), RoleSessionName: aws.String("a")}, "400 ValidationError", "'roleSessionName'"},
		{"with a session name of 64 letters", broker, sts.AssumeRoleInput{RoleArn: aws.String(open), RoleSessionName: aws.String(strings.Repeat("a", 64))}, "", ""},
		{"with a session name of 65 letters", broker, sts.AssumeRoleInput{RoleArn: aws.String(open), RoleSessionName: aws.String(strings.Repeat("a", 65))}, "400 ValidationError", "less than or equal to 64"},
		{"with all signs that a session name may have", broker, sts.AssumeRoleInput{RoleArn: aws.String(open), RoleSessionName: aws.String("aZ09_+=,.@-")}, "", ""},
		{"with a blank in the session name", broker, sts.AssumeRoleInput{RoleArn: aws.String(open), RoleSessionName: aws.String("a b")}, "400 ValidationError", `[\w+=,.@-]*`},
		{"with an External ID of one letter", broker, sts.AssumeRoleInput{RoleArn: aws.String(open), ExternalId: aws.String("a")}, "400 ValidationError", "'externalId'"},
		{"with a blank in the External ID", broker, sts.AssumeRoleInput{RoleArn: aws.String(open), ExternalId: aws.String("a b")}, "400 ValidationError", "'externalId'"},

		{"with a tag", broker, sts.AssumeRoleInput{RoleArn: aws.String(tagged), Tags: tag("team", "search")}, "", ""},
		{"with a tag of another value", broker, sts.AssumeRoleInput{RoleArn: aws.String(tagged), Tags: tag("team", "ads")}, denied, ""},
		{"with a tag, not permitted", broker, sts.AssumeRoleInput{RoleArn: aws.String(open), Tags: tag("team", "search")}, denied, notAuthorized(broker, "TagSession", open)},
		{"with 50 tags", broker, sts.AssumeRoleInput{RoleArn: aws.String(tagged), Tags: many(50)}, "", ""},
		{"with 51 tags", broker, sts.AssumeRoleInput{RoleArn: aws.String(tagged), Tags: many(51)}, "400 ValidationError", "'tags'"},
		{"with a tag twice", broker, sts.AssumeRoleInput{RoleArn: aws.String(tagged), Tags: tag("k", "v", "K", "w")}, "400 InvalidParameterValue", "Duplicate tag keys"},
		{"with a tag key of 129 letters", broker, sts.AssumeRoleInput{RoleArn: aws.String(tagged), Tags: tag(strings.Repeat("k", 129), "v")}, "400 ValidationError", "'tags.1.member.key'"},
		{"with a tag value of 257 letters", broker, sts.AssumeRoleInput{RoleArn: aws.String(tagged), Tags: tag("k", strings.Repeat("é", 257))}, "400 ValidationError", "'tags.1.member.value'"},
		{"with a tag value of 256 letters", broker, sts.AssumeRoleInput{RoleArn: aws.String(tagged), Tags: tag("k", strings.Repeat("é", 256))}, "", ""},
		{"with a reserved tag key", broker, sts.AssumeRoleInput{RoleArn: aws.String(tagged), Tags: tag("AWS:k", "v")}, "400 InvalidParameterValue", "reserved"},
		{"with a quote in a tag", broker, sts.AssumeRoleInput{RoleArn: aws.String(tagged), Tags: tag("k", `"`)}, "400 ValidationError", "'tags.1.member.value'"},
		{"with a transitive tag that is none", broker, sts.AssumeRoleInput{RoleArn: aws.String(tagged), Tags: tag("k", "v"), TransitiveTagKeys: []string{"l"}}, "400 InvalidParameterValue", "transitive"},
		{"with a source identity, not permitted", broker, sts.AssumeRoleInput{RoleArn: aws.String(open), SourceIdentity: aws.String("alice")}, denied, notAuthorized(broker, "SetSourceIdentity", open)},
		{"with a source identity of one letter", broker, sts.AssumeRoleInput{RoleArn: aws.String(open), SourceIdentity: aws.String("a")}, "400 ValidationError", "'sourceIdentity'"},
		{"with a context assertion", broker, sts.AssumeRoleInput{RoleArn: aws.String(open), ProvidedContexts: []types.ProvidedContext{{ContextAssertion: aws.String("abcd")}}}, "501 NotImplemented", "ProvidedContexts"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.in.RoleSessionName == nil {
				tt.in.RoleSessionName = aws.String("session")
			}
			before := time.Now()
			out, err := stsClient(s, provider(tt.who.AccessKeyID, tt.who.SecretAccessKey, "")).AssumeRole(t.Context(), &tt.in)
			if tt.fail != "" {
				code, message := failure(err)
				if err == nil || code != tt.fail || !strings.Contains(message, tt.says) {
					t.Fatalf("%s: %s\nwant %s: … %s", code, message, tt.fail, tt.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c := out.Credentials
			if !strings.HasPrefix(*c.AccessKeyId, "ASIA") || len(*c.AccessKeyId) != 20 || len(*c.SecretAccessKey) != 40 || len(*c.SessionToken) < 300 {
				t.Errorf("credentials of an unusual form: %s, %d, %d", *c.AccessKeyId, len(*c.SecretAccessKey), len(*c.SessionToken))
			}
			asked := time.Hour
			if tt.in.DurationSeconds != nil {
				asked = time.Duration(*tt.in.DurationSeconds) * time.Second
			}
			if left := c.Expiration.Sub(before); left < asked-time.Second || left > asked+10*time.Second {
				t.Errorf("they last %v, want %v", left, asked)
			}
			who, err := stsClient(s, provider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)).GetCallerIdentity(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if *who.Arn != *out.AssumedRoleUser.Arn || *who.UserId != *out.AssumedRoleUser.AssumedRoleId || *who.Account != accountOf(*tt.in.RoleArn) {
				t.Errorf("it is %s, %s of %s; assumed were %s, %s", *who.Arn, *who.UserId, *who.Account, *out.AssumedRoleUser.Arn, *out.AssumedRoleUser.AssumedRoleId)
			}
		})
	}
	for _, c := range s.Calls() {
		if c.By == "" {
			t.Errorf("a call was not signed rightly: %+v", c)
		}
	}
}

// TestChains assumes a role with the session of another.
func TestChains(t *testing.T) {
	s, broker := start(t)
	const first, second = "arn:aws:iam::111122223333:role/First", "arn:aws:iam::123456789012:role/Second"
	all := func(principal string) string {
		return strings.Replace(trusting(principal, ""), `"sts:AssumeRole"`, `["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]`, 1)
	}
	put(t, s, Role{ARN: first, TrustPolicy: all(brokerARN), MaxSessionDuration: 12 * time.Hour})
	put(t, s, Role{ARN: second, TrustPolicy: all(first), MaxSessionDuration: 12 * time.Hour})

	out, err := stsClient(s, provider(broker.AccessKeyID, broker.SecretAccessKey, "")).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String(first), RoleSessionName: aws.String("hop"), DurationSeconds: aws.Int32(7200), SourceIdentity: aws.String("alice"),
		Tags:              []types.Tag{{Key: aws.String("Stays"), Value: aws.String("1")}, {Key: aws.String("Goes"), Value: aws.String("2")}},
		TransitiveTagKeys: []string{"Stays"},
	})
	if err != nil {
		t.Fatal(err)
	}
	hop := stsClient(s, provider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken))
	in := func() *sts.AssumeRoleInput {
		return &sts.AssumeRoleInput{RoleArn: aws.String(second), RoleSessionName: aws.String("end")}
	}

	long := in()
	long.DurationSeconds = aws.Int32(3601)
	_, err = hop.AssumeRole(t.Context(), long)
	if code, message := failure(err); code != "400 ValidationError" || !strings.Contains(message, "1 hour session limit for roles assumed by role chaining") {
		t.Errorf("more than an hour: %s: %s", code, message)
	}
	again := in()
	again.Tags = []types.Tag{{Key: aws.String("stays"), Value: aws.String("x")}}
	_, err = hop.AssumeRole(t.Context(), again)
	if code, _ := failure(err); code != "400 InvalidParameterValue" {
		t.Errorf("an inherited tag set again: %v", err)
	}
	if _, err = hop.AssumeRole(t.Context(), in()); err != nil {
		t.Fatal(err)
	}
	got := s.Sessions(second)
	if len(got) != 1 || got[0].By != "arn:aws:sts::111122223333:assumed-role/First/hop" || got[0].SourceIdentity != "alice" ||
		!slices.Equal(slices.Sorted(maps.Keys(got[0].Tags)), []string{"Stays"}) {
		t.Errorf("sessions: %+v", got)
	}

	s.RevokeSessions(first)
	_, err = hop.AssumeRole(t.Context(), in())
	if code, message := failure(err); code != "403 AccessDenied" || !strings.Contains(message, "with an explicit deny in an identity-based policy") {
		t.Errorf("revoked: %s: %s", code, message)
	}
	if _, err := hop.GetCallerIdentity(t.Context(), nil); err != nil {
		t.Errorf("GetCallerIdentity needs no permission: %v", err)
	}
	s.ExpireSessions(first)
	_, err = hop.GetCallerIdentity(t.Context(), nil)
	if code, _ := failure(err); code != "403 ExpiredToken" {
		t.Errorf("expired: %v", err)
	}
}

// TestRefusesUsers adds what cannot be.
func TestRefusesUsers(t *testing.T) {
	s, _ := start(t)
	if _, err := s.AddUser(User{ARN: readerARN}); err == nil {
		t.Error("a role's ARN was taken for a user's")
	}
	if _, err := s.AddUser(User{ARN: brokerARN, AccessKeyID: "AKIATWICE"}); err != nil {
		t.Error(err)
	}
	if _, err := s.AddUser(User{ARN: brokerARN, AccessKeyID: "AKIATWICE"}); err == nil {
		t.Error("an access key ID was given twice")
	}
	for _, r := range []Role{
		{ARN: brokerARN, TrustPolicy: trusting("*", "")},
		{ARN: readerARN},
		{ARN: readerARN, TrustPolicy: trusting("*", ""), MaxSessionDuration: time.Minute},
		{ARN: readerARN, TrustPolicy: trusting("*", ""), MaxSessionDuration: 13 * time.Hour},
	} {
		if err := s.PutRole(r); err == nil {
			t.Errorf("%+v was taken", r)
		}
	}
}
