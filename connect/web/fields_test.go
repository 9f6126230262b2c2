package web

import (
	"encoding/json"
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
