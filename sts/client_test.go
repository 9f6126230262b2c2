package sts

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

var (
	brokerKey = ststest.Key{ID: "AKIABROKER", Secret: "broker-secret"}
	broker    = sigv4.Credentials{AccessKeyID: brokerKey.ID, SecretAccessKey: brokerKey.Secret}
)

// cleanEnvironment leaves no settings of the machine that runs the test, and sends calls to endpoint.
func cleanEnvironment(t *testing.T, endpoint string) {
	t.Helper()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	if endpoint != "" {
		t.Setenv("AWS_ENDPOINT_URL_STS", endpoint)
	}
}

func input(role string) AssumeRoleInput {
	return AssumeRoleInput{RoleARN: "arn:aws:iam::123456789012:role/" + role, SessionName: "caddy-test", Duration: time.Hour}
}

func TestAssumeRole(t *testing.T) {
	for name, tc := range map[string]struct {
		in   AssumeRoleInput
		want url.Values
	}{
		"least": {
			in:   input("Proxy"),
			want: url.Values{"DurationSeconds": {"3600"}},
		},
		"everything": {
			in: AssumeRoleInput{
				RoleARN: "arn:aws:iam::123456789012:role/a/b/Proxy", SessionName: "caddy@example.com,x=y", Duration: 15 * time.Minute,
				ExternalID: "a1-:/=@,.+_", Tags: []Tag{{"team", "search and find"}, {"Größe", "größer = besser"}, {"empty", ""}},
			},
			want: url.Values{
				"DurationSeconds": {"900"}, "ExternalId": {"a1-:/=@,.+_"},
				"Tags.member.1.Key": {"team"}, "Tags.member.1.Value": {"search and find"},
				"Tags.member.2.Key": {"Größe"}, "Tags.member.2.Value": {"größer = besser"},
				"Tags.member.3.Key": {"empty"}, "Tags.member.3.Value": {""},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := ststest.New(t, brokerKey)
			cleanEnvironment(t, server.URL)
			got, expires, err := NewClient(Config{}).AssumeRole(context.Background(), broker, tc.in)
			if err != nil {
				t.Fatal(err)
			}
			want := sigv4.Credentials{AccessKeyID: "ASIAPROXY001", SecretAccessKey: "issued-secret-1", SessionToken: "issued-token-1//+=="}
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if d := time.Until(expires) - tc.in.Duration; d.Abs() > 3*time.Second {
				t.Errorf("expires in %v, want %v", time.Until(expires), tc.in.Duration)
			}
			calls := server.Calls()
			if len(calls) != 1 {
				t.Fatalf("%d calls, want 1", len(calls))
			}
			for k, v := range map[string]string{"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": tc.in.RoleARN, "RoleSessionName": tc.in.SessionName} {
				tc.want.Set(k, v)
			}
			if !reflect.DeepEqual(calls[0].Form, tc.want) {
				t.Errorf("got  %v\nwant %v", calls[0].Form, tc.want)
			}
		})
	}
}

func TestSlowClockDoesNotProlongASession(t *testing.T) {
	server := ststest.New(t, brokerKey)
	server.Answer(func(ststest.Call) ststest.Answer { return ststest.Answer{Life: 6 * time.Hour} })
	cleanEnvironment(t, server.URL)
	_, expires, err := NewClient(Config{}).AssumeRole(context.Background(), broker, input("Proxy"))
	if d := time.Until(expires); err != nil || d > time.Hour || d < 59*time.Minute {
		t.Errorf("expires in %v (%v), want the hour that was asked for", d, err)
	}
}

