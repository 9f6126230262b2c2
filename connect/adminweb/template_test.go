package adminweb

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/seal"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// bed is the pages of a service that asks AWS nothing.
type bed struct {
	t       *testing.T
	handler *Handler
	service *connect.Service
}

func newBed(t *testing.T, client *http.Client) *bed {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := seal.ParseKey(base64.StdEncoding.EncodeToString([]byte("0123456789abcdefghijklmnopqrstuv")))
	must(err)
	ring, err := seal.NewRing(key)
	must(err)
	store, err := connect.Open(&storetest.Memory{}, ring, connect.Options{})
	must(err)
	cache := credentials.NewCache(credentials.Options{})
	t.Cleanup(cache.Close)
	asks := sts.NewClient(sts.Config{})
	service, err := connect.NewService(connect.ServiceOptions{
		Store: store, STS: asks, HTTPClient: client, Report: func(err error) { t.Log(err) },
		Runtime: &connect.Runtime{Credentials: []string{"broker"}, Mode: func(*connect.Integration, *connect.Assume) (connect.Mode, error) {
			return connect.NewBrokerMode(connect.BrokerOptions{Client: asks, Cache: cache, Broker: credentials.Identity{
				Key: "broker", RoleARN: "arn:aws:iam::111122223333:role/Broker",
				Fetch: func(context.Context, *credentials.Credentials) (*credentials.Credentials, error) {
					return credentials.New(sigv4.Credentials{AccessKeyID: "A", SecretAccessKey: "s"}, time.Time{}, time.Now()), nil
				},
			}})
		}},
	})
	must(err)
	t.Cleanup(service.Close)
	_, err = service.CreateIntegration(t.Context(), connect.Stored{
		Integration: connect.Integration{Key: "reports", Service: "s3"}, Assume: connect.Assume{Credentials: "broker"},
	})
	must(err)
	handler, err := New(Options{Service: service, User: func(r *http.Request) string { return r.Header.Get("Test-User") }, Report: func(err error) { t.Log(err) }})
	must(err)
	return &bed{t, handler, service}
}

func (b *bed) ask(method, path string, form url.Values) (int, string) {
	b.t.Helper()
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Test-User", "alice")
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return w.Code, string(body)
}

var token = regexp.MustCompile(`name="form_token" value="([0-9a-f]+)"`)

func (b *bed) send(path string, form url.Values) (int, string) {
	b.t.Helper()
	_, page := b.ask("GET", path, nil)
	form.Set("form_token", token.FindStringSubmatch(page)[1])
	return b.ask("POST", path, form)
}

// TestLoadTemplate: the server reads it, and the form has its parameters, with what the template says of them.
func TestLoadTemplate(t *testing.T) {
	const template = `{"Parameters": {
		"ExternalId": {"Type": "String"},
		"TrustedPrincipal": {"Type": "String"},
		"VendorAccountId": {"Type": "String"},
		"Bucket": {"Type": "String", "Description": "Which <bucket>?", "ConstraintDescription": "a name"},
		"Access": {"Type": "String", "AllowedValues": ["read", "write"], "Default": "read"},
		"Secret": {"Type": "String", "NoEcho": true, "Default": ""}
	}, "Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}}}`
	asked := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch asked++; r.URL.Path {
		case "/role.json":
			io.WriteString(w, template)
		case "/moved":
			http.Redirect(w, r, "/role.json", http.StatusFound)
		case "/broken":
			io.WriteString(w, "<html>")
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	b := newBed(t, server.Client())
	const at = "/integrations/reports/template"
	status, page := b.send(at, url.Values{
		"action": {"load"}, "id": {"role"}, "url": {server.URL + "/role.json"}, "parameter": {"Bucket", "Gone"}, "parameter_value": {"mine", "x"},
	})
	if status != http.StatusOK || asked != 1 {
		t.Fatalf("%d, asked %d times: %s", status, asked, page)
	}
	for _, want := range []string{
		"it has 6 parameters", `<option selected>ExternalId</option>`, `<option selected>TrustedPrincipal</option>`, `<option selected>VendorAccountId</option>`,
		`value="mine"`, "String: Which &lt;bucket&gt;? a name It has no default", `<option selected>read</option><option>write</option>`, "AWS hides it.",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, `value="Gone"`) || strings.Contains(page, `name="parameter" value="ExternalId"`) {
		t.Error("the page asks for what the template has not, or what is filled in")
	}
	if c, _ := b.service.Integration("reports"); len(c.Templates) != 0 {
		t.Error("loading has stored something")
	}
	for path, want := range map[string]string{"/moved": "the server redirects", "/broken": "", "/none": "the server answered 404"} {
		status, page := b.send(at, url.Values{"action": {"load"}, "id": {"role"}, "url": {server.URL + path}})
		if status != http.StatusUnprocessableEntity || !strings.Contains(page, want) || !strings.Contains(page, `value="role"`) {
			t.Errorf("%s: %d %s", path, status, page)
		}
	}
	status, page = b.send(at, url.Values{"action": {"load"}, "url": {"javascript:alert(1)"}})
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, "does not begin with https://") {
		t.Errorf("%d %s", status, page)
	}
	status, page = b.send(at, url.Values{
		"action": {"save"}, "id": {"role"}, "url": {server.URL + "/role.json"}, "external_id_parameter": {"ExternalId"}, "parameter": {"Bucket", "Access"}, "parameter_value": {"mine", ""},
	})
	if status != http.StatusSeeOther {
		t.Fatalf("%d %s", status, page)
	}
	if c, _ := b.service.Integration("reports"); len(c.Templates) != 1 || len(c.Templates[0].Parameters) != 1 || c.Templates[0].Parameters["Bucket"] != "mine" {
		t.Errorf("%+v", c.Templates)
	}
}

// TestNobodyHasLoggedIn: neither a page nor the style sheet.
func TestNobodyHasLoggedIn(t *testing.T) {
	b := newBed(t, nil)
	for _, method := range []string{"GET", "POST"} {
		for _, path := range []string{"/", "/integrations/reports/", "/assets/" + b.handler.name, "/nothing"} {
			r := httptest.NewRequest(method, "https://localhost"+path, http.NoBody)
			w := httptest.NewRecorder()
			b.handler.ServeHTTP(w, r)
			if w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), "reports") {
				t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
			}
		}
	}
	r := httptest.NewRequest("GET", "http://ops.example.com/", http.NoBody)
	r.Header.Set("Test-User", "alice")
	r.RemoteAddr = "203.0.113.9:1"
	w := httptest.NewRecorder()
	if b.handler.ServeHTTP(w, r); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "HTTPS only") {
		t.Errorf("without HTTPS: %d %s", w.Code, w.Body)
	}
}
