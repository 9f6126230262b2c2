package e2e_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
)

const (
	connectKey   = "vendor-key-of-32-letters-or-more"
	customerRole = "arn:aws:iam::444455556666:role/sts-helper/Analytics"
)

// connectSite is a Caddyfile with all of Connect in one Caddy: the vendor's broker, an STS helper that assumes roles with it,
// an integration, the API and the page.
const connectSite = `{
	aws_sigv4 {
		credentials broker static <broker-key> <broker-secret>
		connections {
			key {file.<dir>/seal-key}
			propagation_wait <propagation>
		}
		integration acme-s3 {
			display_name "Acme Analytics"
			service s3
			region <region>
			<sts>
			template reader {
				label "One bucket, read only"
				file ../examples/sts-helper/customer-role.json
				stack_name acme-analytics
				parameter BucketName bucket
				external_id_parameter ExternalId
				principal_parameter BrokerArn
			}
			instructions {
				label "How to connect S3"
				url https://docs.acme.example/s3
			}
			<integration>
		}
		<integrations>
	}
}
http://<site> {
	handle_path /sts/* {
		aws_sts_helper {
			credentials broker
			region <region>
			api_key connect helper-key-of-32-letters-or-more {
				roles arn:aws:iam::*:role/sts-helper/*
				probe
			}
			api_key unprobing another-key-of-32-letters-or-more {
				roles arn:aws:iam::*:role/sts-helper/*
			}
		}
	}
	<routes>
	handle {
		aws_connect {
			api_key backend vendor-key-of-32-letters-or-more {
				scopes connect_sessions:write connections:read connections:delete
			}
			return_urls http://localhost:3000/
		}
	}
}
`

// connectParts is what differs from test to test in connectSite: who assumes the roles, how long one that can't be assumed is
// tried again, what else the integration says, what other integrations there are, and what else the site does.
type connectParts struct{ sts, propagation, integration, integrations, routes string }

// Who assumes the customers' roles: Caddy itself with the broker's credentials, or an STS helper.
const (
	byBroker = "sts credentials broker"
	byHelper = `sts helper http://<site>/sts/assume-role {
				principal ` + brokerARN + `
				probe
				api_key helper-key-of-32-letters-or-more
			}`
)

func (p connectParts) caddyfile() string {
	return strings.NewReplacer(
		"<sts>", p.sts, "<propagation>", p.propagation, "<integration>", p.integration, "<integrations>", p.integrations, "<routes>", p.routes,
	).Replace(connectSite)
}

// connectTo runs a Caddyfile of connectSite until the test ends.
func (b *bed) connectTo(p connectParts) {
	b.t.Helper()
	key := make([]byte, 32)
	rand.Read(key)
	b.write("seal-key", []byte(base64.StdEncoding.EncodeToString(key)))
	b.runCaddy(p.caddyfile())
}

// api calls the API of Connect, and reads its answer.
func (b *bed) api(method, path, body string, status int, into any) {
	b.t.Helper()
	r := b.do(method, path, body, "Authorization: Bearer "+connectKey, "Content-Type: application/json")
	r.expect(b.t, method+" "+path, status)
	if into == nil {
		return
	}
	if err := json.Unmarshal([]byte(r.body), into); err != nil {
		b.t.Fatalf("%s %s: %v in %v", method, path, err, r)
	}
}

// session makes a connect session for an organization, and returns its link.
func (b *bed) session(organization string) string {
	b.t.Helper()
	return b.sessionOf("", "acme-s3", organization, `"success":"http://localhost:3000/connected"`, "")
}

// sessionOf makes a connect session of an integration below a path, with return URLs and what else its body says.
func (b *bed) sessionOf(path, integration, organization, returnURLs, more string) string {
	b.t.Helper()
	var made struct {
		Data struct {
			Link string `json:"connect_link"`
		}
	}
	b.api("POST", path+"/connect/sessions", fmt.Sprintf(`{"allowed_integrations":[%q],"organization":{"id":%q},"return_urls":{%s}%s}`,
		integration, organization, returnURLs, more), 201, &made)
	return made.Data.Link
}

// customer is a browser without JavaScript that has followed a link.
type customer struct {
	*bed
	page, cookie string
}

