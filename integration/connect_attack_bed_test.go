package integration_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

// otherSecret is the key of a program that may use another integration alone.
const otherSecret = "other-vendor-key-0123456789"

// attackedBed is a connectBed that is attacked. When the test ends, its logs, all at the level DEBUG, have
// to hold no secret, and nothing may have been assumed but what the test says.
type attackedBed struct {
	*connectBed
	secrets []string // besides those of the configuration
	victims []string // the roles that may be assumed, because their own customers connect them
}

// newAttackedBed starts a Caddy with two integrations, of which each has an API key, and no patience with
// roles that refuse.
func newAttackedBed(t *testing.T, p connectParts, change ...func(caddyfile string) string) *attackedBed {
	t.Helper()
	b := &attackedBed{connectBed: newConnectBed(t)}
	t.Setenv("OTHER_KEY", otherSecret)
	p.connections += "\npropagation_wait off"
	p.integration += "\n}\nintegration other-s3 {\nservice s3\nregion eu-west-1\nsts credentials broker"
	p.handler += "\napi_key other {env.OTHER_KEY} {\nscopes connect_sessions:write connections:list connections:read connections:read_credentials connections:update connections:delete\nintegrations other-s3\n}"
	config := b.caddyfile(p)
	for _, c := range change {
		config = c(config)
	}
	b.start(config)
	t.Cleanup(b.check)
	return b
}

func (b *attackedBed) check() {
	b.t.Helper()
	b.do("GET", "/the-end", "")
	waitFor(b.t, patience, func() bool { return strings.Contains(b.everything(), `"uri":"/the-end"`) }, "the last line of the access log")
	log := b.everything()
	for _, secret := range append(b.secrets, connectSecret, otherSecret, b.sealKey, "broker/secret+key", "issued-secret", "issued-token") {
		for _, spelled := range spellings(secret) {
			if at := strings.Index(log, spelled); at >= 0 {
				b.t.Errorf("the log holds %q: %s", spelled, log[max(0, at-300):min(len(log), at+100)])
			}
		}
	}
	for _, c := range b.aws.Calls() {
		role := c.Form.Get("RoleArn")
		b.mu.Lock()
		want, there := b.roles[role]
		b.mu.Unlock()
		if there && want == c.Form.Get("ExternalId") && !slices.Contains(b.victims, role) {
			b.t.Errorf("%s was assumed", role)
		}
	}
}

// invite makes a session, whose token is a secret, and follows its link.
func (b *attackedBed) invite(organization string) (*customer, string, string) {
	b.t.Helper()
	token, link := b.session(organization)
	b.secrets = append(b.secrets, token)
	c := b.follow(link)
	externalID := c.read(shownExternalID)
	b.secrets = append(b.secrets, externalID, c.read(shownFormToken))
	return c, token, externalID
}

// connect has a customer connect a role of theirs, and returns the connection's ID.
func (b *attackedBed) connect(c *customer, externalID, role string) string {
	b.t.Helper()
	b.victims = append(b.victims, role)
	b.makeRole(role, externalID)
	c.submit(role, "").expect(b.t, 303)
	c.wait("succeeded")
	var id string
	waitFor(b.t, patience, func() bool {
		lines, _ := b.told()
		for _, line := range lines {
			if line["event"] == "connection_created" && line["role_arn"] == role {
				id = line["connection"].(string)
			}
		}
		return id != ""
	}, "the connection in the audit")
	return id
}

// post sends a form as a browser on our own page does, unless lines say otherwise.
func (c *customer) post(path string, form url.Values, lines ...string) reply {
	c.b.t.Helper()
	if lines == nil {
		lines = []string{"Origin: http://" + c.b.addr(), "Sec-Fetch-Site: same-origin"}
	}
	return c.b.do("POST", c.page+path, form.Encode(), append(lines, "Cookie: "+c.cookie, "Content-Type: application/x-www-form-urlencoded", "Accept: text/html", "Accept-Language: en")...)
}

// calls counts the calls of AssumeRole.
func (b *attackedBed) calls() int {
	n := 0
	for _, c := range b.aws.Calls() {
		if c.Form.Get("Action") == "AssumeRole" {
			n++
		}
	}
	return n
}
