package endpoint

import (
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// anyRegion is the region set of the global SigV4a endpoints.
const anyRegion = "*"

// name is a host name taken apart from the right.
type name struct {
	suffix suffix
	rest   string // what is left of the suffix and of the parts below
	region string // the label before the suffix, if it is a region
	gov    bool   // a us-gov label stood before the suffix
	world  bool   // a global label stood before the suffix
}

// split takes the suffix, the markers vpce, us-gov, global and dualstack, and
// a region before them from the right end of host.
func split(host string) (name, *Error) {
	s, rest, ok := cutSuffix(host)
	if !ok {
		return name{}, &Error{Problem: "is not under a domain of the AWS API", Fix: fixBoth}
	}
	n := name{suffix: s, rest: rest}

	if head, last := cutLast(n.rest); last == "vpce" {
		svc, err := cutVPCE(head)
		if err != nil {
			return name{}, err
		}
		n.rest = svc
	}
	switch head, last := cutLast(n.rest); {
	case last == "us-gov" && s.partition == partAWS:
		n.gov, n.rest = true, head
	case last == "global":
		n.world, n.rest = true, head
	}
	if head, last := cutLast(n.rest); isRegion(last) && !n.world {
		n.region, n.rest = last, head
	}
	if head, last := cutLast(n.rest); last == "dualstack" {
		n.rest = head
	}
	if n.rest == "" {
		return name{}, &Error{Problem: "names no service", Fix: fixBoth}
	}
	return n, nil
}

// cutVPCE takes the endpoint's own labels from a name before ".vpce": what is
// left is the service's usual name and the region. S3 puts a bucket and one of
// bucket, accesspoint or control before the endpoint's ID.
// https://docs.aws.amazon.com/vpc/latest/privatelink/privatelink-access-aws-services.html
func cutVPCE(rest string) (string, *Error) {
	for labels := rest; labels != ""; {
		head, label := cutLast(labels)
		switch {
		case strings.HasPrefix(label, "vpce-svc-"):
			return "", &Error{Problem: "is somebody's own endpoint service, whose protocol its name does not tell", Fix: fixBoth}
		case strings.HasPrefix(label, "vpce-"):
			return strings.TrimPrefix(rest[len(labels):], "."), nil
		}
		labels = head
	}
	return "", &Error{Problem: "has no label vpce-ID before the label vpce", Fix: fixBoth}
}

// regional answers for <prefix>.<region>.<suffix>.
func (n name) regional() (Endpoint, *Error) {
	prefix := dropFIPS(n.rest)
	if e, ok := lookup(prefix); ok {
		return n.answer(e, n.region)
	}
	_, last := cutLast(prefix)
	if strings.HasPrefix(last, "s3express-") {
		// The zone's ID is part of the label: s3express-usw2-az1. (The label
		// s3express-control is in the table.)
		return n.answer(entry{service: "s3express", reason: "rule: s3express-ZONE before the region"}, n.region)
	}
	return n.lastLabel(last, n.region, "rule: last label before the region")
}

// global answers for names without a region before the suffix.
func (n name) global() (Endpoint, *Error) {
	if e, region, ok := legacyS3(n.rest); ok {
		return n.answer(e, region)
	}
	rest := dropFIPS(n.rest)
	if e, ok := longest(regionless, rest); ok {
		return n.answer(e, anyRegion)
	}
	if g, ok := globals[rest]; ok {
		return n.answerGlobal(g)
	}
	if _, last := cutLast(rest); globals[last].buckets {
		return n.answerGlobal(globals[last])
	}
	// <anything>.<region>.<service>: the data planes of several services, and
	// a few of the oldest endpoints.
	for labels := n.rest; labels != ""; {
		head, label := cutLast(labels)
		if isRegion(label) && labels != n.rest {
			return n.dataPlane(label, dropFIPS(n.rest[len(labels)+1:]))
		}
		labels = head
	}
	return Endpoint{}, &Error{Problem: "has no region before its suffix and is no known global endpoint", Fix: fixBoth}
}

// legacyS3 reads the oldest regional form of S3, s3-REGION with a hyphen.
func legacyS3(labels string) (entry, string, bool) {
	_, last := cutLast(labels)
	region, ok := strings.CutPrefix(last, "s3-")
	if !ok {
		return entry{}, "", false
	}
	e := entry{service: "s3", reason: "rule: s3-REGION"}
	if r, ok := strings.CutPrefix(region, "website-"); ok {
		e, region = prefixes["s3-website"], r
	}
	region = strings.TrimPrefix(region, "fips-")
	return e, region, isRegion(region)
}

// dataPlane answers for <anything>.<region>.<labels>.<suffix>.
func (n name) dataPlane(region, labels string) (Endpoint, *Error) {
	if e, ok := dataPlanes[labels]; ok {
		return n.answer(e, region)
	}
	_, last := cutLast(labels)
	return n.lastLabel(last, region, "rule: last label, after the region")
}

// lastLabel is the convention that most AWS host names follow.
func (n name) lastLabel(label, region, reason string) (Endpoint, *Error) {
	if !isServiceLabel(label) {
		return Endpoint{}, &Error{Problem: "names no service beside its region", Fix: fixService}
	}
	return n.answer(entry{service: label, reason: reason}, region)
}

// isServiceLabel says whether a label can be a service: all of them begin with
// a letter, which an account's number doesn't.
func isServiceLabel(label string) bool {
	return label != "" && label != "fips" && label[0] >= 'a' && label[0] <= 'z' && !isRegion(label) && !strings.HasPrefix(label, "vpce-") &&
		all(label, func(c byte) bool { return isWord(c) || c == '-' })
}

// answer fills an endpoint from an entry of the table and a region, unless the
// entry is a refusal, or region and suffix belong to different partitions.
func (n name) answer(e entry, region string) (Endpoint, *Error) {
	if e.problem != "" {
		return Endpoint{}, &Error{Problem: e.problem, Fix: e.fix}
	}
	partition, algorithm := n.suffix.partition, SigV4
	if n.gov {
		partition = partGov
	}
	if e.regionSet {
		algorithm, region = SigV4a, anyRegion
	} else {
		p, _ := PartitionOf(region)
		if p.ID != partition && (p.ID != partGov || partition != partAWS) {
			return Endpoint{}, &Error{
				Problem: "has the region " + region + " of the partition " + p.ID + " under a suffix of the partition " + partition,
				Fix:     "write it with the suffix " + p.Suffix + " or " + p.DualStackSuffix + ", or the region of its own partition",
			}
		}
		partition = p.ID
	}
	return Endpoint{
		Service:     e.service,
		Region:      region,
		Partition:   partition,
		Algorithm:   algorithm,
		PathRule:    sigv4.PathRuleFor(e.service),
		PayloadRule: sigv4.PayloadRuleFor(e.service),
		Reason:      e.reason,
	}, nil
}

// answerGlobal chooses the region of a global endpoint: the partition's
// default, but for the exceptions in the entry.
func (n name) answerGlobal(g global) (Endpoint, *Error) {
	if g.bareIsGov && n.suffix.domain == "api.aws" && !n.world {
		n.gov = true
	}
	partition := n.suffix.partition
	if n.gov {
		partition = partGov
	}
	if g.awsOnly && partition != partAWS {
		return Endpoint{}, &Error{Problem: "has no region, and " + g.service + " has no global endpoint in the partition " + partition, Fix: fixRegion}
	}
	region := defaultRegion(partition)
	if partition == partChina && g.chinaRegion != "" {
		region = g.chinaRegion
	}
	return n.answer(g.entry, region)
}
