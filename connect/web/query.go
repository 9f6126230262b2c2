package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// query reads the parameters of a URL strictly: each once, and none that nobody asked for.
type query struct {
	values   url.Values
	problems []fieldProblem
	asked    map[string]bool
}

// readQuery reads those of a request.
func readQuery(r *http.Request) *query {
	q := &query{asked: map[string]bool{}}
	var err error
	if q.values, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		q.problem("custom", "this is no query of a URL: write NAME=VALUE, with & between them")
	}
	return q
}

func (q *query) problem(code, message string, at ...any) {
	if at == nil {
		at = []any{}
	}
	q.problems = append(q.problems, fieldProblem{code, message, at})
}

// text returns a parameter, or "".
func (q *query) text(name string) string {
	q.asked[name] = true
	values := q.values[name]
	switch {
	case len(values) == 0:
		return ""
	case len(values) > 1:
		q.problem("custom", "it is there more than once: write it once", name)
	}
	return values[0]
}

// flag returns a parameter that is true or false.
func (q *query) flag(name string) bool {
	switch q.text(name) {
	case "true", "1":
		return true
	case "", "false", "0":
		return false
	}
	q.problem("invalid_type", "write true or false", name)
	return false
}

// number returns a parameter that is a number between two others, or the least if it is absent.
func (q *query) number(name string, least, most int) int {
	text := q.text(name)
	if text == "" {
		return least
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		q.problem("invalid_type", fmt.Sprintf("write a number from %d to %d", least, most), name)
		return least
	}
	return n
}

// members returns the parameters NAME[MEMBER], by member.
func (q *query) members(name string) map[string]string {
	var found map[string]string
	for _, key := range q.names() {
		member, ok := strings.CutPrefix(key, name+"[")
		if !ok || !strings.HasSuffix(member, "]") {
			continue
		}
		if found == nil {
			found = map[string]string{}
		}
		found[strings.TrimSuffix(member, "]")] = q.text(key)
	}
	return found
}

func (q *query) names() []string {
	names := make([]string, 0, len(q.values))
	for name := range q.values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// done says what is wrong with the parameters, if anything.
func (q *query) done() error {
	for _, name := range q.names() {
		if !q.asked[name] {
			q.problem("unrecognized_keys", "there is no such parameter: leave it out", name)
		}
	}
	if len(q.problems) == 0 {
		return nil
	}
	return invalidQuery(q.problems...)
}
