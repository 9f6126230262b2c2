package web

import (
	"encoding/json"
	"net/http"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// connectionOf returns the connection that a request names, if its key may know of it.
func (h *Handler) connectionOf(r *http.Request, key *Key) (connect.Connection, error) {
	c, err := h.store.Connection(r.Context(), r.PathValue("id"))
	if err != nil {
		return connect.Connection{}, err
	}
	wanted := r.URL.Query().Get("provider_config_key")
	if !key.mayUse(c.Integration) || wanted != "" && wanted != c.Integration {
		return connect.Connection{}, errNotFound
	}
	return c, nil
}

// readConnection answers GET /connections/ID.
func (h *Handler) readConnection(r *http.Request, key *Key) (int, any, error) {
	c, err := h.connectionOf(r, key)
	if err != nil {
		return 0, nil, err
	}
	service := ""
	if i, ok := h.service.Integration(c.Integration); ok {
		service = i.Service
	}
	return http.StatusOK, connectionJSON(c, service), nil
}

// deleteConnection answers DELETE /connections/ID.
func (h *Handler) deleteConnection(r *http.Request, key *Key) (int, any, error) {
	c, err := h.connectionOf(r, key)
	if err != nil {
		return 0, nil, err
	}
	if err := h.service.DeleteConnection(r.Context(), c.ID); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]bool{"success": true}, nil
}

// connectionJSON is a connection as the API writes it. There are no credentials in it.
func connectionJSON(c connect.Connection, service string) any {
	problems := []map[string]string{}
	if c.LastError != nil {
		problems = append(problems, map[string]string{"type": "auth", "code": string(c.LastError.Code), "message": c.LastError.Text, "at": timestamp(c.LastError.At)})
	}
	metadata := c.Metadata
	if metadata == nil {
		metadata = map[string]json.RawMessage{}
	}
	out := map[string]any{
		"connection_id":       c.ID,
		"provider_config_key": c.Integration,
		"provider":            "aws-sigv4",
		"connection_config": map[string]string{
			"role_arn": c.RoleARN, "external_id": c.ExternalID, "region": c.Region, "service": service,
		},
		"account":     c.Account,
		"errors":      problems,
		"paused":      c.Paused,
		"tags":        notNil(c.Tags),
		"metadata":    metadata,
		"credentials": struct{}{},
		"created_at":  timestamp(c.Created),
		"updated_at":  timestamp(c.Updated),
		"verified_at": nullable(timestamp(c.Verified)),
		"end_user":    nil,
	}
	if c.EndUser.ID != "" {
		out["end_user"] = endUser(c.EndUser, c.Organization)
	}
	if c.Probe != "" {
		out["external_id_probe"] = c.Probe
	}
	return out
}
