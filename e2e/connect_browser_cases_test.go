package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// pageCase is a way through the Connect page, and where it leads.
type pageCase struct {
	Name string `json:"name"`

	// Link is followed, Role and Region are typed; or first Mistake, which is thought better of while it is verified. Tamper has the form sent with fields that a customer can't have typed into
	// the page as it was loaded. Within is the page of another site that has it in a frame, which may be Refused.
	Link    string            `json:"link"`
	Role    string            `json:"role,omitempty"`
	Mistake string            `json:"mistake,omitempty"`
	Region  string            `json:"region,omitempty"`
	Tamper  map[string]string `json:"tamper,omitempty"`
	Within  string            `json:"within,omitempty"`
	Refused bool              `json:"refused,omitempty"`

	// Running is what the page says while the role is verified, "now" for nothing in particular.
	Running string `json:"running,omitempty"`

	JavaScript bool   `json:"javaScript"`
	Dark       bool   `json:"dark"`
	Phone      bool   `json:"phone"`
	Language   string `json:"language"`

	// Start has axe-core look at the first page, too; Habits tries it as in habits.mjs.
	Start  bool `json:"start"`
	Habits bool `json:"habits"`

	// role is made when the page has loaded, with the External ID that the page shows in place of <id>; then onPage is called.
	// onRunning is called while the role is verified.
	role              standin.Role
	onPage, onRunning func()

	// code is of the failure or of the page that ends it; "" stands for success.
	code string
	text string // what the page says besides
}

const (
	roles    = "arn:aws:iam::444455556666:role/sts-helper/"
	askForID = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + brokerARN + `"},"Action":"sts:AssumeRole",` +
		`"Condition":{"StringEquals":{"sts:ExternalId":"<id>"}}}]}`
)

