package standin

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// assume assumes a role that asks for the External ID.
func assume(t *testing.T, s *Standin, u User, role string) *ststypes.Credentials {
	t.Helper()
	out, err := stsClient(s, provider(u.AccessKeyID, u.SecretAccessKey, "")).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: &role, RoleSessionName: aws.String("session"), ExternalId: aws.String(externalID),
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Credentials
}

// TestSessionsInS3 uses the credentials that STS gave at S3: right ones, and each kind of wrong ones.
func TestSessionsInS3(t *testing.T) {
	s, broker := start(t)
	const other, none, short = "arn:aws:iam::123456789012:role/Other", "arn:aws:iam::123456789012:role/None", "arn:aws:iam::123456789012:role/Short"
	put(t, s, Role{ARN: other, TrustPolicy: trusting("*", "")})
	put(t, s, Role{ARN: none, TrustPolicy: trusting("*", ""), NoS3: true})
	put(t, s, Role{ARN: short, TrustPolicy: trusting("*", ""), Lifetime: 10 * time.Millisecond})
	admin, err := s.AddUser(User{ARN: "arn:aws:iam::123456789012:user/admin", S3: true})
	if err != nil {
		t.Fatal(err)
	}
	key := aws.String("a//b/../ç +%")
	if _, err := s3Client(s, provider(admin.AccessKeyID, admin.SecretAccessKey, "")).PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("bucket"), Key: key, Body: strings.NewReader("hello"),
	}); err != nil {
		t.Fatal(err)
	}
	c, c2, cNone := assume(t, s, broker, readerARN), assume(t, s, broker, other), assume(t, s, broker, none)
	expired := assume(t, s, broker, short)
	time.Sleep(20 * time.Millisecond)

	const sessionARN = "arn:aws:sts::123456789012:assumed-role/"
	tests := []struct {
		name              string
		id, secret, token *string
		fail              string
		says              string
	}{
		{"a session", c.AccessKeyId, c.SecretAccessKey, c.SessionToken, "", ""},
		{"another session", c2.AccessKeyId, c2.SecretAccessKey, c2.SessionToken, "", ""},
		{"a user", &admin.AccessKeyID, &admin.SecretAccessKey, aws.String(""), "", ""},
		{"a user without permissions", &broker.AccessKeyID, &broker.SecretAccessKey, aws.String(""), "403 AccessDenied", "User: " + brokerARN + " is not authorized to perform: s3:GetObject"},
		{"a role without permissions", cNone.AccessKeyId, cNone.SecretAccessKey, cNone.SessionToken, "403 AccessDenied", "User: " + sessionARN + "None/session is not authorized"},
		{"the secret of another session", c.AccessKeyId, c2.SecretAccessKey, c.SessionToken, "403 SignatureDoesNotMatch", ""},
		{"the token of another session", c.AccessKeyId, c.SecretAccessKey, c2.SessionToken, "400 InvalidToken", "malformed or otherwise invalid"},
		{"a token that was tampered with", c.AccessKeyId, c.SecretAccessKey, aws.String(*c.SessionToken + "A"), "400 InvalidToken", "malformed or otherwise invalid"},
		{"a session without its token", c.AccessKeyId, c.SecretAccessKey, aws.String(""), "403 InvalidAccessKeyId", "does not exist in our records"},
		{"a user with a token", &admin.AccessKeyID, &admin.SecretAccessKey, c.SessionToken, "400 InvalidToken", ""},
		{"an unknown key", aws.String("ASIAUNKNOWN"), c.SecretAccessKey, c.SessionToken, "403 InvalidAccessKeyId", ""},
		{"an expired session", expired.AccessKeyId, expired.SecretAccessKey, expired.SessionToken, "400 ExpiredToken", "The provided token has expired."},
	}
	try := func(t *testing.T, id, secret, token *string) error {
		// A GET, because the AWS SDK for Go, while it sends a body, may miss an answer that comes early.
		_, err := s3Client(s, provider(*id, *secret, *token)).GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: key})
		return err
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := try(t, tt.id, tt.secret, tt.token)
			if tt.fail == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if code, message := failure(err); err == nil || code != tt.fail || !strings.Contains(message, tt.says) {
				t.Errorf("%s: %s\nwant %s: … %s", code, message, tt.fail, tt.says)
			}
		})
	}

	s.RevokeSessions(readerARN)
	code, message := failure(try(t, c.AccessKeyId, c.SecretAccessKey, c.SessionToken))
	if code != "403 AccessDenied" || !strings.Contains(message, "User: "+sessionARN+"Reader/session is not authorized to perform: s3:GetObject on resource:") ||
		!strings.Contains(message, "with an explicit deny in an identity-based policy") {
		t.Errorf("a revoked session: %s: %s", code, message)
	}
	code, _ = failure(try(t, c.AccessKeyId, c2.SecretAccessKey, c.SessionToken))
	if code != "403 SignatureDoesNotMatch" {
		t.Errorf("a revoked session with a wrong secret: %s", code)
	}
	if err := try(t, c2.AccessKeyId, c2.SecretAccessKey, c2.SessionToken); err != nil {
		t.Errorf("the session of another role: %v", err)
	}
	later := assume(t, s, broker, readerARN)
	if err := try(t, later.AccessKeyId, later.SecretAccessKey, later.SessionToken); err != nil {
		t.Errorf("a session that began after the others were revoked: %v", err)
	}
	s.ExpireSessions(readerARN)
	if code, _ := failure(try(t, later.AccessKeyId, later.SecretAccessKey, later.SessionToken)); code != "400 ExpiredToken" {
		t.Errorf("a session that was made to expire: %s", code)
	}
}

