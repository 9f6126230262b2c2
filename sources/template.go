package sources

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
)

// part is a piece of a configured value: text, or a placeholder.
type part struct {
	text        string // the text, or the placeholder with its braces
	placeholder string // its name; empty for text
	isText      bool
}

// parse takes a value apart as Caddy's replacer does: a placeholder is what stands between an open
// brace and the next closing one, neither after a backslash, which is left out before a brace. A
// brace without its partner is text.
func parse(value string) []part {
	var parts []part
	var text strings.Builder
	begun := 0 // of the text that is not yet written

	flush := func() {
		if text.Len() > 0 {
			parts = append(parts, part{text: text.String(), isText: true})
			text.Reset()
		}
	}
	for i := 0; i < len(value); i++ {
		if i > 0 && value[i-1] == '\\' && (value[i] == '{' || value[i] == '}') {
			text.WriteString(value[begun : i-1])
			begun = i
			continue
		}
		if value[i] != '{' {
			continue
		}
		end := closingBrace(value, i)
		if end < 0 {
			continue
		}
		text.WriteString(value[begun:i])
		flush()
		parts = append(parts, part{text: value[i : end+1], placeholder: value[i+1 : end]})
		i = end
		begun = end + 1
	}
	text.WriteString(value[begun:])
	flush()
	return parts
}

// closingBrace returns where the placeholder ends that begins at open, or -1.
func closingBrace(value string, open int) int {
	for i := open + 1; i < len(value); i++ {
		// At the very end of the value Caddy takes a brace as closing even after a backslash.
		if value[i] == '}' && (value[i-1] != '\\' || i == len(value)-1) {
			return i
		}
	}
	return -1
}

// HasPlaceholder says whether a value holds a placeholder.
func HasPlaceholder(value string) bool { return template{parse(value)}.perRequest() }

// NeedsRequest says whether a value holds a placeholder that only a request can fill: any but
// {env.*}, {file.*} and {system.*}, which are resolved once when the configuration is loaded.
func NeedsRequest(value string) bool { return slices.ContainsFunc(parse(value), part.needsRequest) }

func (p part) needsRequest() bool {
	return !p.isText && !strings.HasPrefix(p.placeholder, "env.") &&
		!strings.HasPrefix(p.placeholder, "file.") && !strings.HasPrefix(p.placeholder, "system.")
}

// ResolveFixed resolves the placeholders of a value that must not depend on a request. What they
// stand for is not expanded again. A placeholder that is empty, or that needs a request, is an error.
func ResolveFixed(value string) (string, error) {
	t, err := newTemplate(value)
	if err != nil {
		return "", err
	}
	return t.resolve(nil)
}

// template is a configured value, taken apart.
type template struct{ parts []part }

// newTemplate resolves the placeholders that do not need a request.
func newTemplate(value string) (template, error) {
	var t template
	for _, p := range parse(value) {
		if !p.isText && !p.needsRequest() {
			v, err := fixed(p)
			if err != nil {
				return template{}, err
			}
			p = part{text: v, isText: true}
		}
		t.parts = append(t.parts, p)
	}
	return t, nil
}

// fixed resolves a placeholder that needs no request. Caddy knows every variable and every file: one
// that does not exist is empty, which is never what was meant here.
func fixed(p part) (string, error) {
	v, ok := caddy.NewReplacer().GetString(p.placeholder)
	if ok && v != "" {
		return v, nil
	}
	if name, ok := strings.CutPrefix(p.placeholder, "env."); ok {
		return "", fmt.Errorf("%s is empty: set the environment variable %s", p.text, name)
	}
	if path, ok := strings.CutPrefix(p.placeholder, "file."); ok {
		return "", fmt.Errorf("%s is empty: the file %s is missing, unreadable or empty", p.text, path)
	}
	return "", fmt.Errorf("there is no placeholder %s, or it is empty", p.text)
}

// text returns a template of a value that holds no placeholder.
func text(v string) template { return template{[]part{{text: v, isText: true}}} }

func (t template) isEmpty() bool { return len(t.parts) == 0 }

// perRequest says whether a placeholder is still open.
func (t template) perRequest() bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return !p.isText })
}

// resolve returns the value in one request; without one, expand is nil. Each placeholder is expanded
// on its own, so that what one stands for is never read as a placeholder.
func (t template) resolve(expand credentials.Expander) (string, error) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.isText {
			b.WriteString(p.text)
			continue
		}
		if expand == nil {
			return "", fmt.Errorf("%s needs a request, and there is none: write {env.NAME}, {file./PATH} or the value itself", p.text)
		}
		v, err := expand(p.text)
		if err != nil {
			return "", err
		}
		if v == "" {
			return "", fmt.Errorf("%s is empty in this request", p.text)
		}
		b.WriteString(v)
	}
	return b.String(), nil
}

// checkFixed checks a value that holds no placeholder, where it is written.
func checkFixed(value string, check func(string) error) error {
	if HasPlaceholder(value) {
		return nil
	}
	return check(value)
}

// inField adds the name of a field to an error.
func inField(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}
