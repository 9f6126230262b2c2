package cfn

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
)

// Parameter is a parameter of a template. See
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html.
type Parameter struct {
	// Name is the parameter's logical ID, which is case-sensitive.
	Name string

	// Type is String, Number, CommaDelimitedList, List<Number>, or one that names something of AWS.
	Type string

	// Description says what it is for, and Constraint what its values are like.
	Description string
	Constraint  string

	// Default is the value where none is given, if HasDefault.
	Default    string
	HasDefault bool

	// NoEcho says whether CloudFormation hides the value.
	NoEcho bool

	// AllowedValues are all that the value may be; none means any.
	AllowedValues []string

	// AllowedPattern is a Java regular expression for the whole value; empty means any.
	AllowedPattern string

	// MinLength and MaxLength bound how many characters a String has; -1 means no bound.
	MinLength, MaxLength int

	// MinValue and MaxValue bound a Number; empty means no bound.
	MinValue, MaxValue string
}

// The limits of CloudFormation, from
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html.
const (
	maxParameters     = 200
	maxParameterValue = 4096
)

var (
	logicalID = regexp.MustCompile(`^[A-Za-z0-9]{1,255}$`)
	number    = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
)

func parseParameters(section *node) ([]Parameter, error) {
	if section == nil {
		return nil, nil
	}
	if section.kind != mapping {
		return nil, fmt.Errorf("line %d: Parameters is no mapping of names", section.line)
	}
	if len(section.fields) > maxParameters {
		return nil, fmt.Errorf("the template has %d parameters, and CloudFormation takes %d", len(section.fields), maxParameters)
	}
	parameters := make([]Parameter, 0, len(section.fields))
	for _, f := range section.fields {
		p, err := parseParameter(f.key, f.value)
		if err != nil {
			return nil, fmt.Errorf("line %d: parameter %q: %w", f.value.line, clip.Text(f.key), err)
		}
		parameters = append(parameters, p)
	}
	return parameters, nil
}

func parseParameter(name string, n *node) (Parameter, error) {
	if !logicalID.MatchString(name) {
		return Parameter{}, errors.New("its name is not 1 to 255 letters and digits")
	}
	p := Parameter{Name: name, MinLength: -1, MaxLength: -1}
	for _, text := range []struct {
		key string
		to  *string
	}{
		{"Type", &p.Type},
		{"Description", &p.Description},
		{"ConstraintDescription", &p.Constraint},
		{"AllowedPattern", &p.AllowedPattern},
		{"MinValue", &p.MinValue},
		{"MaxValue", &p.MaxValue},
		{"Default", &p.Default},
	} {
		value := n.get(text.key)
		if value != nil && value.kind != scalar {
			return Parameter{}, fmt.Errorf("its %s is no string", text.key)
		}
		*text.to = value.scalarText()
	}
	if p.Type == "" {
		return Parameter{}, errors.New("it has no Type")
	}
	p.HasDefault = n.get("Default") != nil
	for _, bound := range []struct {
		key string
		to  *int
	}{{"MinLength", &p.MinLength}, {"MaxLength", &p.MaxLength}} {
		if value := n.get(bound.key); value != nil {
			length, err := strconv.Atoi(value.scalarText())
			if err != nil || length < 0 {
				return Parameter{}, fmt.Errorf("its %s is no length", bound.key)
			}
			*bound.to = length
		}
	}
	var err error
	if p.NoEcho, err = parseBool(n.get("NoEcho")); err != nil {
		return Parameter{}, fmt.Errorf("its NoEcho is %w", err)
	}
	if values := n.get("AllowedValues"); values != nil {
		if values.kind != list || len(values.items) == 0 {
			return Parameter{}, errors.New("its AllowedValues are no list of values")
		}
		for _, value := range values.items {
			if value.kind != scalar {
				return Parameter{}, errors.New("one of its AllowedValues is no string")
			}
			p.AllowedValues = append(p.AllowedValues, value.text)
		}
	}
	return p, nil
}

func parseBool(n *node) (bool, error) {
	switch {
	case n == nil || strings.EqualFold(n.scalarText(), "false"):
		return false, nil
	case strings.EqualFold(n.scalarText(), "true"):
		return true, nil
	}
	return false, errors.New("neither true nor false")
}

// Check says whether CloudFormation would take a value for the parameter. What only AWS can tell,
// such as whether a VPC exists, is not checked, and neither is a pattern that Go does not
// understand. The error does not repeat the value.
func (p Parameter) Check(value string) error {
	if err := p.check(value); err != nil {
		if p.Constraint != "" && !p.NoEcho {
			return fmt.Errorf("parameter %s: %w (%q)", p.Name, err, clip.Text(p.Constraint))
		}
		return fmt.Errorf("parameter %s: %w", p.Name, err)
	}
	return nil
}

func (p Parameter) check(value string) error {
	if len(value) > maxParameterValue {
		return fmt.Errorf("the value has %d bytes, and CloudFormation takes %d", len(value), maxParameterValue)
	}
	elements := []string{value}
	isList := p.Type == "CommaDelimitedList" || strings.HasPrefix(p.Type, "List<")
	if isList {
		elements = strings.Split(value, ",")
		for i := range elements {
			elements[i] = strings.TrimSpace(elements[i])
		}
	}
	for _, element := range elements {
		if len(p.AllowedValues) > 0 && !slices.Contains(p.AllowedValues, element) {
			return fmt.Errorf("the value is none of %q", clip.Text(strings.Join(p.AllowedValues, ", ")))
		}
		if p.Type == "Number" || p.Type == "List<Number>" {
			if err := p.checkNumber(element); err != nil {
				return err
			}
		}
		if !p.matches(element) {
			return fmt.Errorf("the value does not match %q", clip.Text(p.AllowedPattern))
		}
	}
	if isList {
		return nil
	}
	switch n := utf8.RuneCountInString(value); {
	case p.MinLength >= 0 && n < p.MinLength:
		return fmt.Errorf("the value has %d characters, of at least %d", n, p.MinLength)
	case p.MaxLength >= 0 && n > p.MaxLength:
		return fmt.Errorf("the value has %d characters, of at most %d", n, p.MaxLength)
	}
	return nil
}

func (p Parameter) checkNumber(text string) error {
	if !number.MatchString(text) {
		return errors.New("the value is no number")
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return errors.New("the value is no number that can be handled")
	}
	if least, err := strconv.ParseFloat(p.MinValue, 64); err == nil && n < least {
		return fmt.Errorf("the value is less than %s", p.MinValue)
	}
	if most, err := strconv.ParseFloat(p.MaxValue, 64); err == nil && n > most {
		return fmt.Errorf("the value is more than %s", p.MaxValue)
	}
	return nil
}

// matches has the pattern match all of the value, as CloudFormation has it.
func (p Parameter) matches(value string) bool {
	if p.AllowedPattern == "" {
		return true
	}
	pattern, err := regexp.Compile(`\A(?:` + p.AllowedPattern + `)\z`)
	if err != nil {
		return true
	}
	return pattern.MatchString(value)
}
