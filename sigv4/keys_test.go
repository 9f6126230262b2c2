package sigv4

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// TestDeriveKey is the example of the AWS page "Examples of how to derive a
// signing key for Signature Version 4".
func TestDeriveKey(t *testing.T) {
	key := deriveKey("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", keyScope{"20120215", "us-east-1", "iam"})
	equal(t, "signing key", hex.EncodeToString(key[:]), "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d")
}

// TestIdentitiesDoNotMix signs in turns for identities that differ only in
// their secret, from many goroutines, and compares with signatures made alone.
func TestIdentitiesDoNotMix(t *testing.T) {
	const identities, days = 4, 3
	signers := make([]*Signer, identities)
	want := map[[2]int]string{}
	input := func(day int) Input {
		in := exampleInput(t)
		in.Time = exampleTime.AddDate(0, 0, day)
		in.Header = http.Header{}
		return in
	}
	credentials := func(i int) Credentials {
		return Credentials{AccessKeyID: "AKIDSAME", SecretAccessKey: fmt.Sprintf("secret-%d", i)}
	}
	for i := range identities {
		signers[i] = NewSigner(credentials(i))
		for day := range days {
			in := input(day)
			if err := NewSigner(credentials(i)).Sign(in); err != nil {
				t.Fatal(err)
			}
			want[[2]int{i, day}] = in.Header.Get("Authorization")
		}
	}
	distinct := map[string]bool{}
	for _, authorization := range want {
		distinct[authorization] = true
	}
	if len(distinct) != identities*days {
		t.Fatalf("%d different signatures, want %d", len(distinct), identities*days)
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for n := range 200 {
				i, day := (n+worker)%identities, (n/identities)%days
				in := input(day)
				if err := signers[i].Sign(in); err != nil {
					t.Error(err)
					return
				}
				if got := in.Header.Get("Authorization"); got != want[[2]int{i, day}] {
					t.Errorf("identity %d signed %q, want %q", i, got, want[[2]int{i, day}])
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestKeyCacheIsBounded(t *testing.T) {
	signer := NewSigner(exampleCredentials)
	sign := func(day int, region string) {
		t.Helper()
		in := exampleInput(t)
		in.Region, in.Time = region, exampleTime.AddDate(0, 0, day)
		if err := signer.Sign(in); err != nil {
			t.Fatal(err)
		}
		if n := len(signer.keys.all()); n > maxKeys {
			t.Fatalf("%d keys are kept, more than %d", n, maxKeys)
		}
	}
	// Three regions over many days: old days go, whatever their order.
	for day := range 3 * maxKeys {
		for _, region := range []string{"us-east-1", "eu-west-1", "us-west-2"} {
			sign(day, region)
		}
	}
	today := exampleTime.AddDate(0, 0, 3*maxKeys-1).Format(time.DateOnly)
	sign(3*maxKeys-1, "us-east-1")
	oldest := exampleTime.AddDate(0, 0, 3*maxKeys-1-maxKeys/3-1).Format("20060102")
	for _, k := range signer.keys.all() {
		if k.scope.day < oldest {
			t.Errorf("the key of %s is still there on %s", k.scope.day, today)
		}
	}
	// Many regions on one day: the first ones go.
	for i := range 2 * maxKeys {
		sign(3*maxKeys, fmt.Sprintf("region-%d", i))
	}
	for i := range 2 * maxKeys {
		scope := keyScope{exampleTime.AddDate(0, 0, 3*maxKeys).Format("20060102"), fmt.Sprintf("region-%d", i), "execute-api"}
		if got := signer.keys.find(scope) != nil; got != (i >= maxKeys) {
			t.Errorf("the key of %s is there: %v", scope.region, got)
		}
	}
	// A straggler from the day before goes first, although it came last.
	sign(3*maxKeys-1, "straggler")
	sign(3*maxKeys, "newest")
	for _, k := range signer.keys.all() {
		if k.scope.region == "straggler" {
			t.Error("the key of the day before is still there")
		}
	}
}

// TestVerifyingKeepsNoKeys: a client must not fill the cache by naming
// regions.
func TestVerifyingKeepsNoKeys(t *testing.T) {
	signer := NewSigner(exampleCredentials)
	v := NewVerifier(func(string) (*Signer, bool) { return signer, true }, 0)
	v.Now = func() time.Time { return exampleTime }
	in := exampleInput(t)
	if err := NewSigner(exampleCredentials).Sign(in); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(verifyInput(in)); err != nil {
		t.Fatal(err)
	}
	if len(signer.keys.all()) != 0 {
		t.Errorf("%d keys are kept", len(signer.keys.all()))
	}
}
