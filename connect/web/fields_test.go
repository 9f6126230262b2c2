package web

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzFields: a body is read without a problem only if it is one JSON object, and a name that nobody
// asked for is always a problem.
func FuzzFields(f *testing.F) {
	for _, seed := range []string{
		`{"id":"x"}`, `{"id":null}`, `{"id":"x","id":"y"}`, `{"Id":"x"}`, `{"inner":{"id":"x"}}`, `{"inner":{"other":1}}`, `{}`, `{} {}`, `[`, `{"id":"\ud800"}`, "\xff", `{"map":{"a":"b","a":"c"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o := readFields(data)
		o.text("id")
		o.textMap("map")
		if inner := o.object("inner"); inner != nil {
			inner.text("id")
			inner.done()
		}
		o.done()
		if len(*o.problems) > 0 {
			return
		}
		var plain map[string]any
		if err := json.Unmarshal(data, &plain); err != nil || plain == nil {
			t.Fatalf("%q is taken: %v", data, err)
		}
		for name, value := range plain {
			if name != "id" && name != "map" && name != "inner" && value != nil {
				t.Fatalf("the field %q is taken", name)
			}
		}
	})
}

// TestProblemsInOneLine: clients that show nothing but an error's message show what is wrong, and where.
func TestProblemsInOneLine(t *testing.T) {
	b := newBed(t, bedOptions{})
	for body, want := range map[string]string{
		`{"organization":{"id":7}}`:                          "organization.id: ",
		`{"organization":{"id":"o"},"surprise":1}`:           "surprise: ",
		`{"tags":{"a":"b"},"allowed_integrations":["none"]}`: "allowed_integrations.0: ",
		`{`: "",
	} {
		r := b.api(apiKey, "POST", "/connect/sessions", body).json(t)
		problem, _ := r["error"].(map[string]any)
		message, _ := problem["message"].(string)
		if !strings.HasPrefix(message, want) || len(message) < len(want)+5 {
			t.Errorf("%s: %v", body, r)
		}
	}
}
