package stshelper_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/stshelper"
)

// TestDropIn holds the helper against the contract of the service that it replaces: its request, its
// answer, its words.
func TestDropIn(t *testing.T) {
	b := newBed(t, func(o *stshelper.Options) { o.HealthRegion = "us-east-1" })
	r := b.do("POST", "/assume-role", `{"role_arn":"`+acmeRole+`","external_id":"acme:1bdff5dc","region":"eu-west-1","service":"s3"}`,
		"content-type: application/json", "x-api-key: "+acmeSecret)
	r.expect(t, 200, nil)
	if got := len(r.json); got != 4 {
		t.Errorf("%d members, want 4: %s", got, r.text)
	}
	for _, name := range []string{"accessKeyId", "secretAccessKey", "sessionToken", "expiresAt"} {
		if v, _ := r.json[name].(string); v == "" {
			t.Errorf("%s is missing: %s", name, r.text)
		}
	}
	if got := r.header.Get("Content-Type"); got != "application/json; charset=utf-8" {
		t.Errorf("Content-Type is %q", got)
	}
	expires, err := time.Parse(time.RFC3339, r.json["expiresAt"].(string))
	if left := time.Until(expires); err != nil || left < 59*time.Minute || left > time.Hour {
		t.Errorf("expires in %v, %v", left, err)
	}

	calls := b.sts.Calls()
	if len(calls) != 1 {
		t.Fatalf("STS was called %d times", len(calls))
	}
	for name, want := range map[string]string{
		"RoleArn": acmeRole, "ExternalId": "acme:1bdff5dc", "RoleSessionName": "acme", "DurationSeconds": "3600",
	} {
		if got := calls[0].Form.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if calls[0].Region != "eu-west-1" {
		t.Errorf("the STS of %q was called", calls[0].Region)
	}

	if r := b.do("POST", "/assume-role", `{}`, isJSON); r.status != 401 || strings.TrimSpace(r.text) != `{"error":"invalid_api_key"}` {
		t.Errorf("without a key: %d %s", r.status, r.text)
	}
	b.do("POST", "/assume-role", `{}`, isJSON, "x-api-key: "+acmeSecret).
		expect(t, 400, map[string]string{"error": "invalid_request", "field": "role_arn", "message": "~missing"})
	if r := b.do("GET", "/health", ""); r.status != 200 || strings.TrimSpace(r.text) != `{"status":"ok","region":"us-east-1"}` {
		t.Errorf("health: %d %s", r.status, r.text)
	}
}

// TestRequestsThatMakeNoSense: each is answered with what is wrong and where, and AWS hears of none.
func TestRequestsThatMakeNoSense(t *testing.T) {
	b := newBed(t, nil)
	key := "X-Api-Key: " + acmeSecret
	role := `"role_arn":"` + acmeRole + `"`
	for _, tc := range []struct{ body, field, message string }{
		{``, "", "not a JSON object"},
		{`null`, "", "not a JSON object"},
		{`[]`, "", "not a JSON object"},
		{`"x"`, "", "not a JSON object"},
		{`{` + role, "", "not a JSON object"},
		{`{` + role + `} {}`, "", "not a JSON object"},
		{`{` + role + `,}`, "", "not a JSON object"},
		{`{role_arn:1}`, "", "not a JSON object"},
		{`{"role_arn":1}`, "role_arn", "not a string"},
		{`{"role_arn":null}`, "role_arn", "missing"},
		{`{"role_arn":""}`, "role_arn", "missing"},
		{`{"ROLE_ARN":"` + acmeRole + `"}`, "role_arn", "missing"},
		{`{"role_arn":"acme"}`, "role_arn", "is not the ARN of a role"},
		{`{"role_arn":"arn:aws:iam::123456789012:user/acme-x"}`, "role_arn", "not a role/"},
		{`{"role_arn":"arn:aws:iam::123456789012:role/acme-\u00e9"}`, "role_arn", "is not the ARN of a role"},
		{`{"role_arn":"arn:aws:iam::123456789012:role/acme-\ud800"}`, "role_arn", "is not the ARN of a role"},
		{`{` + role + `,` + role + `}`, "role_arn", "there twice"},
		{`{` + role + `}`, "external_id", "missing"},
		{`{` + role + `,"external_id":null}`, "external_id", "missing"},
		{`{` + role + `,"external_id":["acme:1"]}`, "external_id", "not a string"},
		{`{` + role + `,"external_id":"a"}`, "external_id", "2 to 1224"},
		{`{` + role + `,"external_id":"acme:1 2"}`, "external_id", "only letters"},
		{`{` + role + `,"external_id":"acme:1","region":1}`, "region", "not a string"},
		{`{` + role + `,"external_id":"acme:1","region":"eu-west-1.evil.example"}`, "region", "not the name of an AWS region"},
		{`{` + role + `,"external_id":"acme:1","region":"cn-north-1"}`, "region", "partition"},
		{`{` + role + `,"external_id":"acme:1","service":{}}`, "service", "not a string"},
	} {
		r := b.do("POST", "/assume-role", tc.body, isJSON, key)
		r.expect(t, 400, map[string]string{"error": "invalid_request", "field": tc.field, "message": "~" + tc.message})
		if got := b.lastAudited(); got.Outcome != stshelper.Invalid || got.Key != "acme" {
			t.Errorf("%s: audited %+v", tc.body, got)
		}
	}
	for _, header := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "nonsense/"} {
		lines := []string{key}
		if header != "" {
			lines = append(lines, "Content-Type: "+header)
		}
		b.do("POST", "/assume-role", `{`+role+`,"external_id":"acme:1"}`, lines...).expect(t, 415, map[string]string{"error": "unsupported_media_type"})
	}
	b.do("POST", "/assume-role", `{"x":"`+strings.Repeat("x", 64<<10)+`"}`, isJSON, key).expect(t, 413, map[string]string{"error": "body_too_large"})
	if n := len(b.sts.Calls()); n != 0 {
		t.Errorf("STS was called %d times", n)
	}

	// What is unknown is ignored, and null is as good as nothing.
	b.do("POST", "/assume-role", `{"more":[{"role_arn":1}],`+role+`,"external_id":"acme:1","region":null,"service":null,"session_name":"x"}`,
		"Content-Type: Application/JSON; charset=UTF-8", key).issued(t)
}

