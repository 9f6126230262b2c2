package web

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// setMetadata answers POST /connections/metadata: what there was is gone.
func (h *Handler) setMetadata(r *http.Request, key *Key) (int, any, error) {
	return h.metadata(r, key, http.StatusCreated, func(_, given map[string]json.RawMessage) map[string]json.RawMessage { return given })
}

// mergeMetadata answers PATCH /connections/metadata: the members that are given are set, the others stay.
func (h *Handler) mergeMetadata(r *http.Request, key *Key) (int, any, error) {
	return h.metadata(r, key, http.StatusOK, func(have, given map[string]json.RawMessage) map[string]json.RawMessage {
		merged := maps.Clone(have)
		if merged == nil {
			merged = map[string]json.RawMessage{}
		}
		maps.Copy(merged, given)
		return merged
	})
}

// metadataBody is what is said about metadata, and what is answered.
type metadataBody struct {
	Connection  any                        `json:"connection_id"` // a string, or several
	Integration string                     `json:"provider_config_key"`
	Metadata    map[string]json.RawMessage `json:"metadata"`
}

// metadata changes the metadata of connections, if all of them are there.
func (h *Handler) metadata(r *http.Request, key *Key, status int, change func(have, given map[string]json.RawMessage) map[string]json.RawMessage) (int, any, error) {
	if err := readQuery(r).done(); err != nil {
		return 0, nil, err
	}
	f, err := body(r)
	if err != nil {
		return 0, nil, err
	}
	said := metadataBody{Integration: f.text("provider_config_key"), Metadata: f.metadata("metadata")}
	ids := readIDs(f, &said)
	for name, missing := range map[string]bool{"provider_config_key": said.Integration == "", "metadata": said.Metadata == nil, "connection_id": len(ids) == 0} {
		if missing {
			f.problem("invalid_type", "it is needed", name)
		}
	}
	f.done()
	if len(*f.problems) > 0 {
		return 0, nil, invalidBody(*f.problems...)
	}
	if err := h.knows(key, said.Integration); err != nil {
		return 0, nil, err
	}
	ctx := r.Context()
	for _, id := range ids {
		if _, err := h.connection(ctx, key, id, said.Integration); err != nil {
			return 0, nil, unknown(err)
		}
	}
	for _, id := range ids {
		if _, _, err := h.update(ctx, id, func(c *connect.Connection) { c.Metadata = change(c.Metadata, said.Metadata) }); err != nil {
			return 0, nil, unknown(err)
		}
	}
	return status, said, nil
}

// readIDs reads the ID of a connection, or several.
func readIDs(f *fields, into *metadataBody) []string {
	raw, ok := f.take("connection_id")
	if !ok {
		return nil
	}
	if len(raw) > 0 && raw[0] == '[' {
		ids := f.texts("connection_id")
		into.Connection = ids
		return ids
	}
	id := f.text("connection_id")
	into.Connection = id
	return []string{id}
}

// unknown is what an error of errNoConnection's kind is called where several may be named.
func unknown(err error) error {
	if errors.Is(err, errNoConnection) {
		return &apiError{Status: http.StatusNotFound, Code: "unknown_connection", Message: "there is no such connection: none was changed"}
	}
	return err
}
