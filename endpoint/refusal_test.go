package endpoint

import (
	"errors"
	"strings"
	"testing"
)

func TestRefusalsSayWhatToWrite(t *testing.T) {
	long := strings.Repeat("abcdefghi.", 25) + "s3.eu-west-1.amazonaws.com"
	for _, c := range []struct{ host, problem, fix string }{
		// No host name
		{"", "is empty", fixHost},
		{".", "has an empty label", fixHost},
		{":443", "has an empty label", fixHost},
		{"s3..eu-west-1.amazonaws.com", "has an empty label", fixHost},
		{".s3.eu-west-1.amazonaws.com", "has an empty label", fixHost},
		{"s3.eu-west-1.amazonaws.com..", "has an empty label", fixHost},
		{"s3.eu-west-1.amazonaws.com:", "has a port", fixHost},
		{"s3.eu-west-1.amazonaws.com:0", "has a port", fixHost},
		{"s3.eu-west-1.amazonaws.com:65536", "has a port", fixHost},
		{"s3.eu-west-1.amazonaws.com:https", "has a port", fixHost},
		{"s3.eu-west-1.amazonaws.com:443:443", "is neither a host name nor an IP address", fixHost},
		{long, "is longer than 253 characters", fixHost},
		{strings.Repeat("a", 64) + ".s3.eu-west-1.amazonaws.com", "has a label longer than 63", fixHost},
		{"-x.s3.eu-west-1.amazonaws.com", "begins or ends with a hyphen", fixHost},
		{"s3.eu-west-1.amazonaws.com\n", "has a control character", fixHost},
		{"s3.eu-west-1\x00.amazonaws.com", "has a control character", fixHost},
		{"s3.eu-west-1.amazonaws.com\x7f", "has a control character", fixHost},
		{"s3.еu-west-1.amazonaws.com", "has a character outside ASCII", fixHost}, // a Cyrillic letter
		{"s3.eu-west-1。amazonaws.com", "has a character outside ASCII", fixHost},
		{"s3.eu-west-1.amazonaws.com\xff", "has a character outside ASCII", fixHost},
		{"s3.eu-west-1.amazonaws.com ", "has the character ' '", fixHost},
		{"s3.eu-west-1.amazonaws%2ecom", "has the character '%'", fixHost},
		{"*.eu-west-1.amazonaws.com", "has the character '*'", fixHost},
		{"{upstream}.amazonaws.com", "has the character '{'", fixHost},
		{"https://s3.eu-west-1.amazonaws.com", "is a URL or a path", fixHost},
		{"s3.eu-west-1.amazonaws.com/key", "is a URL or a path", fixHost},
		{"s3.eu-west-1.amazonaws.com#.example.com", "is a URL or a path", fixHost},
		{`s3.eu-west-1.amazonaws.com\.example.com`, "is a URL or a path", fixHost},
		{"me:secret@s3.eu-west-1.amazonaws.com", "has user information", fixHost},
		{"[s3.eu-west-1.amazonaws.com]", "is neither a host name nor an IP address", fixHost},
		{"s3.eu-west-1].amazonaws.com", "has a bracket", fixHost},
		{"[::1", "is neither a host name nor an IP address", fixHost},
		{"[::1]:0", "is neither a host name nor an IP address", fixHost},
		{"[::1]s3.amazonaws.com", "is neither a host name nor an IP address", fixHost},

		// Hosts, but not of AWS
		{"127.0.0.1", "is an IP address", fixBoth},
		{"127.0.0.1:9000", "is an IP address", fixBoth},
		{"::1", "is an IP address", fixBoth},
		{"[::1]", "is an IP address", fixBoth},
		{"[2001:db8::7]:8443", "is an IP address", fixBoth},
		{"localhost:9000", "is not under a domain of the AWS API", fixBoth},
		{"storage.example.com", "is not under a domain of the AWS API", fixBoth},
		{"s3.eu-west-1.amazonaws.com.evil.example", "is not under a domain of the AWS API", fixBoth},
		{"evilamazonaws.com", "is not under a domain of the AWS API", fixBoth},
		{"s3.eu-west-1.evilamazonaws.com", "is not under a domain of the AWS API", fixBoth},
		{"s3.eu-west-1.notapi.aws.com", "is not under a domain of the AWS API", fixBoth},
		{"s3.eu-west-1.xapi.aws", "is not under a domain of the AWS API", fixBoth},
		{"s3.eu-west-1.aws", "is not under a domain of the AWS API", fixBoth},
		{"s3.eu-west-1.amazonaws.co", "is not under a domain of the AWS API", fixBoth},
		{"s3.cn-north-1.amazonaws.com.cn.evil.cn", "is not under a domain of the AWS API", fixBoth},
		{"s3.eu-west-1.amazonaws-com", "is not under a domain of the AWS API", fixBoth},
		{"d111111abcdef8.cloudfront.net", "is not under a domain of the AWS API", fixBoth},

		// Hosts of AWS that don't say enough
		{"amazonaws.com", "names no service", fixBoth},
		{"api.aws", "names no service", fixBoth},
		{"eu-west-1.amazonaws.com", "names no service", fixBoth},
		{"dualstack.eu-west-1.amazonaws.com", "names no service", fixBoth},
		{"210987654321.eu-west-1.amazonaws.com", "names no service beside its region", fixService},
		{"us-west-2.eu-west-1.amazonaws.com", "names no service beside its region", fixService},
		{"my_api.eu-west-1.amazonaws.com", "names no service beside its region", fixService},
		{"sqs.amazonaws.com", "has no region before its suffix", fixBoth},
		{"sqs.eu-west.amazonaws.com", "has no region before its suffix", fixBoth},
		{"sqs.eu-west-1a.amazonaws.com", "has no region before its suffix", fixBoth},
		{"x.iam.amazonaws.com", "has no region before its suffix", fixBoth},
		{"unheard-of.global.api.aws", "has no region before its suffix", fixBoth},
		{"iam.us-gov.c2s.ic.gov", "has no region before its suffix", fixBoth},
		{"sqs.eu-west-1.global.api.aws", "has no region before its suffix", fixBoth},
		{"sqs.eu-west-1.vpce.amazonaws.com", "has no label vpce-ID", fixBoth},
		{"vpce-0a1b.vpce-svc-0c2d.eu-west-1.vpce.amazonaws.com", "is somebody's own endpoint service", fixBoth},
		{"photos.s3-accelerate.amazonaws.com", "is an S3 Transfer Acceleration endpoint", fixRegion},
		{"photos.s3-accelerate.dualstack.amazonaws.com", "is an S3 Transfer Acceleration endpoint", fixRegion},
		{"sts.amazonaws.com.cn", "sts has no global endpoint in the partition aws-cn", fixRegion},
		{"photos.s3.amazonaws.com.cn", "s3 has no global endpoint in the partition aws-cn", fixRegion},
		{"neptune.eu-west-1.amazonaws.com", "may mean a database's data or its management", "write `service neptune-db` for Neptune's data, `service rds` for the management of either"},
		{"docdb.eu-west-1.amazonaws.com", "may mean a database's data or its management", "write `service neptune-db` for Neptune's data, `service rds` for the management of either"},

		// One partition's region under another's suffix
		{"sts.cn-north-1.amazonaws.com", "has the region cn-north-1 of the partition aws-cn under a suffix of the partition aws", "write it with the suffix amazonaws.com.cn or api.amazonwebservices.com.cn, or the region of its own partition"},
		{"sts.us-gov-west-1.c2s.ic.gov", "of the partition aws-us-gov under a suffix of the partition aws-iso", "write it with the suffix amazonaws.com or api.aws, or the region of its own partition"},
		{"sts.eu-west-1.us-gov.amazonaws.com", "of the partition aws under a suffix of the partition aws-us-gov", "write it with the suffix amazonaws.com or api.aws, or the region of its own partition"},
		{"photos.s3-cn-north-1.amazonaws.com", "of the partition aws-cn under a suffix of the partition aws", "write it with the suffix amazonaws.com.cn or api.amazonwebservices.com.cn, or the region of its own partition"},

		// Hosts of AWS that take no signature
		{"photos.s3-website-eu-west-1.amazonaws.com", "is an S3 website endpoint", "write the bucket's REST endpoint BUCKET.s3.REGION.amazonaws.com"},
		{"photos.s3-website.eu-central-1.amazonaws.com", "is an S3 website endpoint", "write the bucket's REST endpoint BUCKET.s3.REGION.amazonaws.com"},
		{"photos.s3-website.cn-north-1.amazonaws.com.cn", "is an S3 website endpoint", "write the bucket's REST endpoint BUCKET.s3.REGION.amazonaws.com"},
		{"210987654321.dkr.ecr.eu-west-1.amazonaws.com", "is a container registry", fixUnsigned},
		{"shop-210987654321.d.codeartifact.eu-west-1.amazonaws.com", "is a package repository", fixUnsigned},
		{"a1b2c3.credentials.iot.eu-west-1.amazonaws.com", "is AWS IoT's credentials provider", fixUnsigned},
		{"email-smtp.eu-west-1.amazonaws.com", "is an SMTP server", "write the host email.REGION.amazonaws.com of the SES API"},
		{"web-1.eu-west-1.elb.amazonaws.com", "is a customer's own server", fixUnsigned},
		{"web-1.elb.eu-west-1.amazonaws.com", "is a customer's own server", fixUnsigned},
		{"ip-10-0-0-7.eu-west-1.compute.amazonaws.com", "is a customer's own server", fixUnsigned},
		{"shop.abc123.eu-west-1.rds.amazonaws.com", "is a database that doesn't speak HTTP", fixUnsigned},
	} {
		got, err := Parse(c.host)
		var refusal *Error
		if !errors.As(err, &refusal) {
			t.Errorf("Parse(%q) = %+v, %v; want an *Error", c.host, got, err)
			continue
		}
		if got != (Endpoint{}) {
			t.Errorf("Parse(%q) answers %+v beside its error", c.host, got)
		}
		if !strings.Contains(refusal.Problem, c.problem) || refusal.Fix != c.fix {
			t.Errorf("Parse(%q): problem %q, fix %q; want %q, %q", c.host, refusal.Problem, refusal.Fix, c.problem, c.fix)
		}
		if text := err.Error(); strings.ContainsAny(text, "\n\r\x00\x7f") || len(text) > 400 || strings.Contains(text, "failed to") {
			t.Errorf("Parse(%q): unprintable error %q", c.host, text)
		}
	}
}

func TestErrorsHoldNoSecrets(t *testing.T) {
	for _, host := range []string{
		"AKIDEXAMPLE:hush-hush@s3.eu-west-1.amazonaws.com",
		"https://AKIDEXAMPLE:hush-hush@s3.eu-west-1.amazonaws.com/key",
		"a@hush-hush@s3.eu-west-1.amazonaws.com",
		"s3.eu-west-1.amazonaws.com?X-Amz-Signature=hush-hush",
	} {
		_, err := Parse(host)
		if err == nil || strings.Contains(err.Error(), "hush-hush") {
			t.Errorf("Parse(%q): %v", host, err)
		}
		var refusal *Error
		if errors.As(err, &refusal) && strings.Contains(refusal.Host, "hush-hush") {
			t.Errorf("Parse(%q): Host is %q", host, refusal.Host)
		}
	}
}

func TestErrorText(t *testing.T) {
	_, err := Parse("Storage.Example.com:9000")
	const want = `host "Storage.Example.com:9000" is not under a domain of the AWS API: write ` + "`service NAME` and `region NAME`"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
