package sigv4

// PayloadRule says how a service wants the body covered by the signature.
type PayloadRule string

const (
	// PayloadHash: the SHA-256 of the body is signed; the header
	// x-amz-content-sha256 need not be sent.
	PayloadHash PayloadRule = "hash"
	// PayloadHashHeader: the same, and x-amz-content-sha256 must be sent and
	// signed.
	PayloadHashHeader PayloadRule = "hash_header"
	// PayloadHashOrUnsigned: x-amz-content-sha256 must be sent and signed; it
	// holds the hash or, over TLS only, UNSIGNED-PAYLOAD.
	PayloadHashOrUnsigned PayloadRule = "hash_or_unsigned"
	// PayloadUnsigned: x-amz-content-sha256 must hold UNSIGNED-PAYLOAD.
	PayloadUnsigned PayloadRule = "unsigned"
)

// PayloadRuleFor gives the rule of a service by its signing name; services
// that aren't known here follow the general rule, [PayloadHash]. Sources:
//   - S3: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
//   - S3 Glacier: https://docs.aws.amazon.com/amazonglacier/latest/dev/amazon-glacier-signing-requests.html
//   - OpenSearch Serverless: https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-clients.html
//   - VPC Lattice: https://docs.aws.amazon.com/vpc-lattice/latest/ug/sigv4-authenticated-requests.html
func PayloadRuleFor(service string) PayloadRule {
	switch service {
	case "s3", "s3express", "s3-object-lambda", "s3-outposts", "aoss":
		return PayloadHashOrUnsigned
	case "glacier":
		return PayloadHashHeader
	case "vpc-lattice-svcs":
		return PayloadUnsigned
	}
	return PayloadHash
}
