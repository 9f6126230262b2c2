package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
)

// embedding is what a page has for the page that has it in a frame. Both speak by messages: ours says what
// happens, the other one may bring the token of a session. Its script does nothing outside of frames.
type embedding struct {
	Script  string
	Origins string // that are spoken with
	Event   string // what this page has to say, as JSON
}

// event is a message to the embedding page.
type event struct {
	Type    string            `json:"type"`
	Payload map[string]string `json:"payload"`
}

// embedding returns nil if no other page may have this one in a frame.
func (h *Handler) embedding() *embedding {
	if len(h.options.FrameAncestors) == 0 {
		return nil
	}
	return &embedding{Script: h.assets["embed.js"].name, Origins: strings.Join(h.options.FrameAncestors, " ")}
}

// connected tells the embedding page what came of the session.
func (e *embedding) connected(integration string, v *connect.Verification) {
	e.tell(event{"connect", map[string]string{"providerConfigKey": integration, "connectionId": v.ConnectionID}})
}

// failed tells it why nothing came of it.
func (e *embedding) failed(code, message string) {
	e.tell(event{"error", map[string]string{"errorType": code, "errorMessage": message}})
}

func (e *embedding) tell(what event) {
	if e == nil {
		return
	}
	data, _ := json.Marshal(what) // All of it is text.
	e.Event = string(data)
}

// embedded says whether another page has asked for the page in a frame, without the token of a session. That
// is how a client library opens it: the token comes as a message. Browsers without Sec-Fetch-Dest are
// known by a parameter of that library's.
func (h *Handler) embedded(r *http.Request) bool {
	query := r.URL.Query()
	if len(h.options.FrameAncestors) == 0 || query.Has(tokenParameter) {
		return false
	}
	if to := r.Header.Values("Sec-Fetch-Dest"); len(to) > 0 {
		return slices.Equal(to, []string{"iframe"})
	}
	return query.Has("apiURL")
}

// atRoot answers the place above /connect/, which a client library may have been given for the page's.
func (h *Handler) atRoot(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || !h.confidential(r) || !h.embedded(r) {
		h.nowhere(w, r)
		return
	}
	h.visit(w, r).await()
}

// await answers with a page that waits for the token of a session.
func (v *visit) await() {
	query := v.r.URL.Query()
	if lang := query.Get("lang"); isLanguage(lang) {
		v.h.setLanguage(v.w, lang)
		v.lang = lang
	}
	v.theme = v.h.setTheme(v.w, query.Get("theme"))
	// The token's request has to say that it comes from this page.
	v.w.Header().Set("Referrer-Policy", "same-origin")
	f := v.frame(nil)
	f.Title, f.Languages = f.T("await.title"), nil
	v.render(http.StatusOK, "await.html", &f, &f)
}

// handed is the answer to a token that came as a message: where its page is, or what is to be said instead.
type handed struct {
	Page  string `json:"page,omitempty"` // from /connect/
	Code  string `json:"code,omitempty"`
	Title string `json:"title,omitempty"`
	Text  string `json:"text,omitempty"`
}

// takeToken puts a token that our own page was sent into a cookie. Unlike the link, it is never in a URL.
func (h *Handler) takeToken(w http.ResponseWriter, r *http.Request) {
	v := h.visit(w, r)
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	switch {
	case len(h.options.FrameAncestors) == 0:
		h.nowhere(w, r)
		return
	case !h.confidential(r):
		v.handOver(http.StatusForbidden, "https_required", nil)
		return
	case r.ParseForm() != nil || !h.sameOrigin(r):
		v.handOver(http.StatusForbidden, "forged", nil)
		return
	}
	tokens := r.PostForm[tokenParameter]
	if len(tokens) != 1 || !connect.IsToken(tokens[0]) {
		v.handOver(http.StatusNotFound, "unknown_link", nil)
		return
	}
	session, page, err := h.admit(r, tokens[0])
	if err != nil {
		v.handOver(v.whyEnded(err, page))
		return
	}
	h.remember(w, r, session, tokens[0])
	writeJSON(w, http.StatusOK, handed{Page: "s/" + session.ID + "/"})
}

func (v *visit) handOver(status int, code string, page *connect.Page) {
	e := v.endPage(code, page)
	writeJSON(v.w, status, handed{Code: e.Code, Title: e.Title, Text: e.T("next." + e.Code)})
}

// themeCookie remembers a theme that the embedding page has chosen.
const themeCookie = "__Host-connect-theme"

// themes are those that can be chosen. Without a choice it is the browser's.
var themes = []string{"light", "dark"}

// setTheme remembers a theme, or that there is none, and returns it.
func (h *Handler) setTheme(w http.ResponseWriter, theme string) string {
	if !slices.Contains(themes, theme) {
		h.setCookie(w, themeCookie, "", -1)
		return ""
	}
	h.setCookie(w, themeCookie, theme, 24*3600)
	return theme
}

// themeOf returns the theme that was chosen, or "".
func themeOf(r *http.Request) string {
	if c, err := r.Cookie(themeCookie); err == nil && slices.Contains(themes, c.Value) {
		return c.Value
	}
	return ""
}

// themed returns a style sheet for one theme only.
func themed(css []byte, theme string) []byte {
	const choice, dark = "color-scheme: light dark;", "@media screen and (prefers-color-scheme: dark)"
	when := "@media not all"
	if theme == "dark" {
		when = "@media screen"
	}
	return []byte(strings.NewReplacer(choice, "color-scheme: "+theme+";", dark, when).Replace(string(css)))
}
