package connect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/quickcreate"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
)

// roleTemplate makes a role for whom its parameters name.
const roleTemplate = `AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  ExternalId: {Type: String, MinLength: 20}
  Vendor: {Type: String, AllowedPattern: "^[0-9]{12}$"}
  Bucket: {Type: String, Default: logs}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal: {AWS: !Sub "arn:${AWS::Partition}:iam::${Vendor}:root"}
            Action: sts:AssumeRole
            Condition: {StringEquals: {"sts:ExternalId": !Ref ExternalId}}
Outputs:
  RoleArn: {Value: !GetAtt Role.Arn}
`

func ofURL(url string) Template {
	return Template{ID: "s3-readonly", URL: url, ExternalIDParameter: "ExternalId", AccountParameter: "Vendor", Parameters: map[string]string{"Bucket": "invoices"}}
}

func ofFile(t *testing.T, text string) Template {
	t.Helper()
	name := filepath.Join(t.TempDir(), "role.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tt := ofURL("")
	tt.File = name
	return tt
}

func TestPage(t *testing.T) {
	v := newVendor(t, vendorOptions{integration: func(i *Integration) {
		i.Templates = []Template{ofFile(t, roleTemplate)}
		i.Regions, i.Tags = []string{"eu-west-1", "eu-west-2"}, map[string]string{"a": "b"}
	}})
	token, id := v.customer(NewSession{
		Integration: "acme-s3", Organization: Organization{ID: "o1"},
		Prefill: Prefill{RoleARN: Value{Text: role1}, Region: Value{Text: "eu-west-2", Fixed: true}},
	})
	page, err := v.Page(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if page.ExternalID != id || page.Principal.ARN != vendorARN || page.Principal.Account != vendorAccount || page.Problem != "" ||
		page.RoleARN != role1 || page.Region != "eu-west-2" || fmt.Sprint(page.Regions) != "[eu-west-2]" || !page.TagSession ||
		page.Integration.DisplayName != "Acme" || page.Verification.State != StateNone {
		t.Errorf("%+v", page)
	}
	if len(page.Cards) != 1 || page.Cards[0].Problem != "" {
		t.Fatalf("%+v", page.Cards)
	}
	card := page.Cards[0]
	if card.Launch.NoLink == nil || card.Launch.NoLink.Reason != quickcreate.NoURL || card.Region != "eu-west-2" || card.Template.Label != "s3-readonly" ||
		card.Template.StackName != "Connect-acme-s3-s3-readonly" {
		t.Errorf("%+v", card)
	}
	for _, want := range []string{id, vendorAccount, "invoices", "s3-readonly.yaml", "eu-west-2"} {
		if !strings.Contains(card.Launch.Deploy.Command, want) {
			t.Errorf("the command lacks %s: %s", want, card.Launch.Deploy.Command)
		}
	}
	data, format, err := v.Template(t.Context(), "acme-s3", "s3-readonly")
	if err != nil || string(data) != roleTemplate || format != "yaml" {
		t.Errorf("%s, %v", format, err)
	}
	for _, name := range [][2]string{{"acme-s3", "other"}, {"other", "s3-readonly"}} {
		if _, _, err := v.Template(t.Context(), name[0], name[1]); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v: %v", name, err)
		}
	}

	// What was typed survives.
	v.submit(token, role2+"x y", "eu-west-2")
	if page, err := v.Page(t.Context(), token); err != nil || page.RoleARN != role2+"x y" || page.Verification.Code != CodeInvalidRoleARN {
		t.Errorf("%+v, %v", page, err)
	}

	// The session's page, once it has ended.
	if err := v.RevokeSession(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if page, err := v.Page(t.Context(), token); !errors.Is(err, ErrRevoked) || page.Integration == nil || page.Session.Integration != "acme-s3" {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestPageOfALink(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, roleTemplate) }))
	defer server.Close()
	client := server.Client()
	client.Transport = toServer{client.Transport, strings.TrimPrefix(server.URL, "https://")}
	v := newVendor(t, vendorOptions{
		integration: func(i *Integration) {
			i.Templates = []Template{ofURL("https://acme-templates.s3.eu-west-1.amazonaws.com/role.yaml")}
			i.Templates[0].StackName = "AcmeAccess"
		},
		service: func(o *ServiceOptions) { o.HTTPClient = client },
	})
	token, id := v.customer(forOrganization("o1"))
	page, err := v.Page(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	link := page.Cards[0].Launch.Link
	for _, want := range []string{"https://eu-west-1.console.aws.amazon.com/cloudformation/", "param_ExternalId=" + id, "param_Vendor=" + vendorAccount, "stackName=AcmeAccess", "param_Bucket=invoices"} {
		if !strings.Contains(link, want) {
			t.Errorf("the link lacks %s: %s", want, link)
		}
	}
}

// toServer sends every request to one server.
type toServer struct {
	http.RoundTripper
	host string
}

func (s toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Host = s.host
	return s.RoundTripper.RoundTrip(r)
}

// TestAPageWhoseBrokerIsUnknown says so, instead of a trust policy for nobody.
func TestAPageWhoseBrokerIsUnknown(t *testing.T) {
	v := newVendor(t, vendorOptions{
		integration: func(i *Integration) { i.Templates = []Template{ofFile(t, roleTemplate)} },
		mode: func(m Mode) Mode {
			b := m.(*BrokerMode)
			b.options.Broker.Fetch = func(context.Context, *credentials.Credentials) (*credentials.Credentials, error) {
				return nil, errors.New("no credentials at all")
			}
			return b
		},
	})
	token, _ := v.customer(forOrganization("o1"))
	page, err := v.Page(t.Context(), token)
	if err != nil || page.Problem != CodeBrokerUnavailable || page.Principal.ARN != "" || page.Cards[0].Problem == "" {
		t.Errorf("%+v, %v", page, err)
	}
	if got := v.submit(token, role1, ""); got.Code != CodeBrokerUnavailable || got.Step != StepInput {
		t.Errorf("%+v", got)
	}
}

func TestTemplateFilesAreCheckedAtLoad(t *testing.T) {
	for name, tt := range map[string]struct {
		text   string
		change func(*Template)
		want   string
	}{
		"fine":                {text: roleTemplate},
		"not there":           {text: roleTemplate, change: func(t *Template) { t.File += "x" }, want: "no such file"},
		"a directory":         {text: roleTemplate, change: func(t *Template) { t.File = filepath.Dir(t.File) }, want: "is no file"},
		"no External ID":      {text: roleTemplate, change: func(t *Template) { t.ExternalIDParameter = "" }, want: "external_id_parameter"},
		"another name for it": {text: roleTemplate, change: func(t *Template) { t.ExternalIDParameter = "ExternalID" }, want: "written ExternalId"},
		"drift":               {text: roleTemplate, change: func(t *Template) { t.Parameters = map[string]string{"Prefix": "x"} }, want: "no parameter"},
		"a value it refuses":  {text: strings.Replace(roleTemplate, "Default: logs", "AllowedValues: [logs]", 1), want: "Bucket"},
		"too short for ours":  {text: strings.Replace(roleTemplate, "MinLength: 20", "MaxLength: 20", 1), want: "does not take an External ID"},
		"no template":         {text: "hello", want: "role.yaml"},
		"too large":           {text: strings.Repeat("#", 1<<20+1), want: "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t, vendorOptions{integration: func(i *Integration) {
				i.Templates = []Template{ofFile(t, tt.text), ofURL("https://example.invalid/not-asked")}
				i.Templates[1].ID = "other"
				if tt.change != nil {
					tt.change(&i.Templates[0])
				}
			}})
			err := v.CheckTemplateFiles()
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "integration acme-s3: template s3-readonly: ") {
				t.Errorf("%v, want %q", err, tt.want)
			}
			token, _ := v.customer(forOrganization("o1"))
			if page, err := v.Page(t.Context(), token); err != nil || page.Cards[0].Problem == "" || page.Cards[0].Parsed != nil {
				t.Errorf("%+v, %v", page, err)
			}
		})
	}
}

