package awssigv4

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

func TestTheSpoolIsConfigured(t *testing.T) {
	v, err := parseGlobalOption(caddyfile.NewTestDispenser("aws_sigv4 {\nspool_dir /var/tmp\nspool_limit 2GiB\n}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var app App
	if err := json.Unmarshal(v.(httpcaddyfile.App).Value, &app); err != nil {
		t.Fatal(err)
	}
	if app.SpoolDir != "/var/tmp" || app.SpoolLimit != 2<<30 {
		t.Errorf("got %q, %d", app.SpoolDir, app.SpoolLimit)
	}
	for text, want := range map[string]string{
		"aws_sigv4 {\nspool_limit much\n}":                "is not a size",
		"aws_sigv4 {\nspool_dir\n}":                       "spool_dir has no value",
		"aws_sigv4 {\nspool_dir /a\nspool_dir /b\n}":      "spool_dir is given twice",
		"aws_sigv4 {\nspool_size 1GiB\n}":                 "unknown option \"spool_size\"",
		"aws_sigv4 {\nspool_limit 1GiB\n; spool_dir /\n}": "does not separate options",
	} {
		if _, err := parseGlobalOption(caddyfile.NewTestDispenser(text), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", text, err, want)
		}
	}
	ctx, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}})
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]string{
		`{"spool_limit": -1}`:                     "spool_limit: -1 is negative",
		`{"spool_dir": "{env.NOT_SET_ANYWHERE}"}`: "spool_dir: ",
	} {
		if _, err := ctx.LoadModuleByID("aws_sigv4", json.RawMessage(raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", raw, err, want)
		}
	}
}
