package wireverify

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// notOnTheWire are vectors whose requests no HTTP/1.1 client could send as
// they are written, so that the reader must refuse them.
var notOnTheWire = map[string]string{
	"get-header-value-multiline": "a folded header line",
	"get-space-normalized":       "a blank in the request target",
	"get-space-unnormalized":     "a blank in the request target",
	"get-utf8":                   "raw UTF-8 in the request target",
	"get-vanilla-utf8-query":     "raw UTF-8 in the request target",
}

// TestVerifiesAWSVectors verifies the signed requests of the test suite that
// AWS's own signers are tested with.
func TestVerifiesAWSVectors(t *testing.T) {
	top := filepath.Join("..", "..", "..", "shared", "data", "aws-signing-test-suite", "v4")
	dirs, err := os.ReadDir(top)
	if err != nil {
		t.Skip("SKIPPED: the AWS signing test suite is not here; TestVerifiesDocumentedRequest and TestRefusals run without it")
	}
	verified := 0
	for _, d := range dirs {
		t.Run(d.Name(), func(t *testing.T) {
			var context struct {
				Credentials struct {
					ID     string `json:"access_key_id"`
					Secret string `json:"secret_access_key"`
					Token  string `json:"token"`
				}
				Normalize bool
				Region    string
				Service   string
				OmitToken bool `json:"omit_session_token"`
				Timestamp time.Time
			}
			if err := json.Unmarshal(read(t, top, d.Name(), "context.json"), &context); err != nil {
				t.Fatal(err)
			}
			raw := crlf(string(read(t, top, d.Name(), "header-signed-request.txt")))
			r, err := parse(raw)
			if reason, ok := notOnTheWire[d.Name()]; ok {
				if err == nil {
					err = checkTarget(r.Target)
				}
				if err == nil {
					t.Errorf("%s was accepted", reason)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			key := Key{Secret: context.Credentials.Secret, Token: context.Credentials.Token}
			if context.OmitToken {
				// Such a token is not signed, which no service has to accept.
				key.Token = ""
				r.drop("X-Amz-Security-Token")
			}
			v := &Verifier{
				Key:     func(id string) (Key, bool) { return key, id == context.Credentials.ID },
				Now:     func() time.Time { return context.Timestamp },
				Lenient: true,
			}
			if !context.Normalize {
				// Only the second reading is the one of these vectors; both
				// are the same where the path is normal.
				v.Lenient = false
				if path, _, _ := strings.Cut(r.Target, "?"); normalise(path) != path {
					if _, err := v.Verify(r); err == nil {
						t.Error("a path that services normalise was accepted with the signature of the path as it stands")
					}
					return
				}
			}
			s, err := v.Verify(r)
			if err != nil {
				t.Fatal(err)
			}
			if s.Service != context.Service || s.Region != context.Region || s.AccessKeyID != context.Credentials.ID {
				t.Errorf("signed by %+v", s)
			}
			verified++
		})
	}
	if t.Failed() {
		return
	}
	t.Logf("%d of %d vectors verified", verified, len(dirs))
	if verified < 25 {
		t.Errorf("only %d of %d vectors were verified", verified, len(dirs))
	}
}

// TestVerifiesDocumentedRequest verifies the example of S3's documentation,
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html,
// "GET Object".
func TestVerifiesDocumentedRequest(t *testing.T) {
	r, err := parse(documented)
	if err != nil {
		t.Fatal(err)
	}
	s, err := documentedVerifier().Verify(r)
	if err != nil {
		t.Fatal(err)
	}
	if s.AccessKeyID != "AKIAIOSFODNN7EXAMPLE" || s.Service != "s3" || s.Region != "us-east-1" || len(s.SignedHeaders) != 4 {
		t.Errorf("signed by %+v", s)
	}
}

const documented = "GET /test.txt HTTP/1.1\r\n" +
	"Host: examplebucket.s3.amazonaws.com\r\n" +
	"Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, " +
	"SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, " +
	"Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41\r\n" +
	"Range: bytes=0-9\r\n" +
	"x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\r\n" +
	"x-amz-date: 20130524T000000Z\r\n\r\n"

func documentedVerifier() *Verifier {
	return &Verifier{
		Key: func(id string) (Key, bool) {
			return Key{Secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, id == "AKIAIOSFODNN7EXAMPLE"
		},
		Now: func() time.Time { return time.Date(2013, 5, 24, 0, 4, 59, 0, time.UTC) },
	}
}

func parse(raw string) (*Request, error) {
	br := bufio.NewReader(strings.NewReader(raw))
	r, err := ReadHead(br)
	if err != nil {
		return nil, err
	}
	return r, r.ReadBody(br, -1)
}

// crlf ends the lines of a vector as they end on the wire.
func crlf(text string) string {
	head, body, _ := strings.Cut(text, "\n\n")
	return strings.ReplaceAll(strings.TrimSuffix(head, "\n"), "\n", "\r\n") + "\r\n\r\n" + body
}

func (r *Request) drop(name string) {
	var kept []Header
	for _, h := range r.Headers {
		if !strings.EqualFold(h.Name, name) {
			kept = append(kept, h)
		}
	}
	r.Headers = kept
}

func read(t *testing.T, elements ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elements...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
