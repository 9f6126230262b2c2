package awssigv4

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// runCommand runs `caddy aws-sigv4 args…` in process, as Caddy's own root
// command would.
func runCommand(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	registered, ok := caddycmd.Commands()["aws-sigv4"]
	if !ok {
		t.Fatal("the command aws-sigv4 is not registered")
	}
	sub := &cobra.Command{Use: registered.Name, Short: registered.Short}
	registered.CobraFunc(sub)
	root := &cobra.Command{Use: "caddy", SilenceUsage: true}
	root.AddCommand(sub)
	var out, errOut bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&errOut)
	root.SetArgs(append([]string{registered.Name}, args...))
	err = root.Execute()
	return out.String(), errOut.String(), err
}

func TestExplainPrintsAlignedLines(t *testing.T) {
	const want = `service:      s3
region:       eu-west-1
partition:    aws
algorithm:    sigv4
path_rule:    single
payload_rule: hash_or_unsigned
reason:       rule: last label before the region
`
	for _, arg := range []string{
		"my-bucket.s3.eu-west-1.amazonaws.com",
		"https://my-bucket.s3.eu-west-1.amazonaws.com",
		"https://my-bucket.s3.eu-west-1.amazonaws.com:443/a/key?versionId=7#top",
		"my-bucket.s3.eu-west-1.amazonaws.com/a/key%zz",
		"my-bucket.s3.eu-west-1.amazonaws.com?next=https://storage.example.com",
		"HTTPS://My-Bucket.S3.eu-west-1.amazonaws.com./",
	} {
		got, stderr, err := runCommand(t, "explain", arg)
		if err != nil || got != want || stderr != "" {
			t.Errorf("explain %s: %v, %s\n%s", arg, err, stderr, got)
		}
	}
}

func TestExplainJSONHasExactlySevenKeys(t *testing.T) {
	keys := []string{"algorithm", "partition", "path_rule", "payload_rule", "reason", "region", "service"}
	for host, want := range map[string]map[string]string{
		"bedrock-runtime.us-gov-west-1.amazonaws.com": {
			"service": "bedrock", "region": "us-gov-west-1", "partition": "aws-us-gov", "algorithm": "sigv4",
			"path_rule": "double", "payload_rule": "hash", "reason": "table: bedrock-runtime signs as bedrock",
		},
		"https://a1b2c3d4e5f6g.mrap.accesspoint.s3-global.amazonaws.com/key": {
			"service": "s3", "region": "*", "partition": "aws", "algorithm": "sigv4a",
			"path_rule": "single", "payload_rule": "hash_or_unsigned", "reason": "table: accesspoint.s3-global signs as s3 for a set of regions",
		},
	} {
		out, _, err := runCommand(t, "explain", "--json", host)
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		var got map[string]string
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Errorf("%s: %v in %s", host, err, out)
			continue
		}
		var have []string
		for k := range got {
			have = append(have, k)
		}
		slices.Sort(have)
		if !slices.Equal(have, keys) {
			t.Errorf("%s: keys %v, want %v", host, have, keys)
		}
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%s: %s is %q, want %q", host, k, got[k], v)
			}
		}
	}
}

func TestExplainSaysWhatToWrite(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"explain", "storage.example.com"}, "write `service NAME` and `region NAME`"},
		{[]string{"explain", "--json", "photos.s3-accelerate.amazonaws.com"}, "write `region NAME`"},
		{[]string{"explain", "https://photos.s3-website-eu-west-1.amazonaws.com/"}, "write the bucket's REST endpoint"},
		{[]string{"explain", "https://me:hush@s3.eu-west-1.amazonaws.com/"}, "has user information before the host: write a host name"},
		{[]string{"explain", "https://s3.eu-west-1.amazonaws.com.evil.example/"}, "is not under a domain of the AWS API"},
		{[]string{"explain", "https:///key"}, "is empty"},
		{[]string{"explain", ""}, "is empty"},
		{[]string{"explain"}, "explain takes one host or URL, not 0"},
		{[]string{"explain", "a", "b"}, "explain takes one host or URL, not 2"},
		{[]string{"explain", "--yaml", "a"}, "unknown flag"},
		{[]string{"guess", "a"}, "\"guess\" is no subcommand of aws-sigv4"},
	} {
		out, stderr, err := runCommand(t, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: %v, want %q", c.args, err, c.want)
		}
		if out != "" {
			t.Errorf("%q prints %q on stdout", c.args, out)
		}
		if strings.Contains(stderr, "hush") {
			t.Errorf("%q: secret in %q", c.args, stderr)
		}
	}
}

func TestCommandAloneIsHelp(t *testing.T) {
	out, _, err := runCommand(t)
	if err != nil || !strings.Contains(out, "explain") {
		t.Errorf("%v:\n%s", err, out)
	}
}

// TestExplainExitStatus runs the real binary, for the exit status alone.
func TestExplainExitStatus(t *testing.T) {
	if testing.Short() {
		t.Skip("builds Caddy")
	}
	caddy := filepath.Join(t.TempDir(), "caddy.exe")
	if out, err := exec.Command("go", "build", "-o", caddy, "./cmd/caddy").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(caddy, "aws-sigv4", "explain", "iam.amazonaws.com").Output()
	if err != nil || !strings.HasPrefix(string(out), "service:      iam\n") {
		t.Errorf("%v, %s", err, out)
	}
	cmd := exec.Command(caddy, "aws-sigv4", "explain", "storage.example.com")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if cmd.ProcessState.ExitCode() != 1 || stdout.Len() != 0 || !strings.Contains(stderr.String(), "write `service NAME` and `region NAME`") {
		t.Errorf("%v, %q, %q", err, stdout.String(), stderr.String())
	}
}
