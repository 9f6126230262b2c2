package connect

import (
	"slices"
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	template := func(url string) Integration {
		return Integration{Templates: []Template{{ID: "t", URL: url}}}
	}
	for name, tt := range map[string]struct {
		integration Integration
		want        []string
	}{
		"nothing":               {Integration{}, nil},
		"a region":              {Integration{Region: "eu-central-1", Regions: []string{"eu-central-1", "us-gov-west-1", "eusc-de-east-1"}}, nil},
		"a slip":                {Integration{Region: "eu-centrel-1"}, []string{"region eu-centrel-1 is not known here: if it is not new, it is a slip; did you mean eu-central-1?"}},
		"a slip among others":   {Integration{Region: "eu-west-1", Regions: []string{"eu-west-1", "us-eats-1"}}, []string{"us-eats-1 is not known here: if it is not new, it is a slip; did you mean us-east-1?"}},
		"a new one":             {Integration{Region: "af-northwest-1"}, []string{"region af-northwest-1 is not known here: if it is not new, it is a slip"}},
		"a template in S3":      {template("https://bucket.s3.eu-west-1.amazonaws.com/t.json"), nil},
		"a template of a file":  {Integration{Templates: []Template{{ID: "t", File: "x"}}}, nil},
		"a template in a forge": {template("https://forge.example/raw/t.json"), []string{"template t has no Launch stack on the page, but the other ways: "}},
	} {
		got := tt.integration.Warnings()
		if !slices.EqualFunc(got, tt.want, strings.Contains) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