// TestPathsAndMethods: what is not served is not found, and other methods are told which ones there are.
func TestPathsAndMethods(t *testing.T) {
	b := newBed(t, nil)
	for _, tc := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 404, ""},
		{"POST", "/", 404, ""},
		{"POST", "/assume-role/", 404, ""},
		{"POST", "/x/assume-role", 404, ""},
		{"POST", "//assume-role", 404, ""},
		{"POST", "/Assume-Role", 404, ""},
		{"GET", "/credentials", 404, ""},
		{"GET", "/credentials/ro/x", 404, ""},
		{"POST", "/probe-external-id", 404, ""},
		{"GET", "/assume-role", 405, "POST"},
		{"OPTIONS", "/assume-role", 405, "POST"},
		{"PUT", "/assume-role", 405, "POST"},
		{"POST", "/health", 405, "GET, HEAD"},
		{"POST", "/credentials/ro", 405, "GET"},
		{"HEAD", "/credentials/ro", 405, "GET"},
		{"HEAD", "/health", 200, ""},
		{"GET", "/health?x=y", 200, ""},
	} {
		r := b.do(tc.method, tc.path, "", "X-Api-Key: "+acmeSecret, "Origin: https://app.example.com")
		r.expect(t, tc.status, nil)
		if got := r.header.Get("Allow"); got != tc.allow {
			t.Errorf("%s %s: Allow is %q, want %q", tc.method, tc.path, got, tc.allow)
		}
		for name := range r.header {
			if strings.HasPrefix(name, "Access-Control-") || name == "Vary" {
				t.Errorf("%s %s: %s is there, and no origin is allowed", tc.method, tc.path, name)
			}
		}
	}
	if n := len(b.audited()); n != 0 {
		t.Errorf("%d entries, want none", n)
	}
}

