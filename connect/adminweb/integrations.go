package adminweb

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

type integrationsPage struct {
	frame
	Integrations []*connect.Configured
}

func (v *visit) integrations() (*integrationsPage, int) {
	p, status := &integrationsPage{frame: v.frame("integrations", "Integrations")}, http.StatusOK
	var err error
	if p.Integrations, err = v.h.service.Integrations(); err != nil {
		status, p.Problem = v.explain(err)
	}
	return p, status
}

// showIntegrations answers with the list of integrations.
func (h *Handler) showIntegrations(v *visit) {
	p, status := v.integrations()
	v.render(status, "integrations.html", p)
}

// integration returns the integration that the path names; if there is none, the answer was given.
func (v *visit) integration() *connect.Configured {
	all, err := v.h.service.Integrations()
	for _, c := range all {
		if c.Key == v.r.PathValue("key") {
			return c
		}
	}
	if err != nil {
		v.fail(err)
	} else {
		v.problem(http.StatusNotFound, "There is no such integration", "")
	}
	return nil
}

// of is the way to an integration from the first page.
func of(key string) string { return "integrations/" + url.PathEscape(key) + "/" }

type integrationPage struct {
	frame
	New         bool
	Integration *connect.Configured
	Form        *form
	Credentials []string // that may be named
	Probes      []connect.ProbeMode
}

func (v *visit) integrationPage(c *connect.Configured, f *form) *integrationPage {
	p := &integrationPage{
		frame: v.frame("integrations", c.Key), Integration: c, Form: f,
		Probes: []connect.ProbeMode{connect.ProbeRequire, connect.ProbeWarn, connect.ProbeOff},
	}
	if r := v.h.service.Runtime(); r != nil {
		p.Credentials = r.Credentials
	}
	return p
}

// showIntegration answers with an integration: a form if it may be changed.
func (h *Handler) showIntegration(v *visit) {
	c := v.integration()
	if c == nil {
		return
	}
	var f *form
	if c.Stored != nil {
		f = formOf(c.Stored)
	}
	v.render(http.StatusOK, "integration.html", v.integrationPage(c, f))
}

// newIntegration answers with an empty form.
func (h *Handler) newIntegration(v *visit) {
	p := v.integrationPage(&connect.Configured{}, formOf(&connect.Stored{}))
	p.New, p.Title = true, "New integration"
	v.render(http.StatusOK, "integration.html", p)
}

func (h *Handler) createIntegration(v *visit) {
	f := v.readIntegration()
	i := connect.Stored{}
	err := f.apply(&i)
	if err == nil {
		_, err = h.service.CreateIntegration(v.r.Context(), i)
	}
	if err == nil {
		v.seeOther(of(i.Key) + "?done=created")
		return
	}
	p := v.integrationPage(&connect.Configured{}, f)
	p.New, p.Title = true, "New integration"
	v.again(p, err)
}

// again shows a form as it was sent, with what is wrong.
func (v *visit) again(p *integrationPage, err error) {
	status, text := v.explain(err)
	p.Problem, p.Title = text, "Error: "+p.Title
	v.render(status, "integration.html", p)
}

// errChanged is that a form is of an integration as it was before.
var errChanged = errors.New("changed")

func (h *Handler) changeIntegration(v *visit) {
	c := v.integration()
	if c == nil {
		return
	}
	f := v.readIntegration()
	changed, err := h.service.UpdateIntegration(v.r.Context(), c.Key, func(i *connect.Stored) error {
		if f.Updated != i.Updated.Format(timeFormat) {
			return errChanged
		}
		return f.apply(i)
	})
	if err == nil {
		v.seeOther(of(changed.Key) + "?done=saved")
		return
	}
	if c.Stored == nil {
		v.fail(err)
		return
	}
	p := v.integrationPage(c, f)
	if errors.Is(err, errChanged) {
		p.Problem = "Somebody else has changed the integration meanwhile. Load the page again, and make your changes anew."
		v.render(http.StatusConflict, "integration.html", p)
		return
	}
	v.again(p, err)
}

type deletePage struct {
	frame
	What, Name, Warning, Back string
}

func (h *Handler) askToDeleteIntegration(v *visit) {
	if c := v.integration(); c != nil {
		v.render(http.StatusOK, "delete.html", &deletePage{
			frame: v.frame("integrations", "Delete "+c.Key), What: "integration", Name: c.Key, Back: "./",
			Warning: "Links that customers have for it will not work any more. An integration with connections can't be deleted.",
		})
	}
}

func (h *Handler) deleteIntegration(v *visit) {
	c := v.integration()
	if c == nil {
		return
	}
	if err := h.service.DeleteIntegration(v.r.Context(), c.Key); err != nil {
		v.fail(err)
		return
	}
	v.seeOther("?done=deleted")
}

// preview answers with a page that has the one that customers see in a frame.
func (h *Handler) preview(v *visit) {
	if c := v.integration(); c != nil {
		v.render(http.StatusOK, "preview.html", v.integrationPage(c, nil))
	}
}

func (h *Handler) previewPage(v *visit) {
	page, err := h.service.PreviewPage(v.r.Context(), v.r.PathValue("key"))
	if err != nil {
		v.fail(err)
		return
	}
	v.w.Header().Set("X-Frame-Options", "SAMEORIGIN")
	h.connect.Preview(v.w, v.r, page)
}

// words are what a field has between blanks.
func words(text string) []string { return strings.Fields(text) }
