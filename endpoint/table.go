package endpoint

import (
	"maps"
	"strings"
)

// entry says what a name in the table stands for: a service, or a refusal.
type entry struct {
	service   string
	reason    string
	regionSet bool   // it takes SigV4a only, for a set of regions
	problem   string // a refusal, if not empty
	fix       string
}

// prefixes are the exceptions, hand-kept. A key is the labels before the
// region, without the marks of FIPS and dual stack. The longest key that the
// labels end with wins, so that an account, a bucket or a stage before it
// doesn't matter. What has no key signs by the name of its last label:
// "api.ecr" as ecr, "runtime.sagemaker" as sagemaker, "id.execute-api" as
// execute-api.
//
// Sources: the endpoint prefixes, signing names, host prefixes and endpoint
// rules of botocore 1.43 and aws-sdk-go-v2; for the data planes, which are in
// no model, the services' own documentation.
//
// rds needs no entry, although Neptune and DocumentDB are managed on the same
// host: all three sign as rds there, so that nothing is in doubt. The doubt is
// in the names neptune and docdb before a region, which no endpoint has: data
// or management can't be told from them, and they are refused.
var prefixes = merge(
	services(map[string]string{
		"acm-acme":                        "acm",
		"agent-registry-control":          "agent-registry",
		"aos":                             "es",
		"api.fleethub.iot":                "iotfleethub",
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
		"cloudfront-kvs":                  "cloudfront-keyvaluestore",
		"cloudhsmv2":                      "cloudhsm",
		"cloudsearchdomain":               "cloudsearch",
		"contact-lens":                    "connect",
		"data.iotevents":                  "ioteventsdata",
		"ddb":                             "dynamodb",
		"efs":                             "elasticfilesystem",
		"email":                           "ses",
		"forecastquery":                   "forecast",
		"git-codecommit":                  "codecommit",
		"greengrass-ats.iot":              "greengrass",
		"importexport":                    "IngestionService",
		"iot-tunneling":                   "IoTSecuredTunneling",
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
		"s3-accelerate":                   "s3", // with a region; without one it is refused, below
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
		"tunneling.iot":                   "IoTSecuredTunneling",

		// A part of a service joined with a hyphen, where others have a dot.
		"data-servicediscovery":   "servicediscovery",
		"data-signer":             "signer",
		"runtime-medical-imaging": "medical-imaging",
		"streaming-logs":          "logs",
		"sync-states":             "states",
		"timestream-ingest":       "timestream",
		"timestream-query":        "timestream",

		// Amazon Location's second version gave its parts names of their own.
		// The first one's operations on the same three hosts (GetMapTile, say)
		// sign as geo: the host can't tell them, `service geo` does.
		"maps.geo":      "geo-maps",
		"places.geo":    "geo-places",
		"routes.geo":    "geo-routes",
		"cp.maps.geo":   "geo",
		"cp.places.geo": "geo",
		"cp.routes.geo": "geo",
	}),
	regionSets("sustainability", "sustainability"),
	refusals("is an S3 website endpoint, which takes no signature", "write the bucket's REST endpoint BUCKET.s3.REGION.amazonaws.com", "s3-website"),
	refusals("may mean a database's data or its management", "write `service neptune-db` for Neptune's data, `service rds` for the management of either", "neptune", "docdb"),
	refusals("is a container registry, which takes a token of ecr:GetAuthorizationToken and no signature", fixUnsigned, "dkr.ecr", "dkr-ecr"),
	refusals("is a package repository, which takes a token of codeartifact:GetAuthorizationToken and no signature", fixUnsigned, "d.codeartifact"),
	refusals("is AWS IoT's credentials provider, which takes a client certificate and no signature", fixUnsigned, "credentials.iot"),
	refusals("is an SMTP server", "write the host email.REGION.amazonaws.com of the SES API", "email-smtp"),
	refusals("is a customer's own server, not the AWS API", fixUnsigned, "elb", "compute", "dax-clusters"),
)

// families are services whose parts have names like "meetings-chime", which
// grow in number: the last label's last word tells the service.
var families = services(map[string]string{
	"chime":       "chime",
	"kinesis":     "kinesis",
	"lex":         "lex",
	"marketplace": "aws-marketplace",
	"omics":       "omics",
})

// under holds names that mean another service as soon as anything stands
// before them: "iot" is the control plane, "ID-ats.iot" an account's broker.
// HTTP signs as iotdata there; WebSockets, in the query, as iotdevicegateway.
var under = services(map[string]string{
	"iot": "iotdata",
})

// dataPlanes are the exceptions among ANYTHING.REGION.KEY.
var dataPlanes = merge(
	services(map[string]string{
		"aos":     "es",
		"neptune": "neptune-db",
		"queue":   "sqs",
	}),
	refusals("is a customer's own server, not the AWS API", fixUnsigned, "elb", "compute", "eks"),
	refusals("is a database that doesn't speak HTTP", fixUnsigned, "rds", "docdb", "redshift", "dax-clusters", "cache"),
)

