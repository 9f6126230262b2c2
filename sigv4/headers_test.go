package sigv4

import (
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

func TestHeaderRules(t *testing.T) {
	extra := must(NewHeaderRules("X-Request-Id", "range", "Host", "x-amz-meta-a"))
	only := must(OnlyHeaderRules("Range"))
	none := must(OnlyHeaderRules())
	tests := []struct {
		name                             string
		byDefault, byExtra, byOnly, byNo bool
	}{
		{"host", true, true, true, true},
		{"x-amz-date", true, true, true, true},
		{"x-amz-meta-a", true, true, true, true},
		{"x-amz-", true, true, true, true},
		{"x-amzn-trace-id", false, false, false, false},
		{"x-amzn-other", false, false, false, false},
		{"x-amz", false, false, false, false},
		{"content-type", true, true, false, false},
		{"content-md5", true, true, false, false},
		{"range", false, true, true, false},
		{"x-request-id", false, true, false, false},
		{"authorization", false, false, false, false},
		{"date", false, false, false, false},
		{"", false, false, false, false},
	}
	for _, c := range tests {
		for i, r := range []*HeaderRules{nil, extra, only, none} {
			want := []bool{c.byDefault, c.byExtra, c.byOnly, c.byNo}[i]
			if got := r.IsSigned(c.name); got != want {
				t.Errorf("rules %d: IsSigned(%q) = %v, want %v", i, c.name, got, want)
			}
			if got := r.isSigned([]byte(c.name)); got != want && c.name != "host" {
				t.Errorf("rules %d: isSigned(%q) = %v, want %v", i, c.name, got, want)
			}
		}
	}
}

func TestHeaderRulesRefuse(t *testing.T) {
	for _, name := range []string{
		"authorization", "Connection", "expect", "keep-alive", "Proxy-Authorization", "proxy-anything", "te", "trailer",
		"transfer-encoding", "upgrade", "User-Agent", "x-amzn-trace-id", "X-Forwarded-For", "x-forwarded-", "via", "content-length",
		"accept-encoding", "cookie", "Sec-WebSocket-Key", "forwarded", "date",
		"", " ", "x request", "x:y", "x-é", "x\n", "x-\u212aey",
	} {
		for _, rules := range []func(...string) (*HeaderRules, error){NewHeaderRules, OnlyHeaderRules} {
			if r, err := rules("x-good", name); err == nil || r != nil {
				t.Errorf("%q was not refused", name)
			} else if !strings.Contains(err.Error(), "leave it out") && !strings.Contains(err.Error(), "write letters") {
				t.Errorf("%q: the error does not say what to do: %v", name, err)
			}
		}
	}
}

// TestCanonicalHeaders gives the lines by hand; canonical form of values after
// the AWS page named in the package documentation.
func TestCanonicalHeaders(t *testing.T) {
	tests := []struct {
		name   string
		header http.Header
		want   string
	}{
		{"sorted by name", http.Header{"X-Amz-B": {"2"}, "Content-Type": {"t"}, "X-Amz-A": {"1"}}, "content-type:t\nhost:h\nx-amz-a:1\nx-amz-b:2"},
		{"name that another begins with", http.Header{"X-Amz-A-B": {"1"}, "X-Amz-A": {"2"}}, "host:h\nx-amz-a:2\nx-amz-a-b:1"},
		{"values joined in order", http.Header{"X-Amz-A": {"b", "a", "c"}}, "host:h\nx-amz-a:b,a,c"},
		{"each value trimmed", http.Header{"X-Amz-A": {" b ", "\ta\t", ""}}, "host:h\nx-amz-a:b,a,"},
		{"blanks inside", http.Header{"X-Amz-A": {"a  b   c d"}}, "host:h\nx-amz-a:a b c d"},
		{"tabs inside", http.Header{"X-Amz-A": {"a\tb \t c\t\td"}}, "host:h\nx-amz-a:a b c d"},
		{"blanks in quotes", http.Header{"X-Amz-A": {`"a   b"`}}, "host:h\nx-amz-a:\"a b\""},
		{"only blanks", http.Header{"X-Amz-A": {" \t "}}, "host:h\nx-amz-a:"},
		{"UTF-8 and Latin-1", http.Header{"X-Amz-A": {"é\xe9"}}, "host:h\nx-amz-a:é\xe9"},
		{"spellings joined by spelling", http.Header{"x-amz-a": {"3"}, "X-Amz-A": {"2"}, "X-AMZ-A": {"1"}}, "host:h\nx-amz-a:1,2,3"},
		{"no values", http.Header{"X-Amz-A": {}, "X-Amz-B": nil, "X-Amz-C": {""}}, "host:h\nx-amz-c:"},
		{"host in the map", http.Header{"Host": {"other"}, "host": {"other"}}, "host:h"},
		{"unsigned", http.Header{"Accept": {"a"}, "X-Amzn-Trace-Id": {"b"}, "Date": {"c"}}, "host:h"},
	}
	signer := NewSigner(Credentials{AccessKeyID: "a", SecretAccessKey: "b"})
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			in := exampleInput(t)
			in.Host, in.Header, in.Trace = "h", c.header, new(Trace)
			if err := signer.Sign(in); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(in.Trace.CanonicalRequest, "\n")
			got := strings.Join(lines[3:len(lines)-4], "\n")
			equal(t, "headers", got, c.want)
			equal(t, "date", lines[len(lines)-4], "x-amz-date:20250102T030405Z")
			equal(t, "end of headers", lines[len(lines)-3], "")
		})
	}
}

