// Package endpoint tells from a host name what a request to it must be signed
// with: signing name, region, partition, algorithm, and the rules for its path
// and its body.
//
// AWS host names follow a few conventions, and about one name in ten breaks
// them. So there are rules for the conventions and a small table (table.go)
// for the rest, and every answer says in its Reason which of the two it came
// from. A name is read from the right, because what stands at the left end (a
// bucket, an account, a stage) is chosen by customers and may look like
// anything, also like a region. What can't be told from the name alone is an
// [*Error] that says what to write in the configuration; nothing is guessed.
//
// The package is pure: no network, no files, no state.
package endpoint

import (
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// Algorithm is a signing algorithm, by the name that configurations use.
type Algorithm string

const (
	// SigV4 is AWS4-HMAC-SHA256, whose credential scope holds one region.
	SigV4 Algorithm = "sigv4"
	// SigV4a is AWS4-ECDSA-P256-SHA256, whose scope holds no region; a set of
	// regions is signed instead. Some global endpoints take nothing else.
	SigV4a Algorithm = "sigv4a"
)

// Endpoint is what a host name says about signing requests to it.
type Endpoint struct {
	// Service is the signing name, the third part of the credential scope.
	Service string `json:"service"`
	// Region is the region of the credential scope, or "*", the region set
	// of a SigV4a endpoint.
	Region string `json:"region"`
	// Partition is the ID of the partition, for example "aws-cn".
	Partition string `json:"partition"`
	// Algorithm is the best algorithm that every caller has: SigV4 wherever
	// the service takes it, SigV4a where it takes nothing else.
	Algorithm Algorithm `json:"algorithm"`
	// PathRule says how the path is encoded in the canonical request.
	PathRule sigv4.PathRule `json:"path_rule"`
	// PayloadRule says how the body is covered by the signature.
	PayloadRule PayloadRule `json:"payload_rule"`
	// Reason says which way it was decided: "table: …" or "rule: …".
	Reason string `json:"reason"`
}

// anyRegion is the region set of the global SigV4a endpoints.
const anyRegion = "*"

// Parse infers the endpoint from host: a name, with or without a port and a
// trailing dot, in any case. It answers the same for the same host always.
// The error is an [*Error]: the text is no host name, it isn't under a suffix
// of AWS, it has neither a region nor a global entry in the table, or it names
// something that takes no signature or more than one.
func Parse(host string) (Endpoint, error) {
	e, err := parse(host)
	if err != nil {
		err.Host = quotable(host)
		return Endpoint{}, err
	}
	return e, nil
}

func parse(host string) (Endpoint, *Error) {
	clean, err := cleanHost(host)
	if err != nil {
		return Endpoint{}, err
	}
	n, err := split(clean)
	if err != nil {
		return Endpoint{}, err
	}
	if n.region != "" {
		return n.regional()
	}
	return n.global()
}

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
	switch head, last := cutLast(n.rest); last {
	case "us-gov":
		n.gov, n.rest = true, head
	case "global":
		n.world, n.rest = true, head
	}
	if head, last := cutLast(n.rest); isRegion(last) {
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
// left is the service's usual name. S3 puts bucket, accesspoint or control
// before the endpoint's ID; the region stays with the rest.
// https://docs.aws.amazon.com/vpc/latest/privatelink/privatelink-access-aws-services.html
func cutVPCE(rest string) (string, *Error) {
	for labels := rest; labels != ""; {
		label, after, _ := strings.Cut(labels, ".")
		switch {
		case strings.HasPrefix(label, "vpce-svc-"):
			return "", &Error{Problem: "is somebody's own endpoint service, whose protocol its name does not tell", Fix: fixBoth}
		case strings.HasPrefix(label, "vpce-"):
			if strings.HasPrefix(after, "vpce-") {
				labels = after
				continue
			}
			return after, nil
		}
		labels = after
	}
	return "", &Error{Problem: "has no label vpce-ID before \".vpce\"", Fix: fixBoth}
}

// regional answers for <prefix>.<region>.<suffix>.
func (n name) regional() (Endpoint, *Error) {
	prefix := dropFIPS(n.rest)
	if e, ok := lookup(prefix); ok {
		return n.answer(e, n.region)
	}
	_, last := cutLast(prefix)
	if strings.HasPrefix(last, "s3express-") {
		// The zone's ID is part of the label: s3express-usw2-az1.
		return n.answer(entry{service: "s3express", reason: "rule: s3express-ZONE before the region"}, n.region)
	}
	return n.lastLabel(last, n.region, "rule: last label before the region")
}

// global answers for names without a region before the suffix.
func (n name) global() (Endpoint, *Error) {
	head, last := cutLast(n.rest)
	if e, region, ok := legacyS3(last); ok {
		return n.answer(e, region)
	}
	rest := dropFIPS(n.rest)
	if e, ok := lookupIn(regionSets, rest); ok {
		return n.answer(e, anyRegion)
	}
	if e, ok := globals[rest]; ok {
		return n.answerGlobal(e)
	}
	if _, bare := cutLast(rest); head != "" && globals[bare].buckets {
		return n.answerGlobal(globals[bare])
	}
	if e, ok := lookupIn(regionlessRefusals, rest); ok {
		return n.answer(e, "")
	}
	// <anything>.<region>.<service>: the data planes of several services, and
	// the oldest endpoints.
	for labels, after := n.rest, ""; labels != ""; {
		head, label := cutLast(labels)
		if isRegion(label) && after != "" {
			return n.dataPlane(label, dropFIPS(after))
		}
		labels, after = head, n.rest[len(labels)-len(label):]
	}
	return Endpoint{}, &Error{Problem: "has no region before its suffix and is no known global endpoint", Fix: fixBoth}
}

// dataPlane answers for <anything>.<region>.<service>.<suffix>.
func (n name) dataPlane(region, service string) (Endpoint, *Error) {
	if e, ok := dataPlanes[service]; ok {
		return n.answer(e, region)
	}
	_, last := cutLast(service)
	return n.lastLabel(last, region, "rule: last label, after the region")
}

// lastLabel is the convention that most AWS host names follow.
func (n name) lastLabel(label, region, reason string) (Endpoint, *Error) {
	if label == "" || label[0] < 'a' || label[0] > 'z' || strings.HasPrefix(label, "vpce-") || isRegion(label) {
		return Endpoint{}, &Error{Problem: "names no service beside its region", Fix: fixService}
	}
	return n.answer(entry{service: label, reason: reason}, region)
}

// answer fills an endpoint from an entry of the table and a region, unless the
// entry is a refusal or region and suffix belong to different partitions.
func (n name) answer(e entry, region string) (Endpoint, *Error) {
	if e.problem != "" {
		return Endpoint{}, &Error{Problem: e.problem, Fix: e.fix}
	}
	part := n.suffix.partition
	if n.gov {
		part = partGov
	}
	algorithm := SigV4
	switch {
	case e.regionSet || region == anyRegion:
		algorithm, region = SigV4a, anyRegion
	default:
		p, _ := PartitionOf(region)
		if p.ID != part && (p.ID != partGov || part != partAWS) {
			return Endpoint{}, &Error{Problem: "mixes the region " + region + " (partition " + p.ID + ") with a suffix of the partition " + part, Fix: fixSuffix(p)}
		}
		part = p.ID
	}
	return Endpoint{
		Service:     e.service,
		Region:      region,
		Partition:   part,
		Algorithm:   algorithm,
		PathRule:    sigv4.PathRuleFor(e.service),
		PayloadRule: PayloadRuleFor(e.service),
		Reason:      e.reason,
	}, nil
}

// answerGlobal chooses the region of a global endpoint: the partition's
// default, but for the few exceptions in the entry.
func (n name) answerGlobal(g globalEntry) (Endpoint, *Error) {
	part := n.suffix.partition
	if n.gov || g.bareDualStackIsGov && n.suffix.dualStack && part == partAWS && !n.world {
		part, n.gov = partGov, true
	}
	if g.awsOnly && part != partAWS {
		return Endpoint{}, &Error{Problem: "has no region, and " + g.service + " has no global endpoint in the partition " + part, Fix: fixBoth}
	}
	region := defaultRegion(part)
	if part == partChina && g.chinaRegion != "" {
		region = g.chinaRegion
	}
	return n.answer(g.entry, region)
}
