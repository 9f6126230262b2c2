// Package web is Connect as it is seen from outside: the API by which a vendor makes connect sessions,
// and the page on which the vendor's customer grants a role.
//
//	POST   /connect/sessions             a session for a new connection     API key
//	POST   /connect/sessions/reconnect   a session that renews one          API key
//	GET    /connect/session              what a session is for              token of a session
//	DELETE /connect/session              end it                             token of a session
//	POST   /auth/aws-sigv4/INTEGRATION   verify a role, and connect it      token of a session, or public key
//	GET    /connections                  connections, by pages              API key
//	GET    /connections/ID               one, with credentials by scope     API key
//	PATCH  /connections/ID               change it                          API key
//	DELETE /connections/ID               delete it                          API key
//	POST   /connections/ID/pause         do not use it, until resume        API key
//	POST   /connections/ID/verify        assume its role, and say how it is API key
//	POST   /connections/external-id/replace  have a customer get another  API key
//	POST   /connections/metadata         set metadata; PATCH adds to it     API key
//	GET    /connect/?session_token=…     the link that a customer follows
//	GET    /connect/                     the page in a frame, until a token comes as a message
//	       /connect/s/ID/…               the page                           cookie
//
// The page is complete without JavaScript; with it, it checks what is typed and shows how the
// verification goes on.
package web

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/dial"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// Options configure a Handler.
type Options struct {
	// Service is required.
	Service *connect.Service

	// Keys are the vendor's. Without any, the API answers nobody.
	Keys []Key

	// PublicKeys are what programs in customers' browsers authenticate with, together with a proof of
	// the vendor's. Default: none.
	PublicKeys []PublicKey

	// AllowOrigins are the origins, such as https://app.example.com, whose pages may call the API as a
	// customer: with the token of a session, or a public key. Default: none but the handler's own.
	AllowOrigins []string

	// ReturnURLs are where customers may be sent from the page. Default: nowhere.
	ReturnURLs connect.ReturnList

	// FrameAncestors are the origins, such as https://app.example.com, whose pages may have the
	// Connect page in a frame. Default: none, which also makes its cookie stricter.
	FrameAncestors []string

	// BaseURL is where customers reach the handler, such as https://connect.example.com, with a path
	// if its paths lie below one that is stripped. Default: the host that the API is called at.
	BaseURL string

	// Credentials returns the temporary credentials of a connection's role, fetched anew if they have
	// to be. Its errors are those of a credentials.Cache, connect.ErrPaused and the like. Default:
	// connections are shown without credentials.
	Credentials func(ctx context.Context, c connect.Connection, fresh bool) (sigv4.Credentials, time.Time, error)

	// HTTPS says whether a request came by HTTPS to whatever is trusted to end it. Default: whether
	// it came by TLS to this server.
	HTTPS func(*http.Request) bool

	// Report is told of what went wrong here, for the operator's log. Default: nobody is told.
	Report func(error)
}

// Handler serves API and page. It is safe for concurrent use, and answers every request itself: what
// is none of its paths gets 404. It needs the path as it stands in the list above.
type Handler struct {
	service *connect.Service
	store   *connect.Store
	keys    *keyring
	public  []publicKey
	options Options
	base    *url.URL // nil if it is the request's
	texts   map[string]catalogue
	pages   *template.Template
	assets  map[string]asset
	mux     *http.ServeMux
	plain   sync.Once // that links without HTTPS were reported
}

