package quickcreate

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/url"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func testStack() Stack {
	return Stack{
		Region:      "eu-west-1",
		Name:        "Acme-S3",
		TemplateURL: "https://acme-templates.s3.eu-west-1.amazonaws.com/s3-readonly.yaml",
		Parameters: []Parameter{
			{Name: "ExternalId", Value: "a:b/c=d+e,f.g@h", Set: true},
			{Name: "Principal", Value: "arn:aws:iam::123456789012:role/Broker", Set: true, Default: true},
			{Name: "Prefix", Default: true},
			{Name: "Empty", Set: true},
			{Name: "Bucket"},
			{Name: "Token", Value: "hunter2", Set: true, NoEcho: true},
			{Name: "Salt", Default: true, NoEcho: true},
			{Name: "Key", NoEcho: true},
		},
		Capabilities: []string{"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"},
	}
}

func launch(t *testing.T, s Stack) Launch {
	t.Helper()
	l, err := s.Launch()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLaunch(t *testing.T) {
	got := launch(t, testStack())
	want := Launch{
		Link: "https://eu-west-1.console.aws.amazon.com/cloudformation/home?region=eu-west-1#/stacks/create/review" +
			"?templateURL=https%3A%2F%2Facme-templates.s3.eu-west-1.amazonaws.com%2Fs3-readonly.yaml&stackName=Acme-S3" +
			"&param_ExternalId=a%3Ab%2Fc%3Dd%2Be%2Cf.g%40h&param_Principal=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2FBroker&param_Empty=",
		Ask: []string{"Bucket", "Token", "Key"},
		Upload: Upload{
			Console:    "https://eu-west-1.console.aws.amazon.com/cloudformation/home?region=eu-west-1#/stacks/create",
			File:       "s3-readonly.yaml",
			StackName:  "Acme-S3",
			Parameters: []Parameter{testStack().Parameters[0], testStack().Parameters[1], testStack().Parameters[3]},
		},
		Deploy: Deploy{
			Download: "curl --fail --silent --show-error --location --proto '=https' --globoff --output s3-readonly.yaml" +
				" https://acme-templates.s3.eu-west-1.amazonaws.com/s3-readonly.yaml",
			Values: "export PARAM_Bucket=''\nexport PARAM_Token=''\nexport PARAM_Key=''",
			Command: "aws cloudformation deploy --region eu-west-1 --stack-name Acme-S3 --template-file s3-readonly.yaml" +
				" --parameter-overrides ExternalId=a:b/c=d+e,f.g@h Principal=arn:aws:iam::123456789012:role/Broker Empty=" +
				` "Bucket=${PARAM_Bucket:?set it to the value of the parameter Bucket}"` +
				` "Token=${PARAM_Token:?set it to the value of the parameter Token}"` +
				` "Key=${PARAM_Key:?set it to the value of the parameter Key}"` +
				" --capabilities CAPABILITY_IAM CAPABILITY_NAMED_IAM",
			Outputs: "aws cloudformation describe-stacks --region eu-west-1 --stack-name Acme-S3 --query 'Stacks[0].Outputs' --output table",
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestConsoleOfEachPartition(t *testing.T) {
	for _, tt := range []struct{ region, host, templateURL string }{
		{"us-east-1", "us-east-1.console.aws.amazon.com", "https://b-1.s3.amazonaws.com/k"},
		{"ap-southeast-7", "ap-southeast-7.console.aws.amazon.com", "https://b-1.s3.eu-west-1.amazonaws.com/k"},
		{"cn-northwest-1", "cn-northwest-1.console.amazonaws.cn", "https://b-1.s3.cn-north-1.amazonaws.com.cn/k"},
		{"us-gov-east-1", "us-gov-east-1.console.amazonaws-us-gov.com", "https://b-1.s3.us-gov-west-1.amazonaws.com/k"},
		{"eusc-de-east-1", "eusc-de-east-1.console.amazonaws-eusc.eu", "https://b-1.s3.eusc-de-east-1.amazonaws.eu/k"},
	} {
		got := launch(t, Stack{Region: tt.region, Name: "a", TemplateURL: tt.templateURL})
		home := "https://" + tt.host + "/cloudformation/home?region=" + tt.region + "#/stacks/create"
		if got.NoLink != nil || !strings.HasPrefix(got.Link, home+"/review?templateURL=") || got.Upload.Console != home {
			t.Errorf("%s: %+v", tt.region, got)
		}
	}
	for region, templateURL := range map[string]string{
		"us-iso-east-1":   "https://b-1.s3.us-iso-east-1.c2s.ic.gov/k",
		"us-isob-east-1":  "https://b-1.s3.us-isob-east-1.sc2s.sgov.gov/k",
		"eu-isoe-west-1":  "https://b-1.s3.eu-isoe-west-1.cloud.adc-e.uk/k",
		"us-isof-south-1": "https://b-1.s3.us-isof-south-1.csp.hci.ic.gov/k",
	} {
		stack := Stack{Region: region, Name: "a", TemplateURL: templateURL}
		got := launch(t, stack)
		if got.Link != "" || got.NoLink == nil || got.NoLink.Reason != NoConsole || got.Upload.Console != "" || got.Deploy.Command == "" {
			t.Errorf("%s: %+v", region, got)
		}
		stack.ConsoleHost = "console.example.gov"
		if got := launch(t, stack); !strings.HasPrefix(got.Link, "https://console.example.gov/cloudformation/home?region="+region+"#") {
			t.Errorf("%s: %+v", region, got)
		}
	}
}

func TestNoLinkIsNoDeadEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Stack)
		reason Reason
		file   string
	}{
		"a file":               {func(s *Stack) { s.TemplateURL = "" }, NoURL, "template.yaml"},
		"a named file":         {func(s *Stack) { s.TemplateURL, s.TemplateFile = "", "acme.json" }, NoURL, "acme.json"},
		"a web server":         {func(s *Stack) { s.TemplateURL = "https://example.com/t/s3.json" }, NotS3, "s3.json"},
		"a website":            {func(s *Stack) { s.TemplateURL = "https://b-1.s3-website.eu-central-1.amazonaws.com/k.yml" }, Website, "k.yml"},
		"a key like an option": {func(s *Stack) { s.TemplateURL = "https://example.com/--help" }, NotS3, "template.yaml"},
		"a key with quotes":    {func(s *Stack) { s.TemplateURL = "https://example.com/a'$(id).yaml" }, NotS3, "template.yaml"},
		"China, from abroad":   {func(s *Stack) { s.Region = "cn-north-1" }, Partition, "s3-readonly.yaml"},
		"GovCloud from aws":    {func(s *Stack) { s.Region, s.TemplateURL = "us-gov-west-1", "https://s3.amazonaws.com/b-1/k" }, Partition, "k"},
		"aws from GovCloud":    {func(s *Stack) { s.TemplateURL = "https://b-1.s3.us-gov-west-1.amazonaws.com/k" }, Partition, "k"},
		"a very long value":    {func(s *Stack) { s.Parameters[0].Value = strings.Repeat("+", 3000) }, TooLong, "s3-readonly.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			s := testStack()
			tt.change(&s)
			got := launch(t, s)
			var refusal error = got.NoLink
			if got.Link != "" || got.NoLink == nil || got.NoLink.Reason != tt.reason || refusal.Error() == "" {
				t.Errorf("link %q, %+v, want %s", got.Link, got.NoLink, tt.reason)
			}
			if got.Upload.File != tt.file || !strings.Contains(got.Deploy.Command, " --template-file "+tt.file+" ") || got.Upload.StackName == "" || got.Deploy.Outputs == "" {
				t.Errorf("%+v", got)
			}
			if wantDownload := s.TemplateURL != ""; (got.Deploy.Download != "") != wantDownload {
				t.Errorf("download %q", got.Deploy.Download)
			}
		})
	}
}

