package standin

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
)

// TestVerifiesAWSVectors verifies the requests that AWS's own signers are tested with, signed in the header and in the
// query, and refuses each of them after a change.
func TestVerifiesAWSVectors(t *testing.T) {
	top := filepath.Join("..", "..", "..", "shared", "data", "aws-signing-test-suite", "v4")
	dirs, err := os.ReadDir(top)
	if err != nil {
		absent.Skip(t, "aws-signing-test-suite", "TestVerifiesBotocore runs instead")
	}
	verified := 0
	for _, d := range dirs {
		for _, form := range []string{"header", "query"} {
			t.Run(d.Name()+" in the "+form, func(t *testing.T) {
				var context struct {
					Credentials struct {
						ID     string `json:"access_key_id"`
						Secret string `json:"secret_access_key"`
						Token  string `json:"token"`
					}
					Normalize       bool
					Region, Service string
					OmitToken       bool `json:"omit_session_token"`
					Expires         int  `json:"expiration_in_seconds"`
					Timestamp       time.Time
				}
				if err := json.Unmarshal(read(t, top, d.Name(), "context.json"), &context); err != nil {
					t.Fatal(err)
				}
				r := parseVector(t, string(read(t, top, d.Name(), form+"-signed-request.txt")))
				if context.OmitToken {
					// The token was added after signing, which AWS asks of some services; STS is none of them.
					r.header.Del("X-Amz-Security-Token")
					r.query = regexp.MustCompile(`&X-Amz-Security-Token=[^&]*`).ReplaceAllString(r.query, "")
					context.Credentials.Token = ""
				}
				v := &verifier{
					service: context.Service, region: context.Region, asItStands: !context.Normalize,
					now:    func() time.Time { return context.Timestamp.Add(time.Second) },
					lookUp: oneKey(context.Credentials.ID, context.Credentials.Secret, context.Credentials.Token),
				}
				if _, refused := v.verify(r); refused != nil {
					t.Fatalf("%s: %s", refused.code, refused.message)
				}
				verified++
				r.body = append(r.body, 'x')
				if _, refused := v.verify(r); refused == nil || refused.code != "SignatureDoesNotMatch" {
					t.Errorf("with another body: %+v, want SignatureDoesNotMatch", refused)
				}
			})
		}
	}
	if verified < 76 && !t.Failed() {
		t.Errorf("%d signatures verified, want 76", verified)
	}
}

// parseVector reads a request that may hold spaces and UTF-8 where HTTP has none.
func parseVector(t *testing.T, text string) *signedRequest {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	line, fields, _ := strings.Cut(head, "\n")
	r := &signedRequest{body: []byte(body)}
	var target string
	r.method, target, _ = strings.Cut(line, " ")
	r.path, r.query, _ = strings.Cut(strings.TrimSuffix(target, " HTTP/1.1"), "?")
	header, err := textproto.NewReader(bufio.NewReader(strings.NewReader(fields + "\n\n"))).ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	r.header = http.Header(header)
	r.host = r.header.Get("Host")
	r.header.Del("Host")
	if r.query != "" {
		r.query = asOnTheWire(r.query)
	}
	return r
}

// asOnTheWire writes the bytes of a query that may not stand in it as they have to be sent.
func asOnTheWire(query string) string {
	return escape(query, "%&=+/?:@!$'()*,;")
}

func read(t *testing.T, elem ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func oneKey(id, secret, token string) func(string, string) (*principal, error) {
	return func(keyID, sent string) (*principal, error) {
		switch {
		case keyID != id:
			return nil, unknownKeyError{}
		case sent != token:
			return nil, wrongTokenError{}
		}
		return &principal{secret: secret}, nil
	}
}

// TestVerifiesBotocore verifies requests that botocore signed: those of services that read a path as STS does.
func TestVerifiesBotocore(t *testing.T) {
	var file struct {
		Cases []struct {
			Name    string
			ID      string `json:"access_key_id"`
			Secret  string `json:"secret_access_key"`
			Token   string `json:"session_token"`
			Service string
			Region  string
			Time    string
			Method  string
			Host    string
			Path    string
			Query   string
			Headers [][2]string
			Body    string
			Signed  [][2]string
		}
	}
	if err := json.Unmarshal(read(t, "..", "..", "sigv4", "testdata", "botocore", "cases.json"), &file); err != nil {
		t.Fatal(err)
	}
	verified := 0
	for _, c := range file.Cases {
		if strings.HasPrefix(c.Service, "s3") {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			r := &signedRequest{method: c.Method, path: c.Path, query: asOnTheWire(c.Query), host: c.Host, header: http.Header{}, body: []byte(c.Body)}
			for _, h := range c.Headers {
				r.header.Add(h[0], h[1])
			}
			for _, h := range c.Signed {
				r.header.Set(h[0], h[1]) // Those that botocore wrote, and those of before.
			}
			at, err := time.Parse(timestamp, c.Time)
			if err != nil {
				t.Fatal(err)
			}
			v := &verifier{service: c.Service, region: c.Region, now: func() time.Time { return at }, lookUp: oneKey(c.ID, c.Secret, c.Token)}
			if _, refused := v.verify(r); refused != nil {
				t.Fatalf("%s: %s", refused.code, refused.message)
			}
			verified++
		})
	}
	if verified < 14 && !t.Failed() {
		t.Errorf("%d verified, want 14 at least", verified)
	}
}

