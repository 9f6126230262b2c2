// Package quickcreate writes what a customer makes a CloudFormation stack with: a Quick Create link
// to the console of the right partition and region, and where no such link can work, the template
// to upload and the command of the AWS CLI. It is pure.
package quickcreate

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/trust/shell"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/endpoint"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
)

// The limits of CloudFormation, from
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html.
const (
	// MaxTemplateBody is how many bytes a template may have that is not read from S3.
	MaxTemplateBody = 51200

	// MaxTemplate is how many bytes any template may have.
	MaxTemplate = 1 << 20

	maxParameters     = 200
	maxParameterName  = 255
	maxParameterValue = 4096
	maxStackName      = 128
)

// MaxLink is how many characters a link has at most. AWS documents no limit; sign-in pages carry
// the whole link in a parameter of their own, and browsers and proxies in between are known to cut
// longer ones.
const MaxLink = 8192

// Stack is the stack that a customer is to make.
type Stack struct {
	// Region is where it is made.
	Region string

	// Name is the stack's: at most 128 letters, digits and hyphens, a letter first.
	Name string

	// TemplateURL is where the template is read. A link needs an https URL of S3 in the region's
	// partition; empty if the template is a file.
	TemplateURL string

	// TemplateFile is the name that a downloaded template has on the customer's disk. Default: the
	// last part of TemplateURL, else template.yaml.
	TemplateFile string

	// TemplateSize is the template's size in bytes; 0 is taken for a small one.
	TemplateSize int

	// Parameters are those of the template, in its order.
	Parameters []Parameter

	// Capabilities are those that the template needs: CAPABILITY_IAM, CAPABILITY_NAMED_IAM,
	// CAPABILITY_AUTO_EXPAND. A link can't carry them: the customer ticks a box.
	Capabilities []string

	// ConsoleHost is the console's host, for example of a partition whose console has no public
	// address. Default: that of the region.
	ConsoleHost string
}

// Parameter is a parameter of a template.
type Parameter struct {
	// Name is the parameter's, which is case-sensitive.
	Name string

	// Value is what the stack is made with, if Set; else the template's default holds.
	Value string
	Set   bool

	// Default says whether the template has a default.
	Default bool

	// NoEcho says whether the template hides the value. Such a value is in nothing that is
	// returned: the console ignores it in a link, and a command line is no place for it.
	NoEcho bool
}

// Launch is how the customer makes the stack.
type Launch struct {
	// Link opens the console with the stack filled in; empty where NoLink says why there is none.
	Link   string
	NoLink *LinkError

	// Ask are the names of the parameters that the customer has to fill in: those without value and
	// default, and those that are hidden and have no default that holds.
	Ask []string

	// Upload is the way by the console without a link.
	Upload Upload

	// Deploy is the way by the AWS CLI.
	Deploy Deploy
}

// Upload is what the customer does in the console with the template as a file.
type Upload struct {
	// Console opens the form that creates a stack; empty if the console's address is not known.
	Console string

	// File is the template's name on disk.
	File string

	// StackName and Parameters are what to fill in; the parameters of Ask are not among them.
	StackName  string
	Parameters []Parameter
}

// Deploy is what the customer runs in a POSIX shell, AWS CloudShell for example.
type Deploy struct {
	// Download fetches the template; empty if it has no https URL.
	Download string

	// Values are lines that set variables to the values of Ask, which are empty in them; empty if none
	// is asked for.
	Values string

	// Command makes the stack, and waits until it is made. Instead of each value of Ask it has a
	// variable, and a shell does not run it before it is set.
	Command string

	// Outputs prints what the stack says of itself, such as the role's ARN.
	Outputs string
}

// Check says whether CloudFormation would take the form of the stack: it names the field, or the
// parameter, that it would not.
func (s Stack) Check() error {
	_, ok := endpoint.PartitionOf(s.Region)
	if !ok || len(s.Region) > 63 {
		err := endpoint.CheckRegion(s.Region)
		if err == nil {
			err = errors.New("write the name of an AWS region, such as eu-west-1")
		}
		return fmt.Errorf("region %q: %w", clip.Text(s.Region), err)
	}
	if len(s.Name) > maxStackName || !stackName.MatchString(s.Name) {
		return fmt.Errorf("%q is no name of a stack: write at most %d letters, digits and hyphens, a letter first", clip.Text(s.Name), maxStackName)
	}
	if s.TemplateFile != "" && !fileName.MatchString(s.TemplateFile) {
		return fmt.Errorf("%q is no name for a template's file: write letters, digits and any of ._-, a letter or digit first", clip.Text(s.TemplateFile))
	}
	if s.TemplateSize > MaxTemplate {
		return fmt.Errorf("the template has %d bytes, and CloudFormation takes %d", s.TemplateSize, MaxTemplate)
	}
	if s.ConsoleHost != "" && !consoleHost.MatchString(s.ConsoleHost) {
		return fmt.Errorf("%q is no host of a console: write one such as console.example.gov", clip.Text(s.ConsoleHost))
	}
	for _, capability := range s.Capabilities {
		if !slices.Contains(capabilities, capability) {
			return fmt.Errorf("%q is no capability: write any of %s", clip.Text(capability), strings.Join(capabilities, ", "))
		}
	}
	return s.checkParameters()
}

