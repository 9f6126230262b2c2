package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// createSession answers POST /connect/sessions.
func (h *Handler) createSession(r *http.Request, key *Key) (int, any, error) {
	f, err := body(r)
	if err != nil {
		return 0, nil, err
	}
	n := h.newSession(f)
	customerOfTags(&n)
	h.assign(&n, h.choices(f, &n, h.allowedIntegrations(f, key)))
	if n.EndUser.ID == "" && n.Organization.ID == "" && len(n.Tags) == 0 {
		f.problem("invalid_type", "whom is the session for? write the end user's id, the organization's, or tags", "end_user")
	}
	f.done()
	if len(*f.problems) > 0 {
		return 0, nil, invalidBody(*f.problems...)
	}
	token, session, err := h.service.CreateSession(r.Context(), n)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, h.created(r, token, session), nil
}

// createReconnectSession answers POST /connect/sessions/reconnect.
func (h *Handler) createReconnectSession(r *http.Request, key *Key) (int, any, error) {
	f, err := body(r)
	if err != nil {
		return 0, nil, err
	}
	n := h.newSession(f)
	h.assign(&n, h.choices(f, &n, []string{f.text("integration_id")}))
	connection := f.text("connection_id")
	for name, missing := range map[string]bool{"integration_id": n.Integration == "", "connection_id": connection == ""} {
		if missing && !f.wrong(name) {
			f.problem("required", "it is needed", name)
		}
	}
	f.done()
	if len(*f.problems) > 0 {
		return 0, nil, invalidBody(*f.problems...)
	}
	// Whether another integration has such a connection is not for this key to know.
	unknown := invalidBody(fieldProblem{"custom", "the integration has no connection of this ID, or there is no such integration", []any{"connection_id"}})
	if !key.mayUse(n.Integration) {
		return 0, nil, unknown
	}
	token, session, err := h.service.CreateReconnectSession(r.Context(), connection, n)
	if errors.Is(err, connect.ErrNotFound) {
		err = unknown
	}
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, h.created(r, token, session), nil
}

// created is the answer to both.
func (h *Handler) created(r *http.Request, token string, session connect.Session) any {
	type data struct {
		Token       string `json:"token"`
		ConnectLink string `json:"connect_link"`
		ExpiresAt   string `json:"expires_at"`
	}
	return map[string]data{"data": {token, h.link(r, token), timestamp(session.Expires)}}
}

// link returns what the customer is to follow. A server that is reached without HTTPS from a network
// of its own has something before it that ends HTTPS for customers.
func (h *Handler) link(r *http.Request, token string) string {
	base := h.origin(r)
	switch {
	case h.base != nil:
		base = h.base.String()
	case !h.confidential(r):
		base = "https://" + r.Host
		h.plain.Do(func() {
			h.options.Report(fmt.Errorf("a session was asked for without HTTPS, and its link begins with %s: if nothing before this server ends HTTPS there, customers can't open it: "+
				"serve this site over HTTPS, or write base_url", base))
		})
	}
	return base + "/connect/?" + tokenParameter + "=" + url.QueryEscape(token)
}

// newSession reads what both kinds of sessions have.
func (h *Handler) newSession(f *fields) connect.NewSession {
	n := connect.NewSession{AllowedReturns: h.options.ReturnURLs, Tags: tags(f, "tags"), WebhookURL: f.text("webhook_url_override")}
	if u := readEndUser(f); u != nil {
		n.EndUser = *u
	}
	if o := readOrganization(f); o != nil {
		n.Organization = *o
	}
	if u := f.object("return_urls"); u != nil {
		n.ReturnURLs = connect.ReturnURLs{Success: u.text("success"), Error: u.text("error")}
		u.done()
	}
	if p := f.object("prefill"); p != nil {
		n.Prefill = connect.Prefill{ExternalID: value(p, "external_id"), RoleARN: value(p, "role_arn"), Region: value(p, "region")}
		p.done()
	}
	return n
}