func TestOnlyHTTPSIsDownloaded(t *testing.T) {
	for _, u := range []string{"http://example.com/k", "file:///etc/passwd", "https://me:pw@example.com/k", "https:///k", "https://example.com/\x1b[2J", "https://example.com/\u202e", "https://example.com/\n"} {
		if got := launch(t, Stack{Region: "eu-west-1", Name: "a", TemplateURL: u}); got.Deploy.Download != "" || got.Link != "" {
			t.Errorf("%q: %+v", u, got)
		}
	}
}

func TestALargeTemplateGoesByABucket(t *testing.T) {
	s := testStack()
	s.TemplateSize = MaxTemplateBody
	if got := launch(t, s); strings.Contains(got.Deploy.Command, "--s3-bucket") {
		t.Error(got.Deploy.Command)
	}
	s.TemplateSize++
	if got := launch(t, s); !strings.Contains(got.Deploy.Command, ` --s3-bucket "${TEMPLATE_BUCKET:?`) {
		t.Error(got.Deploy.Command)
	}
}

func TestStacksThatAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Stack)
		want   string
	}{
		"no region":             {func(s *Stack) { s.Region = "" }, "region"},
		"an unknown region":     {func(s *Stack) { s.Region = "moon-east-1" }, "region"},
		"a zone":                {func(s *Stack) { s.Region = "us-east-1a" }, "us-east-1"},
		"a slash in it":         {func(s *Stack) { s.Region = "us-east-1/" }, "region"},
		"a host in it":          {func(s *Stack) { s.Region = "evil.example#us-east-1" }, "region"},
		"auto":                  {func(s *Stack) { s.Region = "auto" }, "region"},
		"a long region":         {func(s *Stack) { s.Region = "us-" + strings.Repeat("e", 70) + "-1" }, "region"},
		"no name":               {func(s *Stack) { s.Name = "" }, "no name of a stack"},
		"a digit first":         {func(s *Stack) { s.Name = "1a" }, "no name of a stack"},
		"an underscore":         {func(s *Stack) { s.Name = "a_b" }, "no name of a stack"},
		"a line feed":           {func(s *Stack) { s.Name = "a\n" }, "no name of a stack"},
		"a long name":           {func(s *Stack) { s.Name = strings.Repeat("a", 129) }, "no name of a stack"},
		"a file with a path":    {func(s *Stack) { s.TemplateFile = "../a" }, "template's file"},
		"a file as an option":   {func(s *Stack) { s.TemplateFile = "-a" }, "template's file"},
		"a hidden file":         {func(s *Stack) { s.TemplateFile = ".bashrc" }, "template's file"},
		"a huge template":       {func(s *Stack) { s.TemplateSize = MaxTemplate + 1 }, "1048576"},
		"a console with a path": {func(s *Stack) { s.ConsoleHost = "console.example/x" }, "no host of a console"},
		"a console in capitals": {func(s *Stack) { s.ConsoleHost = "Console.example" }, "no host of a console"},
		"another capability":    {func(s *Stack) { s.Capabilities = []string{"CAPABILITY_IAM; rm -rf ~"} }, "no capability"},
		"a nameless parameter":  {func(s *Stack) { s.Parameters[0].Name = "" }, "no name of a parameter"},
		"a crooked parameter":   {func(s *Stack) { s.Parameters[0].Name = "a&stackName" }, "no name of a parameter"},
		"a parameter twice":     {func(s *Stack) { s.Parameters[1].Name = "ExternalId" }, "ExternalId comes twice"},
		"a long value":          {func(s *Stack) { s.Parameters[0].Value = strings.Repeat("x", 4097) }, "parameter ExternalId has 4097 bytes"},
		"a NUL":                 {func(s *Stack) { s.Parameters[0].Value = "a\x00" }, "value of parameter ExternalId"},
		"no UTF-8":              {func(s *Stack) { s.Parameters[0].Value = "a\xff" }, "value of parameter ExternalId"},
		"many parameters":       {func(s *Stack) { s.Parameters = make([]Parameter, 201) }, "201 parameters"},
	} {
		s := testStack()
		tt.change(&s)
		got, err := s.Launch()
		if err == nil || !strings.Contains(err.Error(), tt.want) || !reflect.DeepEqual(got, Launch{}) || strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("%s: %+v, %v, want %q", name, got, err, tt.want)
		}
	}
}

