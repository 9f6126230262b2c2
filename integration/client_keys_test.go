package integration_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// clientKey is what clients of these tests sign with: a placeholder, which no
// endpoint knows.
var clientKey = aws.Credentials{AccessKeyID: "AKIDCLIENT", SecretAccessKey: "client/secret+key"}

// authenticated is a site that verifies its clients and signs with another
// identity.
func authenticated(up *endpoint, before string) string {
	return site(setup{before: before}, "aws_sigv4_auth {\nkey AKIDOTHER other\nkey AKIDCLIENT client/secret+key\n}\n"+
		"header X-Signed-By {http.auth.user.id}/{http.auth.user.service}/{http.auth.user.region}\n"+
		"aws_sigv4 "+up.Addr()+" {\n"+signFor("s3")+"\n}")
}

// signed builds the text of a request that the AWS SDK's signer signed.
func (s *server) signed(method, target, body, service string, at time.Time, key aws.Credentials, lines ...string) string {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+s.addr()+target, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Add(name, value)
	}
	hash := req.Header.Get("X-Amz-Content-Sha256")
	if hash == "" {
		hash = hexHash(body)
	}
	err = v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" }).
		SignHTTP(context.Background(), key, req, hash, service, "eu-west-1", at)
	if err != nil {
		s.t.Fatal(err)
	}
	var all []string
	for name, values := range req.Header {
		for _, v := range values {
			all = append(all, name+": "+v)
		}
	}
	return requestText(method, req.URL.RequestURI(), s.addr(), body, all...)
}

