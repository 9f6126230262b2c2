package e2e_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// bed is a stand-in for AWS, and perhaps a Caddy in front of it.
type bed struct {
	*standin.Standin
	t   *testing.T
	dir string

	broker standin.User

	// direct is a client of the stand-in's S3 itself: what the proxy stored is seen by somebody who does not go through it.
	direct *s3.Client

	site, tlsSite string // HOST:PORT
	log           string // the file that Caddy logs to
}

const (
	brokerARN  = "arn:aws:iam::111122223333:user/broker"
	readerARN  = "arn:aws:iam::123456789012:role/customers/Reader"
	externalID = "4f1c2a8e-External/Id"
)

// newBed starts a stand-in with a broker, a role that it may assume with an External ID, and a bucket named bucket. The AWS SDK in this process finds the stand-in's STS.
func newBed(t *testing.T) *bed {
	t.Helper()
	return newBedIn(t, "")
}

// newBedIn is newBed in a region of one's choice.
func newBedIn(t *testing.T, region string) *bed {
	t.Helper()
	b := &bed{t: t, dir: tempDir(t)}
	var err error
	if b.Standin, err = standin.Start(standin.Config{Region: region}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Standin.Close(); err != nil {
			t.Errorf("closing the stand-in: %v", err)
		}
	})
	if b.broker, err = b.AddUser(standin.User{ARN: brokerARN}); err != nil {
		t.Fatal(err)
	}
	admin, err := b.AddUser(standin.User{ARN: "arn:aws:iam::123456789012:user/admin", S3: true})
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	b.direct = s3.New(s3.Options{
		Region: b.Region(), BaseEndpoint: aws.String(b.S3()), UsePathStyle: true, HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider(admin.AccessKeyID, admin.SecretAccessKey, ""),
	})
	b.putRole(standin.Role{ARN: readerARN})
	if err := b.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	b.write("ca.pem", b.CA())
	_, cert, key, err := wireverify.NewCertificate("localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	b.write("site.pem", cert)
	b.write("site.key", key)
	t.Setenv("AWS_ENDPOINT_URL_STS", b.STS())
	t.Setenv("AWS_REGION", b.Region())
	return b
}

// putRole makes a role that the broker may assume with the External ID.
func (b *bed) putRole(r standin.Role) {
	b.t.Helper()
	r.TrustPolicy = fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":%q},`+
		`"Action":["sts:AssumeRole","sts:TagSession"],"Condition":{"StringEquals":{"sts:ExternalId":%q}}}]}`, brokerARN, externalID)
	if err := b.PutRole(r); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) write(name string, data []byte) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), data, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// styles are the ways to have everything that reaches a site signed for the stand-in's S3.
var styles = map[string]string{
	"short form": `aws_sigv4 <s3> {
		<target>
	}`,
	"transport": `reverse_proxy <s3> {
		transport aws_sigv4 {
			<target>
		}
	}`,
	"handler": `aws_sigv4 {
		<target>
		host <s3-host>
	}
	reverse_proxy <s3>`,
}

// target is whom to sign as, and for what.
const target = `service s3
		region <region>
		credentials reader`

// sites returns a Caddyfile in which both sites do the same, as the reader.
func sites(routes string) string {
	return `{
	aws_sigv4 {
		credentials broker static <broker-key> <broker-secret>
		credentials reader assume_role <reader> {
			from broker
			external_id <external-id>
		}
	}
}
http://<site> {
	` + routes + `
}
https://<tls-site> {
	tls <dir>/site.pem <dir>/site.key
	` + routes + `
}
`
}

// runCaddy runs a Caddyfile until the test ends. Words in angle brackets stand for what the bed knows.
func (b *bed) runCaddy(caddyfile string) {
	b.t.Helper()
	b.log = filepath.Join(b.dir, "caddy.log")
	b.t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			b.t.Errorf("stopping Caddy: %v", err)
		}
		if log, _ := os.ReadFile(b.log); b.t.Failed() || strings.Contains(string(log), "panic") {
			b.t.Logf("Caddy's log:\n%.20000s", log)
		}
	})
	var err error
	for range 3 { // A port may have been taken since.
		b.site, b.tlsSite = freePort(b.t, "127.0.0.1"), freePort(b.t, "localhost")
		if err = b.load(caddyfile); err == nil || !strings.Contains(err.Error(), "address already in use") {
			break
		}
	}
	if err != nil {
		b.t.Fatalf("loading: %v", err)
	}
}

// lastLoad is when a Caddy of this process was last given a configuration, as Unix nanoseconds.
var lastLoad atomic.Int64

func (b *bed) load(caddyfile string) error {
	defer func() { lastLoad.Store(time.Now().UnixNano()) }()
	config, err := b.adapt(caddyfile)
	if err != nil {
		return err
	}
	return caddy.Load(config, true)
}

// adapt makes a configuration of a Caddyfile.
func (b *bed) adapt(caddyfile string) ([]byte, error) {
	caddyfile = strings.ReplaceAll(caddyfile, "<target>", target)
	caddyfile = strings.NewReplacer(
		"<site>", b.site, "<tls-site>", b.tlsSite, "<dir>", b.dir, "<region>", b.Region(),
		"<s3>", b.S3(), "<s3-host>", strings.TrimPrefix(b.S3(), "http://"), "<s3-tls>", b.S3TLS(),
		"<sts>", b.STS(), "<sts-host>", strings.TrimPrefix(b.STS(), "http://"),
		"<broker-key>", b.broker.AccessKeyID, "<broker-secret>", b.broker.SecretAccessKey,
		"<reader>", readerARN, "<external-id>", externalID,
	).Replace(caddyfile)
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return nil, err
	}
	return b.forTest(config), nil
}

// forTest changes what the tests of one machine must not share: no admin API, nothing saved, a log of its own, no
// certificates from elsewhere, loopback only, and an end that waits for nobody.
func (b *bed) forTest(config []byte) []byte {
	b.t.Helper()
	var c map[string]any
	if err := json.Unmarshal(config, &c); err != nil {
		b.t.Fatal(err)
	}
	c["admin"] = map[string]any{"disabled": true, "config": map[string]any{"persist": false}}
	c["storage"] = map[string]any{"module": "file_system", "root": filepath.Join(b.dir, "storage")}
	c["logging"] = map[string]any{"logs": map[string]any{"default": map[string]any{
		"writer": map[string]any{"output": "file", "filename": b.log, "roll": false}, "encoder": map[string]any{"format": "json"},
	}}}
	app := c["apps"].(map[string]any)["http"].(map[string]any)
	app["grace_period"] = "200ms"
	for _, server := range app["servers"].(map[string]any) {
		server := server.(map[string]any)
		server["automatic_https"] = map[string]any{"disable": true}
		server["protocols"] = []string{"h1", "h2"}
		for i, l := range server["listen"].([]any) {
			if strings.HasPrefix(l.(string), ":") {
				server["listen"].([]any)[i] = "127.0.0.1" + l.(string)
			}
		}
	}
	out, err := json.Marshal(c)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// waitFor waits until something is so.
func waitFor(t *testing.T, limit time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", limit, what)
		}
	}
}

// freePort returns HOST:PORT that nobody listens on at the moment.
func freePort(t *testing.T, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return net.JoinHostPort(host, port)
}

// tempDir is t.TempDir without the test's name, in which Caddy would read placeholders.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "caddy-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