// New returns a handler. It does no I/O.
func New(o Options) (*Handler, error) {
	if o.Service == nil {
		return nil, errors.New("a service is needed")
	}
	if o.HTTPS == nil {
		o.HTTPS = func(r *http.Request) bool { return r.TLS != nil }
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	h := &Handler{service: o.Service, store: o.Service.Store(), options: o}
	for _, origin := range o.FrameAncestors {
		if err := CheckOrigin(origin); err != nil {
			return nil, fmt.Errorf("frame_ancestors: %w", err)
		}
	}
	for _, origin := range o.AllowOrigins {
		if err := CheckOrigin(origin); err != nil {
			return nil, fmt.Errorf("allow_origins: %w", err)
		}
	}
	var err error
	if h.base, err = ParseBaseURL(o.BaseURL); err != nil {
		return nil, err
	}
	if h.keys, err = newKeyring(o.Keys); err != nil {
		return nil, err
	}
	if h.public, err = newPublicKeys(o.PublicKeys, o.Service); err != nil {
		return nil, err
	}
	for _, k := range o.Keys {
		for _, i := range k.Integrations {
			if o.Service.Runtime() != nil {
				continue // It may be written yet.
			}
			if _, ok := o.Service.Integration(i); !ok {
				return nil, fmt.Errorf("key %s: there is no integration %s: configure it, or leave it out", k.Name, i)
			}
		}
	}
	if h.texts, err = readCatalogues(); err != nil {
		return nil, err
	}
	if h.assets, err = readAssets(); err != nil {
		return nil, err
	}
	if h.pages, err = h.readPages(); err != nil {
		return nil, err
	}
	h.route()
	return h, nil
}

// route says which path is answered by what. A method that a path does not have is answered with 405
// and the ones that it has.
func (h *Handler) route() {
	h.mux = http.NewServeMux()
	h.api("POST /connect/sessions", h.byKey(h.createSession, ScopeSessions))
	h.api("POST /connect/sessions/reconnect", h.byKey(h.createReconnectSession, ScopeSessions))
	h.api("GET /connect/session", h.byToken(h.readSession))
	h.api("DELETE /connect/session", h.byToken(h.revokeSession))
	h.api("GET /auth/aws-sigv4/{integration}", h.readAuth)
	h.api("POST /auth/aws-sigv4/{integration}", h.authorize)
	h.routeConnections("/connections")
	h.routeConnections("/connection") // What old clients call it.
	h.api("POST /connections/external-id/replace", h.byKey(h.replaceExternalID, ScopeUpdate))

	h.routeIntegrations()
	h.mux.HandleFunc("GET /connect/openapi.json", h.serveDocument)

	h.mux.HandleFunc("/{$}", h.atRoot)
	h.mux.HandleFunc("GET /connect/{$}", h.enter)
	h.mux.HandleFunc("POST /connect/enter", h.takeToken)
	h.mux.HandleFunc("GET /connect/assets/{name}", h.asset)
	h.mux.HandleFunc("/connect/s/{session}", h.addSlash)
	h.page("GET /connect/s/{session}/{$}", h.show)
	h.page("POST /connect/s/{session}/{$}", h.submit)
	h.page("GET /connect/s/{session}/status", h.status)
	h.page("POST /connect/s/{session}/check", h.check)
	h.page("GET /connect/s/{session}/keep", h.keep)
	h.page("GET /connect/s/{session}/template/{id}", h.download)
}

// routeConnections routes what is done with connections.
func (h *Handler) routeConnections(at string) {
	h.api("GET "+at, h.byKey(h.listConnections, ScopeList))
	h.api("GET "+at+"/{id}", h.byKey(h.readConnection, ScopeRead, ScopeCredentials))
	h.api("PATCH "+at+"/{id}", h.byKey(h.changeConnection, ScopeUpdate))
	h.api("DELETE "+at+"/{id}", h.byKey(h.deleteConnection, ScopeDelete))
	h.api("POST "+at+"/{id}/pause", h.byKey(h.pause(true), ScopeUpdate))
	h.api("POST "+at+"/{id}/resume", h.byKey(h.pause(false), ScopeUpdate))
	h.api("POST "+at+"/{id}/verify", h.byKey(h.verifyConnection, ScopeUpdate))
	h.api("POST "+at+"/metadata", h.byKey(h.setMetadata, ScopeUpdate))
	h.api("PATCH "+at+"/metadata", h.byKey(h.mergeMetadata, ScopeUpdate))
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if r.URL.Path == "/connect" {
		h.enter(w, r)
		return
	}
	if forBrowsers(r.URL.Path) && h.crossOrigin(w, r) {
		return
	}
	handler, pattern := h.mux.Handler(r)
	switch {
	case path.Clean(r.URL.Path) != strings.TrimSuffix(r.URL.Path, "/") && r.URL.Path != "/":
		h.nowhere(w, r) // It would be sent elsewhere, together with its query.
	case pattern == "":
		h.unmatched(w, r, handler)
	default:
		h.mux.ServeHTTP(w, r)
	}
}

// addSlash sends a browser from the page's path without its slash to the page. The mux would do so with the
// query, which may hold a token, and to a path that lacks what was stripped.
func (h *Handler) addSlash(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("session")
	switch {
	case !sessionID.MatchString(id):
		h.nowhere(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		writeError(w, errMethod)
	default:
		h.visit(w, r).seeOther(id + "/")
	}
}

// unmatched answers where the path or the method fit nothing. The mux's own answer tells which.
func (h *Handler) unmatched(w http.ResponseWriter, r *http.Request, answer http.Handler) {
	if !IsMethodNotAllowed(answer, r, w.Header()) {
		h.nowhere(w, r)
		return
	}
	writeError(w, errMethod)
}

// IsMethodNotAllowed says whether the answer of a mux to what fits no pattern is that the path is there for
// other methods. It then names these in the header Allow.
func IsMethodNotAllowed(answer http.Handler, r *http.Request, header http.Header) bool {
	s := &silent{header: http.Header{}}
	answer.ServeHTTP(s, r)
	if s.status != http.StatusMethodNotAllowed {
		return false
	}
	header.Set("Allow", s.header.Get("Allow"))
	return true
}

// silent is an answer that goes nowhere.
type silent struct {
	header http.Header
	status int
}

func (s *silent) Header() http.Header { return s.header }

func (s *silent) Write(b []byte) (int, error) { return len(b), nil }

func (s *silent) WriteHeader(status int) { s.status = status }

// HoldsToken says whether a request's URL holds the token of a connect session or what stands for one, or a
// header does whose value Caddy logs, such as the Referer, and so has to be kept out of logs.
func HoldsToken(r *http.Request) bool {
	for _, text := range []string{r.RequestURI, r.URL.RawQuery, r.URL.Path} {
		if mentions(text, tokenParameter, tokenPrefix, proofParameter+"=") {
			return true
		}
	}
	for name, values := range r.Header {
		switch name {
		case "Authorization", "Proxy-Authorization", "Cookie": // Caddy logs no values of these.
			continue
		}
		if slices.ContainsFunc(values, func(v string) bool { return mentions(v, tokenPrefix) }) {
			return true
		}
	}
	return false
}

// mentions says whether a text holds one of some words, which may have been encoded on their way.
func mentions(text string, words ...string) bool {
	for range 3 {
		for _, w := range words {
			if strings.Contains(text, w) {
				return true
			}
		}
		if !strings.Contains(text, "%") {
			return false
		}
		text = escape.ReplaceAllStringFunc(text, func(e string) string {
			b, _ := strconv.ParseUint(e[1:], 16, 8) // It is hexadecimal, says the expression.
			return string([]byte{byte(b)})
		})
	}
	return false
}

// escape is one of what may also be broken: a URL is not read here, but searched.
var escape = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// origin returns the origin that the customer's browser sees.
func (h *Handler) origin(r *http.Request) string {
	if h.base != nil {
		return h.base.Scheme + "://" + h.base.Host
	}
	if h.options.HTTPS(r) {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// confidential says whether nobody else reads what the browser sends: it speaks HTTPS, or to its own
// machine.
func (h *Handler) confidential(r *http.Request) bool {
	return h.options.HTTPS(r) || dial.IsLoopback(r.Host)
}

// private says whether a request without HTTPS comes at least from a network that the Internet does not
// route, such as that of containers.
func private(r *http.Request) bool {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	ip := a.Addr().Unmap()
	return ip.IsLoopback() || ip.IsPrivate()
}

// CheckOrigin wants what a Content-Security-Policy can name as an ancestor, and nothing that would end
// the directive.
func CheckOrigin(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme == "", u.Host == "", u.User != nil, u.Path != "", u.RawQuery != "", u.Fragment != "", strings.ContainsFunc(text, unsafeInPolicy):
		return fmt.Errorf("%.80q is no origin: write one like https://app.example.com", text)
	case u.Scheme != "https" && (u.Scheme != "http" || !dial.IsLoopback(u.Host)):
		return fmt.Errorf("the origin %.80q is not https", text)
	}
	return nil
}

func unsafeInPolicy(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(";,'\"\\#*", c) }

// ParseBaseURL reads Options.BaseURL. The URL has no slash at its end; it is nil if the text is empty.
func ParseBaseURL(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // no base is the default
	}
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Host == "", u.User != nil, u.RawQuery != "", u.Fragment != "", strings.ContainsFunc(text, unsafeInPolicy):
		return nil, fmt.Errorf("base_url %.80q: write one like https://connect.example.com", text)
	case u.Scheme != "https" && (u.Scheme != "http" || !dial.IsLoopback(u.Host)):
		return nil, fmt.Errorf("base_url %.80q is not https", text)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	u.RawPath = ""
	return u, nil
}
