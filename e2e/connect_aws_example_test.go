package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/quickcreate"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/absent"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/moto"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
)

// awsAccount is a moto that is called by the AWS CLI, as the user operator, and checks signatures and permissions.
type awsAccount struct {
	t   *testing.T
	url string
	dir string // where the scripts of examples/connect/aws keep what they know
	env []string
}

// newAWSAccount starts moto, and lets this process be the operator, too.
func newAWSAccount(t *testing.T) *awsAccount {
	t.Helper()
	if os.Getenv("E2E_AWS_CLI") == "" {
		absent.Skip(t, "E2E_AWS_CLI", "scripts/long sets it")
	}
	for _, name := range []string{"bash", "curl", "aws"} {
		if _, err := exec.LookPath(name); err != nil {
			absent.Skip(t, name, "clients/install installs it")
		}
	}
	m := moto.Start(t)
	operator := m.AddUser(t, "operator")
	m.CheckSignatures(t)
	a := &awsAccount{t: t, url: m.URL, dir: filepath.Join(tempDir(t), "demo")}
	t.Setenv("AWS_ACCESS_KEY_ID", operator.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", operator.SecretAccessKey)
	a.env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
	a.env = append(
		a.env, "AWS_ENDPOINT_URL="+a.url, "AWS_REGION="+moto.Region, "AWS_DEFAULT_REGION="+moto.Region, "CONNECT_DEMO_DIR="+a.dir,
		"AWS_ACCESS_KEY_ID="+operator.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+operator.SecretAccessKey, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
	)
	return a
}

// try runs a command in a directory, and returns what it printed, without white space around it, and whether it went well.
func (a *awsAccount) try(dir, command string, env ...string) (string, bool) {
	a.t.Helper()
	cmd := exec.Command("bash", "-euc", command)
	var out bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = dir, &out, &out, slices.Concat(a.env, env)
	watchdog := time.AfterFunc(5*time.Minute, func() { _ = cmd.Process.Kill() }) // Each call of AWS takes a second or two.
	defer watchdog.Stop()
	err := cmd.Run()
	return strings.TrimSpace(out.String()), err == nil
}

// sh is try for what has to go well.
func (a *awsAccount) sh(command string, env ...string) string {
	a.t.Helper()
	out, ok := a.try("..", command, env...)
	if !ok {
		a.t.Fatalf("%s: %s", command, out)
	}
	return out
}

// roleIn copies a role of moto's to the stand-in, whose STS holds it to its trust policy as AWS does.
func (a *awsAccount) roleIn(b *bed, name string) string {
	a.t.Helper()
	var role struct{ Arn, Trust json.RawMessage }
	out := a.sh("aws iam get-role --role-name " + name + " --query 'Role.{Arn: Arn, Trust: AssumeRolePolicyDocument}' --output json")
	if err := json.Unmarshal([]byte(out), &role); err != nil {
		a.t.Fatalf("%v: %s", err, out)
	}
	arn := strings.Trim(string(role.Arn), `"`)
	if err := b.PutRole(standin.Role{ARN: arn, TrustPolicy: string(role.Trust)}); err != nil {
		a.t.Fatal(err)
	}
	return arn
}

// TestConnectAWSExample runs the scripts of examples/connect/aws against moto with the AWS CLI, makes the customer's stack with
// the command that the Connect page shows, connects its role by the stand-in's STS, reads S3 with it, and has all that the
// scripts made taken away again, but nothing else.
func TestConnectAWSExample(t *testing.T) {
	b := newBed(t)
	a := newAWSAccount(t)
	scripts := "examples/connect/aws/"

	a.sh(scripts + "up")
	env := map[string]string{}
	for line := range strings.Lines(a.sh(`set -a; . $CONNECT_DEMO_DIR/env; env`)) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), "="); strings.HasPrefix(name, "CONNECT_") {
			env[name] = value
		}
	}

	// The template can be read by anyone, and nothing else can.
	templateURL, isURL := strings.CutPrefix(env["CONNECT_TEMPLATE"], "url ")
	location, err := quickcreate.ParseLocation(templateURL)
	if err != nil || !isURL {
		t.Fatalf("the template is %s: %v", env["CONNECT_TEMPLATE"], err)
	}
	if policy := a.sh("aws s3api get-bucket-policy --bucket " + location.Bucket + " --output text --query Policy | tr -d ' \\n\\t'"); policy !=
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::`+location.Bucket+"/"+location.Key+`"}]}` {
		t.Errorf("the template's bucket has the policy %s", policy)
	}
	if out, ok := a.try("..", "cmp <(aws s3 cp s3://"+location.Bucket+"/"+location.Key+" -) examples/connect/s3-readonly.json"); !ok {
		t.Errorf("the template is another one: %s", out)
	}
	data := env["CONNECT_BUCKET"]
	if out, ok := a.try("..", "aws s3api get-bucket-policy --bucket "+data); ok || !strings.Contains(out, "NoSuchBucketPolicy") {
		t.Errorf("the data's bucket has a policy: %s", out)
	}
	if got := a.sh("aws s3api get-public-access-block --bucket " + data + " --query 'PublicAccessBlockConfiguration.*' --output text"); strings.Fields(got)[0] != "True" || strings.Contains(got, "False") {
		t.Errorf("the data's block of public access is %s", got)
	}

	// Caddy runs as the operator, whom the stand-in's STS knows, too.
	t.Setenv("CONNECT_DEMO_DIR", a.dir)
	for name, value := range env {
		t.Setenv(name, value)
	}
	t.Setenv("CONNECT_KEY", connectKey)
	t.Setenv("CONNECT_TEMPLATE", "file ../examples/connect/s3-readonly.json")
	if _, err := b.AddUser(standin.User{
		ARN: "arn:aws:iam::123456789012:user/operator", AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
	}); err != nil {
		t.Fatal(err)
	}
	broker := a.roleIn(b, env["CONNECT_BROKER"][strings.LastIndexByte(env["CONNECT_BROKER"], '/')+1:])
	caddyfile, err := os.ReadFile(filepath.Join("..", "examples", "connect", "aws", "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	b.runCaddy(strings.NewReplacer(
		"{$CONNECT_SITE:http://localhost:8080}", "http://<site>",
		"service s3", "service s3\nbase_url <s3>\nallow_hosts <s3-host>", "strip_prefix /proxy", "strip_prefix /proxy\ninsecure",
	).Replace(string(caddyfile)))
	var session struct {
		Data struct {
			Link string `json:"connect_link"`
		}
	}
	b.api("POST", "/connect/sessions", `{"allowed_integrations":["acme-s3"],"end_user":{"id":"demo-user-001"}}`, 201, &session)
	c := b.follow(session.Data.Link)
	if principal := c.read(shownPrincipal); principal != broker {
		t.Errorf("the page has %s trusted, and the broker is %s", principal, broker)
	}

	// The customer makes the stack as the page says.
	const stack = "acme-analytics"
	command := regexp.MustCompile(`>(aws cloudformation deploy [^<]*)<`).FindStringSubmatch(c.load("").body)
	if command == nil {
		t.Fatalf("the page has no command: %s", c.load("").body)
	}
	disk := tempDir(t)
	if err := os.WriteFile(filepath.Join(disk, "s3-readonly.json"), []byte(c.load("template/s3-readonly").body), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, ok := a.try(disk, html.UnescapeString(command[1])); !ok {
		t.Fatalf("%s: %s", command[1], out)
	}
	role := a.roleIn(b, a.sh("aws cloudformation describe-stack-resource --logical-resource-id Role --stack-name "+stack+
		" --query StackResourceDetail.PhysicalResourceId --output text"))

	// The broker may assume that role, one made by the page's other commands, and no other.
	policy := a.sh("aws iam get-role-policy --role-name " + broker[strings.LastIndexByte(broker, '/')+1:] +
		" --policy-name AssumeCustomersRoles --query PolicyDocument.Statement[].Resource[] --output text")
	may := func(arn string) bool {
		return slices.ContainsFunc(strings.Fields(policy), func(pattern string) bool {
			return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$").MatchString(arn)
		})
	}
	for arn, want := range map[string]bool{
		role: true, "arn:aws:iam::123456789012:role/Connect-acme-s3": true, "arn:aws:iam::123456789012:role/Admin": false,
	} {
		if may(arn) != want {
			t.Errorf("the broker's policy covers %s: %t, by %s", arn, !want, policy)
		}
	}
	c.submit(role, "").expect(t, "the form", http.StatusSeeOther)
	c.wait("succeeded")

	// S3 is read with the role.
	if err := b.CreateBucket(data); err != nil {
		t.Fatal(err)
	}
	if _, err := b.direct.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(data), Key: aws.String("hello.txt"), Body: strings.NewReader("hello")}); err != nil {
		t.Fatal(err)
	}
	id := b.connected().ID
	for target, answer := range map[string]string{"?list-type=2": "<Key>hello.txt</Key>", "/hello.txt": "hello"} {
		b.do("GET", "/proxy/"+data+target, "", "Authorization: Bearer "+connectKey, "Provider-Config-Key: acme-s3", "Connection-Id: "+id).
			expect(t, target, 200, answer)
	}
	if sessions := b.Sessions(role); !slices.ContainsFunc(sessions, func(s standin.Session) bool { return s.Name == "connect-"+id }) {
		t.Errorf("the role's sessions are %+v", sessions)
	}

	// What others made is left alone: an object in a bucket, and a role that lost the tag.
	brokerName := broker[strings.LastIndexByte(broker, '/')+1:]
	a.sh(fmt.Sprintf("aws s3api put-object --bucket %s --key theirs; aws iam untag-role --role-name %s --tag-keys connect-demo", data, brokerName))
	out, ok := a.try("..", scripts+"down")
	if ok || !strings.Contains(out, "such as theirs") || !strings.Contains(out, "the role "+brokerName+", which lacks the tag") {
		t.Errorf("down: %t %s", ok, out)
	}
	random := strings.TrimPrefix(data, "connect-demo-data-")
	a.sh(fmt.Sprintf("aws s3api delete-object --bucket %s --key theirs; aws iam tag-role --role-name %s --tags Key=connect-demo,Value=%s", data, brokerName, random))
	if out := a.sh(scripts + "down"); !strings.Contains(out, "Nothing is left") || !strings.Contains(out, "stack/"+stack) {
		t.Errorf("down: %s", out)
	}
	if out := a.sh(scripts + "down"); !strings.Contains(out, "nothing to take away") {
		t.Errorf("down, again: %s", out)
	}
	if left := a.sh("aws s3api list-buckets --query 'Buckets[].Name' --output text; aws iam list-roles --query 'Roles[].Arn' --output text"); left != role {
		t.Errorf("left are %s", left)
	}
	if _, err := os.Stat(a.dir); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", a.dir, err)
	}
}
