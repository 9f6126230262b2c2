package web

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// provider is what all integrations are called by those who know several kinds.
const provider = "aws-sigv4"

// routeIntegrations has the integrations answered for.
func (h *Handler) routeIntegrations() {
	h.api("GET /integrations", h.byKeyOrToken(h.listIntegrations, h.integrationOfToken, ScopeReadIntegrations, ScopeWriteIntegrations))
	h.api("GET /integrations/{key}", h.byKey(h.readIntegration, ScopeReadIntegrations, ScopeWriteIntegrations))
	h.api("POST /integrations", h.byKey(h.createIntegration, ScopeWriteIntegrations))
	h.api("PATCH /integrations/{key}", h.byKey(h.changeIntegration, ScopeWriteIntegrations))
	h.api("DELETE /integrations/{key}", h.byKey(h.deleteIntegration, ScopeWriteIntegrations))
}

// byKeyOrToken has a call answered with an API key, or with the token of a connect session.
func (h *Handler) byKeyOrToken(
	ofKey func(*http.Request, *Key) (int, any, error), ofToken func(context.Context, string) (int, any, error), scopes ...Scope,
) call {
	withKey, withToken := h.byKey(ofKey, scopes...), h.byToken(ofToken)
	return func(r *http.Request) (int, any, error) {
		if token, err := bearer(r.Header); err == nil && connect.IsToken(token) {
			return withToken(r)
		}
		return withKey(r)
	}
}

// listIntegrations answers GET /integrations.
func (h *Handler) listIntegrations(_ *http.Request, key *Key) (int, any, error) {
	all, err := h.service.Integrations()
	if err != nil {
		return 0, nil, unavailable(err)
	}
	list := []any{}
	for _, c := range all {
		if key.mayUse(c.Key) {
			list = append(list, integrationJSON(c))
		}
	}
	return http.StatusOK, map[string]any{"data": list}, nil
}

// unavailable is that something could not be read.
func unavailable(err error) error {
	if errors.Is(err, connect.ErrUnavailable) || errors.Is(err, connect.ErrDamaged) {
		return err
	}
	return refuse(http.StatusServiceUnavailable, "storage_unavailable", "the storage does not answer: try again").because(err)
}

// integrationOfToken answers GET /integrations to the browser of a customer: with those that the session
// is, or may be, for, and what the page shows of it.
func (h *Handler) integrationOfToken(ctx context.Context, token string) (int, any, error) {
	session, err := h.store.Session(ctx, token)
	if err != nil {
		return 0, nil, err
	}
	list := []any{}
	for _, key := range session.Integrations() {
		if c, ok := h.service.Integration(key); ok {
			list = append(list, shownIntegrationJSON(c))
		}
	}
	return http.StatusOK, map[string]any{"data": list}, nil
}

// integrationOf returns the integration that a request names, if its key may know of it.
func (h *Handler) integrationOf(r *http.Request, key *Key) (*connect.Configured, error) {
	name := r.PathValue("key")
	if key.mayUse(name) {
		all, err := h.service.Integrations()
		for _, c := range all {
			if c.Key == name {
				return c, nil
			}
		}
		if err != nil {
			return nil, unavailable(err)
		}
	}
	return nil, refuse(http.StatusNotFound, "not_found", "there is no such integration")
}

// readIntegration answers GET /integrations/KEY.
func (h *Handler) readIntegration(r *http.Request, key *Key) (int, any, error) {
	c, err := h.integrationOf(r, key)
	if err != nil {
		return 0, nil, err
	}
	out := integrationJSON(c)
	out["settings"] = settingsJSON(c)
	out["integration_config"] = configOf(c)
	for _, include := range r.URL.Query()["include"] {
		switch include {
		case "webhook":
			out["webhook_url"] = nil
		case "credentials":
			out["credentials"] = nil // There are none of a kind that this could name.
		default:
			return 0, nil, invalidQuery(fieldProblem{"invalid_value", "write webhook or credentials", []any{"include"}})
		}
	}
	return http.StatusOK, map[string]any{"data": out}, nil
}

// createIntegration answers POST /integrations.
func (h *Handler) createIntegration(r *http.Request, key *Key) (int, any, error) {
	f, err := body(r)
	if err != nil {
		return 0, nil, err
	}
	i := connect.Stored{Integration: connect.Integration{Key: f.text("unique_key")}}
	if f.text("provider") != provider {
		f.problem("invalid_string", "Invalid provider: write "+provider, "provider")
	}
	if err := connect.CheckIntegrationKey(i.Key); err != nil {
		f.problem("invalid_string", err.Error(), "unique_key")
	}
	if err := readIntegration(f, &i); err != nil {
		return 0, nil, err
	}
	if !key.mayUse(i.Key) {
		return 0, nil, errOtherIntegrations
	}
	c, err := h.service.CreateIntegration(r.Context(), i)
	if errors.Is(err, connect.ErrConflict) {
		err = invalidBody(fieldProblem{"invalid_string", "Unique key already exists", []any{"unique_key"}})
	}
	return written(c, err)
}