// customerOfTags takes the customer from the tags where nobody else names one: Nango's clients may leave the
// end user out then. Without that each such session would have an External ID of its own.
func customerOfTags(n *connect.NewSession) {
	if n.EndUser.ID != "" || n.Organization.ID != "" {
		return
	}
	if id := n.Tags["end_user_id"]; id != "" {
		n.EndUser = connect.EndUser{ID: id, Email: n.Tags["end_user_email"], DisplayName: n.Tags["end_user_display_name"]}
	}
	if id := n.Tags["organization_id"]; id != "" {
		n.Organization = connect.Organization{ID: id, DisplayName: n.Tags["organization_display_name"]}
	}
}

// readEndUser returns nil if none is named.
func readEndUser(f *fields) *connect.EndUser {
	u := f.object("end_user")
	if u == nil {
		return nil
	}
	user := connect.EndUser{ID: u.text("id"), Email: u.text("email"), DisplayName: u.text("display_name"), Tags: tags(u, "tags")}
	if user.ID == "" {
		u.problem("too_small", "write the id that you know the end user by", "id")
	}
	u.done()
	return &user
}

// readOrganization returns nil if none is named.
func readOrganization(f *fields) *connect.Organization {
	o := f.object("organization")
	if o == nil {
		return nil
	}
	named := connect.Organization{ID: o.text("id"), DisplayName: o.text("display_name")}
	if named.ID == "" {
		o.problem("too_small", "write the id that you know the organization by", "id")
	}
	o.done()
	return &named
}

// tags reads tags, whose keys are taken in lower case.
func tags(f *fields, name string) map[string]string {
	given := f.textMap(name)
	if given == nil {
		return nil
	}
	lower := make(map[string]string, len(given))
	for k, v := range given {
		if _, twice := lower[strings.ToLower(k)]; twice {
			f.problem("custom", "two tags differ in their case only", name)
		}
		lower[strings.ToLower(k)] = v
	}
	return lower
}

// value reads a prefilled value: a string suggests it, {"value": …, "fixed": true} has no other accepted.
func value(f *fields, name string) (v connect.Value) {
	if raw, ok := f.take(name); ok && len(raw) > 0 && raw[0] == '"' {
		return connect.Value{Text: f.text(name)}
	}
	if o := f.object(name); o != nil {
		v.Text = o.text("value")
		o.into("fixed", &v.Fixed, "true or false")
		o.done()
	}
	return v
}

// allowedIntegrations returns the integrations that a session may be for: all that the key may be used with, if
// it names none.
func (h *Handler) allowedIntegrations(f *fields, key *Key) []string {
	var wanted []string
	if f.has("allowed_integrations") {
		wanted = f.texts("allowed_integrations")
	} else {
		all, err := h.service.Integrations()
		if err != nil {
			h.options.Report(err) // Those of the configuration are there in any case.
		}
		for _, c := range all {
			if key.mayUse(c.Key) {
				wanted = append(wanted, c.Key)
			}
		}
	}
	for i, w := range wanted {
		_, ok := h.service.Integration(w)
		switch {
		case !ok || !key.mayUse(w):
			f.problem("custom", "there is no such integration", "allowed_integrations", i)
			return nil
		case slices.Contains(wanted[:i], w):
			f.problem("custom", "it is there twice: write it once", "allowed_integrations", i)
			return nil
		}
	}
	if len(wanted) == 0 {
		f.problem("too_small", "a session is for one integration at least: write its key", "allowed_integrations")
	}
	return wanted
}

// choices reads what is known for each of the integrations.
func (h *Handler) choices(f *fields, n *connect.NewSession, integrations []string) []connect.Choice {
	choices := make([]connect.Choice, 0, len(integrations))
	for _, i := range integrations {
		choices = append(choices, connect.Choice{Integration: i, Prefill: n.Prefill})
	}
	if len(choices) > 1 && n.Prefill.ExternalID.Text != "" {
		f.problem("custom", "each integration has an External ID of its own: write it in integrations_config_defaults", "prefill", "external_id")
	}
	each := func(name string, read func(one *fields, c *connect.Choice)) {
		all := f.object(name)
		if all == nil {
			return
		}
		for _, key := range all.names() {
			one := all.object(key)
			at := slices.IndexFunc(choices, func(c connect.Choice) bool { return c.Integration == key })
			switch {
			case at < 0:
				all.problem("custom", "the session is not for this integration", key)
			case one != nil:
				read(one, &choices[at])
				one.done()
			}
		}
	}
	each("integrations_config_defaults", readDefaults)
	each("overrides", func(one *fields, c *connect.Choice) { c.Guide = one.text("docs_connect") })
	return choices
}

