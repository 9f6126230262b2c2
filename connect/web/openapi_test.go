package web

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// documented is what the document says of each path: by method, which statuses there are.
var documented = sync.OnceValue(func() map[string]map[string]map[string]any {
	var d struct {
		Paths map[string]map[string]struct {
			Responses map[string]any `json:"responses"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(Document(), &d); err != nil {
		panic(err)
	}
	all := map[string]map[string]map[string]any{}
	for path, methods := range d.Paths {
		all[path] = map[string]map[string]any{}
		for method, operation := range methods {
			all[path][strings.ToUpper(method)] = operation.Responses
		}
	}
	return all
})

// TestDocumentAndHandlerAgree: the handler has all that is documented, and no method beside it.
func TestDocumentAndHandlerAgree(t *testing.T) {
	b := newBed(t, bedOptions{})
	inPath := regexp.MustCompile(`\{[^}]*\}`)
	for path, methods := range documented() {
		if strings.HasSuffix(path, "/metadata") {
			continue // It may be the ID of a connection as well, says the mux.
		}
		at := inPath.ReplaceAllString(path, "x")
		have := slices.Sorted(maps.Keys(methods))
		if slices.Contains(have, "GET") {
			have = append(have, "HEAD")
			slices.Sort(have)
		}
		r := b.do(&http.Client{}, b.request("TRACE", at, ""))
		got := strings.Split(strings.ReplaceAll(r.Header.Get("Allow"), " ", ""), ",")
		slices.Sort(got)
		if r.StatusCode != http.StatusMethodNotAllowed || !slices.Equal(got, have) {
			t.Errorf("%s: %d, the handler has %v, the document %v", path, r.StatusCode, got, have)
		}
	}
	r := b.do(&http.Client{}, b.request("GET", "/connect/openapi.json", ""))
	if r.StatusCode != 200 || r.body != string(Document()) || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
}

// checkDocumented sees that an answer of the API is one that the document has.
func checkDocumented(t testing.TB, r *http.Request, status int) {
	t.Helper()
	if status == http.StatusMethodNotAllowed || strings.Contains(r.URL.Path, "..") {
		return
	}
	for path, methods := range documented() {
		pattern := "^" + regexp.MustCompile(`\\\{[^}]*\\\}`).ReplaceAllString(regexp.QuoteMeta(path), "[^/]+") + "$"
		if ok, err := regexp.MatchString(pattern, r.URL.EscapedPath()); err != nil || !ok || strings.Contains(path, "{") && strings.HasSuffix(r.URL.Path, "/metadata") {
			continue
		}
		if responses, ok := methods[r.Method]; ok && responses[strconv.Itoa(status)] == nil {
			t.Errorf("%s %s is answered with %d, which is not documented", r.Method, path, status)
		}
		return
	}
}
