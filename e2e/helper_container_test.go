package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
)

// reading is what a client is told to read, with what in its environment; found is what it found, and as whom, if it tells.
type reading struct {
	Env      map[string]string `json:"env"`
	Endpoint string            `json:"endpoint"`
	Bucket   string            `json:"bucket"`
	Key      string            `json:"key"`
}

type found struct {
	Keys  []string `json:"keys"`
	Body  string   `json:"body"`
	ID    string   `json:"id"`
	Error string   `json:"error"`
}

// containerClients start the clients whose default chain knows the container endpoint of ECS, as programs that read what they
// are told on their standard input, and return why that can't be.
var containerClients = map[string]func() (*exec.Cmd, error){
	"aws-cli":       func() (*exec.Cmd, error) { return python("awscli", filepath.Join("clients", "container.py"), "awscli") },
	"aws-sdk-go-v2": func() (*exec.Cmd, error) { return exec.Command(os.Args[0], "-test.run=^TestAsContainerClient$"), nil },
	"aws-sdk-js-v3": func() (*exec.Cmd, error) { return node("container.mjs") },
	"boto3":         func() (*exec.Cmd, error) { return python("boto3", filepath.Join("clients", "container.py"), "boto3") },
}

// python returns a command of a Python that has a module.
func python(module string, args ...string) (*exec.Cmd, error) {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import "+module).Run() == nil {
			return exec.Command(python, args...), nil
		}
	}
	return nil, fmt.Errorf("there is no Python with %s", module)
}

// node returns a command that runs a script with the packages that clients/js has.
func node(script string) (*exec.Cmd, error) {
	if _, err := exec.LookPath("node"); err != nil {
		return nil, errors.New("there is no node")
	}
	if _, err := os.Stat(filepath.Join("clients", "js", "node_modules")); err != nil {
		return nil, errors.New("there are no packages in clients/js/node_modules")
	}
	return exec.Command("node", filepath.Join("clients", "js", script)), nil
}

// asContainerClient is the variable that makes the program of these tests a client.
const asContainerClient = "E2E_AS_CONTAINER_CLIENT"

// TestAsContainerClient is no test, but the AWS SDK for Go in a process of its own, which a certificate to trust can be given
// to.
func TestAsContainerClient(*testing.T) {
	if os.Getenv(asContainerClient) == "" {
		return
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var r reading
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			panic(err)
		}
		for name, value := range r.Env {
			os.Setenv(name, value)
		}
		f, err := readWithGo(r)
		if err != nil {
			f.Error = err.Error()
		}
		for name := range r.Env {
			os.Unsetenv(name)
		}
		if err := json.NewEncoder(os.Stdout).Encode(f); err != nil {
			panic(err)
		}
	}
	os.Exit(0)
}

func readWithGo(r reading) (f found, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return f, err
	}
	sdk := s3.NewFromConfig(cfg, func(o *s3.Options) { o.BaseEndpoint, o.UsePathStyle, o.RetryMaxAttempts = &r.Endpoint, true, 1 })
	listed, err := sdk.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &r.Bucket})
	if err != nil {
		return f, err
	}
	for _, o := range listed.Contents {
		f.Keys = append(f.Keys, *o.Key)
	}
	got, err := sdk.GetObject(ctx, &s3.GetObjectInput{Bucket: &r.Bucket, Key: &r.Key})
	if err != nil {
		return f, err
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		return f, err
	}
	f.Body = string(body)
	c, err := cfg.Credentials.Retrieve(ctx)
	f.ID = c.AccessKeyID
	return f, err
}

// startReader starts one of containerClients until the test ends, with what is added to its environment.
func startReader(t *testing.T, name string, env ...string) func(reading) (found, error) {
	t.Helper()
	cmd, err := containerClients[name]()
	if err != nil {
		absent.Skip(t, name, err.Error()+"; clients/install installs it")
	}
	var stderr bytes.Buffer
	cmd.Stderr, cmd.Env = &stderr, append(append(os.Environ(), asContainerClient+"=1"), env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait() // It may have been killed.
	})
	answers := json.NewDecoder(out)
	return func(r reading) (f found, err error) {
		watchdog := time.AfterFunc(2*patience, func() { _ = cmd.Process.Kill() })
		defer watchdog.Stop()
		if err := errors.Join(json.NewEncoder(in).Encode(r), answers.Decode(&f)); err != nil {
			return f, fmt.Errorf("%w: %s", err, stderr.String())
		}
		if f.Error != "" {
			return f, errors.New(f.Error)
		}
		return f, nil
	}
}

