package endpoint

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sharedHosts finds the project's data set of AWS hosts, which lives beside
// the repository and isn't part of it.
func sharedHosts(t testing.TB, file string) [][]string {
	t.Helper()
	path := filepath.Join("..", "..", "shared", "data", "aws-hosts", file)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED, NOT PROVEN: %s is not beside this clone; only testdata/hosts.tsv was tested", path)
	}
	return readTSV(t, path)
}

func readTSV(t testing.TB, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows [][]string
	for s := bufio.NewScanner(f); s.Scan(); {
		if line := s.Text(); line != "" && line[0] != '#' {
			rows = append(rows, strings.Split(line, "\t"))
		}
	}
	return rows
}

// TestHostCases measures Parse against the hosts that botocore knows. Its
// classes of misses, each understood:
//
//   - artefact: where endpoints.json names no signing name, the data set fell
//     back to that file's own name for the service. For transcribestreaming it
//     is wrong: the Transcribe developer guide and aws-sdk-go-v2's service
//     module sign as transcribe. For api.tunneling.iot the data set itself has
//     the right name, IoTSecuredTunneling, in its rows from the rules.
//   - fallback: S3 on Outposts' rules list SigV4a first and then SigV4, which
//     every caller has; we answer SigV4 with the region of the host.
//   - accelerate: the region isn't in the name. We refuse, and say so.
//   - shared: Budgets and CloudFront have one host for two partitions, which no
//     function of the host gets right twice. We answer for the commercial one.
//   - signin: hosts under the domains of the sign-in pages, not of the API.
//   - test junk: localhost, made-up regions ("us-east.special", "api",
//     "sandbox"), and ramus-gov-east-1 without a dot.
//
// The first two are no misses of ours and count as right; all others count as
// wrong.
func TestHostCases(t *testing.T) {
	rows := sharedHosts(t, "host-cases.tsv")
	var strict, right, artefacts, fallbacks int
	misses := map[string]int{}
	for _, row := range rows {
		host, service, region, algorithm := row[0], row[1], row[2], row[3]
		got, err := Parse(host)
		algorithmOK := string(got.Algorithm) == strings.TrimSuffix(algorithm, "-s3express")
		switch {
		case err == nil && got.Service == service && got.Region == region && algorithmOK:
			strict++
		case err == nil && got.Region == region && (service == "transcribestreaming" && got.Service == "transcribe" ||
			strings.HasPrefix(host, "api.tunneling.iot-fips.") && service == strings.ToLower(got.Service)):
			artefacts++
		case err == nil && service == "s3-outposts" && got.Service == service && algorithm == "sigv4a" &&
			got.Algorithm == SigV4 && strings.Contains(host, "."+got.Region+"."):
			fallbacks++
		default:
			misses[missClass(host, service)]++
			t.Logf("miss (%s): %s: want %s %s %s, got %s %s %s, %v", missClass(host, service), host, service, region, algorithm, got.Service, got.Region, got.Algorithm, err)
			continue
		}
		right++
	}
	share := float64(right) / float64(len(rows))
	t.Logf("%d of %d right (%.2f %%): %d as the row says, %d artefacts of the data set, %d by SigV4 where SigV4a is listed first; misses: %v",
		right, len(rows), 100*share, strict, artefacts, fallbacks, misses)
	if share < 0.995 {
		t.Errorf("%.2f %% right, want 99.5 %%", 100*share)
	}
	if misses["?"] > 0 {
		t.Errorf("%d misses of no known class", misses["?"])
	}
}

func missClass(host, service string) string {
	switch {
	case strings.Contains(host, ".s3-accelerate."):
		return "accelerate"
	case service == "budgets" || service == "cloudfront":
		return "shared"
	case service == "signin":
		return "signin"
	case host == "localhost:8000", strings.Contains(host, ".special."), strings.HasPrefix(host, "quicksight.api."),
		strings.HasPrefix(host, "mturk-requester-sandbox."), strings.HasPrefix(host, "ramus-gov-"):
		return "test junk"
	}
	return "?"
}

// TestOwnHostCases is the twin that always runs: all of it has to be right.
func TestOwnHostCases(t *testing.T) {
	rows := readTSV(t, filepath.Join("testdata", "hosts.tsv"))
	if len(rows) < 150 {
		t.Fatalf("%d cases, want at least 150", len(rows))
	}
	for _, row := range rows {
		got, err := Parse(row[0])
		if row[1] == "-" {
			if err == nil {
				t.Errorf("Parse(%q) = %+v, want an error", row[0], got)
			}
			continue
		}
		if err != nil {
			t.Errorf("Parse(%q): %v", row[0], err)
			continue
		}
		if got.Service != row[1] || got.Region != row[2] || string(got.Algorithm) != row[3] || got.Partition != row[4] {
			t.Errorf("Parse(%q) = %s %s %s %s, want %s", row[0], got.Service, got.Region, got.Algorithm, got.Partition, strings.Join(row[1:], " "))
		}
	}
}

// TestSigningNames compares the table with botocore's prefixes: in a regional
// host, with and without FIPS, each must sign by its name.
func TestSigningNames(t *testing.T) {
	want := map[string]string{}
	for _, row := range sharedHosts(t, "signing-names.tsv") {
		if strings.Contains(row[2], "sigv4a") || row[0] == "s3-external-1" {
			continue // never before a region: in testdata/hosts.tsv
		}
		want[row[0]] = row[1] // a later row corrects an earlier one: importexport
	}
	for prefix, service := range want {
		head, last := cutLast(prefix)
		if head != "" {
			head += "."
		}
		for _, host := range []string{
			prefix + ".eu-west-1.amazonaws.com",
			prefix + "-fips.us-gov-west-1.api.aws",
			head + "fips." + last + ".eu-west-1.amazonaws.com",
			"fips." + prefix + ".eu-west-1.amazonaws.com",
			"210987654321." + prefix + ".eu-west-1.amazonaws.com",
		} {
			if prefix == "iot" && strings.HasPrefix(host, "2") {
				continue // anything before iot is the data plane
			}
			if got, err := Parse(host); err != nil || got.Service != service {
				t.Errorf("missing from the table: %q signs as %s, but Parse(%q) = %s, %v", prefix, service, host, got.Service, err)
			}
		}
	}
	t.Logf("%d prefixes agree with %d entries", len(want), len(prefixes)+len(families)+len(under)+len(dataPlanes)+len(regionless)+len(globals))
}

// TestTableHoldsNoMoreThanNeeded: an entry that says what the rules say anyway
// is dead weight.
func TestTableHoldsNoMoreThanNeeded(t *testing.T) {
	for key, e := range prefixes {
		if _, last := cutLast(key); e.service == last && !e.regionSet {
			_, shorter, _ := strings.Cut(key, ".")
			if _, overridden := lookup(shorter); !overridden {
				t.Errorf("prefixes[%q] says what the last-label rule says", key)
			}
		}
	}
	for key, e := range dataPlanes {
		if e.service == key {
			t.Errorf("dataPlanes[%q] says what the last-label rule says", key)
		}
	}
}
