package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
	_ "github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/storages"
)

// instancesSite is the Caddyfile of each of several servers on one storage: all of Connect, and calls with connections.
const instancesSite = `{
	aws_sigv4 {
		credentials broker static <broker-key> <broker-secret>
		connections {
			key {file.<dir>/seal-key}
			max_stale 10s
		}
		integration acme-s3 {
			service s3
			region <region>
			sts credentials broker
			base_url <s3>
			allow_hosts <s3-host>
		}
		runtime_integrations {
			credentials broker
		}
	}
}
http://<site> {
	handle /proxy* {
		aws_sigv4 connection {
			id {header.connection-id}
			api_key backend vendor-key-of-32-letters-or-more
			insecure
			strip_prefix /proxy
		}
	}
	handle {
		aws_connect {
			api_key backend vendor-key-of-32-letters-or-more {
				scopes connect_sessions:write connections:list connections:read connections:update connections:delete integrations:read integrations:write
			}
		}
	}
}
`

// instance is one of several servers on one storage, in a process of its own.
type instance struct {
	*bed
	process *exec.Cmd
	ended   chan struct{}
	storage map[string]any
	control string
}

// newInstance prepares an instance that shares what the bed has. Its storage can be taken away from it alone.
func (b *bed) newInstance(t *testing.T, storage map[string]any) *instance {
	t.Helper()
	mine := *b
	mine.t, mine.dir = t, tempDir(t)
	i := &instance{bed: &mine, control: filepath.Join(mine.dir, "storage-control")}
	i.storage = map[string]any{"module": "test_unreliable", "storage": storage, "control": i.control, "delay": "5ms"}
	key, err := os.ReadFile(filepath.Join(b.dir, "seal-key"))
	if err != nil {
		t.Fatal(err)
	}
	i.write("seal-key", key)
	t.Cleanup(func() {
		i.kill()
		if log, _ := os.ReadFile(i.log); t.Failed() || bytes.Contains(log, []byte("DATA RACE")) || bytes.Contains(log, []byte("panic")) {
			t.Logf("Caddy's log:\n%.20000s", log)
		}
	})
	i.start()
	return i
}

// start runs the instance until the test ends, or kill.
func (i *instance) start() {
	t := i.t
	t.Helper()
	i.log = filepath.Join(i.dir, "caddy.log")
	i.site = freePort(t, "127.0.0.1")
	config, err := i.adapt(instancesSite)
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(config, &c); err != nil {
		t.Fatal(err)
	}
	c["storage"] = i.storage
	if config, err = json.Marshal(c); err != nil {
		t.Fatal(err)
	}
	i.write("caddy.json", config)
	output, err := os.OpenFile(i.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	i.process = exec.Command(os.Args[0], "run", "--config", filepath.Join(i.dir, "caddy.json"))
	i.process.Env = append(os.Environ(), asCaddy+"=1", "XDG_DATA_HOME="+i.dir, "XDG_CONFIG_HOME="+i.dir, "AWS_ENDPOINT_URL_STS="+i.STS(), "AWS_REGION="+i.Region())
	i.process.Stdout, i.process.Stderr = output, output
	if err := i.process.Start(); err != nil {
		t.Fatal(err)
	}
	process, ended := i.process, make(chan struct{})
	i.ended = ended
	go func() {
		_ = process.Wait() // However it ends, its log tells why.
		close(ended)
	}()
	waitFor(t, patience, "Caddy to listen", func() bool {
		select {
		case <-ended:
			log, _ := os.ReadFile(i.log)
			t.Fatalf("Caddy ended at once:\n%s", log)
		default:
		}
		c, err := net.Dial("tcp", i.site)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// kill ends the process as kill -9 does.
func (i *instance) kill() {
	if i.process != nil && i.process.Process != nil {
		_ = i.process.Process.Kill()
		<-i.ended
	}
}

// storageIs says what goes wrong with the instance's storage from now on; "" is nothing.
func (i *instance) storageIs(words string) { i.write("storage-control", []byte(words)) }

// connect connects a role of a customer, and returns the connection's ID.
func (i *instance) connect(organization, role string) string {
	i.t.Helper()
	var made struct{ Data struct{ Token string } }
	i.api("POST", "/connect/sessions", fmt.Sprintf(`{"organization":{"id":%q}}`, organization), 201, &made)
	target := "/auth/aws-sigv4/acme-s3?" + url.Values{"connect_session_token": {made.Data.Token}}.Encode()
	var shown struct {
		ExternalID string `json:"external_id"`
	}
	r := i.do("GET", target, "")
	if json.Unmarshal([]byte(r.body), &shown) != nil || shown.ExternalID == "" {
		i.t.Fatalf("the External ID: %v", r)
	}
	i.customersRole(role, trustPolicy(brokerARN, shown.ExternalID))
	var connected struct {
		ID string `json:"connectionId"`
	}
	r = i.do("POST", target, fmt.Sprintf(`{"role_arn":%q}`, role), "Content-Type: application/json")
	if json.Unmarshal([]byte(r.body), &connected) != nil || connected.ID == "" {
		i.t.Fatalf("connecting: %v", r)
	}
	return connected.ID
}

// call is a call with a connection. It returns the status.
func (i *instance) call(id string) reply {
	i.t.Helper()
	return i.do("GET", "/proxy/bucket/shared", "", "Connection-Id: "+id, "Authorization: Bearer "+connectKey)
}

// becomes waits until calls with a connection are answered so.
func (i *instance) becomes(what, id string, status int) {
	i.t.Helper()
	var last reply
	waitFor(i.t, patience, fmt.Sprintf("%s: status %d", what, status), func() bool {
		last = i.call(id)
		return last.status == status
	})
}

// mentions says whether the log has a text.
func (i *instance) mentions(text string) bool {
	log, err := os.ReadFile(i.log)
	return err == nil && strings.Contains(string(log), text)
}

// startRedis runs Debian's Redis on a port of its own until the test ends.
func startRedis(t *testing.T) (address string) {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		absent.Skip(t, "redis-server", "e2e/clients/install")
	}
	address = freePort(t, "127.0.0.1")
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.Command(program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", tempDir(t), "--daemonize", "no")
	var output bytes.Buffer
	cmd.Stdout = &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	waitFor(t, patience, "Redis to listen", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return address
}

// newSharedBed is newBed for tests that run at the same time: what they start gets its environment from them.
func newSharedBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{t: t, dir: tempDir(t)}
	var err error
	if b.Standin, err = standin.Start(standin.Config{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Standin.Close(); err != nil {
			t.Errorf("closing the stand-in: %v", err)
		}
	})
	if b.broker, err = b.AddUser(standin.User{ARN: brokerARN}); err != nil {
		t.Fatal(err)
	}
	return b
}
