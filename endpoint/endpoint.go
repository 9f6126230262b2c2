// Package endpoint tells from a host name what a request to it must be signed
// with: signing name, region, partition, algorithm, and the rules for its path
// and its body.
//
// AWS host names follow a few conventions, and about one name in ten breaks
// them. So there are rules for the conventions (rules.go) and a small table
// for the rest (table.go), and every answer says in its Reason which of the
// two it came from. A name is read from the right, because what stands at the
// left end (a bucket, an account, a stage) is chosen by customers and may look
// like anything, also like a region. What can't be told from the name is an
// [*Error] that says what to write in the configuration; nothing is guessed.
//
// The package is pure: no network, no files, no state.
package endpoint

import "github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"

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
	// Algorithm is SigV4 wherever the service takes it, SigV4a where it takes
	// nothing else.
	Algorithm Algorithm `json:"algorithm"`
	// PathRule says how the path is encoded in the canonical request.
	PathRule sigv4.PathRule `json:"path_rule"`
	// PayloadRule says how the body is covered by the signature.
	PayloadRule sigv4.PayloadRule `json:"payload_rule"`
	// Reason says which way it was decided: "table: …" or "rule: …".
	Reason string `json:"reason"`
}

// Parse infers the endpoint from host: a name in any case, with or without a
// port and a trailing dot. It answers the same for the same host always. The
// error is an [*Error]: the text is no host name, it isn't under a suffix of
// AWS, it has neither a region nor a global entry in the table, or it names
// something that takes no signature or whose service can't be told.
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
