package endpoint

import "strings"

// entry says what a name in the table stands for: a service, or a refusal.
type entry struct {
	service   string
	regionSet bool // it takes SigV4a only, for a set of regions
	problem   string
	fix       string
	reason    string
}

// The exceptions, hand-kept. A key is the labels before the region (for
// dataPlanes: after it; for regionSets and globals: before the suffix), without
// the marks of FIPS and dual stack. The longest key that the labels end with
// wins, so that an account, a bucket or a stage before it doesn't matter. What
// has no key here signs by the name of its last label: "api.ecr" as ecr,
// "runtime.sagemaker" as sagemaker, "abc123.execute-api" as execute-api.
//
// Sources: the endpoint prefixes, signing names, host prefixes and endpoint
// rules of botocore 1.43 and aws-sdk-go-v2; for the data planes, which are in
// no model, the service's own documentation.
//
// rds has no entry and is no refusal, although Neptune and DocumentDB answer
// on the same host: all three sign as rds there, so that nothing is in doubt.
// In doubt are "neptune" and "docdb" before a region (no endpoint of that name
// exists; which of two services is meant can't be told), and they are refused.
var prefixes = table(map[string]string{
	"acm-acme":                        "acm",
	"agent-registry-control":          "agent-registry",
	"aos":                             "es",
	"api.iot-tunneling":               "IoTSecuredTunneling",
	"api.tunneling.iot":               "IoTSecuredTunneling",
	"appconfigdata":                   "appconfig",
	"appstream2":                      "appstream",
	"appsync-api":                     "appsync",
	"appsync-realtime-api":            "appsync",
	"aps-workspaces":                  "aps",
	"arc-recovery-control-config":     "route53-recovery-control-config",
	"arc-region-switch-control-plane": "arc-region-switch",
	"bedrock-agent":                   "bedrock",
	"bedrock-agent-runtime":           "bedrock",
	"bedrock-agentcore-control":       "bedrock-agentcore",
	"bedrock-data-automation":         "bedrock",
	"bedrock-data-automation-runtime": "bedrock",
	"bedrock-runtime":                 "bedrock",
	"cassandra-streams":               "cassandra",
	"cloudhsmv2":                      "cloudhsm",
	"cloudsearchdomain":               "cloudsearch",
	"contact-lens":                    "connect",
	"data.iotevents":                  "ioteventsdata",
	"data.jobs.iot":                   "iot-jobs-data",
	"ddb":                             "dynamodb",
	"efs":                             "elasticfilesystem",
	"email":                           "ses",
	"forecastquery":                   "forecast",
	"git-codecommit":                  "codecommit",
	"greengrass-ats.iot":              "greengrass",
	"importexport":                    "IngestionService",
	"ivsrealtime":                     "ivs",
	"jobs.iot":                        "iot-jobs-data",
	"kafka-api":                       "kafka",
	"lambda-url":                      "lambda",
	"mail-manager":                    "ses",
	"marketplace":                     "aws-marketplace",
	"memory-db":                       "memorydb",
	"migrationhub-config":             "mgh",
	"mturk-requester-sandbox":         "mturk-requester",
	"oidc":                            "sso-oauth",
	"participant.connect":             "execute-api",
	"partnercentral-prm":              "partnercentral",
	"personalize-events":              "personalize",
	"personalize-runtime":             "personalize",
	"pinpoint":                        "mobiletargeting",
	"portal.sso":                      "awsssoportal",
	"s3-accelerate":                   "s3",
	"s3-accesspoint":                  "s3",
	"s3-control":                      "s3",
	"s3express-control":               "s3express",
	"search-ddb":                      "dynamodb",
	"search-dynamodb":                 "dynamodb",
	"servicecatalog-appregistry":      "servicecatalog",
	"sms-voice.pinpoint":              "sms-voice",
	"streams-dynamodb":                "dynamodb",
	"transcribe-streaming":            "transcribe",
	"transcribestreaming":             "transcribe",

	// One name per operation or per part of a service, joined with a hyphen
	// where others have a dot.
	"agreement-marketplace":   "aws-marketplace",
	"analytics-omics":         "omics",
	"catalog-marketplace":     "aws-marketplace",
	"control-kinesis":         "kinesis",
	"control-storage-omics":   "omics",
	"data-kinesis":            "kinesis",
	"data-servicediscovery":   "servicediscovery",
	"data-signer":             "signer",
	"deployment-marketplace":  "aws-marketplace",
	"discovery-marketplace":   "aws-marketplace",
	"entitlement-marketplace": "aws-marketplace",
	"identity-chime":          "chime",
	"media-pipelines-chime":   "chime",
	"meetings-chime":          "chime",
	"messaging-chime":         "chime",
	"metering-marketplace":    "aws-marketplace",
	"models-v2-lex":           "lex",
	"reporting-marketplace":   "aws-marketplace",
	"runtime-medical-imaging": "medical-imaging",
	"runtime-v2-lex":          "lex",
	"storage-omics":           "omics",
	"streaming-logs":          "logs",
	"sync-states":             "states",
	"tags-omics":              "omics",
	"timestream-ingest":       "timestream",
	"timestream-query":        "timestream",
	"voice-chime":             "chime",
	"workflows-omics":         "omics",

	// Amazon Location: the second version gave its parts names of their own.
	// The first one's operations on the same three hosts (GetMapTile, say)
	// sign as geo; the host can't tell them, and `service geo` does.
	"maps.geo":      "geo-maps",
	"places.geo":    "geo-places",
	"routes.geo":    "geo-routes",
	"cp.maps.geo":   "geo",
	"cp.places.geo": "geo",
	"cp.routes.geo": "geo",
})

