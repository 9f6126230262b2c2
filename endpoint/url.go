package endpoint

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Default is where requests to a service go if nobody says where, and what
// they are signed for there.
type Default struct {
	// Host is the name of the endpoint; it is called over https.
	Host string
	// Region is the one of the credential scope. For a service that a
	// partition has once, it need not be the one that was asked for.
	Region string
}

// DefaultFor answers the usual endpoint of a service, by its signing name, for
// a region: SERVICE.REGION and the suffix of the region's partition, for most.
// The table knows services whose hosts begin with something else than their
// signing name (ses is called at email) and those that a partition has once
// (iam). It is an error if the region is none of AWS's, or if the service has
// no common host: one for each account or resource, or several that do
// different things, among which nothing is guessed.
//
// The answer is what botocore's endpoint rules give for the service, without
// FIPS and dual stack; of a service with several hosts, the one that Nango's
// users mean, as bedrock-runtime of bedrock.
func DefaultFor(service, region string) (Default, error) {
	p, ok := PartitionOf(region)
	if !ok {
		return Default{}, fmt.Errorf("%q is no AWS region: write its code, for example `us-east-1`", shorten(region))
	}
	if err := CheckService(service); err != nil {
		return Default{}, err
	}
	if hosts, ok := severalHosts[service]; ok {
		return Default{}, fmt.Errorf("service %s has no host that all of it is called at: write the host, %s", service, hosts)
	}
	if s, ok := single[service]; ok {
		return s.in(service, p), nil
	}
	if host := oddHosts[service+" "+region]; host != "" {
		return Default{Host: host, Region: region}, nil
	}
	prefix := cmp.Or(hostPrefixes[service+" "+p.ID], hostPrefixes[service], service)
	return Default{Host: prefix + "." + region + "." + p.Suffix, Region: region}, nil
}

// UnderAWS says whether a host, without a port, is below a domain of AWS,
// where besides the API also customers' own servers are.
func UnderAWS(host string) bool {
	_, _, ok := cutSuffix(strings.ToLower(strings.TrimSuffix(host, ".")))
	return ok
}

// hostPrefixes are what hosts begin with that don't begin with the signing
// name, in all partitions or in one. Sources: endpoint prefixes and host
// prefixes of botocore 1.43.
var hostPrefixes = map[string]string{
	"IngestionService":       "importexport",
	"IoTSecuredTunneling":    "api.tunneling.iot",
	"appstream":              "appstream2",
	"awsssoportal":           "portal.sso",
	"bedrock":                "bedrock-runtime",
	"chime":                  "meetings-chime",
	"detective":              "api.detective",
	"ecr":                    "api.ecr",
	"geo-maps":               "maps.geo",
	"geo-places":             "places.geo",
	"geo-routes":             "routes.geo",
	"ioteventsdata":          "data.iotevents",
	"iotdeviceadvisor":       "api.iotdeviceadvisor",
	"iotmanagedintegrations": "api.iotmanagedintegrations",
	"iotwireless":            "api.iotwireless",
	"mediatailor":            "api.mediatailor",
	"memorydb":               "memory-db",
	"mobiletargeting":        "pinpoint",
	"pricing":                "api.pricing",
	"qapps":                  "data.qapps",
	"sagemaker":              "api.sagemaker",
	"ses":                    "email",
	"sso-oauth":              "oidc",
	"wickr":                  "admin.wickr",

	"geo-maps aws-cn":   "geo-maps",
	"geo-places aws-cn": "geo-places",
	"geo-routes aws-cn": "geo-routes",
	"transcribe aws-cn": "cn.transcribe",
}

// oddHosts are the hosts of services in regions that follow no rule.
var oddHosts = map[string]string{
	"geo-routes us-gov-west-1": "routes.geo.us-gov-west-1.us-gov.amazonaws.com",
	"sdb us-east-1":            "sdb.amazonaws.com",
}

// severalHosts are services of which no host is the common one, with what to
// write.
var severalHosts = map[string]string{
	"agent-registry":       "for example agent-registry.us-east-1.api.aws",
	"aws-marketplace":      "for example catalog.marketplace.us-east-1.amazonaws.com",
	"execute-api":          "ID.execute-api.REGION.amazonaws.com, as the API's stage shows it",
	"iot-jobs-data":        "as `aws iot describe-endpoint --endpoint-type iot:Jobs` shows it",
	"iotdata":              "as `aws iot describe-endpoint --endpoint-type iot:Data-ATS` shows it",
	"lex":                  "for example runtime-v2-lex.us-east-1.amazonaws.com",
	"neptune-db":           "the endpoint of the cluster",
	"partnercentral":       "for example partnercentral-selling.us-east-1.api.aws",
	"payment-cryptography": "controlplane.payment-cryptography.REGION.amazonaws.com or dataplane.payment-cryptography.REGION.amazonaws.com",
	"s3express":            "BUCKET.s3express-ZONE.REGION.amazonaws.com",
	"signin":               "for example us-east-1.signin.aws.amazon.com",
	"timestream":           "query.timestream.REGION.amazonaws.com or ingest.timestream.REGION.amazonaws.com",
	"vpc-lattice-svcs":     "as the service's domain name shows it",
}

// singleService is a service that a partition has once.
type singleService struct {
	// label is what the host begins with, if that is not the signing name.
	label string
	// global are hosts without a region, by partition; elsewhere the host
	// has the region.
	global map[string]string
	// regions are those that differ from the partition's default.
	regions map[string]string
}

// bare are global hosts LABEL.SUFFIX of all partitions that are named.
func bare(label string, ids ...string) map[string]string {
	hosts := make(map[string]string)
	for _, p := range partitions {
		if slices.Contains(ids, p.ID) {
			hosts[p.ID] = label + "." + p.Suffix
		}
	}
	return hosts
}

func withGov(hosts map[string]string, host string) map[string]string {
	hosts = maps.Clone(hosts)
	hosts[partGov] = host
	return hosts
}

// single are the services that a partition has once. Source: the endpoint
// rules of botocore 1.43.
var single = map[string]singleService{
	"account":           {},
	"budgets":           {global: bare("budgets", partAWS, partChina, partGov, partISO)},
	"ce":                {},
	"cloudfront":        {global: bare("cloudfront", partAWS, partGov, partISO, partISOB, partISOE, partISOF, partEUSC)},
	"cur":               {},
	"ecr-public":        {label: "api.ecr-public"},
	"globalaccelerator": {regions: map[string]string{partAWS: "us-west-2"}},
	"iam": {
		global:  withGov(bare("iam", partAWS), "iam.us-gov.amazonaws.com"),
		regions: map[string]string{partChina: "cn-north-1"},
	},
	"importexport":   {global: bare("importexport", partAWS)},
	"networkmanager": {regions: map[string]string{partAWS: "us-west-2"}},
	"organizations":  {},
	"route53": {global: withGov(
		bare("route53", partAWS, partChina, partISO, partISOB, partISOE, partISOF, partEUSC), "route53.us-gov.amazonaws.com",
	)},
	"route53domains": {},
	"savingsplans":   {global: bare("savingsplans", partAWS)},
	"shield":         {regions: map[string]string{partChina: "cn-north-1", partGov: "us-gov-east-1"}},
	"waf":            {global: bare("waf", partAWS)},
}

// in answers for a partition.
func (s singleService) in(name string, p Partition) Default {
	d := Default{Host: s.global[p.ID], Region: cmp.Or(s.regions[p.ID], p.DefaultRegion)}
	if d.Host == "" {
		d.Host = cmp.Or(s.label, name) + "." + d.Region + "." + p.Suffix
	}
	return d
}
