package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

const helperKey = "helper-api-key-0123456789"

// fakeHelper is an STS helper that asks the fake AWS, and says what it likes.
type fakeHelper struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	body   string
	asked  []map[string]string
}

func newHelper(t testing.TB, aws *fakeAWS) *fakeHelper {
	h := &fakeHelper{}
	client := sts.NewClient(sts.Config{})
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q map[string]string
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || r.Header.Get("X-Api-Key") != helperKey {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"invalid_api_key"}`)
			return
		}
		h.mu.Lock()
		h.asked = append(h.asked, q)
		status, body := h.status, h.body
		h.mu.Unlock()
		if status != 0 {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return
		}
		creds, expires, err := client.AssumeRole(r.Context(), sigv4.Credentials{AccessKeyID: "AKIABROKER", SecretAccessKey: brokerSecret}, sts.AssumeRoleInput{
			RoleARN: q["role_arn"], ExternalID: q["external_id"], SessionName: "helper", Duration: time.Hour, Region: "us-east-1", Endpoint: aws.URL,
		})
		if e, ok := errors.AsType[*sts.Error](err); ok {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, `{"error":"assume_role_failed","code":%q,"message":%q}`, e.Code, e.Message)
			return
		}
		fmt.Fprintf(w, `{"accessKeyId":%q,"secretAccessKey":%q,"sessionToken":%q,"expiresAt":%q}`,
			creds.AccessKeyID, creds.SecretAccessKey, creds.SessionToken, expires.UTC().Format(time.RFC3339))
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *fakeHelper) mode(t testing.TB, aws *fakeAWS, change func(*HelperOptions)) func(Mode) Mode {
	t.Helper()
	auth, err := sts.HelperAPIKey("", helperKey)
	if err != nil {
		t.Fatal(err)
	}
	client, err := sts.NewHelperClient(sts.HelperConfig{URL: h.URL, Auth: auth})
	if err != nil {
		t.Fatal(err)
	}
	o := HelperOptions{Client: client, Service: "s3", Principal: vendorARN, STS: sts.Where{Region: "us-east-1", Endpoint: aws.URL}}
	if change != nil {
		change(&o)
	}
	mode, err := NewHelperMode(o)
	if err != nil {
		t.Fatal(err)
	}
	return func(Mode) Mode { return mode }
}

func proves(context.Context, sts.HelperInput) (sts.ProbeResult, error) {
	return sts.ProbeResult{Outcome: sts.Proven, Reason: "only the right External ID was accepted"}, nil
}

func TestARoleIsConnectedByAHelper(t *testing.T) {
	aws := newAWS(t)
	helper := newHelper(t, aws)
	v := newVendor(t, vendorOptions{aws: aws, mode: helper.mode(t, aws, func(o *HelperOptions) { o.Probe = proves })})
	token, id := v.customer(forOrganization("o1"))
	aws.role(role1, fakeRole{externalID: id, notBefore: 2})
	got := v.submit(token, role1, "")
	if got.State != StateSucceeded || got.Attempt != 3 || got.Probe != sts.Proven {
		t.Fatalf("%+v", got)
	}
	want := map[string]string{"role_arn": role1, "external_id": id, "region": "eu-west-1", "service": "s3"}
	if fmt.Sprint(helper.asked[0]) != fmt.Sprint(want) {
		t.Errorf("the helper was asked %v", helper.asked[0])
	}
	c, err := v.store.Connection(t.Context(), got.ConnectionID)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := v.Identity(c)
	if err != nil {
		t.Fatal(err)
	}
	cache := credentials.NewCache(credentials.Options{})
	defer cache.Close()
	if creds, err := cache.Get(t.Context(), identity); err != nil || creds.Value.SessionToken == "" {
		t.Errorf("%v, %v", creds, err)
	}
	v.tellsNothing([]any{got, identity.Key, identity.Label}, id, token, helperKey)
}

func TestWhyAHelpersVerificationFails(t *testing.T) {
	t.Parallel()
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for name, tt := range map[string]struct {
		status int
		body   string
		closed bool
		fake   fakeRole
		mode   func(*HelperOptions)

		code Code
		step Step
		most int
	}{
		"AWS refuses it": {fake: fakeRole{externalID: "another"}, code: CodeAssumeRoleDenied, step: StepAssumeRole, most: 20},
		"a helper that says no more": {
			status: 500, body: `{"error":"assume_role_failed"}`, code: CodeAssumeRoleDenied, step: StepAssumeRole, most: 20,
		},
		"a wrong key":     {status: 401, body: `{"error":"invalid_api_key"}`, code: CodeHelperRefused, step: StepAssumeRole, most: 1},
		"not this role":   {status: 403, body: `{"error":"not_permitted"}`, code: CodeHelperRefused, step: StepAssumeRole, most: 1},
		"down":            {status: 503, body: `oops`, code: CodeHelperUnreachable, step: StepAssumeRole, most: 20},
		"not there":       {closed: true, code: CodeHelperUnreachable, step: StepAssumeRole},
		"no credentials":  {status: 200, body: `{"hello":"world"}`, code: CodeHelperRefused, step: StepAssumeRole, most: 1},
		"somebody else's": {status: 200, body: `{"accessKeyId":"ASIA1","secretAccessKey":"s","sessionToken":"t","expiresAt":"` + soon + `"}`, code: CodeSTSUnavailable, step: StepIdentity, most: 1},
		"the broker's own": {
			status: 200, body: `{"accessKeyId":"ASIABROKER","secretAccessKey":"` + brokerSecret + `","sessionToken":"t","expiresAt":"` + soon + `"}`,
			code: CodeWrongAccount, step: StepIdentity, most: 1,
		},
		"a refusal is no proof": {code: CodeExternalIDUnproven, step: StepExternalID, most: 4},
		"an open role is one":   {fake: fakeRole{open: "wrong"}, code: CodeExternalIDNotEnforced, step: StepExternalID, most: 3},
		"a probe that fails": {
			mode: func(o *HelperOptions) {
				o.Probe = func(context.Context, sts.HelperInput) (sts.ProbeResult, error) {
					return sts.ProbeResult{}, errors.New("not found")
				}
			},
			code: CodeExternalIDUnproven, step: StepExternalID, most: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aws := &fakeAWS{Server: ststest.New(t,
				ststest.Key{ID: "AKIABROKER", Secret: brokerSecret}, ststest.Key{ID: "ASIABROKER", Secret: brokerSecret, Token: "t"},
			), roles: make(map[string]*fakeRole)}
			aws.Answer(aws.answer)
			helper := newHelper(t, aws)
			helper.status, helper.body = tt.status, tt.body
			v := newVendor(t, vendorOptions{aws: aws, mode: helper.mode(t, aws, tt.mode)})
			if tt.closed {
				helper.Close()
			}
			token, id := v.customer(forOrganization("o1"))
			if tt.fake.externalID == "" {
				tt.fake.externalID = id
			}
			aws.role(role1, tt.fake)
			got := v.submit(token, role1, "")
			if got.State != StateFailed || got.Code != tt.code || got.Step != tt.step || got.Text == "" || got.Remedy == "" {
				t.Errorf("%+v, want %s at %s", got, tt.code, tt.step)
			}
			if n := len(helper.asked); n > tt.most {
				t.Errorf("the helper was asked %d times", n)
			}
			v.tellsNothing([]any{got}, id, token, helperKey)
		})
	}
}

func TestHelperModeSaysWhatIsMissing(t *testing.T) {
	client, err := sts.NewHelperClient(sts.HelperConfig{URL: "https://helper.example.com/assume-role"})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		o    HelperOptions
		want string
	}{
		"no client":      {HelperOptions{Principal: vendorARN}, "no client"},
		"no principal":   {HelperOptions{Client: client}, "write its ARN as principal"},
		"no such ARN":    {HelperOptions{Client: client, Principal: "arn:aws:s3:::bucket"}, "principal"},
		"another's":      {HelperOptions{Client: client, Principal: vendorARN, Partition: "aws-cn"}, "partition"},
		"no such STS":    {HelperOptions{Client: client, Principal: vendorARN, STS: sts.Where{Endpoint: "http://example.com"}}, "STS"},
		"an account":     {HelperOptions{Client: client, Principal: vendorAccount}, ""},
		"China, by name": {HelperOptions{Client: client, Principal: "arn:aws-cn:iam::111122223333:role/B"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := NewHelperMode(tt.o)
			if tt.want == "" && err == nil {
				if p, err := m.Principal(t.Context()); err != nil || p.Account != vendorAccount {
					t.Errorf("%+v, %v", p, err)
				}
				return
			}
			if err == nil || tt.want == "" || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	mode, err := NewHelperMode(HelperOptions{Client: client, Principal: vendorARN})
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewService(ServiceOptions{
		Store: &Store{}, STS: sts.NewClient(sts.Config{}),
		Integrations: map[string]*Configured{"a": {Integration: Integration{Key: "a", Policy: `{"Statement":[]}`}, Mode: mode}},
	})
	if err == nil || !strings.Contains(err.Error(), "policy there") {
		t.Errorf("%v", err)
	}
}
