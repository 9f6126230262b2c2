// Package adminweb is Connect as its operator sees it: pages on which integrations, their templates and
// customers' connections are looked at and changed. They work without JavaScript, and have none.
//
// Whoever may see them is for something before it to say: a request on which it has not put a user is
// refused, whatever it asks for.
package adminweb

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/web"
)

// Options configure a Handler.
type Options struct {
	// Service is required.
	Service *connect.Service

	// User returns who has logged in, as something before has put on this very request, or "". It is
	// required.
	User func(*http.Request) string

	// Expires returns when the credentials expire that are held for a connection; ok is false if there
	// are none. Default: nobody knows.
	Expires func(connect.Connection) (at time.Time, ok bool)

	// ConnectURL is where customers reach Connect, such as https://connect.example.com. Default: the host
	// of these pages.
	ConnectURL string

	// HTTPS says whether a request came by HTTPS to whatever is trusted to end it. Default: whether it
	// came by TLS to this server.
	HTTPS func(*http.Request) bool

	// Report is told of what went wrong here. Default: nobody is told.
	Report func(error)
}

// Handler serves the pages. It is safe for concurrent use, and answers every request itself. It needs the path
// below which it stands to be stripped.
type Handler struct {
	options Options
	service *connect.Service
	connect *web.Handler // for previews
	pages   *template.Template
	style   []byte
	name    string // of the style sheet, with a hash of what is in it
	mux     *http.ServeMux
}

//go:embed pages/*.html
var pageFiles embed.FS

//go:embed admin.css
var ownStyle []byte

// New returns a handler. It does no I/O.
func New(o Options) (*Handler, error) {
	if o.Service == nil || o.User == nil {
		return nil, errors.New("a service is needed, and who has logged in")
	}
	if _, err := web.ParseBaseURL(o.ConnectURL); err != nil {
		return nil, fmt.Errorf("connect_url: %w", err)
	}
	if o.HTTPS == nil {
		o.HTTPS = func(r *http.Request) bool { return r.TLS != nil }
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	if o.Expires == nil {
		o.Expires = func(connect.Connection) (time.Time, bool) { return time.Time{}, false }
	}
	h := &Handler{options: o, service: o.Service}
	var err error
	if h.connect, err = web.New(web.Options{Service: o.Service, Report: o.Report}); err != nil {
		return nil, err
	}
	if h.pages, err = template.New("").Option("missingkey=error").Funcs(functions).ParseFS(pageFiles, "pages/*.html"); err != nil {
		return nil, err
	}
	h.style = append(h.connect.StyleSheet(), ownStyle...)
	sum := sha256.Sum256(h.style)
	h.name = "style." + hex.EncodeToString(sum[:8]) + ".css"
	h.route()
	return h, nil
}

func (h *Handler) route() {
	h.mux = http.NewServeMux()
	h.mux.HandleFunc("GET /assets/{name}", h.asset)
	h.mux.HandleFunc("GET /integrations/{key}/preview/assets/{name}", h.connect.PreviewAsset)
	h.page("GET /{$}", h.showIntegrations)
	h.page("GET /integrations/{$}", h.showIntegrations)
	h.page("GET /new-integration", h.newIntegration)
	h.page("POST /new-integration", h.createIntegration)
	h.page("GET /integrations/{key}/{$}", h.showIntegration)
	h.page("POST /integrations/{key}/{$}", h.changeIntegration)
	h.page("GET /integrations/{key}/delete", h.askToDeleteIntegration)
	h.page("POST /integrations/{key}/delete", h.deleteIntegration)
	h.page("GET /integrations/{key}/template", h.showTemplate)
	h.page("POST /integrations/{key}/template", h.changeTemplate)
	h.page("GET /integrations/{key}/session", h.newSession)
	h.page("POST /integrations/{key}/session", h.createSession)
	h.page("GET /integrations/{key}/preview/{$}", h.preview)
	h.page("GET /integrations/{key}/preview/page", h.previewPage)
	h.page("GET /connections/{$}", h.listConnections)
	h.page("GET /connections/{id}/{$}", h.showConnection)
	h.page("POST /connections/{id}/{$}", h.changeConnection)
	h.page("GET /connections/{id}/delete", h.askToDeleteConnection)
	h.page("POST /connections/{id}/delete", h.deleteConnection)
}

// visit is one request of an operator's browser.
type visit struct {
	h    *Handler
	w    http.ResponseWriter
	r    *http.Request
	user string
}

// page registers a page. A form is read, and shown to come from one of our own pages, before.
func (h *Handler) page(pattern string, answer func(*visit)) {
	h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		user := h.options.User(r)
		v := &visit{h: h, w: w, r: r.WithContext(connect.WithActor(r.Context(), "operator "+user)), user: user}
		if r.Method == http.MethodPost && !v.readForm() {
			return
		}
		answer(v)
	})
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if h.options.User(r) == "" {
		http.Error(w, "Nobody has logged in: aws_connect_admin answers only behind something that authenticates, such as basic_auth.", http.StatusForbidden)
		return
	}
	if !h.options.HTTPS(r) && !web.Confidential(r) {
		http.Error(w, "Secrets are shown and taken by HTTPS only.", http.StatusForbidden)
		return
	}
	v := &visit{h: h, w: w, r: r, user: h.options.User(r)}
	handler, pattern := h.mux.Handler(r)
	switch {
	case pattern != "" && (path.Clean(r.URL.Path) == strings.TrimSuffix(r.URL.Path, "/") || r.URL.Path == "/"):
		h.mux.ServeHTTP(w, r)
	case pattern == "" && web.IsMethodNotAllowed(handler, r, w.Header()):
		v.problem(http.StatusMethodNotAllowed, "This page can't be asked for like that", "")
	default:
		v.problem(http.StatusNotFound, "There is nothing here", "")
	}
}

// asset answers with the style sheet.
func (h *Handler) asset(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("name") != h.name {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	http.ServeContent(w, r, h.name, time.Time{}, bytes.NewReader(h.style))
}
