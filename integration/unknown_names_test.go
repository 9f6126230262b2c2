package integration_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// TestUnknownNamesHaveTheirLine: it is the option's own, and not that of the block's end.
func TestUnknownNamesHaveTheirLine(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		line int
	}{
		"short form": {"http://x {\naws_sigv4 https://b.s3.eu-west-1.amazonaws.com {\ncredentials nobody\npayload signed\n}\n}\n", 3},
		"upstream":   {"http://x {\naws_sigv4 https://b.s3.eu-west-1.amazonaws.com {\nupstream x.example {\nservice s3\ncredentials nobody\n}\n}\n}\n", 5},
		"handler":    {"http://x {\nroute {\naws_sigv4 {\nservice s3\ncredentials nobody\nregion eu-west-1\n}\n}\n}\n", 5},
		"helper":     {"http://x {\naws_sts_helper {\ncredentials nobody\napi_key a acme-0123456789abcdef {\nroles arn:aws:iam::*:role/*\n}\n}\n}\n", 3},
		"from":       {"{\naws_sigv4 {\ncredentials a assume_role " + arn("A") + " {\nfrom default\n}\ncredentials b assume_role " + arn("B") + " {\nduration 1h\nfrom nobody\ntag a b\n}\n}\n}\n", 8},
	} {
		_, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(tc.text), map[string]any{"filename": "Caddyfile"})
		if err == nil || !strings.Contains(err.Error(), `no credentials named "nobody"`) || !strings.Contains(err.Error()+",", fmt.Sprintf("at Caddyfile:%d,", tc.line)) {
			t.Errorf("%s: got %v, want line %d", name, err, tc.line)
		}
	}
}
