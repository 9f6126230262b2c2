package sts

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

type botocoreForms struct {
	Calls []struct {
		Name   string
		Params struct {
			RoleArn, RoleSessionName, ExternalId, Policy, SourceIdentity, SerialNumber, TokenCode string
			DurationSeconds                                                                       int
			PolicyArns                                                                            []struct{ Arn string }
			Tags                                                                                  []Tag
			TransitiveTagKeys                                                                     []string
		}
		Form map[string]string
	}
}

// TestFormsAreThoseOfBotocore sends the calls that botocore, the AWS SDK for Python, serialised.
func TestFormsAreThoseOfBotocore(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "botocore", "forms.json"))
	if err != nil {
		t.Fatal(err)
	}
	var forms botocoreForms
	if err := json.Unmarshal(text, &forms); err != nil {
		t.Fatal(err)
	}
	if len(forms.Calls) != 8 {
		t.Errorf("%d calls, want 8", len(forms.Calls))
	}
	for _, call := range forms.Calls {
		t.Run(call.Name, func(t *testing.T) {
			server := ststest.New(t, brokerKey)
			cleanEnvironment(t, server.URL)
			p := call.Params
			in := AssumeRoleInput{
				RoleARN: p.RoleArn, SessionName: p.RoleSessionName, ExternalID: p.ExternalId, Duration: time.Duration(p.DurationSeconds) * time.Second,
				Policy: p.Policy, Tags: p.Tags, TransitiveTagKeys: p.TransitiveTagKeys, SourceIdentity: p.SourceIdentity,
			}
			for _, a := range p.PolicyArns {
				in.PolicyARNs = append(in.PolicyARNs, a.Arn)
			}
			if p.SerialNumber != "" {
				in.MFA = &MFA{Serial: p.SerialNumber, Code: func(context.Context) (string, error) { return p.TokenCode, nil }}
			}
			if _, _, err := NewClient(Config{}).AssumeRole(context.Background(), broker, in); err != nil {
				t.Fatal(err)
			}
			want := url.Values{}
			for k, v := range call.Form {
				want.Set(k, v)
			}
			if got := server.Calls()[0].Form; !reflect.DeepEqual(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		})
	}
}

// TestFormsAreWhatThisBotocoreSays runs the generator again where botocore is installed.
func TestFormsAreWhatThisBotocoreSays(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil || exec.Command(python, "-c", "import botocore").Run() != nil {
		t.Skip("SKIPPED: there is no python3 with botocore here; TestFormsAreThoseOfBotocore used the forms that are kept")
	}
	dir := filepath.Join("testdata", "botocore")
	got, err := exec.Command(python, filepath.Join(dir, "forms.py")).Output()
	if err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(filepath.Join(dir, "forms.json"))
	if err != nil {
		t.Fatal(err)
	}
	var now, then struct{ Calls any }
	if json.Unmarshal(got, &now) != nil || json.Unmarshal(kept, &then) != nil || now.Calls == nil {
		t.Fatalf("no JSON: %s", bytes.TrimSpace(got))
	}
	if !reflect.DeepEqual(now, then) {
		t.Errorf("this botocore says\n%s", got)
	}
}
