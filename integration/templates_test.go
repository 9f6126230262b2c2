package integration_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	hosts "github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
)

// template is a CloudFormation template with what a stack of it is made with.
type template struct {
	t      *testing.T
	doc    map[string]any
	params map[string]string
}

// readTemplate reads a template; parameters that are not given have their defaults, and AWS's own are those of
// a partition.
func readTemplate(t *testing.T, name string, partition hosts.Partition, params map[string]string) *template {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "examples", "sts-helper", name))
	if err != nil {
		t.Fatal(err)
	}
	tp := &template{t: t, params: map[string]string{"AWS::Partition": partition.ID, "AWS::URLSuffix": partition.Suffix}}
	if err := json.Unmarshal(text, &tp.doc); err != nil {
		t.Fatal(err)
	}
	for name, p := range tp.doc["Parameters"].(map[string]any) {
		p := p.(map[string]any)
		v, given := params[name]
		if !given {
			if v, given = p["Default"].(string); !given {
				t.Fatalf("%s has no default", name)
			}
		}
		if !accepts(p, v) {
			t.Fatalf("%s does not accept %q", name, v)
		}
		tp.params[name] = v
	}
	for name := range params {
		if _, ok := tp.params[name]; !ok {
			t.Fatalf("there is no parameter %s", name)
		}
	}
	return tp
}

// accepts says whether a parameter takes a value.
func accepts(p map[string]any, v string) bool {
	if pattern, ok := p["AllowedPattern"].(string); ok && !regexp.MustCompile(`^(?:`+pattern+`)$`).MatchString(v) {
		return false
	}
	if allowed, ok := p["AllowedValues"].([]any); ok && !slices.Contains(allowed, any(v)) {
		return false
	}
	least, ok := p["MinLength"].(float64)
	if ok && len(v) < int(least) {
		return false
	}
	most, ok := p["MaxLength"].(float64)
	return !ok || len(v) <= int(most)
}

type noValue struct{}

// resolve evaluates the intrinsic functions in a value.
func (tp *template) resolve(v any) any {
	tp.t.Helper()
	switch v := v.(type) {
	case []any:
		var out []any
		for _, e := range v {
			if r := tp.resolve(e); r != (noValue{}) {
				out = append(out, r)
			}
		}
		return out
	case map[string]any:
		if len(v) == 1 {
			for name, arg := range v {
				if name == "Ref" || name == "Condition" && isString(arg) || strings.HasPrefix(name, "Fn::") {
					return tp.call(name, arg)
				}
			}
		}
		out := make(map[string]any)
		for name, e := range v {
			if r := tp.resolve(e); r != (noValue{}) {
				out[name] = r
			}
		}
		return out
	}
	return v
}

func isString(v any) bool { _, ok := v.(string); return ok }

func (tp *template) call(name string, arg any) any {
	tp.t.Helper()
	switch name {
	case "Ref":
		if arg == "AWS::NoValue" {
			return noValue{}
		}
		if v, ok := tp.params[arg.(string)]; ok {
			return v
		}
		return "ref-of-" + arg.(string)
	case "Fn::GetAtt":
		return fmt.Sprint("att-of-", arg.([]any)[0])
	case "Fn::Sub":
		return regexp.MustCompile(`\$\{([A-Za-z:]+)\}`).ReplaceAllStringFunc(arg.(string), func(s string) string {
			v, ok := tp.params[s[2:len(s)-1]]
			if !ok {
				tp.t.Fatalf("%s is not known", s)
			}
			return v
		})
	case "Condition":
		return tp.resolve(tp.doc["Conditions"].(map[string]any)[arg.(string)])
	case "Fn::Equals":
		both := tp.resolve(arg).([]any)
		return both[0] == both[1]
	case "Fn::Not":
		return !tp.resolve(arg).([]any)[0].(bool)
	case "Fn::If":
		branch := arg.([]any)
		if tp.call("Condition", branch[0]).(bool) {
			return tp.resolve(branch[1])
		}
		return tp.resolve(branch[2])
	}
	tp.t.Fatalf("%s is not known", name)
	return nil
}

// resources returns the resources that a stack would have, by name.
func (tp *template) resources() map[string]map[string]any {
	out := make(map[string]map[string]any)
	for name, r := range tp.doc["Resources"].(map[string]any) {
		r := r.(map[string]any)
		if c, ok := r["Condition"].(string); ok && !tp.call("Condition", c).(bool) {
			continue
		}
		out[name] = map[string]any{"Type": r["Type"]}
		if r["Properties"] != nil {
			out[name]["Properties"] = tp.resolve(r["Properties"])
		}
	}
	return out
}

