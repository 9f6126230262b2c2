package trust

import (
	"bytes"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

func testRole(t *testing.T) Role {
	t.Helper()
	return Role{
		Name:               "Acme.Connect",
		Trust:              Policy{Principal: principal(t, "aws-us-gov", "arn:aws-us-gov:iam::123456789012:role/Broker"), ExternalID: id, TagSession: true},
		MaxSessionDuration: 2 * time.Hour,
		ManagedPolicies:    []string{"arn:aws-us-gov:iam::aws:policy/AmazonS3ReadOnlyAccess", "arn:aws-us-gov:iam::210987654321:policy/team/Reports"},
		Permissions: `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"],
			"Resource": "arn:aws-us-gov:s3:::home/${aws:username}/it's*", "Condition": {"Bool": {"aws:SecureTransport": true}, "NumericLessThan": {"s3:max-keys": 10}}}}`,
	}
}

func TestRoleAsText(t *testing.T) {
	full := testRole(t)
	small := Role{Name: "1st", Trust: Policy{Principal: principal(t, "aws", "123456789012"), ExternalID: id}}
	for name, write := range map[string]func() (string, error){
		"create.sh":       full.CreateCommands,
		"update.sh":       full.UpdateCommand,
		"role.tf":         full.Terraform,
		"small-create.sh": small.CreateCommands,
		"small-role.tf":   small.Terraform,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := write()
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestShellsRunWhatIsWritten has a shell run the commands with a function in place of the AWS CLI,
// which prints what it is called with.
func TestShellsRunWhatIsWritten(t *testing.T) {
	role := testRole(t)
	role.Name = "a+b=c,d.e@f-g_1"
	role.Trust.Principal = principal(t, "aws-us-gov", "arn:aws-us-gov:iam::123456789012:role/a'$(touch-x)`b`\\/\"q\"/Broker")
	commands, err := role.CreateCommands()
	if err != nil {
		t.Fatal(err)
	}
	trust, err := role.Trust.JSON()
	if err != nil {
		t.Fatal(err)
	}
	calls := runCommands(t, commands)
	if len(calls) != 5 {
		t.Fatalf("%d calls: %q", len(calls), calls)
	}
	name := []string{"--role-name", role.Name}
	for i, want := range [][]string{
		append(append([]string{"iam", "create-role"}, name...), "--max-session-duration", "7200", "--assume-role-policy-document", trust),
		append(append([]string{"iam", "attach-role-policy"}, name...), "--policy-arn", role.ManagedPolicies[0]),
		append(append([]string{"iam", "attach-role-policy"}, name...), "--policy-arn", role.ManagedPolicies[1]),
		append(append([]string{"iam", "put-role-policy"}, name...), "--policy-name", "Access", "--policy-document", "?"),
		append(append([]string{"iam", "get-role"}, name...), "--query", "Role.Arn", "--output", "text"),
	} {
		if i == 3 && len(calls[i]) == len(want) {
			assertSameJSON(t, calls[i][len(want)-1], role.Permissions)
			want[len(want)-1] = calls[i][len(want)-1]
		}
		if !reflect.DeepEqual(calls[i], want) {
			t.Errorf("call %d is\n%q, want\n%q", i, calls[i], want)
		}
	}

	command, err := role.UpdateCommand()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"iam", "update-assume-role-policy", "--role-name", role.Name, "--policy-document", trust}
	if calls := runCommands(t, command); len(calls) != 1 || !reflect.DeepEqual(calls[0], want) {
		t.Errorf("%q, want %q", calls, want)
	}
}

func TestCommandsStopAtTheFirstThatFails(t *testing.T) {
	commands, err := testRole(t).CreateCommands()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", "-c", "aws() { echo called; return 254; }\n"+commands).Output()
	if err == nil || string(out) != "called\n" {
		t.Errorf("%v, printed %q", err, out)
	}
}

// runCommands returns the arguments of each call of aws.
func runCommands(t *testing.T, commands string) [][]string {
	t.Helper()
	cmd := exec.Command("sh", "-c", "aws() { printf '%s\\0' \"$@\"; printf '\\1\\0'; }\n"+commands)
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, commands)
	}
	var calls [][]string
	for call := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte("\x01\x00")), []byte("\x01\x00")) {
		calls = append(calls, strings.Split(strings.TrimSuffix(string(call), "\x00"), "\x00"))
	}
	return calls
}

