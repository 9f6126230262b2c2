package sts

import (
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// helperInput is a question, and whatHelpersGet what arrives of it.
var helperInput = HelperInput{RoleARN: "arn:aws:iam::123456789012:role/Acme", ExternalID: "0a4a1b2c-external", Region: "eu-west-1", Service: "s3"}

const whatHelpersGet = `{"role_arn":"arn:aws:iam::123456789012:role/Acme","external_id":"0a4a1b2c-external","region":"eu-west-1","service":"s3"}`

func helperAnswer(expires time.Time) string {
	return fmt.Sprintf(`{"accessKeyId":"ASIAEXAMPLE","secretAccessKey":"wJalr/XUtn+FEMI","sessionToken":"FwoGZXIvYXdz==","expiresAt":%q}`, expires.UTC().Format(time.RFC3339Nano))
}

func quiet(s *httptest.Server) *httptest.Server {
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	return s
}

func newHelper(t *testing.T, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := quiet(httptest.NewServer(answer))
	t.Cleanup(s.Close)
	return s
}

func mustHelperClient(t *testing.T, cfg HelperConfig) *HelperClient {
	t.Helper()
	c, err := NewHelperClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ask asks for credentials, and expects an error that holds no secret.
func askInVain(t *testing.T, c *HelperClient) *HelperError {
	t.Helper()
	creds, _, err := c.AssumeRole(t.Context(), helperInput)
	e, ok := errors.AsType[*HelperError](err)
	if !ok || creds != (sigv4.Credentials{}) {
		t.Fatalf("got %v, %v, want a HelperError", creds, err)
	}
	for _, secret := range append([]string{"wJalr/XUtn+FEMI", "FwoGZXIvYXdz", helperInput.ExternalID}, c.auth.secrets...) {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%v holds the secret %q", err, secret)
		}
	}
	if e.Host != c.Host() || !strings.HasPrefix(err.Error(), "STS helper "+c.Host()+": ") || strings.ContainsAny(err.Error(), "\r\n\t\x00\x1b") {
		t.Errorf("got %q, want the host %s and one line", err, c.Host())
	}
	return e
}

func mustAuth(a HelperAuth, err error) HelperAuth {
	if err != nil {
		panic(err)
	}
	return a
}

func TestHelperIsAsked(t *testing.T) {
	for name, tc := range map[string]struct {
		auth   HelperAuth
		header string
		want   string
	}{
		"none":                    {HelperAuth{}, "", ""},
		"API key":                 {mustAuth(HelperAPIKey("", "k3y!~")), "X-Api-Key", "k3y!~"},
		"API key, another header": {mustAuth(HelperAPIKey("authorization", "k3y")), "Authorization", "k3y"},
		"basic":                   {mustAuth(HelperBasic("Aladdin", "open sesame")), "Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, // RFC 7617 §2
		"basic, UTF-8":            {mustAuth(HelperBasic("test", "123£")), "Authorization", "Basic dGVzdDoxMjPCow=="},                       // RFC 7617 §2.1
		"basic, no user":          {mustAuth(HelperBasic("", "secret")), "Authorization", "Basic OnNlY3JldA=="},
		"bearer":                  {mustAuth(HelperBearer("mF_9.B5f-4.1JqM")), "Authorization", "Bearer mF_9.B5f-4.1JqM"}, // RFC 6750 §2.1
	} {
		t.Run(name, func(t *testing.T) {
			expires := time.Now().Add(time.Hour).Truncate(time.Millisecond)
			s := newHelper(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil || string(body) != whatHelpersGet {
					t.Errorf("got %s, %v", body, err)
				}
				want := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "User-Agent": {"caddy-aws-sigv4"}, "Accept-Encoding": {"gzip"}, "Content-Length": {fmt.Sprint(len(whatHelpersGet))}}
				if tc.header != "" {
					want[tc.header] = []string{tc.want}
				}
				if r.Method != "POST" || r.RequestURI != "/v1/assume-role?tenant=a%20b" || !reflect.DeepEqual(r.Header, want) {
					t.Errorf("got %s %s with %v, want %v", r.Method, r.RequestURI, r.Header, want)
				}
				w.WriteHeader(http.StatusCreated)
				io.WriteString(w, helperAnswer(expires))
			})
			c := mustHelperClient(t, HelperConfig{URL: s.URL + "/v1/assume-role?tenant=a%20b", Auth: tc.auth})
			creds, got, err := c.AssumeRole(t.Context(), helperInput)
			if err != nil || creds != handedOut || !got.Equal(expires) {
				t.Errorf("got %v until %v, %v, want until %v", creds, got, err, expires)
			}
		})
	}
}

