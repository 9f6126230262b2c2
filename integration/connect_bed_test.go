package integration_test

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"html"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

const (
	connectSecret = "vendor-key-0123456789abcdef"
	customerRole  = "arn:aws:iam::444455556666:role/customer/Acme"
)

// connectBed is a Caddy that customers connect their roles with, and an AWS in which roles ask for their
// External ID.
type connectBed struct {
	*server
	aws                      *ststest.Server
	sealKey                  string
	storage, access, keyFile string

	mu    sync.Mutex
	roles map[string]string // External IDs by role
}

// connectParts are what a test puts into the Caddyfile of a bed.
type connectParts struct {
	before      string // in the global options
	connections string
	integration string
	sts         string // in place of the broker's credentials
	handler     string // in the block of aws_connect
	wrap        string // a block around aws_connect
	after       string // more sites
}

// newConnectBed starts neither; see caddyfile and start.
func newConnectBed(t *testing.T) *connectBed {
	t.Helper()
	b := &connectBed{roles: map[string]string{}, storage: tempDir(t), server: &server{t: t, level: "DEBUG"}}
	b.aws = ststest.New(t, ststest.Key{ID: "AKIDBROKER", Secret: "broker/secret+key"})
	b.aws.Answer(b.answer)
	t.Setenv("AWS_ENDPOINT_URL_STS", b.aws.URL)
	random := make([]byte, 32)
	rand.Read(random)
	b.sealKey = base64.StdEncoding.EncodeToString(random)
	b.keyFile = filepath.Join(b.storage, "seal-key")
	if err := os.WriteFile(b.keyFile, []byte(b.sealKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.access = filepath.Join(tempDir(t), "access.log")
	t.Setenv("CONNECT_KEY", connectSecret)
	return b
}

// caddyfile returns the bed's, with all that Caddy can log.
func (b *connectBed) caddyfile(p connectParts) string {
	handler := "aws_connect {\napi_key backend {env.CONNECT_KEY} {\nscopes connect_sessions:write connections:read connections:delete\n}\n" + p.handler + "\n}\n"
	if p.wrap != "" {
		handler = p.wrap + " {\n" + handler + "}\n"
	}
	return "{\ndebug\nservers {\ntrace\n}\nlog {\nlevel DEBUG\n}\nstorage file_system " + b.storage + "/data\n" + p.before +
		"\naws_sigv4 {\ncredentials broker " + brokerSource + "\nconnections {\nkey {file." + b.keyFile + "}\n" + p.connections + "\n}\n" +
		"integration acme-s3 {\ndisplay_name \"Acme Analytics\"\nservice s3\nregion eu-west-1\n" + cmp.Or(p.sts, "sts credentials broker") + "\n" + p.integration + "\n}\n}\n}\n" +
		"http://<site> {\nlog {\noutput file " + b.access + "\n}\n" + handler + "}\n" + p.after
}

// answer is AWS's.
func (b *connectBed) answer(c ststest.Call) ststest.Answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	role := c.Form.Get("RoleArn")
	if want, ok := b.roles[role]; c.Form.Get("Action") != "AssumeRole" || ok && want == c.Form.Get("ExternalId") {
		return ststest.Answer{}
	}
	return ststest.Answer{
		Status: http.StatusForbidden, Code: "AccessDenied",
		Message: "User: arn:aws:iam::111122223333:user/AKIDBROKER is not authorized to perform: sts:AssumeRole on resource: " + role,
	}
}

// makeRole makes a customer's role that asks for an External ID.
func (b *connectBed) makeRole(arn, externalID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roles[arn] = externalID
}

// assumed counts the calls of AssumeRole for a role.
func (b *connectBed) assumed(arn string) int {
	n := 0
	for _, c := range b.aws.Calls() {
		if c.Form.Get("RoleArn") == arn {
			n++
		}
	}
	return n
}

// api calls the API with the vendor's key.
func (b *connectBed) api(method, path, body string) reply {
	b.t.Helper()
	return b.do(method, path, body, jsonType, "Authorization: Bearer "+connectSecret)
}

// session makes a connect session for an organization.
func (b *connectBed) session(organization string) (token, link string) {
	b.t.Helper()
	r := b.api("POST", "/connect/sessions", `{"allowed_integrations":["acme-s3"],"organization":{"id":"`+organization+`","display_name":"The `+organization+` company"}}`)
	r.expect(b.t, 201)
	var made struct {
		Data struct {
			Token string
			Link  string `json:"connect_link"`
		}
	}
	if err := json.Unmarshal([]byte(r.body), &made); err != nil || made.Data.Token == "" {
		b.t.Fatalf("%v in %s", err, r.body)
	}
	return made.Data.Token, made.Data.Link
}

// customer is a browser without JavaScript that has followed a link.
type customer struct {
	b            *connectBed
	page, cookie string
}

// follow opens a link as a customer does.
func (b *connectBed) follow(link string) *customer {
	b.t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		b.t.Fatal(err)
	}
	r := b.get(u.RequestURI())
	r.expect(b.t, 303)
	to, err := u.Parse(r.header.Get("Location"))
	if err != nil {
		b.t.Fatal(err)
	}
	cookie, attributes, _ := strings.Cut(r.header.Get("Set-Cookie"), ";")
	if to.RawQuery != "" || !strings.HasPrefix(cookie, "__Host-") || !strings.Contains(attributes, "Secure") || !strings.Contains(attributes, "HttpOnly") {
		b.t.Errorf("the link leads to %s with the cookie's attributes %s", to, attributes)
	}
	return &customer{b, to.Path, cookie}
}

