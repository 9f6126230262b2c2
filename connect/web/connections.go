package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// connectionOf returns the connection that a request names, if its key may know of it.
func (h *Handler) connectionOf(r *http.Request, key *Key, q *query) (connect.Connection, error) {
	integration := q.text("provider_config_key")
	if err := q.done(); err != nil {
		return connect.Connection{}, err
	}
	if err := h.knows(key, integration); err != nil {
		return connect.Connection{}, err
	}
	return h.connection(r.Context(), key, r.PathValue("id"), integration)
}

// knows says whether a key may know of an integration that a request names, or names none.
func (h *Handler) knows(key *Key, integration string) error {
	if integration == "" {
		return nil
	}
	if _, ok := h.service.Integration(integration); !ok || !key.mayUse(integration) {
		return refuse(http.StatusBadRequest, "unknown_provider_config", "there is no such integration")
	}
	return nil
}

// connection returns a connection, if a key may know of it, and if it belongs to an integration, should one be named.
func (h *Handler) connection(ctx context.Context, key *Key, id, integration string) (connect.Connection, error) {
	c, err := h.store.Connection(ctx, id)
	if errors.Is(err, connect.ErrUnavailable) {
		c, err = h.service.Lookup(ctx, id) // It may be known all the same.
	}
	if errors.Is(err, connect.ErrNotFound) || err == nil && (!key.mayUse(c.Integration) || integration != "" && integration != c.Integration) {
		err = errNoConnection
	}
	if err != nil {
		return connect.Connection{}, err
	}
	return c, nil
}

var (
	errNoConnection      = refuse(http.StatusNotFound, "not_found", "there is no such connection")
	errUnknownConnection = refuse(http.StatusBadRequest, "unknown_connection", "there is no such connection")
)

// readConnection answers GET /connections/ID.
func (h *Handler) readConnection(r *http.Request, key *Key) (int, any, error) {
	q := readQuery(r)
	fresh := q.flag("force_refresh")
	q.flag("refresh_token") // These two are about other kinds of credentials.
	q.flag("refresh_github_app_jwt_token")
	c, err := h.connectionOf(r, key, q)
	if err != nil {
		return 0, nil, err
	}
	service := ""
	if i, ok := h.service.Integration(c.Integration); ok {
		service = i.Service
	}
	out := fullJSON(&c, service)
	if !key.may(ScopeCredentials) || h.options.Credentials == nil {
		if fresh {
			return 0, nil, forbidden(key, ScopeCredentials)
		}
		return http.StatusOK, out, nil
	}
	creds, expires, err := h.options.Credentials(r.Context(), c, fresh)
	if fresh && errors.Is(err, connect.ErrExhausted) {
		// Somebody says that it was mended.
		if c, err = h.service.Recheck(r.Context(), c.ID); err != nil {
			return 0, nil, h.noCredentials(err, out)
		}
		out = fullJSON(&c, service)
		creds, expires, err = h.options.Credentials(r.Context(), c, fresh)
	}
	if err != nil {
		return 0, nil, h.noCredentials(err, out)
	}
	out["credentials"] = credentialsJSON(&c, service, creds, expires)
	return http.StatusOK, out, nil
}

// changeConnection answers PATCH /connections/ID.
func (h *Handler) changeConnection(r *http.Request, key *Key) (int, any, error) {
	c, err := h.connectionOf(r, key, readQuery(r))
	if err != nil {
		return 0, nil, err
	}
	f, err := body(r)
	if err != nil {
		return 0, nil, err
	}
	change := connectionChange(f)
	if len(*f.problems) > 0 {
		return 0, nil, invalidBody(*f.problems...)
	}
	return h.update(r.Context(), c.ID, change)
}

// connectionChange reads what is to be changed of a connection. What is absent, or null, stays; an empty
// string, object or array takes away what there is.
func connectionChange(f *fields) func(*connect.Connection) {
	var changes []func(*connect.Connection)
	change := func(c func(*connect.Connection)) { changes = append(changes, c) }
	if u := readEndUser(f); u != nil {
		change(func(c *connect.Connection) { c.EndUser = *u })
	}
	if o := readOrganization(f); o != nil {
		change(func(c *connect.Connection) { c.Organization = *o })
	}
	if f.has("tags") {
		given := tags(f, "tags")
		change(func(c *connect.Connection) { c.Tags = given })
	}
	if f.has("metadata") {
		given := f.metadata("metadata")
		change(func(c *connect.Connection) { c.Metadata = given })
	}
	if f.has("webhook_url_override") {
		given := f.text("webhook_url_override")
		change(func(c *connect.Connection) { c.WebhookURL = given })
	}
	if f.has("base_url") {
		given := f.text("base_url")
		change(func(c *connect.Connection) { c.BaseURL = given })
	}
	if o := f.object("limits"); o != nil {
		given := limits(o)
		change(func(c *connect.Connection) { c.Limits = given })
	}
	f.done()
	return func(c *connect.Connection) {
		for _, change := range changes {
			change(c)
		}
	}
}

// update changes a connection, and answers that it was done.
func (h *Handler) update(ctx context.Context, id string, change func(*connect.Connection)) (int, any, error) {
	_, err := h.service.UpdateConnection(ctx, id, func(c *connect.Connection) error {
		change(c)
		return nil
	})
	if errors.Is(err, connect.ErrNotFound) {
		err = errNoConnection
	}
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]bool{"success": true}, nil
}

// deleteConnection answers DELETE /connections/ID.
func (h *Handler) deleteConnection(r *http.Request, key *Key) (int, any, error) {
	c, err := h.connectionOf(r, key, readQuery(r))
	if err == nil {
		err = h.service.DeleteConnection(r.Context(), c.ID)
	}
	if errors.Is(err, errNoConnection) || errors.Is(err, connect.ErrNotFound) {
		err = errUnknownConnection
	}
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]bool{"success": true}, nil
}

// pause answers POST /connections/ID/pause, and …/resume.
func (h *Handler) pause(paused bool) func(*http.Request, *Key) (int, any, error) {
	return func(r *http.Request, key *Key) (int, any, error) {
		c, err := h.connectionOf(r, key, readQuery(r))
		if err != nil {
			return 0, nil, err
		}
		return h.update(r.Context(), c.ID, func(c *connect.Connection) { c.Paused = paused })
	}
}

// verifyConnection answers POST /connections/ID/verify, when it is known how it went.
func (h *Handler) verifyConnection(r *http.Request, key *Key) (int, any, error) {
	c, err := h.connectionOf(r, key, readQuery(r))
	if err != nil {
		return 0, nil, err
	}
	v, err := h.service.Reverify(r.Context(), c.ID)
	if err != nil {
		return 0, nil, err
	}
	if v.Code == connect.CodeBusy || v.Code == connect.CodeInterrupted {
		return 0, nil, verificationError(&v)
	}
	return http.StatusOK, map[string]any{
		"success": v.State == connect.StateSucceeded,
		"verification": map[string]any{
			"state": v.State, "code": nullable(string(v.Code)), "message": nullable(v.Text), "remedy": nullable(v.Remedy),
			"aws_code": nullable(v.AWSCode), "request_id": nullable(v.RequestID),
			"external_id_probe": nullable(string(cmp.Or(v.Probe, c.Probe))),
		},
	}, nil
}
