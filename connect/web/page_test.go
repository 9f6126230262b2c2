package web

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

// withTemplates has an integration with a template of each kind: one on S3, one that is a file, and one
// that is lost.
func withTemplates(i *connect.Integration) {
	i.Regions = []string{"eu-west-1", "us-east-1"}
	i.Instructions = []connect.Instruction{{Label: "How to", URL: "https://docs.example.com/aws", Description: "All of it."}}
	i.Templates = []connect.Template{
		{
			ID: "linked", Label: "Read one bucket", Description: "A role that reads.", URL: "https://templates.s3.eu-west-1.amazonaws.com/reports.yaml",
			StackName: "Reports", ExternalIDParameter: "ExternalId", PrincipalParameter: "Principal", Parameters: map[string]string{"Bucket": "example-bucket"},
		},
		{ID: "file", File: "testdata/reports.yaml", ExternalIDParameter: "ExternalId", PrincipalParameter: "Principal"},
		{ID: "lost", Label: "Lost", File: "testdata/none.yaml", ExternalIDParameter: "ExternalId"},
	}
}

// fromTestdata answers every URL with the template.
type fromTestdata struct{ t *testing.T }

func (f fromTestdata) RoundTrip(*http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	w.WriteString(read(f.t, "testdata/reports.yaml"))
	return w.Result(), nil
}

func templatesBed(t *testing.T) *bed {
	return newBed(t, bedOptions{
		integration: withTemplates,
		service:     func(o *connect.ServiceOptions) { o.HTTPClient = &http.Client{Transport: fromTestdata{t}} },
	})
}

// TestPagesWithoutABroker: while it is not known whom roles have to trust there is no way to make one, and the page
// names none. The log says of which integration and which credentials that is.
func TestPagesWithoutABroker(t *testing.T) {
	b := templatesBed(t)
	b.mu.Lock()
	b.answer = func(ststest.Call) ststest.Answer {
		return ststest.Answer{Status: 403, Code: "SignatureDoesNotMatch", Message: "no"}
	}
	b.mu.Unlock()
	_, link := b.session(`{"organization":{"id":"org-1"}}`)
	page := b.open(link).get("").body
	if n := strings.Count(page, "Load this page again in a minute, or tell Acme Reports."); n != 3 || strings.Contains(page, "Choose another way") || strings.Contains(page, "By hand") {
		t.Errorf("%d cards say so", n)
	}
	if said := fmt.Sprint(b.reports); !strings.Contains(said, "integration acme-s3: whom its roles have to trust can't be told: the broker's credentials broker: ") ||
		!strings.Contains(said, "SignatureDoesNotMatch") {
		t.Errorf("reported: %s", said)
	}
}

