package awssigv4

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestHintsSayWhatToLookAt(t *testing.T) {
	const mismatch = `<Error><Code>SignatureDoesNotMatch</Code></Error>`
	for name, tc := range map[string]struct {
		signed, taken bool
		status        int
		body          string
		want          string
	}{
		"signed by the handler, refused":         {true, false, 403, mismatch, "header_up Host"},
		"signed by the transport, refused":       {true, true, 403, mismatch, "compare host, service and region"},
		"JSON service":                           {true, false, 400, `{"__type":"InvalidSignatureException"}`, "header_up Host"},
		"nothing signed":                         {false, false, 403, "denied", "no `transport aws_sigv4`"},
		"nothing signed, nothing refused":        {false, false, 200, "fine", ""},
		"signed, refused for another reason":     {true, false, 403, "<Code>AccessDenied</Code>", ""},
		"signed, the words in a good answer":     {true, false, 200, mismatch, ""},
		"deferred, signed by the transport, 403": {false, true, 403, "denied", ""},
	} {
		core, logs := observer.New(zap.WarnLevel)
		p := new(plan)
		if tc.taken {
			p.claim(new(Transport))
		}
		rec := httptest.NewRecorder()
		w := newResponseWriter(rec, zap.New(core), p, tc.signed)
		w.WriteHeader(tc.status)
		if n, err := w.ReadFrom(strings.NewReader(tc.body)); err != nil || n != int64(len(tc.body)) {
			t.Errorf("%s: copied %d bytes, %v", name, n, err)
		}
		if rec.Code != tc.status || rec.Body.String() != tc.body {
			t.Errorf("%s: the client got %d %q", name, rec.Code, rec.Body)
		}
		var got string
		for _, e := range logs.All() {
			got += e.Message
		}
		if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
			t.Errorf("%s: logged %q, want something about %q", name, got, tc.want)
		}
	}
}

func TestMetadataNamesAreLowerCase(t *testing.T) {
	rec := httptest.NewRecorder()
	w := newResponseWriter(rec, zap.NewNop(), new(plan), true)
	h := w.Header()
	for _, name := range []string{"x-amz-meta-foo", "X-Amz-Meta-Two-Words", "X-Amz-Request-Id", "ETag"} {
		h.Set(name, "v")
	}
	h.Add("X-Amz-Meta-Foo", "w")
	w.WriteHeader(http.StatusEarlyHints)
	w.WriteHeader(http.StatusOK)
	want := map[string][]string{"x-amz-meta-foo": {"v", "w"}, "x-amz-meta-two-words": {"v"}, "X-Amz-Request-Id": {"v"}, "Etag": {"v"}}
	if !maps.EqualFunc(map[string][]string(h), want, slices.Equal[[]string]) {
		t.Errorf("got %v, want %v", h, want)
	}
}