// regionless are names that end so, with no region before the suffix.
var regionless = merge(
	regionSets("accesspoint.s3-global", "s3"),
	regionSets("cloudfront-kvs", "cloudfront-keyvaluestore"),
	regionSets("endpoint.events", "events"),
	regionSets("endpoints.email", "ses"),
	regionSets("partnercentral-channel", "partnercentral-channel"),
	regionSets("partnercentral-prm", "partnercentral"),
	regionSets("sustainability", "sustainability"),
	refusals("is an S3 Transfer Acceleration endpoint, whose name doesn't say the bucket's region", fixRegion, "s3-accelerate"),
)

// global is an endpoint without a region in its name, which signs for its
// partition's default region.
type global struct {
	entry
	awsOnly     bool   // the partition aws alone has it
	buckets     bool   // buckets may stand before it
	bareIsGov   bool   // without a label global, api.aws is GovCloud's
	chinaRegion string // in aws-cn, if it isn't the default
}

// globals are the global endpoints; the keys are whole names before the suffix
// and the labels global and us-gov.
var globals = map[string]global{
	"autoscaling":   {entry: entry{service: "autoscaling", reason: "table: autoscaling is a global endpoint"}, awsOnly: true},
	"budgets":       {entry: entry{service: "budgets", reason: "table: budgets is a global endpoint; GovCloud shares the name, and needs `region us-gov-west-1`"}},
	"cloudfront":    {entry: entry{service: "cloudfront", reason: "table: cloudfront is a global endpoint; GovCloud shares the name, and needs `region us-gov-west-1`"}, bareIsGov: true},
	"ec2":           {entry: entry{service: "ec2", reason: "table: ec2 is a global endpoint"}, awsOnly: true},
	"global.health": {entry: entry{service: "health", reason: "table: global.health is a global endpoint"}},
	"iam":           {entry: entry{service: "iam", reason: "table: iam is a global endpoint"}, chinaRegion: "cn-north-1"},
	"importexport":  {entry: entry{service: "IngestionService", reason: "table: importexport is a global endpoint and signs as IngestionService"}, awsOnly: true},
	"route53":       {entry: entry{service: "route53", reason: "table: route53 is a global endpoint"}},
	"s3":            {entry: entry{service: "s3", reason: "table: s3 is a global endpoint; a bucket elsewhere needs `region`"}, awsOnly: true, buckets: true},
	"s3-external-1": {entry: entry{service: "s3", reason: "table: s3-external-1 is S3 in us-east-1"}, awsOnly: true, buckets: true},
	"savingsplans":  {entry: entry{service: "savingsplans", reason: "table: savingsplans is a global endpoint"}, awsOnly: true},
	"sdb":           {entry: entry{service: "sdb", reason: "table: sdb without a region is us-east-1's"}, awsOnly: true},
	"sts":           {entry: entry{service: "sts", reason: "table: sts is a global endpoint"}, awsOnly: true},
	"waf":           {entry: entry{service: "waf", reason: "table: waf is a global endpoint"}, awsOnly: true},
}

const fixUnsigned = "leave it unsigned, or " + fixBoth + " if something behind it verifies signatures"

// services makes entries of keys and the names that they sign as.
func services(names map[string]string) map[string]entry {
	t := make(map[string]entry, len(names))
	for key, service := range names {
		t[key] = entry{service: service, reason: "table: " + key + " signs as " + service}
	}
	return t
}

// regionSets makes the entry of an endpoint that takes SigV4a only.
func regionSets(key, service string) map[string]entry {
	return map[string]entry{key: {service: service, regionSet: true, reason: "table: " + key + " signs as " + service + " for a set of regions"}}
}

// refusals makes entries of names that no signing name fits.
func refusals(problem, fix string, keys ...string) map[string]entry {
	t := make(map[string]entry, len(keys))
	for _, key := range keys {
		t[key] = entry{problem: problem, fix: fix}
	}
	return t
}

func merge(parts ...map[string]entry) map[string]entry {
	t := make(map[string]entry)
	for _, part := range parts {
		maps.Copy(t, part)
	}
	return t
}

// lookup finds the longest key of prefixes or under that labels end with, or
// else the family of their last label.
func lookup(labels string) (entry, bool) {
	for rest, ok := labels, true; ok; _, rest, ok = strings.Cut(rest, ".") {
		if e, found := prefixes[rest]; found {
			return e, true
		}
		if e, found := under[rest]; found && rest != labels {
			return e, true
		}
	}
	_, last := cutLast(labels)
	_, word, _ := cutLastHyphen(last)
	e, ok := families[word]
	return e, ok
}

// longest finds the longest key of t that labels end with.
func longest(t map[string]entry, labels string) (entry, bool) {
	for rest, ok := labels, true; ok; _, rest, ok = strings.Cut(rest, ".") {
		if e, found := t[rest]; found {
			return e, true
		}
	}
	return entry{}, false
}
