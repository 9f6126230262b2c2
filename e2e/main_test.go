// Package e2e_test puts a real Caddy with the plugin between real clients and servers that verify signatures.
package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-aws-sigv4/caddy-aws-sigv4"
)

// asCaddy is the environment variable that makes Caddy of this program, with the storages that are for tests.
const asCaddy = "E2E_AS_CADDY"

// TestMain keeps whatever this machine knows of AWS, and of other certificates, out of the tests.
func TestMain(m *testing.M) {
	if os.Getenv(asCaddy) != "" {
		caddycmd.Main()
		return
	}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "AWS_") || strings.HasSuffix(name, "_CA_BUNDLE") || name == "NODE_EXTRA_CA_CERTS" {
			os.Unsetenv(name)
		}
	}
	os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	os.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	os.Setenv("AWS_CONFIG_FILE", filepath.Join(os.DevNull, "none"))
	os.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(os.DevNull, "none"))
	code := m.Run()
	if built.path != "" {
		os.RemoveAll(filepath.Dir(built.path))
	}
	os.Exit(code)
}
