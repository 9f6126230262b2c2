package endpoint

import (
	"slices"
	"strings"
)

// Partition is a group of AWS regions with accounts, credentials and host
// names of its own. Source: partitions.json of the AWS SDKs, and
// https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
type Partition struct {
	// ID is the second field of every ARN in the partition.
	ID string
	// Suffix ends the host names of its endpoints.
	Suffix string
	// DualStackSuffix ends the host names of its newer endpoints, which
	// answer on IPv4 and IPv6.
	DualStackSuffix string
	// DefaultRegion is what requests to its global endpoints are signed for,
	// except IAM in aws-cn, which is cn-north-1.
	DefaultRegion string
}

const (
	partAWS   = "aws"
	partChina = "aws-cn"
	partGov   = "aws-us-gov"
	partISO   = "aws-iso"
	partISOB  = "aws-iso-b"
	partISOE  = "aws-iso-e"
	partISOF  = "aws-iso-f"
	partEUSC  = "aws-eusc"
)

var partitions = []Partition{
	{partAWS, "amazonaws.com", "api.aws", "us-east-1"},
	{partChina, "amazonaws.com.cn", "api.amazonwebservices.com.cn", "cn-northwest-1"},
	{partGov, "amazonaws.com", "api.aws", "us-gov-west-1"},
	{partISO, "c2s.ic.gov", "api.aws.ic.gov", "us-iso-east-1"},
	{partISOB, "sc2s.sgov.gov", "api.aws.scloud", "us-isob-east-1"},
	{partISOE, "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", "eu-isoe-west-1"},
	{partISOF, "csp.hci.ic.gov", "api.aws.hci.ic.gov", "us-isof-south-1"},
	{partEUSC, "amazonaws.eu", "api.amazonwebservices.eu", "eusc-de-east-1"},
}

// Partitions lists all eight partitions; the slice is the caller's.
func Partitions() []Partition { return slices.Clone(partitions) }

// maxRegion is how long a region's name may be: a label of a host name, RFC
// 1035, section 2.3.4.
const maxRegion = 63

// PartitionOf finds the partition whose form of a region's name region has.
// The region need not exist yet: AWS opens several a year.
func PartitionOf(region string) (Partition, bool) {
	id := partitionID(region)
	for _, p := range partitions {
		if p.ID == id {
			return p, true
		}
	}
	return Partition{}, false
}

func isRegion(label string) bool { return partitionID(label) != "" }

func defaultRegion(id string) string {
	for _, p := range partitions {
		if p.ID == id {
			return p.DefaultRegion
		}
	}
	return ""
}

// partitionID reads AREA-WORD-NUMBER, the form of every region's name: the
// area says which partition it is. It is the hand-written form of the region
// patterns in partitions.json, because it runs on every label of every host.
func partitionID(region string) string {
	if len(region) > maxRegion {
		return ""
	}
	head, number, ok := cutLastHyphen(region)
	if !ok || !all(number, isDigit) {
		return ""
	}
	area, word, ok := cutLastHyphen(head)
	if !ok || !all(word, isWord) {
		return ""
	}
	switch area {
	case "us", "eu", "ap", "sa", "ca", "me", "af", "il", "mx":
		return partAWS
	case "cn":
		return partChina
	case "us-gov":
		return partGov
	case "us-iso":
		return partISO
	case "us-isob":
		return partISOB
	case "eu-isoe":
		return partISOE
	case "us-isof":
		return partISOF
	case "eusc-de":
		return partEUSC
	}
	return ""
}

func cutLastHyphen(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '-')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWord(c byte) bool { return c >= 'a' && c <= 'z' || isDigit(c) }

func all(s string, is func(byte) bool) bool {
	for i := 0; i < len(s); i++ {
		if !is(s[i]) {
			return false
		}
	}
	return s != ""
}

// suffix is a domain under which AWS serves its API.
type suffix struct {
	domain    string
	partition string // "aws" stands for aws-us-gov too, until a region or a us-gov label says which
}

// suffixes are all of them. What a partition has under "api." for the API it
// has under "on." for what customers own: function URLs, OpenSearch domains,
// VPC Lattice services.
var suffixes = func() []suffix {
	var all []suffix
	for _, p := range partitions {
		if p.ID == partGov {
			continue
		}
		on := "on." + strings.TrimPrefix(p.DualStackSuffix, "api.")
		all = append(all, suffix{p.Suffix, p.ID}, suffix{p.DualStackSuffix, p.ID}, suffix{on, p.ID})
	}
	return all
}()

// cutSuffix takes an AWS suffix and the dot before it from a host's end. No
// suffix ends another one at a dot, so that the order doesn't matter.
func cutSuffix(host string) (suffix, string, bool) {
	for _, s := range suffixes {
		if rest, ok := strings.CutSuffix(host, s.domain); ok && (rest == "" || rest[len(rest)-1] == '.') {
			return s, strings.TrimSuffix(rest, "."), true
		}
	}
	return suffix{}, "", false
}
