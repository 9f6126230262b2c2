package sigv4

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

type botocoreCase struct {
	Name             string      `json:"name"`
	AccessKeyID      string      `json:"access_key_id"`
	SecretAccessKey  string      `json:"secret_access_key"`
	SessionToken     string      `json:"session_token"`
	Service          string      `json:"service"`
	Region           string      `json:"region"`
	Time             string      `json:"time"`
	Method           string      `json:"method"`
	Host             string      `json:"host"`
	Path             string      `json:"path"`
	Query            string      `json:"query"`
	Headers          [][2]string `json:"headers"`
	Body             string      `json:"body"`
	PayloadHeader    bool        `json:"payload_header"`
	CanonicalRequest string      `json:"canonical_request"`
	Signed           [][2]string `json:"signed"`
}

func headerOf(pairs [][2]string) http.Header {
	h := http.Header{}
	for _, p := range pairs {
		h.Add(p[0], p[1])
	}
	return h
}

// TestBotocore signs what botocore signed, and verifies what it sent.
func TestBotocore(t *testing.T) {
	var data struct {
		Cases []botocoreCase `json:"cases"`
	}
	if err := json.Unmarshal([]byte(readFile(t, "testdata", "botocore", "cases.json")), &data); err != nil {
		t.Fatal(err)
	}
	if len(data.Cases) != 19 {
		t.Errorf("%d cases, want 19", len(data.Cases))
	}
	for _, c := range data.Cases {
		t.Run(c.Name, func(t *testing.T) {
			at, err := time.Parse(dateFormat, c.Time)
			if err != nil {
				t.Fatal(err)
			}
			signer := NewSigner(Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken})
			in := Input{
				Method: c.Method, Host: c.Host, Target: mustTarget(t, c.Path, c.Query, PathRuleFor(c.Service)), Header: headerOf(c.Headers),
				PayloadHash: HashPayload([]byte(c.Body)), PayloadHeader: c.PayloadHeader,
				Service: c.Service, Region: c.Region, Time: at, Trace: new(Trace),
			}
			if err := signer.Sign(in); err != nil {
				t.Fatal(err)
			}
			equal(t, "canonical request", in.Trace.CanonicalRequest, c.CanonicalRequest)
			want := headerOf(c.Signed)
			for name := range want {
				equal(t, name, strings.Join(in.Header[name], "|"), strings.Join(want[name], "|"))
			}

			v := NewVerifier(func(string) (*Signer, bool) { return signer, true }, 0)
			v.Now = func() time.Time { return at.Add(time.Minute) }
			for name, wire := range map[string]VerifyInput{
				"as botocore sends it": {RawPath: c.Path, RawQuery: c.Query, Header: want},
				"as we send it":        {RawPath: in.Target.Path, RawQuery: in.Target.Query, Header: in.Header},
			} {
				wire.Method, wire.Host, wire.PayloadHash = c.Method, c.Host, in.PayloadHash
				auth, err := v.Verify(wire)
				if err != nil {
					t.Errorf("verify, %s: %v", name, err)
				} else {
					equal(t, "service", auth.Service, c.Service)
				}
			}
		})
	}
}
