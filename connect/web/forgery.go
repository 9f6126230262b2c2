package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// formToken returns what a form of a session's page has to send along. It is made of the session's
// token, which other sites can't read, so that every server that knows the session can check it, and
// does not tell it.
func formToken(token string) string {
	m := hmac.New(sha256.New, []byte(token))
	m.Write([]byte("aws_connect form"))
	return hex.EncodeToString(m.Sum(nil))
}

// forged says whether a form was not sent by our own page. The browser must say that it comes from this
// origin, and the form must have the session's token: either alone would do in most browsers.
func (h *Handler) forged(r *http.Request, token string) bool {
	return !h.sameOrigin(r) || !hmac.Equal([]byte(r.PostFormValue("form_token")), []byte(formToken(token)))
}

// sameOrigin wants the browser's word that a request comes from our own page. Sec-Fetch-Site is what no
// page can set, and holds whatever a proxy made of the host; browsers without it send Origin.
// See https://www.w3.org/TR/fetch-metadata/.
func (h *Handler) sameOrigin(r *http.Request) bool { return SameOrigin(r, h.origin(r)) }

// SameOrigin is sameOrigin for a page of an origin, such as https://connect.example.com.
func SameOrigin(r *http.Request, page string) bool {
	site, origin := r.Header.Values("Sec-Fetch-Site"), r.Header.Values("Origin")
	switch {
	case len(site) > 1 || len(origin) > 1:
		return false
	case len(site) == 1:
		return site[0] == "same-origin"
	default:
		return len(origin) == 1 && strings.EqualFold(origin[0], page)
	}
}
