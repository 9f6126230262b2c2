package endpoint

import (
	"fmt"
	"strings"
)

// CheckRegion says whether region may stand in a credential scope: a region of
// any AWS partition, whether or not it exists yet, or one of the few names
// that S3-compatible servers use instead. Its error says what is wrong with
// the usual mistakes (a zone, a mark of FIPS, a pseudo-region of the SDKs, a
// name for people) and what to write.
func CheckRegion(region string) error {
	if isRegion(region) || compatibleRegions[region] {
		return nil
	}
	shown := shorten(region)
	switch {
	case region == "":
		return fmt.Errorf("region is empty: write one, for example `us-east-1`")
	case strings.HasSuffix(region, "-global") && globalPartition(region) != "":
		return fmt.Errorf("region %q stands for a whole partition and can't be signed for: write `%s`", shown, defaultRegion(globalPartition(region)))
	}
	if r, ok := nearestRegion(region); ok {
		return fmt.Errorf("region %q is no AWS region: write `%s`", shown, r)
	}
	return fmt.Errorf("region %q is no AWS region: write its code, for example `us-east-1` or `cn-north-1`", shown)
}

// compatibleRegions are what other servers of the S3 API call their region:
// Cloudflare R2, Garage, Ceph.
var compatibleRegions = map[string]bool{"auto": true, "garage": true, "default": true}

// globalPartition reads the pseudo-regions that the SDKs name aws-global,
// aws-cn-global and so on.
func globalPartition(region string) string {
	id := strings.TrimSuffix(region, "-global")
	if defaultRegion(id) == "" {
		return ""
	}
	return id
}

// nearestRegion mends the mistakes that leave no doubt about what was meant.
func nearestRegion(region string) (string, bool) {
	r := strings.ToLower(strings.TrimSpace(region))
	r = strings.ReplaceAll(r, "_", "-")
	r = strings.TrimSuffix(strings.TrimPrefix(r, "fips-"), "-fips")
	if !isRegion(r) && r != "" {
		// An availability zone is its region and a letter.
		r = strings.TrimRight(r, "abcdefghijklmnopqrstuvwxyz")
	}
	return r, isRegion(r)
}

// CheckService says whether name may be a signing name: 1 to 64 letters,
// digits, hyphens and dots. (A few real ones have capitals.) What is usually
// taken for one and isn't, such as the first label of a host or a service's
// name in the console, is an error that says what to write.
func CheckService(name string) error {
	if name == "" {
		return fmt.Errorf("service is empty: write a signing name, for example `s3`")
	}
	shown := shorten(name)
	if len(name) > 64 || !all(name, isNameByte) {
		return fmt.Errorf("service %q is no signing name: write 1 to 64 letters, digits, hyphens or dots, for example `execute-api`", shown)
	}
	lower := strings.ToLower(name)
	if right, ok := mistakes[lower]; ok && !capitals[name] {
		return fmt.Errorf("service %q is no signing name: write %s", shown, right)
	}
	if e, ok := prefixes[lower]; ok && e.service != "" && e.service != name && !capitals[name] {
		return fmt.Errorf("service %q begins host names but is no signing name: write `service %s`", shown, e.service)
	}
	if lower != name && !capitals[name] {
		return fmt.Errorf("service %q has capitals, which no signing name of that spelling has: write `service %s`", shown, lower)
	}
	return nil
}

// capitals are the signing names that aren't all lower case.
var capitals = map[string]bool{"IoTSecuredTunneling": true, "IngestionService": true}

// mistakes are names of services that are neither a signing name nor the
// beginning of a host.
var mistakes = map[string]string{
	"amp":                      "`service aps`",
	"api-gateway":              "`service execute-api` for an API, `service apigateway` for the management API",
	"cloudwatch":               "`service monitoring`",
	"cloudwatch-logs":          "`service logs`",
	"cloudwatchlogs":           "`service logs`",
	"docdb":                    "`service rds` for the management API",
	"documentdb":               "`service rds` for the management API",
	"elasticsearch":            "`service es`",
	"elb":                      "`service elasticloadbalancing`",
	"elbv2":                    "`service elasticloadbalancing`",
	"emr":                      "`service elasticmapreduce`",
	"eventbridge":              "`service events`",
	"neptune":                  "`service neptune-db` for its data, `service rds` for the management API",
	"opensearch":               "`service es`, or `service aoss` for OpenSearch Serverless",
	"opensearch-serverless":    "`service aoss`",
	"opensearchserverless":     "`service aoss`",
	"prometheus":               "`service aps`",
	"s3control":                "`service s3`",
	"sfn":                      "`service states`",
	"stepfunctions":            "`service states`",
	"step-functions":           "`service states`",
	"vpc-lattice-svc":          "`service vpc-lattice-svcs`",
	"iotdata-ats":              "`service iotdata`",
	"iotsecuredtunneling":      "`service IoTSecuredTunneling`",
	"sesv2":                    "`service ses`",
	"simpledb":                 "`service sdb`",
	"timestream-write":         "`service timestream`",
	"sagemaker-runtime":        "`service sagemaker`",
	"lex-runtime":              "`service lex`",
	"location":                 "`service geo`",
	"marketplace-catalog":      "`service aws-marketplace`",
	"marketplace-entitlement":  "`service aws-marketplace`",
	"sso-oidc":                 "`service sso-oauth`",
	"resource-groups-tagging":  "`service tagging`",
	"resourcegroupstaggingapi": "`service tagging`",
}

func isNameByte(c byte) bool {
	return isWord(c) || c >= 'A' && c <= 'Z' || c == '-' || c == '.'
}

// shorten keeps what an error quotes readable.
func shorten(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
