// Package credentials serves AWS credentials that are always fresh: identities, the sources that
// describe them, and a cache that refreshes them in the background.
//
// Fetching is a source's business (a call to AWS STS, the AWS SDK's chain, an environment
// variable); serving is this package's. A request never waits for a refresh: the cache hands out
// what it holds until that really expires, less a margin, and fetches the successor long before.
package credentials

import (
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// Credentials is one fetched set of credentials. It is immutable and shared by all requests that
// are signed with it, so nobody may write to it after New.
type Credentials struct {
	// Value is the key ID, secret and session token.
	Value sigv4.Credentials

	// Signer signs with Value. It holds the signing keys derived from Value, which therefore
	// live exactly as long as the credentials do.
	Signer *sigv4.Signer

	// Expires is when AWS stops accepting the credentials; zero means never.
	Expires time.Time

	// FetchedAt is when they were fetched.
	FetchedAt time.Time
}

// New returns credentials with a signer of their own. A zero expires means that they never expire.
func New(v sigv4.Credentials, expires, fetchedAt time.Time) *Credentials {
	return &Credentials{
		Value:     v,
		Signer:    sigv4.NewSigner(v),
		Expires:   expires,
		FetchedAt: fetchedAt,
	}
}
