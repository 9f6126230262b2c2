package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-aws-sigv4/caddy-aws-sigv4"
)

// TestMain keeps whatever this machine knows of AWS out of the tests.
func TestMain(m *testing.M) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			os.Unsetenv(name)
		}
	}
	os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	os.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	os.Setenv("AWS_CONFIG_FILE", filepath.Join(os.DevNull, "none"))
	os.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(os.DevNull, "none"))
	os.Exit(m.Run())
}

// server is a running Caddy. There is one at a time, as Caddy is global.
type server struct {
	t     *testing.T
	ports map[string]string // <site> → host:port
	log   string            // the file that it logs to
	level string
	admin string // where its admin API listens; nowhere if empty

	checks func() int // how many requests reached the upstream

	loaded time.Time // when a configuration was last loaded, or was not
}

// startCaddy runs a Caddyfile until the test ends. In its text, <site> and
// <site2> stand for HOST:PORT of their own on loopback, and <port> and <port2>
// for the same without the host. Everything else is what a user would write,
// and goes through the real adapter.
func startCaddy(t *testing.T, caddyfile string) *server {
	t.Helper()
	return startCaddyAt(t, "INFO", caddyfile)
}

// startCaddyAt is startCaddy with a log level.
func startCaddyAt(t *testing.T, level, caddyfile string) *server {
	t.Helper()
	s := &server{t: t, level: level}
	s.start(caddyfile)
	return s
}

func (s *server) start(caddyfile string) {
	t := s.t
	t.Helper()
	s.log = filepath.Join(tempDir(t), "caddy.log")
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping Caddy: %v", err)
		}
		log := s.logged()
		if strings.Contains(log, "panic") {
			t.Error("something panicked")
		}
		if t.Failed() {
			t.Logf("Caddy's log:\n%s", log)
		}
	})
	var err error
	for range 3 { // A port may have been taken since.
		s.ports = map[string]string{"<site>": freePort(t), "<site2>": freePort(t)}
		if err = s.load(caddyfile); err == nil || !strings.Contains(err.Error(), "address already in use") {
			break
		}
	}
	if err != nil {
		t.Fatalf("loading: %v", err)
	}
}

// reload replaces the configuration; the ports stay the same.
func (s *server) reload(caddyfile string) {
	s.t.Helper()
	if err := s.load(caddyfile); err != nil {
		s.t.Fatalf("reloading: %v", err)
	}
}

func (s *server) load(caddyfile string) error {
	defer func() { s.loaded = time.Now() }()
	for name, addr := range s.ports {
		_, port, _ := net.SplitHostPort(addr)
		caddyfile = strings.ReplaceAll(caddyfile, name, addr)
		caddyfile = strings.ReplaceAll(caddyfile, strings.Replace(name, "site", "port", 1), ":"+port)
	}
	config, err := adapt(caddyfile)
	if err != nil {
		return err
	}
	config = forTest(s.t, config, s.log, s.level)
	if s.admin != "" {
		config = bytes.Replace(config, []byte(`"disabled":true`), fmt.Appendf(nil, `"listen":%q`, s.admin), 1)
	}
	return caddy.Load(config, true)
}

// addr returns HOST:PORT of <site>.
func (s *server) addr() string { return s.ports["<site>"] }

// logged returns what Caddy has logged so far.
func (s *server) logged() string {
	b, err := os.ReadFile(s.log)
	if err != nil && !os.IsNotExist(err) {
		s.t.Error(err)
	}
	return string(b)
}

// waitForLog waits until a text was logged n times.
func (s *server) waitForLog(text string, n int, limit time.Duration) {
	s.t.Helper()
	waitFor(s.t, limit, func() bool { return strings.Count(s.logged(), text) >= n },
		"%q to be logged %d times", text, n)
}

// waitForChecks waits until health checks reached the upstream.
func (s *server) waitForChecks() {
	s.t.Helper()
	waitFor(s.t, patience, func() bool { return s.checks() >= 2 }, "health checks")
}

// waitFor waits until something is so.
func waitFor(t *testing.T, limit time.Duration, is func() bool, what string, args ...any) {
	t.Helper()
	for end := time.Now().Add(limit); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", limit, fmt.Sprintf(what, args...))
		}
	}
}

// adapt makes JSON of a Caddyfile.
func adapt(caddyfile string) ([]byte, error) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	return config, err
}

// forTest changes what the tests of one machine must not share: no admin API,
// nothing saved, a log of its own, no certificates and no redirects, loopback
// only, and an end that waits for nobody.
func forTest(t *testing.T, config []byte, log, level string) []byte {
	t.Helper()
	var c map[string]any
	if err := json.Unmarshal(config, &c); err != nil {
		t.Fatal(err)
	}
	c["admin"] = map[string]any{"disabled": true, "config": map[string]any{"persist": false}}
	if c["storage"] == nil {
		c["storage"] = map[string]any{"module": "file_system", "root": tempDir(t)}
	}
	logging := object(c, "logging", "logs", "default")
	logging["writer"] = map[string]any{"output": "file", "filename": log, "roll": false}
	if filter := object(logging, "encoder"); filter["format"] == "filter" {
		filter["wrap"] = map[string]any{"format": "json"}
	} else {
		logging["encoder"] = map[string]any{"format": "json"}
	}
	logging["level"] = level
	if apps, ok := c["apps"].(map[string]any); ok && apps["http"] != nil {
		http := object(apps, "http")
		http["grace_period"] = "5s"
		for _, srv := range object(http, "servers") {
			srv := srv.(map[string]any)
			srv["automatic_https"] = map[string]any{"disable": true}
			for i, l := range srv["listen"].([]any) {
				if strings.HasPrefix(l.(string), ":") {
					srv["listen"].([]any)[i] = "127.0.0.1" + l.(string)
				}
			}
		}
	}
	out, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// object returns an object inside of another, made where it is missing.
func object(in map[string]any, path ...string) map[string]any {
	for _, name := range path {
		next, ok := in[name].(map[string]any)
		if !ok {
			next = make(map[string]any)
			in[name] = next
		}
		in = next
	}
	return in
}

// freePort returns HOST:PORT that nobody listens on at the moment.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// tempDir is t.TempDir without the test's name, in which Caddy would read
// placeholders.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "caddy-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

var dead atomic.Int32

// deadAddress returns a HOST:PORT that refuses connections, another one each
// time. Nothing here listens on that address, so that nobody takes the port.
func deadAddress() string { return fmt.Sprintf("127.77.0.1:%d", 1024+dead.Add(1)) }

// pretty indents JSON.
func pretty(t *testing.T, config []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, config, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
