package web

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/seal"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

const (
	brokerSecret = "broker-secret-access-key-0123456789abcdef"
	apiKey       = "vendor-key-0123456789abcdef"
	otherKey     = "other-key-0123456789abcdef0" // of the integration other-s3 alone
	customerRole = "arn:aws:iam::444455556666:role/Customer"
)

// bed is a handler on a real service, with an AWS in which roles ask for an External ID.
type bed struct {
	t       testing.TB
	handler *Handler
	service *connect.Service
	aws     *ststest.Server
	server  *httptest.Server
	storage *storetest.Memory
	cache   *credentials.Cache

	mu      sync.Mutex
	roles   map[string]string // External IDs by role
	answer  func(ststest.Call) ststest.Answer
	now     time.Time
	reports []string
	events  []connect.AuditEvent
}

type bedOptions struct {
	integration func(*connect.Integration)
	service     func(*connect.ServiceOptions)
	options     func(*Options)
}

func newBed(t testing.TB, o bedOptions) *bed {
	t.Helper()
	b := &bed{t: t, storage: &storetest.Memory{}, roles: map[string]string{}, now: time.Now()}
	b.aws = ststest.New(t, ststest.Key{ID: "AKIABROKER", Secret: brokerSecret})
	b.aws.Answer(b.sts)
	cache := credentials.NewCache(credentials.Options{})
	t.Cleanup(cache.Close)
	b.cache = cache
	client := sts.NewClient(sts.Config{AttemptTimeout: 2 * time.Second})
	mode, err := connect.NewBrokerMode(connect.BrokerOptions{
		Client: client, Cache: cache, Name: "broker", STS: sts.Where{Region: "us-east-1", Endpoint: b.aws.URL},
		Broker: credentials.Identity{
			Key: "broker", Label: "broker", Local: true,
			Fetch: func(context.Context, *credentials.Credentials) (*credentials.Credentials, error) {
				return credentials.New(sigv4.Credentials{AccessKeyID: "AKIABROKER", SecretAccessKey: brokerSecret}, time.Time{}, time.Now()), nil
			},
		},
	})
	b.must(err)
	integration := connect.Integration{Key: "acme-s3", DisplayName: "Acme Reports", Service: "s3", Region: "eu-west-1"}
	if o.integration != nil {
		o.integration(&integration)
	}
	service := connect.ServiceOptions{
		Store: b.store(), STS: client, Clock: b.clock, PropagationWait: -1, Report: b.report,
		Integrations: map[string]*connect.Configured{
			"acme-s3":  {Integration: integration, Mode: mode},
			"other-s3": {Integration: connect.Integration{Key: "other-s3", Service: "s3"}, Mode: mode},
		},
		Audit: func(e connect.AuditEvent) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.events = append(b.events, e)
		},
	}
	if o.service != nil {
		o.service(&service)
	}
	b.service, err = connect.NewService(service)
	b.must(err)
	t.Cleanup(b.service.Close)
	returns, err := connect.ParseReturnList([]string{"https://app.example.com/aws/"})
	b.must(err)
	options := Options{
		Service: b.service, ReturnURLs: returns, Report: b.report,
		Keys: []Key{
			{Name: "vendor", Secrets: []string{apiKey}, Scopes: Scopes(), Integrations: []string{"acme-s3"}},
			{Name: "other", Secrets: []string{otherKey}, Scopes: Scopes(), Integrations: []string{"other-s3"}},
			{Name: "reader", Secrets: []string{"reader-key-0123456789abcdef"}, Scopes: []Scope{ScopeRead}},
		},
	}
	if o.options != nil {
		o.options(&options)
	}
	b.handler, err = New(options)
	b.must(err)
	b.server = httptest.NewServer(b.handler)
	t.Cleanup(b.server.Close)
	return b
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) store() *connect.Store {
	b.t.Helper()
	key, err := seal.ParseKey(base64.StdEncoding.EncodeToString([]byte("0123456789abcdefghijklmnopqrstuv")))
	b.must(err)
	ring, err := seal.NewRing(key)
	b.must(err)
	s, err := connect.Open(b.storage, ring, connect.Options{Clock: b.clock, Report: b.report})
	b.must(err)
	return s
}

func (b *bed) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bed) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func (b *bed) report(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reports = append(b.reports, err.Error())
}

// sts answers as roles do that ask for their External ID.
func (b *bed) sts(c ststest.Call) ststest.Answer {
	b.mu.Lock()
	answer := b.answer
	want, ok := b.roles[c.Form.Get("RoleArn")]
	b.mu.Unlock()
	if answer != nil {
		return answer(c)
	}
	if c.Form.Get("Action") != "AssumeRole" || ok && want == c.Form.Get("ExternalId") {
		return ststest.Answer{}
	}
	return ststest.Answer{
		Status: http.StatusForbidden, Code: "AccessDenied",
		Message: "User: arn:aws:iam::111122223333:user/AKIABROKER is not authorized to perform: sts:AssumeRole on resource: " + c.Form.Get("RoleArn"),
	}
}

