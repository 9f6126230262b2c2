package cfn

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
)

// Settings are what an operator configured of a template.
type Settings struct {
	// Parameters are values for parameters of the template, the same for all customers.
	Parameters map[string]string

	// ExternalIDParameter is the parameter that takes the customer's External ID.
	ExternalIDParameter string

	// AccountParameter takes the 12 digits of the account that may assume the role, and
	// PrincipalParameter the ARN of who in it may. Empty: the template has no such parameter.
	AccountParameter, PrincipalParameter string
}

// Values are what goes into the parameters that Settings name.
type Values struct {
	ExternalID, Account, Principal string
}

// Argument is a parameter and what a stack is made with.
type Argument struct {
	Parameter

	// Value is the parameter's, if Set; else its default holds, or the customer gives one.
	Value string
	Set   bool
}

// Missing says whether only the customer can give the value.
func (a Argument) Missing() bool { return !a.Set && !a.HasDefault }

// Check says whether the template goes with the settings: the parameters that they name are in it,
// above all that of the External ID, and take the values. One error names all that does not fit.
func (t *Template) Check(s Settings) error {
	var wrong []string
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if s.ExternalIDParameter == "" {
		complain("no parameter is named for the External ID: write `external_id_parameter NAME`, with a parameter of the template: %s", t.names())
	}
	users := map[string]string{}
	for _, role := range s.roles() {
		if role.parameter == "" {
			continue
		}
		p, ok := t.parameter(role.parameter)
		other, taken := users[role.parameter]
		_, fixed := s.Parameters[role.parameter]
		switch {
		case !ok:
			complain("the template has no parameter %s for %s%s", quoted(role.parameter), role.what, t.instead(role.parameter))
		case taken:
			complain("parameter %s can't take both %s and %s", p.Name, other, role.what)
		case fixed:
			complain("parameter %s takes %s: remove the value that is configured for it", p.Name, role.what)
		case role.what == externalID && p.Type != "String":
			complain("parameter %s is of type %q, and an External ID is a String", p.Name, clip.Text(p.Type))
		case role.what == externalID && len(p.AllowedValues) > 0:
			complain("parameter %s has AllowedValues, and each customer has an External ID of their own", p.Name)
		}
		users[role.parameter] = role.what
	}
	for _, name := range slices.Sorted(maps.Keys(s.Parameters)) {
		p, ok := t.parameter(name)
		if !ok {
			complain("the template has no parameter %s%s", quoted(name), t.instead(name))
			continue
		}
		if err := p.Check(s.Parameters[name]); err != nil {
			complain("%v", err)
		}
	}
	t.checkTrust(s, complain)
	if len(wrong) == 0 {
		return nil
	}
	return errors.New(strings.Join(wrong, "; "))
}

// checkTrust finds roles whose Principal is a parameter that nobody but the customer would fill in.
func (t *Template) checkTrust(s Settings, complain func(format string, args ...any)) {
	for _, role := range t.Roles {
		for _, statement := range role.Trust {
			if statement.Opaque != "" || statement.Effect == "Deny" || !allows(statement, "sts:AssumeRole") {
				continue
			}
			for _, who := range outsiders(statement) {
				for _, p := range t.Parameters {
					_, configured := s.Parameters[p.Name]
					filled := configured || p.HasDefault || len(p.AllowedValues) > 0 || p.Name == s.AccountParameter || p.Name == s.PrincipalParameter
					switch {
					case filled || !refers(who.Entry, p.Name):
					case who.Text == "${"+p.Name+"}":
						complain("role %s: its Principal is the parameter %s, which each customer would choose: write principal_parameter %s", role.LogicalID, p.Name, p.Name)
					default:
						complain("role %s: its Principal has the parameter %s in it, which each customer would choose: write account_parameter %s", role.LogicalID, p.Name, p.Name)
					}
				}
			}
		}
	}
}

const externalID = "the External ID"

type parameterRole struct{ parameter, what string }

func (s Settings) roles() []parameterRole {
	return []parameterRole{
		{s.ExternalIDParameter, externalID},
		{s.AccountParameter, "the vendor's account"},
		{s.PrincipalParameter, "the vendor's principal"},
	}
}

// Arguments returns the template's parameters, in its order, with the values of a stack. A value
// that the template does not take is an error that names its parameter, and so is all that Check
// finds: the same values can be checked when a configuration is loaded, with an External ID that is
// made up.
func (t *Template) Arguments(s Settings, v Values) ([]Argument, error) {
	if err := t.Check(s); err != nil {
		return nil, err
	}
	values := maps.Clone(s.Parameters)
	if values == nil {
		values = map[string]string{}
	}
	for i, value := range []string{v.ExternalID, v.Account, v.Principal} {
		role := s.roles()[i]
		if role.parameter == "" {
			continue
		}
		if value == "" {
			return nil, fmt.Errorf("parameter %s takes %s, and there is none", role.parameter, role.what)
		}
		values[role.parameter] = value
	}
	arguments := make([]Argument, 0, len(t.Parameters))
	for _, p := range t.Parameters {
		value, set := values[p.Name]
		if set {
			if err := p.Check(value); err != nil {
				return nil, err
			}
		}
		arguments = append(arguments, Argument{p, value, set})
	}
	return arguments, nil
}

func (t *Template) parameter(name string) (Parameter, bool) {
	i := slices.IndexFunc(t.Parameters, func(p Parameter) bool { return p.Name == name })
	if i < 0 {
		return Parameter{}, false
	}
	return t.Parameters[i], true
}

// instead says what could have been meant.
func (t *Template) instead(name string) string {
	for _, p := range t.Parameters {
		if strings.EqualFold(p.Name, name) {
			return fmt.Sprintf(", but one that is written %s", p.Name)
		}
	}
	return "; it has " + t.names()
}

func (t *Template) names() string {
	names := make([]string, 0, len(t.Parameters))
	for _, p := range t.Parameters {
		names = append(names, p.Name)
	}
	if len(names) == 0 {
		return "none"
	}
	const enough = 20
	if len(names) > enough {
		names = append(names[:enough], "…")
	}
	return strings.Join(names, ", ")
}

func quoted(name string) string { return fmt.Sprintf("%q", clip.Text(name)) }
