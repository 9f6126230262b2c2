package quickcreate

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
)

var locations = []struct {
	url  string
	want Location
}{
	{"https://b-1.s3.eu-west-1.amazonaws.com/s3-readonly.json", Location{"aws", "eu-west-1", "b-1", "s3-readonly.json", ""}},
	{"https://b-1.s3.amazonaws.com/a/b/c.yaml", Location{"aws", "", "b-1", "a/b/c.yaml", ""}},
	{"https://B-1.S3.Amazonaws.Com/K", Location{"aws", "", "b-1", "K", ""}},
	{"https://my.dotted.bucket.s3.eu-central-1.amazonaws.com/k", Location{"aws", "eu-central-1", "my.dotted.bucket", "k", ""}},
	{"https://b-1.s3.dualstack.eu-west-1.amazonaws.com/k", Location{"aws", "eu-west-1", "b-1", "k", ""}},
	{"https://b-1.s3-fips.us-east-1.amazonaws.com/k", Location{"aws", "us-east-1", "b-1", "k", ""}},
	{"https://b-1.s3-fips.dualstack.us-gov-west-1.amazonaws.com/k", Location{"aws-us-gov", "us-gov-west-1", "b-1", "k", ""}},
	{"https://s3.eu-west-1.amazonaws.com/b-1/a/k", Location{"aws", "eu-west-1", "b-1", "a/k", ""}},
	{"https://s3.amazonaws.com/b-1/k", Location{"aws", "", "b-1", "k", ""}},
	{"https://s3.amazonaws.com/Old_Bucket/k", Location{"aws", "", "Old_Bucket", "k", ""}},
	{"https://s3.dualstack.eu-west-1.amazonaws.com/b-1/k", Location{"aws", "eu-west-1", "b-1", "k", ""}},
	{"https://s3-eu-west-1.amazonaws.com/b-1/k", Location{"aws", "eu-west-1", "b-1", "k", ""}},
	{"https://b-1.s3-eu-west-1.amazonaws.com/k", Location{"aws", "eu-west-1", "b-1", "k", ""}},
	{"https://s3-external-1.amazonaws.com/b-1/k", Location{"aws", "us-east-1", "b-1", "k", ""}},
	{"https://s3-us-gov-west-1.amazonaws.com/b-1/k", Location{"aws-us-gov", "us-gov-west-1", "b-1", "k", ""}},
	{"https://s3-fips-us-gov-west-1.amazonaws.com/b-1/k", Location{"aws-us-gov", "us-gov-west-1", "b-1", "k", ""}},
	{"https://b-1.s3.us-gov-east-1.amazonaws.com/k", Location{"aws-us-gov", "us-gov-east-1", "b-1", "k", ""}},
	{"https://b-1.s3.cn-north-1.amazonaws.com.cn/k", Location{"aws-cn", "cn-north-1", "b-1", "k", ""}},
	{"https://s3.cn-northwest-1.amazonaws.com.cn/b-1/k", Location{"aws-cn", "cn-northwest-1", "b-1", "k", ""}},
	{"https://b-1.s3.eusc-de-east-1.amazonaws.eu/k", Location{"aws-eusc", "eusc-de-east-1", "b-1", "k", ""}},
	{"https://b-1.s3.us-iso-east-1.c2s.ic.gov/k", Location{"aws-iso", "us-iso-east-1", "b-1", "k", ""}},
	{"https://b-1.s3.us-isob-east-1.sc2s.sgov.gov/k", Location{"aws-iso-b", "us-isob-east-1", "b-1", "k", ""}},
	{"https://b-1.s3.eu-isoe-west-1.cloud.adc-e.uk/k", Location{"aws-iso-e", "eu-isoe-west-1", "b-1", "k", ""}},
	{"https://b-1.s3.us-isof-south-1.csp.hci.ic.gov/k", Location{"aws-iso-f", "us-isof-south-1", "b-1", "k", ""}},
	{"https://b-1.s3.eu-west-1.amazonaws.com/k?versionId=3HL4kqtJlcpXroDTDmJ_rmSpXd3dIbrH", Location{"aws", "eu-west-1", "b-1", "k", "3HL4kqtJlcpXroDTDmJ_rmSpXd3dIbrH"}},
	{"https://b-1.s3.eu-west-1.amazonaws.com/a%20b%2Bc+d%23.json", Location{"aws", "eu-west-1", "b-1", "a b+c+d#.json", ""}},
	// An access point by its alias is like a bucket.
	{"https://my-ap-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias.s3.eu-west-1.amazonaws.com/k", Location{"aws", "eu-west-1", "my-ap-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias", "k", ""}},
	// Buckets may be named like anything.
	{"https://s3.s3.eu-west-1.amazonaws.com/k", Location{"aws", "eu-west-1", "s3", "k", ""}},
	{"https://s3-website.eu-west-1.s3.amazonaws.com/k", Location{"aws", "", "s3-website.eu-west-1", "k", ""}},
	{"https://s3.us-east-1.s3.eu-west-1.amazonaws.com/k", Location{"aws", "eu-west-1", "s3.us-east-1", "k", ""}},
}

