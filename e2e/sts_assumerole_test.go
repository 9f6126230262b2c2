package e2e_test

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
)

// The roles of a chain, whose last is the reader.
const (
	hubARN    = "arn:aws:iam::111122223333:role/Hub"
	middleARN = "arn:aws:iam::210987654321:role/partners/Middle"
)

// trusts makes a role that trusts a principal for some actions, with the External ID if it is not "".
func (b *bed) trusts(r standin.Role, principal, actions, externalID string) {
	b.t.Helper()
	condition := ""
	if externalID != "" {
		condition = fmt.Sprintf(`,"Condition":{"StringEquals":{"sts:ExternalId":%q}}`, externalID)
	}
	r.TrustPolicy = fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":%q},"Action":%s%s}]}`, principal, actions, condition)
	if err := b.PutRole(r); err != nil {
		b.t.Fatal(err)
	}
}

// allActions are those that a call with tags and a source identity consists of.
const allActions = `["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]`

// chain is a Caddyfile with a chain of three roles and all that assume_role knows.
const chain = `{
	aws_sigv4 {
		credentials broker static <broker-key> <broker-secret>
		credentials hub assume_role <hub> {
			from broker
			session_name hub-session
			duration 2h
			mfa_serial arn:aws:iam::111122223333:mfa/broker
			mfa_secret <mfa-secret>
			source_identity alice
			tag team search
			tag stage one
			transitive_tags team
		}
		credentials middle assume_role <middle> {
			from hub
			external_id <external-id>
			duration 15m
			policy_arns arn:aws:iam::aws:policy/AssumeOnly
			sts_region <region>
			sts_endpoint <sts>
		}
		credentials reader assume_role <reader> {
			from middle
			external_id <external-id>
			session_name reader-session
			tag stage three
			policy_arns arn:aws:iam::123456789012:policy/ReadAll
			policy ` + "`" + `{
				"Version": "2012-10-17",
				"Statement": [{
					"Effect": "Allow",
					"Action": "s3:PutObject",
					"Resource": "arn:aws:s3:::bucket/${aws:PrincipalTag/team}/*"
				}]
			}` + "`" + `
		}
	}
}
http://<site> {
	aws_sigv4 <s3> {
		service s3
		region <region>
		credentials reader
	}
}
`

// newChainBed is a bed with the roles, policies and the user's MFA device of chain, and what makes a Caddyfile of chain. The
// device is another one each time, since Caddy in this process knows which codes it has sent.
func newChainBed(t *testing.T) (*bed, *strings.Replacer) {
	t.Helper()
	b := newBed(t)
	device := standin.MFADevice{Serial: "arn:aws:iam::111122223333:mfa/broker", Secret: rand.Text() + "MFRGGZ"}
	var err error
	if b.broker, err = b.AddUser(standin.User{ARN: brokerARN, MFA: device}); err != nil {
		t.Fatal(err)
	}
	b.trusts(standin.Role{ARN: hubARN, MaxSessionDuration: 12 * time.Hour}, brokerARN, allActions, "")
	b.trusts(standin.Role{ARN: middleARN}, hubARN, allActions, externalID)
	b.trusts(standin.Role{ARN: readerARN}, middleARN, allActions, externalID)
	for arn, statement := range map[string]string{
		"arn:aws:iam::aws:policy/AssumeOnly":       `"Action":"sts:*","Resource":"arn:aws:iam::*:role/customers/*"`,
		"arn:aws:iam::123456789012:policy/ReadAll": `"Action":["s3:GetObject","s3:ListBucket"],"Resource":"*"`,
	} {
		if err := b.PutPolicy(arn, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",`+statement+`}]}`); err != nil {
			t.Fatal(err)
		}
	}
	return b, strings.NewReplacer("<hub>", hubARN, "<middle>", middleARN, "<mfa-secret>", device.Secret)
}

