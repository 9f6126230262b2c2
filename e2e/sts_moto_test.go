package e2e_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/moto"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// TestMoto calls moto, whose STS verifies signatures with botocore's signer, with the client of STS that the sources use: who
// the caller is, a role with the right External ID, with a wrong one, and who the session is.
func TestMoto(t *testing.T) {
	m := moto.Start(t)
	user := m.AddUser(t, "broker")
	const broker, role = "arn:aws:iam::123456789012:user/broker", "arn:aws:iam::123456789012:role/Reader"
	m.AddRole(t, "Reader", fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":%q},`+
		`"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":%q}}}]}`, broker, externalID))
	m.CheckSignatures(t)
	client := sts.NewClient(sts.Config{})
	where := sts.Where{Region: moto.Region, Endpoint: m.URL}
	key := sigv4.Credentials{AccessKeyID: user.AccessKeyID, SecretAccessKey: user.SecretAccessKey}

	who, err := client.GetCallerIdentity(t.Context(), key, where)
	if err != nil || who.ARN != broker || who.Account != "123456789012" || who.UserID == "" {
		t.Errorf("the broker is %+v, %v", who, err)
	}
	if err := who.CheckRole(role); err == nil {
		t.Error("the user was taken for a session of the role")
	}
	wrong := key
	wrong.SecretAccessKey += "x"
	// moto words its errors as EC2 does and not as STS, so that of these only the status is known.
	refused := func(err error) bool {
		e, ok := errors.AsType[*sts.Error](err)
		return ok && e.Status == 403
	}
	// The AWS SDK keeps signing keys by access key ID, so that another client is needed for another secret.
	if _, err = sts.NewClient(sts.Config{}).GetCallerIdentity(t.Context(), wrong, where); !refused(err) {
		t.Errorf("with a wrong secret: %v", err)
	}

	in := sts.AssumeRoleInput{
		RoleARN: role, ExternalID: externalID, SessionName: "caddy-e2e", Duration: time.Hour, Region: moto.Region, Endpoint: m.URL,
		Tags: []sts.Tag{{Key: "team", Value: "search"}}, TransitiveTagKeys: []string{"team"}, SourceIdentity: "alice",
		Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`,
	}
	session, expires, err := client.AssumeRole(t.Context(), key, in)
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(expires); left < 59*time.Minute || left > time.Hour || session.SessionToken == "" {
		t.Errorf("the session lasts %v", left)
	}
	who, err = client.GetCallerIdentity(t.Context(), session, where)
	if err != nil || who.ARN != "arn:aws:sts::123456789012:assumed-role/Reader/caddy-e2e" {
		t.Errorf("the session is %+v, %v", who, err)
	}
	if err := who.CheckRole(role); err != nil {
		t.Error(err)
	}
	if err := who.CheckRole("arn:aws:iam::123456789012:role/Other"); err == nil {
		t.Error("the session was taken for one of another role")
	}
	session.SessionToken += "x"
	if _, err := client.GetCallerIdentity(t.Context(), session, where); !refused(err) {
		t.Errorf("with a token that was tampered with: %v", err)
	}

	in.ExternalID = "wrong-external-id"
	_, _, err = client.AssumeRole(t.Context(), key, in)
	if !refused(err) {
		t.Errorf("with a wrong External ID: %v", err)
	} else if strings.Contains(err.Error(), key.SecretAccessKey) || strings.Contains(err.Error(), in.ExternalID) {
		t.Errorf("the error holds a secret: %v", err)
	}
}