func assertSameJSON(t *testing.T, a, b string) {
	t.Helper()
	var x, y any
	if err := json.Unmarshal([]byte(a), &x); err != nil {
		t.Fatalf("%v in %q", err, a)
	}
	if err := json.Unmarshal([]byte(b), &y); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(x, y) {
		t.Errorf("%s\nis not\n%s", a, b)
	}
}

func TestRolesThatAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Role)
		want   string
	}{
		"no name":                      {func(r *Role) { r.Name = "" }, "no name of a role"},
		"a path in the name":           {func(r *Role) { r.Name = "a/b" }, "no name of a role"},
		"a quote in the name":          {func(r *Role) { r.Name = "a'b" }, "no name of a role"},
		"a long name":                  {func(r *Role) { r.Name = strings.Repeat("a", 65) }, "no name of a role"},
		"half an hour":                 {func(r *Role) { r.MaxSessionDuration = 30 * time.Minute }, "1 to 12 hours"},
		"thirteen hours":               {func(r *Role) { r.MaxSessionDuration = 13 * time.Hour }, "1 to 12 hours"},
		"half a second":                {func(r *Role) { r.MaxSessionDuration = time.Hour + time.Second/2 }, "1 to 12 hours"},
		"a policy of another world":    {func(r *Role) { r.ManagedPolicies = []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"} }, "arn:aws-us-gov:iam::aws:policy/NAME"},
		"a role as a policy":           {func(r *Role) { r.ManagedPolicies = []string{"arn:aws-us-gov:iam::aws:role/x"} }, "not the ARN of a managed policy"},
		"a policy without a name":      {func(r *Role) { r.ManagedPolicies = []string{"arn:aws-us-gov:iam::aws:policy/"} }, "not the ARN of a managed policy"},
		"a policy with two lines":      {func(r *Role) { r.ManagedPolicies = []string{"arn:aws-us-gov:iam::aws:policy/a\nb"} }, "not the ARN of a managed policy"},
		"permissions that are no JSON": {func(r *Role) { r.Permissions = "{" }, "not the JSON of a policy"},
		"two documents":                {func(r *Role) { r.Permissions = "{} {}" }, "something follows its end"},
		"a list":                       {func(r *Role) { r.Permissions = "[]" }, "no policy document"},
		"a member twice":               {func(r *Role) { r.Permissions = `{"a":{"b":1,"b":2}}` }, `"b" comes twice`},
		"too deep":                     {func(r *Role) { r.Permissions = strings.Repeat("[", 30) + strings.Repeat("]", 30) }, "deeper than 20"},
		"an escape to the terminal":    {func(r *Role) { r.Permissions = "{\"a\":\"\u009b\"}" }, "control character"},
		"too large":                    {func(r *Role) { r.Permissions = `{"a":"` + strings.Repeat("x", MaxPermissionsSize) + `"}` }, "IAM takes 10240"},
		"far too large":                {func(r *Role) { r.Permissions = strings.Repeat(" ", 1<<20) }, "at most 10240"},
		"no External ID":               {func(r *Role) { r.Trust.ExternalID = "" }, "External ID"},
	} {
		role := testRole(t)
		tt.change(&role)
		for _, write := range []func() (string, error){role.CreateCommands, role.UpdateCommand, role.Terraform, func() (string, error) { return "", role.Check() }} {
			got, err := write()
			if err == nil || !strings.Contains(err.Error(), tt.want) || got != "" {
				t.Errorf("%s: %q, %v, want %q", name, got, err, tt.want)
			}
		}
	}
}

func TestQuoteHCL(t *testing.T) {
	for text, want := range map[string]string{
		"":           `""`,
		"plain":      `"plain"`,
		`a"b\c`:      `"a\"b\\c"`,
		"a\nb\tc":    `"a\nb\u0009c"`,
		"${x}":       `"\u0024{x}"`,
		"$${x}":      `"$\u0024{x}"`,
		"%{if true}": `"\u0025{if true}"`,
		"$x %d {y}":  `"$x %d {y}"`,
		"$":          `"$"`,
		"日":          `"日"`,
	} {
		if got := QuoteHCL(text); got != want {
			t.Errorf("QuoteHCL(%q) = %s, want %s", text, got, want)
		}
	}
}

// TestTerraformReadsWhatIsWritten has Terraform itself, if it is there, evaluate generated strings
// and documents, and say whether a role is formatted as it would format it.
func TestTerraformReadsWhatIsWritten(t *testing.T) {
	terraform, err := exec.LookPath("terraform")
	if err != nil {
		t.Skip("SKIPPED: no terraform on this machine; TestQuoteHCL and the golden files stand in for it")
	}
	dir := t.TempDir()
	run := func(stdin string, args ...string) string {
		var stderr bytes.Buffer
		cmd := exec.Command(terraform, args...)
		cmd.Dir, cmd.Stdin, cmd.Stderr = dir, strings.NewReader(stdin), &stderr
		cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+os.DevNull, "CHECKPOINT_DISABLE=1", "TF_CLI_ARGS=")
		out, err := cmd.Output()
		if err != nil && args[0] == "version" {
			t.Skipf("SKIPPED: terraform does not run here: %v\n%s", err, stderr.Bytes())
		} else if err != nil {
			t.Fatalf("terraform %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.Bytes())
		}
		return string(out)
	}
	run("", "version")

	for _, name := range []string{"role.tf", "small-role.tf"} {
		text, err := os.ReadFile(filepath.Join("testdata", name+".golden"))
		if err != nil {
			t.Fatal(err)
		}
		if got := run(string(text), "fmt", "-"); got != string(text) {
			t.Errorf("terraform fmt makes of %s\n%s", name, got)
		}
	}

	runes := []rune("ab Z{}{}$$%%%\"\\\n\t'`~#/*<>é日𝕏")
	rng := rand.New(rand.NewPCG(3, 4))
	texts := []any{"", "${", "%{", "$${a}", "$$${a}", "%%%{a}", `\${a}`, `\u0024{a}`, "$", "${${a}}", "~}", "<<EOT", "\u0085\x7f"}
	for range 500 {
		text := make([]rune, rng.IntN(10))
		for i := range text {
			text[i] = runes[rng.IntN(len(runes))]
		}
		texts = append(texts, string(text))
	}
	permissions, err := parseJSON(testRole(t).Permissions)
	if err != nil {
		t.Fatal(err)
	}
	document := object{
		{"texts", texts},
		{"permissions", permissions},
		{"for", []any{nil, true, json.Number("1.5e3"), object{}, []any{}}},
		{"${key}", "x"},
	}
	config := "output \"document\" {\n  value = jsonencode(" + asHCL(document, step) + ")\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := run(config, "fmt", "-"); got != config {
		t.Error("terraform fmt changes the generated document")
	}
	run("", "apply", "-auto-approve", "-no-color")
	var got string
	if err := json.Unmarshal([]byte(run("", "output", "-json", "document")), &got); err != nil {
		t.Fatal(err)
	}
	assertSameJSON(t, got, asJSON(document))
}

// FuzzPermissions: no panic; what is accepted is the same JSON in the command.
func FuzzPermissions(f *testing.F) {
	f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
	f.Add(`{"a":[1,true,null,"$${x}",{}]}`)
	f.Add(`{"a":1,"a":2}`)
	f.Add(`[[[`)
	f.Fuzz(func(t *testing.T, text string) {
		role := testRole(t)
		role.Permissions = text
		if role.Check() != nil || text == "" {
			return
		}
		document, err := parseJSON(text)
		if err != nil {
			t.Fatal(err)
		}
		assertSameJSON(t, asJSON(document), text)
		if _, err := role.Terraform(); err != nil {
			t.Fatal(err)
		}
	})
}
