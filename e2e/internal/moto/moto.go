// Package moto runs moto_server in tests: a stand-in for many services of AWS, written in Python, which verifies
// signatures with botocore's signer and knows neither Go nor this repository.
// See https://docs.getmoto.org/en/latest/docs/server_mode.html.
package moto

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
)

// Server is a running moto_server. Its account is 123456789012.
type Server struct {
	// URL is where it listens, without a slash at the end.
	URL string
}

// Region is the region that moto is called for.
const Region = "eu-west-1"

// Start starts moto_server until the test ends, or skips the test where this machine has none. It checks nothing before
// CheckSignatures.
func Start(t *testing.T) *Server {
	t.Helper()
	path, err := exec.LookPath("moto_server")
	if err != nil {
		absent.Skip(t, "moto_server", "pip install 'moto[server]'")
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
			t.Logf("moto_server said:\n%.10000s", log.String())
		}
	})
	s := &Server{URL: "http://127.0.0.1:" + port}
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		res, err := http.Get(s.URL + "/moto-api/")
		if err == nil {
			res.Body.Close()
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("moto_server does not answer: %v", err)
		}
	}
}

// AddUser makes a user who may do everything, and returns its key. It has to be called before CheckSignatures.
func (s *Server) AddUser(t *testing.T, name string) aws.Credentials {
	t.Helper()
	s.iam(t, url.Values{"Action": {"CreateUser"}, "UserName": {name}})
	s.iam(t, url.Values{
		"Action": {"PutUserPolicy"}, "UserName": {name}, "PolicyName": {"all"},
		"PolicyDocument": {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`},
	})
	var made struct {
		ID     string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
		Secret string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
	}
	answer := s.iam(t, url.Values{"Action": {"CreateAccessKey"}, "UserName": {name}})
	if err := xml.Unmarshal([]byte(answer), &made); err != nil || made.ID == "" {
		t.Fatalf("%v: %s", err, answer)
	}
	return aws.Credentials{AccessKeyID: made.ID, SecretAccessKey: made.Secret}
}

// AddRole makes a role with a trust policy, who may do everything. It has to be called before CheckSignatures.
func (s *Server) AddRole(t *testing.T, name, trustPolicy string) {
	t.Helper()
	s.iam(t, url.Values{"Action": {"CreateRole"}, "RoleName": {name}, "AssumeRolePolicyDocument": {trustPolicy}})
	s.iam(t, url.Values{
		"Action": {"PutRolePolicy"}, "RoleName": {name}, "PolicyName": {"all"},
		"PolicyDocument": {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`},
	})
}

// CheckSignatures has moto check signatures and permissions from now on.
func (s *Server) CheckSignatures(t *testing.T) {
	t.Helper()
	res, err := http.Post(s.URL+"/moto-api/reset-auth", "text/plain", strings.NewReader("0"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("reset-auth: %s", res.Status)
	}
}

func (s *Server) iam(t *testing.T, form url.Values) string {
	t.Helper()
	form.Set("Version", "2010-05-08")
	status, body := Call(t, s.URL, Region, "iam", aws.Credentials{AccessKeyID: "any", SecretAccessKey: "any"}, form, nil)
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", form.Get("Action"), status, body)
	}
	return body
}

// Call sends a call of the Query protocol to a server, signed by the AWS SDK, and returns status and body of the answer.
// change, if not nil, changes the request after it was signed.
func Call(t *testing.T, server, region, service string, as aws.Credentials, form url.Values, change func(*http.Request)) (int, string) {
	t.Helper()
	body := form.Encode()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(context.Background(), as, req, hex.EncodeToString(sum[:]), service, region, time.Now()); err != nil {
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
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(fmt.Errorf("reading the answer: %w", err))
	}
	return res.StatusCode, string(answer)
}
