package connect

import (
	"net/url"
	"strings"
	"testing"
)

func TestReturnURLs(t *testing.T) {
	l, err := ParseReturnList([]string{
		"https://app.example.com",
		"https://Docs.Example.com:443/connect/",
		"https://one.example.com:8443/done",
		"http://localhost:3000/",
		"http://[::1]/x/",
	})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"https://app.example.com":                              true,
		"https://app.example.com/":                             true,
		"https://app.example.com/any/path?a=b&c=d%20e":         true,
		"https://APP.example.com:443/x":                        true,
		"https://docs.example.com/connect/":                    true,
		"https://docs.example.com/connect/a%20b":               true,
		"https://one.example.com:8443/done":                    true,
		"https://one.example.com:8443/done?x":                  true,
		"http://localhost:3000/x":                              true,
		"http://[::1]:80/x/y":                                  true,
		"":                                                     false,
		"/relative":                                            false,
		"//app.example.com/":                                   false,
		"http://app.example.com/":                              false,
		"https:app.example.com":                                false,
		"https:///app.example.com":                             false,
		"https://app.example.com.evil.example/":                false,
		"https://app.example.com@evil.example/":                false,
		"https://app.example.com:@evil.example/":               false,
		"https://user@app.example.com/":                        false,
		"https://evil.example/https://app.example.com/":        false,
		"https://evil.example#https://app.example.com/":        false,
		"https://app.example.com/#x":                           false,
		`https://app.example.com\@evil.example/`:               false,
		`https://evil.example\.app.example.com/`:               false,
		"https://app.example.com:8443/":                        false,
		"https://app.example.com:/":                            false,
		"https://app.example.com./":                            false,
		"https://xapp.example.com/":                            false,
		"https://app.example.com\t/":                           false,
		"https://app.example.com/\r\nSet-Cookie: x":            false,
		" https://app.example.com/":                            false,
		"https://docs.example.com/connect":                     false,
		"https://docs.example.com/connectx/":                   false,
		"https://docs.example.com/":                            false,
		"https://docs.example.com/connect/../admin":            false,
		"https://docs.example.com/connect/..":                  false,
		"https://docs.example.com/connect/./x":                 false,
		"https://docs.example.com/connect//x":                  false,
		"https://docs.example.com/connect/%2e%2e/admin":        false,
		"https://docs.example.com/connect/..%2Fadmin":          false,
		"https://docs.example.com/connect/..%5cadmin":          false,
		"https://docs.example.com/Connect/":                    false,
		"https://one.example.com:8443/done/":                   false,
		"https://one.example.com/done":                         false,
		"https://one.example.com:8443/done?a;b=c":              false,
		"http://localhost:3001/":                               false,
		"http://localhost.evil.example:3000/":                  false,
		"javascript:alert(1)//https://app.example.com/":        false,
		"data:text/html,x":                                     false,
		"https://äpp.example.com/":                             false,
		"https://app.example.com/" + strings.Repeat("a", 2048): false,
	} {
		if err := l.Check(text); (err == nil) != want {
			t.Errorf("%q: %v, want allowed %t", text, err, want)
		}
	}
	var none ReturnList
	if none.Check("https://app.example.com/") == nil {
		t.Error("the empty list allows something")
	}
}

func TestReturnListEntries(t *testing.T) {
	for _, bad := range []string{
		"", "*", "https://*", "https://*.example.com/", "app.example.com", "http://app.example.com", "https://app.example.com/?x=1", "https://app.example.com/?",
		"https://user:pass@app.example.com/", "https://app.example.com/#x", "https://app.example.com/a/../b", "http://10.0.0.1/", "myapp://done",
	} {
		if _, err := ParseReturnList([]string{bad}); err == nil {
			t.Errorf("%q is an entry", bad)
		}
	}
}

// FuzzReturnList: whatever is allowed leads a browser to the operator's origin and path.
func FuzzReturnList(f *testing.F) {
	for _, s := range []string{"https://app.example.com/a/b?c=d", "https://app.example.com@evil/", `https:\\app.example.com/a/`, "https://app.example.com/a/%2e./"} {
		f.Add(s)
	}
	l, err := ParseReturnList([]string{"https://app.example.com/a/"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if l.Check(text) != nil {
			return
		}
		lower := strings.ToLower(text)
		if !strings.HasPrefix(lower, "https://app.example.com/") && !strings.HasPrefix(lower, "https://app.example.com:443/") {
			t.Errorf("%q is allowed", text)
		}
		s := Session{ReturnURLs: ReturnURLs{Success: text}, Succeeded: "c&d"}
		u, err := url.Parse(s.SuccessURL())
		if err != nil || u.Query().Get("connection_id") != "c&d" || !strings.EqualFold(u.Hostname(), "app.example.com") || l.Check(u.String()) != nil {
			t.Errorf("%q becomes %q", text, s.SuccessURL())
		}
	})
}