// pageCases returns one case at least for each code that a customer can see.
func (b *bed) pageCases(javaScript bool, embedder string) []*pageCase {
	b.t.Helper()
	mode := map[bool]string{true: "with", false: "without"}[javaScript]
	customers := 0
	session := func(integration, more string) string {
		customers++
		return b.sessionOf("", integration, fmt.Sprintf("%s-%d", mode, customers), `"success":"http://localhost:3000/connected","error":"http://localhost:3000/failed"`, more)
	}
	acme := func() string { return session("acme-s3", "") }
	// role is one that is right, unless its trust policy says otherwise.
	role := func(name, trust string) standin.Role {
		return standin.Role{ARN: roles + name + "-" + mode, TrustPolicy: trust}
	}
	var all []*pageCase
	add := func(c *pageCase) {
		c.JavaScript, c.Dark, c.Phone = javaScript, len(all)%2 == 1, len(all)%4 >= 2
		if c.Role == "" {
			c.Role = c.role.ARN
		}
		if c.Language == "" {
			c.Language = "en"
		}
		all = append(all, c)
	}

	// What goes well.
	add(&pageCase{Name: "right", Link: acme(), role: role("Right", askForID), text: "asks for your External ID", Start: true})
	add(&pageCase{Name: "as it is used", Link: acme(), role: role("Used", askForID), Start: true, Habits: javaScript})

	template, err := os.ReadFile(filepath.Join("..", "examples", "sts-helper", "customer-role.json"))
	if err != nil {
		b.t.Fatal(err)
	}
	launching := b.own(func(o *connect.ServiceOptions, i *connect.Integration) {
		o.HTTPClient = &http.Client{Transport: s3Templates{template}}
		bucket := connect.Template{
			ID: "one", Label: "One bucket, read only", Description: "Acme Analytics lists the objects of one bucket and reads them.",
			URL: templateURL, Parameters: map[string]string{"BucketName": "reports"}, ExternalIDParameter: "ExternalId", PrincipalParameter: "BrokerArn",
		}
		other := bucket
		other.ID, other.Label, other.Parameters = "other", "A bucket that you name", nil
		lost := bucket
		lost.ID, lost.URL = "lost", "https://acme-templates.s3.eu-west-1.amazonaws.com/lost.json"
		i.Templates = []connect.Template{bucket, other, lost}
		i.Instructions = []connect.Instruction{
			{Label: "How to connect S3", URL: "https://docs.acme.example/s3", Description: "With pictures, in ten minutes."},
			{Label: "What we do with your data", URL: "https://docs.acme.example/privacy"},
		}
	})
	_, link := launching.session()
	add(&pageCase{Name: "templates to launch", Link: link, role: role("Launched", askForID), Start: true})

	// What is typed.
	add(&pageCase{Name: "no ARN of a role", Link: acme(), Role: "arn:aws:iam::444455556666:user/x", code: "invalid_role_arn"})
	add(&pageCase{Name: "no region", Link: acme(), Role: roles + "X", Region: "mars-1", code: "invalid_region"})
	add(&pageCase{Name: "a region that was taken off the list", Link: session("choosy", ""), Tamper: map[string]string{"role_arn": roles + "X", "region": "eu-central-1"}, Role: roles + "X", code: "region_not_allowed"})
	add(&pageCase{Name: "the vendor's account", Link: acme(), Role: "arn:aws:iam::111122223333:role/sts-helper/Own", code: "account_not_allowed"})
	add(&pageCase{Name: "a denied account", Link: acme(), Role: "arn:aws:iam::666677778888:role/sts-helper/Other", code: "account_not_allowed"})
	add(&pageCase{Name: "another partition", Link: acme(), Role: "arn:aws-cn:iam::444455556666:role/sts-helper/China", code: "partition_mismatch"})
	fixed := fmt.Sprintf(`,"prefill":{"role_arn":{"value":%q,"fixed":true}}`, roles+"Fixed")
	add(&pageCase{Name: "another role than the vendor's", Link: session("acme-s3", fixed), Tamper: map[string]string{"role_arn": roles + "Mine"}, Role: roles + "Fixed", code: "prefill_mismatch"})

	// The role.
	add(&pageCase{Name: "another External ID", Link: acme(), role: role("Another", strings.ReplaceAll(askForID, "<id>", "another-id")), code: "assume_role_denied"})
	add(&pageCase{Name: "not there", Link: acme(), Role: roles + "NotThere", code: "assume_role_denied"})
	add(&pageCase{Name: "no External ID", Link: acme(), role: role("Open", strings.ReplaceAll(askForID, "StringEquals", "StringEqualsIfExists")), code: "external_id_not_enforced"})
	add(&pageCase{Name: "a helper that may not probe", Link: session("unproven", ""), role: role("Unproven", askForID), code: "external_id_unproven"})
	add(&pageCase{Name: "no session tags", Link: session("tagging", ""), role: role("Untagged", askForID), code: "tag_session_denied"})
	add(&pageCase{Name: "short sessions", Link: session("lasting", ""), role: role("Short", askForID), code: "duration_too_long"})
	bound, boundLink := "bound-"+mode, b.sessionOf("", "acme-s3", "bound-"+mode, `"error":"http://localhost:3000/failed"`, "")
	c := b.follow(boundLink)
	b.customersRole(roles+bound, strings.ReplaceAll(askForID, "<id>", c.read(shownExternalID)))
	c.submit(roles+bound, b.Region())
	c.wait("succeeded")
	add(&pageCase{Name: "another account", Link: b.sessionOf("", "acme-s3", bound, "", ""), Role: "arn:aws:iam::999900001111:role/sts-helper/Right", code: "wrong_account"})
	other := b.own(nil)
	other.mode.assume = func(_ context.Context, in sts.AssumeRoleInput) (sts.AssumeRoleInput, error) {
		in.RoleARN, in.ExternalID = readerARN, externalID
		return in, nil
	}
	_, link = other.session()
	add(&pageCase{Name: "the credentials of another role", Link: link, Role: "arn:aws:iam::123456789012:role/Named", code: "identity_mismatch"})
	trying := b.own(func(_ *connect.ServiceOptions, i *connect.Integration) {
		i.TestCall = &connect.TestCall{Method: "GET", URL: b.S3TLS() + "/bucket?list-type=2", Status: 200}
	})
	_, link = trying.session()
	powerless := role("Powerless", askForID)
	powerless.NoS3 = true
	add(&pageCase{Name: "no permission", Link: link, role: powerless, code: "test_call_failed", text: "AccessDenied"})
	_, link = trying.session()
	add(&pageCase{Name: "permission", Link: link, role: role("Powerful", askForID)})
	patient := b.own(func(o *connect.ServiceOptions, _ *connect.Integration) { o.PropagationWait = time.Minute })
	known := make(chan struct{})
	patient.mode.assume = func(ctx context.Context, in sts.AssumeRoleInput) (sts.AssumeRoleInput, error) {
		select {
		case <-known:
			return in, nil
		default:
			return in, denied(ctx, patient.mode, in)
		}
	}
	_, link = patient.session()
	add(&pageCase{Name: "not there yet", Link: link, role: role("Late", askForID), Running: "attempt", onRunning: func() { close(known) }})
	sorry := b.own(nil)
	sorry.mode.assume = func(ctx context.Context, in sts.AssumeRoleInput) (sts.AssumeRoleInput, error) {
		if in.RoleARN == roles+"Mistake" {
			<-ctx.Done()
		}
		return in, ctx.Err()
	}
	_, link = sorry.session()
	add(&pageCase{Name: "a mistake", Link: link, Mistake: roles + "Mistake", role: role("Meant", askForID)})
	unsettled := b.own(nil)
	unsettled.mode.probe = &sts.ProbeResult{Outcome: sts.Unproven, Steps: []sts.ProbeStep{{Sent: "right", Answer: "denied", Code: "AccessDenied"}}}
	_, link = unsettled.session()
	add(&pageCase{Name: "there at one time and not at another", Link: link, role: role("Unsettled", askForID), code: "role_not_ready"})

	// The vendor's side, and AWS.
	away := role("Away", askForID)
	b.SetFault(away.ARN, standin.Unavailable)
	add(&pageCase{Name: "no STS", Link: acme(), role: away, code: "sts_unavailable"})
	add(&pageCase{Name: "no helper", Link: session("unreachable", ""), Role: roles + "X", code: "helper_unreachable"})
	add(&pageCase{Name: "a helper that refuses", Link: session("refused", ""), Role: roles + "X", code: "helper_refused"})
	add(&pageCase{Name: "no broker", Link: session("brokerless", ""), Role: roles + "X", code: "broker_unavailable"})
	broken := b.own(nil)
	_, link = broken.session()
	add(&pageCase{Name: "no storage", Link: link, Role: roles + "X", onPage: func() { broken.storage.broken.Store(true) }, code: "storage_unavailable"})
	damaged := b.own(nil)
	_, link = damaged.session()
	add(&pageCase{Name: "a damaged storage", Link: link, Role: roles + "X", code: "server_error", onPage: func() {
		for k := range damaged.storage.Values() {
			damaged.storage.Set(k, []byte("damaged"))
		}
	}})
	waitForEnd := func(ctx context.Context, in sts.AssumeRoleInput) (sts.AssumeRoleInput, error) {
		<-ctx.Done()
		return in, context.Cause(ctx)
	}
	stopped := b.own(nil)
	stopped.mode.assume = waitForEnd
	_, link = stopped.session()
	add(&pageCase{Name: "a server that is stopped", Link: link, Role: roles + "X", Running: "now", onRunning: stopped.service.Close, code: "interrupted"})
	full := b.own(func(o *connect.ServiceOptions, _ *connect.Integration) { o.MaxVerifications = 1 })
	full.mode.assume = waitForEnd
	hog, _ := full.session()
	_, link = full.session()
	add(&pageCase{Name: "too many at once", Link: link, Role: roles + "X", code: "busy", onPage: func() {
		if v, err := full.service.Submit(b.t.Context(), hog, roles+"X", ""); err != nil || v.State != connect.StateRunning {
			b.t.Errorf("%v %v", v, err)
		}
	}})
	tired := b.own(nil)
	tired.mode.assume = func(_ context.Context, in sts.AssumeRoleInput) (sts.AssumeRoleInput, error) {
		return in, errors.New("not today")
	}
	token, tiredLink := tired.session()
	for range 10 {
		v, err := tired.service.Submit(b.t.Context(), token, roles+"X", "")
		for ; err == nil && v.State == connect.StateRunning; time.Sleep(time.Millisecond) {
			v, err = tired.service.Verification(b.t.Context(), token)
		}
		if err != nil || v.Code == connect.CodeTooManyAttempts {
			b.t.Fatalf("%v %v", v, err)
		}
	}
	add(&pageCase{Name: "too often", Link: tiredLink, Role: roles + "X", code: "too_many_attempts"})

	// The session.
	replaced := b.own(nil)
	gate := make(chan struct{})
	replaced.mode.assume = func(_ context.Context, in sts.AssumeRoleInput) (sts.AssumeRoleInput, error) {
		<-gate
		return in, nil
	}
	_, link = replaced.session()
	add(&pageCase{Name: "another External ID meanwhile", Link: link, role: role("Replaced", askForID), Running: "now", code: "external_id_changed", onRunning: func() {
		if err := replaced.service.ReplaceExternalID(b.t.Context(), "acme-s3", connect.Organization{ID: "globex"}, connect.EndUser{}); err != nil {
			b.t.Error(err)
		}
		close(gate)
	}})
	late := b.own(nil)
	_, link = late.session()
	add(&pageCase{Name: "too late", Link: link, Role: roles + "X", onPage: func() { late.later.Store(int64(24 * time.Hour)) }, code: "session_expired"})
	// In frames. The browser is told to take no cookies of third parties but those that are kept apart.
	customers++
	framed := b.sessionOf("/framed", "acme-s3", fmt.Sprintf("%s-%d", mode, customers), "", "")
	add(&pageCase{Name: "in a frame", Link: framed, Within: embedder + "/?frame=" + url.QueryEscape(framed), role: role("Framed", askForID)})
	stranger := acme()
	add(&pageCase{Name: "in a frame of a stranger", Link: stranger, Within: embedder + "/?frame=" + url.QueryEscape(stranger), Refused: true})

	// What follows has no script in it, or differs in words alone.
	if !javaScript {
		return all
	}
	revoked := acme()
	u, err := url.Parse(revoked)
	if err != nil {
		b.t.Fatal(err)
	}
	b.do("DELETE", "/connect/session", "", "Authorization: Bearer "+u.Query().Get("session_token")).expect(b.t, "DELETE /connect/session", 204)
	add(&pageCase{Name: "withdrawn", Link: revoked, code: "session_revoked", text: "Back to Acme Analytics"})
	add(&pageCase{Name: "used", Link: boundLink, code: "session_used"})
	add(&pageCase{Name: "no link", Link: acme() + "x", code: "unknown_link"})
	add(&pageCase{Name: "no cookie", Link: "http://" + b.site + "/connect/s/0123456789abcdef/", code: "no_cookie"})
	add(&pageCase{Name: "another site's form", Link: acme(), Tamper: map[string]string{"form_token": "another"}, code: "forged"})
	add(&pageCase{Name: "a book", Link: acme(), Tamper: map[string]string{"role_arn": strings.Repeat("x", 20000)}, code: "too_large"})
	add(&pageCase{Name: "no page", Link: "http://" + b.site + "/connect/elsewhere", code: "not_found"})
	_, link = late.session()
	add(&pageCase{Name: "no HTTPS", Link: atAnotherHost(link), code: "https_required"})

	// In other languages.
	for _, lang := range []string{"de", "es", "fr", "ja"} {
		add(&pageCase{Name: lang, Language: lang, Link: acme(), role: role("Right-"+lang, askForID), Start: true})
		all[len(all)-1].Phone = true
		add(&pageCase{Name: lang + " denied", Language: lang, Link: acme(), Role: roles + "NotThere", code: "assume_role_denied"})
	}
	return all
}
