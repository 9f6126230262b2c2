package awssigv4

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// TestHelperOptionsAreDocumented: each option of aws_sts_helper has a row in its document, and each row an option.
func TestHelperOptionsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("docs", "sts-helper.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, options, _ := strings.Cut(string(text), "## Options")
	options, _, _ = strings.Cut(options, "\n## ")
	documented := make(map[string]bool)
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)").FindAllStringSubmatch(options, -1) {
		documented[m[1]] = true
	}
	known := append([]string{"roles", "external_ids", "role", "external_id", "probe"}, helperOptions...)
	for _, option := range known {
		if !documented[option] {
			t.Errorf("%s is not documented", option)
		}
		delete(documented, option)
	}
	for option := range documented {
		t.Errorf("%s is documented and there is no such option", option)
	}
}

// TestHelperErrorsHaveTheirLine: mistakes in the block of a key are reported where they are.
func TestHelperErrorsHaveTheirLine(t *testing.T) {
	for text, line := range map[string]string{
		"aws_sts_helper {\napi_key a {env.A} {\nroles x\n}\n}":                                          ":3",
		"aws_sts_helper {\nduration 1h\napi_key a 1234567 {\n}\n}":                                      ":3",
		"aws_sts_helper {\nregion x\n}":                                                                 ":2",
		"aws_sts_helper {\napi_key a {env.A} {\nroles arn:aws:iam::*:role/a\n}\nregions eu-west-1 y\n}": ":5",
	} {
		err := new(STSHelper).UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
		if err == nil || !strings.HasSuffix(err.Error(), line) {
			t.Errorf("%s: got %v, want %s at its end", text, err, line)
		}
	}
}