func TestChainedRoleIsAssumedWithTheBrokersToken(t *testing.T) {
	server := ststest.New(t, brokerKey)
	cleanEnvironment(t, server.URL)
	c := NewClient(Config{})
	hub, _, err := c.AssumeRole(context.Background(), broker, input("Hub"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.AssumeRole(context.Background(), hub, input("Spoke")); err != nil {
		t.Fatal(err)
	}
	if k := server.Calls()[1].Key; k.ID != "ASIAHUB001" || k.Token == "" {
		t.Errorf("signed with %q, want the hub's credentials", k.ID)
	}
}

func TestClientsShareConnectionsButNoCredentials(t *testing.T) {
	var keys []ststest.Key
	for i := range 20 {
		keys = append(keys, ststest.Key{ID: fmt.Sprintf("AKIA%d", i), Secret: fmt.Sprintf("secret-%d", i), Token: fmt.Sprintf("token-%d", i)})
	}
	server := ststest.New(t, keys...)
	cleanEnvironment(t, server.URL)
	c := NewClient(Config{})
	assume := func(k ststest.Key) {
		from := sigv4.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret, SessionToken: k.Token}
		if _, _, err := c.AssumeRole(context.Background(), from, input(k.ID)); err != nil {
			t.Error(err)
		}
	}
	for _, k := range keys {
		assume(k)
	}
	conns := map[string]bool{}
	for _, call := range server.Calls() {
		conns[call.RemoteAddr] = true
	}
	// Not always one: a call may begin before the connection of the last is back in the pool.
	if len(conns) > len(keys)/2 {
		t.Errorf("%d connections for %d calls one after the other", len(conns), len(keys))
	}
	var wg sync.WaitGroup
	for _, k := range keys {
		wg.Go(func() { assume(k) })
	}
	wg.Wait()
	for _, call := range server.Calls() {
		if role := call.Form.Get("RoleArn"); !strings.HasSuffix(role, "/"+call.Key.ID) {
			t.Errorf("%s was assumed by %s", role, call.Key.ID)
		}
	}
}

// TestSecretsAreNotMixedUp: two secrets of one access key ID, one of which was mistyped, are told apart whichever comes
// first.
func TestSecretsAreNotMixedUp(t *testing.T) {
	wrong := broker
	wrong.SecretAccessKey = "mistyped-secret"
	for name, first := range map[string]sigv4.Credentials{"the wrong one first": wrong, "the right one first": broker} {
		t.Run(name, func(t *testing.T) {
			server := ststest.New(t, brokerKey)
			cleanEnvironment(t, server.URL)
			c := NewClient(Config{})
			second := broker
			if first == broker {
				second = wrong
			}
			for _, from := range []sigv4.Credentials{first, second, first} {
				_, _, err := c.AssumeRole(context.Background(), from, input("Proxy"))
				if (err == nil) != (from == broker) {
					t.Errorf("with the secret %q: %v", from.SecretAccessKey, err)
				}
			}
		})
	}
}

func TestErrorsOfSTS(t *testing.T) {
	token := "FwoGZXIvYXdzEXAMPLETOKEN"
	from := ststest.Key{ID: "ASIABROKER", Secret: "broker-secret-key", Token: token}
	const requestID = "fedcba98-7654-3210-fedc-ba9876543210"
	for name, tc := range map[string]struct {
		answer    ststest.Answer
		key       ststest.Key
		want      Error
		text      string
		retryable bool
		calls     int
	}{
		"denied": {
			answer: ststest.Answer{Status: 403, Code: "AccessDenied", Message: "User: arn:aws:iam::1:user/x is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/Proxy"},
			want:   Error{Operation: "AssumeRole", Code: "AccessDenied", Status: 403, RequestID: requestID},
			text: "AssumeRole: AccessDenied: User: arn:aws:iam::1:user/x is not authorized to perform: sts:AssumeRole on resource: " +
				"arn:aws:iam::123456789012:role/Proxy (HTTP 403, request ID " + requestID + ")",
			calls: 1,
		},
		"expired": {
			answer: ststest.Answer{Status: 403, Code: "ExpiredToken", Message: "The security token included in the request is expired"},
			want:   Error{Operation: "AssumeRole", Code: "ExpiredToken", Status: 403, RequestID: requestID},
			calls:  1,
		},
		"modelled error": {
			answer: ststest.Answer{Status: 403, Code: "RegionDisabledException", Message: "STS is not activated in this region"},
			want:   Error{Operation: "AssumeRole", Code: "RegionDisabledException", Status: 403, RequestID: requestID},
			text:   "AssumeRole: RegionDisabledException: STS is not activated in this region (HTTP 403, request ID " + requestID + ")",
			calls:  1,
		},
		"throttled": {
			answer:    ststest.Answer{Status: 400, Code: "Throttling", Message: "Rate exceeded"},
			want:      Error{Operation: "AssumeRole", Code: "Throttling", Status: 400, RequestID: requestID},
			retryable: true,
			calls:     2,
		},
		"broken": {
			answer:    ststest.Answer{Status: 503, Code: "ServiceUnavailable", Message: "later"},
			want:      Error{Operation: "AssumeRole", Code: "ServiceUnavailable", Status: 503, RequestID: requestID},
			retryable: true,
			calls:     2,
		},
		"garbage with an error": {
			answer:    ststest.Answer{Status: 502, Body: "<html>Bad Gateway</html>"},
			want:      Error{Operation: "AssumeRole", Status: 502},
			text:      "AssumeRole: the answer is not one of AWS: is a proxy in between, or another service at this endpoint? (HTTP 502)",
			retryable: true,
			calls:     2,
		},
		"garbage": {
			answer: ststest.Answer{Body: "<html>hello</html>"},
			want:   Error{Operation: "AssumeRole", Status: 200},
			text:   "AssumeRole: the answer can't be read (failed to decode response body, AssumeRoleResult node not found): is this the endpoint of STS? (HTTP 200)",
			calls:  1,
		},
		"another answer": {
			answer: ststest.Answer{Body: "<AssumeRoleResponse><AssumeRoleResult></AssumeRoleResult></AssumeRoleResponse>"},
			want:   Error{Operation: "AssumeRole", Status: 200},
			text:   "AssumeRole: the answer has no complete credentials: is this the endpoint of STS? (HTTP 200)",
			calls:  1,
		},
		"secrets repeated": {
			answer: ststest.Answer{Status: 403, Code: "Odd", Message: "you sent " + token + " and signed with broker-secret-key\nreally"},
			want:   Error{Operation: "AssumeRole", Code: "Odd", Status: 403, RequestID: requestID},
			text:   "AssumeRole: Odd: you sent [redacted] and signed with [redacted] really (HTTP 403, request ID " + requestID + ")",
			calls:  1,
		},
		"wrong secret": {
			key:   ststest.Key{ID: from.ID, Secret: "another-secret", Token: token},
			want:  Error{Operation: "AssumeRole", Code: "SignatureDoesNotMatch", Status: 403, RequestID: requestID},
			text:  "AssumeRole: SignatureDoesNotMatch: the request signature we calculated does not match (HTTP 403, request ID " + requestID + ")",
			calls: 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := ststest.New(t, from)
			server.Answer(func(ststest.Call) ststest.Answer { return tc.answer })
			cleanEnvironment(t, server.URL)
			key := from
			if tc.key.ID != "" {
				key = tc.key
			}
			_, _, err := NewClient(Config{}).AssumeRole(context.Background(),
				sigv4.Credentials{AccessKeyID: key.ID, SecretAccessKey: key.Secret, SessionToken: key.Token}, input("Proxy"))
			e, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("got %T %v, want *Error", err, err)
			}
			got := Error{Operation: e.Operation, Code: e.Code, Status: e.Status, RequestID: e.RequestID}
			if got != tc.want {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
			if tc.text != "" && e.Error() != tc.text {
				t.Errorf("got  %q\nwant %q", e, tc.text)
			}
			if e.Retryable() != tc.retryable {
				t.Errorf("retryable is %v, want %v", e.Retryable(), tc.retryable)
			}
			if n := len(server.Calls()); n != tc.calls {
				t.Errorf("%d calls, want %d", n, tc.calls)
			}
			for _, secret := range []string{token, key.Secret, "Canonical"} {
				if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, secret) {
					t.Errorf("%q in %s", secret, text)
				}
			}
		})
	}
}