var (
	stackName     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`)
	parameterName = regexp.MustCompile(`^[A-Za-z0-9]+$`)
	fileName      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
	consoleHost   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+(:[0-9]{1,5})?$`)

	capabilities = []string{"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"}
)

func (s Stack) checkParameters() error {
	if len(s.Parameters) > maxParameters {
		return fmt.Errorf("the template has %d parameters, and CloudFormation takes %d", len(s.Parameters), maxParameters)
	}
	seen := map[string]bool{}
	for _, p := range s.Parameters {
		switch {
		case len(p.Name) > maxParameterName || !parameterName.MatchString(p.Name):
			return fmt.Errorf("%q is no name of a parameter: they have at most %d letters and digits", clip.Text(p.Name), maxParameterName)
		case seen[p.Name]:
			return fmt.Errorf("parameter %s comes twice", clip.Text(p.Name))
		case len(p.Value) > maxParameterValue:
			return fmt.Errorf("the value of parameter %s has %d bytes, and CloudFormation takes %d", clip.Text(p.Name), len(p.Value), maxParameterValue)
		}
		if err := shell.Check(p.Value); err != nil {
			return fmt.Errorf("the value of parameter %s: %w", clip.Text(p.Name), err)
		}
		seen[p.Name] = true
	}
	return nil
}

// Launch returns the ways to make the stack. Its error is that of Check; that there is no link is
// no error.
func (s Stack) Launch() (Launch, error) {
	if err := s.Check(); err != nil {
		return Launch{}, err
	}
	launch := Launch{Upload: Upload{File: s.file(), StackName: s.Name}}
	for _, p := range s.Parameters {
		switch {
		case p.mustAsk():
			launch.Ask = append(launch.Ask, p.Name)
		case p.Set:
			launch.Upload.Parameters = append(launch.Upload.Parameters, p)
		}
	}
	if host := s.console(); host != "" {
		launch.Upload.Console = "https://" + host + "/cloudformation/home?region=" + s.Region + "#/stacks/create"
	}
	launch.Deploy = s.deploy()
	link, err := s.link()
	if err != nil {
		launch.NoLink = err
		return launch, nil
	}
	launch.Link = link
	return launch, nil
}

// mustAsk says whether only the customer can fill the parameter in.
func (p Parameter) mustAsk() bool {
	if p.NoEcho {
		return p.Set || !p.Default
	}
	return !p.Set && !p.Default
}

// link returns a link as AWS describes it, each value percent-encoded. See
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-console-create-stacks-quick-create-links.html.
func (s Stack) link() (string, *LinkError) {
	loc, err := ParseLocation(s.TemplateURL)
	if err != nil {
		if refusal, ok := errors.AsType[*LinkError](err); ok {
			return "", refusal
		}
		return "", refuse(BadURL, "%s", err.Error())
	}
	if p, _ := endpoint.PartitionOf(s.Region); p.ID != loc.Partition {
		return "", refuse(Partition, "the bucket %s is in the partition %s, and CloudFormation in %s can't read it: put the template into a bucket of %s",
			loc.Bucket, loc.Partition, s.Region, p.ID)
	}
	host := s.console()
	if host == "" {
		return "", refuse(NoConsole, "the console of %s has no public address", s.Region)
	}
	var b strings.Builder
	b.WriteString("https://" + host + "/cloudformation/home?region=" + s.Region + "#/stacks/create/review")
	b.WriteString("?templateURL=" + escape(s.TemplateURL) + "&stackName=" + escape(s.Name))
	for _, p := range s.Parameters {
		if p.Set && !p.NoEcho {
			b.WriteString("&param_" + p.Name + "=" + escape(p.Value))
		}
	}
	if b.Len() > MaxLink {
		return "", refuse(TooLong, "the link would have %d characters, more than %d", b.Len(), MaxLink)
	}
	return b.String(), nil
}

// escape encodes all but the unreserved characters. A + stands for itself in some readers and for a
// space in others, so that neither is left bare.
func escape(value string) string {
	return strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
}

// consoles are the domains of the partitions' consoles, each of which has a host per region. Those
// of the isolated partitions are not published.
var consoles = map[string]string{
	"aws":        "console.aws.amazon.com",
	"aws-cn":     "console.amazonaws.cn",
	"aws-us-gov": "console.amazonaws-us-gov.com",
	"aws-eusc":   "console.amazonaws-eusc.eu",
}

// console returns the console's host, or nothing.
func (s Stack) console() string {
	if s.ConsoleHost != "" {
		return s.ConsoleHost
	}
	p, _ := endpoint.PartitionOf(s.Region)
	if domain, ok := consoles[p.ID]; ok {
		return s.Region + "." + domain
	}
	return ""
}