// TestOverTLS uses both servers over TLS, whose certificate is of the stand-in's own.
func TestOverTLS(t *testing.T) {
	s, broker := start(t)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(s.CA()) {
		t.Fatal("the certificate is none")
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer client.CloseIdleConnections()
	out, err := sts.New(sts.Options{
		Region: s.Region(), BaseEndpoint: aws.String(s.STSTLS()), HTTPClient: client, Credentials: provider(broker.AccessKeyID, broker.SecretAccessKey, ""),
	}).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(readerARN), RoleSessionName: aws.String("session"), ExternalId: aws.String(externalID)})
	if err != nil {
		t.Fatal(err)
	}
	c := s3.New(s3.Options{
		Region: s.Region(), BaseEndpoint: aws.String(s.S3TLS()), HTTPClient: client, UsePathStyle: true,
		Credentials: provider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken),
	})
	// Of unknown length, so that the SDK sends it as aws-chunked with a trailer.
	_, err = c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("k"), Body: io.MultiReader(strings.NewReader("hello")), ContentLength: aws.Int64(5)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s3Client(s, c.Options().Credentials).GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(got.Body); err != nil || string(b) != "hello" {
		t.Errorf("%q, %v", b, err)
	}
}

// TestFaults has STS fail in every way, for a role and for all.
func TestFaults(t *testing.T) {
	s, broker := start(t)
	client := stsClient(s, provider(broker.AccessKeyID, broker.SecretAccessKey, ""))
	call := func() string {
		_, err := client.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(readerARN), RoleSessionName: aws.String("session"), ExternalId: aws.String(externalID)})
		if err == nil {
			return "granted"
		}
		code, message := failure(err)
		if code == "" {
			return message
		}
		return code
	}
	for _, tt := range []struct {
		fault Fault
		want  string
	}{
		{Throttled, "400 Throttling"},
		{Unavailable, "503 ServiceUnavailable"},
		{Fault{Status: 403, Code: "RegionDisabledException", Message: "STS is not activated in this region."}, "403 RegionDisabledException"},
	} {
		for _, role := range []string{"", readerARN} {
			s.SetFault(role, tt.fault)
			if got := call(); got != tt.want {
				t.Errorf("with %+v: %s, want %s", tt.fault, got, tt.want)
			}
			s.ClearFaults()
		}
	}
	s.SetFault("arn:aws:iam::123456789012:role/Other", Unavailable)
	if got := call(); got != "granted" {
		t.Errorf("with a fault of another role: %s", got)
	}
	s.SetFault("", Down)
	if got := call(); !strings.Contains(got, "EOF") {
		t.Errorf("down: %s, want a connection that ends", got)
	}
	s.SetFault("", Hanging)
	began := time.Now()
	hurried := stsClient(s, provider(broker.AccessKeyID, broker.SecretAccessKey, ""))
	_, err := hurried.GetCallerIdentity(t.Context(), nil, func(o *sts.Options) { o.HTTPClient = &http.Client{Timeout: 50 * time.Millisecond} })
	if err == nil || time.Since(began) < 50*time.Millisecond {
		t.Errorf("hanging: %v after %v", err, time.Since(began))
	}
	s.ClearFaults()
	if got := call(); got != "granted" {
		t.Errorf("after all: %s", got)
	}
	calls := s.Calls()
	if last := calls[len(calls)-1]; last.Issued == "" || last.By != broker.AccessKeyID || last.Form.Get("ExternalId") != externalID || last.RoleARN != readerARN {
		t.Errorf("the last call: %+v", last)
	}
}
