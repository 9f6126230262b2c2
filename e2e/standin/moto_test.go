package standin

import (
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/moto"
)

// errorCode finds AWS's code in an error, which moto puts into other elements.
var errorCode = regexp.MustCompile(`<Code>([^<]*)</Code>`)

// TestAgreesWithMoto sends the same calls to the stand-in and to moto, and compares what they answer.
func TestAgreesWithMoto(t *testing.T) {
	m := moto.Start(t)
	s, _ := start(t)
	broker := m.AddUser(t, "broker")
	const role = "arn:aws:iam::123456789012:role/Reader"
	trust := trusting("arn:aws:iam::123456789012:user/broker", `,"Condition":{"StringEquals":{"sts:ExternalId":"`+externalID+`"}}`)
	m.AddRole(t, "Reader", trust)
	m.CheckSignatures(t)
	if _, err := s.AddUser(User{ARN: "arn:aws:iam::123456789012:user/broker", AccessKeyID: broker.AccessKeyID, SecretAccessKey: broker.SecretAccessKey}); err != nil {
		t.Fatal(err)
	}
	put(t, s, Role{ARN: role, TrustPolicy: trust})

	assume := url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {role}, "RoleSessionName": {"session"}, "ExternalId": {externalID}}
	with := func(change func(url.Values)) url.Values {
		form := maps.Clone(assume)
		change(form)
		return form
	}
	whoAmI := url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}}
	wrong, unknown := broker, broker
	wrong.SecretAccessKey += "x"
	unknown.AccessKeyID = "AKIAUNKNOWN"

	servers := map[string]string{"ours": s.STS(), "moto": m.URL}
	sessions := map[string]aws.Credentials{}
	for name, server := range servers {
		status, body := moto.Call(t, server, moto.Region, "sts", broker, assume, nil)
		var out assumeRoleResponse
		if err := xml.Unmarshal([]byte(body), &out); status != http.StatusOK || err != nil {
			t.Fatalf("%s: %d %s, %v", name, status, body, err)
		}
		sessions[name] = aws.Credentials{AccessKeyID: out.Result.AccessKeyID, SecretAccessKey: out.Result.SecretAccessKey, SessionToken: out.Result.SessionToken}
	}
	session := func(c aws.Credentials) aws.Credentials { return c }

	tests := []struct {
		name   string
		as     func(session aws.Credentials) aws.Credentials
		form   url.Values
		change func(*http.Request)
		want   string
	}{
		{"right", nil, whoAmI, nil, "200 "},
		{"a session", session, whoAmI, nil, "200 "},
		{"a wrong secret", func(aws.Credentials) aws.Credentials { return wrong }, whoAmI, nil, "403 SignatureDoesNotMatch"},
		{"an unknown key", func(aws.Credentials) aws.Credentials { return unknown }, whoAmI, nil, "403 InvalidClientTokenId"},
		{"a session with a wrong token", func(c aws.Credentials) aws.Credentials { c.SessionToken += "x"; return c }, whoAmI, nil, "403 InvalidClientTokenId"},
		{"a session without its token", func(c aws.Credentials) aws.Credentials { c.SessionToken = ""; return c }, whoAmI, nil, "403 InvalidClientTokenId"},
		{"another body than signed", nil, whoAmI, func(r *http.Request) {
			body := assume.Encode()
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		}, "403 SignatureDoesNotMatch"},
		{"another date than signed", nil, whoAmI, func(r *http.Request) {
			r.Header.Set("X-Amz-Date", time.Now().Add(time.Second).UTC().Format(timestamp))
		}, "403 SignatureDoesNotMatch"},
		{"another content type than signed", nil, whoAmI, func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		}, "403 SignatureDoesNotMatch"},
		{"another query than signed", nil, whoAmI, func(r *http.Request) { r.URL.RawQuery = "a=b" }, "403 SignatureDoesNotMatch"},
		{"a signature with another last digit", nil, whoAmI, func(r *http.Request) {
			a := r.Header.Get("Authorization")
			digit := map[bool]string{true: "1", false: "0"}[strings.HasSuffix(a, "0")]
			r.Header.Set("Authorization", a[:len(a)-1]+digit)
		}, "403 SignatureDoesNotMatch"},
		{"AssumeRole with the External ID", nil, assume, nil, "200 "},
		{"AssumeRole with a wrong External ID", nil, with(func(f url.Values) { f.Set("ExternalId", "wrong") }), nil, "403 AccessDenied"},
		{"AssumeRole without a session name", nil, with(func(f url.Values) { f.Del("RoleSessionName") }), nil, "400 ValidationError"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := map[string]string{}
			for name, server := range servers {
				as := broker
				if tt.as != nil {
					as = tt.as(sessions[name])
				}
				status, body := moto.Call(t, server, moto.Region, "sts", as, tt.form, tt.change)
				got[name] = fmt.Sprint(status, " ")
				if m := errorCode.FindStringSubmatch(body); m != nil {
					got[name] += m[1]
				}
			}
			if got["ours"] != tt.want {
				t.Errorf("ours: %s, want %s", got["ours"], tt.want)
			}
			if granted := strings.HasPrefix(tt.want, "200"); strings.HasPrefix(got["moto"], "200") != granted {
				t.Errorf("moto: %s, ours: %s", got["moto"], got["ours"])
			} else if got["moto"] != got["ours"] {
				t.Logf("moto words it otherwise: %s, ours: %s", got["moto"], got["ours"])
			}
		})
	}
}
