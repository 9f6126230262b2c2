package endpoint

import (
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// The forms of https://docs.aws.amazon.com/general/latest/gr/s3.html and
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html,
// each under buckets whose names try to be something else.
func TestS3HostForms(t *testing.T) {
	type want struct{ service, region, partition, reason string }
	cases := map[string]want{
		"s3.eu-west-1.amazonaws.com":                                                     {"s3", "eu-west-1", partAWS, "rule: last label"},
		"BUCKET.s3.eu-west-1.amazonaws.com":                                              {"s3", "eu-west-1", partAWS, "rule: last label"},
		"s3.dualstack.eu-west-1.amazonaws.com":                                           {"s3", "eu-west-1", partAWS, "rule: last label"},
		"BUCKET.s3.dualstack.eu-west-1.amazonaws.com":                                    {"s3", "eu-west-1", partAWS, "rule: last label"},
		"s3-fips.us-east-2.amazonaws.com":                                                {"s3", "us-east-2", partAWS, "rule: last label"},
		"BUCKET.s3-fips.us-east-2.amazonaws.com":                                         {"s3", "us-east-2", partAWS, "rule: last label"},
		"BUCKET.s3-fips.dualstack.us-gov-west-1.amazonaws.com":                           {"s3", "us-gov-west-1", partGov, "rule: last label"},
		"s3-eu-west-1.amazonaws.com":                                                     {"s3", "eu-west-1", partAWS, "rule: s3-REGION"},
		"BUCKET.s3-eu-west-1.amazonaws.com":                                              {"s3", "eu-west-1", partAWS, "rule: s3-REGION"},
		"BUCKET.s3-us-gov-west-1.amazonaws.com":                                          {"s3", "us-gov-west-1", partGov, "rule: s3-REGION"},
		"BUCKET.s3-fips-us-gov-west-1.amazonaws.com":                                     {"s3", "us-gov-west-1", partGov, "rule: s3-REGION"},
		"s3.amazonaws.com":                                                               {"s3", "us-east-1", partAWS, "table: s3 is a global endpoint"},
		"BUCKET.s3.amazonaws.com":                                                        {"s3", "us-east-1", partAWS, "table: s3 is a global endpoint"},
		"s3-external-1.amazonaws.com":                                                    {"s3", "us-east-1", partAWS, "table: s3-external-1"},
		"BUCKET.s3-external-1.amazonaws.com":                                             {"s3", "us-east-1", partAWS, "table: s3-external-1"},
		"BUCKET.s3.cn-north-1.amazonaws.com.cn":                                          {"s3", "cn-north-1", partChina, "rule: last label"},
		"BUCKET.s3.dualstack.cn-north-1.amazonaws.com.cn":                                {"s3", "cn-north-1", partChina, "rule: last label"},
		"BUCKET.s3.us-iso-east-1.c2s.ic.gov":                                             {"s3", "us-iso-east-1", partISO, "rule: last label"},
		"BUCKET.s3.us-isob-east-1.sc2s.sgov.gov":                                         {"s3", "us-isob-east-1", partISOB, "rule: last label"},
		"BUCKET.s3.eusc-de-east-1.amazonaws.eu":                                          {"s3", "eusc-de-east-1", partEUSC, "rule: last label"},
		"BUCKET.s3-accelerate.dualstack.us-east-1.amazonaws.com":                         {"s3", "us-east-1", partAWS, "table: s3-accelerate"},
		"ap-210987654321.s3-accesspoint.eu-west-1.amazonaws.com":                         {"s3", "eu-west-1", partAWS, "table: s3-accesspoint"},
		"ap-210987654321.s3-accesspoint-fips.us-east-2.amazonaws.com":                    {"s3", "us-east-2", partAWS, "table: s3-accesspoint"},
		"ap-210987654321.s3-accesspoint-fips.dualstack.us-east-2.amazonaws.com":          {"s3", "us-east-2", partAWS, "table: s3-accesspoint"},
		"s3-control.eu-west-1.amazonaws.com":                                             {"s3", "eu-west-1", partAWS, "table: s3-control"},
		"210987654321.s3-control.eu-west-1.amazonaws.com":                                {"s3", "eu-west-1", partAWS, "table: s3-control"},
		"210987654321.s3-control-fips.dualstack.us-east-2.amazonaws.com":                 {"s3", "us-east-2", partAWS, "table: s3-control"},
		"olap-210987654321.s3-object-lambda.eu-west-1.amazonaws.com":                     {"s3-object-lambda", "eu-west-1", partAWS, "rule: last label"},
		"olap-210987654321.s3-object-lambda-fips.us-east-2.amazonaws.com":                {"s3-object-lambda", "us-east-2", partAWS, "rule: last label"},
		"ap-210987654321.op-0a1b2c3d.s3-outposts.eu-west-1.amazonaws.com":                {"s3-outposts", "eu-west-1", partAWS, "rule: last label"},
		"logs--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com":                {"s3express", "us-east-1", partAWS, "rule: s3express-ZONE"},
		"logs--use1-az4--x-s3.s3express-fips-use1-az4.us-east-1.amazonaws.com":           {"s3express", "us-east-1", partAWS, "rule: s3express-ZONE"},
		"logs--use1-az4--x-s3.s3express-fips-use1-az4.dualstack.us-east-1.amazonaws.com": {"s3express", "us-east-1", partAWS, "rule: s3express-ZONE"},
		"ap--use1-az4--xa-s3.s3express-use1-az4.us-east-1.amazonaws.com":                 {"s3express", "us-east-1", partAWS, "rule: s3express-ZONE"},
		"s3express-control.us-east-1.amazonaws.com":                                      {"s3express", "us-east-1", partAWS, "table: s3express-control"},
		"s3express-control-fips.dualstack.us-east-1.amazonaws.com":                       {"s3express", "us-east-1", partAWS, "table: s3express-control"},
		"BUCKET.bucket.vpce-0a1b-2c3d.s3.eu-west-1.vpce.amazonaws.com":                   {"s3", "eu-west-1", partAWS, "rule: last label"},
		"accesspoint.vpce-0a1b-2c3d.s3.eu-west-1.vpce.amazonaws.com":                     {"s3", "eu-west-1", partAWS, "rule: last label"},
		"control.vpce-0a1b-2c3d-eu-west-1a.s3.eu-west-1.vpce.amazonaws.com":              {"s3", "eu-west-1", partAWS, "rule: last label"},
		// Not S3's own signing name.
		"s3tables.eu-west-1.amazonaws.com":  {"s3tables", "eu-west-1", partAWS, "rule: last label"},
		"s3vectors.eu-west-1.api.aws":       {"s3vectors", "eu-west-1", partAWS, "rule: last label"},
		"s3-outposts.eu-west-1.api.aws":     {"s3-outposts", "eu-west-1", partAWS, "rule: last label"},
		"s3files.eu-west-1.amazonaws.com":   {"s3files", "eu-west-1", partAWS, "rule: last label"},
		"s3-global-x.eu-west-1.example.com": {},
	}
	buckets := []string{
		"photos", "my.dotted.bucket", "s3", "us-west-2", "us-west-2.s3", "s3-us-west-2", "x.cn-north-1", "vpce", "vpce-svc-1",
		"dualstack", "iam", "sts.us-west-2", "data.iot", "email", "fips", "a-fips", "fips-b", "amazonaws.com", "s3-website.us-west-2", "s3express-usw2-az1",
		"endpoint.events", "under_score", "api.aws", "global", "us-gov",
	}
	for form, w := range cases {
		hosts := []string{form}
		if strings.HasPrefix(form, "BUCKET.") {
			hosts = nil
			for _, b := range buckets {
				hosts = append(hosts, strings.Replace(form, "BUCKET", b, 1))
			}
		}
		for _, host := range hosts {
			got, err := Parse(host)
			if w.service == "" {
				if err == nil {
					t.Errorf("Parse(%q) = %+v, want an error", host, got)
				}
				continue
			}
			if err != nil || got.Service != w.service || got.Region != w.region || got.Partition != w.partition || !strings.HasPrefix(got.Reason, w.reason) {
				t.Errorf("Parse(%q) = %+v, %v; want %+v", host, got, err, w)
			}
		}
	}
}

func TestS3FamilyRules(t *testing.T) {
	for host, payload := range map[string]sigv4.PayloadRule{
		"photos.s3.eu-west-1.amazonaws.com":                                    sigv4.PayloadHashOrUnsigned,
		"logs--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com":      sigv4.PayloadHashOrUnsigned,
		"olap-210987654321.s3-object-lambda.eu-west-1.amazonaws.com":           sigv4.PayloadHashOrUnsigned,
		"ap-210987654321.op-0a1b2c3d.s3-outposts.eu-west-1.amazonaws.com":      sigv4.PayloadHashOrUnsigned,
		"a1b2c3d4e5f6g.mrap.accesspoint.s3-global.amazonaws.com":               sigv4.PayloadHashOrUnsigned,
		"210987654321.s3-control.eu-west-1.amazonaws.com":                      sigv4.PayloadHashOrUnsigned,
		"a1b2c3d4e5f6g7h8i9j0.eu-west-1.aoss.amazonaws.com":                    sigv4.PayloadHashOrUnsigned,
		"glacier.eu-west-1.amazonaws.com":                                      sigv4.PayloadHashHeader,
		"orders-0a1b2c.7d67968.vpc-lattice-svcs.eu-west-1.on.aws":              sigv4.PayloadUnsigned,
		"dynamodb.eu-west-1.amazonaws.com":                                     sigv4.PayloadHash,
		"search-products-abc.eu-west-1.es.amazonaws.com":                       sigv4.PayloadHash,
		"abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-west-1.on.aws":         sigv4.PayloadHash,
		"a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com":                       sigv4.PayloadHash,
		"vpce-0a1b2c3d-4e5f6a7b.s3.eu-west-1.vpce.amazonaws.com":               sigv4.PayloadHashOrUnsigned,
		"bucket.s3.dualstack.us-gov-east-1.amazonaws.com":                      sigv4.PayloadHashOrUnsigned,
		"s3tables.eu-west-1.amazonaws.com":                                     sigv4.PayloadHash,
		"bedrock-runtime.eu-west-1.amazonaws.com":                              sigv4.PayloadHash,
		"vpc-lattice.eu-west-1.amazonaws.com":                                  sigv4.PayloadHash,
		"graph.cluster-abc.eu-west-1.neptune.amazonaws.com:8182":               sigv4.PayloadHash,
		"search-products-abcdefghijklm.aos.eu-west-1.on.aws":                   sigv4.PayloadHash,
		"g-a1b2c3d4e5.eu-west-1.neptune-graph.amazonaws.com":                   sigv4.PayloadHash,
		"a1b2c3d4e5f6g7-ats.iot.eu-west-1.amazonaws.com":                       sigv4.PayloadHash,
		"210987654321.cloudfront-kvs.global.api.aws":                           sigv4.PayloadHash,
		"logs--use1-az4--x-s3.s3express-fips-use1-az4.us-east-1.amazonaws.com": sigv4.PayloadHashOrUnsigned,
	} {
		got, err := Parse(host)
		if err != nil || got.PayloadRule != payload {
			t.Errorf("Parse(%q).PayloadRule = %q, %v; want %q", host, got.PayloadRule, err, payload)
		}
		// The canonical path of the S3 family is encoded once, and nothing
		// else's: not OpenSearch Serverless, which shares its payload rule.
		single := payload == sigv4.PayloadHashOrUnsigned && got.Service != "aoss"
		if (got.PathRule == "single") != single {
			t.Errorf("Parse(%q).PathRule = %q", host, got.PathRule)
		}
	}
}