// TestCards: each template has a card with what it grants and a way to make it that works.
func TestCards(t *testing.T) {
	b := templatesBed(t)
	_, link := b.session(`{"organization":{"id":"o"}}`)
	br := b.open(link)
	page := html.UnescapeString(br.get("").body)
	id := br.externalID()
	for _, want := range []string{
		"https://eu-west-1.console.aws.amazon.com/cloudformation/home?region=eu-west-1#/stacks/create/review?templateURL=https%3A%2F%2Ftemplates.s3.eu-west-1.amazonaws.com%2Freports.yaml&stackName=Reports&param_ExternalId=" + id,
		"param_Bucket=example-bucket",
		"s3:GetObject", "sts:ExternalId", "only with MayList", "Denies everything except", "On everything except", "AWS::SQS::Queue", "yours to choose", "hidden",
		"aws cloudformation deploy --region eu-west-1 --stack-name Connect-acme-s3-file --template-file file.yaml", "CAPABILITY_IAM",
		"A direct link into the AWS console is not possible: the template is not stored in Amazon S3.",
		`href="template/file" download="file.yaml"`, "Set your own values, between the quotes", "export PARAM_Bucket=''",
		"keep its name <code>Connect-acme-s3</code>",
		"This template can’t be offered at the moment.",
		`href="https://docs.example.com/aws#external_id"`, `href="https://docs.example.com/aws#role_arn"`, `href="https://docs.example.com/aws#region"`, "All of it.",
		`<option selected>eu-west-1</option>`, `<option>us-east-1</option>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	if strings.Contains(page, "none.yaml") {
		t.Error("the page tells what only the operator should know")
	}
	r := br.get("template/file")
	if r.StatusCode != 200 || r.body != read(t, "testdata/reports.yaml") || r.Header.Get("Content-Disposition") != "attachment" || r.Header.Get("Content-Type") != "application/octet-stream" || !strings.Contains(r.Header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
	for name, status := range map[string]int{"lost": 503, "none": 404, "..%2ffile": 404} {
		if r := br.get("template/" + name); r.StatusCode != status {
			t.Errorf("template %s: %d", name, r.StatusCode)
		}
	}
	if r := b.do(&http.Client{}, b.request("GET", br.page+"template/file", "")); r.StatusCode != 403 {
		t.Errorf("without a session: %d", r.StatusCode)
	}
}

// TestIDsAndLabels: every ID is there once, and whatever refers to one finds it.
func TestIDsAndLabels(t *testing.T) {
	b := templatesBed(t)
	_, link := b.session(`{"organization":{"id":"o"}}`)
	br := b.open(link)
	for name, page := range map[string]string{"fresh": br.get("").body, "failed": br.submit("x", "nowhere").body} {
		var ids []string
		for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(page, -1) {
			if slices.Contains(ids, m[1]) {
				t.Errorf("%s: the ID %s is there twice", name, m[1])
			}
			ids = append(ids, m[1])
		}
		for _, m := range regexp.MustCompile(` (?:for|form|aria-labelledby|aria-describedby|data-copy|href)="(#?[^"]*)"`).FindAllStringSubmatch(page, -1) {
			if strings.Contains(m[0], "href") && !strings.HasPrefix(m[1], "#") {
				continue
			}
			for id := range strings.FieldsSeq(strings.TrimPrefix(m[1], "#")) {
				if !slices.Contains(ids, id) {
					t.Errorf("%s:%s refers to nothing", name, m[0])
				}
			}
		}
	}
}