// role makes a customer's role.
func (b *bed) role(arn, externalID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roles[arn] = externalID
}

// reply is an answer that was read.
type reply struct {
	*http.Response
	body string
}

func (r *reply) json(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(r.body), &m); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	return m
}

// do sends a request and reads the answer. Redirects are not followed.
func (b *bed) do(client *http.Client, req *http.Request) *reply {
	b.t.Helper()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Do(req)
	b.must(err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	b.must(err)
	checkDocumented(b.t, req, res.StatusCode)
	return &reply{res, string(data)}
}

func (b *bed) request(method, to, body string, header ...string) *http.Request {
	b.t.Helper()
	if strings.HasPrefix(to, "/") {
		to = b.server.URL + to
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, to, strings.NewReader(body))
	b.must(err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return req
}

// api calls the API with a secret.
func (b *bed) api(secret, method, path, body string) *reply {
	b.t.Helper()
	req := b.request(method, path, body, "Content-Type", "application/json")
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	return b.do(&http.Client{}, req)
}

// session makes a session by the API, and returns its token and link.
func (b *bed) session(body string) (token, link string) {
	b.t.Helper()
	r := b.api(apiKey, "POST", "/connect/sessions", body)
	if r.StatusCode != http.StatusCreated {
		b.t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	data, _ := r.json(b.t)["data"].(map[string]any)
	token, _ = data["token"].(string)
	link, _ = data["connect_link"].(string)
	return token, link
}

// browser is a customer's browser.
type browser struct {
	b    *bed
	c    *http.Client
	page string // the URL of the session's page
	lang string
}

// open follows a link.
func (b *bed) open(link string) *browser {
	b.t.Helper()
	jar := &plainJar{cookies: map[string]*http.Cookie{}}
	br := &browser{b: b, c: &http.Client{Jar: jar}, lang: "en"}
	r := br.get(link)
	if r.StatusCode != http.StatusSeeOther {
		b.t.Fatalf("the link answers %d %s", r.StatusCode, r.body)
	}
	to, err := r.Location()
	b.must(err)
	br.page = to.String()
	return br
}

func (br *browser) get(to string) *reply {
	br.b.t.Helper()
	if !strings.Contains(to, "://") && !strings.HasPrefix(to, "/") {
		to = br.page + to
	}
	return br.b.do(br.c, br.b.request("GET", to, "", "Accept-Language", br.lang, "Accept", "text/html"))
}

var formTokenOf = regexp.MustCompile(`name="form_token" value="([^"]*)"`)

// post sends a form as the page does.
func (br *browser) post(to string, form url.Values, header ...string) *reply {
	br.b.t.Helper()
	if form == nil {
		form = url.Values{}
	}
	if !form.Has("form_token") {
		if m := formTokenOf.FindStringSubmatch(br.get("").body); m != nil {
			form.Set("form_token", m[1])
		}
	}
	if header == nil {
		header = []string{"Sec-Fetch-Site", "same-origin", "Origin", br.b.server.URL}
	}
	req := br.b.request("POST", br.page+to, form.Encode(), append(header, "Content-Type", "application/x-www-form-urlencoded", "Accept-Language", br.lang, "Accept", "text/html")...)
	return br.b.do(br.c, req)
}

// submit sends the form, and waits for the end of the verification.
func (br *browser) submit(role, region string) *reply {
	br.b.t.Helper()
	r := br.post("", url.Values{"role_arn": {role}, "region": {region}})
	if r.StatusCode != http.StatusSeeOther {
		return r
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if br.get("status").json(br.b.t)["state"] != "running" {
			return br.get("")
		}
	}
	br.b.t.Fatal("the verification does not end")
	return nil
}

var externalIDOf = regexp.MustCompile(`<code id="external-id">([^<]*)</code>`)

// externalID reads the External ID from the page.
func (br *browser) externalID() string {
	br.b.t.Helper()
	m := externalIDOf.FindStringSubmatch(br.get("").body)
	if m == nil {
		br.b.t.Fatal("the page shows no External ID")
	}
	return m[1]
}

// plainJar keeps cookies also if they are Secure, as browsers do for their own machine.
type plainJar struct {
	mu      sync.Mutex
	cookies map[string]*http.Cookie
}

func (j *plainJar) SetCookies(_ *url.URL, cookies []*http.Cookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range cookies {
		if c.MaxAge < 0 {
			delete(j.cookies, c.Name)
			continue
		}
		j.cookies[c.Name] = c
	}
}

func (j *plainJar) Cookies(*url.URL) []*http.Cookie {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []*http.Cookie
	for _, c := range j.cookies {
		all = append(all, &http.Cookie{Name: c.Name, Value: c.Value})
	}
	return all
}