var errOtherIntegrations = refuse(http.StatusForbidden, "forbidden", "the API key is for other integrations")

// changeIntegration answers PATCH /integrations/KEY.
func (h *Handler) changeIntegration(r *http.Request, key *Key) (int, any, error) {
	f, err := body(r)
	if err != nil {
		return 0, nil, err
	}
	before, err := h.integrationOf(r, key)
	if err != nil {
		return 0, nil, err
	}
	c, err := h.service.UpdateIntegration(r.Context(), before.Key, func(i *connect.Stored) error {
		again := &fields{members: f.members, problems: &[]fieldProblem{}, asked: map[string]bool{}}
		*again.problems = append(*again.problems, *f.problems...)
		if again.has("provider") && again.text("provider") != provider {
			again.problem("invalid_string", "Invalid provider: an integration stays "+provider, "provider")
		}
		if again.has("unique_key") {
			i.Key = again.text("unique_key")
			if err := connect.CheckIntegrationKey(i.Key); err != nil {
				again.problem("invalid_string", err.Error(), "unique_key")
			}
		}
		if err := readIntegration(again, i); err != nil {
			return err
		}
		if !key.mayUse(i.Key) {
			return errOtherIntegrations
		}
		return nil
	})
	switch {
	case errors.Is(err, connect.ErrInUse):
		err = invalidBody(fieldProblem{"custom", err.Error(), []any{"unique_key"}})
	case errors.Is(err, connect.ErrConflict):
		err = invalidBody(fieldProblem{"invalid_string", "the key is already used by another integration", []any{"unique_key"}})
	}
	return written(c, err)
}

func written(c *connect.Configured, err error) (int, any, error) {
	if err != nil {
		return 0, nil, err
	}
	out := integrationJSON(c)
	out["settings"] = settingsJSON(c)
	out["integration_config"] = configOf(c)
	return http.StatusOK, map[string]any{"data": out}, nil
}

// deleteIntegration answers DELETE /integrations/KEY.
func (h *Handler) deleteIntegration(r *http.Request, key *Key) (int, any, error) {
	c, err := h.integrationOf(r, key)
	if err == nil {
		err = h.service.DeleteIntegration(r.Context(), c.Key)
	}
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]bool{"success": true}, nil
}

// readIntegration reads what creating and changing have in common.
func readIntegration(f *fields, i *connect.Stored) error {
	for name, into := range map[string]*string{"display_name": &i.DisplayName, "logo": &i.Logo} {
		if f.mentions(name) {
			*into = f.text(name)
		}
	}
	if f.has("credentials") {
		f.problem("custom", "integrations of "+provider+" have no such credentials: write integration_config or settings", "credentials")
	}
	f.has("forward_webhooks") // All connections are told of.
	if f.mentions("integration_config") {
		readConfig(f, i)
	}
	if custom := f.object("custom"); custom != nil {
		readTemplatesConfig(custom, i)
		custom.done()
	}
	if f.mentions("settings") {
		readSettings(f, i)
	}
	f.done()
	if len(*f.problems) > 0 {
		return invalidBody(*f.problems...)
	}
	return nil
}

// mentions says whether there is a member, be it null.
func (f *fields) mentions(name string) bool {
	f.asked[name] = true
	_, ok := f.members[name]
	return ok
}

// integrationJSON is an integration as the API writes it in lists.
func integrationJSON(c *connect.Configured) map[string]any {
	out := shownIntegrationJSON(c)
	out["forward_webhooks"] = true
	out["read_only"] = c.Stored == nil
	if c.Stored != nil {
		out["created_at"], out["updated_at"] = timestamp(c.Stored.Created), timestamp(c.Stored.Updated)
	}
	if c.Problem != "" {
		out["problem"] = c.Problem
	}
	return out
}

// shownIntegrationJSON is what customers may know of an integration.
func shownIntegrationJSON(c *connect.Configured) map[string]any {
	name := c.DisplayName
	if name == "" {
		name = c.Key
	}
	shown := map[string]any{}
	templates := make([]any, 0, len(c.Templates))
	for _, t := range c.Templates {
		templates = append(templates, map[string]any{
			"id": t.ID, "label": t.Label, "description": t.Description, "stack_name": t.StackName, "template_url": t.URL,
		})
	}
	if len(templates) > 0 {
		shown["templates"] = templates
	}
	if len(c.Instructions) > 0 {
		in := c.Instructions[0]
		shown["instructions"] = map[string]any{"label": in.Label, "url": in.URL, "description": in.Description}
	}
	return map[string]any{
		"unique_key": c.Key, "provider": provider, "display_name": name, "logo": c.Logo,
		"created_at": nil, "updated_at": nil, "aws_sigv4": shown,
	}
}

// trimmed returns a member that is a string, without blanks around it, and whether it is there.
func (f *fields) trimmed(name string) (string, bool) {
	if !f.mentions(name) {
		return "", false
	}
	return strings.TrimSpace(f.text(name)), true
}
