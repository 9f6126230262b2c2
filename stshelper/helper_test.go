package stshelper_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/stshelper"
)

const (
	acmeSecret = "acme-secret-0123456789abcdef"
	umbSecret  = "umbrella-secret-0123456789abcdef"
	roSecret   = "container-secret-0123456789abcdef"

	acmeRole = "arn:aws:iam::123456789012:role/acme-reader"
	umbRole  = "arn:aws:iam::210987654321:role/umbrella-reader"
)

// TestMain keeps whatever this machine knows of AWS out of the tests.
func TestMain(m *testing.M) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			os.Unsetenv(name)
		}
	}
	none := filepath.Join(os.DevNull, "none")
	os.Setenv("AWS_CONFIG_FILE", none)
	os.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	os.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	os.Exit(m.Run())
}

// bed is a helper with a fake STS behind it.
type bed struct {
	*httptest.Server
	t   *testing.T
	sts *ststest.Server

	mu      sync.Mutex
	entries []stshelper.Entry
}

// newBed starts a helper. Its keys are acme and umbrella, each with roles and External IDs of its own,
// both with more than one secret, and ro, which has a role and no POST.
func newBed(t *testing.T, change func(*stshelper.Options)) *bed {
	t.Helper()
	b := &bed{t: t, sts: ststest.New(t, ststest.Key{ID: "AKIDBROKER", Secret: "broker-secret"})}
	t.Setenv("AWS_ENDPOINT_URL_STS", b.sts.URL)
	cache := credentials.NewCache(credentials.Options{})
	t.Cleanup(cache.Close)
	o := b.options(cache)
	if change != nil {
		change(&o)
	}
	h, err := stshelper.New(o)
	if err != nil {
		t.Fatal(err)
	}
	b.Server = httptest.NewServer(h)
	t.Cleanup(b.Server.Close)
	return b
}

func (b *bed) options(cache stshelper.Cache) stshelper.Options {
	return stshelper.Options{
		Broker:     broker("AKIDBROKER", "broker-secret"),
		BrokerName: "broker",
		Client:     sts.NewClient(sts.Config{}),
		Cache:      cache,
		Keys: []stshelper.Key{
			{
				Name: "acme", Secrets: []string{acmeSecret, "acme-older-0123456789abcdef"},
				Roles: []string{"arn:aws:iam::*:role/acme-*", "arn:aws-cn:iam::*:role/acme-*"}, ExternalIDs: []string{"acme:*", "acme-exact"},
			},
			{
				Name: "umbrella", User: "umbrella", Secrets: []string{umbSecret},
				Roles: []string{"arn:aws:iam::210987654321:role/umbrella-*", acmeRole},
			},
			{Name: "ro", Secrets: []string{roSecret}, Role: acmeRole, ExternalID: "acme:container"},
		},
		Audit: func(_ *http.Request, e stshelper.Entry) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.entries = append(b.entries, e)
		},
	}
}

func broker(id, secret string) credentials.Identity {
	v := sigv4.Credentials{AccessKeyID: id, SecretAccessKey: secret}
	return credentials.Identity{
		Key: credentials.NewKey("static", id, credentials.Sealed(secret)), Label: "static " + id, Local: true,
		Fetch: func(context.Context, *credentials.Credentials) (*credentials.Credentials, error) {
			return credentials.New(v, time.Time{}, time.Now()), nil
		},
	}
}

// audited returns the entries so far.
func (b *bed) audited() []stshelper.Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]stshelper.Entry(nil), b.entries...)
}

// lastAudited returns the entry of the last call.
func (b *bed) lastAudited() stshelper.Entry {
	b.t.Helper()
	all := b.audited()
	if len(all) == 0 {
		b.t.Fatal("nothing was audited")
	}
	return all[len(all)-1]
}

// reply is an answer of the helper.
type reply struct {
	status int
	header http.Header
	text   string
	json   map[string]any
}

// do sends a request with header lines `Name: value`.
func (b *bed) do(method, path, body string, lines ...string) reply {
	b.t.Helper()
	req, err := http.NewRequest(method, b.URL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Add(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	r := reply{status: res.StatusCode, header: res.Header, text: string(text)}
	_ = json.Unmarshal(text, &r.json)
	return r
}

const isJSON = "Content-Type: application/json"

// assume asks for a role with an API key.
func (b *bed) assume(secret, role, externalID, more string) reply {
	b.t.Helper()
	return b.do("POST", "/assume-role", `{"role_arn":"`+role+`","external_id":"`+externalID+`"`+more+`}`, isJSON, "X-Api-Key: "+secret)
}

func basic(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// expect checks status and some members of an answer: "" stands for one that is not there, and what follows a
// tilde for a part.
func (r reply) expect(t *testing.T, status int, members map[string]string) {
	t.Helper()
	if r.status != status {
		t.Errorf("got %d %s, want %d", r.status, r.text, status)
		return
	}
	for name, want := range members {
		got, _ := r.json[name].(string)
		if part, ok := strings.CutPrefix(want, "~"); got != want && (!ok || !strings.Contains(got, part)) {
			t.Errorf("%s is %q, want %q: %s", name, got, want, r.text)
		}
	}
	if got := r.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
}

// issued checks that an answer holds credentials, and returns their access key ID.
func (r reply) issued(t *testing.T) string {
	t.Helper()
	if r.status != http.StatusOK {
		t.Fatalf("got %d %s, want credentials", r.status, r.text)
	}
	id, _ := r.json["accessKeyId"].(string)
	if id == "" {
		id, _ = r.json["AccessKeyId"].(string)
	}
	if id == "" {
		t.Fatalf("no access key ID: %s", r.text)
	}
	return id
}

func failingFetch(err error) credentials.FetchFunc {
	return func(context.Context, *credentials.Credentials) (*credentials.Credentials, error) { return nil, err }
}
