package connect

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// TestTheTestCallIsSigned as the AWS SDK signs it.
func TestTheTestCallIsSigned(t *testing.T) {
	var got *http.Request
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Clone(t.Context()) }))
	defer server.Close()
	v := newVendor(t, vendorOptions{
		integration: func(i *Integration) {
			i.TestCall = &TestCall{Method: "GET", URL: server.URL + "/my-bucket-{account}-{region}/a%20b?list-type=2&prefix=x", Status: 200}
		},
		service: func(o *ServiceOptions) { o.HTTPClient = server.Client() },
	})
	token, id := v.customer(forOrganization("o1"))
	v.aws.role(role1, fakeRole{externalID: id})
	if got := v.submit(token, role1, ""); got.State != StateSucceeded {
		t.Fatalf("%+v", got)
	}
	if got.URL.Path != "/my-bucket-111111111111-eu-west-1/a b" {
		t.Errorf("path %q", got.URL.Path)
	}
	sessionToken := got.Header.Get("X-Amz-Security-Token")
	secret := strings.NewReplacer("issued-token", "issued-secret", "//+==", "").Replace(sessionToken)
	at, err := time.Parse("20060102T150405Z", got.Header.Get("X-Amz-Date"))
	if err != nil {
		t.Fatal(err)
	}
	keyID, _, _ := strings.Cut(got.Header.Get("Authorization"), "/")
	keyID = strings.TrimPrefix(keyID, "AWS4-HMAC-SHA256 Credential=")
	want, err := http.NewRequest(http.MethodGet, server.URL+got.RequestURI, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	hash := got.Header.Get("X-Amz-Content-Sha256")
	want.Header.Set("X-Amz-Content-Sha256", hash)
	err = v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).SignHTTP(t.Context(),
		aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret, SessionToken: sessionToken}, want, hash, "s3", "eu-west-1", at)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := got.Header.Get("Authorization"), want.Header.Get("Authorization"); a != b {
		t.Errorf("%s\nwant %s", a, b)
	}
}

func TestWhyATestCallFails(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		code    Code
		awsCode string
		text    string
		most    int32
	}{
		"denied, in XML": {
			handler: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Amz-Request-Id", "R1")
				w.WriteHeader(403)
				w.Write([]byte("<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>no</Message></Error>"))
			},
			code: CodeTestCallFailed, awsCode: "AccessDenied", text: "answered 403 and not 200", most: 20,
		},
		"denied, in JSON": {
			handler: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Amzn-Requestid", "R1")
				w.WriteHeader(400)
				w.Write([]byte(`{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"no"}`))
			},
			code: CodeTestCallFailed, awsCode: "AccessDeniedException", text: "answered 400", most: 1,
		},
		"denied, in a header": {
			handler: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Amzn-Errortype", "AccessDeniedException:http://internal.amazon.com/")
				w.Header().Set("X-Amzn-Requestid", "R1")
				w.WriteHeader(404)
			},
			code: CodeTestCallFailed, awsCode: "AccessDeniedException", text: "answered 404", most: 1,
		},
		"denied at first": {
			handler: func() http.HandlerFunc {
				n := 0
				return func(w http.ResponseWriter, _ *http.Request) {
					if n++; n < 3 {
						w.WriteHeader(403)
					}
				}
			}(),
			most: 3,
		},
		"elsewhere": {
			handler: func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
			},
			code: CodeTestCallFailed, text: "answered 307", most: 1,
		},
		"broken": {
			handler: func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(502)
				w.Write(bytes.Repeat([]byte("<Code>"), 1<<20))
			},
			code: CodeTestCallFailed, text: "answered 502", most: 20,
		},
		"breaks off": {handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, code: CodeTestCallFailed, text: "not answered", most: 40},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				tt.handler(w, r)
			}))
			defer server.Close()
			v := newVendor(t, vendorOptions{
				integration: func(i *Integration) {
					i.TestCall = &TestCall{Method: "GET", URL: server.URL + "/?secret=in-the-query", Status: 200}
				},
				service: func(o *ServiceOptions) { o.HTTPClient = server.Client() },
			})
			token, id := v.customer(forOrganization("o1"))
			v.aws.role(role1, fakeRole{externalID: id})
			got := v.submit(token, role1, "")
			if got.Code != tt.code || got.AWSCode != tt.awsCode || !strings.Contains(got.Text, tt.text) || (got.State == StateFailed) != (tt.code != "") {
				t.Errorf("%+v", got)
			}
			if tt.awsCode != "" && got.RequestID != "R1" {
				t.Errorf("request ID %q", got.RequestID)
			}
			if n := calls.Load(); n < 1 || n > tt.most {
				t.Errorf("%d calls", n)
			}
			v.tellsNothing([]any{got}, id, token, "in-the-query")
		})
	}
	if n := elsewhere.Load(); n > 0 {
		t.Errorf("a redirect was followed %d times, with credentials", n)
	}
}

// TestTheDefaultClientGoesNowhereElse: to what the operator wrote, and never to metadata services.
func TestTheDefaultClientGoesNowhereElse(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	for name, tt := range map[string]struct{ url, reason string }{
		"a metadata service":    {"https://169.254.169.254/latest/", "nothing is ever sent there"},
		"one of IPv6":           {"https://[fd00:ec2::254]/latest/", "nothing is ever sent there"},
		"written as one number": {"https://2852039166/latest/", ""},
		"below a placeholder":   {strings.Replace(server.URL, "127.0.0.1", "127.0.0.{region}", 1), ""},
		"the operator's own":    {server.URL, "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t, vendorOptions{integration: func(i *Integration) {
				i.ExternalIDProbe, i.TestCall = ProbeOff, &TestCall{Method: "GET", URL: tt.url, Status: 200}
			}})
			token, id := v.customer(forOrganization("o1"))
			v.aws.role(role1, fakeRole{externalID: id})
			got := v.submit(token, role1, "")
			last := v.events[len(v.events)-1]
			if got.Code != CodeTestCallFailed || !strings.Contains(last.Text, tt.reason) {
				t.Errorf("%+v: %q", got, last.Text)
			}
		})
	}
}
