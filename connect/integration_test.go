package connect

import (
	"strings"
	"testing"
	"time"
)

func goodIntegration() Integration {
	return Integration{
		Key: "acme-s3", DisplayName: "Acme", Logo: "https://acme.example/logo.svg",
		Service: "s3", Region: "eu-west-1", Regions: []string{"eu-west-1", "us-east-1"},
		AllowAccounts: []string{"111111111111"}, DenyAccounts: []string{"222222222222"},
		Duration: time.Hour, Tags: map[string]string{"team": "search"},
		Templates: []Template{
			{ID: "read-only", URL: "https://acme.s3.eu-west-1.amazonaws.com/t.json", StackName: "acme-read-only"},
			{ID: "local", File: "t.yaml"},
		},
		Instructions:    []Instruction{{Label: "Guide", URL: "https://docs.acme.example/connect"}},
		TestCall:        &TestCall{Method: "GET", URL: "https://b.s3.eu-west-1.amazonaws.com/", Status: 200},
		ExternalIDProbe: ProbeWarn,
	}
}

func TestIntegrationsAreChecked(t *testing.T) {
	good := goodIntegration()
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	if err := (&Integration{Key: "a"}).Check(); err != nil {
		t.Errorf("with a key only: %v", err)
	}
	placeholders := goodIntegration()
	placeholders.TestCall.URL = "https://b-{account}.s3.{region}.amazonaws.com/"
	if err := placeholders.Check(); err != nil {
		t.Errorf("placeholders: %v", err)
	}
	for name, tt := range map[string]struct {
		change func(*Integration)
		says   string
	}{
		"no key":                {func(i *Integration) { i.Key = "" }, "key of an integration"},
		"a key with a slash":    {func(i *Integration) { i.Key = "a/b" }, "key of an integration"},
		"a service's name":      {func(i *Integration) { i.Service = "cloudwatch" }, "monitoring"},
		"a region":              {func(i *Integration) { i.Region = "us-east-1a" }, "us-east-1"},
		"an empty region":       {func(i *Integration) { i.Regions = append(i.Regions, "") }, "not the name"},
		"a region of none":      {func(i *Integration) { i.Region = "us-west-2" }, "not among"},
		"an account":            {func(i *Integration) { i.AllowAccounts = []string{"1234"} }, "12 digits"},
		"a denied account":      {func(i *Integration) { i.DenyAccounts = []string{"11111111111a"} }, "12 digits"},
		"a duration":            {func(i *Integration) { i.Duration = time.Minute }, "15m"},
		"a session tag":         {func(i *Integration) { i.Tags["aws:x"] = "y" }, "aws:"},
		"a template's ID":       {func(i *Integration) { i.Templates[0].ID = "a b" }, "ID of a template"},
		"two templates":         {func(i *Integration) { i.Templates[1].ID = "read-only" }, "two templates read-only"},
		"two places":            {func(i *Integration) { i.Templates[0].File = "x" }, "either url or file"},
		"no place":              {func(i *Integration) { i.Templates[1].File = "" }, "either url or file"},
		"a stack":               {func(i *Integration) { i.Templates[0].StackName = "1x" }, "name of a stack"},
		"a template over http":  {func(i *Integration) { i.Templates[0].URL = "http://a.example/t" }, "https://"},
		"a logo that is a code": {func(i *Integration) { i.Logo = "javascript:alert(1)" }, "https://"},
		"a guide with a user":   {func(i *Integration) { i.Instructions[0].URL = "https://a@b.example/" }, "user"},
		"a test without method": {func(i *Integration) { i.TestCall.Method = "get" }, "HTTP method"},
		"a test without status": {func(i *Integration) { i.TestCall.Status = 0 }, "status"},
		"a test of anything":    {func(i *Integration) { i.TestCall.URL = "https://b.s3.{bucket}.amazonaws.com/" }, "is no URL"},
		"a test of who knows":   {func(i *Integration) { i.Service, i.TestCall.URL = "", "https://api.example.com/" }, "service NAME"},
		"a policy":              {func(i *Integration) { i.Policy = "{}" }, "no Statement"},
		"a test without URL":    {func(i *Integration) { i.TestCall.URL = "" }, "https://"},
		"a probe":               {func(i *Integration) { i.ExternalIDProbe = "maybe" }, "require, warn or off"},
	} {
		t.Run(name, func(t *testing.T) {
			i := goodIntegration()
			tt.change(&i)
			if err := i.Check(); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want an error that says %q", err, tt.says)
			}
		})
	}
}
