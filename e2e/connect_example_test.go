package e2e_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
)

// TestConnectExample runs examples/connect/standin, connects the role that it names, and reads S3 as it says.
func TestConnectExample(t *testing.T) {
	for _, name := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(name); err != nil {
			absent.Skip(t, name, "clients/install installs it")
		}
	}
	b := &bed{t: t, dir: tempDir(t), site: freePort(t, "localhost")}
	files := freePort(t, "localhost")
	cmd := exec.Command(filepath.Join("..", "examples", "connect", "standin"))
	cmd.Env = append(os.Environ(), "PAGE="+b.site, "FILES="+files, "S3="+freePort(t, "127.0.0.1"), "STS="+freePort(t, "127.0.0.1"), "CGO_ENABLED=0", "GOFLAGS=")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// It ends what it started, so it is told to end and not killed.
	watchdog := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	t.Cleanup(func() {
		watchdog.Stop()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	lines := bufio.NewScanner(out)
	said := func(text string) string {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), text) {
				return strings.TrimSpace(lines.Text())
			}
		}
		t.Fatalf("it did not say %q", text)
		return ""
	}
	const role = "arn:aws:iam::123456789012:role/Proxy"
	said(role)
	c := b.follow(said("session_token="))
	c.load("").expect(t, "the page", 200, "Read one bucket", role, "9d6bd0e5-3f0c-4d7e-8b52-1f2f0c7f5a11")
	c.submit(role, "").expect(t, "the form", 303)
	c.wait("succeeded")
	_, key, _ := strings.Cut(said("Authorization: Bearer "), "Bearer ")
	key, _, _ = strings.Cut(key, "'")
	said("granted: ASIA")
	succeeded := said(`"event":"verification_succeeded"`)
	_, id, _ := strings.Cut(succeeded, `"connection":"`)
	id, _, _ = strings.Cut(id, `"`)

	for _, r := range []struct{ method, target, body, answer string }{
		{"PUT", "/demo/hello.txt", "hello", ""}, {"GET", "/demo/hello.txt", "", "hello"}, {"GET", "/demo?list-type=2", "", "<Key>hello.txt</Key>"},
	} {
		got, err := send(files, r.method, r.target, r.body)
		if err != nil {
			t.Fatal(err)
		}
		got.expect(t, r.method+" "+r.target, 200, r.answer)
	}
	b.do("GET", "/proxy/demo?list-type=2", "", "Authorization: Bearer "+key, "Provider-Config-Key: acme-s3", "Connection-Id: "+id).
		expect(t, "a call with the connection "+id, 200, "<Key>hello.txt</Key>")
}
