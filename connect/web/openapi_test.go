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

// TestDocumentIsWhole: each operation says what it does under a name of its own, and each part of the document is used.
func TestDocumentIsWhole(t *testing.T) {
	type part = map[string]json.RawMessage
	var d struct {
		Openapi string
		Tags    []struct{ Name string }
		Paths   map[string]map[string]struct {
			OperationID, Summary string
			Tags                 []string
			Security             []map[string][]string
			Responses            part
			Parameters           []struct{ Name, In, Description string }
		}
		Components struct{ Schemas, Responses, SecuritySchemes part }
	}
	if err := json.Unmarshal(Document(), &d); err != nil {
		t.Fatal(err)
	}
	text := string(Document())
	ids := map[string]string{}
	schemes, tags := map[string]bool{}, map[string]bool{}
	for path, methods := range d.Paths {
		for method, o := range methods {
			what := method + " " + path
			if o.OperationID == "" || ids[o.OperationID] != "" || o.Summary == "" || len(o.Tags) != 1 || o.Security == nil {
				t.Errorf("%s: %+v, and %q has the same name", what, o, ids[o.OperationID])
			}
			ids[o.OperationID] = what
			tags[o.Tags[0]] = true
			if o.Responses["200"] == nil && o.Responses["201"] == nil && o.Responses["204"] == nil {
				t.Errorf("%s never goes well", what)
			}
			for _, s := range o.Security {
				for name := range s {
					schemes[name] = true
				}
			}
			for _, p := range o.Parameters {
				if p.Description == "" || p.In == "path" && !strings.Contains(path, "{"+p.Name+"}") {
					t.Errorf("%s: %+v", what, p)
				}
			}
			if n := strings.Count(path, "{"); n != len(slices.DeleteFunc(o.Parameters, func(p struct{ Name, In, Description string }) bool { return p.In != "path" })) {
				t.Errorf("%s has %d parameters in its path", what, n)
			}
		}
	}
	if d.Openapi != "3.1.0" || len(tags) != len(d.Tags) || len(schemes) != len(d.Components.SecuritySchemes) {
		t.Errorf("%s: tags %v, schemes %v", d.Openapi, tags, schemes)
	}
	for kind, parts := range map[string]part{"schemas": d.Components.Schemas, "responses": d.Components.Responses} {
		for name := range parts {
			if !strings.Contains(text, `"#/components/`+kind+"/"+name+`"`) {
				t.Errorf("nothing is of %s %s", kind, name)
			}
		}
	}
	for _, m := range regexp.MustCompile(`"#/components/(\w+)/(\w+)"`).FindAllStringSubmatch(text, -1) {
		if parts := map[string]part{"schemas": d.Components.Schemas, "responses": d.Components.Responses}[m[1]]; parts[m[2]] == nil {
			t.Errorf("there is no %s", m[0])
		}
	}
}