// statements returns those of a policy document, none of which may have an element that this test does not know.
func statements(t *testing.T, policy any) []map[string]any {
	t.Helper()
	p := policy.(map[string]any)
	if p["Version"] != "2012-10-17" || len(p) != 2 {
		t.Fatalf("the policy is %v", p)
	}
	var all []map[string]any
	for _, s := range p["Statement"].([]any) {
		s := s.(map[string]any)
		for name := range s {
			if !slices.Contains([]string{"Effect", "Principal", "Action", "Resource", "Condition"}, name) {
				t.Fatalf("the statement has %s: %v", name, s)
			}
		}
		if s["Effect"] != "Allow" {
			t.Fatalf("the statement does not allow: %v", s)
		}
		all = append(all, s)
	}
	return all
}

func texts(v any) []string {
	if s, ok := v.(string); ok {
		return []string{s}
	}
	var all []string
	for _, e := range v.([]any) {
		all = append(all, e.(string))
	}
	return all
}

// trusts evaluates a trust policy as IAM does: it lets a principal assume the role with an External ID, or
// without one if that is nil.
func trusts(t *testing.T, policy any, principal string, externalID *string) bool {
	t.Helper()
	for _, s := range statements(t, policy) {
		who, ok := s["Principal"].(map[string]any)
		if !ok || len(who) != 1 {
			t.Fatalf("it trusts %v", s["Principal"])
		}
		if !slices.Equal(texts(s["Action"]), []string{"sts:AssumeRole"}) {
			t.Fatalf("it allows %v", s["Action"])
		}
		if aws, ok := who["AWS"]; !ok || !slices.Contains(texts(aws), principal) {
			continue
		}
		holds := true
		conditions, _ := s["Condition"].(map[string]any)
		for operator, keys := range conditions {
			for key, want := range keys.(map[string]any) {
				if operator != "StringEquals" || key != "sts:ExternalId" {
					t.Fatalf("the condition %s of %s is not known", operator, key)
				}
				holds = holds && externalID != nil && slices.Contains(texts(want), *externalID)
			}
		}
		if holds {
			return true
		}
	}
	return false
}

// TestCustomerTemplate: in every partition, the role that the template makes can be assumed by the broker with
// the External ID and in no other way, and can only read one bucket.
func TestCustomerTemplate(t *testing.T) {
	for _, partition := range hosts.Partitions() {
		broker := "arn:" + partition.ID + ":iam::123456789012:role/Broker"
		tp := readTemplate(t, "customer-role.json", partition, map[string]string{"BrokerArn": broker, "ExternalId": "acme:1bdff5dc", "BucketName": "my-bucket"})
		resources := tp.resources()
		if len(resources) != 1 || resources["Role"]["Type"] != "AWS::IAM::Role" {
			t.Fatalf("it makes %v", resources)
		}
		role := resources["Role"]["Properties"].(map[string]any)
		if role["RoleName"] != nil {
			t.Error("a role with a fixed name needs CAPABILITY_NAMED_IAM, and there can be one only")
		}
		if role["ManagedPolicyArns"] != nil || role["Path"] != "/sts-helper/" {
			t.Errorf("the role is %v", role)
		}

		trust := role["AssumeRolePolicyDocument"]
		id := func(s string) *string { return &s }
		for _, tc := range []struct {
			who  string
			id   *string
			want bool
		}{
			{broker, id("acme:1bdff5dc"), true},
			{broker, id("acme:1bdff5dd"), false},
			{broker, id("ACME:1bdff5dc"), false},
			{broker, id("acme:1bdff5dc "), false},
			{broker, id("*"), false},
			{broker, id(""), false},
			{broker, nil, false},
			{broker + "2", id("acme:1bdff5dc"), false},
			{"arn:" + partition.ID + ":iam::123456789012:root", id("acme:1bdff5dc"), false},
			{"*", id("acme:1bdff5dc"), false},
		} {
			if got := trusts(t, trust, tc.who, tc.id); got != tc.want {
				t.Errorf("%s: %s with %v: got %v, want %v", partition.ID, tc.who, tc.id, got, tc.want)
			}
		}

		bucket := "arn:" + partition.ID + ":s3:::my-bucket"
		for _, p := range role["Policies"].([]any) {
			for _, s := range statements(t, p.(map[string]any)["PolicyDocument"]) {
				for _, action := range texts(s["Action"]) {
					if !slices.Contains([]string{"s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation"}, action) {
						t.Errorf("%s: %s does more than read", partition.ID, action)
					}
				}
				for _, resource := range texts(s["Resource"]) {
					if resource != bucket && resource != bucket+"/*" {
						t.Errorf("%s: it covers %s", partition.ID, resource)
					}
				}
			}
		}
		if out := tp.resolve(tp.doc["Outputs"]).(map[string]any)["RoleArn"].(map[string]any)["Value"]; out != "att-of-Role" {
			t.Errorf("the output RoleArn is %v", out)
		}
	}
}

