package web

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestContrast: in both themes text and what marks a control differ enough from what is behind them, by
// WCAG 2.2: 4.5 to 1 for text (1.4.3), 3 to 1 for edges (1.4.11).
func TestContrast(t *testing.T) {
	css := read(t, "assets/style.css")
	light, dark, both := strings.Cut(css, "@media screen and (prefers-color-scheme: dark)")
	if !both {
		t.Fatal("there is no dark theme")
	}
	variable := regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`)
	colors := map[string]string{}
	for _, theme := range []struct{ name, css string }{{"light", light}, {"dark", dark}} {
		for _, m := range variable.FindAllStringSubmatch(theme.css, -1) {
			colors[m[1]] = m[2]
		}
		for _, pair := range []struct {
			over, under string
			least       float64
		}{
			{"text", "page", 4.5},
			{"text", "paper", 4.5},
			{"text", "sunk", 4.5},
			{"text", "note-paper", 4.5},
			{"text", "bad-paper", 4.5},
			{"text", "good-paper", 4.5},
			{"quiet", "page", 4.5},
			{"quiet", "paper", 4.5},
			{"quiet", "sunk", 4.5},
			{"quiet", "bad-paper", 4.5},
			{"link", "page", 4.5},
			{"link", "paper", 4.5},
			{"link", "bad-paper", 4.5},
			{"bad", "paper", 4.5},
			{"bad", "bad-paper", 4.5},
			{"good", "paper", 4.5},
			{"good", "good-paper", 4.5},
			{"button-text", "button", 4.5},
			{"button", "paper", 3},
			{"edge", "paper", 3},
			{"edge", "sunk", 3},
			{"bad", "page", 3},
			{"note-edge", "note-paper", 3},
		} {
			if got := contrast(t, colors[pair.over], colors[pair.under]); got < pair.least {
				t.Errorf("%s: %s on %s has %.2f to 1, less than %.1f", theme.name, pair.over, pair.under, got, pair.least)
			}
		}
	}
}

// contrast is the ratio of WCAG 2.2.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	luminance := func(color string) float64 {
		n, err := strconv.ParseUint(strings.TrimPrefix(color, "#"), 16, 32)
		if err != nil {
			t.Fatalf("color %q: %v", color, err)
		}
		linear := func(c uint64) float64 {
			v := float64(c&0xff) / 255
			if v <= 0.04045 {
				return v / 12.92
			}
			return math.Pow((v+0.055)/1.055, 2.4)
		}
		return 0.2126*linear(n>>16) + 0.7152*linear(n>>8) + 0.0722*linear(n)
	}
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// TestNothingFromElsewhere: neither style nor script reaches for anything, and pages hold no script or
// style of their own, which the policy would refuse.
func TestNothingFromElsewhere(t *testing.T) {
	for _, name := range []string{"assets/style.css", "assets/page.js", "assets/embed.js"} {
		if text := read(t, name); strings.Contains(text, "://") || strings.Contains(text, "@import") || strings.Contains(text, "innerHTML") || strings.Contains(text, "eval(") {
			t.Errorf("%s reaches for something", name)
		}
	}
	inline := regexp.MustCompile(`(?i)<style|<script>| on[a-z]+=| style=|javascript:`)
	for _, name := range glob(t, "pages/*.html") {
		if m := inline.FindString(read(t, name)); m != "" {
			t.Errorf("%s has %q", name, m)
		}
	}
}
