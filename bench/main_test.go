package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-aws-sigv4/caddy-aws-sigv4"
	_ "github.com/caddy-aws-sigv4/caddy-aws-sigv4/bench/constant"
)

// TestMain makes the test's own binary the upstream and Caddy as well, so that
// the tests needn't build another one.
func TestMain(m *testing.M) {
	switch {
	case isUpstream():
		os.Exit(serveUpstream(os.Stdin, os.Stdout))
	case os.Getenv(roleVariable) == "caddy":
		caddycmd.Main()
		return
	}
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			os.Unsetenv(name)
		}
	}
	for _, v := range signingEnvironment(filepath.Join(os.TempDir(), "aws-sigv4-bench")) {
		name, value, _ := strings.Cut(v, "=")
		os.Setenv(name, value)
	}
	os.Exit(m.Run())
}
