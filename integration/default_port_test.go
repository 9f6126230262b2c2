package integration_test

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"testing"
)

// TestDefaultPortIsNeitherSignedNorSent dials a real port 443 and 80: left to
// itself, Caddy sends `Host: name:443`.
func TestDefaultPortIsNeitherSignedNorSent(t *testing.T) {
	for _, tt := range []struct {
		scheme, port string
		config       *tls.Config
	}{
		{"https://", "443", &tls.Config{Certificates: []tls.Certificate{certificate(t).cert}}},
		{"http://", "80", nil},
	} {
		// Addresses of their own, where nobody else listens.
		for _, address := range []string{"127.0.5.9", "[::1]"} {
			for style, configure := range styles {
				t.Run(tt.scheme+address+" "+style, func(t *testing.T) {
					probe, err := net.Listen("tcp", address+":"+tt.port)
					if errors.Is(err, fs.ErrPermission) {
						t.Skipf("SKIPPED: this user can't listen on port %s; the rest of TestScenarios runs with other ports", tt.port)
					} else if err != nil {
						t.Skipf("SKIPPED: port %s of %s is not free here: %v", tt.port, address, err)
					}
					probe.Close()
					up := listenEndpoint(t, address+":"+tt.port, tt.config, newKeyring(), nil)
					up.host = address
					set := setup{options: signFor("s3"), host: address}
					if tt.config != nil {
						set.http = "tls_insecure_skip_verify"
					}
					s := startCaddy(t, configure(tt.scheme+address+":"+tt.port, set))
					s.get("/a").expect(t, 200)
					up.all(1)
				})
			}
		}
	}
}
