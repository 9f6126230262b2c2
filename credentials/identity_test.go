package credentials

import (
	"slices"
	"strings"
	"testing"
)

func TestRoles(t *testing.T) {
	s := newSTS(t, 0)
	got := s.role("c", s.role("b", s.identity("a"))).Roles()
	want := []string{"arn:aws:iam::123456789012:role/c", "arn:aws:iam::123456789012:role/b"}
	if !slices.Equal(got, want) || len(s.identity("a").Roles()) != 0 {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNewKey(t *testing.T) {
	seen := map[string][]string{}
	for _, parts := range [][]string{
		nil,
		{""},
		{"", ""},
		{"a"},
		{"a", ""},
		{"", "a"},
		{"ab"},
		{"a", "b"},
		{"a", "b", ""},
		{"b", "a"},
		{"a\x00b"},
		{"\x00\x00\x00\x00\x00\x00\x00\x01a"},
		{strings.Repeat("a", 300)},
	} {
		k := NewKey(parts...)
		if other, ok := seen[k]; ok {
			t.Errorf("%q and %q have one key", parts, other)
		}
		seen[k] = parts
		if k != NewKey(parts...) || len(k) != 64 {
			t.Errorf("%q: key %q", parts, k)
		}
	}
}

func TestSealed(t *testing.T) {
	if first, again := Sealed("a"), Sealed("a"); first != again || first == Sealed("b") || strings.Contains(Sealed("secret"), "secret") {
		t.Error("seals do not tell secrets apart, or tell them")
	}
	// SHA-256 of "a": a plain hash could be checked against guesses.
	if Sealed("a") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb" {
		t.Error("the seal has no key")
	}
}
