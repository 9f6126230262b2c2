package payload

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

func TestDecide(t *testing.T) {
	const mib = 1 << 20
	for i, tc := range []struct {
		q      Question
		want   Plan
		status int
	}{
		{Question{Rule: sigv4.PayloadHash}, Empty, 0},
		{Question{Rule: sigv4.PayloadHash, HasBody: true, Length: 0}, Empty, 0},
		{Question{Rule: sigv4.PayloadHash, HasBody: true, Length: 5}, Hash, 0},
		{Question{Rule: sigv4.PayloadHash, HasBody: true, Length: -1}, Hash, 0},
		{Question{Rule: sigv4.PayloadHash, TLS: true, HasBody: true, Length: 5 * mib}, Hash, 0},
		{Question{Rule: sigv4.PayloadHash, HasBody: true, Length: DefaultLimit}, Hash, 0},
		{Question{Rule: sigv4.PayloadHash, HasBody: true, Length: DefaultLimit + 1}, 0, 413},
		{Question{Rule: sigv4.PayloadHash, HasBody: true, Length: 11, Limit: 10}, 0, 413},
		{Question{Rule: sigv4.PayloadHash, HasBody: true, Length: DefaultLimit + 1, Limit: 2 * DefaultLimit}, Hash, 0},
		// S3 and the like: a hash for what is small, unsigned over TLS only.
		{Question{Rule: sigv4.PayloadHashOrUnsigned, TLS: true, HasBody: true, Length: mib}, Hash, 0},
		{Question{Rule: sigv4.PayloadHashOrUnsigned, TLS: true, HasBody: true, Length: mib + 1}, Stream, 0},
		{Question{Rule: sigv4.PayloadHashOrUnsigned, TLS: true, HasBody: true, Length: 5 << 40}, Stream, 0},
		{Question{Rule: sigv4.PayloadHashOrUnsigned, TLS: true, HasBody: true, Length: -1}, Hash, 0},
		{Question{Rule: sigv4.PayloadHashOrUnsigned, HasBody: true, Length: mib + 1}, Hash, 0},
		{Question{Rule: sigv4.PayloadHashOrUnsigned, HasBody: true, Length: DefaultLimit + 1}, 0, 413},
		{Question{Rule: sigv4.PayloadHashOrUnsigned, TLS: true, HasBody: true, Length: 20 * mib, Limit: 10 * mib}, 0, 413},
		{Question{Mode: Auto, Rule: sigv4.PayloadHashOrUnsigned, TLS: true, HasBody: true, Length: 20 * mib}, Stream, 0},
		{Question{Mode: Signed, Rule: sigv4.PayloadHashOrUnsigned, TLS: true, HasBody: true, Length: 20 * mib}, Hash, 0},
		{Question{Mode: Unsigned, Rule: sigv4.PayloadHashOrUnsigned, TLS: true, HasBody: true, Length: 20}, Stream, 0},
		{Question{Mode: Unsigned, Rule: sigv4.PayloadHashOrUnsigned, TLS: true, HasBody: true, Length: -1}, Hold, 0},
		{Question{Mode: Unsigned, Rule: sigv4.PayloadHashOrUnsigned, HasBody: true, Length: 20}, 0, 500},
		// VPC Lattice takes nothing else.
		{Question{Rule: sigv4.PayloadUnsigned, HasBody: true, Length: 20}, Stream, 0},
		{Question{Rule: sigv4.PayloadUnsigned, TLS: true, HasBody: true, Length: -1}, Stream, 0},
		{Question{Mode: Signed, Rule: sigv4.PayloadUnsigned, TLS: true, HasBody: true, Length: 20}, 0, 500},
	} {
		got, err := tc.q.Decide()
		var perr *Error
		switch {
		case tc.status != 0:
			if !errors.As(err, &perr) || perr.Status != tc.status {
				t.Errorf("%d: %+v: got %v, %v, want status %d", i, tc.q, got, err, tc.status)
			}
		case err != nil || got != tc.want:
			t.Errorf("%d: %+v: got %v, %v, want %v", i, tc.q, got, err, tc.want)
		}
	}
}

func TestCheckMode(t *testing.T) {
	for _, m := range []Mode{"", Auto, Signed, Unsigned} {
		if err := CheckMode(m); err != nil {
			t.Errorf("%q: %v", m, err)
		}
	}
	for _, m := range []Mode{"chunked", "AUTO", "none"} {
		if err := CheckMode(m); err == nil || !strings.Contains(err.Error(), "auto, signed or unsigned") {
			t.Errorf("%q: got %v, want an error that names the modes", m, err)
		}
	}
	if err := CheckService(Signed, "vpc-lattice-svcs"); err == nil {
		t.Error("VPC Lattice with payload signed: want an error")
	}
	if err := CheckService(Signed, "s3"); err != nil {
		t.Error(err)
	}
}

func TestCheckedBodyIsCompleteOnlyIfItIsRight(t *testing.T) {
	readers := map[string]func(io.Reader) io.Reader{
		"whole":      func(r io.Reader) io.Reader { return r },
		"bytewise":   iotest.OneByteReader,
		"halves":     iotest.HalfReader,
		"with error": iotest.DataErrReader,
	}
	for _, body := range []string{"", "a", "ab", "hello, world", strings.Repeat("0123456789", 5000)} {
		sum := sha256.Sum256([]byte(body))
		right := hex.EncodeToString(sum[:])
		wrong := strings.Repeat("0", 64)
		for name, wrap := range readers {
			for _, size := range []int{1, 2, 7, 1 << 16} {
				got, err := readInPieces(NewChecked(io.NopCloser(wrap(strings.NewReader(body))), right), size)
				if err != nil || string(got) != body {
					t.Errorf("%s, %d bytes in pieces of %d: got %d bytes, %v", name, len(body), size, len(got), err)
				}
				got, err = readInPieces(NewChecked(io.NopCloser(wrap(strings.NewReader(body))), wrong), size)
				var perr *Error
				if !errors.As(err, &perr) || perr.Status != 400 {
					t.Errorf("%s, %d bytes in pieces of %d with a wrong hash: got %v, want status 400", name, len(body), size, err)
				}
				if len(body) > 0 && len(got) != len(body)-1 {
					t.Errorf("%s: %d of %d bytes got out with a wrong hash, want all but the last", name, len(got), len(body))
				}
			}
		}
	}
}

func readInPieces(r io.Reader, size int) ([]byte, error) {
	var got bytes.Buffer
	p := make([]byte, size)
	for {
		n, err := r.Read(p)
		got.Write(p[:n])
		if errors.Is(err, io.EOF) {
			return got.Bytes(), nil
		}
		if err != nil {
			return got.Bytes(), err
		}
	}
}