// TestTypedValues: what was typed is there when the customer comes back, by whichever way it was sent.
func TestTypedValues(t *testing.T) {
	b := newBed(t, bedOptions{})
	_, link := b.session(`{"organization":{"id":"o"}}`)
	br := b.open(link)
	has := func(values ...string) {
		t.Helper()
		page := br.get("").body
		for _, v := range values {
			if !strings.Contains(page, `value="`+html.EscapeString(v)+`"`) {
				t.Errorf("%q is lost", v)
			}
		}
	}
	if r := br.post("check", url.Values{"role_arn": {"half of"}, "region": {"us-east-1"}}); r.StatusCode != 200 || !strings.Contains(r.body, "This is not the ARN of an IAM role.") {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	has("half of", "us-east-1")
	if r := br.post("check", url.Values{"role_arn": {customerRole}, "region": {"us-east-1"}}); !strings.Contains(r.body, "Role Customer in account 444455556666") || strings.Contains(r.body, "bad") {
		t.Errorf("%s", r.body)
	}
	has(customerRole)
	if r := br.post("", url.Values{"role_arn": {"typed before"}, "region": {"eu-central-1"}, "lang": {"de"}}); r.StatusCode != http.StatusSeeOther {
		t.Errorf("%d", r.StatusCode)
	}
	has("typed before", "eu-central-1")
	if page := br.get("").body; !strings.Contains(page, `<html lang="de">`) || !strings.Contains(page, "AWS-Konto mit Acme Reports verbinden") {
		t.Error("the language was not changed")
	}
	if r := br.post("", url.Values{"role_arn": {`"><x`}, "region": {"mars-1"}}); r.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(r.body, "Das ist kein ARN einer IAM-Rolle.") || !strings.Contains(r.body, "Das ist kein Name einer AWS-Region.") {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	has(`"><x`, "mars-1")
	// The link leads to the same session, also in another browser.
	other := b.open(link)
	if !strings.Contains(other.get("").body, "mars-1") {
		t.Error("another browser does not see it")
	}
}

// TestPrefill: what the vendor suggests can be changed, and what it has fixed can't.
func TestPrefill(t *testing.T) {
	b := newBed(t, bedOptions{})
	const suggested = "arn:aws:iam::444455556666:role/Suggested"
	_, link := b.session(`{"organization":{"id":"o"},"prefill":{"external_id":"vendors-own-id","role_arn":"` + suggested + `","region":{"value":"ap-southeast-2","fixed":true}}}`)
	br := b.open(link)
	page := br.get("").body
	if br.externalID() != "vendors-own-id" || !strings.Contains(page, `value="`+suggested+`"`) || !regexp.MustCompile(`value="ap-southeast-2"[^>]*readonly`).MatchString(page) {
		t.Errorf("%s", page)
	}
	b.role(customerRole, "vendors-own-id")
	if r := br.submit(customerRole, "us-east-1"); !strings.Contains(r.body, "has set another value for this connection") {
		t.Errorf("%s", r.body)
	}
	if r := br.submit(customerRole, "ap-southeast-2"); !strings.Contains(r.body, "is connected to") {
		t.Errorf("%s", r.body)
	}
}

// TestRunning: the page shows how it goes on, with and without JavaScript.
func TestRunning(t *testing.T) {
	b := newBed(t, bedOptions{})
	_, link := b.session(`{"organization":{"id":"o"}}`)
	br := b.open(link)
	b.role(customerRole, br.externalID())
	asked, release := make(chan bool, 99), make(chan bool)
	b.mu.Lock()
	b.answer = func(c ststest.Call) ststest.Answer {
		if c.Form.Get("Action") == "AssumeRole" {
			asked <- true
			<-release
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if want := b.roles[c.Form.Get("RoleArn")]; c.Form.Get("Action") == "AssumeRole" && want != c.Form.Get("ExternalId") {
			return ststest.Answer{Status: 403, Code: "AccessDenied", Message: "User: x is not authorized to perform: sts:AssumeRole on resource: y"}
		}
		return ststest.Answer{}
	}
	b.mu.Unlock()
	if r := br.post("", url.Values{"role_arn": {customerRole}, "region": {""}}); r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "./" {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	<-asked
	page := br.get("").body
	for _, want := range []string{`<noscript><meta http-equiv="refresh" content="3"></noscript>`, `data-step="assume_role" class="now"`, `data-step="saving" class="todo"`, `aria-live="polite"`, customerRole} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	status := br.get("status").json(t)
	if status["state"] != "running" || status["step"] != "assume_role" || status["message"] == "" {
		t.Errorf("%v", status)
	}
	close(release)
	for deadline := time.Now().Add(10 * time.Second); br.get("status").json(t)["state"] == "running"; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not end")
		}
	}
	if !strings.Contains(br.get("").body, "is connected to") {
		t.Error("it was not connected")
	}
}

// TestKeep: a session lives on while its page is open, and not longer than it may.
func TestKeep(t *testing.T) {
	b := newBed(t, bedOptions{})
	_, link := b.session(`{"organization":{"id":"o"}}`)
	br := b.open(link)
	if page := br.get("").body; !strings.Contains(page, `<iframe class="hidden" src="keep"`) {
		t.Error("without JavaScript nothing prolongs the session")
	}
	for range 20 {
		b.pass(20 * time.Minute)
		r := br.get("keep")
		if r.StatusCode != 200 || r.Header.Get("X-Session-Expires") == "" || !strings.Contains(r.body, `http-equiv="refresh"`) || !strings.Contains(r.Header.Get("Content-Security-Policy"), "frame-ancestors 'self'") {
			t.Fatalf("%d %v %s", r.StatusCode, r.Header, r.body)
		}
	}
	b.pass(90 * time.Minute)
	if r := br.get("keep"); r.StatusCode != 410 {
		t.Errorf("after eight hours: %d", r.StatusCode)
	}
}

// TestFailures: each failure says what is wrong and what to do, in every language, and leads back to
// the form.
func TestFailures(t *testing.T) {
	for _, l := range languages {
		b := newBed(t, bedOptions{integration: func(i *connect.Integration) { i.Regions = []string{"eu-west-1"} }})
		_, link := b.session(`{"organization":{"id":"o"},"return_urls":{"error":"https://app.example.com/aws/"}}`)
		br := b.open(link)
		br.lang = l.Tag
		texts := b.handler.texts[l.Tag]
		for _, tc := range []struct{ role, region, code, field string }{
			{"x", "eu-west-1", "invalid_role_arn", "role_arn"},
			{"arn:aws:iam::111122223333:role/Vendor", "eu-west-1", "account_not_allowed", "role_arn"},
			{"arn:aws-cn:iam::444455556666:role/China", "eu-west-1", "partition_mismatch", "role_arn"},
			{customerRole, "us-east-1", "region_not_allowed", "region"},
			{customerRole, "EU-WEST-1", "invalid_region", "region"},
			{customerRole, "eu-west-1", "assume_role_denied", "role_arn"},
		} {
			page := br.submit(tc.role, tc.region).body
			what := html.EscapeString(texts.text("code."+tc.code, "vendor", "Acme Reports"))
			if !strings.Contains(page, `<a href="#`+tc.field+`">`+what+`</a>`) || !strings.Contains(page, `<code>`+tc.code+`</code>`) || strings.Contains(page, "{vendor}") || strings.Contains(page, "{example}") {
				t.Errorf("%s %s: %s", l.Tag, tc.code, page)
			}
			if !regexp.MustCompile(`(name="` + tc.field + `"|id="` + tc.field + `")[^>]*aria-invalid="true"`).MatchString(page) {
				t.Errorf("%s: the field %s is not marked", tc.code, tc.field)
			}
		}
	}
}

// TestUnknownCode: a failure with a code that this version does not know is shown all the same.
func TestUnknownCode(t *testing.T) {
	b := newBed(t, bedOptions{})
	v := &visit{h: b.handler, r: b.request("GET", "/connect/s/0123456789abcdef/", ""), lang: "en"}
	p := v.connectPage(&connect.Page{Integration: &connect.Integration{Key: "acme-s3"}})
	f := p.failure(&connect.Verification{Code: "of_tomorrow", Text: "tomorrow is not here yet", Remedy: "wait"})
	if f.What == "" || !slices.Contains(f.English, "tomorrow is not here yet") {
		t.Errorf("%+v", f)
	}
}

// TestLanguages: the browser's wish is followed, and the customer's choice before it.
func TestLanguages(t *testing.T) {
	b := newBed(t, bedOptions{})
	for header, want := range map[string]string{
		"": "en", "de": "de", "DE-at": "de", "pt, fr;q=0.3, es;q=0.7": "es", "*": "en", "ja;q=0, de;q=0.1": "de", "zh": "en", "de;q=x, fr": "fr",
		strings.Repeat("de,", 10000): "de",
	} {
		req := b.request("GET", "/connect/", "", "Accept-Language", header)
		if got := languageOf(req); got != want {
			t.Errorf("%.40q: %s", header, got)
		}
	}
	_, link := b.session(`{"organization":{"id":"o"}}`)
	br := b.open(link)
	if r := br.get("?lang=ja"); r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "./" {
		t.Fatalf("%d %v", r.StatusCode, r.Header)
	}
	if page := br.get("").body; !strings.Contains(page, `<html lang="ja">`) || !strings.Contains(page, `value="ja" lang="ja" formnovalidate aria-current="true"`) {
		t.Errorf("%s", page)
	}
	if r := br.get("?lang=xx"); r.StatusCode != http.StatusSeeOther || r.Header.Get("Set-Cookie") != "" {
		t.Errorf("%v", r.Header)
	}
}

// TestStorageAway: when the storage does not answer, the page and the API say so, and the operator
// learns why.
func TestStorageAway(t *testing.T) {
	b := newBed(t, bedOptions{})
	_, link := b.session(`{"organization":{"id":"o"}}`)
	br := b.open(link)
	for key := range b.storage.Values() {
		b.storage.Set(key, []byte("broken"))
	}
	r := br.get("")
	if r.StatusCode != 500 || !strings.Contains(r.body, "Something went wrong here") || r.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	if r := br.get("status"); r.StatusCode != 500 || !strings.Contains(r.body, "server_error") {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	if len(b.reports) == 0 {
		t.Error("the operator learns nothing")
	}
}
