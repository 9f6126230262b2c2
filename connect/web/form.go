package web

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// submit takes the form: the role is to be verified, or the page to be read in another language.
func (h *Handler) submit(v *visit) {
	if v.r.PostForm.Has(fieldIntegration) {
		v.choose(v.r.PostForm.Get(fieldIntegration))
		return
	}
	typed := connect.Typed{RoleARN: v.r.PostForm.Get(connect.FieldRoleARN), Region: v.r.PostForm.Get(connect.FieldRegion)}
	ctx := v.r.Context()
	if lang := v.r.PostForm.Get("lang"); lang != "" {
		h.setLanguage(v.w, lang)
		if _, err := h.store.RememberTyped(ctx, v.token, typed); errors.Is(err, connect.ErrUnavailable) {
			h.options.Report(err)
		}
		v.seeOther("./")
		return
	}
	verification, err := h.service.Submit(ctx, v.token, typed.RoleARN, typed.Region)
	if err == nil && (verification.State != connect.StateFailed || verification.Step != connect.StepInput) {
		// It goes on, or has ended already: the page tells how.
		v.seeOther("./")
		return
	}
	page, pageErr := h.service.Page(ctx, v.token)
	if err = errors.Join(err, pageErr); err != nil {
		v.fail(err, page)
		return
	}
	page.Verification = verification
	if _, err := sts.ParseRoleARN(typed.RoleARN); err == nil && !page.Session.Prefill.RoleARN.Fixed {
		page.RoleARN = typed.RoleARN
	}
	v.showPage(http.StatusUnprocessableEntity, page)
}

// checked is what is known of the fields while they are typed, in words for the customer.
type checked struct {
	RoleARN checkedField `json:"role_arn"`
	Region  checkedField `json:"region"`
}

type checkedField struct {
	Good string `json:"good,omitempty"`
	Bad  string `json:"bad,omitempty"`
}

// check says what is wrong with the fields as they stand, and keeps them for when the customer comes
// back.
func (h *Handler) check(v *visit) {
	typed := connect.Typed{RoleARN: strings.TrimSpace(v.r.PostForm.Get(connect.FieldRoleARN)), Region: strings.TrimSpace(v.r.PostForm.Get(connect.FieldRegion))}
	session, err := h.store.Session(v.r.Context(), v.token)
	if err == nil && session.Succeeded == "" && session.Typed != typed {
		_, err = h.store.RememberTyped(v.r.Context(), v.token, typed)
		if errors.Is(err, connect.ErrInvalid) {
			err = nil // What can't be kept is wrong in any case.
		}
	}
	if err != nil {
		v.failQuietly(err)
		return
	}
	p := v.plainPage(&session)
	var out checked
	for _, e := range h.service.CheckInput(session, typed.RoleARN, typed.Region) {
		text := p.describe(e)
		switch {
		case e.Field == connect.FieldRoleARN && typed.RoleARN != "":
			out.RoleARN.Bad = text
		case e.Field == connect.FieldRegion && typed.Region != "":
			out.Region.Bad = text
		}
	}
	if role, err := sts.ParseRoleARN(typed.RoleARN); err == nil && out.RoleARN.Bad == "" {
		out.RoleARN.Good = p.T("role.ok", "name", role.Name, "account", role.Account)
	}
	writeJSON(v.w, http.StatusOK, out)
}

// describe says in a line what is wrong with a field, and what to write.
func (p *connectPage) describe(e connect.FieldError) string {
	values := p.values(&connect.Verification{})
	return p.T("code."+string(e.Code)) + " " + p.T("next."+string(e.Code), values...)
}

// plainPage is the page of a session without what takes time: templates and AWS.
func (v *visit) plainPage(session *connect.Session) *connectPage {
	page := &connect.Page{Session: *session, Integration: &connect.Integration{Key: session.Integration}}
	if c, ok := v.h.service.Integration(session.Integration); ok {
		page.Integration = &c.Integration
		page.Regions = c.Regions
		page.Verification.State = connect.StateNone
	}
	return v.connectPage(page)
}

// status says how the verification goes on.
func (h *Handler) status(v *visit) {
	verification, err := h.service.Verification(v.r.Context(), v.token)
	if err != nil {
		v.failQuietly(err)
		return
	}
	f := v.frame(nil)
	message := ""
	if verification.State == connect.StateRunning {
		message = f.T("step." + string(verification.Step))
		if verification.Step == connect.StepAssumeRole && verification.Attempt > 1 {
			message = f.T("running.again", "n", verification.Attempt)
		}
	}
	writeJSON(v.w, http.StatusOK, map[string]any{"state": verification.State, "step": verification.Step, "message": message})
}

// keep prolongs the session because its page is open. Without JavaScript a hidden frame asks for it.
func (h *Handler) keep(v *visit) {
	session, err := h.store.RenewSession(v.r.Context(), v.token)
	if err != nil && !errors.Is(err, connect.ErrUsed) {
		v.failQuietly(err)
		return
	}
	v.w.Header().Set("X-Session-Expires", timestamp(session.Expires))
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors "+h.ancestors("'self'"))
	v.w.Write([]byte(`<!doctype html><html lang="en"><title>…</title><meta http-equiv="refresh" content="240">`)) //nolint:errcheck // the client may be gone
}

// failQuietly answers what only scripts read.
func (v *visit) failQuietly(err error) {
	e := asAPIError(err)
	if e.cause != nil {
		v.h.options.Report(e.cause)
	}
	switch {
	case errors.Is(err, connect.ErrExpired), errors.Is(err, connect.ErrRevoked), errors.Is(err, connect.ErrUsed), errors.Is(err, connect.ErrNotFound):
		e = &apiError{Status: http.StatusGone, Code: e.Code, Message: e.Message}
	}
	writeError(v.w, e)
}

// download gives the customer a template as a file. Its name is that of the link.
func (h *Handler) download(v *visit) {
	session, err := h.store.Session(v.r.Context(), v.token)
	if err != nil {
		v.fail(err, &connect.Page{Session: session})
		return
	}
	data, _, err := h.service.Template(v.r.Context(), session.Integration, v.r.PathValue("id"))
	switch {
	case errors.Is(err, connect.ErrNotFound):
		v.end(http.StatusNotFound, "not_found", nil)
		return
	case err != nil:
		v.fail(err, &connect.Page{Session: session})
		return
	}
	v.w.Header().Set("Content-Type", "application/octet-stream")
	v.w.Header().Set("Content-Disposition", "attachment")
	v.w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	v.w.Write(data) //nolint:errcheck,gosec // the client may be gone; browsers store it and run nothing of it
}