// TestAssumeRoleInFull goes through a chain of three roles with everything that AssumeRole takes, and reads and writes with
// what comes out of it: as much as the session policies let it, and no more.
func TestAssumeRoleInFull(t *testing.T) {
	b, names := newChainBed(t)
	b.runCaddy(names.Replace(chain))
	b.do("PUT", "/bucket/search/k", "hello").expect(t, "what the policy names", 200)
	b.do("GET", "/bucket/search/k", "").expect(t, "what the managed policy allows", 200, "hello")
	b.do("GET", "/bucket?list-type=2", "").expect(t, "a list", 200, "<Key>search/k</Key>")
	b.do("PUT", "/bucket/ads/k", "hello").expect(t, "what no session policy allows", 403, "AccessDenied", "assumed-role/Reader/reader-session", "s3:PutObject")
	b.do("DELETE", "/bucket/search/k", "").expect(t, "what no session policy allows", 403, "AccessDenied", "s3:DeleteObject")

	const user, hub = brokerARN, "arn:aws:sts::111122223333:assumed-role/Hub/hub-session"
	for _, want := range []struct {
		role, by string
		life     time.Duration
		tags     map[string]string
		mfa      bool
		policies []string
	}{
		{hubARN, user, 2 * time.Hour, map[string]string{"team": "search", "stage": "one"}, true, nil},
		{middleARN, hub, 15 * time.Minute, map[string]string{"team": "search"}, false, []string{"arn:aws:iam::aws:policy/AssumeOnly"}},
		{readerARN, "arn:aws:sts::210987654321:assumed-role/Middle/", time.Hour, map[string]string{"team": "search", "stage": "three"}, false, []string{"arn:aws:iam::123456789012:policy/ReadAll"}},
	} {
		got := b.Sessions(want.role)
		if len(got) != 1 {
			t.Fatalf("%s: %d sessions, want 1", want.role, len(got))
		}
		s := got[0]
		if !strings.HasPrefix(s.By, want.by) || s.Expires.Sub(s.Issued) != want.life || !maps.Equal(s.Tags, want.tags) || s.SourceIdentity != "alice" ||
			s.MFA != want.mfa || !slices.Equal(s.PolicyARNs, want.policies) {
			t.Errorf("%s: %+v\nwant %+v", want.role, s, want)
		}
	}
	if s := b.Sessions(readerARN)[0]; s.Name != "reader-session" || !strings.Contains(s.Policy, "${aws:PrincipalTag/team}") {
		t.Errorf("the reader's session: %+v", s)
	}
	if calls := b.Calls(); len(calls) != 3 {
		t.Errorf("%d calls to STS, want 3: %+v", len(calls), calls)
	}
}

// TestEveryOptionCounts leaves one thing out of the chain, or changes it, where a role or STS asks for it: what comes of it
// is what AWS says, with what to do about it, and S3 gets nothing.
func TestEveryOptionCounts(t *testing.T) {
	for _, tt := range []struct {
		name      string
		was, is   string // of the Caddyfile
		role      standin.Role
		principal string
		actions   string
		code      string
		cause     []string
	}{
		{
			"the wrong External ID", "from middle\n\t\t\texternal_id <external-id>", "from middle\n\t\t\texternal_id another-id",
			standin.Role{},
			"", "",
			"AccessDenied",
			[]string{"does not accept this broker with this External ID", "letter by letter", middleARN},
		},
		{
			"no External ID", "from middle\n\t\t\texternal_id <external-id>", "from middle",
			standin.Role{},
			"", "",
			"AccessDenied",
			[]string{"asks for an External ID, of which none was sent", "write external_id"},
		},
		{"a role that is not there", "<reader>", readerARN + "2", standin.Role{}, "", "", "AccessDenied", []string{"does not accept this broker"}},
		{"a wrong MFA secret", "<mfa-secret>", "MFRGGZDFMZTWQ2LKMFRGGZDFMZTWQ2LK", standin.Role{}, "", "", "AccessDenied", []string{"MFA device's code was not accepted"}},
		{"another MFA device", "mfa/broker", "mfa/other", standin.Role{}, "", "", "AccessDenied", []string{"MFA device's code was not accepted"}},
		{
			"no sts:TagSession", "", "",
			standin.Role{ARN: readerARN},
			middleARN, `["sts:AssumeRole","sts:SetSourceIdentity"]`,
			"AccessDenied",
			[]string{"does not allow sts:TagSession"},
		},
		{
			"no sts:SetSourceIdentity", "", "",
			standin.Role{ARN: hubARN, MaxSessionDuration: 12 * time.Hour},
			brokerARN, `["sts:AssumeRole","sts:TagSession"]`,
			"AccessDenied",
			[]string{"does not allow sts:SetSourceIdentity"},
		},
		{"more than the role allows", "", "", standin.Role{ARN: hubARN}, brokerARN, allActions, "ValidationError", []string{"does not allow sessions of 2h0m0s"}},
		{"a transitive tag set again", "tag stage three", "tag team ads", standin.Role{}, "", "", "InvalidParameterValue", []string{"transitive tag"}},
		{"another source identity", "tag stage three", "source_identity bob", standin.Role{}, "", "", "AccessDenied", []string{"sts:SetSourceIdentity"}},
		{
			"a session policy that lets the broker assume nothing else", "policy_arns arn:aws:iam::aws:policy/AssumeOnly",
			"policy `{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"sts:*\",\"Resource\":\"arn:aws:iam::*:role/other\"}]}`",
			standin.Role{},
			"", "", "AccessDenied",
			[]string{"the session policy of the broker's own session"},
		},
		{"a policy that IAM does not understand", `"s3:PutObject"`, `"PutObject"`, standin.Role{}, "", "", "MalformedPolicyDocument", []string{"not one that IAM understands"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, names := newChainBed(t)
			if tt.role.ARN != "" {
				external := ""
				if tt.role.ARN == readerARN {
					external = externalID
				}
				b.trusts(tt.role, tt.principal, tt.actions, external)
			}
			caddyfile := chain
			if tt.was != "" {
				if !strings.Contains(caddyfile, tt.was) {
					t.Fatalf("there is no %q", tt.was)
				}
				caddyfile = strings.Replace(caddyfile, tt.was, tt.is, 1)
			}
			caddyfile = strings.Replace(caddyfile, "credentials reader\n\t}\n}", `credentials reader
	}
	handle_errors 502 503 {
		respond "{http.aws_sigv4.error.code}|{http.aws_sigv4.error.request_id}|{http.aws_sigv4.error.identity}|{http.aws_sigv4.error.cause}|{http.aws_sigv4.error.remedy}"
	}
}`, 1)
			b.runCaddy(names.Replace(caddyfile))
			began := time.Now()
			r := b.do("PUT", "/bucket/search/k", "hello")
			r.expect(t, "put", http.StatusBadGateway, append([]string{tt.code + "|"}, tt.cause...)...)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			if fields := strings.Split(r.body, "|"); len(fields) != 5 || len(fields[1]) != 36 || fields[2] == "" || fields[3] == "" || fields[4] == "" {
				t.Errorf("code, request ID, identity, cause and remedy: %q", fields)
			}
			var log []byte
			waitFor(t, patience, "the log to tell of it", func() bool { // Who waits is told first.
				log, _ = os.ReadFile(b.log)
				return strings.Contains(string(log), tt.code) && strings.Contains(string(log), `"remedy"`)
			})
			for what, secret := range map[string]string{
				"the broker's secret": b.broker.SecretAccessKey, "the MFA secret": names.Replace("<mfa-secret>"), "the External ID": externalID,
			} {
				if strings.Contains(string(log), secret) || strings.Contains(r.body, secret) {
					t.Errorf("%s is in the log or in the answer", what)
				}
			}
			if keys, err := b.direct.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("bucket")}); err != nil || len(keys.Contents) != 0 {
				t.Errorf("S3 holds %v, %v", keys, err)
			}
		})
	}
}

