package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestConnectInFull goes the whole way in one Caddy, with an AWS that holds roles to their trust policies: the vendor's backend
// makes a session, the customer follows its link, makes the role that the page asks for and names it, the role is verified
// and proven, and S3 is read with it until the customer takes it back.
func TestConnectInFull(t *testing.T) {
	for name, mode := range map[string]struct{ sts, role string }{
		"broker": {byBroker, `assume_role %s {
			from broker
			external_id %s
		}`},
		"helper": {byHelper, `sts_helper http://<site>/sts/assume-role {
			role_arn %s
			external_id %s
			region <region>
			service s3
			api_key helper-key-of-32-letters-or-more
		}`},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.connectTo(connectParts{sts: mode.sts, propagation: "30s"})
			link := b.session("globex")
			c := b.follow(link)
			externalID := c.read(shownExternalID)
			if principal := c.read(shownPrincipal); principal != brokerARN || len(externalID) < 26 {
				t.Errorf("to be trusted: %s with %q", principal, externalID)
			}
			c.load("").expect(t, "the page", 200, "Acme Analytics", "One bucket, read only", "s3:ListBucket", "https://docs.acme.example/s3")
			// The trust policy is the one that the page shows to those who make the role by hand.
			policy := c.read(shownPolicy)
			c.load("template/reader").expect(t, "the template", 200, "AWSTemplateFormatVersion")

			// The customer is too fast: the role is not there yet, and is tried again.
			before := len(b.Calls())
			c.submit(customerRole, b.Region()).expect(t, "the form", http.StatusSeeOther)
			waitFor(t, patience, "a first attempt", func() bool { return len(b.Calls()) > before })
			c.load("").expect(t, "the page while the role is verified", 200, customerRole)
			b.customersRole(customerRole, policy)
			c.wait("succeeded")
			c.load("").expect(t, "the page", 200, customerRole, "444455556666", "asks for your External ID", "http://localhost:3000/connected")
			b.do("GET", strings.TrimPrefix(link, "http://"+b.site), "").expect(t, "the link again", http.StatusGone)

			made := b.connected()
			config := made.Config
			if made.Integration != "acme-s3" || made.Probe != "proven" || made.Account != "444455556666" || config.RoleARN != customerRole ||
				config.ExternalID != externalID || config.Region != b.Region() {
				t.Errorf("the connection is %+v", made)
			}

			// The vendor's programs call S3 with the connection's role.
			if _, err := b.direct.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: aws.String("bucket"), Key: aws.String("reports/1"), Body: strings.NewReader("one"),
			}); err != nil {
				t.Fatal(err)
			}
			if err := b.load(connectParts{sts: mode.sts, propagation: "30s", routes: `handle /bucket* {
		aws_sigv4 <s3> {
			service s3
			region <region>
			credentials ` + fmt.Sprintf(mode.role, config.RoleARN, config.ExternalID) + `
		}
	}`}.caddyfile()); err != nil {
				t.Fatal(err)
			}
			b.do("GET", "/bucket?list-type=2", "").expect(t, "ListObjectsV2", 200, "<Key>reports/1</Key>")
			b.do("GET", "/bucket/reports/1", "").expect(t, "GetObject", 200, "one")

			// The customer takes it back: what was handed out ends at once, and nothing more is handed out.
			b.customersRole(customerRole, trustPolicy("arn:aws:iam::444455556666:root", externalID))
			b.RevokeSessions(customerRole)
			sessions := len(b.Sessions(customerRole))
			b.do("GET", "/bucket/reports/1", "").expect(t, "GetObject with a session that was revoked", 403, "AccessDenied")
			b.ExpireSessions(customerRole)
			b.do("GET", "/bucket/reports/1", "").expect(t, "GetObject with a session that has ended", 400, "ExpiredToken")
			b.do("GET", "/bucket?list-type=2", "").expect(t, "ListObjectsV2 without a new session", 400, "ExpiredToken")
			if n := len(b.Sessions(customerRole)) - sessions; n != 0 {
				t.Errorf("the role was assumed %d times after it was taken back", n)
			}
		})
	}
}
