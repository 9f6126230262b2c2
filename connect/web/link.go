package web

import (
	"net/http"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

const (
	// tokenParameter is the parameter of the link that holds the token.
	tokenParameter = "session_token"

	// tokenPrefix is what tokens begin with.
	tokenPrefix = "aws_connect_session_" //nolint:gosec // what tokens begin with is no token
)

// enter answers the link: the token goes from the URL into a cookie, and the browser to the page. It
// changes nothing, because programs that show previews of links follow them, too.
func (h *Handler) enter(w http.ResponseWriter, r *http.Request) {
	v := h.visit(w, r)
	query := r.URL.Query()
	tokens := query[tokenParameter]
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		writeError(w, errMethod)
		return
	case !h.confidential(r):
		v.end(http.StatusForbidden, "https_required", nil)
		return
	case h.embedded(r):
		v.await()
		return
	case len(tokens) != 1 || !connect.IsToken(tokens[0]):
		v.end(http.StatusNotFound, "unknown_link", nil)
		return
	}
	session, page, err := h.admit(r, tokens[0])
	if err != nil {
		v.fail(err, page)
		return
	}
	h.setLanguage(w, query.Get("lang"))
	if query.Has("theme") {
		h.setTheme(w, query.Get("theme"))
	}
	h.remember(w, r, session, tokens[0])
	v.seeOther(v.up() + "s/" + session.ID + "/")
}

// admit returns the session of a token whose page may be shown, or the error, with what may be told of it.
func (h *Handler) admit(r *http.Request, token string) (connect.Session, *connect.Page, error) {
	session, err := h.store.Session(r.Context(), token)
	page := &connect.Page{Session: session}
	if c, ok := h.service.Integration(session.Integration); ok {
		page.Integration = &c.Integration
	}
	if err == nil && session.Succeeded != "" && !holds(r, session, token) {
		err = connect.ErrUsed // What became of it, only the browser that did it is shown.
	}
	return session, page, err
}

// holds says whether a browser has the session's cookie.
func holds(r *http.Request, session connect.Session, token string) bool {
	for _, c := range r.CookiesNamed(sessionCookie + session.ID) {
		if c.Value == token {
			return true
		}
	}
	return false
}
