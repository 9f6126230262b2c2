package credentials

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// tenant is an identity of the kind of which there are many: a role that a request fills in, with an
// External ID, a session name and a tag of its own, and a session token of the usual length.
func tenant(client *sts.Client, broker *Identity, n int) Identity {
	name := fmt.Sprintf("tenant-%06d", n)
	id := NewRole(client, broker, "broker", sts.AssumeRoleInput{
		RoleARN:     fmt.Sprintf("arn:aws:iam::%012d:role/customers/ProxyAccess", n),
		ExternalID:  "4d2c6f0e-8a57-4d38-9f3e-" + name,
		SessionName: name,
		Duration:    time.Hour,
		Tags:        []sts.Tag{{Key: "tenant", Value: name}},
	})
	call := id.Fetch // Which holds on to all of that.
	id.Fetch = func(context.Context, *Credentials) (*Credentials, error) {
		_ = call
		return New(sigv4.Credentials{
			AccessKeyID:     fmt.Sprintf("ASIA%016d", n),
			SecretAccessKey: fmt.Sprintf("%040d", n),
			SessionToken:    fmt.Sprintf("%06d", n) + strings.Repeat("t", 694),
		}, time.Now().Add(time.Hour), time.Now()), nil
	}
	return id
}

// sign signs one request, so that the credentials hold a signing key as they do in service.
func sign(t *testing.T, creds *Credentials) {
	t.Helper()
	target, err := sigv4.Canonicalize("/key", "", sigv4.PathSingle)
	if err != nil {
		t.Fatal(err)
	}
	err = creds.Signer.Sign(sigv4.Input{
		Method: "GET", Host: "my-bucket.s3.eu-west-1.amazonaws.com", Target: target, Header: http.Header{},
		PayloadHash: sigv4.EmptyPayloadHash, PayloadHeader: true, Service: "s3", Region: "eu-west-1", Time: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMemoryOf100000Identities puts more identities through a cache than the 100,000 that it may hold,
// each of which signs, and looks at the heap. The race detector makes that take minutes, so that there
// a tenth has to do.
func TestMemoryOf100000Identities(t *testing.T) {
	most, limit := 100_000, uint64(200<<20)
	if raceDetector {
		most, limit = most/10, limit/10
	}
	before := heapInUse()
	c := NewCache(Options{MaxIdentities: most})
	defer c.Close()
	s := newSTS(t, 0)
	broker := s.identity("broker")
	client := new(sts.Client)
	for n := range most + most/10 {
		creds, err := c.Get(context.Background(), tenant(client, &broker, n))
		if err != nil {
			t.Fatal(err)
		}
		sign(t, creds)
		if n%10_000 == 0 && c.Len() > most {
			t.Fatalf("%d identities are held, want at most %d", c.Len(), most)
		}
	}
	used := heapInUse() - before
	held := c.Len()
	if held < most*9/10 || held > most {
		t.Errorf("%d identities are held, want up to %d", held, most)
	}
	t.Logf("%d identities take %d MiB, %d bytes each", held, used>>20, used/uint64(held))
	if used > limit {
		t.Errorf("they take %d bytes, want at most %d", used, limit)
	}
}
