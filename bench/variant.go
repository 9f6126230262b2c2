package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// What all signing proxies sign with and for. The key is nobody's.
const (
	accessKeyID     = "AKIDBENCHMARK"
	secretAccessKey = "not-a-real-secret-only-for-the-benchmark" // #nosec G101 -- It is no secret.
	signedHost      = "search-bench.us-east-1.es.amazonaws.com"
	signedService   = "es"
	signedRegion    = "us-east-1"
)

// sessionToken is as long as those of temporary credentials are.
var sessionToken = strings.Repeat("IQoJb3JpZ2", 70)

// variant is one of the proxies that are compared.
type variant struct {
	name string

	// site is what stands in a Caddyfile's site block; "" if it isn't Caddy.
	// In it, <upstream> stands for the upstream's HOST:PORT.
	site  string
	signs bool

	// constant is what has headers like a signed request's, which are always
	// the same. Only the benchmark's own Caddy can do so.
	constant bool
}

// variants are the proxies in the order of the table. The first is what the
// others are compared with.
var variants = []variant{
	{
		name: "plain reverse_proxy",
		site: `reverse_proxy <upstream>`,
	},
	{
		name: "plain with constant headers",
		site: `reverse_proxy <upstream> {
		transport constant_headers {
			Authorization "` + constantAuthorization + `"
			X-Amz-Date 20260102T030405Z
			X-Amz-Security-Token ` + sessionToken + `
		}
	}`,
		constant: true,
	},
	{
		name: "transport aws_sigv4",
		site: `reverse_proxy <upstream> {
		transport aws_sigv4 {
			host ` + signedHost + `
			credentials bench
		}
	}`,
		signs: true,
	},
	{
		name: "handler aws_sigv4",
		site: `aws_sigv4 {
		host ` + signedHost + `
		credentials bench
	}
	reverse_proxy <upstream>`,
		signs: true,
	},
	{
		name: "short form",
		site: `aws_sigv4 http://<upstream> {
		host ` + signedHost + `
		credentials bench
	}`,
		signs: true,
	},
	{
		name:  "awslabs/aws-sigv4-proxy",
		signs: true,
	},
}

// constantAuthorization is as long as that of the signing proxies.
var constantAuthorization = "AWS4-HMAC-SHA256 Credential=" + accessKeyID + "/20260102/" + signedRegion + "/" + signedService + "/aws4_request, " +
	"SignedHeaders=content-type;host;x-amz-date;x-amz-meta-a;x-amz-security-token;x-amz-target, Signature=" + strings.Repeat("0", 64)

// present tells whether there is a binary for the variant.
func (v *variant) present(o *options) bool {
	switch {
	case v.site == "":
		return o.awslabs != ""
	case v.constant:
		return o.hasConstant
	}
	return true
}

// caddyfile returns the whole Caddyfile of a Caddy variant. admin is where the
// admin endpoint listens, or "off".
func (v *variant) caddyfile(listen, upstream, admin string) string {
	global := ""
	if v.signs {
		global = `
	aws_sigv4 {
		credentials bench env
	}`
	}
	return `{
	admin ` + admin + `
	persist_config off
	log {
		level ERROR
	}` + global + `
}

http://` + listen + ` {
	bind 127.0.0.1
	` + strings.ReplaceAll(v.site, "<upstream>", upstream) + `
}
`
}

// command returns the command that runs the variant.
func (b *bench) command(v *variant, listen, admin string) (*exec.Cmd, error) {
	var cmd *exec.Cmd
	if v.site == "" {
		cmd = exec.Command(b.awslabs, "--name", signedService, "--region", signedRegion, "--host", b.upstream, // #nosec G204 -- The user names the binary.
			"--sign-host", signedHost, "--upstream-url-scheme", "http", "--port", listen)
	} else {
		path := filepath.Join(b.dir, "Caddyfile")
		if err := os.WriteFile(path, []byte(v.caddyfile(listen, b.upstream, admin)), 0o600); err != nil {
			return nil, err
		}
		args := append(b.caddy[1:len(b.caddy):len(b.caddy)], "run", "--config", path, "--adapter", "caddyfile")
		cmd = exec.Command(b.caddy[0], args...) // #nosec G204 -- The user names the binary.
	}
	cmd.Env = environment(b.dir)
	return cmd, nil
}

// environment is this process's own, but with the benchmark's credentials and
// none of the user's, and with Caddy's files in a directory of ours.
func environment(dir string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") && !strings.HasPrefix(v, "XDG_") {
			env = append(env, v)
		}
	}
	return append(env, signingEnvironment(dir)...)
}

func signingEnvironment(dir string) []string {
	return []string{
		"AWS_ACCESS_KEY_ID=" + accessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + secretAccessKey,
		"AWS_SESSION_TOKEN=" + sessionToken,
		"AWS_CONFIG_FILE=" + filepath.Join(dir, "none"),
		"AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(dir, "none"),
		"AWS_EC2_METADATA_DISABLED=true",
		"XDG_CONFIG_HOME=" + dir,
		"XDG_DATA_HOME=" + dir,
	}
}