func TestHangingSTSIsGivenUp(t *testing.T) {
	for name, answer := range map[string]ststest.Answer{
		"nothing":         {Hang: true},
		"half an answer":  {Hang: true, Body: "<AssumeRoleResponse>"},
		"half of refusal": {Hang: true, Body: "<ErrorResponse>", Status: 403},
	} {
		t.Run(name, func(t *testing.T) {
			server := ststest.New(t, brokerKey)
			server.Answer(func(ststest.Call) ststest.Answer { return answer })
			cleanEnvironment(t, server.URL)
			c := NewClient(Config{AttemptTimeout: 200 * time.Millisecond})

			begun := time.Now()
			_, _, err := c.AssumeRole(context.Background(), broker, input("Proxy"))
			if e, ok := errors.AsType[*Error](err); !ok || !e.Retryable() {
				t.Errorf("got %v, want a retryable error", err)
			}
			if d := time.Since(begun); d > 5*time.Second || len(server.Calls()) > 2 {
				t.Errorf("gave up after %v and %d attempts, want at most two short ones", d, len(server.Calls()))
			}

			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			if _, _, err := c.AssumeRole(ctx, broker, input("Proxy")); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want it to wrap the caller's deadline", err)
			}
		})
	}
}

func TestUnreachableSTS(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	cleanEnvironment(t, "http://"+l.Addr().String())
	_, _, err = NewClient(Config{}).AssumeRole(context.Background(), broker, input("Proxy"))
	e, ok := errors.AsType[*Error](err)
	if want := fmt.Sprintf("AssumeRole: Post %q: dial tcp %[2]v: connect: connection refused", "http://"+l.Addr().String()+"/", l.Addr()); !ok || !e.Retryable() || e.Error() != want {
		t.Errorf("got %v, want a retryable error that tells why", err)
	}
}

