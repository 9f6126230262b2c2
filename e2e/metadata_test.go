package e2e_test

import (
	"strings"
	"testing"
)

// TestMetadataWithUnderscores puts metadata whose names hold what Caddy drops from requests by default, since backends of
// other kinds take _ and . for -. An operator has to name what S3 is to get.
func TestMetadataWithUnderscores(t *testing.T) {
	for name, expected := range map[string]string{
		"by default": "",
		"named":      "servers {\nexpected_underscore_headers X-Amz-Meta-My_*\nexpected_dot_headers X-Amz-Meta-My.*\n}\n",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.runCaddy("{\n" + expected + strings.TrimPrefix(sites(styles["short form"]), "{\n"))
			b.do("PUT", "/bucket/k", "hello", "x-amz-meta-my_key: 1", "x-amz-meta-my.key: 2").expect(t, "put", 200)
			r := b.do("GET", "/bucket/k", "")
			for _, line := range []string{"\r\nx-amz-meta-my_key: 1", "\r\nx-amz-meta-my.key: 2"} {
				if strings.Contains(r.head, line) != (expected != "") {
					t.Errorf("answered\n%s", r.head)
				}
			}
		})
	}
}
