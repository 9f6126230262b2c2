package sts

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func TestMatchRole(t *testing.T) {
	const role = "arn:aws:iam::123456789012:role/team/acme-reader"
	for _, tc := range []struct {
		pattern, arn string
		want         bool
	}{
		{role, role, true},
		{"arn:aws:iam::123456789012:role/team/*", role, true},
		{"arn:aws:iam::123456789012:role/*/acme-*", role, true},
		{"arn:aws:iam::*:role/team/acme-*", role, true},
		{"arn:*:iam::*:role/*/*", role, true},
		{"arn:aws:iam::123456789???:role/team/acme-reade?", role, true},
		{"arn:aws:iam::123456789012:role/t**m/*r*e*", role, true},
		{"arn:aws:iam::123456789012:role/team/acme-reader*", role, true},
		{"arn:aws*:iam::123456789012:role/team/acme-reader", role, true},

		// Neither a wildcard nor anything else crosses a slash or a colon.
		{"arn:aws:iam::123456789012:role/*", role, false},
		{"arn:aws:iam::123456789012:role/team*reader", role, false},
		{"arn:aws:iam::123456789012:role/team?acme-reader", role, false},
		{"arn:aws:iam::123456789012:role/*/*/*", role, false},
		{"arn:aws:iam::*", role, false},
		{"arn:aws:*:role/team/acme-reader", role, false},
		{"*", role, false},
		{"arn:*", role, false},
		{"arn:aws:iam:?:123456789012:role/team/acme-reader", role, false},
		{"arn:aws:iam::*:role/acme-*", "arn:aws:iam::123456789012:role/acme-x/Admin", false},
		{"arn:aws:iam::*:role/acme-*", "arn:aws:iam::123456789012:role/x/acme-Admin", false},
		{"arn:aws:iam::*:role/a*", "arn:aws:iam::123456789012:role/a:b/c", false},
		{"arn:aws:iam::*:role/*/c", "arn:aws:iam::123456789012:role/a:b/c", false},

		{"arn:aws:iam::123456789012:role/Team/acme-reader", role, false},
		{"arn:aws-cn:iam::*:role/team/acme-reader", role, false},
		{"arn:aws:iam::12345678901?:role/team/acme-reade", role, false},
		{"arn:aws:iam::123456789012:role/team/?acme-reader", role, false},
		{"", role, false},
		// What is no role is covered by nothing, not even by itself.
		{"arn:aws:iam::123456789012:user/x", "arn:aws:iam::123456789012:user/x", false},
		{"arn:*:*::*:role/*", "arn:aws:xyz::123456789012:role/P", false},
		{"arn:aws:iam::*:role/*", "arn:aws:iam::123:role/P", false},
		{"arn:aws:iam::*:role/*", "arn:aws:iam::123456789012:role/P\n", false},
		{"", "", false},
	} {
		if got := MatchRole(tc.pattern, tc.arn); got != tc.want {
			t.Errorf("%q covers %q: got %v, want %v", tc.pattern, tc.arn, got, tc.want)
		}
	}
}

func TestCheckRolePattern(t *testing.T) {
	for _, p := range []string{
		"arn:aws:iam::123456789012:role/P",
		"arn:*:iam::*:role/*",
		"arn:aws*:iam::*:role/*/*/acme-?",
		"arn:aws:iam::1234*:role/P",
		"arn:aws:iam::????????????:role/P",
		"arn:aws:iam::*012:role/" + strings.Repeat("n", 64) + "*",
	} {
		if err := CheckRolePattern(p); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
	for p, want := range map[string]string{
		"":                                     "does not have the form",
		"*":                                    "does not have the form",
		"arn:aws:iam::*":                       "does not have the form",
		"arn:aws:*:*:*:role/P":                 "does not have the form",
		"arn:aws:iam:*:123456789012:role/P":    "does not have the form",
		"a*:aws:iam::123456789012:role/P":      "does not have the form",
		"arn:azure:iam::123456789012:role/P":   `"azure" covers none of the partitions`,
		"arn:aws?:iam::123456789012:role/P":    `"aws?" covers none`,
		"arn:aws:iam::123:role/P":              "not 12 digits",
		"arn:aws:iam::123?:role/P":             "not 12 digits",
		"arn:aws:iam::123456789012*3:role/P":   "more than 12 digits",
		"arn:aws:iam::acme:role/P":             "more than digits",
		"arn:aws:iam::123456789012:user/*":     "go on with role/",
		"arn:aws:iam::123456789012:*":          "go on with role/",
		"arn:aws:iam::123456789012:role*":      "go on with role/",
		"arn:aws:iam::123456789012:role/":      "the name",
		"arn:aws:iam::123456789012:role/a[bc]": "the name",
		"arn:aws:iam::123456789012:role//P":    "single slashes",
		"arn:aws:iam::123456789012:role/a b/P": "the path",

		"arn:aws:iam::123456789012:role/" + strings.Repeat("n", 65):     "more than 64",
		"arn:aws:iam::123456789012:role/P" + strings.Repeat("/P", 1100): "more than 2048",
	} {
		err := CheckRolePattern(p)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "write arn:aws:iam::123456789012:role/NAME") {
			t.Errorf("%q: got %v, want %q and what to write", p, err, want)
		}
	}
}

// TestGlobAgreesWithRegexp tries all short patterns on all short texts.
func TestGlobAgreesWithRegexp(t *testing.T) {
	words := func(alphabet string, most int) []string {
		all := []string{""}
		for from := 0; most > 0; most-- {
			to := len(all)
			for _, w := range all[from:to] {
				for _, c := range alphabet {
					all = append(all, w+string(c))
				}
			}
			from = to
		}
		return all
	}
	texts := words("ab/:", 4)
	for _, p := range words("ab/*?", 5) {
		expr := strings.NewReplacer("*", "[^:/]*", "?", "[^:/]").Replace(p)
		re := regexp.MustCompile(fmt.Sprintf("^%s$", expr))
		for _, s := range texts {
			if got, want := glob(p, s), re.MatchString(s); got != want {
				t.Fatalf("glob(%q, %q) is %v, want %v", p, s, got, want)
			}
		}
	}
}

func BenchmarkMatchRole(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if !MatchRole("arn:aws:iam::*:role/acme-*", "arn:aws:iam::123456789012:role/acme-reader") {
			b.Fatal("no match")
		}
	}
}
