package e2e_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
)

// trouble is a row of the walkthrough's troubleshooting: what is said where, by the document itself.
type trouble struct {
	title string
	said  map[string]string
}

var (
	troubleTitle = regexp.MustCompile(`(?m)^### (.+)$`)
	troubleText  = regexp.MustCompile("(?ms)^```text (\\w+)\n(.*?)\n```$")
	sessionBody  = regexp.MustCompile(`(?s)/connect/sessions .*? -d '(\{.*?\n\})'`)
)

// readWalkthrough returns the document and its troubles.
func readWalkthrough(t *testing.T) (string, []trouble) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "connect-walkthrough.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## When it does not work\n")
	var all []trouble
	at := troubleTitle.FindAllStringSubmatchIndex(section, -1)
	for i, m := range at {
		end := len(section)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		row := trouble{section[m[2]:m[3]], map[string]string{}}
		for _, s := range troubleText.FindAllStringSubmatch(section[m[1]:end], -1) {
			row.said[s[1]] = s[2]
		}
		all = append(all, row)
	}
	return string(text), all
}

// walkthroughSite has a vendor whose broker assumes roles, one whose helper does not know the key, one whose helper is where
// nobody listens; and calls with connections.
const walkthroughSite = `{
	aws_sigv4 {
		credentials broker static <broker-key> <broker-secret>
		connections {
			key {file.<dir>/seal-key}
			propagation_wait off
		}
		integration acme-s3 {
			display_name "Acme Analytics"
			service s3
			region <region>
			base_url <s3>
			allow_hosts <s3-host>
			sts credentials broker
		}
		integration refused {
			display_name "Acme Analytics"
			service s3
			region <region>
			sts helper http://<site>/sts/assume-role {
				principal ` + brokerARN + `
				probe
				api_key another-key-than-the-helper-knows
			}
		}
		integration away {
			display_name "Acme Analytics"
			service s3
			region <region>
			sts helper http://<nobody>/assume-role {
				principal ` + brokerARN + `
				probe
				api_key helper-key-of-32-letters-or-more
			}
		}
	}
}
http://<site> {
	handle_path /sts/* {
		aws_sts_helper {
			credentials broker
			api_key connect helper-key-of-32-letters-or-more {
				roles arn:aws:iam::*:role/sts-helper/*
			}
		}
	}
	` + callRoutes + `
	handle {
		aws_connect {
			api_key backend ` + connectKey + `
			return_urls https://example.com/
		}
	}
}
`

// TestConnectWalkthrough brings about each trouble that the walkthrough tells of, and finds what it says on the page, in the
// log, in the proxy's answer, or in what Caddy says of its configuration.
func TestConnectWalkthrough(t *testing.T) {
	text, troubles := readWalkthrough(t)
	body := sessionBody.FindStringSubmatch(text)
	if len(troubles) != 4 || body == nil {
		t.Fatalf("the walkthrough has the troubles %+v and the session %q", troubles, body)
	}
	b := newBed(t)
	key := make([]byte, 32)
	rand.Read(key)
	b.write("seal-key", []byte(base64.StdEncoding.EncodeToString(key)))
	// All that is wrong is in one configuration: just after a reload, a request may still reach what went before.
	site := strings.ReplaceAll(walkthroughSite, "<nobody>", freePort(t, "localhost"))
	b.runCaddy(site)

	// connect makes the session of the document, for an integration, and has the page verify a role that trusts the broker with
	// the External ID.
	connect := func(t *testing.T, integration, role, trust string) *customer {
		t.Helper()
		var made struct {
			Data struct {
				Link string `json:"connect_link"`
			}
		}
		b.api("POST", "/connect/sessions", strings.Replace(body[1], "acme-s3", integration, 1), 201, &made)
		c := b.follow(made.Data.Link)
		if trust == "" {
			trust = trustPolicy(brokerARN, c.read(shownExternalID))
		}
		if err := b.PutRole(standin.Role{ARN: role, TrustPolicy: trust, NoS3: true}); err != nil {
			t.Fatal(err)
		}
		// What fails at once is answered with the page, everything else with where it is shown.
		if r := c.submit(role, ""); r.status != 303 && r.status != 422 {
			t.Fatalf("the form: %v", r)
		}
		return c
	}
	// fails sees that a verification fails as the document says.
	fails := func(t *testing.T, row trouble, code string, c *customer) {
		t.Helper()
		c.wait("failed")
		page := html.UnescapeString(c.load("").body)
		if said := row.said["page"]; said == "" || !strings.Contains(page, said) || !strings.Contains(page, code) {
			t.Errorf("the page does not say %q with %q: %s", said, code, page)
		}
		message := strings.ReplaceAll(row.said["log"], "localhost:3055", b.site)
		if got := b.lastFailure(); message == "" || got.Code != code || !strings.Contains(got.Message, message) {
			t.Errorf("the log says %+v, want %q and %q", got, code, message)
		}
	}

	t.Run(troubles[0].title, func(t *testing.T) {
		fails(t, troubles[0], "helper_refused", connect(t, "refused", customerRole, ""))
	})
	t.Run(troubles[1].title, func(t *testing.T) {
		fails(t, troubles[1], "assume_role_denied", connect(t, "acme-s3", customerRole, trustPolicy(brokerARN, "another-external-id")))
	})
	t.Run(troubles[2].title, func(t *testing.T) {
		connect(t, "acme-s3", customerRole, "").wait("succeeded")
		said := troubles[2].said["proxy"]
		if said == "" {
			t.Error("the walkthrough does not say what the proxy answers")
		}
		b.do("GET", "/proxy/bucket?list-type=2", "", "Authorization: Bearer "+connectKey, "Provider-Config-Key: acme-s3", "Connection-Id: "+b.connected().ID).
			expect(t, "ListObjectsV2", 403, said)
	})
	t.Run(troubles[3].title, func(t *testing.T) {
		fails(t, troubles[3], "helper_unreachable", connect(t, "away", customerRole, ""))

		said := troubles[3].said["config"]
		docker := strings.Replace(site, "http://<site>/sts", "http://host.docker.internal:3055", 1)
		if _, err := b.adapt(docker); err == nil || said == "" || !strings.Contains(err.Error(), said) {
			t.Errorf("the configuration is refused with %v, want %q", err, said)
		}
		if _, err := b.adapt(strings.Replace(docker, "principal", "insecure\nprincipal", 1)); err != nil {
			t.Error(err)
		}
	})
}

// failedVerification is what the log says of one.
type failedVerification struct {
	Msg, Event, Code, Message string
}

// lastFailure is that of the verification that failed last.
func (b *bed) lastFailure() failedVerification {
	b.t.Helper()
	log, err := os.ReadFile(b.log)
	if err != nil {
		b.t.Fatal(err)
	}
	var last failedVerification
	for line := range strings.Lines(string(log)) {
		var m failedVerification
		if json.Unmarshal([]byte(line), &m) == nil && m.Msg == "connect" && m.Event == "verification_failed" {
			last = m
		}
	}
	return last
}
