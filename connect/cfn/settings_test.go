package cfn

import (
	"reflect"
	"strings"
	"testing"
)

func TestSettingsThatFit(t *testing.T) {
	template := parseFile(t, "reports.yaml")
	for _, settings := range []Settings{
		{ExternalIDParameter: "ExternalId"},
		{ExternalIDParameter: "ExternalId", PrincipalParameter: "Principal", Parameters: map[string]string{"Bucket": "my-bucket", "Days": "30.5", "Lists": "yes"}},
	} {
		if err := template.Check(settings); err != nil {
			t.Errorf("%+v: %v", settings, err)
		}
	}
}

func TestSettingsThatHaveDrifted(t *testing.T) {
	template := parseFile(t, "reports.yaml")
	const has = "; it has ExternalId, Principal, Bucket, Lists, Days, Note"
	for name, tt := range map[string]struct {
		settings Settings
		want     []string
	}{
		"no External ID":    {Settings{}, []string{"`external_id_parameter NAME`", "ExternalId, Principal"}},
		"none of that name": {Settings{ExternalIDParameter: "ExtId"}, []string{`the template has no parameter "ExtId" for the External ID` + has}},
		"another case":      {Settings{ExternalIDParameter: "ExternalID"}, []string{`no parameter "ExternalID" for the External ID, but one that is written ExternalId`}},
		"a number":          {Settings{ExternalIDParameter: "Days"}, []string{`parameter Days is of type "Number", and an External ID is a String`}},
		"a choice":          {Settings{ExternalIDParameter: "Lists"}, []string{"parameter Lists has AllowedValues"}},
		"a fixed External ID": {
			Settings{ExternalIDParameter: "ExternalId", Parameters: map[string]string{"ExternalId": "the-same"}},
			[]string{"parameter ExternalId takes the External ID: remove the value"},
		},
		"twice": {
			Settings{ExternalIDParameter: "ExternalId", PrincipalParameter: "ExternalId"},
			[]string{"parameter ExternalId can't take both the External ID and the vendor's principal"},
		},
		"no account, no principal": {
			Settings{ExternalIDParameter: "ExternalId", AccountParameter: "Account", PrincipalParameter: "Who"},
			[]string{`no parameter "Account" for the vendor's account` + has, `no parameter "Who" for the vendor's principal` + has},
		},
		"each that is unknown": {
			Settings{ExternalIDParameter: "ExternalId", Parameters: map[string]string{"Zone": "a", "bucket": "my-bucket", "Bucket": "my-bucket", "Area": "b"}},
			[]string{`no parameter "Area"` + has, `no parameter "Zone"` + has, `no parameter "bucket", but one that is written Bucket`},
		},
		"values that are refused": {
			Settings{ExternalIDParameter: "ExternalId", Parameters: map[string]string{"Bucket": "ab", "Days": "31", "Lists": "maybe"}},
			[]string{"parameter Bucket: the value has 2 characters", `("the name of a bucket")`, "parameter Days: the value is more than 30.5", `parameter Lists: the value is none of "yes, no"`},
		},
	} {
		err := template.Check(tt.settings)
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
		if err != nil && strings.Count(err.Error(), "; ")+1-strings.Count(err.Error(), has) > len(tt.want) {
			t.Errorf("%s: more than %q in %v", name, tt.want, err)
		}
		if _, other := template.Arguments(tt.settings, Values{"id", "123456789012", "x"}); other == nil || other.Error() != err.Error() {
			t.Errorf("%s: Arguments says %v and Check %v", name, other, err)
		}
	}
	if err := parse(t, "Resources: {R: {Type: T}}").Check(Settings{ExternalIDParameter: "ExternalId"}); err == nil || !strings.Contains(err.Error(), `"ExternalId" for the External ID; it has none`) {
		t.Error(err)
	}
}

