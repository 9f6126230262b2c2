package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-aws-sigv4/caddy-aws-sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
)

// TestWhatItPrintsWorks runs the program, gives the Caddyfile that it prints to Caddy, and sends what it says to curl.
func TestWhatItPrintsWorks(t *testing.T) {
	printed := start(t)
	_, rest, ok := strings.Cut(printed.until(t, "Interrupt to end."), strings.Repeat("-", 64)+"\n")
	caddyfile, rest, ok2 := strings.Cut(rest, strings.Repeat("-", 64)+"\n")
	if !ok || !ok2 {
		t.Fatalf("there is no Caddyfile:\n%s", rest)
	}
	for _, m := range regexp.MustCompile(`(AWS_\w+)=(\S+)`).FindAllStringSubmatch(rest, -1) {
		t.Setenv(m[1], m[2])
	}
	site := freePort(t)
	runCaddy(t, strings.ReplaceAll(strings.Replace(caddyfile, "{\n", "{\n\tadmin off\n", 1), "localhost:8081", site))

	if _, err := exec.LookPath("curl"); err != nil {
		absent.Skip(t, "curl", "clients/install installs it")
	}
	var answers []string
	for _, m := range regexp.MustCompile(`(?m)^\tcurl (.*)$`).FindAllStringSubmatch(rest, -1) {
		args := []string{"--silent", "--show-error", "--fail", "--max-time", "20"}
		for a := range strings.FieldsSeq(strings.ReplaceAll(m[1], "localhost:8081", site)) {
			args = append(args, strings.Trim(a, "'"))
		}
		cmd := exec.CommandContext(t.Context(), "curl", args...)
		cmd.Dir = filepath.Join("..", "..", "..") // README.md is one of the files that are sent.
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("curl %s: %v: %s", m[1], err, out)
		}
		answers = append(answers, string(out))
	}
	readme, err := os.ReadFile(filepath.Join("..", "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if len(answers) != 3 || answers[1] != string(readme) || !strings.Contains(answers[2], "<Key>hello.txt</Key>") {
		t.Errorf("%d answers, want the README and a list with it: %.300q", len(answers), answers)
	}
	told := printed.until(t, "granted")
	if !strings.Contains(told, "AssumeRole "+roleARN+" with the External ID by "+brokerKeyID+": granted: ASIA") {
		t.Errorf("it told %q of the call to STS", told)
	}
	if strings.Count(printed.all(), brokerSecret) != 2 {
		t.Error("the secret is not where it should be")
	}
}

// TestArguments gives arguments that are wrong.
func TestArguments(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"surplus"}, "there are no arguments"},
		{[]string{"-port", "1"}, "not defined: -port"},
		{[]string{"-s3", l.Addr().String()}, "choose others with -s3"},
	} {
		if err := run(t.Context(), tt.args, io.Discard); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q: %v, want an error with %q", tt.args, err, tt.says)
		}
	}
}

// output is what a program prints.
type output struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.changed <- struct{}{}:
	default:
	}
	return o.text.Write(b)
}

func (o *output) all() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// until waits for a text and returns all that was printed.
func (o *output) until(t *testing.T, text string) string {
	t.Helper()
	for limit := time.After(20 * time.Second); ; {
		if all := o.all(); strings.Contains(all, text) {
			return all
		}
		select {
		case <-o.changed:
		case <-limit:
			t.Fatalf("it did not print %q:\n%s", text, o.all())
		}
	}
}

// start runs the program until the test ends.
func start(t *testing.T) *output {
	t.Helper()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") || strings.HasSuffix(name, "_CA_BUNDLE") {
			t.Setenv(name, "") // So that it is set again afterwards.
			os.Unsetenv(name)
		}
	}
	out := &output{changed: make(chan struct{}, 1)}
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		const anywhere = "127.0.0.1:0"
		ended <- run(ctx, []string{"-s3", anywhere, "-sts", anywhere, "-s3-tls", anywhere, "-sts-tls", anywhere}, out)
	}()
	t.Cleanup(func() {
		interrupt()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	return out
}

// runCaddy runs a Caddyfile until the test ends.
func runCaddy(t *testing.T, caddyfile string) {
	t.Helper()
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		t.Errorf("Caddy warns: %s", w)
	}
	var c map[string]any
	if err := json.Unmarshal(config, &c); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c["storage"] = map[string]any{"module": "file_system", "root": dir}
	c["logging"] = map[string]any{"logs": map[string]any{"default": map[string]any{
		"writer": map[string]any{"output": "file", "filename": filepath.Join(dir, "log"), "roll": false},
	}}}
	if config, err = json.Marshal(c); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
		if f, err := os.Open(filepath.Join(dir, "log")); err == nil && t.Failed() {
			defer f.Close()
			for lines := bufio.NewScanner(f); lines.Scan(); {
				t.Log(lines.Text())
			}
		}
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
