package endpoint

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParse: no panic; the same answer twice; a success is complete, is under
// a suffix of AWS and would pass the checks of configured values; a refusal is
// an *Error of one printable line that says what to write.
func FuzzParse(f *testing.F) {
	for _, row := range readTSV(f, filepath.Join("testdata", "hosts.tsv")) {
		f.Add(row[0])
	}
	f.Fuzz(func(t *testing.T, host string) {
		got, err := Parse(host)
		again, errAgain := Parse(host)
		if got != again || (err == nil) != (errAgain == nil) || err != nil && err.Error() != errAgain.Error() {
			t.Fatalf("Parse(%q) answers %+v, %v and then %+v, %v", host, got, err, again, errAgain)
		}
		if err != nil {
			checkRefusal(t, host, got, err)
			return
		}
		if got.Service == "" || got.Region == "" || got.Partition == "" || got.Algorithm == "" || got.PathRule == "" || got.PayloadRule == "" || got.Reason == "" {
			t.Fatalf("Parse(%q) = %+v, incomplete", host, got)
		}
		if (got.Region == anyRegion) != (got.Algorithm == SigV4a) {
			t.Fatalf("Parse(%q) = %+v", host, got)
		}
		if p, ok := PartitionOf(got.Region); got.Region != anyRegion && (!ok || p.ID != got.Partition) {
			t.Fatalf("Parse(%q): region %s is not of partition %s", host, got.Region, got.Partition)
		}
		name, _, _ := strings.Cut(strings.ToLower(host), ":")
		name = "." + strings.TrimSuffix(name, ".")
		under := false
		for _, s := range suffixes {
			under = under || strings.HasSuffix(name, "."+s.domain)
		}
		if !under {
			t.Fatalf("Parse(%q) = %+v, under no suffix of AWS", host, got)
		}
		for _, variant := range []string{strings.ToUpper(host), strings.Split(host, ":")[0], strings.TrimSuffix(strings.Split(host, ":")[0], ".") + ".:8443"} {
			if same, err := Parse(variant); err != nil || same != got {
				t.Fatalf("Parse(%q) = %+v, but Parse(%q) = %+v, %v", host, got, variant, same, err)
			}
		}
	})
}

func checkRefusal(t *testing.T, host string, got Endpoint, err error) {
	t.Helper()
	var refusal *Error
	if got != (Endpoint{}) || !errors.As(err, &refusal) || refusal.Problem == "" || !strings.Contains(refusal.Fix, "write ") {
		t.Fatalf("Parse(%q) = %+v, %v", host, got, err)
	}
	for _, c := range []byte(err.Error()) {
		if c < ' ' || c >= 0x7f {
			t.Fatalf("Parse(%q): unprintable error %q", host, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{"us-east-1", "us-east-1a", "fips-us-east-1", "aws-cn-global", "s3", "S3", "bedrock-runtime", "a.b-fips", "-", "kms-fips"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, err := range []error{CheckRegion(s), CheckService(s)} {
			if err != nil && (len(err.Error()) > 500 || strings.ContainsAny(err.Error(), "\n\x00")) {
				t.Fatalf("%q: unreadable error %q", s, err)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for name, host := range map[string]string{
		"regional":  "photos.s3.eu-west-1.amazonaws.com",
		"table":     "bedrock-runtime.us-east-1.amazonaws.com:443",
		"fips":      "bedrock-runtime-fips.us-east-1.amazonaws.com",
		"dataplane": "search-products-abcdefghijklmnopqrstuvwxyz.eu-west-1.es.amazonaws.com",
		"global":    "iam.amazonaws.com",
		"vpce":      "vpce-0a1b2c3d-4e5f6a7b.kms.eu-west-1.vpce.amazonaws.com",
		"upper":     "Photos.s3.eu-west-1.amazonaws.com",
		"refused":   "storage.example.com",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = Parse(host)
			}
		})
	}
}