// TestChainOfAnHour refuses, when it is loaded, a session of more than an hour for a role that is assumed from a role.
func TestChainOfAnHour(t *testing.T) {
	b, names := newChainBed(t)
	b.site = freePort(t, "127.0.0.1")
	b.log = os.DevNull
	err := b.load(names.Replace(strings.Replace(chain, "duration 15m", "duration 61m", 1)))
	if err == nil || !strings.Contains(err.Error(), "1h") {
		t.Errorf("loaded: %v", err)
	}
	if calls := b.Calls(); len(calls) != 0 {
		t.Errorf("calls: %+v", calls)
	}
}

// TestSessionsOfRequests lets each request name its user: each has a session of its own, with the name and the tag that
// the role's owner sees, and reaches that user's objects alone.
func TestSessionsOfRequests(t *testing.T) {
	b := newBed(t)
	b.runCaddy(`{
	aws_sigv4 {
		credentials broker static <broker-key> <broker-secret>
	}
}
http://<site> {
	aws_sigv4 <s3> {
		service s3
		region <region>
		credentials assume_role <reader> {
			from broker
			external_id <external-id>
			session_name {http.request.header.X-User}
			tag user {http.request.header.X-User}
			policy ` + "`" + `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::bucket/${aws:PrincipalTag/user}/*"}]}` + "`" + `
		}
	}
}
`)
	for _, user := range []string{"alice", "bob", "alice"} {
		b.do("PUT", "/bucket/"+user+"/k", user, "X-User: "+user).expect(t, user, 200)
	}
	b.do("GET", "/bucket/bob/k", "", "X-User: alice").expect(t, "another user's object", 403, "AccessDenied", "assumed-role/Reader/alice")
	for _, wrong := range []string{"X-User: a", "X-User: al ice", "X-User: a/b", `X-User: "*"`, "X-User:"} {
		b.do("GET", "/bucket/alice/k", "", wrong).expect(t, wrong, 403)
	}
	names := map[string]int{}
	for _, s := range b.Sessions(readerARN) {
		names[s.Name+":"+s.Tags["user"]]++
	}
	if want := map[string]int{"alice:alice": 1, "bob:bob": 1}; !maps.Equal(names, want) || len(b.Calls()) != 2 {
		t.Errorf("sessions: %v of %d calls, want %v", names, len(b.Calls()), want)
	}
}
