package endpoint

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDefaultFor(t *testing.T) {
	for _, tt := range []struct{ service, region, host, signed string }{
		{"s3", "eu-west-1", "s3.eu-west-1.amazonaws.com", "eu-west-1"},
		{"s3", "cn-north-1", "s3.cn-north-1.amazonaws.com.cn", "cn-north-1"},
		{"s3", "us-gov-west-1", "s3.us-gov-west-1.amazonaws.com", "us-gov-west-1"},
		{"s3", "us-iso-east-1", "s3.us-iso-east-1.c2s.ic.gov", "us-iso-east-1"},
		{"s3", "us-isob-east-1", "s3.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1"},
		{"s3", "eu-isoe-west-1", "s3.eu-isoe-west-1.cloud.adc-e.uk", "eu-isoe-west-1"},
		{"s3", "us-isof-south-1", "s3.us-isof-south-1.csp.hci.ic.gov", "us-isof-south-1"},
		{"s3", "eusc-de-east-1", "s3.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"},
		{"dynamodb", "ap-south-1", "dynamodb.ap-south-1.amazonaws.com", "ap-south-1"},
		{"ses", "eu-west-1", "email.eu-west-1.amazonaws.com", "eu-west-1"},
		{"bedrock", "us-west-2", "bedrock-runtime.us-west-2.amazonaws.com", "us-west-2"},
		{"sagemaker", "us-west-2", "api.sagemaker.us-west-2.amazonaws.com", "us-west-2"},
		{"ecr", "us-west-2", "api.ecr.us-west-2.amazonaws.com", "us-west-2"},
		{"ecr-public", "eu-west-1", "api.ecr-public.us-east-1.amazonaws.com", "us-east-1"},
		{"iam", "eu-west-1", "iam.amazonaws.com", "us-east-1"},
		{"iam", "cn-northwest-1", "iam.cn-north-1.amazonaws.com.cn", "cn-north-1"},
		{"iam", "us-gov-east-1", "iam.us-gov.amazonaws.com", "us-gov-west-1"},
		{"iam", "us-iso-west-1", "iam.us-iso-east-1.c2s.ic.gov", "us-iso-east-1"},
		{"route53", "eu-west-1", "route53.amazonaws.com", "us-east-1"},
		{"route53", "us-gov-east-1", "route53.us-gov.amazonaws.com", "us-gov-west-1"},
		{"cloudfront", "eu-west-1", "cloudfront.amazonaws.com", "us-east-1"},
		{"cloudfront", "us-gov-west-1", "cloudfront.amazonaws.com", "us-gov-west-1"},
		{"cloudfront", "cn-north-1", "cloudfront.cn-northwest-1.amazonaws.com.cn", "cn-northwest-1"},
		{"organizations", "eu-west-1", "organizations.us-east-1.amazonaws.com", "us-east-1"},
		{"globalaccelerator", "eu-west-1", "globalaccelerator.us-west-2.amazonaws.com", "us-west-2"},
		{"sts", "eu-west-1", "sts.eu-west-1.amazonaws.com", "eu-west-1"},
	} {
		got, err := DefaultFor(tt.service, tt.region)
		if want := (Default{tt.host, tt.signed}); err != nil || got != want {
			t.Errorf("DefaultFor(%s, %s) = %+v, %v; want %+v", tt.service, tt.region, got, err, want)
		}
		e, err := Parse(got.Host)
		if err != nil || e.Service != tt.service {
			t.Errorf("%s is taken for %s, %v; want %s", got.Host, e.Service, err, tt.service)
		}
	}
	for _, tt := range []struct{ service, region, want string }{
		{"s3", "nowhere", "is no AWS region"},
		{"s3", "", "is no AWS region"},
		{"", "us-east-1", "the service is empty"},
		{"email", "us-east-1", "write `ses`"},
		{"a/b", "us-east-1", "is no signing name"},
		{"execute-api", "us-east-1", "write the host, ID.execute-api"},
		{"s3express", "us-east-1", "write the host, BUCKET"},
		{"iotdata", "us-east-1", "write the host"},
	} {
		if got, err := DefaultFor(tt.service, tt.region); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("DefaultFor(%s, %s) = %+v, %v; want %q", tt.service, tt.region, got, err, tt.want)
		}
	}
}

// TestDefaultsAreEndpoints: for every service and region of botocore's own tests, the answer is one of the
// hosts that they have for them.
func TestDefaultsAreEndpoints(t *testing.T) {
	f, err := os.Open(filepath.Join("..", "..", "shared", "data", "aws-hosts", "host-cases.tsv"))
	if err != nil {
		t.Skipf("SKIPPED, only TestDefaultFor ran: %v", err)
	}
	defer f.Close()
	type signed struct{ service, region string }
	hosts := make(map[signed]map[string]bool)
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Split(s.Text(), "\t")
		if len(fields) < 5 || fields[0][0] == '#' || !isRegion(fields[2]) || strings.Contains(fields[0], "fips") {
			continue
		}
		of := signed{fields[1], fields[2]}
		if hosts[of] == nil {
			hosts[of] = make(map[string]bool)
		}
		hosts[of][fields[0]] = true
	}
	n := 0
	for of, known := range hosts {
		d, err := DefaultFor(of.service, of.region)
		if err != nil || d.Region != of.region {
			continue
		}
		n++
		if !known[d.Host] && len(known) > 1 {
			t.Errorf("%s in %s is called at %s, which is none of %v", of.service, of.region, d.Host, known)
		}
	}
	if n < 1000 {
		t.Errorf("only %d services and regions were compared", n)
	}
}

func TestUnderAWS(t *testing.T) {
	for host, want := range map[string]bool{
		"x.elb.amazonaws.com": true, "S3.AMAZONAWS.COM.": true, "api.aws": true, "amazonaws.com.evil.example": false,
		"evilamazonaws.com": false, "minio.example": false, "": false,
	} {
		if got := UnderAWS(host); got != want {
			t.Errorf("UnderAWS(%q) = %t", host, got)
		}
	}
}
