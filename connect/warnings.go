package connect

import (
	"fmt"
	"slices"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/quickcreate"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
)

// Warnings says what can be, and is likely not meant: regions that are not known here, and templates for
// which the page has no link into the console.
func (i *Integration) Warnings() []string {
	var all []string
	for _, r := range slices.Compact(append([]string{i.Region}, i.Regions...)) {
		if r == "" || endpoint.KnownRegion(r) {
			continue
		}
		meant := ""
		if near := endpoint.NearRegion(r); near != "" {
			meant = fmt.Sprintf("; did you mean %s?", near)
		}
		all = append(all, fmt.Sprintf("region %s is not known here: if it is not new, it is a slip%s", r, meant))
	}
	for _, t := range i.Templates {
		if t.URL == "" {
			continue
		}
		if _, err := quickcreate.ParseLocation(t.URL); err != nil {
			all = append(all, fmt.Sprintf("template %s has no Launch stack on the page, but the other ways: %v", t.ID, err))
		}
	}
	return all
}
