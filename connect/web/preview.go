package web

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/dial"
)

// Preview answers with a page as a customer sees it at first, for a frame on a page of the same origin.
// Nothing on it is sent anywhere. Its assets are asked for in assets/ beside it: see PreviewAsset.
func (h *Handler) Preview(w http.ResponseWriter, r *http.Request, page *connect.Page) {
	v := h.visit(w, r)
	p := v.connectPage(page)
	p.Up, p.FormToken, p.Title = "", "", p.T("connect.title")
	var b bytes.Buffer
	if err := h.pages.ExecuteTemplate(&b, "connect.html", p); err != nil {
		h.options.Report(fmt.Errorf("the preview: %w", err))
		http.Error(w, "the page can't be shown", http.StatusInternalServerError)
		return
	}
	policy := strings.Replace(h.policy(p.Logo), "form-action 'self'", "form-action 'none'", 1)
	policy, _, _ = strings.Cut(policy, "; frame-ancestors")
	policy = strings.Replace(policy, "; script-src 'self'; connect-src 'self'; frame-src 'self'", "", 1)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy+"; frame-ancestors 'self'")
	w.Write(b.Bytes()) //nolint:errcheck // the client may be gone
}

// PreviewAsset answers with an asset of the page, whose name is the path's value "name".
func (h *Handler) PreviewAsset(w http.ResponseWriter, r *http.Request) { h.asset(w, r) }

// StyleSheet returns the style of the page, for other pages that are to look like it.
func (h *Handler) StyleSheet() []byte { return bytes.Clone(h.assets["style.css"].data) }

// Link returns what a customer with the token of a session follows, below the base URL that Connect is reached
// at.
func Link(base, token string) string {
	return strings.TrimSuffix(base, "/") + "/connect/?" + tokenParameter + "=" + token
}

// Confidential says whether a request without HTTPS was sent to this very machine, or comes at least from a
// network that the Internet does not route.
func Confidential(r *http.Request) bool { return dial.IsLoopback(r.Host) || private(r) }
