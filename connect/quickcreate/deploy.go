package quickcreate

import (
	"net/url"
	"path"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/trust/shell"
)

// deploy returns the commands of a stack that was checked. See
// https://docs.aws.amazon.com/cli/latest/reference/cloudformation/deploy/.
func (s Stack) deploy() Deploy {
	where := []string{"--region", s.Region, "--stack-name", s.Name}
	words := append([]string{"aws", "cloudformation", "deploy"}, where...)
	words = append(words, "--template-file", s.file())
	if s.TemplateSize > MaxTemplateBody {
		words = append(words, "--s3-bucket", shell.Hole("", templateBucket, "set it to a bucket of your own for this large template"))
	}
	if overrides := s.overrides(); len(overrides) > 0 {
		words = append(words, "--parameter-overrides")
		words = append(words, overrides...)
	}
	if len(s.Capabilities) > 0 {
		words = append(words, "--capabilities")
		words = append(words, s.Capabilities...)
	}
	holes := s.holes()
	for i, name := range holes {
		holes[i] = "export " + name + "=''"
	}
	outputs := append([]string{"aws", "cloudformation", "describe-stacks"}, where...)
	outputs = append(outputs, "--query", shell.Quote("Stacks[0].Outputs"), "--output", "table")
	return Deploy{
		Download: s.download(),
		Values:   strings.Join(holes, "\n"),
		Command:  strings.Join(words, " "),
		Outputs:  strings.Join(outputs, " "),
	}
}

// holes are the variables that the command has no values for.
func (s Stack) holes() []string {
	var names []string
	if s.TemplateSize > MaxTemplateBody {
		names = append(names, templateBucket)
	}
	for _, p := range s.Parameters {
		if p.mustAsk() {
			names = append(names, variablePrefix+p.Name)
		}
	}
	return names
}

const (
	templateBucket = "TEMPLATE_BUCKET"

	// variablePrefix keeps a parameter that is named like a variable of the customer's environment from
	// taking its value.
	variablePrefix = "PARAM_"
)

func (s Stack) overrides() []string {
	var overrides []string
	for _, p := range s.Parameters {
		switch {
		case p.mustAsk():
			overrides = append(overrides, shell.Hole(p.Name+"=", variablePrefix+p.Name, "set it to the value of the parameter "+p.Name))
		case p.Set:
			overrides = append(overrides, shell.Quote(p.Name+"="+p.Value))
		}
	}
	return overrides
}

func (s Stack) download() string {
	u, err := url.Parse(s.TemplateURL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || shell.Check(s.TemplateURL) != nil ||
		strings.Contains(s.TemplateURL, "\n") {
		return ""
	}
	// Globbing is off, because brackets and braces in a URL stand for themselves.
	return "curl --fail --silent --show-error --location --proto '=https' --globoff --output " + s.file() + " " + shell.Quote(s.TemplateURL)
}

// file returns the template's name on disk.
func (s Stack) file() string {
	if s.TemplateFile != "" {
		return s.TemplateFile
	}
	if u, err := url.Parse(s.TemplateURL); err == nil {
		if name := path.Base(u.Path); fileName.MatchString(name) {
			return name
		}
	}
	return "template.yaml"
}
