package endpoint

import (
	"strings"
	"testing"
)

// TestRegionIsALabel: a region's name stands in host names, so it has 63 characters at most.
func TestRegionIsALabel(t *testing.T) {
	for n, want := range map[int]bool{62: true, 63: true, 64: false, 100_000: false} {
		region := "us-" + strings.Repeat("a", n-5) + "-1"
		if _, ok := PartitionOf(region); ok != want {
			t.Errorf("a name of %d characters is a region: %v", n, ok)
		}
	}
}
