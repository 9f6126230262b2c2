package endpoint

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestCheckRegion(t *testing.T) {
	for _, region := range []string{
		"us-east-1", "ap-southeast-7", "mx-central-1", "cn-northwest-1", "us-gov-east-1", "us-iso-west-1",
		"us-isob-west-1", "eu-isoe-west-1", "us-isof-south-1", "eusc-de-east-1", "eu-north-12", "us-west-004",
		"auto", "garage", "default",
	} {
		if err := CheckRegion(region); err != nil {
			t.Errorf("CheckRegion(%q): %v", region, err)
		}
	}
	for region, want := range map[string]string{
		"":                       "the region is empty: write its code, for example `us-east-1`",
		"*":                      "write one region",
		"us-east-1a":             "\"us-east-1a\" is no AWS region: write `us-east-1`",
		"us-west-2-lax-1a":       "write `us-west-2`",
		"us-east-1-wl1-bos":      "write `us-east-1`",
		"US-EAST-1":              "write `us-east-1`",
		" us-east-1":             "write `us-east-1`",
		"us_east_1":              "write `us-east-1`",
		"fips-us-east-1":         "write `us-east-1`",
		"us-gov-west-1-fips":     "write `us-gov-west-1`",
		"aws-global":             "write `us-east-1`",
		"aws-cn-global":          "write `cn-northwest-1`",
		"aws-us-gov-global":      "write `us-gov-west-1`",
		"mars-global":            "write its code",
		"us-east":                "write its code",
		"useast1":                "write its code",
		"us-east-":               "write its code",
		"-east-1":                "write its code",
		"us--1":                  "write its code",
		"us-east-1.evil":         "write its code",
		"us-gov-1":               "", // the form of a commercial region, as in AWS's own pattern
		"US East (Ohio)":         "write its code",
		"us-east-1/s3":           "write its code",
		"mars-north-1":           "write its code",
		"eusc-fr-east-1":         "write its code",
		"€u-west-1":              "write its code",
		strings.Repeat("x", 500): "...\" is no AWS region",
	} {
		err := CheckRegion(region)
		if want == "" {
			if err != nil {
				t.Errorf("CheckRegion(%q): %v", region, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 300 {
			t.Errorf("CheckRegion(%q) = %v, want %q", region, err, want)
		}
	}
}

// TestPartitions compares with AWS's own partitions.json: IDs, suffixes,
// default regions, and which names its patterns take as regions.
func TestPartitions(t *testing.T) {
	path := filepath.Join("..", "..", "shared", "data", "aws-hosts", "partitions.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("SKIPPED, NOT PROVEN: %s is not beside this clone", path)
	}
	var file struct {
		Partitions []struct {
			ID          string `json:"id"`
			RegionRegex string `json:"regionRegex"`
			Outputs     struct {
				DNSSuffix            string `json:"dnsSuffix"`
				DualStackDNSSuffix   string `json:"dualStackDnsSuffix"`
				ImplicitGlobalRegion string `json:"implicitGlobalRegion"`
			} `json:"outputs"`
			Regions map[string]any `json:"regions"`
		} `json:"partitions"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	ours := map[string]Partition{}
	for _, p := range Partitions() {
		ours[p.ID] = p
	}
	if len(ours) != len(file.Partitions) {
		t.Errorf("%d partitions, want %d", len(ours), len(file.Partitions))
	}
	regions := 0
	for _, p := range file.Partitions {
		want := Partition{p.ID, p.Outputs.DNSSuffix, p.Outputs.DualStackDNSSuffix, p.Outputs.ImplicitGlobalRegion}
		if ours[p.ID] != want {
			t.Errorf("partition %+v, want %+v", ours[p.ID], want)
		}
		pattern := regexp.MustCompile(p.RegionRegex)
		for region := range p.Regions {
			got, ok := PartitionOf(region)
			if strings.HasSuffix(region, "-global") {
				if ok || CheckRegion(region) == nil {
					t.Errorf("%s taken as a region", region)
				}
				continue
			}
			if !ok || got.ID != p.ID || !pattern.MatchString(region) || CheckRegion(region) != nil {
				t.Errorf("PartitionOf(%q) = %+v, %v; want %s", region, got, ok, p.ID)
			}
			regions++
		}
	}
	t.Logf("%d regions of %d partitions", regions, len(file.Partitions))
}

// TestPartitionsAreTheCallers: changing the answer changes nothing here.
func TestPartitionsAreTheCallers(t *testing.T) {
	Partitions()[0].Suffix = "example.com"
	if p, _ := PartitionOf("us-east-1"); p.Suffix != "amazonaws.com" {
		t.Errorf("suffix is now %q", p.Suffix)
	}
}

func TestCheckService(t *testing.T) {
	for _, name := range []string{
		"s3", "s3express", "s3-object-lambda", "execute-api", "es", "aoss", "rds", "neptune-db", "iot", "iotdata", "iotdevicegateway",
		"IoTSecuredTunneling", "IngestionService", "a4b", "m2", "vpc-lattice-svcs", "bedrock-mantle", "aws-marketplace", "sts", "kinesis", "omics", "chime",
		"some-new-service", "service.v2", strings.Repeat("x", 64),
	} {
		if err := CheckService(name); err != nil {
			t.Errorf("CheckService(%q): %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"":                      "the service is empty: write its signing name, for example `s3`",
		"bedrock-runtime":       "\"bedrock-runtime\" is no signing name: write `bedrock`",
		"bedrock-runtime-fips":  "write `bedrock`",
		"kms-fips":              "write `kms`",
		"email":                 "write `ses`",
		"sesv2":                 "write `ses`",
		"opensearch":            "write `es` or, for OpenSearch Serverless, `aoss`",
		"elasticsearch":         "write `es`",
		"lambda-url":            "write `lambda`",
		"cloudwatch":            "write `monitoring`",
		"api-gateway":           "write `execute-api` for a deployed API or `apigateway`",
		"S3":                    "write `s3`",
		"DynamoDB":              "write `dynamodb`",
		"Cloudwatch":            "write `monitoring`",
		"iotsecuredtunneling":   "write `IoTSecuredTunneling`",
		"IOTSecuredTunneling":   "write `IoTSecuredTunneling`",
		"meetings-chime":        "write `chime`",
		"api.tunneling.iot":     "write `IoTSecuredTunneling`",
		"neptune":               "write `neptune-db` for its data or `rds`",
		"s3 ":                   "write 1 to 64 letters",
		"s3/aws4_request":       "write 1 to 64 letters",
		"-s3":                   "write 1 to 64 letters",
		"s3.":                   "write 1 to 64 letters",
		"s_3":                   "write 1 to 64 letters",
		"ès":                    "write 1 to 64 letters",
		strings.Repeat("x", 65): "write 1 to 64 letters",
	} {
		if err := CheckService(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("CheckService(%q) = %v, want %q", name, err, want)
		}
	}
}

// TestCheckServiceTakesEverySigningName: no real one is refused, and each
// beginning of a host that isn't one is named for what it is.
func TestCheckServiceTakesEverySigningName(t *testing.T) {
	rows := sharedHosts(t, "signing-names.tsv")
	names := map[string]bool{}
	for _, row := range rows {
		if row[1] != "importexport" { // its rows from the rules say IngestionService
			names[row[1]] = true
		}
	}
	for name := range names {
		if err := CheckService(name); err != nil {
			t.Errorf("CheckService(%q): %v", name, err)
		}
	}
	for _, row := range rows {
		prefix, name := row[0], row[1]
		if names[prefix] || strings.Contains(prefix, ".") || strings.HasPrefix(prefix, "s3-external") || prefix == "importexport" {
			continue
		}
		if err := CheckService(prefix); err == nil || !strings.Contains(err.Error(), "`"+name+"`") {
			t.Errorf("CheckService(%q) = %v, want it to name %s", prefix, err, name)
		}
	}
}
