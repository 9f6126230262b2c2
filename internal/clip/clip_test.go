package clip

import (
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	long := strings.Repeat("a", most-1)
	for s, want := range map[string]string{
		"":             "",
		long + "b":     long + "b",
		long + "bc":    long + "b…",
		long + "ü":     long + "…",
		long + "b\xff": long + "b…",
	} {
		if got := Text(s); got != want {
			t.Errorf("%q is %q, want %q", s, got, want)
		}
	}
}
