package cfn

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestACarefulTemplateHasNoFindings(t *testing.T) {
	for _, file := range []string{"reports.yaml", "reports.json"} {
		settings := Settings{ExternalIDParameter: "ExternalId", PrincipalParameter: "Principal"}
		for _, finding := range parseFile(t, file).Findings(settings, "reports-readonly", "Reports", "Read only") {
			t.Errorf("%s: %+v", file, finding)
		}
	}
}

func TestFindingsOfACarelessTemplate(t *testing.T) {
	settings := Settings{ExternalIDParameter: "ExternalId", AccountParameter: "Account", Parameters: map[string]string{"Secret": "x"}}
	var b strings.Builder
	for _, finding := range parseFile(t, "careless.json").Findings(settings, "s3-readonly") {
		fmt.Fprintf(&b, "%s %s %s\n    %s\n", finding.Code, finding.Where, finding.Detail, finding.Text)
	}
	golden(t, "careless.findings.golden", b.String())
}

// trusting is a template of one role with a trust policy's statement and an output.
func trusting(statement string) string {
	return `
Parameters: {ExternalId: {Type: String}, Account: {Type: String}, Use: {Type: String}}
Conditions: {Use: !Equals [!Ref Use, 'yes']}
Resources:
  R:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: ` + statement + `
Outputs: {Arn: {Value: !GetAtt R.Arn}}
`
}

