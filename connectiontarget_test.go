package awssigv4

import (
	"errors"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

func TestTargeting(t *testing.T) {
	for _, tt := range []struct {
		name                  string
		service, region       string
		override, own, shared string
		allowed, services     []string
		insecure              bool
		want                  callTarget
		code                  string
	}{
		{name: "the usual endpoint", service: "s3", region: "eu-west-1", want: callTarget{"https", "s3.eu-west-1.amazonaws.com", "", "s3", "eu-west-1"}},
		{name: "China", service: "s3", region: "cn-north-1", want: callTarget{"https", "s3.cn-north-1.amazonaws.com.cn", "", "s3", "cn-north-1"}},
		{name: "a global service", service: "iam", region: "eu-west-1", want: callTarget{"https", "iam.amazonaws.com", "", "iam", "us-east-1"}},
		{name: "GovCloud, whose host another partition shares", service: "cloudfront", region: "us-gov-west-1", want: callTarget{"https", "cloudfront.amazonaws.com", "", "cloudfront", "us-gov-west-1"}},
		{name: "no service", region: "eu-west-1", code: "missing_api_url"},
		{name: "no common host", service: "execute-api", region: "eu-west-1", code: "missing_api_url"},
		{name: "the integration's", service: "s3", region: "eu-west-1", shared: "https://b.s3.eu-west-1.amazonaws.com/p/", want: callTarget{"https", "b.s3.eu-west-1.amazonaws.com", "/p", "s3", "eu-west-1"}},
		{name: "the connection's before it", service: "s3", region: "eu-west-1", own: "https://a.s3.eu-west-1.amazonaws.com", shared: "https://evil.example", want: callTarget{"https", "a.s3.eu-west-1.amazonaws.com", "", "s3", "eu-west-1"}},
		{name: "the caller's before all", service: "s3", region: "eu-west-1", override: "https://S3.EU-CENTRAL-1.amazonaws.com:443", own: "https://evil.example", want: callTarget{"https", "s3.eu-central-1.amazonaws.com", "", "s3", "eu-central-1"}},
		{name: "another service", service: "s3", region: "eu-west-1", override: "https://sqs.eu-west-1.amazonaws.com", code: "base_url_override_not_allowed"},
		{name: "another service that is allowed", service: "s3", region: "eu-west-1", services: []string{"sqs"}, override: "https://sqs.eu-west-1.amazonaws.com", want: callTarget{"https", "sqs.eu-west-1.amazonaws.com", "", "sqs", "eu-west-1"}},
		{name: "another partition", service: "s3", region: "eu-west-1", override: "https://s3.us-gov-west-1.amazonaws.com", code: "base_url_override_not_allowed"},
		{name: "a customer's API that the caller asks for", service: "execute-api", region: "eu-west-1", override: "https://a1.execute-api.eu-west-1.amazonaws.com", code: "base_url_override_not_allowed"},
		{name: "one that is allowed in full", service: "execute-api", region: "eu-west-1", override: "https://a1.execute-api.eu-west-1.amazonaws.com", allowed: []string{"a1.execute-api.eu-west-1.amazonaws.com"}, want: callTarget{"https", "a1.execute-api.eu-west-1.amazonaws.com", "", "execute-api", "eu-west-1"}},
		{name: "one that the vendor wrote", service: "execute-api", region: "eu-west-1", own: "https://a1.execute-api.eu-west-1.amazonaws.com", want: callTarget{"https", "a1.execute-api.eu-west-1.amazonaws.com", "", "execute-api", "eu-west-1"}},
		{name: "a customer's function", service: "lambda", region: "eu-west-1", override: "https://a1.lambda-url.eu-west-1.on.aws", code: "base_url_override_not_allowed"},
		{name: "the service itself", service: "lambda", region: "eu-west-1", override: "https://lambda.us-east-1.amazonaws.com", want: callTarget{"https", "lambda.us-east-1.amazonaws.com", "", "lambda", "us-east-1"}},
		{name: "a private link", service: "s3", region: "eu-west-1", override: "https://bucket.vpce-1-2.s3.eu-west-1.vpce.amazonaws.com", want: callTarget{"https", "bucket.vpce-1-2.s3.eu-west-1.vpce.amazonaws.com", "", "s3", "eu-west-1"}},
		{name: "a host that is allowed", service: "s3", region: "eu-west-1", own: "https://minio.example:9000", allowed: []string{"minio.example:9000"}, want: callTarget{"https", "minio.example:9000", "", "s3", "eu-west-1"}},
		{name: "another port of it", service: "s3", region: "eu-west-1", own: "https://minio.example:9001", allowed: []string{"minio.example:9000"}, code: "base_url_not_allowed"},
		{name: "a pattern", service: "s3", region: "eu-west-1", own: "https://a.minio.example", allowed: []string{"*.minio.example"}, want: callTarget{"https", "a.minio.example", "", "s3", "eu-west-1"}},
		{name: "a pattern over AWS's domain", service: "s3", region: "eu-west-1", own: "https://x.eu-west-1.elb.amazonaws.com", allowed: []string{"*.amazonaws.com"}, code: "base_url_not_allowed"},
		{name: "a pattern over another service", service: "s3", region: "eu-west-1", own: "https://sqs.eu-west-1.amazonaws.com", allowed: []string{"*.amazonaws.com"}, code: "base_url_not_allowed"},
		{name: "another service in full", service: "s3", region: "eu-west-1", own: "https://sqs.eu-west-1.amazonaws.com", allowed: []string{"sqs.eu-west-1.amazonaws.com"}, want: callTarget{"https", "sqs.eu-west-1.amazonaws.com", "", "sqs", "eu-west-1"}},
		{name: "IPv6", service: "s3", region: "eu-west-1", own: "https://[::1]:9000", allowed: []string{"[::1]:9000"}, want: callTarget{"https", "[::1]:9000", "", "s3", "eu-west-1"}},
		{name: "plain", service: "s3", region: "eu-west-1", override: "http://127.0.0.1:9000", allowed: []string{"127.0.0.1:9000"}, code: "invalid_base_url"},
		{name: "plain and permitted", service: "s3", region: "eu-west-1", override: "http://127.0.0.1:9000", allowed: []string{"127.0.0.1:9000"}, insecure: true, want: callTarget{"http", "127.0.0.1:9000", "", "s3", "eu-west-1"}},
		{name: "plain by a pattern", service: "s3", region: "eu-west-1", override: "http://a.example", allowed: []string{"*.example"}, insecure: true, code: "base_url_override_not_allowed"},
		{name: "a host that tells nothing, without a service", region: "eu-west-1", own: "https://minio.example", allowed: []string{"minio.example"}, code: "base_url_not_allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := targeting{
				connection:  &connect.Connection{Region: tt.region, BaseURL: tt.own},
				integration: &connect.Integration{Service: tt.service, BaseURL: tt.shared, Limits: connect.Limits{Services: tt.services}},
				allowed:     tt.allowed, insecure: tt.insecure,
			}
			got, err := target.of(tt.override)
			if tt.code != "" {
				if e, ok := errors.AsType[*callError](err); !ok || e.code != tt.code {
					t.Errorf("got %+v, %v; want %s", got, err, tt.code)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func TestPathsBelowABase(t *testing.T) {
	for _, tt := range []struct{ target, prefix, base, service, want string }{
		{"/proxy/a%2Fb//c?x=%20", "/proxy", "", "s3", "/a%2Fb//c"},
		{"/proxy", "/proxy", "/base", "s3", "/base/"},
		{"/proxy/../x", "/proxy", "/base", "s3", "/base/../x"},
		{"/a", "", "/base", "sqs", "/base/a"},
		{"/../a", "", "/base", "sqs", ""},
		{"/%2e%2E/a", "", "/base", "sqs", ""},
		{"/x/.", "", "/base", "sqs", ""},
		{"/proxyx/a", "/proxy", "", "s3", ""},
		{"/Proxy/a", "/proxy", "", "s3", ""},
	} {
		r, err := withoutPrefix(httptest.NewRequest("GET", tt.target, nil), tt.prefix)
		if err == nil {
			r, err = belowPath(r, tt.base, tt.service)
		}
		if tt.want == "" {
			if _, refused := asRefusal(err); !refused {
				t.Errorf("%s is accepted: %v", tt.target, err)
			}
			continue
		}
		if err != nil || sigv4.RawPath(r) != tt.want {
			t.Errorf("%s without %s below %s is %s, %v; want %s", tt.target, tt.prefix, tt.base, sigv4.RawPath(r), err, tt.want)
		}
	}
}

// FuzzBaseURL: whatever a caller asks for, what is called is AWS's in the connection's partition and for its
// service, or allowed by name, with TLS, and below no path with dots.
func FuzzBaseURL(f *testing.F) {
	for _, seed := range []string{
		"https://s3.eu-west-1.amazonaws.com", "https://b.s3.eu-west-1.amazonaws.com:443/x/", "https://minio.example:9000/a%2fb", "https://a@b/", "http://x", "https://[::1]",
		"https://evil.example\\@s3.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com%2eevil.example", "https://s3.eu-west-1.amazonaws.com.", "HTTPS://S3.EU-WEST-1.AMAZONAWS.COM/..",
		"https://s3.eu-west-1.amazonaws.com#@evil.example", "https:///x", "https:s3.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com:0443",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, override string) {
		target := targeting{
			connection: &connect.Connection{Region: "eu-west-1"}, integration: &connect.Integration{Service: "s3"}, allowed: []string{"minio.example:9000"},
		}
		got, err := target.of(override)
		if err != nil || override == "" {
			return
		}
		ep, err := endpoint.Parse(got.host)
		if got.scheme != "https" || got.host != "minio.example:9000" && (err != nil || ep.Service != "s3" || ep.Partition != "aws" || strings.Contains(got.host, ":")) {
			t.Errorf("%q leads to %+v", override, got)
		}
		decoded, err := url.PathUnescape(got.path)
		if err != nil || got.path != "" && got.path[0] != '/' || strings.HasSuffix(got.path, "/") || slices.Contains(strings.Split(decoded, "/"), "..") || strings.ContainsAny(got.path, "?# ") {
			t.Errorf("%q leads below %q", override, got.path)
		}
	})
}
