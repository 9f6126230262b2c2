package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// helperServer is a program that hands out sessions, none of which shares code with this repository: what its session is
// called, and how to start it and be let in by it, as options of sts_helper.
type helperServer struct {
	session string
	start   func(t *testing.T, b *bed) (url, auth string)
}

// helperServers are of three kinds: credential servers as they are published, for the container endpoint of ECS, which take
// POST, too; and a few lines around other SDKs' and the AWS CLI's own AssumeRole, whose answers are theirs.
var helperServers = map[string]helperServer{
	"aws-vault":                            {"", startAWSVault},
	"amazon-ecs-local-container-endpoints": {"ecs-local-Peer", startECSLocal},
	"AWS SDK for JavaScript": {"js-", func(t *testing.T, b *bed) (string, string) {
		cmd, err := node("sts-helper.mjs")
		return b.startHelper(t, cmd, err) + "/assume-role", "api_key " + peerKey
	}},
	"boto3":   {"python-", func(t *testing.T, b *bed) (string, string) { return startPythonHelper(t, b, "boto3") }},
	"AWS CLI": {"python-", func(t *testing.T, b *bed) (string, string) { return startPythonHelper(t, b, "awscli") }},
}

const (
	peerKey = "peer-secret-of-32-letters-or-so-x"
	peerARN = "arn:aws:iam::123456789012:role/Peer"
)

func startPythonHelper(t *testing.T, b *bed, module string) (url, auth string) {
	cmd, err := python(module, filepath.Join("clients", "sts_helper.py"), module)
	return b.startHelper(t, cmd, err), "bearer " + peerKey
}

// startHelper starts a program that prints the port that it listens on, with the broker's credentials.
func (b *bed) startHelper(t *testing.T, cmd *exec.Cmd, err error) string {
	t.Helper()
	if err != nil {
		absent.Skip(t, t.Name()[strings.LastIndexByte(t.Name(), '/')+1:], err.Error()+"; clients/install installs it")
	}
	cmd.Env = append(os.Environ(), "STS_ENDPOINT="+b.STS(), "API_KEY="+peerKey, "AWS_REGION="+b.Region(), "AWS_DEFAULT_REGION="+b.Region(),
		"AWS_ACCESS_KEY_ID="+b.broker.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+b.broker.SecretAccessKey)
	port, _, _ := strings.Cut(startPrinting(t, cmd), "\n")
	return "http://127.0.0.1:" + port
}

// startPrinting starts a program until the test ends, and returns its first line.
func startPrinting(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr, cmd.WaitDelay = &stderr, time.Second // What it has started in turn may hold on to its standard error.
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // It was killed.
	})
	watchdog := time.AfterFunc(2*patience, func() { out.Close() })
	defer watchdog.Stop()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%s: %v: %s", cmd.Path, err, stderr.String())
	}
	return strings.TrimSpace(line)
}

// servers are the compiled programs that tests share.
var servers struct {
	sync.Once
	dir string
	err error
}

// compiledServer compiles the credential servers, whose versions tools/peers.mod pins, and returns the path of one.
func compiledServer(t *testing.T, name string) string {
	t.Helper()
	servers.Do(func() {
		// It lies where TestMain removes what was built.
		servers.dir = filepath.Join(filepath.Dir(caddyProgram(t)), "peers") + string(filepath.Separator)
		cmd := exec.Command("go", "build", "-modfile="+filepath.Join("tools", "peers.mod"), "-o", servers.dir,
			"github.com/99designs/aws-vault/v7", "github.com/awslabs/amazon-ecs-local-container-endpoints")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			servers.err = fmt.Errorf("compiling: %w: %s", err, out)
		}
	})
	if servers.err != nil {
		absent.Skip(t, name, servers.err.Error())
	}
	return servers.dir + name
}

// startECSLocal starts AWS's own stand-in for the container endpoint of ECS.
func startECSLocal(t *testing.T, b *bed) (string, string) {
	address := freePort(t, "127.0.0.1")
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.Command(compiledServer(t, "amazon-ecs-local-container-endpoints"))
	cmd.Env = append(os.Environ(), "ECS_LOCAL_METADATA_PORT="+port, "STS_ENDPOINT="+b.STS(), "AWS_REGION="+b.Region(),
		"AWS_ACCESS_KEY_ID="+b.broker.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+b.broker.SecretAccessKey, "HOME="+b.dir)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("it said:\n%.4000s", output.String())
		}
	})
	waitFor(t, patience, "the server to listen", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return "http://" + address + "/role-arn/" + peerARN, ""
}

