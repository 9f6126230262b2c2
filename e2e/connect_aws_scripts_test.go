package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
)

// playedAWS is a directory that testdata/awscli/aws takes for AWS, and the scripts of examples/connect/aws with it.
type playedAWS struct {
	t         *testing.T
	aws, demo string
}

func newPlayedAWS(t *testing.T) *playedAWS {
	t.Helper()
	dir := tempDir(t)
	p := &playedAWS{t, filepath.Join(dir, "aws"), filepath.Join(dir, "demo")}
	if err := os.Mkdir(p.aws, 0o700); err != nil {
		t.Fatal(err)
	}
	return p
}

// script runs one, and returns what it said and whether it went well.
func (p *playedAWS) script(name string, env ...string) (string, bool) {
	p.t.Helper()
	tools, err := filepath.Abs(filepath.Join("testdata", "awscli"))
	if err != nil {
		p.t.Fatal(err)
	}
	words := strings.Fields(name)
	cmd := exec.Command(filepath.Join("..", "examples", "connect", "aws", words[0]), words[1:]...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") || strings.HasPrefix(v, "PATH=") })
	cmd.Env = append(cmd.Env, "PATH="+tools+string(os.PathListSeparator)+os.Getenv("PATH"), "FAKE_AWS="+p.aws, "CONNECT_DEMO_DIR="+p.demo, "AWS_REGION=eu-west-1", "CUSTOMER_PROFILE=customer")
	cmd.Env = append(cmd.Env, env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.String(), err == nil
}

// must is script for what has to go well.
func (p *playedAWS) must(name string, env ...string) string {
	p.t.Helper()
	out, ok := p.script(name, env...)
	if !ok {
		p.t.Fatalf("%s: %s", name, out)
	}
	return out
}

var runID = regexp.MustCompile(`\b[0-9a-f]{10}\b`)

// holds is all that AWS has, with ID in place of the run's.
func (p *playedAWS) holds() map[string]string {
	p.t.Helper()
	all := map[string]string{}
	for _, kind := range []string{"buckets", "roles"} {
		_ = filepath.WalkDir(filepath.Join(p.aws, kind), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			name, _ := filepath.Rel(p.aws, path)
			all[runID.ReplaceAllString(name, "ID")] = strings.Join(strings.Fields(runID.ReplaceAllString(string(text), "ID")), " ")
			return err
		})
	}
	return all
}

// TestConnectAWSScripts plays the AWS CLI, as the real one takes too long for this: up and down are interrupted at changes
// that they make, before them and after, and go on when they are run again; what is not up's is left alone.
func TestConnectAWSScripts(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		absent.Skip(t, "bash", "apt-get install bash")
	}
	whole := newPlayedAWS(t)
	whole.must("up")
	want := whole.holds()
	template, err := os.ReadFile(filepath.Join("..", "examples", "connect", "s3-readonly.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"buckets/connect-demo-data-ID/owner":      "444455556666",
		"buckets/connect-demo-data-ID/block":      "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true",
		"buckets/connect-demo-templates-ID/owner": "111122223333",
		"buckets/connect-demo-templates-ID/block": "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=false,RestrictPublicBuckets=false",
		"buckets/connect-demo-templates-ID/policy": `{ "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", ` +
			`"Resource": "arn:aws:s3:::connect-demo-templates-ID/s3-readonly.json"}]}`,
		"buckets/connect-demo-templates-ID/objects/s3-readonly.json": strings.Join(strings.Fields(string(template)), " "),
		"roles/connect-demo-broker-ID/trust": `{"Version": "2012-10-17", "Statement": [{ "Effect": "Allow", ` +
			`"Principal": {"AWS": "arn:aws:iam::111122223333:role/team/Admin"}, "Action": "sts:AssumeRole"}]}`,
		"roles/connect-demo-broker-ID/policy": `{ "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": [ ` +
			`"arn:aws:iam::444455556666:role/acme-analytics/*", "arn:aws:iam::444455556666:role/Connect-acme-s3"]}]}`,
	} {
		if want[name] != text {
			t.Errorf("%s is %q, want %q", name, want[name], text)
		}
	}
	if _, there := want["buckets/connect-demo-data-ID/policy"]; there {
		t.Error("the customer's bucket has a policy")
	}
	if out, ok := whole.script("up", "FAKE_ACCOUNT=999900001111"); ok || !strings.Contains(out, "vendor account 111122223333") {
		t.Errorf("in another account: %t %s", ok, out)
	}
	for _, env := range []string{"AWS_REGION=us-east-1", "CUSTOMER_PROFILE=another"} {
		if out, ok := whole.script("up", env); ok || !strings.Contains(out, "run down first, or use another CONNECT_DEMO_DIR") {
			t.Errorf("%s: %t %s", env, ok, out)
		}
	}
	if out, ok := whole.script("down", "FAKE_ACCOUNT=999900001111"); ok || !strings.Contains(out, "vendor is account 111122223333") {
		t.Errorf("in another account: %t %s", ok, out)
	}

	// What is not up's: an object in its bucket, and what does not carry its tag any more.
	change := func(pattern, text string) func() {
		found, _ := filepath.Glob(filepath.Join(whole.aws, pattern))
		path := strings.ReplaceAll(filepath.Join(whole.aws, pattern), "*", "")
		if len(found) == 1 {
			path = found[0]
		}
		before, err := os.ReadFile(path)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return func() {
			if err != nil {
				os.Remove(path)
			} else if err := os.WriteFile(path, before, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	data, _ := filepath.Glob(filepath.Join(whole.aws, "buckets", "connect-demo-data-*"))
	theirs, _ := filepath.Rel(whole.aws, filepath.Join(data[0], "objects", "theirs"))
	undo := []func(){
		change(theirs, "x"), change("buckets/connect-demo-templates-*/tags", "TagSet=[{Key=connect-demo,Value=other}]"),
		change("roles/connect-demo-broker-*/tags", "Key=connect-demo,Value=other"),
	}
	out, ok := whole.script("down")
	if left := whole.holds(); ok || strings.Count(out, "Left alone") != 4 || !strings.Contains(out, "such as theirs") || left["roles/connect-demo-broker-ID/policy"] == "" ||
		left["buckets/connect-demo-templates-ID/objects/s3-readonly.json"] == "" || left["buckets/connect-demo-data-ID/owner"] == "" {
		t.Errorf("of others' things, %s\n%v", out, left)
	}
	for _, f := range undo {
		f()
	}
	if out := whole.must("down"); !strings.Contains(out, "Nothing is left") || len(whole.holds()) > 0 {
		t.Errorf("%s\n%v", out, whole.holds())
	}
	if out := whole.must("down"); !strings.Contains(out, "nothing to take away") {
		t.Error(out)
	}

	// up makes 13 changes, down 7.
	for n := 1; n <= 13; n += 2 {
		p, when := newPlayedAWS(t), "before"
		if n%3 == 0 {
			when = "after"
		}
		failing := fmt.Sprintf("FAKE_FAIL=%d %s", n, when)
		if out, ok := p.script("up", failing); ok && n != 13 { // The last one is tried again.
			t.Errorf("up, %s: %s", failing, out)
		}
		if n%4 == 1 {
			p.must("up")
			if got := p.holds(); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("up, %s and again: %v, want %v", failing, got, want)
			}
			os.Remove(filepath.Join(p.aws, "changes"))
			if out, ok := p.script("down", fmt.Sprintf("FAKE_FAIL=%d %s", n/2+1, when)); ok {
				t.Errorf("down, %d %s: %s", n/2+1, when, out)
			}
		}
		p.must("down")
		if left := p.holds(); len(left) > 0 {
			t.Errorf("%s: left are %v", failing, left)
		}
		if _, err := os.Stat(p.demo); !os.IsNotExist(err) {
			t.Errorf("%s: %s is left: %v", failing, p.demo, err)
		}
	}
}
