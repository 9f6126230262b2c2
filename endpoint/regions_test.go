package endpoint

import "testing"

// TestRegions: each known region has the form of its partition's, and the defaults of all partitions are known.
func TestRegions(t *testing.T) {
	for _, r := range regions {
		if _, ok := PartitionOf(r); !ok || !KnownRegion(r) || NearRegion(r) != r {
			t.Errorf("%s: %t, near %q", r, ok, NearRegion(r))
		}
	}
	for _, p := range Partitions() {
		if !KnownRegion(p.DefaultRegion) {
			t.Errorf("%s is not known", p.DefaultRegion)
		}
	}
	for slip, want := range map[string]string{
		"eu-centrel-1": "eu-central-1", "us-eats-1": "us-east-1", "eu-west1": "eu-west-1", "ap-northest-2": "ap-northeast-2", "af-northwest-1": "", "": "", "us-nowhere-1": "",
	} {
		if got := NearRegion(slip); got != want || KnownRegion(slip) {
			t.Errorf("%s is near %q, want %q", slip, got, want)
		}
	}
}