// startAWSVault starts aws-vault, which can't be told of another STS than AWS's: it gets to the stand-in by a proxy. It
// insists on a program to ask for codes, and calls none.
func startAWSVault(t *testing.T, b *bed) (string, string) {
	program := compiledServer(t, "aws-vault")
	dir := tempDir(t)
	b.trusts(standin.Role{ARN: hubARN}, brokerARN, `"sts:AssumeRole"`, "")
	out, err := sts.New(sts.Options{
		Region: b.Region(), BaseEndpoint: aws.String(b.STS()), HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		Credentials: credentials.NewStaticCredentialsProvider(b.broker.AccessKeyID, b.broker.SecretAccessKey, ""),
	}).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(hubARN), RoleSessionName: aws.String("vault")})
	if err != nil {
		t.Fatal(err)
	}
	proxy, ca := startSTSProxy(t, b)
	c := out.Credentials
	for name, text := range map[string]string{
		"credentials": fmt.Sprintf(`{"Version":1,"AccessKeyId":%q,"SecretAccessKey":%q,"SessionToken":%q,"Expiration":%q}`,
			*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken, c.Expiration.Format(time.RFC3339)),
		"config": fmt.Sprintf("[profile peer]\nregion=%s\ncredential_process=cat %s/credentials\n", b.Region(), dir),
		"zenity": "#!/bin/sh\nexit 1\n",
		"ca.pem": ca,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	// What it runs outlives it if it is killed, but for its standard input, which ends then.
	cmd := exec.Command(program, "exec", "--ecs-server", "peer", "--",
		"sh", "-c", `echo "$AWS_CONTAINER_CREDENTIALS_FULL_URI $AWS_CONTAINER_AUTHORIZATION_TOKEN"; cat`)
	cmd.Env = append(os.Environ(), "PATH="+dir+string(filepath.ListSeparator)+os.Getenv("PATH"), "AWS_CONFIG_FILE="+filepath.Join(dir, "config"),
		"AWS_VAULT_BACKEND=file", "AWS_VAULT_FILE_DIR="+filepath.Join(dir, "keys"), "AWS_VAULT_FILE_PASSPHRASE=peer", "AWS_VAULT_PROMPT=zenity",
		"HTTPS_PROXY="+proxy, "SSL_CERT_FILE="+filepath.Join(dir, "ca.pem"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	base, token, _ := strings.Cut(startPrinting(t, cmd), " ")
	t.Cleanup(func() { in.Close() }) // Before it is waited for.
	return strings.TrimSuffix(base, "/") + "/role-arn/" + peerARN, "api_key " + token + " header authorization"
}

// startSTSProxy starts a proxy that leads whatever a client wants to connect to, if it is AWS's STS, to the stand-in's. It
// returns its URL and the certificate that the client has to trust.
func startSTSProxy(t *testing.T, b *bed) (proxy, ca string) {
	t.Helper()
	host := "sts." + b.Region() + ".amazonaws.com"
	cert, pem, _, err := wireverify.NewCertificate(host)
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(b.STS())
	if err != nil {
		t.Fatal(err)
	}
	back := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host }, // The signed Host stays.
		ErrorLog: log.New(io.Discard, "", 0),
	})
	back.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	back.StartTLS()
	t.Cleanup(back.Close)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != host+":443" {
			http.Error(w, r.Host+" is not "+host, http.StatusForbidden)
			return
		}
		server, err := new(net.Dialer).DialContext(r.Context(), "tcp", back.Listener.Addr().String())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer server.Close()
		client, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer client.Close()
		_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
		ctx, done := context.WithCancel(context.Background())
		go func() { _, _ = io.Copy(server, client); done() }()
		go func() { _, _ = io.Copy(client, server); done() }()
		<-ctx.Done()
	}))
	t.Cleanup(front.Close)
	return front.URL, string(pem)
}

// TestHelperServers has the proxy fetch its credentials from servers that were not made for it, with the source sts_helper,
// and use them at S3.
func TestHelperServers(t *testing.T) {
	b := newBed(t)
	for name, server := range helperServers {
		t.Run(name, func(t *testing.T) {
			b.t = t
			// The published servers know no External ID.
			external, option := "", ""
			if server.session == "js-" || server.session == "python-" {
				external, option = externalID, "external_id "+externalID
			}
			b.trusts(standin.Role{ARN: peerARN}, "*", `"sts:AssumeRole"`, external)
			before := len(b.Sessions(peerARN))
			url, auth := server.start(t, b)
			site := func(auth string) string {
				return fmt.Sprintf(`http://<site> {
	aws_sigv4 <s3> {
		service s3
		region <region>
		credentials sts_helper %s {
			role_arn %s
			region <region>
			service s3
			%s
			%s
		}
	}
}
`, url, peerARN, option, auth)
			}
			b.runCaddy(site(auth))
			key := "/bucket/" + strings.ReplaceAll(name, " ", "-")
			b.do("PUT", key, name).expect(t, "put", 200)
			b.do("GET", key, "").expect(t, "get", 200, name)
			got := b.Sessions(peerARN)[before:]
			if len(got) != 1 || !strings.HasPrefix(got[0].Name, server.session) {
				t.Errorf("sessions: %+v", got)
			}
			log, err := os.ReadFile(b.log)
			if err != nil || strings.Contains(string(log), peerKey) || strings.Contains(string(log), externalID) {
				t.Errorf("the log holds a secret: %v", err)
			}

			if auth == "" {
				return
			}
			wrong := strings.Fields(auth)
			wrong[1] = "wrong-secret"
			if err := b.load(site(strings.Join(wrong, " "))); err != nil {
				t.Fatal(err)
			}
			r := b.do("GET", key, "")
			if r.status != 502 && r.status != 503 {
				t.Errorf("with a wrong secret: %v", r)
			}
			if n := len(b.Sessions(peerARN)) - before; n != 1 {
				t.Errorf("%d sessions in the end, want 1", n)
			}
		})
	}
}
