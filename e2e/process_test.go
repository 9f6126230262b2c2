package e2e_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
)

// process is Caddy with the plugin in a process of its own, as its users have it: what it takes of the machine can be
// measured there, and it can be killed.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	ended chan struct{} // closed once it has ended
}

// built is the program that tests share. Without the race detector, which multiplies memory, whatever the tests have.
var built struct {
	sync.Once
	path string
	err  error
}

// caddyProgram compiles Caddy with the plugin.
func caddyProgram(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		var dir string
		if dir, built.err = os.MkdirTemp("", "caddy-e2e-"); built.err != nil {
			return
		}
		built.path = filepath.Join(dir, "caddy")
		cmd := exec.Command("go", "build", "-o", built.path, "./cmd/caddy")
		cmd.Dir, cmd.Env = "..", append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("compiling Caddy: %w: %s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// startProcess runs a Caddyfile, with the words that runCaddy knows, in a process of its own until the test ends. Its
// environment holds nothing of AWS but what is given, as NAME=VALUE.
func (b *bed) startProcess(t *testing.T, caddyfile string, environment ...string) *process {
	t.Helper()
	b.log = filepath.Join(b.dir, "caddy.log")
	b.site, b.tlsSite = freePort(t, "127.0.0.1"), freePort(t, "localhost")
	config, err := b.adapt(caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	b.write("caddy.json", config)
	p := &process{t: t, ended: make(chan struct{})}
	p.cmd = exec.Command(caddyProgram(t), "run", "--config", filepath.Join(b.dir, "caddy.json"))
	p.cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+b.dir, "XDG_CONFIG_HOME="+b.dir, "AWS_ENDPOINT_URL_STS="+b.STS(), "AWS_REGION="+b.Region())
	p.cmd.Env = append(p.cmd.Env, environment...)
	var output bytes.Buffer
	p.cmd.Stdout, p.cmd.Stderr = &output, &output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // However it ends, its output tells why.
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.kill()
		if log, _ := os.ReadFile(b.log); t.Failed() || strings.Contains(string(log), "panic") {
			t.Logf("Caddy's output:\n%.20000s\nand log:\n%.20000s", output.String(), log)
		}
	})
	waitFor(t, patience, "Caddy to listen", func() bool {
		select {
		case <-p.ended:
			t.Fatalf("Caddy ended at once:\n%s", output.String())
		default:
		}
		c, err := net.Dial("tcp", b.site)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return p
}

// kill ends the process as kill -9 does: it gets to do nothing more.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// needProc skips a test where the system does not tell about processes as Linux does.
func needProc(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		absent.Skip(t, "/proc", "Linux has it, and tells there what a process has in memory and open")
	}
}

// memory returns how much of the process is in memory, in bytes, and how much it was at most: VmRSS and VmHWM of
// proc_pid_status(5).
func (p *process) memory() (now, peak int64) {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			now = kilobytes << 10
		case "VmHWM":
			peak = kilobytes << 10
		}
	}
	if now == 0 || peak == 0 {
		p.t.Fatalf("no memory in\n%s", status)
	}
	return now, peak
}

// spooled returns the files that a process has open for request bodies.
func spooled(pid int) []os.FileInfo {
	var files []os.FileInfo
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, link := range links {
		if to, err := os.Readlink(link); err != nil || !strings.Contains(to, ".body") {
			continue
		}
		if info, err := os.Stat(link); err == nil {
			files = append(files, info)
		}
	}
	return files
}

// watchSpool watches the files for request bodies from now on. What it returns ends that, and tells whether one of them had
// size bytes.
func (p *process) watchSpool(size int64) (end func() bool) {
	stop, seen := make(chan struct{}), make(chan bool)
	go func() {
		found := false
		for {
			for _, f := range spooled(p.cmd.Process.Pid) {
				found = found || f.Size() == size
			}
			select {
			case <-stop:
				seen <- found
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() bool {
		close(stop)
		return <-seen
	}
}

// mebi is a MiB, in bytes.
const mebi = 1 << 20

// waitSpooled waits until a process holds so many bytes of a request body in a file.
func waitSpooled(t *testing.T, pid int, size int64) os.FileInfo {
	t.Helper()
	var found os.FileInfo
	waitFor(t, patience, "a body in a file", func() bool {
		for _, f := range spooled(pid) {
			if f.Size() == size {
				found = f
			}
		}
		return found != nil
	})
	return found
}
