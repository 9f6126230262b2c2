package cfn

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
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
		t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
	}
}

func TestJSONAndYAMLSayTheSame(t *testing.T) {
	for format, file := range map[string]string{"yaml": "reports.yaml", "json": "reports.json"} {
		template := parseFile(t, file)
		if template.Format != format || template.Size < 1000 {
			t.Errorf("%s: %s, %d bytes", file, template.Format, template.Size)
		}
		golden(t, "reports.golden", describe(template))
	}
}

func TestCarelessTemplateIsReadAsItIs(t *testing.T) {
	golden(t, "careless.golden", describe(parseFile(t, "careless.json")))
}

func TestTemplatesThatAreRefused(t *testing.T) {
	const rest = "\nResources: {R: {Type: AWS::SNS::Topic}}\n"
	deep := strings.Repeat("[", 70) + strings.Repeat("]", 70)
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":                    {"", "the template is empty"},
		"comments":                   {"# nothing\n", "the template is empty"},
		"a text":                     {"hello", "no mapping of sections"},
		"a page":                     {"<!DOCTYPE html>\n<p>a: b</p>", "the template is no YAML"},
		"a list":                     {"- a", "no mapping of sections"},
		"no resources":               {"Parameters: {}", "no Resources"},
		"empty resources":            {"Resources: {}", "no Resources"},
		"JSON cut off":               {`{"Resources": {`, "line 1: "},
		"JSON with a comma too many": {"{\n\"Resources\": {\"R\": {\"Type\": \"T\"},}\n}", "line 2: "},
		"YAML in braces":             {"{Resources: {R: {Type: T}}}", "line 1: "},
		"JSON and more":              {`{"Resources": {"R": {"Type": "T"}}} {}`, "line 1: something follows"},
		"JSON with a key twice":      {"{\"Resources\": {\"R\": {\"Type\": \"T\"}},\n \"Resources\": {}}", `line 2: the key "Resources" comes twice`},
		"YAML with a key twice":      {"Resources: {R: {Type: T}}\nResources: {}", `the key "Resources" comes twice`},
		"YAML that is none":          {"a: b: c", "the template is no YAML"},
		"YAML with a tab":            {"Resources:\n\tR: {Type: T}", "the template is no YAML"},
		"two documents":              {"a: 1\n---\nb: 2", "more than one YAML document"},
		"an alias":                   {"Parameters:\n  A: &a {Type: String}\n  B: *a" + rest, "line 3: CloudFormation takes no YAML alias"},
		"an alias bomb":              {"a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]" + rest, "no YAML alias"},
		"an alias of itself":         {"a: &a [*a]" + rest, "no YAML alias"},
		"a merge key":                {"a: {x: 1}\nb:\n  <<: {y: 2}" + rest, "no YAML merge key"},
		"an unknown function":        {"a: !Reff b" + rest, `"!Reff" is no function of CloudFormation`},
		"a tag of Python":            {"a: !!python/object:os.system x" + rest, "is no function of CloudFormation"},
		"binary":                     {"a: !!binary aGVsbG8=" + rest, "is no function of CloudFormation"},
		"a key that is a list":       {"? [a]\n: b" + rest, "a key must be a string"},
		"a key that is a function":   {"!Ref a: b" + rest, "a key must be a string"},
		"YAML too deep":              {"a: " + deep + rest, "deeper than 64"},
		"JSON too deep":              {`{"a": ` + deep + "}", "deeper than 64"},
		"YAML far too deep":          {strings.Repeat("- ", 100000), "the template is no YAML"},
		"JSON far too deep":          {`{"a":` + strings.Repeat("[", 500000), "deeper than 64"},
		"too large":                  {strings.Repeat("#", MaxSize+1), "1048577 bytes"},
		"another encoding":           {"a: \xff", "not UTF-8"},
		"UTF-16":                     {"\xfe\xff\x00a", "not UTF-8"},
		"a control character":        {"a: \x01", "the template is no YAML"},
		"a resource without a type":  {"Resources:\n  R: {Properties: {}}", "line 2: resource R has no Type"},
		"a resource with a name":     {"Resources: {a-b: {Type: T}}", `the resource's name "a-b"`},
		"parameters as a list":       {"Parameters: [a]" + rest, "Parameters is no mapping"},
		"a parameter's name":         {"Parameters: {a_b: {Type: String}}" + rest, `parameter "a_b": its name`},
		"no type":                    {"Parameters:\n  A: {Default: x}" + rest, `line 2: parameter "A": it has no Type`},
		"a default that is a list":   {"Parameters: {A: {Type: String, Default: [a]}}" + rest, "its Default is no string"},
		"a default that is computed": {"Parameters: {A: {Type: String, Default: !Ref B}}" + rest, "its Default is no string"},
		"a length that is none":      {"Parameters: {A: {Type: String, MinLength: few}}" + rest, "its MinLength is no length"},
		"a length below zero":        {"Parameters: {A: {Type: String, MaxLength: -1}}" + rest, "its MaxLength is no length"},
		"NoEcho with a function":     {"Parameters: {A: {Type: String, NoEcho: !Ref B}}" + rest, "NoEcho is neither"},
		"NoEcho as a question":       {"Parameters: {A: {Type: String, NoEcho: maybe}}" + rest, "NoEcho is neither"},
		"allowed values as one":      {"Parameters: {A: {Type: String, AllowedValues: a}}" + rest, "AllowedValues are no list"},
		"no allowed value":           {"Parameters: {A: {Type: String, AllowedValues: []}}" + rest, "AllowedValues are no list"},
		"an allowed value as a list": {"Parameters: {A: {Type: String, AllowedValues: [[a]]}}" + rest, "one of its AllowedValues"},
		"many parameters":            {"Parameters:\n" + numbered(201, "  P%d: {Type: String}\n") + rest, "201 parameters"},
		"many resources":             {"Resources:\n" + numbered(501, "  R%d: {Type: T}\n"), "501 resources"},
	} {
		got, err := Parse([]byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) || got != nil || strings.ContainsAny(err.Error(), "\n\x00\x01") || len(err.Error()) > 400 {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func numbered(n int, line string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Replace(line, "%d", strings.Repeat("I", i+1), 1))
	}
	return b.String()
}

