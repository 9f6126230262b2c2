package sts

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

func TestGetCallerIdentity(t *testing.T) {
	server := ststest.New(t, brokerKey)
	cleanEnvironment(t, server.URL)
	c := NewClient(Config{})
	id, err := c.GetCallerIdentity(context.Background(), broker, Where{})
	if want := (CallerIdentity{"111122223333", "arn:aws:iam::111122223333:user/AKIABROKER", "AIDA3XFRBF535PLBIFPI4"}); err != nil || id != want {
		t.Errorf("got %+v, %v, want %+v", id, err, want)
	}
	in := input("Proxy")
	in.RoleARN = "arn:aws:iam::123456789012:role/a/b/Proxy"
	session, _, err := c.AssumeRole(context.Background(), broker, in)
	if err != nil {
		t.Fatal(err)
	}
	id, err = c.GetCallerIdentity(context.Background(), session, Where{Region: "eu-west-3"})
	if err != nil || id.ARN != "arn:aws:sts::123456789012:assumed-role/Proxy/caddy-test" || id.CheckRole(in.RoleARN) != nil {
		t.Errorf("got %+v, %v", id, err)
	}
	calls := server.Calls()
	if last := calls[len(calls)-1]; last.Region != "eu-west-3" || last.Form.Get("Action") != "GetCallerIdentity" || last.Key.ID != session.AccessKeyID {
		t.Errorf("called %v in %s by %s", last.Form, last.Region, last.Key.ID)
	}
}

func TestGetCallerIdentityFails(t *testing.T) {
	for name, tc := range map[string]struct {
		answer ststest.Answer
		creds  sigv4.Credentials
		where  Where
		want   string
		isSTS  bool
	}{
		"expired": {
			answer: ststest.Answer{Status: 403, Code: "ExpiredToken", Message: "The security token included in the request is expired"},
			creds:  broker, want: "GetCallerIdentity: ExpiredToken: The security token", isSTS: true,
		},
		"nothing in it": {
			answer: ststest.Answer{Body: "<GetCallerIdentityResponse><GetCallerIdentityResult></GetCallerIdentityResult></GetCallerIdentityResponse>"},
			creds:  broker, want: "names no account and ARN: is this the endpoint of STS?", isSTS: true,
		},
		"another page": {answer: ststest.Answer{Body: "<html></html>"}, creds: broker, want: "is this the endpoint of STS?", isSTS: true},
		"anonymous":    {want: "STS can't be called anonymously"},
		"no region":    {creds: broker, where: Where{Region: "nowhere"}, want: `region: "nowhere" is not the name of an AWS region`},
		"no endpoint":  {creds: broker, where: Where{Endpoint: "ftp://x"}, want: "endpoint: "},
	} {
		t.Run(name, func(t *testing.T) {
			server := ststest.New(t, brokerKey)
			server.Answer(func(ststest.Call) ststest.Answer { return tc.answer })
			cleanEnvironment(t, server.URL)
			_, err := NewClient(Config{}).GetCallerIdentity(context.Background(), tc.creds, tc.where)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
			if _, ok := errors.AsType[*Error](err); ok != tc.isSTS {
				t.Errorf("%T is an *Error: %v", err, ok)
			}
		})
	}
}

// TestCheckRole: nothing but equality counts. Each of these was taken for the right one by somebody who
// looked for the role's name somewhere in the ARN.
func TestCheckRole(t *testing.T) {
	const role, account = "arn:aws:iam::123456789012:role/team/App", "123456789012"
	for _, tc := range []struct {
		account, arn string
		ok           bool
	}{
		{account, "arn:aws:sts::123456789012:assumed-role/App/session", true},
		{account, "arn:aws:sts::210987654321:assumed-role/App/session", false},
		{"210987654321", "arn:aws:sts::123456789012:assumed-role/App/session", false},
		{account, "arn:aws:sts::123456789012:assumed-role/Other/App", false},
		{account, "arn:aws:sts::123456789012:assumed-role/AppAdmin/session", false},
		{account, "arn:aws:sts::123456789012:assumed-role/MyApp/session", false},
		{account, "arn:aws:sts::123456789012:assumed-role/app/session", false},
		{account, "arn:aws:sts::123456789012:assumed-role/team/App/session", false},
		{account, "arn:aws:sts::123456789012:federated-user/App", false},
		{account, "arn:aws:iam::123456789012:user/App", false},
		{account, "arn:aws:iam::123456789012:role/team/App", false},
		{account, "arn:aws:iam::123456789012:root", false},
		{account, "arn:aws-cn:sts::123456789012:assumed-role/App/session", false},
		{account, "", false},
	} {
		err := CallerIdentity{Account: tc.account, ARN: tc.arn}.CheckRole(role)
		if (err == nil) != tc.ok {
			t.Errorf("%s %s: got %v", tc.account, tc.arn, err)
		}
	}
	if err := (CallerIdentity{Account: account, ARN: "arn:aws:sts::123456789012:assumed-role/App/session"}).CheckRole("App"); err == nil {
		t.Error("compared with what is no role")
	}
}

func TestParseSessionARN(t *testing.T) {
	const arn = "arn:aws-us-gov:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/alice@example.com"
	got, err := ParseSessionARN(arn)
	if want := (SessionARN{"aws-us-gov", "123456789012", "AWSReservedSSO_Admin_0123456789abcdef", "alice@example.com"}); err != nil || got != want || got.String() != arn {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range []string{
		"", "arn", "arn:aws:sts::123456789012:assumed-role/P", "arn:aws:sts::123456789012:assumed-role//ss", "arn:aws:sts::123456789012:assumed-role/P/",
		"arn:aws:sts:us-east-1:123456789012:assumed-role/P/ss", "arn:azure:sts::123456789012:assumed-role/P/ss", "arn:aws:sts::1234:assumed-role/P/ss",
		"arn:aws:sts::123456789012:assumed-role/P/s:s", "arn:aws:sts::123456789012:assumed-role/P*/ss", "arn:aws:sts::123456789012:assumed-role/P/ss\n",
	} {
		if _, err := ParseSessionARN(bad); err == nil {
			t.Errorf("%q was taken apart", bad)
		}
	}
}

func FuzzParseSessionARN(f *testing.F) {
	f.Add("arn:aws:sts::123456789012:assumed-role/App/session")
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := ParseSessionARN(s); err == nil && got.String() != s {
			t.Errorf("%q became %+v", s, got)
		}
	})
}

// TestNobodyRedirectsSTS: whoever answers with a redirect does not get the signed call elsewhere.
func TestNobodyRedirectsSTS(t *testing.T) {
	elsewhere := ststest.New(t, brokerKey)
	for _, status := range []int{301, 302, 307, 308} {
		reached := false
		server := ststest.New(t, brokerKey)
		server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			reached = true
			http.Redirect(w, r, elsewhere.URL, status)
		})
		cleanEnvironment(t, server.URL)
		_, _, err := NewClient(Config{}).AssumeRole(context.Background(), broker, input("Proxy"))
		if e, ok := errors.AsType[*Error](err); !ok || e.Status != status || !reached {
			t.Errorf("%d: got %v", status, err)
		}
	}
	if len(elsewhere.Calls()) > 0 {
		t.Error("a redirect was followed")
	}
}
