package web

import (
	_ "embed"
	"net/http"
)

// document is the OpenAPI document of the API.
//
//go:embed openapi.json
var document []byte

// Document returns the OpenAPI document (version 3.1, JSON) of all that the API answers.
func Document() []byte { return append([]byte(nil), document...) }

// serveDocument answers GET /connect/openapi.json.
func (h *Handler) serveDocument(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Write(document) //nolint:errcheck // the client may be gone
}