func hexHash(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// TestClientsSignWithPlaceholderKeys: what the AWS SDK signs is accepted, and
// signed again with the real key.
func TestClientsSignWithPlaceholderKeys(t *testing.T) {
	for _, tt := range []struct {
		method, target, body, service string
		lines                         []string
	}{
		{"GET", "/", "", "s3", nil},
		{"GET", "/a/b%20c/%C3%A9%2B?list-type=2&prefix=x%2Fy", "", "s3", []string{"X-Amz-Content-Sha256: " + hexHash("")}},
		{"GET", "/a%20b?x=1&a=b%20c", "", "execute-api", nil},
		{"PUT", "/key", "hello", "s3", []string{"Content-Type: text/plain", "X-Amz-Content-Sha256: " + hexHash("hello"), "X-Amz-Meta-A: a   b"}},
		{"POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", "sts", []string{"Content-Type: application/x-www-form-urlencoded; charset=utf-8"}},
		{"DELETE", "/key?versionId=null", "", "s3", nil},
		{"HEAD", "/key", "", "s3", nil},
	} {
		t.Run(tt.method+" "+tt.target, func(t *testing.T) {
			up := newEndpoint(t, newKeyring(), nil)
			s := startCaddy(t, authenticated(up, ""))
			r := s.exchange(s.signed(tt.method, tt.target, tt.body, tt.service, time.Now(), clientKey, tt.lines...))
			r.expect(t, 200)
			if by := r.header.Get("X-Signed-By"); by != "AKIDCLIENT/"+tt.service+"/eu-west-1" {
				t.Errorf("signed by %q", by)
			}
			got := up.all(1)[0]
			bodyIs(tt.body)(t, got)
			if strings.Contains(wire(got), "AKIDCLIENT") || strings.Contains(wire(got), "UNSIGNED-PAYLOAD") {
				t.Errorf("arrived with what the client signed:\n%s", wire(got))
			}
		})
	}
}

// TestClientsSignedTheOriginalURI: what rewrites a request before it is
// verified changes nothing of what the client signed.
func TestClientsSignedTheOriginalURI(t *testing.T) {
	for before, want := range map[string]string{
		"uri strip_prefix /proxy":           "/a%20b?x=",
		"rewrite * /new{path}?y=1":          "/new/proxy/a%20b?y=1",
		"method POST\nuri replace a%20 c":   "",
		"uri path_regexp ^/proxy/(.*) /z$1": "",
	} {
		t.Run(before, func(t *testing.T) {
			up := newEndpoint(t, newKeyring(), nil)
			s := startCaddy(t, authenticated(up, before))
			s.exchange(s.signed("GET", "/proxy/a%20b?x", "", "s3", time.Now(), clientKey)).expect(t, 200)
			if got := up.all(1)[0].Target; want != "" && got != want {
				t.Errorf("arrived as %q, want %q", got, want)
			}
		})
	}
}

// TestTamperedRequestsAreRefused: 401, and nothing is sent on.
func TestTamperedRequestsAreRefused(t *testing.T) {
	up := newEndpoint(t, newKeyring(), nil)
	s := startCaddy(t, authenticated(up, ""))
	good := func(lines ...string) string {
		return s.signed("PUT", "/key?a=b", "hello", "s3", time.Now(), clientKey, append(lines, "X-Amz-Content-Sha256: "+hexHash("hello"))...)
	}
	change := func(from, to string) string {
		text := good("X-Amz-Meta-A: a")
		if !strings.Contains(text, from) {
			t.Fatalf("%q is not in\n%s", from, text)
		}
		return strings.Replace(text, from, to, 1)
	}
	with := func(key aws.Credentials) string { return s.signed("GET", "/", "", "s3", time.Now(), key) }
	tests := map[string]string{
		"no signature":              requestText("GET", "/", s.addr(), ""),
		"another scheme":            requestText("GET", "/", s.addr(), "", "Authorization: Basic QUtJRENMSUVOVDpjbGllbnQ="),
		"another method":            change("PUT /", "POST /"),
		"another path":              change("/key?", "/kez?"),
		"another query":             change("a=b ", "a=c "),
		"more query":                change("a=b ", "a=b&acl "),
		"another Host":              change("Host: "+s.addr(), "Host: other.example"),
		"another signed header":     change("X-Amz-Meta-A: a", "X-Amz-Meta-A: b"),
		"a header more":             change("X-Amz-Meta-A: a", "X-Amz-Meta-A: a\r\nX-Amz-Acl: public-read"),
		"a header twice":            change("X-Amz-Meta-A: a", "X-Amz-Meta-A: a\r\nX-Amz-Meta-A: b"),
		"a header less":             change("X-Amz-Meta-A: a\r\n", ""),
		"another payload hash":      change("X-Amz-Content-Sha256: "+hexHash("hello"), "X-Amz-Content-Sha256: "+hexHash("hallo")),
		"payload made unsigned":     change("X-Amz-Content-Sha256: "+hexHash("hello"), "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD"),
		"two Authorizations":        change("X-Amz-Meta-A: a", "X-Amz-Meta-A: a\r\nAuthorization: "+forgedCredential),
		"another region":            change("/eu-west-1/", "/us-east-1/"),
		"another service":           change("/s3/", "/sts/"),
		"another key that is known": change("Credential=AKIDCLIENT", "Credential=AKIDOTHER"),
		"a presigned query too":     change("a=b ", "a=b&X-Amz-Signature=1 "),
		"a key that is not known":   with(aws.Credentials{AccessKeyID: "AKIDNOBODY", SecretAccessKey: "x"}),
		"the real key":              with(aws.Credentials{AccessKeyID: "AKIDALICE", SecretAccessKey: "alice/secret+access=key"}),
		"another secret":            with(aws.Credentials{AccessKeyID: "AKIDCLIENT", SecretAccessKey: "x"}),
		"a session token":           with(aws.Credentials{AccessKeyID: "AKIDCLIENT", SecretAccessKey: clientKey.SecretAccessKey, SessionToken: "x"}),
		"an old date":               s.signed("GET", "/", "", "s3", time.Now().Add(-6*time.Minute), clientKey),
		"a date to come":            s.signed("GET", "/", "", "s3", time.Now().Add(6*time.Minute), clientKey),
		"a streamed payload":        s.signed("PUT", "/key", "hello", "s3", time.Now(), clientKey, "X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
		"an unsigned payload":       s.signed("PUT", "/key", "hello", "s3", time.Now(), clientKey, "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD"),
		// One signature must not be good for two requests: what follows may
		// read path and query by other rules than the signature's.
		"a signed header in Connection":     change("X-Amz-Meta-A: a", "X-Amz-Meta-A: a\r\nConnection: x-amz-meta-a"),
		"a plus for an encoded plus":        strings.Replace(s.signed("GET", "/?prefix=a%2Bb", "", "s3", time.Now(), clientKey), "a%2Bb", "a+b", 1),
		"an encoded slash for a slash":      strings.Replace(s.signed("GET", "/users/a/b", "", "s3", time.Now(), clientKey), "/users/a/b", "/users/a%2Fb", 1),
		"a path that normalises to another": strings.Replace(s.signed("GET", "/b/k", "", "execute-api", time.Now(), clientKey), "/b/k", "/b//./x/../k", 1),
		"another body, not hashed":          strings.Replace(s.signed("POST", "/", "hello", "execute-api", time.Now(), clientKey), "\r\n\r\nhello", "\r\n\r\nhallo", 1),
	}
	// All others have a signature that is not theirs.
	reasons := map[string]string{
		"no signature": "no Authorization header", "another scheme": "authorization header", "two Authorizations": "authorization header",
		"a header more": "is not among the signed headers", "a header less": "is among the signed headers but not in the request",
		"a presigned query too": "presign parameters", "a session token": "x-amz-security-token",
		"a key that is not known": "is not known here", "the real key": "is not known here",
		"an old date": "too long ago", "a date to come": "in the future", "a streamed payload": "aws-chunked",
		"an unsigned payload": "leaves the body to TLS", "payload made unsigned": "leaves the body to TLS",
		"a signed header in Connection": "names the signed header", "an encoded slash for a slash": "encoded slash",
	}
	for name, raw := range tests {
		if reasons[name] == "" {
			reasons[name] = "the signature is not that of the request"
		}
		t.Run(name, func(t *testing.T) {
			r := s.exchange(raw)
			r.expect(t, 401)
			log := s.logged()
			reason, _, _ := strings.Cut(log[max(0, strings.LastIndex(log, "request not authenticated")):], "\n")
			if !strings.Contains(reason, reasons[name]) {
				t.Errorf("refused because %s; want %q", reason, reasons[name])
			}
			if r.status == 401 && r.header.Get("Www-Authenticate") != "AWS4-HMAC-SHA256" {
				t.Errorf("WWW-Authenticate is %q", r.header.Get("Www-Authenticate"))
			}
		})
	}
	up.nothing()
	s.exchange(good()).expect(t, 200)
	up.all(1)
}

// TestBodiesWithAnotherHashDoNotArrive: a body that turns out not to have the
// hash that the client signed is never sent on as a whole, whether it is held
// or streamed, and whoever sends it on.
func TestBodiesWithAnotherHashDoNotArrive(t *testing.T) {
	body := strings.Repeat("body", 100_000)
	other := body[:len(body)-1] + "?"
	for style, configure := range styles {
		for _, payload := range []string{"signed", "unsigned", "none"} {
			for _, framing := range []string{"Content-Length", "chunked"} {
				t.Run(style+", payload "+payload+", "+framing, func(t *testing.T) {
					up := newTLSEndpoint(t, newKeyring(), nil)
					set := setup{options: signFor("s3") + "\npayload " + payload, http: "tls_insecure_skip_verify"}
					auth := "aws_sigv4_auth {\nkey AKIDCLIENT client/secret+key\n}"
					if payload == "none" { // No signing at all behind.
						set = setup{before: auth}
						up.Close()
						up = newEndpoint(t, newKeyring(), func(*wireverify.Request) (wireverify.Action, bool) {
							return wireverify.Action{}, true
						})
					}
					set.before, set.host = auth, up.Addr()
					config := configure("https://"+up.Addr(), set)
					if payload == "none" {
						config = site(set, "reverse_proxy "+up.Addr())
					}
					s := startCaddy(t, config)
					text := s.signed("PUT", "/key", body, "s3", time.Now(), clientKey, "X-Amz-Content-Sha256: "+hexHash(body))
					if framing == "chunked" {
						// The SDK signs Content-Length, so this one signs as curl does.
						text = s.signed("PUT", "/key", "", "s3", time.Now(), clientKey, "X-Amz-Content-Sha256: "+hexHash(body))
						text = strings.Replace(text, "\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n", 1) + chunked(body[:1000], body[1000:])
					}
					s.exchange(text).expect(t, 200)
					r, err := tryExchange(s.addr(), strings.Replace(text, body[len(body)-100:], other[len(body)-100:], 1))
					if err == nil && r.status < 400 {
						t.Errorf("answered %v", r)
					}
					arrived := 0
					for _, r := range up.Wait(1, time.Second) {
						if r.Complete {
							arrived++
							bodyIs(body)(t, r)
						}
					}
					if arrived != 1 {
						t.Errorf("%d bodies arrived as a whole, want the good one", arrived)
					}
				})
			}
		}
	}
}

// TestCurlSigns: curl has a signer of its own.
func TestCurlSigns(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err == nil {
		var help []byte
		if help, err = exec.Command(curl, "--help", "all").Output(); err == nil && !bytes.Contains(help, []byte("--aws-sigv4")) {
			err = fmt.Errorf("it has no --aws-sigv4")
		}
	}
	if err != nil {
		t.Skipf("SKIPPED: no curl that signs: %v; TestClientsSignWithPlaceholderKeys has the AWS SDK's signer", err)
	}
	up := newEndpoint(t, newKeyring(), nil)
	s := startCaddy(t, authenticated(up, ""))
	for _, args := range [][]string{
		{"/plain"},
		{"/a?list=1"},
		{"/key", "-X", "PUT", "--data", "hello"},
	} {
		args := append([]string{"-sS", "--aws-sigv4", "aws:amz:eu-west-1:execute-api", "--user", "AKIDCLIENT:client/secret+key", "http://" + s.addr() + args[0]}, args[1:]...)
		out, err := exec.Command(curl, args...).CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "AKIDALICE signed for s3") {
			t.Errorf("curl %v: %v, %s", args, err, out)
		}
	}
	up.all(3)
	out, err := exec.Command(curl, "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--aws-sigv4", "aws:amz:eu-west-1:execute-api",
		"--user", "AKIDCLIENT:wrong", "http://"+s.addr()+"/").CombinedOutput()
	if err != nil || string(out) != "401" {
		t.Errorf("curl with a wrong secret: %v, %s", err, out)
	}
	up.all(3)
}

// TestClientsSignOverHTTP2: the Host is then the :authority.
func TestClientsSignOverHTTP2(t *testing.T) {
	up := newEndpoint(t, newKeyring(), nil)
	s := startCaddy(t, strings.Replace(styles["short form"](up.Addr(), setup{options: signFor("s3"), tls: certificate(t)}),
		"route {", "route {\naws_sigv4_auth {\nkey AKIDCLIENT client/secret+key\n}", 1))
	req, err := http.NewRequest("PUT", "https://localhost"+s.addr()[strings.LastIndexByte(s.addr(), ':'):]+"/a%2Fb?c=d", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Content-Sha256", hexHash("hello"))
	if err := v4.NewSigner().SignHTTP(context.Background(), clientKey, req, hexHash("hello"), "execute-api", "eu-west-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: clientTLS(t), ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	res, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 || res.ProtoMajor != 2 {
		t.Errorf("answered %d over %s", res.StatusCode, res.Proto)
	}
	bodyIs("hello")(t, up.all(1)[0])
}
