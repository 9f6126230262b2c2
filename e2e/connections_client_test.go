package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/web"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
)

const (
	clientKey       = "client-key-of-32-letters-or-more"
	clientPublicKey = "6b1d9a2e-3c4f-4a5b-8c6d-7e8f90a1b2c3"
	clientHMACKey   = "hmac-key-of-32-letters-or-more-!"
)

// clientSite is one site for all that a client library knows one address for.
const clientSite = `{
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
			sts credentials broker
			base_url <s3-tls>
			allow_hosts <s3-tls-host>
		}
	}
}
http://<site> {
	handle /proxy/* {
		aws_sigv4 connection {
			id {header.connection-id}
			integration {header.provider-config-key}
			api_key backend client-key-of-32-letters-or-more
			strip_prefix /proxy
			transport aws_sigv4 {
				tls_trust_pool file <dir>/ca.pem
			}
		}
	}
	handle {
		aws_connect {
			api_key backend client-key-of-32-letters-or-more {
				scopes connect_sessions:write connections:list connections:read connections:read_credentials connections:update connections:delete integrations:read
			}
			public_key 6b1d9a2e-3c4f-4a5b-8c6d-7e8f90a1b2c3 {
				hmac_key hmac-key-of-32-letters-or-more-!
				integrations acme-s3
			}
			allow_origins https://app.acme.example
		}
	}
}
`

// TestClientLibraries: the client libraries of another product do with this server what they do with theirs, with nothing
// changed but the address, and each answer that they get is one that the OpenAPI document has.
func TestClientLibraries(t *testing.T) {
	cmd, err := node("connections.mjs")
	if err == nil {
		if _, statErr := os.Stat("clients/js/node_modules/@nangohq/node"); statErr != nil {
			err = statErr
		}
	}
	if err != nil {
		absent.Skip(t, "node", err.Error())
	}
	b := newBed(t)
	b.write("seal-key", []byte("MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY="))
	b.runCaddy(strings.ReplaceAll(clientSite, "<s3-tls-host>", strings.TrimPrefix(b.S3TLS(), "https://")))
	if _, err := b.direct.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("reports/1"), Body: strings.NewReader("one")}); err != nil {
		t.Fatal(err)
	}
	heard := listen(t, "http://"+b.site)
	cmd.Env = append(os.Environ(), "HOST="+heard.url, "API_KEY="+clientKey, "PUBLIC_KEY="+clientPublicKey, "HMAC_KEY="+clientHMACKey, "S3="+b.S3(), "REGION="+b.Region())
	got := b.talk(cmd)
	want := map[string]any{
		"foreign": "external_id_mismatch", "tooEarly": "aws_sigv4_sts_request_failed", "integration": "acme-s3", "again": "session_used", "waited": true,
		"listed": []any{[]any{true}, []any{true}, []any{}, []any{}},
		"connection": map[string]any{
			"provider": "aws-sigv4", "end_user": "ann@globex.example", "organization": "globex", "tags": map[string]any{"team": "search"}, "external_id": true,
			"type": "AWS_SIGV4", "errors": []any{},
		},
		"refreshed": true, "object": "one", "renewed": true, "metadata": map[string]any{"plan": "pro", "seats": 4.0}, "tags": map[string]any{"team": "ads"},
		"proxied": []any{200.0, "text/plain", "two"}, "nobody": "404 unknown_connection", "integrations": []any{"acme-s3"},
		"deleted": []any{"404 not_found", "400 unknown_connection"}, "unproven": "missing_hmac", "forged": "invalid_hmac", "chosen": true,
	}
	for name, w := range want {
		g, err := json.Marshal(got[name])
		if err != nil {
			t.Fatal(err)
		}
		if w, err := json.Marshal(w); err != nil || !bytes.Equal(g, w) {
			t.Errorf("%s: %s, want %s", name, g, w)
		}
	}
	heard.check(t, "POST connect", "GET connect", "POST auth", "GET connections", "PATCH connections", "POST connections", "DELETE connections", "GET integrations")
}

// talk runs a client, makes the roles that it asks for, and returns what it has found.
func (b *bed) talk(cmd *exec.Cmd) map[string]any {
	b.t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	watchdog := time.AfterFunc(2*patience, func() { _ = cmd.Process.Kill() })
	defer watchdog.Stop()
	var found map[string]any
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var said struct {
			Role       string `json:"role_arn"`
			ExternalID string `json:"external_id"`
			Found      map[string]any
		}
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			b.t.Errorf("the client says %s", lines.Text())
			continue
		}
		if found = said.Found; said.Role != "" {
			b.customersRole(said.Role, trustPolicy(brokerARN, said.ExternalID))
			if _, err := io.WriteString(in, "made\n"); err != nil {
				b.t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil || found == nil {
		b.t.Fatalf("%v: %s", err, errs.String())
	}
	return found
}

// listener stands between a client and a server, and keeps what it hears.
type listener struct {
	url string

	mu    sync.Mutex
	heard []exchange
}

type exchange struct {
	request  *http.Request
	sent     []byte
	response *http.Response
	got      []byte
}

func listen(t *testing.T, server string) *listener {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(sent))
		answer := httptest.NewRecorder()
		proxy.ServeHTTP(answer, r)
		l.mu.Lock()
		l.heard = append(l.heard, exchange{r.Clone(t.Context()), sent, answer.Result(), answer.Body.Bytes()})
		l.mu.Unlock()
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		if _, err := w.Write(answer.Body.Bytes()); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	l.url = s.URL
	return l
}

// check holds what was heard of the API to its OpenAPI document: each answer, and what was sent where it was taken. Each that is
// wanted must have been heard: a method, and how a path begins.
func (l *listener) check(t *testing.T, wants ...string) {
	t.Helper()
	document, err := libopenapi.NewDocument(web.Document())
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if ok, errs := v.ValidateDocument(); !ok {
		for _, e := range errs {
			t.Errorf("the document: %v", e)
		}
	}
	seen := map[string]bool{}
	for _, x := range l.heard {
		if strings.HasPrefix(x.request.URL.Path, "/proxy/") {
			continue
		}
		what := x.request.Method + " " + x.request.URL.Path
		seen[x.request.Method+" "+strings.SplitN(x.request.URL.Path, "/", 3)[1]] = true
		x.request.Body, x.response.Body = io.NopCloser(bytes.NewReader(x.sent)), io.NopCloser(bytes.NewReader(x.got))
		if ok, errs := v.ValidateHttpResponse(x.request, x.response); !ok {
			for _, e := range errs {
				t.Errorf("%s: %v %v in %d %s", what, e, e.SchemaValidationErrors, x.response.StatusCode, x.got)
			}
		}
		if x.response.StatusCode >= 400 {
			continue
		}
		x.request.Body = io.NopCloser(bytes.NewReader(x.sent))
		if ok, errs := v.ValidateHttpRequest(x.request); !ok {
			for _, e := range errs {
				t.Errorf("%s: %v %v in %s", what, e, e.SchemaValidationErrors, x.sent)
			}
		}
	}
	for _, want := range wants {
		if !seen[want] {
			t.Errorf("no %s was heard, so this test sees too little", want)
		}
	}
}
