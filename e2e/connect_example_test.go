package e2e_test

import (
	"bufio"
	"net"
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
	cmd := exec.Command(filepath.Join("..", "examples", "connect", "standin"))
	cmd.Env = append(os.Environ(), "PAGE="+b.site, "S3="+freePort(t, "127.0.0.1"), "STS="+freePort(t, "127.0.0.1"), "CGO_ENABLED=0", "GOFLAGS=")
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
	_, key, _ := strings.Cut(said("KEY="), "KEY=")
	key, _, _ = strings.Cut(key, " ")
	said("with the External ID by AKIASTANDINBROKER000: granted: ASIA")
	said("with another External ID by")
	said("without External ID by")
	succeeded := said(`"event":"verification_succeeded"`)
	_, id, _ := strings.Cut(succeeded, `"connection":"`)
	id, _, _ = strings.Cut(id, `"`)

	b.do("GET", "/connections/"+id, "", "Authorization: Bearer "+key).expect(t, "the connection", 200, role)
	for target, answer := range map[string]string{"/demo/hello.txt": "hello from the customer's bucket", "/demo?list-type=2": "<Key>hello.txt</Key>"} {
		b.do("GET", "/proxy"+target, "", "Authorization: Bearer "+key, "Provider-Config-Key: acme-s3", "Connection-Id: "+id).
			expect(t, "a call with the connection "+id, 200, answer)
	}
}

// TestConnectExampleOfTakenPorts runs it where something else listens already. Nothing is built for that.
func TestConnectExampleOfTakenPorts(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		absent.Skip(t, "bash", "apt-get install bash")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for _, name := range []string{"PAGE", "S3", "STS"} {
		env := []string{"PATH=" + os.Getenv("PATH")}
		for _, other := range []string{"PAGE", "S3", "STS"} {
			env = append(env, other+"="+freePort(t, "localhost"))
		}
		cmd := exec.CommandContext(t.Context(), filepath.Join("..", "examples", "connect", "standin"))
		cmd.Env = append(env, name+"="+l.Addr().String())
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "something listens at "+l.Addr().String()+" already: end it, or choose other addresses") {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
}
