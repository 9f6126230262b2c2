package web

import (
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// The names of cookies. A browser takes a name that begins with __Host- only from this very host, by
// HTTPS or on its own machine, so that no other subdomain can plant one. Each session has its own, so
// that two of them can be open in two tabs.
const (
	sessionCookie  = "__Host-connect-"
	languageCookie = "__Host-connect-language"
)

// maxSessions is how many sessions one browser keeps.
const maxSessions = 8

var sessionID = regexp.MustCompile(`^[0-9a-f]{16}$`)

// setCookie gives the browser a cookie for so many seconds, or takes it away. Inside of a frame of another
// site a browser sends a cookie only if it is None, and keeps it apart for each of these sites if it is
// Partitioned.
func (h *Handler) setCookie(w http.ResponseWriter, name, value string, seconds int) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode}
	if len(h.options.FrameAncestors) > 0 {
		c.SameSite, c.Partitioned = http.SameSiteNoneMode, true
	}
	http.SetCookie(w, c)
}

// remember gives the browser the token of a session, and takes the oldest ones away if it has many.
func (h *Handler) remember(w http.ResponseWriter, r *http.Request, session connect.Session, token string) {
	var others []string
	for _, c := range r.Cookies() { // Browsers send the oldest first (RFC 6265, section 5.4).
		if id, ok := strings.CutPrefix(c.Name, sessionCookie); ok && sessionID.MatchString(id) && id != session.ID {
			others = append(others, c.Name)
		}
	}
	for len(others) >= maxSessions {
		h.setCookie(w, others[0], "", -1)
		others = others[1:]
	}
	h.setCookie(w, sessionCookie+session.ID, token, max(int(time.Until(session.Limit).Seconds()), 60))
}

// tokenOf returns the token of the session whose page is asked for, or "". Only that session's own token
// counts: a cookie that somebody has planted under its name does not put another session in its place.
func (h *Handler) tokenOf(r *http.Request) (string, error) {
	id := r.PathValue("session")
	if !sessionID.MatchString(id) {
		return "", nil
	}
	for _, c := range r.CookiesNamed(sessionCookie + id) {
		if !connect.IsToken(c.Value) {
			continue
		}
		switch of, err := h.store.SessionID(r.Context(), c.Value); {
		case err != nil:
			return "", err
		case of == id:
			return c.Value, nil
		}
	}
	return "", nil
}

// setLanguage remembers a language that was chosen.
func (h *Handler) setLanguage(w http.ResponseWriter, tag string) {
	if isLanguage(tag) {
		h.setCookie(w, languageCookie, tag, 365*24*3600)
	}
}