func TestRemoveAuthHeaders(t *testing.T) {
	h := http.Header{}
	for _, name := range []string{
		"Authorization", "Proxy-Authorization", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256",
		"X-Amz-S3session-Token", "X-Amz-Region-Set", "Date",
	} {
		h[name], h[strings.ToLower(name)], h[strings.ToUpper(name)] = []string{"a"}, []string{"b"}, nil
	}
	kept := http.Header{"Accept": {"a"}, "X-Amz-Meta-Date": {"b"}, "X-Authorization": {"c"}, "X-Amz-Target": {"d"}}
	maps.Copy(h, kept)
	RemoveAuthHeaders(h)
	if !reflect.DeepEqual(h, kept) {
		t.Errorf("header is %v, want %v", h, kept)
	}
	RemoveAuthHeaders(nil)
}

// TestIsAuthHeader has names that only look like those that are removed: of
// the same length, or with letters of other scripts that fold to ASCII ones.
func TestIsAuthHeader(t *testing.T) {
	for _, name := range []string{"aUTHORIZATION", "dATE", "x-aMZ-s3SESSION-TOKEN", "PROXY-authorization", "X-Amz-Content-SHA256"} {
		if !IsAuthHeader(name) {
			t.Errorf("%q is not recognised", name)
		}
	}
	for _, name := range []string{
		"", "Data", "Host", "X-Amz-Data", "Authorisation", "X-Amz-Region-Get", "Proxy_Authorization", "X-Amz-Security-Tokem",
		"X-Amz-Content-Sha512", "X-Amz-Meta-Sha256-AB", "X-Amz-S3session_Token", "X-Amz-Security-To\u212aen", "X-Amz-\u017f3session-Token",
	} {
		if IsAuthHeader(name) {
			t.Errorf("%q is taken for a header that authenticates", name)
		}
	}
}

// TestCleaningAllocates has a request from which nothing is to be removed, as
// nearly all are: looking costs no memory.
func TestCleaningAllocates(t *testing.T) {
	header := benchmarkHeader()
	r := &http.Request{RequestURI: "/a%20b/%C3%A9?x=%2F&expires=1", URL: &url.URL{Path: "/a b/é", RawQuery: "x=%2F&expires=1"}, Header: header}
	target, err := Canonicalize("/a%20b/%C3%A9", "", PathSingle)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(){
		"RemoveAuthHeaders": func() { RemoveAuthHeaders(r.Header) },
		"StripAuthQuery":    func() { StripAuthQuery(r.URL.RawQuery) },
		"RawPath":           func() { RawPath(r) },
		"SetURL":            func() { target.SetURL(r.URL) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations, want none", name, n)
		}
	}
}

// TestHeaderRulesConcern has every name that matters, in three spellings.
func TestHeaderRulesConcern(t *testing.T) {
	for _, name := range []string{
		"Host", "Authorization", "Content-Type", "Content-Md5", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256", "X-Amz-", "X-Amz-Meta-A",
	} {
		for _, spelling := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if !(*HeaderRules)(nil).concerns(spelling) {
				t.Errorf("%q is passed over", spelling)
			}
		}
	}
	extra, err := NewHeaderRules("Accept")
	if err != nil {
		t.Fatal(err)
	}
	if !extra.concerns("aCCEPT") {
		t.Error("a header that is to be signed is passed over")
	}
}
