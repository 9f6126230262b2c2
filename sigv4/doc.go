// Package sigv4 signs HTTP requests with AWS Signature Version 4 and verifies
// requests that others signed.
//
// It is pure: it reads no environment, opens no connection and keeps nothing
// but the signing keys of one [Signer]. A request goes through it in three
// steps. [RawPath] and [StripAuthQuery] find the bytes that the client really
// sent. [Canonicalize] turns them into a [Target], the one form of path and
// query that is both sent and signed, so that the two cannot differ.
// [Signer.Sign] writes the Authorization header and those that go with it.
// [Verifier.Verify] is the other side: it recomputes the signature from what
// arrived on the wire.
//
// The rules are those of the AWS page "Create a signed AWS API request"
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html),
// with the differences between services that the page leaves out; each is
// described at the function that knows it.
package sigv4