func TestTrust(t *testing.T) {
	const who = "Principal: {AWS: !Ref Account}, Action: sts:AssumeRole"
	for name, tt := range map[string]struct {
		statement string
		want      []Code
	}{
		"as it should be":      {"{Effect: Allow, " + who + ", Condition: {StringEquals: {sts:ExternalId: !Ref ExternalId}}}", nil},
		"by Sub":               {"{Effect: Allow, " + who + ", Condition: {StringEquals: {sts:ExternalId: !Sub '${ExternalId}'}}}", nil},
		"in a list":            {"[{Effect: Allow, " + who + ", Condition: {StringEquals: {'STS:externalid': [!Ref ExternalId]}}}]", nil},
		"StringLike":           {"{Effect: Allow, " + who + ", Condition: {StringLike: {sts:ExternalId: !Ref ExternalId}}}", nil},
		"for any value":        {"{Effect: Allow, " + who + ", Condition: {'ForAnyValue:StringEquals': {sts:ExternalId: !Ref ExternalId}}}", nil},
		"another condition":    {"{Effect: Allow, " + who + ", Condition: {Bool: {aws:SecureTransport: true}, StringEquals: {sts:ExternalId: !Ref ExternalId}}}", nil},
		"a service":            {"[{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: sts:AssumeRole}]", []Code{NoRole}},
		"the same account":     {"[{Effect: Allow, Principal: {AWS: !Sub 'arn:${AWS::Partition}:iam::${AWS::AccountId}:root'}, Action: sts:AssumeRole}]", []Code{NoRole}},
		"single sign-on":       {"[{Effect: Allow, Principal: {Federated: x}, Action: sts:AssumeRoleWithSAML}]", []Code{NoRole}},
		"nobody":               {"[{Effect: Deny, " + who + "}]", []Code{NoRole}},
		"other actions":        {"[{Effect: Allow, Principal: {AWS: !Ref Account}, Action: sts:TagSession}]", []Code{NoRole}},
		"no condition":         {"{Effect: Allow, " + who + "}", []Code{TrustNoExternalID}},
		"no effect":            {"{" + who + "}", []Code{TrustNoExternalID}},
		"if it exists":         {"{Effect: Allow, " + who + ", Condition: {StringEqualsIfExists: {sts:ExternalId: !Ref ExternalId}}}", []Code{TrustNoExternalID}},
		"for all values":       {"{Effect: Allow, " + who + ", Condition: {'ForAllValues:StringEquals': {sts:ExternalId: !Ref ExternalId}}}", []Code{TrustNoExternalID}},
		"unequal":              {"{Effect: Allow, " + who + ", Condition: {StringNotEquals: {sts:ExternalId: !Ref ExternalId}}}", []Code{TrustNoExternalID}},
		"present":              {"{Effect: Allow, " + who + ", Condition: {'Null': {sts:ExternalId: false}}}", []Code{TrustNoExternalID}},
		"no value":             {"{Effect: Allow, " + who + ", Condition: {StringEquals: {sts:ExternalId: []}}}", []Code{TrustNoExternalID}},
		"a value that's none":  {"{Effect: Allow, " + who + ", Condition: {StringEquals: {sts:ExternalId: !Ref AWS::NoValue}}}", []Code{TrustNoExternalID}},
		"sometimes":            {"{Effect: Allow, " + who + ", Condition: !If [Use, {StringEquals: {sts:ExternalId: !Ref ExternalId}}, !Ref AWS::NoValue]}", []Code{TrustNoExternalID}},
		"a value sometimes":    {"{Effect: Allow, " + who + ", Condition: {StringEquals: {sts:ExternalId: !If [Use, !Ref ExternalId, !Ref AWS::NoValue]}}}", []Code{TrustNoExternalID}},
		"one of two":           {"[{Effect: Allow, " + who + ", Condition: {StringEquals: {sts:ExternalId: !Ref ExternalId}}}, {Effect: Allow, " + who + "}]", []Code{TrustNoExternalID}},
		"all of sts":           {"{Effect: Allow, Principal: {AWS: !Ref Account}, Action: 'sts:*'}", []Code{TrustNoExternalID}},
		"by a pattern":         {"{Effect: Allow, Principal: {AWS: !Ref Account}, Action: 'STS:Assume?ole'}", []Code{TrustNoExternalID}},
		"an action to be told": {"{Effect: Allow, Principal: {AWS: !Ref Account}, Action: !Ref Use}", []Code{TrustNoExternalID}},
		"all but":              {"{Effect: Allow, Principal: {AWS: !Ref Account}, NotAction: sts:TagSession}", []Code{TrustNoExternalID}},
		"a fixed External ID":  {"{Effect: Allow, " + who + ", Condition: {StringEquals: {sts:ExternalId: acme}}}", []Code{TrustOtherExternalID}},
		"or a fixed one":       {"{Effect: Allow, " + who + ", Condition: {StringEquals: {sts:ExternalId: [!Ref ExternalId, acme]}}}", []Code{TrustOtherExternalID}},
		"part of it":           {"{Effect: Allow, " + who + ", Condition: {StringLike: {sts:ExternalId: !Sub '${ExternalId}*'}}}", []Code{TrustOtherExternalID}},
		"a literal":            {"{Effect: Allow, " + who + ", Condition: {StringEquals: {sts:ExternalId: '${ExternalId}'}}}", []Code{TrustOtherExternalID, LiteralVariable}},
		"another parameter":    {"{Effect: Allow, " + who + ", Condition: {StringEquals: {sts:ExternalId: !Ref Use}}}", []Code{TrustOtherExternalID}},
		"anybody":              {"{Effect: Allow, Principal: '*', Action: sts:AssumeRole, Condition: {StringEquals: {sts:ExternalId: !Ref ExternalId}}}", []Code{TrustAnyone, TrustOtherPrincipal}},
		"any account":          {"{Effect: Allow, Principal: {AWS: ['*', !Ref Account]}, Action: sts:AssumeRole, Condition: {StringEquals: {sts:ExternalId: !Ref ExternalId}}}", []Code{TrustAnyone}},
		"all but one":          {"{Effect: Allow, NotPrincipal: {AWS: !Ref Account}, Action: sts:AssumeRole, Condition: {StringEquals: {sts:ExternalId: !Ref ExternalId}}}", []Code{TrustAnyone}},
		"somebody else":        {"{Effect: Allow, Principal: {AWS: '210987654321'}, Action: sts:AssumeRole, Condition: {StringEquals: {sts:ExternalId: !Ref ExternalId}}}", []Code{TrustOtherPrincipal}},
		"a user":               {"{Effect: Allow, Principal: {AWS: !Sub 'arn:${AWS::Partition}:iam::${Account}:user/x'}, Action: sts:AssumeRole, Condition: {StringEquals: {sts:ExternalId: !Ref ExternalId}}}", []Code{TrustUser}},
		"a macro":              {"!Transform {Name: AWS::Include}", []Code{Opaque, TrustOtherPrincipal}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []Code
			for _, finding := range parse(t, trusting(tt.statement)).Findings(Settings{ExternalIDParameter: "ExternalId", AccountParameter: "Account"}) {
				got = append(got, finding.Code)
				if finding.Text == "" || finding.Where == "" && finding.Code != NoRole {
					t.Errorf("%+v", finding)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestGrants(t *testing.T) {
	for name, tt := range map[string]struct {
		policy string
		told   string
		want   []Code
	}{
		"reading":                 {"{Effect: Allow, Action: ['s3:Get*', s3:ListBucket, 'ec2:Describe*', 'dynamodb:BatchGetItem', 'logs:FilterLogEvents'], Resource: '*'}", "read-only", nil},
		"writing":                 {"{Effect: Allow, Action: s3:PutObject, Resource: '*'}", "Read Only", []Code{GrantsWrite}},
		"writing, told":           {"{Effect: Allow, Action: s3:PutObject, Resource: '*'}", "reads and writes", nil},
		"all of a service":        {"{Effect: Allow, Action: 's3:*', Resource: '*'}", "readonly", []Code{GrantsWrite}},
		"too wide a pattern":      {"{Effect: Allow, Action: 's3:G*', Resource: '*'}", "ReadOnly", []Code{GrantsWrite}},
		"a secret":                {"{Effect: Allow, Action: secretsmanager:GetSecretValue, Resource: '*'}", "read_only", []Code{GrantsWrite}},
		"denied":                  {"{Effect: Deny, Action: 's3:*', Resource: '*'}", "readonly", nil},
		"everything":              {"{Effect: Allow, Action: '*', Resource: '*'}", "", []Code{GrantsAll}},
		"everything, longer":      {"{Effect: Allow, Action: '*:*', Resource: '*'}", "", []Code{GrantsAll}},
		"all but":                 {"{Effect: Allow, NotAction: 's3:*', Resource: '*'}", "", []Code{GrantsAll}},
		"more rights":             {"{Effect: Allow, Action: 'iam:Put*', Resource: '*'}", "", []Code{GrantsIAM}},
		"passing roles":           {"{Effect: Allow, Action: iam:passrole, Resource: '*'}", "", []Code{GrantsIAM}},
		"reading IAM":             {"{Effect: Allow, Action: ['iam:Get*', 'iam:List*'], Resource: '*'}", "readonly", nil},
		"an action by parameter":  {"{Effect: Allow, Action: !Ref Use, Resource: '*'}", "readonly", []Code{GrantsWrite}},
		"a statement by macro":    {"!Transform {Name: x}", "", []Code{Opaque}},
		"an ARN of one partition": {"{Effect: Allow, Action: s3:GetObject, Resource: 'arn:aws:s3:::x'}", "", []Code{FixedPartition}},
		"a variable of IAM":       {"{Effect: Allow, Action: s3:GetObject, Resource: !Sub 'arn:${AWS::Partition}:s3:::x/${!aws:username}'}", "", nil},
		"a variable of IAM, bare": {"{Effect: Allow, Action: s3:GetObject, Resource: '*', Condition: {StringLike: {s3:prefix: '${aws:username}'}}}", "", nil},
		"a forgotten Sub":         {"{Effect: Allow, Action: s3:GetObject, Resource: 'arn:${AWS::Partition}:s3:::x'}", "", []Code{LiteralVariable}},
		"a forgotten Sub in Sub":  {"{Effect: Allow, Action: s3:GetObject, Resource: !Sub ['${A}', {A: '${Use}'}]}", "", []Code{LiteralVariable}},
		"looked up":               {"{Effect: Allow, Action: s3:GetObject, Resource: '{{resolve:ssm:/a}}'}", "", []Code{Opaque}},
	} {
		t.Run(name, func(t *testing.T) {
			template := parse(t, strings.Replace(trusting("{Effect: Allow, Principal: {AWS: !Ref Account}, Action: sts:AssumeRole, Condition: {StringEquals: {sts:ExternalId: !Ref ExternalId}}}"),
				"    Properties:\n", "    Properties:\n      Policies: [{PolicyName: p, PolicyDocument: {Statement: "+tt.policy+"}}]\n", 1))
			var got []Code
			for _, finding := range template.Findings(Settings{ExternalIDParameter: "ExternalId", AccountParameter: "Account"}, tt.told) {
				got = append(got, finding.Code)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestNoRoleOutput(t *testing.T) {
	text := trusting("{Effect: Allow, Principal: {AWS: !Ref Account}, Action: sts:AssumeRole, Condition: {StringEquals: {sts:ExternalId: !Ref ExternalId}}}")
	for output, found := range map[string]bool{
		"!GetAtt R.Arn":         false,
		"!Sub '${R.Arn}'":       false,
		"!Ref R":                false,
		"!Join ['', [!Ref R]]":  false,
		"x":                     true,
		"!Ref Account":          true,
		"!Sub ['${R}', {R: x}]": true,
	} {
		findings := parse(t, strings.Replace(text, "!GetAtt R.Arn", output, 1)).Findings(Settings{ExternalIDParameter: "ExternalId"})
		if got := len(findings) == 1 && findings[0].Code == NoRoleOutput; got != found || len(findings) > 1 {
			t.Errorf("%s: %+v", output, findings)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		pattern, action string
		want            bool
	}{
		{"s3:GetObject", "s3:GetObject", true},
		{"S3:getobject", "s3:GetObject", true},
		{"s3:Get*", "s3:GetObject", true},
		{"s3:*Object", "s3:GetObject", true},
		{"s3:*t*j*", "s3:GetObject", true},
		{"s3:Get?bject", "s3:GetObject", true},
		{"*", "s3:GetObject", true},
		{"s3:Get", "s3:GetObject", false},
		{"s3:GetObjectAcl", "s3:GetObject", false},
		{"s3:GetObject?", "s3:GetObject", false},
		{"s3:GetObject**", "s3:GetObject", true},
		{"", "s3:GetObject", false},
		{strings.Repeat("*a", 50) + "b", strings.Repeat("a", 1000), false},
	} {
		if got := covers(tt.pattern, tt.action); got != tt.want {
			t.Errorf("covers(%q, %q) = %v", tt.pattern, tt.action, got)
		}
	}
}