func TestParseLocation(t *testing.T) {
	for _, tt := range locations {
		if len(tt.want.Bucket) < 3 { // The bucket s3 is too short to exist.
			if got, err := ParseLocation(tt.url); err == nil {
				t.Errorf("%s is accepted as %+v", tt.url, got)
			}
			continue
		}
		got, err := ParseLocation(tt.url)
		if err != nil || got != tt.want {
			t.Errorf("ParseLocation(%s) = %+v, %v, want %+v", tt.url, got, err, tt.want)
		}
		agreeWithEndpoint(t, tt.url, got)
	}
}

// agreeWithEndpoint asks the room that signs requests what it thinks of the same host.
func agreeWithEndpoint(t *testing.T, rawURL string, got Location) {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	e, err := endpoint.Parse(u.Host)
	if err != nil || e.Service != "s3" || e.Partition != got.Partition || got.Region != "" && e.Region != got.Region {
		t.Errorf("%s: endpoint says %+v, %v, and ParseLocation %+v", rawURL, e, err, got)
	}
}

func TestTemplateURLsThatAreRefused(t *testing.T) {
	for _, tt := range []struct {
		url    string
		reason Reason
		detail string
	}{
		{"", NoURL, "no URL"},
		{"http://b-1.s3.eu-west-1.amazonaws.com/k", NotHTTPS, "https://"},
		{"s3://b-1/k", NotHTTPS, "https://BUCKET.s3.REGION"},
		{"javascript:alert(1)", NotHTTPS, "https://"},
		{"//b-1.s3.eu-west-1.amazonaws.com/k", NotHTTPS, "https://"},
		{"b-1.s3.eu-west-1.amazonaws.com/k", NotHTTPS, "https://"},
		{"file:///etc/passwd", NotHTTPS, "https://"},
		{"https:///k", BadURL, "can't be read"},
		{"https:k", BadURL, "can't be read"},
		{"https://%zz/k", BadURL, "can't be read"},
		{"https://b-1.s3.eu-west-1.amazonaws.com/a b", BadURL, "percent-encoded"},
		{"https://b-1.s3.eu-west-1.amazonaws.com/é", BadURL, "percent-encoded"},
		{"https://b-1.s3.eu-west-1.amazonaws.com/a\n", BadURL, "percent-encoded"},
		{"https://me:pw@b-1.s3.eu-west-1.amazonaws.com/k", BadURL, "user name"},
		{"https://b-1.s3.eu-west-1.amazonaws.com/k#x", BadURL, "%23"},
		{"https://b-1.s3.eu-west-1.amazonaws.com/k#", BadURL, "%23"},
		{"https://b-1.s3.eu-west-1.amazonaws.com", BadURL, "no object"},
		{"https://b-1.s3.eu-west-1.amazonaws.com/", BadURL, "no object"},
		{"https://b-1.s3.eu-west-1.amazonaws.com/dir/", BadURL, "no object"},
		{"https://s3.eu-west-1.amazonaws.com/b-1", BadURL, "no object"},
		{"https://s3.eu-west-1.amazonaws.com/b-1/", BadURL, "no object"},
		{"https://s3.eu-west-1.amazonaws.com//k", BadURL, "no name of a bucket"},
		{"https://s3.eu-west-1.amazonaws.com/a%20b/k", BadURL, "no name of a bucket"},
		{"https://-b.s3.eu-west-1.amazonaws.com/k", BadURL, "no name of a bucket"},
		{"https://a..b.s3.eu-west-1.amazonaws.com/k", BadURL, "no name of a bucket"},
		{"https://b-1.s3.eu-west-1.amazonaws.com/a/../k", BadURL, "segment"},
		{"https://b-1.s3.eu-west-1.amazonaws.com/%2e%2e/k", BadURL, "segment"},
		{"https://b-1.s3.eu-west-1.amazonaws.com:443/k", NotS3, "port"},
		{"https://b-1.s3.eu-west-1.amazonaws.com:8443/k", NotS3, "port"},
		{"https://[::1]/k", NotS3, "port or brackets"},
		{"https://169.254.169.254/latest/meta-data/", NotS3, "no host of S3"},
		{"https://example.com/k", NotS3, "no host of S3"},
		{"https://d111111abcdef8.cloudfront.net/k", NotS3, "no host of S3"},
		{"https://b-1.s3.eu-west-1.amazonaws.com.evil.example/k", NotS3, "no host of S3"},
		{"https://evils3.amazonaws.com/k", NotS3, "no address of a bucket"},
		{"https://amazonaws.com/k", NotS3, "no host of S3"},
		{"https://s3.xamazonaws.com/b-1/k", NotS3, "no host of S3"},
		{"https://b-1.s3.eu-west-1.amazonaws.com./k", NotS3, "no host of S3"},
		{"https://sts.eu-west-1.amazonaws.com/k", NotS3, "no address of a bucket"},
		{"https://b-1.s3.moon-1.amazonaws.com/k", NotS3, "no address of a bucket"},
		{"https://b-1.s3-accelerate.amazonaws.com/k", NotS3, "no address of a bucket"},
		{"https://b-1.s3-accelerate.dualstack.amazonaws.com/k", NotS3, "no address of a bucket"},
		{"https://b-1--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com/k", NotS3, "no address of a bucket"},
		{"https://123456789012.s3-control.eu-west-1.amazonaws.com/k", NotS3, "no address of a bucket"},
		{"https://o-123456789012.s3-object-lambda.eu-west-1.amazonaws.com/k", NotS3, "no address of a bucket"},
		{"https://ap-1.op-1.s3-outposts.eu-west-1.amazonaws.com/k", NotS3, "no address of a bucket"},
		{"https://b-1.bucket.vpce-1a2b-3c.s3.eu-west-1.vpce.amazonaws.com/k", NotS3, "no address of a bucket"},
		{"https://b-1.s3.cn-north-1.amazonaws.com/k", NotS3, "another partition"},
		{"https://b-1.s3.eu-west-1.amazonaws.com.cn/k", NotS3, "another partition"},
		{"https://b-1.s3.amazonaws.com.cn/k", NotS3, "lacks the region"},
		{"https://b-1.s3.amazonaws.eu/k", NotS3, "lacks the region"},
		{"https://b-1.s3-website-us-east-1.amazonaws.com/k", Website, "website endpoint"},
		{"https://b-1.s3-website.eu-central-1.amazonaws.com/k", Website, "website endpoint"},
		{"https://b-1.s3-website.cn-north-1.amazonaws.com.cn/k", Website, "website endpoint"},
		{"https://ap-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/k", AccessPoint, "-s3alias"},
		{"https://ap-123456789012.s3-accesspoint.dualstack.eu-west-1.amazonaws.com/k", AccessPoint, "-s3alias"},
		{"https://ap-123456789012.s3-accesspoint-fips.us-east-1.amazonaws.com/k", AccessPoint, "-s3alias"},
		{"https://m1.mrap.accesspoint.s3-global.amazonaws.com/k", AccessPoint, "-s3alias"},
		{"https://b-1.s3.eu-west-1.amazonaws.com/k?X-Amz-Signature=0&X-Amz-Expires=9", Query, "signed URL expires"},
		{"https://b-1.s3.eu-west-1.amazonaws.com/k?versionId=", Query, "versionId"},
		{"https://b-1.s3.eu-west-1.amazonaws.com/k?versionId=a&versionId=b", Query, "versionId"},
		{"https://b-1.s3.eu-west-1.amazonaws.com/k?a;b", BadURL, "query"},
		{"https://b-1.s3.eu-west-1.amazonaws.com/" + strings.Repeat("k", 1024), TooLong, "1024"},
	} {
		got, err := ParseLocation(tt.url)
		var refusal *LinkError
		if !errors.As(err, &refusal) || refusal.Reason != tt.reason || !strings.Contains(err.Error(), tt.detail) || got != (Location{}) {
			t.Errorf("ParseLocation(%s) = %+v, %+v, want %s: %s", tt.url, got, err, tt.reason, tt.detail)
		}
	}
}

// FuzzParseLocation: no panic; what is accepted is a bucket of S3 for the room that signs requests,
// too; a refusal has a reason and one printable line.
func FuzzParseLocation(f *testing.F) {
	for _, tt := range locations {
		f.Add(tt.url)
	}
	f.Add("https://b-1.s3-website.eu-central-1.amazonaws.com/k")
	f.Add("https://ap-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/k?versionId=x")
	f.Fuzz(func(t *testing.T, rawURL string) {
		got, err := ParseLocation(rawURL)
		if err != nil {
			var refusal *LinkError
			if !errors.As(err, &refusal) || refusal.Reason == "" || refusal.Detail == "" || got != (Location{}) || len(refusal.Detail) > 400 {
				t.Fatalf("%q: %+v, %v", rawURL, got, err)
			}
			for _, c := range []byte(refusal.Detail) {
				if c < ' ' {
					t.Fatalf("%q: unprintable %q", rawURL, refusal.Detail)
				}
			}
			return
		}
		if got.Key == "" || got.Bucket == "" || got.Partition == "" || len(rawURL) > maxTemplateURL {
			t.Fatalf("%q: %+v", rawURL, got)
		}
		agreeWithEndpoint(t, rawURL, got)
	})
}
