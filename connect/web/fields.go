package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// fieldProblem is one thing wrong with a request's body, in the words of the API.
type fieldProblem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Path    []any  `json:"path"`
}

// String says it in one line, as in "organization.id: write a string".
func (p fieldProblem) String() string {
	if len(p.Path) == 0 {
		return p.Message
	}
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(p.Path), "[]"), " ", ".") + ": " + p.Message
}

// fields reads a JSON object of the API strictly: names count with their case, each once, and one that
// nobody asked for is a problem. All problems of a body are gathered, so that they can be mended at
// once.
type fields struct {
	members  map[string]json.RawMessage
	path     []any
	problems *[]fieldProblem
	asked    map[string]bool
}

// readFields reads a body.
func readFields(body []byte) *fields {
	f := &fields{problems: new([]fieldProblem)}
	if !utf8.Valid(body) {
		// The decoder would put one and the same character in place of all that it can't read.
		f.asked = map[string]bool{}
		f.problem("invalid_type", "the body is not UTF-8")
		return f
	}
	f.read(body)
	return f
}

func (f *fields) read(data []byte) {
	f.asked = map[string]bool{}
	members, err := readObject(data)
	if err != nil {
		f.problem("invalid_type", err.Error())
	}
	f.members = members
}

// readObject reads an object whose names are unique.
func readObject(data []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("this is no JSON object: write one in braces")
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, errNoJSON
		}
		name, _ := t.(string)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errNoJSON
		}
		if _, twice := members[name]; twice {
			return nil, errors.New("a name is there twice: write each once")
		}
		members[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errNoJSON
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errNoJSON
	}
	return members, nil
}

var errNoJSON = errors.New("this is not JSON")

// problem notes what is wrong at the object, or at a place in it.
func (f *fields) problem(code, message string, at ...any) {
	*f.problems = append(*f.problems, fieldProblem{code, message, append(append([]any{}, f.path...), at...)})
}

// wrong says whether something is wrong with a member.
func (f *fields) wrong(name string) bool {
	return slices.ContainsFunc(*f.problems, func(p fieldProblem) bool { return slices.Equal(p.Path, append(slices.Clone(f.path), any(name))) })
}

// take returns a member's value. Null counts as absent.
func (f *fields) take(name string) (json.RawMessage, bool) {
	f.asked[name] = true
	value, ok := f.members[name]
	return value, ok && string(value) != "null"
}

func (f *fields) has(name string) bool {
	_, ok := f.take(name)
	return ok
}

// into decodes a member, if it is there.
func (f *fields) into(name string, to any, want string) {
	value, ok := f.take(name)
	if !ok {
		return
	}
	if err := json.Unmarshal(value, to); err != nil {
		f.problem("invalid_type", "write "+want, name)
	}
}

func (f *fields) text(name string) (s string) {
	f.into(name, &s, "a string")
	return s
}

func (f *fields) texts(name string) (s []string) {
	f.into(name, &s, "an array of strings")
	return s
}

// metadata returns a member that is an object of whatever there is, or nil.
func (f *fields) metadata(name string) map[string]json.RawMessage {
	o := f.object(name)
	if o == nil {
		return nil
	}
	return o.members
}

func (f *fields) textMap(name string) (m map[string]string) {
	f.into(name, &m, "an object of strings")
	if value, ok := f.take(name); ok && m != nil {
		if _, err := readObject(value); err != nil {
			f.problem("invalid_type", err.Error(), name)
		}
	}
	return m
}

// object returns a member that is an object, or nil if it is absent.
func (f *fields) object(name string) *fields {
	value, ok := f.take(name)
	if !ok {
		return nil
	}
	inner := &fields{path: append(slices.Clone(f.path), name), problems: f.problems}
	inner.read(value)
	return inner
}

// names returns the names of all members.
func (f *fields) names() []string { return slices.Sorted(maps.Keys(f.members)) }

// done notes members that nobody asked for.
func (f *fields) done() {
	for _, name := range f.names() {
		if !f.asked[name] {
			f.problem("unrecognized_keys", "there is no such field: leave it out", name)
		}
	}
}
