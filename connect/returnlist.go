package connect

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/dial"
)

// ReturnList is the operator's list of where a customer's browser may be sent from the Connect page.
// Its zero value allows nothing.
type ReturnList struct{ entries []returnEntry }

type returnEntry struct {
	origin string // scheme://host, or scheme://host:port for ports other than the scheme's own
	path   string // escaped; all below it if it ends with a slash
}

// ParseReturnList reads a list. An entry is an https URL without query; http is allowed on the
// loopback only. One without a path, or with a path that ends with a slash, allows all below it; any
// other allows exactly its path. A query is allowed with each of them.
func ParseReturnList(entries []string) (ReturnList, error) {
	var l ReturnList
	for _, text := range entries {
		e, query, err := parseReturn(text)
		if err == nil && query {
			err = errors.New("it has a query: leave that out, any is allowed")
		}
		if err != nil {
			return ReturnList{}, fmt.Errorf("the return URL %q: %w", clip.Text(text), err)
		}
		l.entries = append(l.entries, e)
	}
	return l, nil
}

// check says whether both URLs, where given, are on the list.
func (l ReturnList) check(u ReturnURLs) error {
	for _, text := range []string{u.Success, u.Error} {
		if text == "" {
			continue
		}
		if err := l.Check(text); err != nil {
			return err
		}
	}
	return nil
}

// Check says whether a URL is on the list.
func (l ReturnList) Check(text string) error {
	u, _, err := parseReturn(text)
	if err != nil {
		return fmt.Errorf("the return URL %q: %w", clip.Text(text), err)
	}
	for _, e := range l.entries {
		if u.origin == e.origin && (u.path == e.path || strings.HasSuffix(e.path, "/") && strings.HasPrefix(u.path, e.path)) {
			return nil
		}
	}
	return fmt.Errorf("the return URL %q is not on the operator's list: use one that is, or have it added to return_urls", clip.Text(text))
}

var hostGrammar = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

// parseReturn accepts only URLs that all browsers and servers read alike.
func parseReturn(text string) (e returnEntry, query bool, err error) {
	bad := func(why string) (returnEntry, bool, error) { return returnEntry{}, false, errors.New(why) }
	if len(text) > 2048 {
		return bad("it has more than 2048 characters")
	}
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\\\"<>^`{|}#", c) >= 0 {
			return bad("it holds a character that no URL holds, or a fragment: encode it with % or leave it out")
		}
	}
	u, err := url.Parse(text)
	if err != nil {
		return bad("it is no URL: write one that begins with https://")
	}
	_, queryErr := url.ParseQuery(u.RawQuery)
	host := strings.ToLower(u.Hostname())
	switch {
	case u.Host == "" || u.Opaque != "":
		return bad("it has no host: write one that begins with https://")
	case u.Scheme != "https" && (u.Scheme != "http" || !dial.IsLoopback(host)):
		return bad("it is not https, which only localhost, 127.0.0.1 and [::1] may do without")
	case u.User != nil:
		return bad("it names a user: leave that out")
	case !hostGrammar.MatchString(host) && net.ParseIP(host) == nil:
		return bad("its host is not a plain name or address: write each host in full")
	case strings.HasSuffix(u.Host, ":"):
		return bad("its port is empty")
	case queryErr != nil:
		return bad("its query can be read in two ways: encode it with %")
	}
	p := u.EscapedPath()
	if p == "" {
		p = "/"
	}
	if decoded := strings.ToLower(p); strings.Contains(decoded, "%2f") || strings.Contains(decoded, "%5c") ||
		strings.Contains(decoded, "%2e") || strings.Contains(decoded, "//") || strings.Contains(decoded+"/", "/./") || strings.Contains(decoded+"/", "/../") {
		return bad("its path has empty or dot segments, or encoded slashes or dots: write it plainly")
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" && (u.Scheme != "https" || port != "443") && (u.Scheme != "http" || port != "80") {
		host += ":" + port
	}
	return returnEntry{origin: u.Scheme + "://" + host, path: p}, u.RawQuery != "" || u.ForceQuery, nil
}