// TestCustomersDoNotChooseWhomTheyTrust: a principal that is a parameter, which nobody but the customer would fill in.
func TestCustomersDoNotChooseWhomTheyTrust(t *testing.T) {
	template := func(more, principal string) *Template {
		return parse(t, `
Parameters: {ExternalId: {Type: String}, GullArn: {Type: String`+more+`}}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: {Effect: Allow, Principal: {AWS: `+principal+`}, Action: "sts:AssumeRole", Condition: {StringEquals: {"sts:ExternalId": !Ref ExternalId}}}`)
	}
	const ref, account = "!Ref GullArn", `!Sub "arn:aws:iam::${GullArn}:root"`
	for name, tt := range map[string]struct {
		template *Template
		settings Settings
		want     string
	}{
		"nobody fills it in":          {template("", ref), Settings{}, "role Role: its Principal is the parameter GullArn, which each customer would choose: write principal_parameter GullArn"},
		"an account":                  {template("", account), Settings{}, "role Role: its Principal has the parameter GullArn in it, which each customer would choose: write account_parameter GullArn"},
		"the principal":               {template("", ref), Settings{PrincipalParameter: "GullArn"}, ""},
		"the account":                 {template("", account), Settings{AccountParameter: "GullArn"}, ""},
		"a value of the operator's":   {template("", ref), Settings{Parameters: map[string]string{"GullArn": "arn:aws:iam::111122223333:root"}}, ""},
		"a default of the template's": {template(", Default: x", ref), Settings{}, ""},
		"one of the vendor's choice":  {template(", AllowedValues: [x, y]", ref), Settings{}, ""},
	} {
		tt.settings.ExternalIDParameter = "ExternalId"
		err := tt.template.Check(tt.settings)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || err.Error() != tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestArguments(t *testing.T) {
	template := parseFile(t, "reports.yaml")
	settings := Settings{ExternalIDParameter: "ExternalId", PrincipalParameter: "Principal", Parameters: map[string]string{"Lists": "yes"}}
	got, err := template.Arguments(settings, Values{ExternalID: "id-1", Account: "not used", Principal: "arn:aws:iam::123456789012:role/Other"})
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		name, value  string
		set, missing bool
	}
	var rows []row
	for _, a := range got {
		rows = append(rows, row{a.Name, a.Value, a.Set, a.Missing()})
	}
	want := []row{
		{"ExternalId", "id-1", true, false},
		{"Principal", "arn:aws:iam::123456789012:role/Other", true, false},
		{"Bucket", "", false, true},
		{"Lists", "yes", true, false},
		{"Days", "", false, false},
		{"Note", "", false, false},
	}
	if !reflect.DeepEqual(rows, want) {
		t.Errorf("%+v, want %+v", rows, want)
	}
	if len(settings.Parameters) != 1 {
		t.Errorf("the settings were changed: %+v", settings)
	}

	for name, tt := range map[string]struct {
		values Values
		want   string
	}{
		"no External ID":       {Values{Principal: "x"}, "parameter ExternalId takes the External ID, and there is none"},
		"no principal":         {Values{ExternalID: "id-1"}, "parameter Principal takes the vendor's principal, and there is none"},
		"one that is too long": {Values{ExternalID: strings.Repeat("x", 1225), Principal: "x"}, "parameter ExternalId: the value has 1225 characters"},
		"one with a space":     {Values{ExternalID: "my secret", Principal: "x"}, "parameter ExternalId: the value does not match"},
	} {
		got, err := template.Arguments(settings, tt.values)
		if err == nil || !strings.Contains(err.Error(), tt.want) || got != nil || tt.values.ExternalID != "" && strings.Contains(err.Error(), tt.values.ExternalID) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestParameterCheck(t *testing.T) {
	text := Parameter{Name: "P", Type: "String", MinLength: -1, MaxLength: -1}
	number := Parameter{Name: "P", Type: "Number", MinLength: -1, MaxLength: -1, MinValue: "-1", MaxValue: "2.5"}
	list := Parameter{Name: "P", Type: "CommaDelimitedList", AllowedPattern: "[a-z]+", MinLength: -1, MaxLength: 3}
	for _, tt := range []struct {
		change func(*Parameter)
		of     Parameter
		value  string
		ok     bool
	}{
		{nil, text, "", true},
		{nil, text, strings.Repeat("x", 4096), true},
		{nil, text, strings.Repeat("x", 4097), false},
		{func(p *Parameter) { p.MaxLength = 2 }, text, "日本", true},
		{func(p *Parameter) { p.MaxLength = 2 }, text, "日本語", false},
		{func(p *Parameter) { p.MaxLength = 0 }, text, "a", false},
		{func(p *Parameter) { p.MinLength = 1 }, text, "", false},
		{func(p *Parameter) { p.AllowedPattern = "a|b" }, text, "b", true},
		{func(p *Parameter) { p.AllowedPattern = "a|b" }, text, "ab", false},
		{func(p *Parameter) { p.AllowedPattern = "^a$" }, text, "a", true},
		{func(p *Parameter) { p.AllowedPattern = "a" }, text, "a\n", false},
		{func(p *Parameter) { p.AllowedPattern = "(?!x).*" }, text, "x", true}, // Not of RE2.
		{func(p *Parameter) { p.AllowedValues = []string{"a", "b c"} }, text, "b c", true},
		{func(p *Parameter) { p.AllowedValues = []string{"a", "b c"} }, text, "B C", false},
		{nil, number, "2.5", true},
		{nil, number, "-1", true},
		{nil, number, "2.6", false},
		{nil, number, "-1.1", false},
		{nil, number, "two", false},
		{nil, number, "", false},
		{nil, number, "NaN", false},
		{nil, list, "a, b,c", true},
		{nil, list, "a,B", false},
		{func(p *Parameter) { p.Type = "List<Number>"; p.AllowedPattern = "" }, list, "1, 2", true},
		{func(p *Parameter) { p.Type = "List<Number>"; p.AllowedPattern = "" }, list, "1,x", false},
		{func(p *Parameter) { p.Type = "AWS::EC2::VPC::Id" }, text, "vpc-1", true},
	} {
		p := tt.of
		if tt.change != nil {
			tt.change(&p)
		}
		if err := p.Check(tt.value); (err == nil) != tt.ok {
			t.Errorf("%+v: %.20q: %v", p, tt.value, err)
		}
	}
}