func (c *customer) get(path string) reply {
	c.b.t.Helper()
	return c.b.get(c.page+path, "Cookie: "+c.cookie, "Accept: text/html", "Accept-Language: en")
}

var (
	shownExternalID = regexp.MustCompile(`<code id="external-id">([^<]+)</code>`)
	shownFormToken  = regexp.MustCompile(`name="form_token" value="([^"]+)"`)
)

// read returns what a pattern finds in the page.
func (c *customer) read(pattern *regexp.Regexp) string {
	c.b.t.Helper()
	r := c.get("")
	m := pattern.FindStringSubmatch(r.body)
	if m == nil {
		c.b.t.Fatalf("%v is not in %v", pattern, r)
	}
	return html.UnescapeString(m[1])
}

// submit sends the form.
func (c *customer) submit(role, region string) reply {
	c.b.t.Helper()
	form := url.Values{"form_token": {c.read(shownFormToken)}, "role_arn": {role}, "region": {region}}
	return c.b.do("POST", c.page, form.Encode(), "Cookie: "+c.cookie, "Origin: http://"+c.b.addr(), "Sec-Fetch-Site: same-origin",
		"Content-Type: application/x-www-form-urlencoded", "Accept: text/html", "Accept-Language: en")
}

// state is that of the verification.
func (c *customer) state() string {
	c.b.t.Helper()
	var v struct{ State string }
	r := c.get("status")
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		c.b.t.Fatalf("%v in %v", err, r)
	}
	return v.State
}

func (c *customer) wait(state string) {
	c.b.t.Helper()
	waitFor(c.b.t, patience, func() bool { return c.state() == state }, "the verification to have %s", state)
}

// told returns the audit lines so far.
func (b *connectBed) told() (lines []map[string]any, events []string) {
	for line := range strings.Lines(b.logged()) {
		var m map[string]any
		if json.Unmarshal([]byte(line), &m) == nil && m["msg"] == "connect" && m["event"] != nil {
			lines = append(lines, m)
			events = append(events, m["event"].(string))
		}
	}
	return lines, events
}

// toldOf returns the audited events when there are so many.
func (b *connectBed) toldOf(n int) (events []string) {
	b.t.Helper()
	waitFor(b.t, patience, func() bool { _, events = b.told(); return len(events) >= n }, "%d audited events", n)
	return events
}

// everything is all that Caddy has logged.
func (b *connectBed) everything() string {
	b.t.Helper()
	access, err := os.ReadFile(b.access)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.logged() + string(access)
}

// stored is all that is in the storage, names of files included.
func (b *connectBed) stored() string {
	b.t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(filepath.Join(b.storage, "data"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		all.WriteString(path + "\n" + string(data) + "\n")
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return all.String()
}

// settle waits until nothing is written any more, so that the test can end.
func (b *connectBed) settle() { time.Sleep(50 * time.Millisecond) }