// TestAllFourAreAlwaysThere: helpers refuse a question that lacks one.
func TestAllFourAreAlwaysThere(t *testing.T) {
	s := newHelper(t, func(w http.ResponseWriter, r *http.Request) {
		var got map[string]any
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil || !reflect.DeepEqual(got, map[string]any{"role_arn": helperInput.RoleARN, "external_id": "", "region": "", "service": ""}) {
			t.Errorf("got %v, %v", got, err)
		}
		io.WriteString(w, helperAnswer(time.Now().Add(time.Hour)))
	})
	if _, _, err := mustHelperClient(t, HelperConfig{URL: s.URL}).AssumeRole(t.Context(), HelperInput{RoleARN: helperInput.RoleARN}); err != nil {
		t.Error(err)
	}
}

func TestQuestionsThatAWSWouldRefuseAreNotAsked(t *testing.T) {
	var asked atomic.Int32
	s := newHelper(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	for want, in := range map[string]HelperInput{
		"role_arn: ":    {RoleARN: "Acme"},
		"external_id: ": {RoleARN: helperInput.RoleARN, ExternalID: "a b"},
		"region: ":      {RoleARN: helperInput.RoleARN, Region: "cn-north-1"},
		"service: ":     {RoleARN: helperInput.RoleARN, Service: "S 3"},
	} {
		if _, _, err := mustHelperClient(t, HelperConfig{URL: s.URL}).AssumeRole(t.Context(), in); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if asked.Load() != 0 {
		t.Error("the helper was asked")
	}
}

func TestHelperAuthThatIsNone(t *testing.T) {
	second := func(_ HelperAuth, err error) error { return err }
	for want, err := range map[string]error{
		"the API key is empty":                      second(HelperAPIKey("", "")),
		"the API key holds a blank":                 second(HelperAPIKey("", "topsecret key")),
		"the API key holds a blank, a line":         second(HelperAPIKey("", "topsecret\r\nX: y")),
		`header "x api": write letters`:             second(HelperAPIKey("x api", "topsecret")),
		`header "a:b": write letters`:               second(HelperAPIKey("a:b", "topsecret")),
		`header "host" has a meaning of its own`:    second(HelperAPIKey("host", "topsecret")),
		`header "Content-Length" has a meaning of`:  second(HelperAPIKey("Content-Length", "topsecret")),
		"the password is empty":                     second(HelperBasic("user", "")),
		"the user holds a colon":                    second(HelperBasic("us:er", "topsecret")),
		"the user or the password holds a line":     second(HelperBasic("user", "topsecret\n")),
		"the bearer token is empty":                 second(HelperBearer("")),
		"the bearer token holds a blank, a line br": second(HelperBearer("topsecret ")),
	} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestParseHelperURL(t *testing.T) {
	for raw, insecure := range map[string]bool{
		exampleHelperURL: false, "https://10.0.0.5:3055/assume-role?x=y": false, "http://localhost:3055/assume-role": false, "http://LOCALHOST.": false,
		"http://helper.localhost/": false, "http://127.0.0.1:3055": false, "http://[::1]:3055": false, "HTTPS://x/": false, "http://helper.example": true,
		"http://10.0.0.5:3055/": true,
	} {
		if _, err := ParseHelperURL(raw, insecure); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
	for raw, want := range map[string]string{
		"":                            "there is no URL: write one like https://",
		"sts-helper.example.com":      "does not begin with https:// and a host",
		"helper:3055":                 "does not begin with https:// and a host",
		"ftp://x":                     "does not begin with https:// and a host",
		"unix:///run/x":               "does not begin with https:// and a host",
		"https:/x":                    "does not begin with https:// and a host",
		"https:x":                     "does not begin with https:// and a host",
		"https://:443/":               "is none",
		"https://a*b/":                "is none",
		"https://x:port/":             "this is no URL",
		"https://x/%zz?key=topsecret": "this is no URL",
		"https://u:topsecret@x/":      "the URL of x holds a user: write it with the option `basic`",
		"https://x/#topsecret":        "the URL of x has a fragment",
		"https://x/#":                 "the URL of x has a fragment",
		"http://x/?key=topsecret":     "http to x would send secrets and credentials in clear: write https, or `insecure`",
		"http://localhost.evil/":      "http to localhost.evil would send",
		"http://128.0.0.1/":           "http to 128.0.0.1 would send",
		"http://0.0.0.0:3055/":        "http to 0.0.0.0:3055 would send",
	} {
		if _, err := ParseHelperURL(raw, false); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s:\ngot  %v\nwant %s", raw, err, want)
		}
	}
}

// TestRefusalsOfHelpers has what helpers answer in place of credentials.
func TestRefusalsOfHelpers(t *testing.T) {
	key := mustAuth(HelperAPIKey("", "topsecret-key"))
	const id = "fedcba98-7654-3210-fedc-ba9876543210"
	for name, tc := range map[string]struct {
		status    int
		header    string
		body      string
		noAuth    bool
		want      string // after "STS helper HOST: "
		retryable bool
	}{
		"wrong key":     {status: 401, body: `{"error":"invalid_api_key"}`, want: "HTTP 401: invalid_api_key: write the key, password or token that it knows"},
		"no key":        {status: 401, body: `{"error":"invalid_api_key"}`, noAuth: true, want: "HTTP 401: invalid_api_key: nothing was sent to authenticate: write api_key, basic, bearer or client_certificate"},
		"wrong fields":  {status: 400, body: `{"error":{"formErrors":[],"fieldErrors":{"role_arn":["Required"],"region":["Required"]}}}`, want: "HTTP 400: wrong: role_arn, region"},
		"a field":       {status: 400, body: `{"error":"invalid_request","field":"external_id","message":"it is missing"}`, want: "HTTP 400: invalid_request: field external_id: it is missing"},
		"AWS refused":   {status: 403, body: `{"error":"access_denied","code":"AccessDenied","message":"User: arn:aws:iam::1:user/x is not authorized to perform: sts:AssumeRole","requestId":"` + id + `"}`, want: "HTTP 403: access_denied: AccessDenied: User: arn:aws:iam::1:user/x is not authorized to perform: sts:AssumeRole (request ID " + id + ")"},
		"a failure":     {status: 500, body: `{"error":"assume_role_failed"}`, want: "HTTP 500: assume_role_failed", retryable: true},
		"AWS's XML":     {status: 403, body: `<ErrorResponse xmlns="x"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error><RequestId>` + id + `</RequestId></ErrorResponse>`, want: "HTTP 403: AccessDenied: no (request ID " + id + ")"},
		"AWS's JSON":    {status: 400, body: `{"Error":{"Code":"Throttling","Message":"Rate exceeded","Type":"Sender"},"RequestId":"r-1"}`, want: "HTTP 400: Throttling: Rate exceeded (request ID r-1)", retryable: true},
		"gateway":       {status: 403, header: "X-Amzn-Requestid: " + id, body: `{"message":"Forbidden"}`, want: "HTTP 403: Forbidden (request ID " + id + "): it, or AWS"},
		"problem":       {status: 422, body: `{"type":"about:blank","title":"Unprocessable","detail":"role unknown","status":422}`, want: "HTTP 422: Unprocessable: role unknown"},
		"no such path":  {status: 404, body: `<!DOCTYPE html><pre>Cannot POST /topsecret-key</pre>`, want: "HTTP 404: write the full URL; with many helpers its path is /assume-role"},
		"wrong method":  {status: 405, want: "HTTP 405: write the full URL"},
		"text":          {status: 400, body: "Client sent an HTTP request to an HTTPS server: topsecret-key", want: "HTTP 400: it does not say why: is this the URL of an STS helper?"},
		"busy":          {status: 429, body: `{"error":"too many"}`, want: "HTTP 429: too many", retryable: true},
		"timeout":       {status: 408, want: "HTTP 408", retryable: true},
		"bad gateway":   {status: 502, body: "<html>", want: "HTTP 502", retryable: true},
		"down":          {status: 503, header: "X-Request-Id: " + id, want: "HTTP 503 (request ID " + id + ")", retryable: true},
		"repeats":       {status: 403, body: `{"error":"key topsecret-key for 0a4a1b2c-external and role arn:aws:iam::123456789012:role/Acme is bad"}`, want: "HTTP 403: key [redacted] for [redacted] and role arn:aws:iam::123456789012:role/Acme is bad: it, or"},
		"more secrets":  {status: 403, body: `{"message":"got wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYxx for AKIAEXAMPLE"}`, want: "HTTP 403: got [redacted] for AKIAEXAMPLE: it, or"},
		"secret code":   {status: 403, body: `{"code":"topsecret-key","request_id":"topsecret-key"}`, want: "HTTP 403: it, or"},
		"unprintable":   {status: 403, body: `{"message":"a\nb\u001b[31mc\u202ed\u0000"}`, want: "HTTP 403: a b [31mc d: it, or"},
		"long":          {status: 403, body: `{"message":"` + strings.Repeat("word ", 500) + `"}`, want: "HTTP 403: word "},
		"redirect":      {status: 302, header: "Location: https://other.example/x?key=topsecret-key", want: "HTTP 302: it redirects to https://other.example: redirects are not followed"},
		"redirect here": {status: 308, header: "Location: /assume-role/", want: "HTTP 308: it redirects to another path: redirects are not followed"},
		"redirect away": {status: 307, want: "HTTP 307: it redirects: redirects are not followed, as they would take secrets elsewhere: write the URL where it is"},
		"not modified":  {status: 304, want: "HTTP 304: it redirects"},

		"a page":          {status: 200, body: "<!DOCTYPE html><p>Sign in</p>", want: "HTTP 200: the answer is a page in HTML or XML, and no credentials: is this the URL of an STS helper?: it answers {"},
		"nothing":         {status: 204, want: "HTTP 204: the answer is empty: it answers {"},
		"an error in 200": {status: 200, body: `{"error":"denied","message":"not you"}`, want: "HTTP 200: the answer has no access key ID, and says: denied: not you: it answers {"},
		"bad date":        {status: 200, body: `{"accessKeyId":"ASIAEXAMPLE","secretAccessKey":"wJalr/XUtn+FEMI","sessionToken":"FwoGZXIvYXdz==","expiresAt":"soon"}`, want: "HTTP 200: expiresAt in the answer is no date"},
		"too long":        {status: 200, body: strings.Repeat(" ", maxHelperAnswer) + "{}", want: "HTTP 200: the answer has more than 65536 bytes"},
		"long refusal":    {status: 500, body: strings.Repeat("x", maxHelperAnswer+1), want: "HTTP 500", retryable: true},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			s := newHelper(t, func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				if k, v, ok := strings.Cut(tc.header, ": "); ok {
					w.Header().Set(k, v)
				}
				w.WriteHeader(tc.status)
				io.WriteString(w, tc.body)
			})
			cfg := HelperConfig{URL: s.URL + "/x?secret=topsecret-key", Auth: key}
			if tc.noAuth {
				cfg.Auth = HelperAuth{}
			}
			c := mustHelperClient(t, cfg)
			e := askInVain(t, c)
			if got := strings.TrimPrefix(e.Error(), "STS helper "+c.Host()+": "); !strings.HasPrefix(got, tc.want) || len(got) > 900 || e.Status != tc.status {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if e.Retryable() != tc.retryable || e.Unwrap() != nil {
				t.Errorf("retryable: %v", e.Retryable())
			}
			if asked.Load() != 1 {
				t.Errorf("asked %d times", asked.Load())
			}
		})
	}
}

// TestNoRedirectIsFollowed: a secret goes where the configuration says, and nowhere else.
func TestNoRedirectIsFollowed(t *testing.T) {
	var asked atomic.Int32
	other := newHelper(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		io.WriteString(w, helperAnswer(time.Now().Add(time.Hour)))
	})
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := newHelper(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, status) })
		askInVain(t, mustHelperClient(t, HelperConfig{URL: s.URL, Auth: mustAuth(HelperBearer("topsecret"))}))
	}
	if asked.Load() != 0 {
		t.Error("it was followed")
	}
}

