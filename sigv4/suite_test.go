package sigv4

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sharedData finds the directory of data that lies beside the module, and
// skips the test where there is none.
func sharedData(t *testing.T, elem ...string) string {
	t.Helper()
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for parent := filepath.Dir(dir); parent != dir; dir, parent = parent, filepath.Dir(parent) {
		path := filepath.Join(append([]string{dir, "shared", "data"}, elem...)...)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Skipf("SKIPPED, NOT PASSED: there is no shared/data/%s beside the module; the cases in testdata run instead", filepath.Join(elem...))
	return ""
}

type suiteContext struct {
	Credentials struct {
		ID     string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
		Token  string `json:"token"`
	} `json:"credentials"`
	Normalize bool      `json:"normalize"`
	Region    string    `json:"region"`
	Service   string    `json:"service"`
	SignBody  bool      `json:"sign_body"`
	Timestamp time.Time `json:"timestamp"`
	OmitToken bool      `json:"omit_session_token"`
}

type suiteRequest struct {
	method, path, query, host string
	header                    http.Header
	body                      string
}

// readSuiteRequest reads a request.txt: HTTP/1.1 text whose path may hold
// spaces and UTF-8, and whose header lines may be folded. A header's values
// are unfolded as net/http would unfold them.
func readSuiteRequest(t *testing.T, text string) suiteRequest {
	t.Helper()
	r := suiteRequest{header: http.Header{}}
	head, body, _ := strings.Cut(text, "\n\n")
	r.body = body
	lines := bufio.NewScanner(strings.NewReader(head))
	lines.Scan()
	method, rest, _ := strings.Cut(lines.Text(), " ")
	target := strings.TrimSuffix(rest, " HTTP/1.1")
	r.method = method
	r.path, r.query, _ = strings.Cut(target, "?")
	last := ""
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			values := r.header[last]
			values[len(values)-1] += " " + strings.TrimSpace(line)
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			t.Fatalf("no header line: %q", line)
		}
		if strings.EqualFold(name, "host") {
			r.host = value
			continue
		}
		last = http.CanonicalHeaderKey(name)
		r.header[last] = append(r.header[last], value)
	}
	return r
}

func readFile(t *testing.T, elem ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// rulesOf signs exactly the headers that the request has, as the suite does;
// some of them (content-length) NewHeaderRules refuses, with reason.
func rulesOf(h http.Header) *HeaderRules {
	r := &HeaderRules{names: map[string]struct{}{}}
	for name := range h {
		r.names[strings.ToLower(name)] = struct{}{}
	}
	return r
}

func TestAWSSigningTestSuite(t *testing.T) {
	root := sharedData(t, "aws-signing-test-suite", "v4")
	dirs, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		ran++
		t.Run(d.Name(), func(t *testing.T) {
			dir := filepath.Join(root, d.Name())
			var c suiteContext
			if err := json.Unmarshal([]byte(readFile(t, dir, "context.json")), &c); err != nil {
				t.Fatal(err)
			}
			r := readSuiteRequest(t, readFile(t, dir, "request.txt"))

			creds := Credentials{AccessKeyID: c.Credentials.ID, SecretAccessKey: c.Credentials.Secret, SessionToken: c.Credentials.Token}
			if c.OmitToken {
				creds.SessionToken = ""
			}
			// The suite gives the path in clear and encodes it once, for a
			// service that encodes twice what it receives.
			path := r.path
			if c.Normalize {
				path = normalizePath(path)
			}
			target, err := Canonicalize(path, r.query, PathSingle)
			if err != nil {
				t.Fatal(err)
			}
			hash := EmptyPayloadHash
			if c.SignBody {
				hash = HashPayload([]byte(r.body))
			}
			var trace Trace
			header := r.header.Clone()
			signer := NewSigner(creds)
			err = signer.Sign(Input{
				Method: r.method, Host: r.host, Target: target, Header: header, Rules: rulesOf(r.header),
				PayloadHash: hash, PayloadHeader: c.SignBody,
				Service: c.Service, Region: c.Region, Time: c.Timestamp, Trace: &trace,
			})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "canonical request", trace.CanonicalRequest, readFile(t, dir, "header-canonical-request.txt"))
			equal(t, "string to sign", trace.StringToSign, readFile(t, dir, "header-string-to-sign.txt"))
			equal(t, "signature", trace.Signature, readFile(t, dir, "header-signature.txt"))

			signed := readSuiteRequest(t, readFile(t, dir, "header-signed-request.txt"))
			equal(t, "authorization", header.Get("Authorization"), signed.header.Get("Authorization"))

			// The suite's own signed request, as it would arrive.
			v := NewVerifier(func(string) (*Signer, bool) { return signer, true }, 0)
			v.Now = func() time.Time { return c.Timestamp }
			in := VerifyInput{
				Method: signed.method, Host: signed.host, RawPath: signed.path, RawQuery: signed.query,
				Header: signed.header, PayloadHash: hash,
			}
			if c.OmitToken {
				// A token that was added after signing can't be told from one
				// that a stranger added.
				_, err := v.Verify(in)
				wantReason(t, err, ReasonHeaderNotSigned)
				in.Header.Del("X-Amz-Security-Token")
			}
			auth, err := v.Verify(in)
			if err != nil {
				t.Fatalf("verify: %v", err)
			}
			equal(t, "verified key", auth.AccessKeyID, creds.AccessKeyID)
		})
	}
	if ran != 38 {
		t.Errorf("ran %d cases, want 38", ran)
	}
}

func equal(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s\n got %q\nwant %q", what, got, want)
	}
}

func wantReason(t *testing.T, err error, want Reason) {
	t.Helper()
	var refused *VerifyError
	if !errors.As(err, &refused) {
		t.Fatalf("got error %v, want one with reason %s", err, want)
	}
	if refused.Reason != want {
		t.Fatalf("got reason %s (%v), want %s", refused.Reason, err, want)
	}
}