// follow opens a link.
func (b *bed) follow(link string) *customer {
	b.t.Helper()
	u, err := url.Parse(link)
	if err != nil || u.Host != b.site {
		b.t.Fatalf("the link is %q: %v", link, err)
	}
	r := b.do("GET", u.RequestURI(), "")
	r.expect(b.t, "the link", 303)
	to, err := u.Parse(r.header.Get("Location"))
	if err != nil || to.RawQuery != "" {
		b.t.Fatalf("the link leads to %v: %v", to, err)
	}
	cookie, _, _ := strings.Cut(r.header.Get("Set-Cookie"), ";")
	return &customer{b, to.Path, cookie}
}

func (c *customer) load(path string) reply {
	c.t.Helper()
	return c.do("GET", c.page+path, "", "Cookie: "+c.cookie, "Accept: text/html", "Accept-Language: en")
}

var (
	shownExternalID = regexp.MustCompile(`<code id="external-id">([^<]+)</code>`)
	shownPrincipal  = regexp.MustCompile(`<code id="principal">([^<]+)</code>`)
	shownPolicy     = regexp.MustCompile(`(?s)<pre id="policy"><code>(.*?)</code></pre>`)
	shownFormToken  = regexp.MustCompile(`name="form_token" value="([^"]+)"`)
)

// read returns what a pattern finds in the page.
func (c *customer) read(pattern *regexp.Regexp) string {
	c.t.Helper()
	r := c.load("")
	m := pattern.FindStringSubmatch(r.body)
	if m == nil {
		c.t.Fatalf("%v is not in %d %s", pattern, r.status, r.body)
	}
	return html.UnescapeString(m[1])
}

// submit sends the form.
func (c *customer) submit(role, region string) reply {
	c.t.Helper()
	form := url.Values{"form_token": {c.read(shownFormToken)}, "role_arn": {role}, "region": {region}}
	return c.do("POST", c.page, form.Encode(), "Cookie: "+c.cookie, "Origin: http://"+c.site, "Sec-Fetch-Site: same-origin",
		"Content-Type: application/x-www-form-urlencoded", "Accept: text/html", "Accept-Language: en")
}

// wait waits for the verification to end so.
func (c *customer) wait(state string) {
	c.t.Helper()
	got := ""
	for end := time.Now().Add(patience); got != state && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var v struct{ State string }
		if r := c.load("status"); json.Unmarshal([]byte(r.body), &v) != nil {
			c.t.Fatalf("status: %v", r)
		}
		if got = v.State; got == "failed" && got != state {
			c.t.Fatalf("the verification has failed: %s", c.load("").body)
		}
	}
	if got != state {
		c.t.Fatalf("the verification is %s, want %s", got, state)
	}
}

// trustPolicy is what a customer's role has to have.
func trustPolicy(principal, externalID string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":%q},"Action":"sts:AssumeRole",`+
		`"Condition":{"StringEquals":{"sts:ExternalId":%q}}}]}`, principal, externalID)
}

// customersRole makes the customer's role, or changes its trust policy.
func (b *bed) customersRole(arn, policy string) {
	b.t.Helper()
	if err := b.PutRole(standin.Role{ARN: arn, TrustPolicy: policy}); err != nil {
		b.t.Fatal(err)
	}
}

// connection is what the API tells of one.
type connection struct {
	ID          string `json:"connection_id"`
	Integration string `json:"provider_config_key"`
	Account     string `json:"account"`
	Probe       string `json:"external_id_probe"`
	Config      struct {
		RoleARN    string `json:"role_arn"`
		ExternalID string `json:"external_id"`
		Region     string `json:"region"`
	} `json:"connection_config"`
}

// connected is the connection that was made last, whose ID the log tells.
func (b *bed) connected() connection {
	b.t.Helper()
	log, err := os.ReadFile(b.log)
	if err != nil {
		b.t.Fatal(err)
	}
	id := ""
	for line := range strings.Lines(string(log)) {
		var m struct{ Msg, Event, Connection string }
		if json.Unmarshal([]byte(line), &m) == nil && m.Msg == "connect" && m.Event == "connection_created" {
			id = m.Connection
		}
	}
	var c connection
	b.api("GET", "/connections/"+id, "", 200, &c)
	return c
}