// under holds names that mean another service as soon as anything stands
// before them: "iot" is the control plane, "<id>-ats.iot" an account's broker.
// Its WebSocket signs as iotdevicegateway, in the query; HTTP, the more usual
// here, as iotdata.
var under = table(map[string]string{
	"iot": "iotdata",
})

// dataPlanes are <anything>.<region>.<key>, where the key isn't the name.
var dataPlanes = table(map[string]string{
	"aos":     "es",
	"neptune": "neptune-db",
	"queue":   "sqs",
})

// regionSets take SigV4a only.
var regionSets = table(map[string]string{
	"accesspoint.s3-global":  "s3",
	"cloudfront-kvs":         "cloudfront-keyvaluestore",
	"endpoint.events":        "events",
	"endpoints.email":        "ses",
	"partnercentral-channel": "partnercentral-channel",
	"partnercentral-prm":     "partnercentral",
	"sustainability":         "sustainability",
})

// globalEntry is an endpoint without a region in its name.
type globalEntry struct {
	entry
	awsOnly            bool   // the partition aws alone has it
	buckets            bool   // buckets may stand before it
	bareDualStackIsGov bool   // without ".global", api.aws is GovCloud's
	chinaRegion        string // in aws-cn, if it isn't the partition's default
}

// globals sign for their partition's default region.
var globals = map[string]globalEntry{
	"autoscaling": {entry: entry{service: "autoscaling"}, awsOnly: true},
	// GovCloud has the same hosts for Budgets, and for CloudFront but in
	// api.aws; there, `region us-gov-west-1` has to be written.
	"budgets":       {entry: entry{service: "budgets"}},
	"cloudfront":    {entry: entry{service: "cloudfront"}, bareDualStackIsGov: true},
	"ec2":           {entry: entry{service: "ec2"}, awsOnly: true},
	"global.health": {entry: entry{service: "health"}},
	"iam":           {entry: entry{service: "iam"}, chinaRegion: "cn-north-1"},
	"importexport":  {entry: entry{service: "IngestionService"}, awsOnly: true},
	"route53":       {entry: entry{service: "route53"}},
	// The global name reaches buckets of any region and then answers with
	// the right one; us-east-1 is right for its own buckets and for ListBuckets.
	"s3":            {entry: entry{service: "s3"}, awsOnly: true, buckets: true},
	"s3-external-1": {entry: entry{service: "s3"}, awsOnly: true, buckets: true},
	"savingsplans":  {entry: entry{service: "savingsplans"}, awsOnly: true},
	"sdb":           {entry: entry{service: "sdb"}, awsOnly: true},
	"sts":           {entry: entry{service: "sts"}, awsOnly: true},
	"waf":           {entry: entry{service: "waf"}, awsOnly: true},
}