func TestAFileThatChangesIsReadAnew(t *testing.T) {
	v := newVendor(t, vendorOptions{integration: func(i *Integration) { i.Templates = []Template{ofFile(t, roleTemplate)} }})
	file := v.integration.Templates[0].File
	if err := v.CheckTemplateFiles(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(roleTemplate, "ExternalId: {", "Renamed: {", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := v.CheckTemplateFiles(); err == nil {
		t.Error("the drift was not noticed")
	}
}

func TestTemplatesAreFetched(t *testing.T) {
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, roleTemplate) }))
	defer elsewhere.Close()
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"fine":      {handler: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, roleTemplate) }},
		"forbidden": {handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, want: "answered 403"},
		"elsewhere": {handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/x?secret", http.StatusFound)
		}, want: "redirects to https://127.0.0.1"},
		"endless":    {handler: func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(strings.Repeat("# x\n", 300_000))) }, want: "more than the 1048576 bytes"},
		"breaks off": {handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, want: "can't be reached"},
		"a page":     {handler: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, want: "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewTLSServer(tt.handler)
			defer server.Close()
			v := newVendor(t, vendorOptions{
				integration: func(i *Integration) {
					i.Templates = []Template{ofURL(server.URL + "/role.yaml?signature=secret-signature")}
				},
				service: func(o *ServiceOptions) { o.HTTPClient = server.Client() },
			})
			err := v.CheckTemplates(t.Context())
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), "signature") || strings.Contains(err.Error(), "secret")) {
				t.Errorf("the error tells the query: %v", err)
			}
		})
	}
}

// TestTemplatesAreKept: fetched once, anew in the background when they are old, and used on while that
// does not work.
func TestTemplatesAreKept(t *testing.T) {
	var calls atomic.Int32
	var broken atomic.Bool
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		if broken.Load() {
			w.WriteHeader(500)
			return
		}
		fmt.Fprint(w, roleTemplate)
	}))
	defer server.Close()
	v := newVendor(t, vendorOptions{
		integration: func(i *Integration) { i.Templates = []Template{ofURL(server.URL + "/role.yaml")} },
		service:     func(o *ServiceOptions) { o.HTTPClient = server.Client() },
	})
	check := func(want int32, ok bool) {
		t.Helper()
		atOnce(4, func(int) {
			if err := v.CheckTemplates(t.Context()); (err == nil) != ok {
				t.Errorf("%v", err)
			}
		})
		until(t, func() bool { return calls.Load() >= want })
		time.Sleep(5 * time.Millisecond)
		if n := calls.Load(); n != want {
			t.Errorf("%d fetches, want %d", n, want)
		}
	}
	broken.Store(true)
	check(1, false)
	check(1, false)
	broken.Store(false)
	v.clock.pass(templateRetry)
	check(2, true)
	check(2, true)
	v.clock.pass(5 * time.Minute)
	check(3, true)
	broken.Store(true)
	v.clock.pass(5 * time.Minute)
	check(4, true)
	until(t, func() bool { v.mu.Lock(); defer v.mu.Unlock(); return len(v.reports) == 1 })
	check(4, true)
	v.clock.pass(templateRetry)
	check(5, true)
}
