package adminweb

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/cfn"
)

// templatePage is a template of an integration, with what it says of its parameters if it was loaded.
type templatePage struct {
	frame
	Integration *connect.Configured
	Was         string // the ID that it is stored with; empty: it is new
	Template    connect.Template
	Loaded      bool
	Findings    []string
	Rows        []parameterRow
	Names       []string // of the parameters, if it was loaded
}

// parameterRow is a parameter with its value.
type parameterRow struct {
	Name, Value, Type, Description, Constraint, Default string
	HasDefault, NoEcho, Known                           bool
	Allowed                                             []string
}

func (v *visit) templatePage(c *connect.Configured, was string, t *connect.Template) *templatePage {
	p := &templatePage{frame: v.frame("integrations", "Template of "+c.Key), Integration: c, Was: was, Template: *t}
	names := make([]string, 0, len(t.Parameters))
	for name := range t.Parameters {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p.Rows = append(p.Rows, parameterRow{Name: name, Value: t.Parameters[name]})
	}
	return p
}

// load fills in what the template itself says.
func (p *templatePage) load(of *cfn.Template) {
	p.Loaded, p.Rows = true, nil
	values := p.Template.Parameters
	for _, q := range of.Parameters {
		p.Names = append(p.Names, q.Name)
		p.guess(q.Name)
		if slices.Contains([]string{p.Template.ExternalIDParameter, p.Template.AccountParameter, p.Template.PrincipalParameter}, q.Name) {
			continue // Connect fills it in.
		}
		value, given := values[q.Name]
		if !given {
			value = q.Default
		}
		p.Rows = append(p.Rows, parameterRow{
			Name: q.Name, Value: value, Type: q.Type, Description: q.Description, Constraint: q.Constraint, Default: q.Default,
			HasDefault: q.HasDefault, NoEcho: q.NoEcho, Known: true, Allowed: q.AllowedValues,
		})
	}
	for _, f := range of.Findings(cfn.Settings{
		Parameters: values, ExternalIDParameter: p.Template.ExternalIDParameter, AccountParameter: p.Template.AccountParameter,
		PrincipalParameter: p.Template.PrincipalParameter,
	}, p.Template.ID, p.Template.Label, p.Template.Description) {
		p.Findings = append(p.Findings, f.Text)
	}
}

// guess takes a parameter for what its name says, where nothing was chosen.
func (p *templatePage) guess(name string) {
	t := &p.Template
	plain := strings.ToLower(name)
	switch {
	case t.ExternalIDParameter == "" && strings.Contains(plain, "externalid"):
		t.ExternalIDParameter = name
	case t.AccountParameter == "" && strings.Contains(plain, "account") && (strings.Contains(plain, "trusted") || strings.Contains(plain, "vendor")):
		t.AccountParameter = name
	case t.PrincipalParameter == "" && strings.Contains(plain, "principal"):
		t.PrincipalParameter = name
	}
}

// showTemplate answers with a template: the one whose ID the query names, else a new one.
func (h *Handler) showTemplate(v *visit) {
	c := v.integration()
	if c == nil {
		return
	}
	id := v.r.URL.Query().Get("id")
	t := &connect.Template{}
	if id != "" {
		n := slices.IndexFunc(c.Templates, func(t connect.Template) bool { return t.ID == id })
		if n < 0 {
			v.problem(http.StatusNotFound, "There is no such template", "")
			return
		}
		t = &c.Templates[n]
	}
	v.render(http.StatusOK, "template.html", v.templatePage(c, id, t))
}

// readTemplate reads the form that was sent.
func (v *visit) readTemplate() connect.Template {
	t := connect.Template{
		ID: v.value("id"), Label: v.value("label"), Description: v.value("description"), URL: v.value("url"), StackName: v.value("stack_name"),
		ExternalIDParameter: v.value("external_id_parameter"), AccountParameter: v.value("account_parameter"), PrincipalParameter: v.value("principal_parameter"),
	}
	names, values := v.r.PostForm["parameter"], v.r.PostForm["parameter_value"]
	for n, name := range names {
		if name = strings.TrimSpace(name); name == "" || n >= len(values) || values[n] == "" {
			continue // CloudFormation takes the template's own value.
		}
		if t.Parameters == nil {
			t.Parameters = make(map[string]string)
		}
		t.Parameters[name] = values[n]
	}
	return t
}

// changeTemplate loads, stores or removes a template.
func (h *Handler) changeTemplate(v *visit) {
	c := v.integration()
	if c == nil {
		return
	}
	was, t := v.value("was"), v.readTemplate()
	p := v.templatePage(c, was, &t)
	if v.value("action") == "load" {
		parsed, err := h.service.InspectTemplate(v.r.Context(), t.URL)
		if err != nil {
			v.templateAgain(p, err)
			return
		}
		p.load(parsed)
		p.Done = fmt.Sprintf("The template was loaded: it has %d parameters.", len(parsed.Parameters))
		v.render(http.StatusOK, "template.html", p)
		return
	}
	remove := v.value("action") == "remove"
	_, err := h.service.UpdateIntegration(v.r.Context(), c.Key, func(i *connect.Stored) error {
		n := slices.IndexFunc(i.Templates, func(t connect.Template) bool { return t.ID == was })
		switch {
		case was != "" && n < 0:
			return wrong("the template %s is not there any more", was)
		case remove && n >= 0:
			i.Templates = slices.Delete(i.Templates, n, n+1)
		case remove:
		case n >= 0:
			i.Templates[n] = t
		default:
			i.Templates = append(i.Templates, t)
		}
		return nil
	})
	switch {
	case err != nil:
		v.templateAgain(p, err)
	case remove:
		v.seeOther(of(c.Key) + "?done=removed")
	default:
		v.seeOther(of(c.Key) + "?done=template")
	}
}

func (v *visit) templateAgain(p *templatePage, err error) {
	status, text := v.explain(err)
	p.Problem, p.Title = text, "Error: "+p.Title
	v.render(status, "template.html", p)
}