func TestHelpersThatDoNotAnswer(t *testing.T) {
	ended := make(chan struct{})
	hang := newHelper(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-ended:
		case <-r.Context().Done():
		}
	})
	hangInBody := newHelper(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"accessKeyId":`)
		w.(http.Flusher).Flush()
		select {
		case <-ended:
		case <-r.Context().Done():
		}
	})
	breakOff := newHelper(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, helperAnswer(time.Now().Add(time.Hour)))
	})
	hangUp := newHelper(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	gone := newHelper(t, nil)
	gone.Close()
	defer close(ended)
	for name, tc := range map[string]struct {
		url     string
		want    string
		isFinal bool
		cause   error
	}{
		"hangs":               {hang.URL, "no answer came within 100ms", false, context.DeadlineExceeded},
		"hangs in the answer": {hangInBody.URL, "no answer came within 100ms", false, context.DeadlineExceeded},
		"breaks off":          {breakOff.URL, "the answer broke off: unexpected EOF", false, nil},
		"hangs up":            {hangUp.URL, "EOF", false, nil},
		"gone":                {gone.URL, "connection refused", false, nil},
		"no such name":        {"https://nobody.invalid/", "", false, nil},
		"metadata":            {"https://169.254.169.254/assume-role", "169.254.169.254:443 is a link-local address, where metadata services are: nothing is ever sent there", true, nil},
		"no TLS":              {strings.Replace(hang.URL, "http:", "https:", 1), "there is no TLS at this port: write the port of https", true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			timeout := 100 * time.Millisecond
			if tc.isFinal || tc.cause == nil {
				timeout = 5 * time.Second
			}
			e := askInVain(t, mustHelperClient(t, HelperConfig{URL: tc.url + "?key=topsecret", Timeout: timeout}))
			if !strings.Contains(e.Error(), tc.want) || e.Retryable() == tc.isFinal || e.Status != 0 || !errors.Is(e, tc.cause) && tc.cause != nil || strings.Contains(e.Error(), "topsecret") {
				t.Errorf("got %v (retryable: %v), want %q", e, e.Retryable(), tc.want)
			}
		})
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := mustHelperClient(t, HelperConfig{URL: hang.URL}).AssumeRole(ctx, helperInput)
	if e, ok := errors.AsType[*HelperError](err); !ok || !errors.Is(err, context.Canceled) || !e.Retryable() {
		t.Errorf("given up: got %v", err)
	}
}

// TestHelperTimeouts: they are at most what a fetch has.
func TestHelperTimeouts(t *testing.T) {
	for _, d := range []time.Duration{-1, MaxHelperTimeout + 1, time.Hour} {
		if _, err := NewHelperClient(HelperConfig{URL: exampleHelperURL, Timeout: d}); err == nil {
			t.Errorf("%v was accepted", d)
		}
	}
	if c := mustHelperClient(t, HelperConfig{URL: exampleHelperURL}); c.timeout != 10*time.Second || c.Host() != "sts-helper.example.com" {
		t.Errorf("got %v and %s", c.timeout, c.Host())
	}
}

// TestPackedAnswersAreLimitedToo: a small answer may become a large one.
func TestPackedAnswersAreLimitedToo(t *testing.T) {
	s := newHelper(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		chunk := make([]byte, 1<<20)
		for range 100 {
			if _, err := z.Write(chunk); err != nil {
				return
			}
		}
	})
	if e := askInVain(t, mustHelperClient(t, HelperConfig{URL: s.URL})); !strings.Contains(e.Error(), "more than 65536 bytes") {
		t.Errorf("got %v", e)
	}
}

// TestSlowClockAndHelpers: a session has no more life than by the helper's clock.
func TestSlowClockAndHelpers(t *testing.T) {
	for name, tc := range map[string]struct {
		ahead, life, want time.Duration
	}{
		"right":             {0, time.Hour, time.Hour},
		"this one is slow":  {30 * time.Minute, time.Hour, time.Hour},
		"this one is fast":  {-10 * time.Minute, time.Hour, 50 * time.Minute},
		"the date is wrong": {48 * time.Hour, -47 * time.Hour, time.Hour},
	} {
		s := newHelper(t, func(w http.ResponseWriter, _ *http.Request) {
			there := time.Now().Add(tc.ahead)
			w.Header().Set("Date", there.UTC().Format(http.TimeFormat))
			io.WriteString(w, helperAnswer(there.Add(tc.life)))
		})
		_, expires, err := mustHelperClient(t, HelperConfig{URL: s.URL}).AssumeRole(t.Context(), helperInput)
		if d := time.Until(expires) - tc.want; err != nil || d.Abs() > 3*time.Second {
			t.Errorf("%s: %v left (%v), want %v", name, time.Until(expires), err, tc.want)
		}
	}
}

// TestConnectionsThatTheHelperClosedMeanwhile: servers close idle connections.
func TestConnectionsThatTheHelperClosedMeanwhile(t *testing.T) {
	s := newHelper(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, helperAnswer(time.Now().Add(time.Hour)))
	})
	c := mustHelperClient(t, HelperConfig{URL: s.URL})
	for range 20 {
		if _, _, err := c.AssumeRole(t.Context(), helperInput); err != nil {
			t.Fatal(err)
		}
		s.CloseClientConnections()
	}
}

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	a.cert, a.key = a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "Test CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) sign(t *testing.T, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func (a *authority) issue(t *testing.T, name string) *tls.Certificate {
	t.Helper()
	cert, key := a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	})
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func TestHelpersOverTLS(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	always := func(c *tls.Certificate) func() (*tls.Certificate, error) {
		return func() (*tls.Certificate, error) { return c, nil }
	}
	for name, tc := range map[string]struct {
		mutual bool
		cfg    HelperConfig
		want   string // "" if it works
	}{
		"own CA":                   {false, HelperConfig{RootCAs: ca.pool}, ""},
		"another CA":               {false, HelperConfig{RootCAs: stranger.pool}, "write `ca FILE` if its certificate comes from a private CA"},
		"the system's CAs":         {false, HelperConfig{}, "write `ca FILE`"},
		"insecure changes nothing": {false, HelperConfig{Insecure: true}, "write `ca FILE`"},
		"mutual":                   {true, HelperConfig{RootCAs: ca.pool, ClientCertificate: always(ca.issue(t, "caddy"))}, ""},
		"mutual, no certificate":   {true, HelperConfig{RootCAs: ca.pool}, "does it ask for a client certificate?"},
		"mutual, another CA":       {true, HelperConfig{RootCAs: ca.pool, ClientCertificate: always(stranger.issue(t, "caddy"))}, "does it ask for a client certificate?"},
		"mutual, none to be had": {
			true,
			HelperConfig{RootCAs: ca.pool, ClientCertificate: func() (*tls.Certificate, error) { return nil, errors.New("the file is gone") }},
			"client certificate: the file is gone",
		},
		"not asked for": {false, HelperConfig{RootCAs: ca.pool, ClientCertificate: always(ca.issue(t, "caddy"))}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := quiet(httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tc.mutual && r.TLS.PeerCertificates[0].Subject.CommonName != "caddy" {
					t.Error("another certificate was shown")
				}
				io.WriteString(w, helperAnswer(time.Now().Add(time.Hour)))
			})))
			s.TLS = &tls.Config{Certificates: []tls.Certificate{*ca.issue(t, "helper")}}
			if tc.mutual {
				s.TLS.ClientAuth, s.TLS.ClientCAs = tls.RequireAndVerifyClientCert, ca.pool
			}
			s.StartTLS()
			defer s.Close()
			tc.cfg.URL = s.URL
			c := mustHelperClient(t, tc.cfg)
			if tc.want == "" {
				if creds, _, err := c.AssumeRole(t.Context(), helperInput); err != nil || creds != handedOut {
					t.Errorf("got %v, %v", creds, err)
				}
				return
			}
			if e := askInVain(t, c); !strings.Contains(e.Error(), tc.want) || e.Retryable() {
				t.Errorf("got %v (retryable: %v), want %q", e, e.Retryable(), tc.want)
			}
		})
	}
	if _, err := NewHelperClient(HelperConfig{URL: "http://localhost", ClientCertificate: always(nil)}); err == nil || !strings.Contains(err.Error(), "write https://") {
		t.Errorf("a certificate without TLS: got %v", err)
	}
}

// TestLocalhostElsewhere: plaintext is for this machine, whatever a resolver calls localhost.
func TestLocalhostElsewhere(t *testing.T) {
	next := func(context.Context, string, string) (net.Conn, error) { return &elsewhere{}, nil }
	_, err := onlyLoopback(next)(t.Context(), "tcp", "localhost:3055")
	if _, ok := errors.AsType[*notLoopbackError](err); !ok || err.Error() != "localhost:3055 is at 10.0.0.1:3055, which is not this machine, and http would send secrets in clear: write https" {
		t.Errorf("got %v", err)
	}
}

type elsewhere struct{ net.Conn }

func (*elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 3055} }
func (*elsewhere) Close() error         { return nil }

// TestHelpersThatTheOperatorDidNotWrite: whoever names a helper in an API reaches no network of ours with it.
func TestHelpersThatTheOperatorDidNotWrite(t *testing.T) {
	s := newHelper(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, helperAnswer(time.Now().Add(time.Hour)))
	})
	host := strings.TrimPrefix(s.URL, "http://")
	for name, tc := range map[string]struct {
		hosts []string
		ok    bool
	}{
		"default": {nil, true}, "none": {[]string{}, false}, "another": {[]string{"sts.example.com"}, false}, "this one": {[]string{host}, true},
	} {
		c := mustHelperClient(t, HelperConfig{URL: s.URL, OperatorHosts: tc.hosts})
		_, _, err := c.AssumeRole(t.Context(), helperInput)
		if (err == nil) != tc.ok || err != nil && !strings.Contains(err.Error(), "a loopback address") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
