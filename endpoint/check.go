package endpoint

import (
	"errors"
	"fmt"
	"strings"
)

// CheckRegion says whether region may stand in a credential scope: it has the
// form of a region of an AWS partition (whether or not it is open yet), or it
// is one of the few names that servers compatible with S3 use. The error says
// what is wrong; for a zone, a mark of FIPS, a pseudo-region of the SDKs and
// the like it also says which region was meant.
func CheckRegion(region string) error {
	if isRegion(region) || compatibleRegions[region] {
		return nil
	}
	switch region {
	case "":
		return errors.New("the region is empty: write its code, for example `us-east-1`")
	case anyRegion:
		return errors.New("the region \"*\" is a set of regions, which a credential scope can't hold: write one region, for example `us-east-1`")
	}
	if meant, ok := meantRegion(region); ok {
		return fmt.Errorf("%q is no AWS region: write `%s`", shorten(region), meant)
	}
	return fmt.Errorf("%q is no AWS region: write its code, for example `us-east-1`", shorten(region))
}

// compatibleRegions are the default regions of Cloudflare R2, Garage and Ceph.
var compatibleRegions = map[string]bool{"auto": true, "garage": true, "default": true}

// meantRegion mends the mistakes that leave no doubt.
func meantRegion(region string) (string, bool) {
	r := strings.ToLower(strings.TrimSpace(region))
	if id, ok := strings.CutSuffix(r, "-global"); ok {
		// The SDKs name a whole partition like this: aws-cn-global.
		d := defaultRegion(id)
		return d, d != ""
	}
	r = strings.ReplaceAll(r, "_", "-")
	r = strings.TrimPrefix(r, "fips-")
	// Availability, local and wavelength zones, and fips, come after the
	// region: us-east-1a, us-west-2-lax-1a, us-east-1-fips.
	for r != "" && !isRegion(r) {
		if letters := strings.TrimRight(r, "abcdefghijklmnopqrstuvwxyz"); isRegion(letters) {
			return letters, true
		}
		r, _, _ = cutLastHyphen(r)
	}
	return r, r != ""
}

// CheckService says whether name may be a signing name: 1 to 64 letters,
// digits, hyphens and dots. (A few real ones have capitals.) What is often
// taken for one and isn't, such as the first label of a host or the name of a
// service in the SDKs, is an error that says what to write.
func CheckService(name string) error {
	if name == "" {
		return errors.New("the service is empty: write its signing name, for example `s3`")
	}
	if len(name) > 64 || !all(name, isNameByte) || !all(name[:1], isAlnum) || !all(name[len(name)-1:], isAlnum) {
		return fmt.Errorf("%q is no signing name: write 1 to 64 letters, digits, hyphens or dots, for example `execute-api`", shorten(name))
	}
	if capitals[strings.ToLower(name)] == name {
		return nil
	}
	if meant := meantService(strings.ToLower(name)); meant != name {
		return fmt.Errorf("%q is no signing name: write `%s`", name, meant)
	}
	return nil
}

// meantService answers name itself unless it is known not to sign.
func meantService(name string) string {
	name = dropFIPS(name)
	if meant := capitals[name]; meant != "" {
		return meant
	}
	if meant := misnomers[name]; meant != "" {
		return meant
	}
	if e, ok := lookup(name); ok && e.service != "" {
		return e.service
	}
	return name
}

// capitals are the signing names that aren't all lower case.
var capitals = map[string]string{
	"ingestionservice":    "IngestionService",
	"iotsecuredtunneling": "IoTSecuredTunneling",
}

// misnomers are names of services, in the console, the SDKs or the command
// line, that neither sign nor begin a host.
var misnomers = map[string]string{
	"amp":                      "aps",
	"api-gateway":              "execute-api` for a deployed API or `apigateway",
	"application-insights":     "applicationinsights",
	"cloudsearch-domain":       "cloudsearch",
	"cloudwatch":               "monitoring",
	"cloudwatch-logs":          "logs",
	"cloudwatchlogs":           "logs",
	"docdb":                    "rds",
	"documentdb":               "rds",
	"elasticsearch":            "es",
	"elb":                      "elasticloadbalancing",
	"elbv2":                    "elasticloadbalancing",
	"emr":                      "elasticmapreduce",
	"eventbridge":              "events",
	"iot-data":                 "iotdata",
	"lex-runtime":              "lex",
	"location":                 "geo",
	"marketplace-catalog":      "aws-marketplace",
	"marketplace-entitlement":  "aws-marketplace",
	"neptune":                  "neptune-db` for its data or `rds",
	"opensearch":               "es` or, for OpenSearch Serverless, `aoss",
	"opensearch-serverless":    "aoss",
	"opensearchserverless":     "aoss",
	"prometheus":               "aps",
	"resourcegroupstaggingapi": "tagging",
	"s3api":                    "s3",
	"s3control":                "s3",
	"s3outposts":               "s3-outposts",
	"sagemaker-runtime":        "sagemaker",
	"sesv2":                    "ses",
	"sfn":                      "states",
	"simpledb":                 "sdb",
	"sso-oidc":                 "sso-oauth",
	"step-functions":           "states",
	"stepfunctions":            "states",
	"timestream-write":         "timestream",
	"vpc-lattice-svc":          "vpc-lattice-svcs",
}

func isAlnum(c byte) bool { return isWord(c) || c >= 'A' && c <= 'Z' }

func isNameByte(c byte) bool { return isAlnum(c) || c == '-' || c == '.' }
