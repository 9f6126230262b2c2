package e2e_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// callRoutes make calls on behalf of customers, below /proxy, with the headers that clients of Nango send.
const callRoutes = `handle /proxy/* {
		aws_sigv4 connection {
			id {header.connection-id}
			integration {header.provider-config-key}
			api_key backend vendor-key-of-32-letters-or-more
			strip_prefix /proxy
			insecure
		}
	}`

// TestCallsOnACustomersBehalf: the vendor's program lists and reads a customer's bucket, and stores in it, by the
// connection's ID alone; when the customer takes the role back, it stops.
func TestCallsOnACustomersBehalf(t *testing.T) {
	b := newBed(t)
	b.connectTo(connectParts{sts: byBroker, propagation: "30s", integration: "base_url <s3>\n\t\t\tallow_hosts <s3-host>", routes: callRoutes})
	c := b.follow(b.session("globex"))
	externalID := c.read(shownExternalID)
	b.customersRole(customerRole, c.read(shownPolicy))
	c.submit(customerRole, b.Region()).expect(t, "the form", 303)
	c.wait("succeeded")
	if _, err := b.direct.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("bucket"), Key: aws.String("reports/one & two"), Body: strings.NewReader("one"),
	}); err != nil {
		t.Fatal(err)
	}
	id := b.connected().ID
	call := func(method, target, body string, more ...string) reply {
		t.Helper()
		return b.do(method, "/proxy"+target, body, append([]string{
			"Authorization: Bearer " + connectKey, "Connection-Id: " + id, "Provider-Config-Key: acme-s3", "Base-Url-Override: ",
		}, more...)...)
	}
	call("GET", "/bucket?list-type=2&prefix=reports%2F", "").expect(t, "ListObjectsV2", 200, "<Key>reports/one &amp; two</Key>")
	call("GET", "/bucket/reports/one%20%26%20two", "", "Nango-Proxy-Range: bytes=1-2").expect(t, "GetObject", 206, "ne")
	call("PUT", "/bucket/large", strings.Repeat("x", 3<<20), "Content-Type: text/csv", "Nango-Proxy-X-Amz-Meta-Team: search").expect(t, "PutObject", 200)
	r := call("HEAD", "/bucket/large", "")
	r.expect(t, "HeadObject", 200)
	if r.header.Get("Content-Type") != "text/csv" || r.header.Get("X-Amz-Meta-Team") != "search" || r.header.Get("Content-Length") != "3145728" {
		t.Errorf("the object has %v", r.header)
	}
	call("GET", "/bucket/missing", "").expect(t, "GetObject of none", 404, "<Code>NoSuchKey</Code>")
	call("GET", "/bucket/${secret_access_key}", "").expect(t, "GetObject of a template", 404, "<Code>NoSuchKey</Code>")

	b.customersRole(customerRole, trustPolicy("arn:aws:iam::444455556666:root", externalID))
	b.ExpireSessions(customerRole)
	call("GET", "/bucket/large", "", "Retries: 2").expect(t, "GetObject with a session that has ended", 400, "ExpiredToken")
	call("GET", "/bucket/large", "").expect(t, "GetObject without a new session", 400, "ExpiredToken")
}