// TestContainerEndpoint gives SDKs and the AWS CLI, whose default chains know nothing of this repository, the helper as
// container endpoint: with the token in a variable and in a file, over loopback and over TLS. They list and read what is in
// S3, as the one session that the helper has for the key.
func TestContainerEndpoint(t *testing.T) {
	b := newBed(t)
	b.runHelper()
	b.putObject("k", "hello")
	b.write("token", []byte(agentKey))
	b.write("bearer", []byte("Bearer "+agentKey))
	const uri, token, file = "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
	plain, encrypted := "http://"+b.site+"/credentials/agent", "https://"+b.tlsSite+"/credentials/agent"
	named := func(name string) string { return filepath.Join(b.dir, name) }
	readings := []struct {
		name string
		env  map[string]string
		code string // that the helper answers
	}{
		{"token", map[string]string{uri: plain, token: agentKey}, ""},
		{"bearer token", map[string]string{uri: plain, token: "Bearer " + agentKey}, ""},
		{"token file", map[string]string{uri: plain, file: named("token")}, ""},
		{"bearer token file", map[string]string{uri: plain, file: named("bearer")}, ""},
		{"over TLS", map[string]string{uri: encrypted, token: agentKey}, ""},
		{"wrong token", map[string]string{uri: plain, token: "wrong-secret"}, "invalid_api_key"},
		{"token of another key", map[string]string{uri: plain, token: proberKey}, "not_permitted"},
	}
	t.Run("clients", func(t *testing.T) {
		for name := range containerClients {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				read := startReader(t, name, "NODE_EXTRA_CA_CERTS="+named("site.pem"), "SSL_CERT_FILE="+named("site.pem"))
				for _, tt := range readings {
					t.Run(tt.name, func(t *testing.T) {
						if tt.env[file] != "" {
							needTokenFile(t, name)
						}
						env := map[string]string{"AWS_REGION": b.Region(), "AWS_DEFAULT_REGION": b.Region()}
						maps.Copy(env, tt.env)
						f, err := read(reading{env, b.S3(), "bucket", "k"})
						switch {
						case tt.code != "" && err == nil:
							t.Errorf("it read %+v", f)
						case tt.code != "":
							// The AWS SDK for JavaScript keeps the reason to itself.
							if name != "aws-sdk-js-v3" && !strings.Contains(err.Error(), tt.code) {
								t.Errorf("it does not say %s: %v", tt.code, err)
							}
						case tt.env[uri] == encrypted && (name == "aws-cli" || name == "boto3"):
							// Where they fetch credentials, they trust none but public certificates, whatever they are told.
							if err == nil || !strings.Contains(err.Error(), "CERTIFICATE_VERIFY_FAILED") {
								t.Errorf("%+v, %v, want a certificate that is not trusted", f, err)
							}
						default:
							sessions := b.Sessions(readerARN)
							if err != nil || f.Body != "hello" || !slices.Contains(f.Keys, "k") || len(sessions) != 1 || f.ID != "" && f.ID != sessions[0].AccessKeyID {
								t.Errorf("%+v, %v; sessions: %+v", f, err, sessions)
							}
						}
					})
				}
			})
		}
	})
	if s := b.Sessions(readerARN); len(s) != 1 || s[0].Name != "helper-agent" {
		t.Errorf("sessions: %+v, want one named helper-agent", s)
	}
	log, err := os.ReadFile(b.log)
	if err != nil || strings.Contains(string(log), agentKey) || !strings.Contains(string(log), `"outcome":"issued"`) {
		t.Errorf("the log holds the caller's secret, or nothing of the calls: %v", err)
	}
}

// needTokenFile skips a test where botocore is older than its knowledge of token files.
func needTokenFile(t *testing.T, client string) {
	t.Helper()
	module, ok := map[string]string{"aws-cli": "awscli", "boto3": "boto3"}[client]
	if !ok {
		return
	}
	cmd, err := python(module, "-c", `
try:
    from awscli.botocore import credentials  # The AWS CLI of version 2 has a botocore of its own.
except ImportError:
    from botocore import credentials
credentials.ContainerProvider.ENV_VAR_AUTH_TOKEN_FILE`)
	if err == nil {
		err = cmd.Run()
	}
	if err != nil {
		absent.Skip(t, "token file in "+client, "botocore knows it since 1.31")
	}
}

// putObject stores an object without the proxy.
func (b *bed) putObject(key, body string) {
	b.t.Helper()
	if _, err := b.direct.PutObject(b.t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String(key), Body: strings.NewReader(body)}); err != nil {
		b.t.Fatal(err)
	}
}
