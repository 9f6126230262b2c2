package sts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

const customer = "arn:aws:iam::123456789012:role/Customer"

// answered makes the error that an answer of STS becomes.
func answered(status int, code, message string) *Error {
	return &Error{Operation: "AssumeRole", Code: code, Message: message, Status: status, RequestID: "r-1", ofSTS: true, answered: code != "", retryable: status >= 500}
}

// TestExplain has every row of what STS answers, with AWS's own words where they decide.
func TestExplain(t *testing.T) {
	known := Known{RoleARN: customer, Region: "eu-west-1", Duration: 2 * time.Hour}
	with := func(change func(*Known)) Known {
		k := known
		change(&k)
		return k
	}
	const brokerRole = "arn:aws:iam::111122223333:role/Broker (with the role's path, if it has one)"
	for name, tc := range map[string]struct {
		err         *Error
		known       Known
		why, remedy string
		others      []string // in this order
		never       string   // in none of the causes
	}{
		// AccessDenied: one answer, many reasons.
		"denied, External ID sent": {
			err: answered(403, "AccessDenied", notAuthorized), known: with(func(k *Known) { k.ExternalID = true }),
			why: "does not accept this broker with this External ID", remedy: "compare sts:ExternalId in the trust policy with external_id, letter by letter, and let Principal name " + brokerRole,
			others: []string{"there is no such role", "across accounts is needed besides", "deleted and made again", "multi-factor", "moments ago"},
			never:  "session tags",
		},
		"denied, none sent": {
			err: answered(403, "AccessDenied", notAuthorized), known: known,
			why: "does not trust the broker, or asks for an External ID, of which none was sent", remedy: "write external_id if",
		},
		"denied in the same account": {
			err: answered(403, "AccessDenied", strings.ReplaceAll(notAuthorized, "111122223333", "123456789012")), known: known,
			why: "of the same account", remedy: "let Principal in the trust policy name arn:aws:iam::123456789012:role/Broker",
		},
		"denied moments after": {
			err: answered(403, "AccessDenied", notAuthorized), known: with(func(k *Known) { k.ExternalID, k.RoleAge = true, 5*time.Second }),
			why: "was changed moments ago", remedy: "wait a minute", others: []string{"there is no such role"},
		},
		"denied long after": {
			err: answered(403, "AccessDenied", notAuthorized), known: with(func(k *Known) { k.RoleAge = time.Hour }),
			why: "does not trust the broker", never: "moments ago",
		},
		"denied, with tags and a device": {
			err: answered(403, "AccessDenied", notAuthorized), known: with(func(k *Known) { k.Tags, k.MFA = true, true }),
			why: "does not trust the broker", others: []string{"sts:TagSession"}, never: "multi-factor",
		},
		"denied, broker known with its path": {
			err: answered(403, "AccessDenied", notAuthorized), known: with(func(k *Known) { k.BrokerARN = "arn:aws:iam::111122223333:role/a/b/Broker" }),
			remedy: "name arn:aws:iam::111122223333:role/a/b/Broker, and",
		},
		"denied, by a user": {
			err: answered(403, "AccessDenied", strings.Replace(notAuthorized, "arn:aws:sts::111122223333:assumed-role/Broker/caddy", "arn:aws:iam::111122223333:user/proxy", 1)), known: known,
			remedy: "name arn:aws:iam::111122223333:user/proxy, and",
		},
		"denied without a word": {
			err: answered(403, "AccessDenied", "Access Denied"), known: with(func(k *Known) { k.BrokerARN = "arn:aws:iam::111122223333:role/Hub" }),
			why: "does not trust the broker", remedy: "name arn:aws:iam::111122223333:role/Hub",
		},
		"tags": {
			err: answered(403, "AccessDenied", strings.Replace(notAuthorized, "sts:AssumeRole", "sts:TagSession", 1)), known: with(func(k *Known) { k.Tags = true }),
			why: "session tags were sent, and the role's trust policy does not allow sts:TagSession", remedy: `add "sts:TagSession" to Action`,
			others: []string{"the broker's own policies do not allow sts:TagSession"},
		},
		"source identity": {
			err: answered(403, "AccessDenied", strings.Replace(notAuthorized, "sts:AssumeRole", "sts:SetSourceIdentity", 1)), known: known,
			why: "does not allow sts:SetSourceIdentity", remedy: `add "sts:SetSourceIdentity" to Action`,
		},
		"tags, the broker's policy": {
			err: answered(403, "AccessDenied", strings.Replace(notAuthorized, "sts:AssumeRole", "sts:TagSession", 1)+" because no identity-based policy allows the sts:TagSession action"), known: known,
			why: "none of the broker's own policies allows sts:TagSession",
		},
		"web identity": {
			err: answered(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"), known: Known{},
			why: "does not trust this token",
		},
		"service control policy": {
			err: answered(403, "AccessDenied", notAuthorized+" with an explicit deny in a service control policy"), known: known,
			why: "a service control policy of the broker's organization denies sts:AssumeRole on " + customer, remedy: "ask whoever runs the broker's organization",
		},
		"resource control policy": {
			err: answered(403, "AccessDenied", notAuthorized+" with an explicit deny in a resource control policy"), known: known,
			why: "a resource control policy of the role's organization denies", remedy: "ask whoever runs the role's organization",
		},
		"identity-based policy": {
			err: answered(403, "AccessDenied", notAuthorized+" because no identity-based policy allows the sts:AssumeRole action"), known: known,
			why: "none of the broker's own policies allows", remedy: "attach a policy that allows sts:AssumeRole on " + customer + " to " + brokerRole,
		},
		"permissions boundary": {
			err: answered(403, "AccessDenied", notAuthorized+" because no permissions boundary allows the sts:AssumeRole action"), known: known,
			why: "the permissions boundary of the broker does not allow", remedy: "add the role to the boundary",
		},
		"session policy": {
			err: answered(403, "AccessDenied", notAuthorized+" because no session policy allows the sts:AssumeRole action"), known: known, why: "the session policy of the broker's own session",
		},
		"VPC endpoint policy": {
			err: answered(403, "AccessDenied", notAuthorized+" because no VPC endpoint policy allows the sts:AssumeRole action"), known: known,
			why: "the policy of the VPC endpoint", remedy: "call another endpoint with sts_endpoint",
		},
		"explicit deny in the trust policy": {
			err: answered(403, "AccessDenied", notAuthorized+" with an explicit deny in the role trust policy"), known: known,
			why: "Effect Deny refuses " + brokerRole + " in the role trust policy",
		},
		"explicit deny of somewhere": {err: answered(403, "AccessDenied", notAuthorized+" with an explicit deny"), known: known, why: "a statement with Effect Deny refuses"},
		"MFA": {
			err: answered(403, "AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code. "), known: known,
			why: "the MFA device's code was not accepted", remedy: "compare mfa_serial",
		},
		"root": {err: answered(403, "AccessDenied", "Roles may not be assumed by root accounts."), known: known, why: "root user can't assume roles"},

		// ValidationError.
		"too long for the role": {
			err: answered(400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."), known: known,
			why: "the role does not allow sessions of 2h0m0s", remedy: "write a shorter duration, or ask the role's owner",
		},
		"too long, perhaps for a chain": {
			err: answered(400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."), known: with(func(k *Known) { k.Temporary = true }),
			why: "does not allow sessions of 2h0m0s", others: []string{"AWS allows one hour whatever the role does"},
		},
		"too long for a chain": {
			err: answered(400, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"), known: known,
			why: "AWS allows one hour, and 2h0m0s was asked for", remedy: "write duration 1h or less",
		},
		"ARN": {err: answered(400, "ValidationError", "Request ARN is invalid"), known: known, why: "AWS does not take the role's ARN", remedy: customer},
		"session name": {
			err: answered(400, "ValidationError", `1 validation error detected: Value 'a b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`), known: known,
			remedy: "write session_name with",
		},
		"External ID": {
			err: answered(400, "ValidationError", `1 validation error detected: Value '[redacted]' at 'externalId' failed to satisfy constraint`), known: known, remedy: "write external_id as the role's trust policy has it",
		},
		"transitive tags": {
			err: answered(400, "InvalidParameterValue", "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session."), known: known,
			why: "a transitive tag of the broker's session",
		},
		"policy":         {err: answered(400, "MalformedPolicyDocument", "Syntax errors in policy."), known: known, why: "the session policy", remedy: "correct policy"},
		"policy, by SDK": {err: answered(400, "MalformedPolicyDocumentException", "x"), known: known, why: "the session policy"},
		"packed":         {err: answered(400, "PackedPolicyTooLarge", "Packed policy consumes 113% of allotted space, please use smaller policy."), known: known, why: "too large together", remedy: "write a shorter policy"},

		// Regions and keys.
		"region":    {err: answered(403, "RegionDisabledException", "STS is not activated in this region for account:111122223333."), known: known, why: "STS in the region eu-west-1 is not activated", remedy: "write sts_region"},
		"expired":   {err: answered(403, "ExpiredToken", "The security token included in the request is expired"), known: known, why: "the broker's credentials have expired", others: []string{"clock is wrong"}},
		"expired 2": {err: answered(400, "ExpiredTokenException", "x"), known: with(func(k *Known) { k.Skew = -2 * time.Hour }), why: "this machine's clock is 2h0m0s behind AWS's", others: []string{"the broker's credentials have expired"}},
		"key":       {err: answered(403, "InvalidClientTokenId", "The security token included in the request is invalid."), known: known, why: "AWS does not know the broker's access key"},
		"token":     {err: answered(403, "InvalidClientTokenId", "x"), known: with(func(k *Known) { k.Temporary = true }), why: "are not of one set", others: []string{"eu-west-1 has to be opted in to", "access key"}},
		"key 2":     {err: answered(403, "UnrecognizedClientException", "x"), known: known, why: "AWS does not know the broker's access key"},

		// Signatures and clocks.
		"secret":   {err: answered(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."), known: known, why: "secret access key is not the one", others: []string{"something on the way"}},
		"secret 2": {err: answered(403, "InvalidSignatureException", "x"), known: known, why: "secret access key is not the one"},
		"another region": {
			err: answered(403, "SignatureDoesNotMatch", "Credential should be scoped to a valid region. "), known: with(func(k *Known) { k.Endpoint = "https://sts.internal" }),
			why: "https://sts.internal serves another region than eu-west-1", remedy: "write sts_region", never: "secret access key",
		},
		"clock":           {err: answered(403, "SignatureDoesNotMatch", "Signature expired: 20250101T000000Z is now earlier than 20250101T000500Z (20250101T001000Z - 5 min.)"), known: known, why: "clock is wrong", remedy: "by NTP"},
		"clock ahead":     {err: answered(403, "SignatureDoesNotMatch", "Signature not yet current: x"), known: with(func(k *Known) { k.Skew = 10 * time.Minute }), why: "clock is 10m0s ahead of AWS's"},
		"clock 3":         {err: answered(403, "RequestTimeTooSkewed", "x"), known: known, why: "clock is wrong"},
		"unsigned":        {err: answered(403, "MissingAuthenticationToken", "x"), known: known, why: "without its signature", remedy: "HTTP proxy"},
		"incomplete":      {err: answered(400, "IncompleteSignature", "x"), known: known, why: "without its signature"},
		"another service": {err: answered(400, "InvalidAction", "Could not find operation AssumeRole"), known: known, why: "it is not STS", remedy: "sts_endpoint"},

		// Web identity.
		"identity token":         {err: answered(400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://issuer.example"), known: Known{}, why: "IAM has no OIDC provider", others: []string{"thumbprint"}},
		"identity token expired": {err: answered(400, "ExpiredTokenException", "Token expired: current date/time 1 must be before the expiration date/time 0"), known: Known{}, why: "expired"},
		"rejected claim":         {err: answered(403, "IDPRejectedClaim", "x"), known: Known{}, why: "IAM has no OIDC provider"},
		"issuer":                 {err: answered(400, "IDPCommunicationError", "x"), known: Known{}, why: "could not reach the token's issuer", remedy: "wait"},

		// AWS's own troubles.
		"throttled":   {err: answered(400, "Throttling", "Rate exceeded"), known: known, why: "AWS limits how often", remedy: "wait"},
		"throttled 2": {err: answered(503, "RequestLimitExceeded", "x"), known: known, why: "AWS limits how often"},
		"throttled 3": {err: answered(400, "ThrottlingException", "x"), known: known, why: "AWS limits how often"},
		"down":        {err: answered(503, "ServiceUnavailable", "x"), known: known, why: "AWS STS itself failed", remedy: "sts_region"},
		"broken":      {err: answered(500, "InternalFailure", "x"), known: known, why: "AWS STS itself failed"},
		"unknown":     {err: answered(400, "SomethingNew", "x"), known: known, why: "not known here", remedy: "request ID"},
		"unknown 5xx": {err: answered(502, "SomethingNew", "x"), known: known, why: "AWS STS itself failed"},

		// No answer of STS.
		"page":        {err: answered(403, "", "the answer is not one of AWS"), known: known, why: "something on the way", others: []string{"it is not STS"}},
		"page 502":    {err: answered(502, "", "the answer is not one of AWS"), known: known, why: "AWS STS itself failed", others: []string{"something on the way"}},
		"DNS":         {err: answered(0, "", "Post: dial tcp: lookup sts.eu-west-1.amazonaws.com: no such host"), known: known, why: "the name of STS can't be resolved", remedy: "VPC endpoint"},
		"DNS of FIPS": {err: answered(0, "", "dial tcp: lookup sts-fips.eu-west-1.amazonaws.com: no such host"), known: with(func(k *Known) { k.FIPS = true }), why: "no FIPS endpoint of STS in the region eu-west-1", others: []string{"can't be resolved"}},
		"refused":     {err: answered(0, "", "dial tcp 127.0.0.1:1: connect: connection refused"), known: with(func(k *Known) { k.Endpoint = "https://minio" }), why: "https://minio can't be reached", remedy: "HTTPS_PROXY"},
		"reset":       {err: answered(0, "", "readfrom tcp: write tcp 127.0.0.1:1->127.0.0.1:2: use of closed network connection"), known: known, why: "STS can't be reached"},
		"timeout":     {err: answered(0, "", "context deadline exceeded"), known: known, why: "STS can't be reached"},
		"certificate": {err: answered(0, "", "tls: failed to verify certificate: x509: certificate signed by unknown authority"), known: known, why: "certificate of STS", remedy: "AWS_CA_BUNDLE"},
		"odd":         {err: answered(0, "", "context canceled"), known: known, why: "no answer came"},
	} {
		t.Run(name, func(t *testing.T) {
			x := Explain(fmt.Errorf("in a chain: %w", tc.err), tc.known)
			if x.Code != tc.err.Code || x.RequestID != "r-1" || x.Status != tc.err.Status || x.Message != tc.err.Message {
				t.Errorf("got %+v", x)
			}
			likely := x.Likeliest()
			if !strings.Contains(likely.Why, tc.why) || !strings.Contains(likely.Remedy, tc.remedy) || likely.Why == "" || likely.Remedy == "" {
				t.Errorf("got  %s\nwant %s: %s", likely, tc.why, tc.remedy)
			}
			rest := x.Others()
			for _, want := range tc.others {
				for len(rest) > 0 && !strings.Contains(rest[0].String(), want) {
					rest = rest[1:]
				}
				if len(rest) == 0 {
					t.Errorf("%q is not among the others, or not in this order: %v", want, x.Others())
				}
			}
			for _, c := range x.Causes {
				if tc.never != "" && strings.Contains(c.String(), tc.never) {
					t.Errorf("%q is in %s", tc.never, c)
				}
				if c.Why == "" || c.Remedy == "" || strings.HasSuffix(c.Why, ".") || strings.HasSuffix(c.Remedy, ".") || strings.Contains(c.String(), "\n") {
					t.Errorf("%q is no cause with a remedy", c)
				}
			}
		})
	}
}

func TestExplainWhatIsNotOfSTS(t *testing.T) {
	x := Explain(errors.New("the environment variable X is not set: set it"), Known{})
	for _, err := range []error{
		NewError(errors.New("no such file")),
		NewError(&smithy.OperationError{ServiceID: "ec2imds", OperationName: "GetMetadata", Err: context.DeadlineExceeded}),
	} {
		if x := Explain(err, Known{}); len(x.Causes) > 0 || x.Message == "" {
			t.Errorf("%v: got %+v", err, x)
		}
	}
	if x.Message != "the environment variable X is not set: set it" || x.Code != "" || x.Likeliest() != (Cause{}) || len(x.Others()) != 0 {
		t.Errorf("got %+v", x)
	}
}

// TestErrorsKnowTheirCall: what is known is found out by the client itself.
func TestErrorsKnowTheirCall(t *testing.T) {
	server := ststest.New(t, ststest.Key{ID: "ASIABROKER", Secret: "broker-secret", Token: "token"})
	server.Answer(func(ststest.Call) ststest.Answer { return byTrust })
	cleanEnvironment(t, server.URL)
	in := input("Customer")
	in.ExternalID, in.SourceIdentity, in.Policy, in.Tags, in.Region = rightID, "alice", aPolicy, []Tag{{"a", "b"}}, "eu-west-1"
	_, _, err := NewClient(Config{}).AssumeRole(context.Background(), sigv4.Credentials{AccessKeyID: "ASIABROKER", SecretAccessKey: "broker-secret", SessionToken: "token"}, in)
	e, ok := errors.AsType[*Error](err)
	want := Known{RoleARN: customer, Temporary: true, ExternalID: true, Tags: true, SourceIdentity: true, Policy: true, Duration: time.Hour, Region: "eu-west-1"}
	if !ok || e.Known != want {
		t.Errorf("got  %+v\nwant %+v", e.Known, want)
	}
	if why := e.Explain().Likeliest().Why; !strings.Contains(why, "this External ID") {
		t.Errorf("got %s", why)
	}
}

func TestSkewIsReadOffTheAnswer(t *testing.T) {
	now := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	for date, want := range map[string]time.Duration{
		now.Format(http.TimeFormat):                        0,
		now.Add(-30 * time.Second).Format(http.TimeFormat): 0,
		now.Add(-time.Hour).Format(http.TimeFormat):        time.Hour,
		now.Add(time.Hour).Format(http.TimeFormat):         -time.Hour,
		"":          0,
		"yesterday": 0,
	} {
		if got := skew(date, now); got != want {
			t.Errorf("%q: got %v, want %v", date, got, want)
		}
	}
	server := ststest.New(t, brokerKey)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(-20*time.Minute).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>Signature not yet current: x</Message></Error></ErrorResponse>`)
	})
	cleanEnvironment(t, server.URL)
	_, _, err := NewClient(Config{}).AssumeRole(context.Background(), broker, input("Proxy"))
	if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(e.Explain().Likeliest().Why, "20m") || !strings.Contains(e.Explain().Likeliest().Why, "ahead of AWS's") {
		t.Errorf("got %v", e.Explain())
	}
}

// TestNoSecretComesOut has everything secret repeated in every place of an answer.
func TestNoSecretComesOut(t *testing.T) {
	secrets := []string{"broker-secret-key", "FwoGZXIvYXdzEXAMPLETOKEN", rightID, "918273", "ab"}
	from := ststest.Key{ID: "ASIABROKER", Secret: secrets[0], Token: secrets[1]}
	echo := func(id string) string {
		return fmt.Sprintf("Value '%s' at 'externalId', token %s, signed by %s, code '918273'", id, secrets[1], secrets[0])
	}
	for _, id := range []string{rightID, "ab"} {
		for name, answer := range map[string]ststest.Answer{
			"message":     {Status: 403, Code: "AccessDenied", Message: notAuthorized + " " + echo(id)},
			"validation":  {Status: 400, Code: "ValidationError", Message: echo(id)},
			"unknown":     {Status: 400, Code: "New", Message: echo(id)},
			"down":        {Status: 500, Code: "InternalFailure", Message: echo(id)},
			"page":        {Status: 403, Body: "<html>" + echo(id) + "</html>"},
			"half a page": {Body: "<AssumeRoleResponse><AssumeRoleResult><Credentials><SecretAccessKey>" + secrets[0] + "</SecretAccessKey><SessionToken>" + secrets[1]},
			"no time": {Body: "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>" + secrets[0] + "</SecretAccessKey><SessionToken>" +
				secrets[1] + "</SessionToken><Expiration>" + secrets[1] + "</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"},
			"odd element": {Body: "<AssumeRoleResponse><AssumeRoleResult><" + secrets[1] + "></" + secrets[0] + ">"},
		} {
			server := ststest.New(t, from)
			server.Answer(func(ststest.Call) ststest.Answer { return answer })
			cleanEnvironment(t, server.URL)
			in := input("Customer")
			in.ExternalID = id
			in.MFA = &MFA{Serial: "GAHT12345678", Code: func(context.Context) (string, error) { return "918273", nil }}
			_, _, err := NewClient(Config{}).AssumeRole(context.Background(), sigv4.Credentials{AccessKeyID: from.ID, SecretAccessKey: from.Secret, SessionToken: from.Token}, in)
			e, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("%s: got %v", name, err)
			}
			text := fmt.Sprintf("%v %+v %#v %+v", err, err, err, e.Explain())
			for _, s := range secrets {
				if s == "ab" {
					s = "'ab'"
				}
				if strings.Contains(text, s) {
					t.Errorf("%s: %q in %s", name, s, text)
				}
			}
			if name == "message" && !strings.Contains(e.Message, "Value '[redacted]' at 'externalId'") {
				t.Errorf("%s: more than secrets was cut out: %s", name, e.Message)
			}
		}
	}
}

func TestRedact(t *testing.T) {
	for _, tc := range []struct{ message, secret, want string }{
		{"unable to ab 'ab' ab.", "ab", "unable to [redacted] '[redacted]' [redacted]."},
		{"ab", "ab", "[redacted]"},
		{"a-ab-b", "ab", "a-[redacted]-b"},
		{"xlongsecretx", "longsecret", "x[redacted]x"},
		{"anything", "", "anything"},
		{"äab", "ab", "äab"},
	} {
		if got := redact(tc.message, tc.secret); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func TestUnreachableIsExplained(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	cleanEnvironment(t, "http://"+l.Addr().String())
	_, _, err = NewClient(Config{}).AssumeRole(context.Background(), broker, input("Proxy"))
	if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(e.Explain().Likeliest().Why, "can't be reached") {
		t.Errorf("got %v", err)
	}
}

// TestPinnedSTSIsNamed: where the environment says which STS is called, it is the first suspect.
func TestPinnedSTSIsNamed(t *testing.T) {
	cleanEnvironment(t, "http://127.0.0.1:1")
	refused := Explain(answered(0, "", "dial tcp 127.0.0.1:1: connect: connection refused"), Known{Region: "eu-west-1"}).Likeliest()
	if !strings.HasPrefix(refused.Why, "http://127.0.0.1:1 can't be reached") || !strings.HasPrefix(refused.Remedy, "correct or unset the environment variable AWS_ENDPOINT_URL_STS") {
		t.Errorf("got %s", refused)
	}
	written := Explain(answered(0, "", "connection refused"), Known{Endpoint: "https://sts.internal"}).Likeliest()
	if strings.Contains(written.String(), "AWS_ENDPOINT_URL_STS") {
		t.Errorf("got %s", written)
	}
	scoped := Explain(answered(403, "SignatureDoesNotMatch", "Credential should be scoped to a valid region."), Known{Region: "eu-west-1"}).Likeliest()
	if !strings.Contains(scoped.Why, "http://127.0.0.1:1 serves another region than eu-west-1") || !strings.Contains(scoped.Remedy, "unset AWS_ENDPOINT_URL_STS") {
		t.Errorf("got %s", scoped)
	}
	t.Setenv("AWS_ENDPOINT_URL_STS", "http://user:topsecret@sts.internal/?x=topsecret")
	if got := Explain(answered(0, "", "connection refused"), Known{}).Likeliest().String(); strings.Contains(got, "topsecret") {
		t.Errorf("got %s", got)
	}
}

func FuzzExplain(f *testing.F) {
	f.Add(403, "AccessDenied", notAuthorized)
	f.Add(400, "ValidationError", "exceeds the 1 hour session limit for roles assumed by role chaining")
	f.Fuzz(func(t *testing.T, status int, code, message string) {
		x := Explain(answered(status, code, message), Known{RoleARN: customer})
		if len(x.Causes) == 0 {
			t.Error("no cause")
		}
		for _, c := range x.Causes {
			if c.Why == "" || c.Remedy == "" {
				t.Errorf("half a cause: %+v", c)
			}
		}
	})
}