// Refusals: names under an AWS suffix that no single signing name fits.
const (
	notAPI     = "is no endpoint of the AWS API"
	fixNotAPI  = "leave it unsigned, or " + fixBoth + " if something behind it verifies signatures"
	fixWebsite = "write the bucket's REST endpoint BUCKET.s3.REGION.amazonaws.com"
)

func init() {
	refuse := func(t map[string]entry, problem, fix string, keys ...string) {
		for _, k := range keys {
			t[k] = entry{problem: problem, fix: fix}
		}
	}
	refuse(prefixes, "is an S3 website endpoint, which takes no signature", fixWebsite, "s3-website")
	refuse(prefixes, "names a database service that shares its API's host with Amazon RDS", "write `service rds` for the management API or, for Neptune's data, `service neptune-db`", "neptune", "docdb")
	refuse(prefixes, "is a container registry, which takes a token from ecr:GetAuthorizationToken and no signature", fixNotAPI, "dkr.ecr")
	refuse(prefixes, "is a package repository, which takes a token from codeartifact:GetAuthorizationToken and no signature", fixNotAPI, "d.codeartifact")
	refuse(prefixes, "is the AWS IoT credentials provider, which takes a client certificate and no signature", fixNotAPI, "credentials.iot")
	refuse(prefixes, notAPI+" but an SMTP server", "write the host email.REGION.amazonaws.com of the SES API", "email-smtp")
	for _, t := range []map[string]entry{prefixes, dataPlanes} {
		refuse(t, notAPI+" but somebody's load balancer", fixNotAPI, "elb")
		refuse(t, notAPI+" but somebody's virtual machine", fixNotAPI, "compute")
		refuse(t, notAPI+" but somebody's cache", fixNotAPI, "cache", "dax-clusters")
	}
	refuse(dataPlanes, notAPI+" but somebody's database", fixNotAPI, "rds", "redshift", "docdb")
	refuse(dataPlanes, notAPI+" but somebody's Kubernetes cluster", fixNotAPI, "eks")
	refuse(regionlessRefusals, "is an S3 Transfer Acceleration endpoint, whose name does not say the bucket's region", fixRegion, "s3-accelerate")

	for k, e := range regionSets {
		e.regionSet = true
		regionSets[k] = e
	}
	prefixes["sustainability"] = regionSets["sustainability"]
	for k, g := range globals {
		g.reason = "table: " + k + " is a global endpoint"
		if g.service == "s3" {
			g.reason += ", which signs for us-east-1 unless `region` says where the bucket is"
		}
		globals[k] = g
	}
}

// regionlessRefusals are refused only where no region stands before the suffix.
var regionlessRefusals = map[string]entry{}

// table fills in the reasons.
func table(services map[string]string) map[string]entry {
	t := make(map[string]entry, len(services))
	for key, service := range services {
		t[key] = entry{service: service, reason: "table: " + key + " signs as " + service}
	}
	return t
}

// lookup finds the longest key of prefixes or under that labels end with.
func lookup(labels string) (entry, bool) {
	for rest, more := labels, false; ; more = true {
		if e, ok := prefixes[rest]; ok {
			return e, true
		}
		if e, ok := under[rest]; ok && more {
			return e, true
		}
		_, after, ok := cutFirst(rest)
		if !ok {
			return entry{}, false
		}
		rest = after
	}
}

// lookupIn finds the longest key of t that labels end with.
func lookupIn(t map[string]entry, labels string) (entry, bool) {
	for rest, ok := labels, true; ok; _, rest, ok = cutFirst(rest) {
		if e, found := t[rest]; found {
			return e, true
		}
	}
	return entry{}, false
}

// legacyS3 reads the oldest regional form of S3, s3-REGION with a hyphen.
func legacyS3(label string) (entry, string, bool) {
	rest, ok := strings.CutPrefix(label, "s3-")
	if !ok {
		return entry{}, "", false
	}
	e := entry{service: "s3", reason: "rule: s3-REGION"}
	if website, ok := strings.CutPrefix(rest, "website-"); ok {
		e, rest = prefixes["s3-website"], website
	}
	rest = strings.TrimPrefix(rest, "fips-")
	return e, rest, isRegion(rest)
}

// cutFirst splits off the first label; ok is false if there is no other.
func cutFirst(labels string) (first, rest string, ok bool) {
	return strings.Cut(labels, ".")
}