func noCode(context.Context) (string, error) { return "", nil }

func TestInputIsCheckedBeforeTheCall(t *testing.T) {
	server := ststest.New(t, brokerKey)
	cleanEnvironment(t, server.URL)
	c := NewClient(Config{})
	for field, change := range map[string]func(*AssumeRoleInput){
		"role_arn: ":     func(in *AssumeRoleInput) { in.RoleARN = "Proxy" },
		"external_id: ":  func(in *AssumeRoleInput) { in.ExternalID = "#" },
		"session_name: ": func(in *AssumeRoleInput) { in.SessionName = "" },
		"duration: ":     func(in *AssumeRoleInput) { in.Duration = 0 },
		"tags: ":         func(in *AssumeRoleInput) { in.Tags = []Tag{{"a", "b"}, {"A", "b"}} },
		"region: ":       func(in *AssumeRoleInput) { in.Region = "cn-north-1" },

		"endpoint: ":                         func(in *AssumeRoleInput) { in.Endpoint = "http://example.com" },
		"policy: ":                           func(in *AssumeRoleInput) { in.Policy = "{}" },
		"policy_arns: ":                      func(in *AssumeRoleInput) { in.PolicyARNs = []string{"x"} },
		"transitive_tags: ":                  func(in *AssumeRoleInput) { in.TransitiveTagKeys = []string{"x"} },
		"source_identity: ":                  func(in *AssumeRoleInput) { in.SourceIdentity = "a b" },
		"mfa_serial: ":                       func(in *AssumeRoleInput) { in.MFA = &MFA{Serial: "x", Code: noCode} },
		"mfa_serial: nobody gives its codes": func(in *AssumeRoleInput) { in.MFA = &MFA{Serial: "GAHT12345678"} },
		"the code of the MFA device: it is not six digits": func(in *AssumeRoleInput) {
			in.MFA = &MFA{Serial: "GAHT12345678", Code: noCode}
		},
		"policy: the session policy and the ARNs": func(in *AssumeRoleInput) {
			in.Policy = `{"Statement":[],"Id":"` + strings.Repeat("x", 2048) + `"}`
		},
	} {
		in := input("Proxy")
		change(&in)
		if _, _, err := c.AssumeRole(context.Background(), broker, in); err == nil || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("got %v, want an error of %s", err, field)
		}
	}
	if _, _, err := c.AssumeRole(context.Background(), sigv4.Credentials{}, input("Proxy")); err == nil {
		t.Error("a role was assumed without a key")
	}
	if n := len(server.Calls()); n != 0 {
		t.Errorf("%d calls, want none", n)
	}
}