// TestCrossOrigin: browsers may call from the configured origins alone.
func TestCrossOrigin(t *testing.T) {
	b := newBed(t, func(o *stshelper.Options) { o.AllowOrigins = []string{"https://app.example.com"} })
	preflight := []string{"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type,x-api-key"}
	for origin, want := range map[string]string{
		"https://app.example.com":      "https://app.example.com",
		"http://app.example.com":       "",
		"https://app.example.com.evil": "",
		"https://evil.example":         "",
		"null":                         "",
	} {
		r := b.do("OPTIONS", "/assume-role", "", append(preflight, "Origin: "+origin)...)
		if got := r.header.Get("Access-Control-Allow-Origin"); got != want || (r.status == http.StatusNoContent) != (want != "") {
			t.Errorf("%s: preflight got %d, allowed %q", origin, r.status, got)
		}
		if r.header.Get("Vary") != "Origin" || r.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %v", origin, r.header)
		}
		if want != "" && (r.header.Get("Access-Control-Allow-Methods") != "POST" || !strings.Contains(r.header.Get("Access-Control-Allow-Headers"), "X-Api-Key")) {
			t.Errorf("%s: %v", origin, r.header)
		}
		r = b.do("POST", "/assume-role", `{"role_arn":"`+acmeRole+`","external_id":"acme:1"}`, isJSON, "X-Api-Key: "+acmeSecret, "Origin: "+origin)
		if got := r.header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s: POST allowed %q", origin, got)
		}
	}
	for _, bad := range []string{"*", "app.example.com", "https://app.example.com/", "https://App.example.com", "https://", "ftp://x", "null", ""} {
		if err := stshelper.CheckOrigin(bad); err == nil {
			t.Errorf("%q is no origin and was accepted", bad)
		}
	}
}

// TestRegions: the region of a request counts where it may, and only regions of the role's partition.
func TestRegions(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-north-1")
	many := func(n int) []string {
		var regions []string
		for i := range n {
			regions = append(regions, fmt.Sprintf("eu-west-%d", i+1))
		}
		return regions
	}
	for name, tc := range map[string]struct {
		change func(*stshelper.Options)
		role   string
		ask    []string
		want   []string // the region whose STS was called, or the status
	}{
		"the environment's": {nil, acmeRole, []string{"", "ap-south-1"}, []string{"eu-north-1", "ap-south-1"}},
		"configured":        {func(o *stshelper.Options) { o.Region = "us-west-2" }, acmeRole, []string{"", "ap-south-1"}, []string{"us-west-2", "ap-south-1"}},
		"of another partition": {
			func(o *stshelper.Options) { o.Region = "us-west-2" }, "arn:aws-cn:iam::123456789012:role/acme-reader",
			[]string{"", "cn-north-1"},
			[]string{"cn-northwest-1", "cn-north-1"},
		},
		"some may be asked for": {func(o *stshelper.Options) { o.Regions = []string{"eu-west-1"} }, acmeRole, []string{"", "eu-west-1", "eu-west-2"}, []string{"eu-north-1", "eu-west-1", "403"}},
		"ignored":               {func(o *stshelper.Options) { o.IgnoreRegion = true }, acmeRole, []string{"ap-south-1", "nonsense"}, []string{"eu-north-1", "400"}},
		"too many":              {nil, acmeRole, many(66), append(many(64), "403", "403")},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, tc.change)
			var got []string
			for _, region := range tc.ask {
				before := len(b.sts.Calls())
				r := b.assume(acmeSecret, tc.role, "acme:1", `,"region":"`+region+`"`)
				if r.status != 200 {
					got = append(got, fmt.Sprint(r.status))
					continue
				}
				for _, call := range b.sts.Calls()[before:] {
					got = append(got, call.Region)
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