func TestErrorsHoldNoHiddenValue(t *testing.T) {
	s := testStack()
	s.Parameters[5].Value = "hunter2\x1b"
	if _, err := s.Launch(); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

// TestWhatGoesInComesOut reads generated values back: out of the link as a browser reads it, and out
// of the command as a shell does.
func TestWhatGoesInComesOut(t *testing.T) {
	runes := []rune("abZ019 '\"\\$`!*?[]{}()<>|&;#~=%^-_+,.:/@\né日𝕏")
	rng := rand.New(rand.NewPCG(5, 6))
	var scripts strings.Builder
	scripts.WriteString("aws() { printf '%s\\0' \"$@\"; }\n")
	var want []string
	for range 200 {
		s := testStack()
		s.Parameters = nil
		words := []string{"cloudformation", "deploy", "--region", s.Region, "--stack-name", s.Name, "--template-file", "s3-readonly.yaml", "--parameter-overrides"}
		query := url.Values{"templateURL": {s.TemplateURL}, "stackName": {s.Name}}
		for i := range 1 + rng.IntN(4) {
			value := make([]rune, rng.IntN(15))
			for i := range value {
				value[i] = runes[rng.IntN(len(runes))]
			}
			p := Parameter{Name: "P" + string(rune('a'+i)), Value: string(value), Set: true}
			s.Parameters = append(s.Parameters, p)
			words = append(words, p.Name+"="+p.Value)
			query.Set("param_"+p.Name, p.Value)
		}
		got := launch(t, s)
		checkLink(t, got.Link, query)
		scripts.WriteString(got.Deploy.Command + "\n")
		want = append(append(want, words...), append([]string{"--capabilities"}, s.Capabilities...)...)
	}
	cmd := exec.Command("sh")
	cmd.Stdin = strings.NewReader(scripts.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); !slices.Equal(got, want) {
		t.Errorf("the shell read\n%q\nwant\n%q", got, want)
	}
}

func checkLink(t *testing.T, link string, want url.Values) {
	t.Helper()
	if len(link) > MaxLink || strings.ContainsAny(link, " +'\"<>\\^`{|}") {
		t.Fatalf("%s", link)
	}
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	_, raw, _ := strings.Cut(link, "#")
	route, query, _ := strings.Cut(raw, "?")
	values, err := url.ParseQuery(query)
	if err != nil || route != "/stacks/create/review" || u.Scheme != "https" || u.RawQuery != "region=eu-west-1" || !reflect.DeepEqual(values, want) {
		t.Fatalf("%s: %v, %q, want %q", link, err, values, want)
	}
}

func TestHolesHaveToBeFilled(t *testing.T) {
	deploy := launch(t, testStack()).Deploy
	command := deploy.Values + "\n" + deploy.Command // Values that nobody has written are holes, too.
	aws := "aws() { printf '%s\\0' \"$@\"; }\n"
	for _, env := range [][]string{nil, {"Bucket=x", "Token=x", "Key=x"}, {"PARAM_Bucket=b", "PARAM_Token=t"}} {
		cmd := exec.Command("sh", "-c", aws+command)
		if env != nil {
			cmd = exec.Command("sh", "-c", aws+deploy.Command)
		}
		cmd.Env = append(cmd.Environ(), env...)
		if out, err := cmd.Output(); err == nil || len(out) != 0 {
			t.Errorf("with %q it ran: %q", env, out)
		}
	}
	filled := strings.NewReplacer("Bucket=''", "Bucket='b *'", "Token=''", "Token='$t'", "Key=''", `Key="k'"`).Replace(deploy.Values)
	cmd := exec.Command("sh", "-c", aws+filled+"\n"+deploy.Command)
	out, err := cmd.Output()
	if err != nil || !bytes.Contains(out, []byte("\x00Bucket=b *\x00Token=$t\x00Key=k'\x00--capabilities\x00")) {
		t.Errorf("%v, %q", err, out)
	}
}

// FuzzLaunch: no panic; a link reads back as what went in; hidden values are nowhere; an error is no
// link.
func FuzzLaunch(f *testing.F) {
	f.Add("eu-west-1", "Acme", "https://b-1.s3.eu-west-1.amazonaws.com/k", "ExternalId", "a b", false)
	f.Add("cn-north-1", "a", "https://b-1.s3.cn-north-1.amazonaws.com.cn/k", "P", "$(id)'\"&param_X=1#", false)
	f.Add("us-gov-west-1", "a", "", "P", "secret", true)
	f.Fuzz(func(t *testing.T, region, name, templateURL, parameter, value string, hidden bool) {
		s := Stack{Region: region, Name: name, TemplateURL: templateURL, Parameters: []Parameter{{Name: parameter, Value: value, Set: true, NoEcho: hidden}}}
		got, err := s.Launch()
		if err != nil {
			if !reflect.DeepEqual(got, Launch{}) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%+v, %q", got, err)
			}
			return
		}
		if (got.Link == "") == (got.NoLink == nil) || got.Deploy.Command == "" {
			t.Fatalf("%+v", got)
		}
		const marker = "Zq9Zq9Zq9"
		s.Parameters[0].Value = marker
		if marked := launch(t, s); hidden && strings.Contains(marked.Link+marked.Deploy.Command+marked.Deploy.Download, marker) {
			t.Fatalf("%+v", marked)
		}
		if got.Link == "" {
			return
		}
		if _, err := ParseLocation(templateURL); err != nil {
			t.Fatal(err)
		}
		_, raw, _ := strings.Cut(got.Link, "#")
		_, query, _ := strings.Cut(raw, "?")
		values, err := url.ParseQuery(query)
		want := url.Values{"templateURL": {templateURL}, "stackName": {name}, "param_" + parameter: {value}}
		if hidden {
			delete(want, "param_"+parameter)
		}
		if err != nil || !reflect.DeepEqual(values, want) {
			t.Fatalf("%s: %q, want %q", got.Link, values, want)
		}
	})
}

func TestLinkErrorsAreErrors(t *testing.T) {
	_, err := ParseLocation("")
	var refusal *LinkError
	if !errors.As(err, &refusal) || err.Error() != refusal.Detail {
		t.Errorf("%v", err)
	}
}
