package integration_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// validate does what `caddy validate` does: it adapts a Caddyfile, and
// provisions and validates every module without starting anything.
func validate(t *testing.T, caddyfile string) error {
	t.Helper()
	config, err := adapt(caddyfile)
	if err != nil {
		return err
	}
	return validateJSON(t, config)
}

func validateJSON(t *testing.T, config []byte) error {
	t.Helper()
	var c caddy.Config
	if err := json.Unmarshal(forTest(t, config, filepath.Join(tempDir(t), "log"), "ERROR"), &c); err != nil {
		return err
	}
	return caddy.Validate(&c)
}