func TestTemplatesInOddShapes(t *testing.T) {
	for name, text := range map[string]string{
		"a byte order mark and JSON": "\ufeff" + `{"Resources": {"R": {"Type": "AWS::SNS::Topic"}}}`,
		"a byte order mark and YAML": "\ufeffResources: {R: {Type: AWS::SNS::Topic}}",
		"JSON with escapes":          `{"Resources": {"R": {"Type": "AWS:\u003aSNS::Topic", "\ud83d\ude00": "\/"}}}`,
		"JSON with tabs":             "{\t\"Resources\":\t{\"R\":\t{\"Type\": \"AWS::SNS::Topic\"}}}",
		"a start of a document":      "---\nResources:\n  R:\n    Type: AWS::SNS::Topic\n...\n",
		"an anchor without an alias": "Resources: {R: &r {Type: AWS::SNS::Topic}}",
		"Windows' line ends":         "Resources:\r\n  R:\r\n    Type: AWS::SNS::Topic\r\n",
		"null sections":              "Parameters:\nOutputs: null\nConditions: ~\nResources: {R: {Type: AWS::SNS::Topic}}",
		"a function without a value": "Metadata: !Ref\nResources: {R: {Type: AWS::SNS::Topic}}",
	} {
		got, err := Parse([]byte(text))
		if err != nil || len(got.Others) != 1 || got.Others[0].Type != "AWS::SNS::Topic" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestCapabilities(t *testing.T) {
	for text, want := range map[string][]string{
		"Resources: {R: {Type: AWS::SNS::Topic}}":                                                                              nil,
		"Resources: {R: {Type: AWS::IAM::Role}}":                                                                               {"CAPABILITY_IAM"},
		"Resources: {R: {Type: AWS::IAM::RolePolicy, Properties: {RoleName: a, PolicyName: b}}}":                               {"CAPABILITY_IAM"},
		"Resources: {R: {Type: AWS::IAM::AccessKey, Properties: {UserName: a}}}":                                               {"CAPABILITY_IAM"},
		"Resources: {R: {Type: AWS::IAM::Role, Properties: {RoleName: a}}}":                                                    {"CAPABILITY_NAMED_IAM"},
		"Resources: {R: {Type: AWS::IAM::Role, Properties: {RoleName: !If [A, a, !Ref AWS::NoValue]}}}":                        {"CAPABILITY_NAMED_IAM"},
		"Resources: {R: {Type: AWS::IAM::Role, Properties: {RoleName: !Ref AWS::NoValue}}}":                                    {"CAPABILITY_IAM"},
		"Resources: {R: {Type: AWS::IAM::ManagedPolicy, Properties: {ManagedPolicyName: a}}}":                                  {"CAPABILITY_NAMED_IAM"},
		"Resources: {R: {Type: AWS::CloudFormation::Stack}}":                                                                   {"CAPABILITY_AUTO_EXPAND"},
		"Transform: AWS::Serverless-2016-10-31\nResources: {R: {Type: AWS::IAM::Role}}":                                        {"CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"},
		"Transform: [AWS::LanguageExtensions]\nResources: {'Fn::ForEach::Roles': [A, [b], {'R${A}': {Type: AWS::IAM::Role}}]}": {"CAPABILITY_AUTO_EXPAND"},
	} {
		if got := parse(t, text).Capabilities; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestShort(t *testing.T) {
	for text, want := range map[string]string{
		"a":                                   "a",
		"!Ref A":                              "${A}",
		"{Ref: A}":                            "${A}",
		"!GetAtt A.Arn":                       "${A.Arn}",
		"!GetAtt [A, Outputs.Arn]":            "${A.Outputs.Arn}",
		"{'Fn::GetAtt': A.Arn}":               "${A.Arn}",
		"!Sub 'a ${A} ${ B } ${!C} ${A.b}'":   "a ${A} ${B} ${C} ${A.b}",
		"!Sub ['${A}-${B}', {A: !Ref X}]":     "${X}-${B}",
		"!Sub ['${A}', {A: '${B}', B: c}]":    "${B}",
		"!Sub 'a $ {b} $$ ${} ${${A}}'":       "a $ {b} $$ ${} ${${A}}",
		"!Join [':', [a, !Ref B]]":            "a:${B}",
		"!Join [',', !Ref A]":                 "Join(\",\", ${A})",
		"!If [C, a, !Ref AWS::NoValue]":       "If(C, a, ${AWS::NoValue})",
		"!FindInMap [M, !Ref AWS::Region, x]": "FindInMap(M, ${AWS::Region}, x)",
		"!Select [0, !GetAZs '']":             "Select(0, GetAZs(\"\"))",
		"!ImportValue {'Fn::Sub': '${S}-x'}":  "ImportValue(${S}-x)",
		"!Base64 a":                           "Base64(a)",
		"[a, [b]]":                            "[a, [b]]",
		"{a: 1, b: {c: 'x, y'}}":              "{a: 1, b: {c: \"x, y\"}}",
		"{a: 1, b: {c: x}}":                   "{a: 1, b: {c: x}}",
		"{Ref: [a]}":                          "Ref(a)",
		"!Sub [a]":                            "Sub(a)",
		"!Sub {a: b}":                         "Sub({a: b})",
		"~":                                   "",
		"yes":                                 "true",
		"'yes'":                               "yes",
		"Off":                                 "false",
		"0123":                                "0123",
		"2012-10-17":                          "2012-10-17",
		"1e3":                                 "1e3",
		"!!str 5":                             "5",
		"\"a\\nb\"":                           "a\nb",
	} {
		template := parse(t, "Resources: {R: {Type: T}}\nOutputs:\n  O:\n    Value: "+text)
		if got := template.Outputs[0].Value; got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
}

// TestShortStaysShort gives substitutions that double what they are given sixty times over.
func TestShortStaysShort(t *testing.T) {
	text := "x"
	for range 15 {
		text = "!Sub ['${a}${a}${a}${a}', {a: " + text + "}]"
	}
	got := parse(t, "Resources: {R: {Type: T}}\nOutputs:\n  O:\n    Value: "+text).Outputs[0].Value
	if len(got) > maxShort+len("…") || !strings.HasSuffix(got, "…") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
	text = "Resources: {R: {Type: T}}\nOutputs: {O: {Value: '" + strings.Repeat("é", maxShort) + "'}}"
	if got := parse(t, text).Outputs[0].Value; got != strings.Repeat("é", maxShort/2)+"…" {
		t.Errorf("%d bytes", len(got))
	}
}
