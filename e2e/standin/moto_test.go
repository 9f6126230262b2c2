package standin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// TestAgreesWithMoto sends the same calls to the stand-in and to moto, which verifies them with botocore's signer and
// knows neither Go nor us, and compares what they answer.
func TestAgreesWithMoto(t *testing.T) {
	moto := startMoto(t)
	s, _ := start(t)

	// Who is in both: moto makes up the key.
	moto.call(t, aws.Credentials{AccessKeyID: "any", SecretAccessKey: "any"}, "iam", url.Values{"Action": {"CreateUser"}, "UserName": {"broker"}})
	var made struct {
		ID     string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
		Secret string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
	}
	answer := moto.call(t, aws.Credentials{AccessKeyID: "any", SecretAccessKey: "any"}, "iam", url.Values{"Action": {"CreateAccessKey"}, "UserName": {"broker"}})
	if err := xml.Unmarshal([]byte(answer.body), &made); err != nil || made.ID == "" {
		t.Fatalf("%v: %s", err, answer.body)
	}
	const role = "arn:aws:iam::123456789012:role/Reader"
	trust := trusting("arn:aws:iam::123456789012:user/broker", `,"Condition":{"StringEquals":{"sts:ExternalId":"`+externalID+`"}}`)
	for _, form := range []url.Values{
		{"Action": {"PutUserPolicy"}, "UserName": {"broker"}, "PolicyName": {"all"}, "PolicyDocument": {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`}},
		{"Action": {"CreateRole"}, "RoleName": {"Reader"}, "AssumeRolePolicyDocument": {trust}},
	} {
		if a := moto.call(t, aws.Credentials{AccessKeyID: "any", SecretAccessKey: "any"}, "iam", form); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	moto.checkSignatures(t)
	if _, err := s.AddUser(User{ARN: "arn:aws:iam::123456789012:user/broker", AccessKeyID: made.ID, SecretAccessKey: made.Secret}); err != nil {
		t.Fatal(err)
	}
	put(t, s, Role{ARN: role, TrustPolicy: trust})

	broker := aws.Credentials{AccessKeyID: made.ID, SecretAccessKey: made.Secret}
	ours := stsEndpoint{url: s.STS(), region: s.Region()}
	assume := url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {role}, "RoleSessionName": {"session"}, "ExternalId": {externalID}}
	with := func(change func(url.Values)) url.Values {
		form := maps.Clone(assume)
		change(form)
		return form
	}
	whoAmI := url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}}
	wrong := broker
	wrong.SecretAccessKey += "x"
	unknown := broker
	unknown.AccessKeyID = "AKIAUNKNOWN"

	sessions := map[string]aws.Credentials{}
	for _, e := range []stsEndpoint{ours, moto} {
		a := e.call(t, broker, "sts", assume)
		if a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", e.url, a.status, a.body)
		}
		var out assumeRoleResponse
		if err := xml.Unmarshal([]byte(a.body), &out); err != nil {
			t.Fatal(err)
		}
		sessions[e.url] = aws.Credentials{AccessKeyID: out.Result.AccessKeyID, SecretAccessKey: out.Result.SecretAccessKey, SessionToken: out.Result.SessionToken}
	}

	tests := []struct {
		name   string
		as     func(session aws.Credentials) aws.Credentials
		form   url.Values
		change func(*http.Request)
		want   string
	}{
		{"right", nil, whoAmI, nil, "200 "},
		{"a session", func(c aws.Credentials) aws.Credentials { return c }, whoAmI, nil, "200 "},
		{"a wrong secret", func(aws.Credentials) aws.Credentials { return wrong }, whoAmI, nil, "403 SignatureDoesNotMatch"},
		{"an unknown key", func(aws.Credentials) aws.Credentials { return unknown }, whoAmI, nil, "403 InvalidClientTokenId"},
		{"a session with a wrong token", func(c aws.Credentials) aws.Credentials { c.SessionToken += "x"; return c }, whoAmI, nil, "403 InvalidClientTokenId"},
		{"a session without its token", func(c aws.Credentials) aws.Credentials { c.SessionToken = ""; return c }, whoAmI, nil, "403 InvalidClientTokenId"},
		{"another body than signed", nil, whoAmI, func(r *http.Request) { setBody(r, assume.Encode()) }, "403 SignatureDoesNotMatch"},
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
			for name, e := range map[string]stsEndpoint{"ours": ours, "moto": moto} {
				as := broker
				if tt.as != nil {
					as = tt.as(sessions[e.url])
				}
				a := e.do(t, as, "sts", tt.form, tt.change)
				got[name] = fmt.Sprint(a.status, " ")
				if m := errorCode.FindStringSubmatch(a.body); m != nil {
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

// errorCode finds AWS's code in an error, which moto puts into other elements.
var errorCode = regexp.MustCompile(`<Code>([^<]*)</Code>`)

// stsEndpoint is where to call STS.
type stsEndpoint struct{ url, region string }

type motoAnswer struct {
	status int
	body   string
}

func (e stsEndpoint) call(t *testing.T, as aws.Credentials, service string, form url.Values) motoAnswer {
	t.Helper()
	return e.do(t, as, service, form, nil)
}

// do sends a call that the AWS SDK signed, with a change after that.
func (e stsEndpoint) do(t *testing.T, as aws.Credentials, service string, form url.Values, change func(*http.Request)) motoAnswer {
	t.Helper()
	if form.Get("Version") == "" {
		form.Set("Version", "2010-05-08") // IAM's.
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	body := form.Encode()
	setBody(req, body)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(context.Background(), as, req, hex.EncodeToString(sum[:]), service, e.region, time.Now()); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return motoAnswer{res.StatusCode, string(b)}
}

func setBody(r *http.Request, body string) {
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
}

// startMoto starts moto_server, if this machine has it.
func startMoto(t *testing.T) stsEndpoint {
	t.Helper()
	path, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("SKIPPED, NOT PASSED: there is no moto_server (pip install 'moto[server]'); TestVerifiesBotocore runs without it")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	var log strings.Builder
	cmd := exec.Command(path, "-H", "127.0.0.1", "-p", port)
	cmd.Stdout, cmd.Stderr, cmd.Env = &log, &log, append(os.Environ(), "AWS_EC2_METADATA_DISABLED=true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("moto_server said:\n%s", log.String())
		}
	})
	e := stsEndpoint{url: "http://127.0.0.1:" + port, region: "eu-west-1"}
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		res, err := http.Get(e.url + "/moto-api/")
		if err == nil {
			res.Body.Close()
			return e
		}
		if time.Now().After(end) {
			t.Fatalf("moto_server does not answer: %v", err)
		}
	}
}

// checkSignatures has moto check signatures and permissions from now on.
func (e stsEndpoint) checkSignatures(t *testing.T) {
	t.Helper()
	res, err := http.Post(e.url+"/moto-api/reset-auth", "text/plain", strings.NewReader("0"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("reset-auth: %s", res.Status)
	}
}
