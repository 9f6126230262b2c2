package web

import (
	"net/http"
	"slices"
	"strings"
)

// forBrowsers says whether a path is one that customers' browsers may call from pages of other origins. None
// of those is, that an API key is shown to.
func forBrowsers(path string) bool {
	return path == "/connect/session" || strings.HasPrefix(path, "/auth/")
}

// crossOrigin tells a browser whether the page that calls may read the answer, which is never so for all
// pages, and answers the question whether it may call at all. Cookies play no part in it. See
// https://fetch.spec.whatwg.org/#http-cors-protocol.
func (h *Handler) crossOrigin(w http.ResponseWriter, r *http.Request) (answered bool) {
	header := w.Header()
	header.Add("Vary", "Origin")
	origin := r.Header.Values("Origin")
	if len(origin) != 1 || !slices.Contains(h.options.AllowOrigins, origin[0]) {
		return false
	}
	header.Set("Access-Control-Allow-Origin", origin[0])
	header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		header.Set("Access-Control-Expose-Headers", "Retry-After, X-Ratelimit-Remaining, X-Ratelimit-Reset")
		return false
	}
	methods := "GET, DELETE"
	if strings.HasPrefix(r.URL.Path, "/auth/") {
		methods = "GET, POST"
	}
	header.Set("Access-Control-Allow-Methods", methods)
	header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	header.Set("Access-Control-Max-Age", "600")
	header.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	w.WriteHeader(http.StatusNoContent)
	return true
}