// TestCustomerTemplateParameters: what would make the trust policy mean something else is refused.
func TestCustomerTemplateParameters(t *testing.T) {
	tp := readTemplate(t, "customer-role.json", hosts.Partitions()[0], map[string]string{
		"BrokerArn": "arn:aws:iam::123456789012:user/team/Broker", "ExternalId": "ab", "BucketName": "abc",
	})
	parameters := tp.doc["Parameters"].(map[string]any)
	for name, bad := range map[string][]string{
		"ExternalId": {"", "a", "*x ", "a b", "${aws:username}", "a*", "a?", "\u00e9\u00e9", "ab\n", strings.Repeat("x", 1225)},
		"BrokerArn":  {"", "*", "123456789012", "arn:aws:iam::123456789012:root", "arn:aws:iam::*:role/x", "arn:aws:iam::123456789012:role/*", "arn:aws:iam::123456789012:role/*/x", "arn:aws:iam::123456789012:group/x"},
		"BucketName": {"", "*", "my-bucket/*", "My-Bucket", "s3://b", "a?b"},
	} {
		if _, ok := parameters[name].(map[string]any)["Default"]; ok {
			t.Errorf("%s has a default", name)
		}
		for _, v := range bad {
			if accepts(parameters[name].(map[string]any), v) {
				t.Errorf("%s accepts %q", name, v)
			}
		}
	}
}

// TestBrokerTemplate: the broker may assume customers' roles of its partition and nothing else, wherever it runs.
func TestBrokerTemplate(t *testing.T) {
	for _, partition := range hosts.Partitions() {
		for runsOn, want := range map[string][]string{
			"ec2":       {"AssumeCustomerRoles", "InstanceProfile", "Role"},
			"ecs":       {"AssumeCustomerRoles", "Role"},
			"elsewhere": {"AssumeCustomerRoles", "User"},
		} {
			tp := readTemplate(t, "broker.json", partition, map[string]string{"RunsOn": runsOn})
			resources := tp.resources()
			var names []string
			for name := range resources {
				names = append(names, name)
			}
			slices.Sort(names)
			if !slices.Equal(names, want) {
				t.Errorf("%s on %s: it makes %v, want %v", partition.ID, runsOn, names, want)
			}
			policy := resources["AssumeCustomerRoles"]["Properties"].(map[string]any)
			principal := "Users"
			if runsOn != "elsewhere" {
				principal = "Roles"
				service := resources["Role"]["Properties"].(map[string]any)["AssumeRolePolicyDocument"]
				who := statements(t, service)[0]["Principal"].(map[string]any)["Service"].(string)
				if !strings.HasPrefix(who, runsOn) {
					t.Errorf("%s on %s: its role trusts %s", partition.ID, runsOn, who)
				}
			}
			if attached, _ := policy[principal].([]any); len(attached) != 1 || policy["Users"] != nil && policy["Roles"] != nil {
				t.Errorf("%s on %s: the policy is attached to %v and %v", partition.ID, runsOn, policy["Roles"], policy["Users"])
			}
			all := statements(t, policy["PolicyDocument"])
			if len(all) != 1 || !slices.Equal(texts(all[0]["Action"]), []string{"sts:AssumeRole", "sts:TagSession"}) ||
				!slices.Equal(texts(all[0]["Resource"]), []string{"arn:" + partition.ID + ":iam::*:role/sts-helper/*"}) {
				t.Errorf("%s on %s: it may %v", partition.ID, runsOn, all)
			}
		}
	}
}

// TestTemplatesPassCfnLint asks AWS's own linter, where it is installed.
func TestTemplatesPassCfnLint(t *testing.T) {
	linter, err := exec.LookPath("cfn-lint")
	if err != nil {
		t.Skip("SKIPPED: cfn-lint is not installed (it is a Python package); the tests above evaluated the templates by themselves")
	}
	templates, err := filepath.Glob(filepath.Join("..", "examples", "*", "*.json"))
	if err != nil || len(templates) < 2 {
		t.Fatalf("%v, %v", templates, err)
	}
	if out, err := exec.Command(linter, append([]string{"--non-zero-exit-code", "informational", "--regions", "us-east-1", "cn-north-1", "us-gov-west-1", "--"}, templates...)...).CombinedOutput(); err != nil {
		t.Errorf("cfn-lint: %v\n%s", err, out)
	}
}
