package awssigv4

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// TestPlannedTargetIsUsedOnlyForItsRequest compares with the canonical form
// that is worked out anew, whatever reverse_proxy made of the request since the
// handler saw it.
func TestPlannedTargetIsUsedOnlyForItsRequest(t *testing.T) {
	seen := rawTarget{path: "/a%2Fb//c d", query: "b=1&a=%2f"}
	for _, planned := range []sigv4.PathRule{sigv4.PathSingle, sigv4.PathDouble} {
		target, err := seen.canonical(planned)
		if err != nil {
			t.Fatal(err)
		}
		p := &plan{raw: seen, rule: planned, target: target}
		for _, raw := range []rawTarget{
			seen,
			{path: "/a%2Fb//c d", query: "b=1&a=%2F"},
			{path: "/a%2Fb//c d", query: ""},
			{path: "/a%2fb//c d", query: "b=1&a=%2f"},
			{path: "/a/b//c d", query: "b=1&a=%2f"},
			{path: "", query: ""},
			{path: "*", query: ""},
			{path: "/%zz", query: "b=1&a=%2f"},
		} {
			for _, rule := range []sigv4.PathRule{sigv4.PathSingle, sigv4.PathDouble} {
				want, wantErr := raw.canonical(rule)
				for _, from := range []*plan{p, nil} {
					got, err := from.canonical(raw, rule)
					if got != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
						t.Errorf("%v under %s, planned under %s: got %v, %v, want %v, %v", raw, rule, planned, got, err, want, wantErr)
					}
				}
			}
		}
	}
}

// TestPlaceholdersSpeakOfTheLatestPlan has a request that goes through a second
// handler, with no context that tells of the first, as in an error route.
func TestPlaceholdersSpeakOfTheLatestPlan(t *testing.T) {
	const all = "{http.aws_sigv4.host}|{http.aws_sigv4.service}|{http.aws_sigv4.region}|{http.aws_sigv4.identity}|{http.aws_sigv4.other}|{http.aws_sigv4}"
	repl := caddy.NewReplacer()
	expect := func(want string) {
		t.Helper()
		if got := repl.ReplaceAll(all, "?"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	expect("?|?|?|?|?|?")
	first := &plan{dest: destination{host: "h1", service: "s1", region: "r1"}, identity: &credentials.Identity{Label: "i1"}}
	first.show(repl)
	expect("h1|s1|r1|i1|?|?")
	// What is not known yet is empty.
	new(plan).show(repl)
	expect("?|?|?|?|?|?")
	second := &plan{dest: destination{host: "h2", service: "s2", region: "r2"}, identity: &credentials.Identity{Label: "i2"}}
	second.show(repl)
	second.show(repl)
	expect("h2|s2|r2|i2|?|?")
	if v, ok := repl.Get("http.aws_sigv4.host"); v != "h2" || !ok {
		t.Errorf("host is %v, %v", v, ok)
	}
	if v, ok := repl.GetString(shownKey); v != "" || !ok {
		t.Errorf("the plan is shown as %q, %v", v, ok)
	}
	if v, _ := repl.Get(shownKey); fmt.Sprintf("%v%+v%s", v, v, v) != "" {
		t.Errorf("the plan is printed as %+v", v)
	}
}

// TestCopiesAreTheirOwn changes what each copy is for, and looks at the
// request that it was made of.
func TestCopiesAreTheirOwn(t *testing.T) {
	request := func() *http.Request {
		return &http.Request{
			Method: http.MethodGet,
			URL:    &url.URL{Path: "/a", RawQuery: "b"},
			Header: http.Header{
				"Accept": {"a", "b"}, "X-None": nil, "X-Empty": {}, "X-Amz-Meta-A": {"c"},
				"Authorization": {"secret"}, "x-amz-date": {"d"}, "X-AMZ-SECURITY-TOKEN": {"e"}, "Date": {"f"},
			},
		}
	}
	clean := http.Header{"Accept": {"a", "b"}, "X-None": nil, "X-Empty": {}, "X-Amz-Meta-A": {"c"}}
	r := request()
	for name, copied := range map[string]*http.Request{
		"ownCopy":  ownCopy(r),
		"handedOn": handedOn(t.Context(), r, 1),
	} {
		if !reflect.DeepEqual(copied.Header, clean) {
			t.Errorf("%s: header is %#v, want %#v", name, copied.Header, clean)
		}
		copied.URL.Path, copied.URL.RawQuery, copied.Method = "/changed", "changed", "CHANGED"
		copied.Header.Set("Authorization", "changed")
		copied.Header.Add("X-Amz-Meta-A", "changed")
		copied.Header.Del("Accept")
	}
	handed := handedOn(t.Context(), r, 1)
	handed.Header["Accept"][0] = "changed in place"
	handed.Header["Accept"] = append(handed.Header["Accept"], "appended")
	if want := request(); !reflect.DeepEqual(r, want) {
		t.Errorf("the request became %v %v, want %v %v", r.URL, r.Header, want.URL, want.Header)
	}
	if got := handed.Header.Get("X-Amz-Meta-A"); got != "c" {
		t.Errorf("appending to one header changed another to %q", got)
	}
	if handed.Context() != t.Context() {
		t.Error("handedOn has another context")
	}
	// A request need not have headers, and the copy's can be set all the same.
	for _, copied := range []*http.Request{ownCopy(&http.Request{URL: new(url.URL)}), handedOn(t.Context(), &http.Request{URL: new(url.URL)}, 1)} {
		copied.Header.Set("A", "b")
	}
}

// TestWithheldRequestLine has what the client sent to authenticate itself in
// the query.
func TestWithheldRequestLine(t *testing.T) {
	for requestURI, want := range map[string]string{
		"/a%20b?x=1&y=%2F":                       "/a%20b?x=1&y=%2F",
		"/a":                                     "/a",
		"/a?":                                    "/a",
		"/a?X-Amz-Signature=1":                   "/a",
		"/a?x=1&X-Amz-Signature=1":               "/a?x=1",
		"http://example.com/a%20b?x=1":           "/a%20b?x=1",
		"http://example.com/a?X-Amz-Signature=1": "/a",
	} {
		u, err := url.ParseRequestURI(requestURI)
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{URL: u, RequestURI: requestURI, Header: http.Header{}}
		raw := rawTargetOf(r)
		withhold(r, raw)
		if r.RequestURI != want || r.Header.Get("Authorization") != withheldAuthorization {
			t.Errorf("%s: got %s, want %s", requestURI, r.RequestURI, want)
		}
		if after := rawTargetOf(r); after != raw {
			t.Errorf("%s: the transport sees %v, the handler saw %v", requestURI, after, raw)
		}
	}
}

// TestPlaceholderWithoutARequest has a value that only a client's request
// fills, and none.
func TestPlaceholderWithoutARequest(t *testing.T) {
	v, err := newValue("{http.request.host}", checkHost)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := v.resolve(nil); err == nil {
		t.Errorf("got %q and no error", got)
	}
}
