package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
)

func newRing(t testing.TB, current Key, old ...Key) *Ring {
	t.Helper()
	r, err := NewRing(current, old...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOpenGivesBackWhatSealTook(t *testing.T) {
	r := newRing(t, testKey(t, 1))
	for _, record := range []string{"", "x", strings.Repeat("a longer record ", 1000)} {
		sealed := r.Seal("sessions/1", []byte(record))
		got, err := r.Open("sessions/1", sealed)
		if err != nil || string(got) != record {
			t.Errorf("%d bytes: %q, %v", len(record), got, err)
		}
		if len(record) > 1 && bytes.Contains(sealed, []byte(record[:8])) {
			t.Error("the record is in clear")
		}
		if bytes.Equal(sealed, r.Seal("sessions/1", []byte(record))) {
			t.Error("sealing twice gives the same bytes")
		}
	}
}

// TestSealedFormat opens a record with HKDF and GCM written out from RFC 5869 and the description of
// the format, so that the format cannot change unnoticed.
func TestSealedFormat(t *testing.T) {
	k := testKey(t, 1)
	sealed := newRing(t, k).Seal("a/b", []byte("record"))
	header := "aws-connect-seal-1:" + k.ID() + ":"
	rest, ok := bytes.CutPrefix(sealed, []byte(header))
	if !ok {
		t.Fatalf("%q does not begin with %q", sealed, header)
	}
	salt, nonce, ciphertext := rest[:16], rest[16:28], rest[28:]

	mac := func(key []byte, parts ...string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(strings.Join(parts, "")))
		return h.Sum(nil)
	}
	prk := mac(salt, string(bytes32(1)))
	block, _ := aes.NewCipher(mac(prk, "aws_sigv4 connect: record", "\x01"))
	gcm, _ := cipher.NewGCM(block)
	got, err := gcm.Open(nil, nonce, ciphertext, []byte(header+"a/b"))
	if err != nil || string(got) != "record" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestOpenRefusesWhatIsNotItsOwn(t *testing.T) {
	r := newRing(t, testKey(t, 1))
	sealed := r.Seal("connections/1", []byte("role"))

	if _, err := r.Open("connections/2", sealed); !errors.Is(err, ErrAltered) {
		t.Errorf("under another record's name: %v", err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if got, err := r.Open("connections/1", bad); err == nil {
			t.Fatalf("byte %d was altered and it opens as %q", i, got)
		}
	}
	for n := range sealed {
		if _, err := r.Open("connections/1", sealed[:n]); err == nil {
			t.Fatalf("the first %d bytes open", n)
		}
	}
	for _, bad := range []string{"", "{}", magic, magic + strings.Repeat("z", 100), magic + strings.Repeat("A", 16) + ":" + strings.Repeat("x", 50)} {
		if _, err := r.Open("connections/1", []byte(bad)); !errors.Is(err, ErrNotSealed) {
			t.Errorf("%q: %v, want ErrNotSealed", bad, err)
		}
	}
}

func TestRotation(t *testing.T) {
	first, second, third := testKey(t, 1), testKey(t, 2), testKey(t, 3)
	before := newRing(t, first)
	sealed := before.Seal("x", []byte("record"))
	if !before.Current(sealed) {
		t.Error("a new record is not current")
	}

	after := newRing(t, second, first)
	if got, err := after.Open("x", sealed); err != nil || string(got) != "record" {
		t.Errorf("with the old key on the ring: %q, %v", got, err)
	}
	if after.Current(sealed) {
		t.Error("a record of the old key is current")
	}
	anew := after.Seal("x", []byte("record"))
	if !after.Current(anew) {
		t.Error("a record of the new key is not current")
	}

	_, err := newRing(t, third).Open("x", anew)
	if !errors.Is(err, ErrUnknownKey) || !strings.Contains(err.Error(), second.ID()) {
		t.Errorf("without its key: %v, want the ID %s", err, second.ID())
	}
}

func TestNewRingRefusesKeysThatAreMissingOrGivenTwice(t *testing.T) {
	k := testKey(t, 1)
	if _, err := NewRing(Key{}); err == nil {
		t.Error("a ring without a key")
	}
	if _, err := NewRing(k, Key{}); err == nil {
		t.Error("a ring with an empty old key")
	}
	if _, err := NewRing(k, k); err == nil {
		t.Error("a ring with one key twice")
	}
}

func FuzzOpen(f *testing.F) {
	r := newRing(f, testKey(f, 1))
	f.Add("a", r.Seal("a", []byte("record")))
	f.Add("", []byte(magic))
	f.Fuzz(func(t *testing.T, name string, sealed []byte) {
		if got, err := r.Open(name, sealed); err == nil && (name != "a" || string(got) != "record") {
			t.Errorf("%q opens", sealed)
		}
	})
}