// TestRefusesSignatures changes a request that is right, and one thing of it at a time.
func TestRefusesSignatures(t *testing.T) {
	base := func() *signedRequest {
		return &signedRequest{
			method: "POST", path: "/", host: "sts.eu-west-1.amazonaws.com", body: []byte("Action=GetCallerIdentity&Version=2011-06-15"),
			header: http.Header{
				"Content-Type": {"application/x-www-form-urlencoded"}, "X-Amz-Date": {"20260102T030405Z"}, "X-Amz-Security-Token": {"token/+="},
			},
		}
	}
	now, _ := time.Parse(timestamp, "20260102T030405Z")
	sign := func(r *signedRequest, headers, service, region, day, secret string) {
		c := &credential{keyID: "ASIAKEY", day: day, region: region, service: service, signedHeaders: strings.Split(headers, ";"), date: r.header.Get("X-Amz-Date")}
		c.scope = strings.Join([]string{day, region, service, "aws4_request"}, "/")
		r.header.Set("Authorization", algorithm+" Credential=ASIAKEY/"+c.scope+", SignedHeaders="+headers+", Signature="+signatureOf(t, r, c, secret))
	}
	const (
		all   = "content-type;host;x-amz-date;x-amz-security-token"
		right = "secret"
	)
	signRight := func(r *signedRequest) { sign(r, all, "sts", "eu-west-1", "20260102", right) }
	replace := func(r *signedRequest, from, to string) {
		r.header.Set("Authorization", strings.Replace(r.header.Get("Authorization"), from, to, 1))
	}
	tests := []struct {
		name   string
		change func(r *signedRequest)
		status int
		code   string
		says   string
	}{
		{"nothing", signRight, 0, "", ""},
		{"no signature", func(*signedRequest) {}, 403, "MissingAuthenticationToken", "missing Authentication Token"},
		{"another algorithm", func(r *signedRequest) { signRight(r); replace(r, "HMAC", "ECDSA") }, 400, "IncompleteSignature", "Unsupported"},
		{"no signed headers", func(r *signedRequest) { signRight(r); replace(r, "SignedHeaders="+all, "X=y") }, 400, "IncompleteSignature", "'SignedHeaders'"},
		{"a part twice", func(r *signedRequest) { signRight(r); replace(r, ", Sig", ", Signature=x, Sig") }, 400, "IncompleteSignature", ""},
		{"two authorizations", func(r *signedRequest) { signRight(r); r.header.Add("Authorization", "Basic eA==") }, 400, "IncompleteSignature", "more than one"},
		{"an authorization and a presigned query", func(r *signedRequest) { signRight(r); r.query = "X-Amz-Signature=0" }, 400, "IncompleteSignature", "more than one"},
		{"an unknown key", func(r *signedRequest) { signRight(r); replace(r, "ASIAKEY", "ASIAOTHER") }, 403, "InvalidClientTokenId", "invalid"},
		{"another token", func(r *signedRequest) { r.header.Set("X-Amz-Security-Token", "other"); signRight(r) }, 403, "InvalidClientTokenId", "invalid"},
		{"no token", func(r *signedRequest) {
			r.header.Del("X-Amz-Security-Token")
			sign(r, "content-type;host;x-amz-date", "sts", "eu-west-1", "20260102", right)
		}, 403, "InvalidClientTokenId", "invalid"},
		{"an unsigned token", func(r *signedRequest) { sign(r, "content-type;host;x-amz-date", "sts", "eu-west-1", "20260102", right) }, 403, "SignatureDoesNotMatch", "'X-Amz-Security-Token' must be"},
		{"an unsigned content type", func(r *signedRequest) {
			sign(r, "host;x-amz-date;x-amz-security-token", "sts", "eu-west-1", "20260102", right)
		}, 403, "SignatureDoesNotMatch", "'Content-Type' must be"},
		{"an unsigned host", func(r *signedRequest) {
			sign(r, "content-type;x-amz-date;x-amz-security-token", "sts", "eu-west-1", "20260102", right)
		}, 403, "SignatureDoesNotMatch", "'Host' or ':authority' must be"},
		{"a header added", func(r *signedRequest) { signRight(r); r.header.Set("X-Amz-Target", "x") }, 403, "SignatureDoesNotMatch", "'X-Amz-Target' must be"},
		{"a signed header taken away", func(r *signedRequest) { signRight(r); r.header.Del("Content-Type") }, 403, "SignatureDoesNotMatch", "not there"},
		{"signed headers out of order", func(r *signedRequest) { signRight(r); replace(r, "content-type;host", "host;content-type") }, 400, "IncompleteSignature", "sorted"},
		{"another service", func(r *signedRequest) { sign(r, all, "s3", "eu-west-1", "20260102", right) }, 403, "SignatureDoesNotMatch", "correct service: 'sts'"},
		{"another region", func(r *signedRequest) { sign(r, all, "sts", "us-east-1", "20260102", right) }, 403, "SignatureDoesNotMatch", "valid region"},
		{"another day", func(r *signedRequest) { sign(r, all, "sts", "eu-west-1", "20260101", right) }, 403, "SignatureDoesNotMatch", "Credential scope"},
		{"a date of long ago", func(r *signedRequest) { r.header.Set("X-Amz-Date", "20260102T025900Z"); signRight(r) }, 403, "SignatureDoesNotMatch", "Signature expired: 20260102T025900Z is now earlier than 20260102T025905Z (20260102T030405Z - 5 min.)"},
		{"a date to come", func(r *signedRequest) { r.header.Set("X-Amz-Date", "20260102T030906Z"); signRight(r) }, 403, "SignatureDoesNotMatch", "Signature not yet current"},
		{"no date", func(r *signedRequest) {
			r.header.Del("X-Amz-Date")
			sign(r, "content-type;host;x-amz-security-token", "sts", "eu-west-1", "20260102", right)
		}, 400, "IncompleteSignature", "Date"},
		{"another secret", func(r *signedRequest) { sign(r, all, "sts", "eu-west-1", "20260102", "other") }, 403, "SignatureDoesNotMatch", "The Canonical String for this request should have been\n'POST\n/\n"},
		{"another body", func(r *signedRequest) { signRight(r); r.body = []byte("Action=AssumeRole") }, 403, "SignatureDoesNotMatch", "we calculated"},
		{"another query", func(r *signedRequest) { signRight(r); r.query = "a" }, 403, "SignatureDoesNotMatch", "we calculated"},
		{"another path", func(r *signedRequest) { signRight(r); r.path = "/a" }, 403, "SignatureDoesNotMatch", "we calculated"},
		{"another method", func(r *signedRequest) { signRight(r); r.method = "GET" }, 403, "SignatureDoesNotMatch", "we calculated"},
		{"another host", func(r *signedRequest) { signRight(r); r.host = "sts.amazonaws.com" }, 403, "SignatureDoesNotMatch", "we calculated"},
		{"another content type", func(r *signedRequest) { signRight(r); r.header.Set("Content-Type", "a/b") }, 403, "SignatureDoesNotMatch", "we calculated"},
		{"a header twice", func(r *signedRequest) { signRight(r); r.header.Add("Content-Type", "a/b") }, 403, "SignatureDoesNotMatch", "we calculated"},
		{"a broken escape in the query", func(r *signedRequest) { signRight(r); r.query = "a=%zz" }, 400, "MalformedQueryString", "%zz"},
	}
	v := &verifier{service: "sts", region: "eu-west-1", now: func() time.Time { return now }, lookUp: oneKey("ASIAKEY", right, "token/+=")}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := base()
			tt.change(r)
			_, refused := v.verify(r)
			if refused == nil {
				refused = &refusal{}
			}
			if refused.status != tt.status || refused.code != tt.code || !strings.Contains(refused.message, tt.says) {
				t.Errorf("%d %s: %s\nwant %d %s: … %s", refused.status, refused.code, refused.message, tt.status, tt.code, tt.says)
			}
		})
	}
}

// signatureOf signs with the verifier's own arithmetic, which the tests above compare with that of others.
func signatureOf(t *testing.T, r *signedRequest, c *credential, secret string) string {
	t.Helper()
	canonical, err := new(verifier).canonicalRequest(r, c)
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(mac(signingKey(secret, c.day, c.region, c.service), c.stringToSign(canonical)))
}
