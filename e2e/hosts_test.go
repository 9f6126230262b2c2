package e2e_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// namedHosts lets a Caddy of its own find S3 at its real names, so that a configuration runs as a user would write it:
// behind the proxy of HTTPS_PROXY, each of the hosts is the stand-in's S3, over TLS. It returns the environment to run with.
func (b *bed) namedHosts(t *testing.T, hosts ...string) []string {
	t.Helper()
	if runtime.GOOS != "linux" {
		absent.Skip(t, "Linux", "elsewhere Go may not read SSL_CERT_FILE")
	}
	cert, ca, _, err := wireverify.NewCertificate(hosts...)
	if err != nil {
		t.Fatal(err)
	}
	b.write("hosts.pem", ca)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				if err := tunnel(c, config, strings.TrimPrefix(b.S3(), "http://")); err != nil {
					t.Logf("the tunnel to S3: %v", err)
				}
			})
		}
	})
	return []string{"HTTPS_PROXY=http://" + l.Addr().String(), "NO_PROXY=127.0.0.1", "SSL_CERT_FILE=" + filepath.Join(b.dir, "hosts.pem")}
}

// tunnel answers a CONNECT, ends TLS itself, and passes everything on to an address.
func tunnel(c net.Conn, config *tls.Config, to string) error {
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return err
	}
	if req.Method != http.MethodConnect || !strings.HasSuffix(req.Host, ":443") {
		return fmt.Errorf("%s %s", req.Method, req.Host)
	}
	if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return err
	}
	s3, err := net.Dial("tcp", to)
	if err != nil {
		return err
	}
	defer s3.Close()
	inner := tls.Server(c, config)
	go func() {
		_, _ = io.Copy(s3, inner)
		_ = s3.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(inner, s3)
	return inner.Close()
}