func TestRegionIsThePartitionsUnlessTheEnvironmentHasOneInIt(t *testing.T) {
	for _, tc := range []struct{ environment, partition, in, want string }{
		{"", "aws", "", "us-east-1"},
		{"eu-west-1", "aws", "", "eu-west-1"},
		{"eu-west-1", "aws", "ap-south-1", "ap-south-1"},
		{"eu-west-1", "aws-cn", "", "cn-northwest-1"},
		{"cn-north-1", "aws-cn", "", "cn-north-1"},
		{"us-gov-east-1", "aws-us-gov", "", "us-gov-east-1"},
		{"us-east-1", "aws-us-gov", "", "us-gov-west-1"},
		{"us-east-1", "aws-iso", "", "us-iso-east-1"},
		{"us-east-1", "aws-iso-b", "", "us-isob-east-1"},
		{"us-east-1", "aws-iso-e", "", "eu-isoe-west-1"},
		{"us-east-1", "aws-iso-f", "", "us-isof-south-1"},
		{"us-east-1", "aws-eusc", "", "eusc-de-east-1"},
		{"nowhere", "aws", "", "us-east-1"},
	} {
		t.Run(tc.environment+" "+tc.partition+" "+tc.in, func(t *testing.T) {
			server := ststest.New(t, brokerKey)
			cleanEnvironment(t, server.URL)
			t.Setenv("AWS_REGION", tc.environment)
			in := input("Proxy")
			in.RoleARN = strings.Replace(in.RoleARN, ":aws:", ":"+tc.partition+":", 1)
			in.Region = tc.in
			if _, _, err := NewClient(Config{}).AssumeRole(context.Background(), broker, in); err != nil {
				t.Fatal(err)
			}
			if got := server.Calls()[0].Region; got != tc.want {
				t.Errorf("signed for %s, want %s", got, tc.want)
			}
		})
	}
}

func TestSharedConfigurationIsReadAndReadAgain(t *testing.T) {
	first, second := ststest.New(t, brokerKey), ststest.New(t, brokerKey)
	cleanEnvironment(t, "")
	file := filepath.Join(t.TempDir(), "config")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("AWS_CONFIG_FILE", file)
	c := NewClient(Config{})
	assume := func() error {
		_, _, err := c.AssumeRole(context.Background(), broker, input("Proxy"))
		return err
	}

	// Broken settings are an error of each call, and not for ever.
	write("[profile x]\nregion = eu-west-3\n")
	t.Setenv("AWS_PROFILE", "nobody")
	if err := assume(); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("got %v, want it to name the missing profile", err)
	}
	t.Setenv("AWS_PROFILE", "")
	write("[default]\nregion = eu-west-3\nservices = s\n[services s]\nsts =\n  endpoint_url = " + first.URL + "\n")
	if err := assume(); err != nil {
		t.Fatal(err)
	}
	if got := first.Calls()[0].Region; got != "eu-west-3" {
		t.Errorf("signed for %s, want eu-west-3", got)
	}
	write("[default]\nregion = eu-west-1\nservices = s\n[services s]\nsts =\n  endpoint_url = " + second.URL + "\n")
	if err := assume(); err != nil {
		t.Fatal(err)
	}
	if len(first.Calls()) != 1 || len(second.Calls()) != 1 || second.Calls()[0].Region != "eu-west-1" {
		t.Error("the changed file was not read again")
	}
}

func TestCABundleOfTheEnvironmentIsTrusted(t *testing.T) {
	server := ststest.NewTLS(t, brokerKey)
	cleanEnvironment(t, server.URL)
	c := NewClient(Config{})
	if _, _, err := c.AssumeRole(context.Background(), broker, input("Proxy")); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Fatalf("got %v, want the certificate refused", err)
	}
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	if _, _, err := c.AssumeRole(context.Background(), broker, input("Proxy")); err != nil {
		t.Errorf("with the bundle: %v", err)
	}
}

func TestNewErrorOfAnything(t *testing.T) {
	e := NewError(fmt.Errorf("reading a file: %w", os.ErrNotExist), "")
	if e.Error() != "reading a file: file does not exist" || e.Retryable() || e.Unwrap() != nil {
		t.Errorf("got %q, retryable %v", e, e.Retryable())
	}
	long := NewError(errors.New(strings.Repeat("ä", 2000)))
	if n := len(long.Error()); n > 1010 {
		t.Errorf("%d bytes of message", n)
	}
}