// assign has a session be for one integration, or for one of several.
func (h *Handler) assign(n *connect.NewSession, choices []connect.Choice) {
	n.Prefill = connect.Prefill{}
	if len(choices) == 1 {
		n.Integration, n.Prefill, n.Guide = choices[0].Integration, choices[0].Prefill, choices[0].Guide
		return
	}
	n.Choices = choices
}

// readDefaults reads what the vendor has decided for an integration, and can't be changed on the page.
func readDefaults(one *fields, c *connect.Choice) {
	one.text("user_scopes") // These two are about other kinds of credentials.
	one.textMap("authorization_params")
	config := one.object("connection_config")
	if config == nil {
		return
	}
	for field, v := range map[string]*connect.Value{
		"external_id": &c.Prefill.ExternalID, "role_arn": &c.Prefill.RoleARN, "region": &c.Prefill.Region,
	} {
		text := config.text(field)
		switch {
		case text == "":
		case v.Text != "" && v.Text != text:
			config.problem("custom", "prefill says otherwise: write it in one place", field)
		default:
			*v = connect.Value{Text: text, Fixed: true}
		}
	}
	config.done()
}

// readSession answers GET /connect/session.
func (h *Handler) readSession(ctx context.Context, token string) (int, any, error) {
	session, err := h.store.Session(ctx, token)
	if err != nil {
		return 0, nil, err
	}
	if session.Succeeded != "" {
		return 0, nil, connect.ErrUsed
	}
	choices := session.Choices
	if len(choices) == 0 {
		choices = []connect.Choice{{Integration: session.Integration, Prefill: session.Prefill, Guide: session.Guide}}
	}
	allowed, defaults, overrides := make([]string, 0, len(choices)), map[string]any{}, map[string]any{}
	for _, c := range choices {
		externalID, err := h.store.ExternalIDFor(ctx, session.As(c))
		if err != nil {
			return 0, nil, err
		}
		config := map[string]string{"external_id": externalID}
		for name, v := range map[string]connect.Value{"role_arn": c.Prefill.RoleARN, "region": c.Prefill.Region} {
			if v.Text != "" {
				config[name] = v.Text
			}
		}
		allowed = append(allowed, c.Integration)
		defaults[c.Integration] = map[string]any{"connection_config": config, "authorization_params": map[string]string{}}
		if c.Guide != "" {
			overrides[c.Integration] = map[string]string{"docs_connect": c.Guide}
		}
	}
	data := map[string]any{
		"endUser":                      nil,
		"connectUISettings":            map[string]any{},
		"allowed_integrations":         allowed,
		"integrations_config_defaults": defaults,
		"overrides":                    overrides,
		"tags":                         notNil(session.Tags),
		"isReconnecting":               session.Reconnect,
		"expires_at":                   timestamp(session.Expires),
	}
	if session.EndUser.ID != "" {
		data["endUser"] = endUser(session.EndUser, session.Organization)
	}
	return http.StatusOK, map[string]any{"data": data}, nil
}

// revokeSession answers DELETE /connect/session.
func (h *Handler) revokeSession(ctx context.Context, token string) (int, any, error) {
	return http.StatusNoContent, nil, h.service.RevokeSession(ctx, token)
}

// endUser is an end user as the API writes it.
func endUser(u connect.EndUser, o connect.Organization) any {
	var of any
	if o.ID != "" {
		of = organization(o)
	}
	return struct {
		ID           string            `json:"id"`
		Email        *string           `json:"email"`
		DisplayName  *string           `json:"display_name"`
		Tags         map[string]string `json:"tags"`
		Organization any               `json:"organization"`
	}{u.ID, nullable(u.Email), nullable(u.DisplayName), notNil(u.Tags), of}
}

// organization is an organization as the API writes it.
func organization(o connect.Organization) any {
	return struct {
		ID          string  `json:"id"`
		DisplayName *string `json:"display_name"`
	}{o.ID, nullable(o.DisplayName)}
}

func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// notNil has a map that is nil written as an empty object.
func notNil[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}
