package web

import (
	"net/http"
	"strings"
	"testing"
)

// TestJourney: a customer follows the link, makes the role, names it, and goes back to the vendor.
func TestJourney(t *testing.T) {
	b := newBed(t, bedOptions{})
	_, link := b.session(`{"organization":{"id":"org-1","display_name":"Wile E."},"end_user":{"id":"u1","email":"ann@example.com"},
		"return_urls":{"success":"https://app.example.com/aws/done?x=1","error":"https://app.example.com/aws/failed"}}`)
	br := b.open(link)
	if strings.Contains(br.page, "session_token") {
		t.Errorf("the page's URL is %s", br.page)
	}
	page := br.get("")
	for _, want := range []string{
		"Connect your AWS account to Acme Reports", "Wile E.", "ann@example.com", "arn:aws:iam::111122223333:user/AKIABROKER",
		"aws iam create-role", `resource &#34;aws_iam_role&#34;`, "https://app.example.com/aws/failed?error=cancelled", `value="eu-west-1"`,
	} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	id := br.externalID()
	failed := br.submit(customerRole, "eu-west-1")
	for _, want := range []string{"AWS does not let Acme Reports use this role.", "<code>" + id + "</code>", "AccessDenied", "https://app.example.com/aws/failed?error=assume_role_denied", `value="` + customerRole + `"`, `role="alert"`, "<title>Error: "} {
		if !strings.Contains(failed.body, want) {
			t.Errorf("the failure does not have %q", want)
		}
	}
	b.role(customerRole, id)
	done := br.submit(customerRole, "eu-west-1")
	for _, want := range []string{"Your AWS account is connected to Acme Reports", "444455556666", customerRole, "nobody else can reach it", "https://app.example.com/aws/done?connection_id=", "within 60 minutes"} {
		if !strings.Contains(done.body, want) {
			t.Errorf("the success does not have %q in\n%s", want, done.body)
		}
	}
	connection := done.body[strings.Index(done.body, "connection_id=")+len("connection_id="):][:36]
	r := b.api(apiKey, "GET", "/connections/"+connection, "")
	config, _ := r.json(t)["connection_config"].(map[string]any)
	if r.StatusCode != http.StatusOK || config["role_arn"] != customerRole || config["external_id"] != id || config["region"] != "eu-west-1" || config["service"] != "s3" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	for _, said := range b.reports {
		t.Errorf("reported: %s", said)
	}
}
