package awssigv4

import (
	"net/http"
	"net/url"
	"strings"
)

// isForged says whether a page of another site has a browser make a call, which sends a password or a cookie
// that it knows along, whoever asks. A page can't send the headers that calls have to such a server unless
// that has agreed to it before, see https://fetch.spec.whatwg.org/#cors-safelisted-request-header; so a call
// with one of them is none of those. Nor is one of a client that is no browser.
func isForged(r *http.Request) bool {
	for _, name := range []string{"Connection-Id", "Provider-Config-Key"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return false // No browser sends that by itself.
	}
	site, origin := r.Header.Values("Sec-Fetch-Site"), r.Header.Values("Origin")
	switch {
	case len(site) > 1 || len(origin) > 1:
		return true
	case len(site) == 1:
		return site[0] != "same-origin" && site[0] != "none"
	case len(origin) == 0:
		return false
	}
	u, err := url.Parse(origin[0])
	return err != nil || !strings.EqualFold(u.Host, r.Host)
}
