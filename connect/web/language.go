package web

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// language is one that the page is written in.
type language struct {
	Tag  string // BCP 47
	Name string // in itself
}

// languages are all of them. The first is for those who ask for none of them.
var languages = []language{
	{"en", "English"},
	{"de", "Deutsch"},
	{"es", "Español"},
	{"fr", "Français"},
	{"ja", "日本語"},
}

//go:embed texts/*.json
var textFiles embed.FS

// catalogue holds the texts of one language by key. In them {name} stands for a value.
type catalogue map[string]string

// readCatalogues reads the texts of all languages.
func readCatalogues() (map[string]catalogue, error) {
	all := map[string]catalogue{}
	for _, l := range languages {
		data, err := textFiles.ReadFile("texts/" + l.Tag + ".json")
		if err != nil {
			return nil, err
		}
		var c catalogue
		if err := json.Unmarshal(data, &c); err != nil {
			return nil, fmt.Errorf("the texts in %s: %w", l.Name, err)
		}
		all[l.Tag] = c
	}
	return all, nil
}

// text returns a text with its values, given as name, value, name, value. A text that is missing is
// its key, so that a page is never lost. Accents grave around words, which make them code in HTML, are
// left out.
func (c catalogue) text(key string, values ...any) string {
	return fill(strings.ReplaceAll(cmp.Or(c[key], key), "`", ""), values, func(_, value string) string { return value })
}

// prose are the names of values that are words of a sentence. All others are something to type or to
// compare.
var prose = map[string]bool{"vendor": true, "minutes": true, "n": true}

var codeMark = regexp.MustCompile("`([^`]*)`")

// coded returns a text as HTML, in which values are marked as code unless they are prose.
func (c catalogue) coded(key string, values ...any) template.HTML {
	marked := codeMark.ReplaceAllString(html.EscapeString(cmp.Or(c[key], key)), "<code>$1</code>")
	text := fill(marked, values, func(name, value string) string {
		if prose[name] {
			return html.EscapeString(value)
		}
		return "<code>" + html.EscapeString(value) + "</code>"
	})
	return template.HTML(text) //nolint:gosec // both text and values were escaped
}

// fill puts values into a text in one pass, so that what a value holds is never taken for a placeholder.
func fill(text string, values []any, as func(name, value string) string) string {
	pairs := make([]string, 0, len(values))
	for i := 0; i+1 < len(values); i += 2 {
		name := fmt.Sprint(values[i])
		pairs = append(pairs, "{"+name+"}", as(name, fmt.Sprint(values[i+1])))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

func (c catalogue) has(key string) bool { return c[key] != "" }

// isLanguage says whether the page is written in a language.
func isLanguage(tag string) bool {
	return slices.ContainsFunc(languages, func(l language) bool { return l.Tag == tag })
}

// languageOf returns the language that was chosen on the page, else the one that the browser asks for
// (RFC 9110, section 12.5.4), else the first.
func languageOf(r *http.Request) string {
	if c, err := r.Cookie(languageCookie); err == nil && isLanguage(c.Value) {
		return c.Value
	}
	type wish struct {
		tag string
		q   float64
	}
	var wishes []wish
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Language"), ","), ",") {
		tag, parameters, _ := strings.Cut(part, ";")
		tag = strings.ToLower(strings.TrimSpace(tag))
		q := 1.0
		if name, v, ok := strings.Cut(strings.TrimSpace(parameters), "="); ok && strings.TrimSpace(name) == "q" {
			parsed, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			if err != nil {
				continue
			}
			q = parsed
		}
		primary, _, _ := strings.Cut(tag, "-")
		if isLanguage(primary) && q > 0 {
			wishes = append(wishes, wish{primary, q})
		}
		if len(wishes) == 32 {
			break
		}
	}
	slices.SortStableFunc(wishes, func(a, b wish) int { return cmp.Compare(b.q, a.q) })
	if len(wishes) == 0 {
		return languages[0].Tag
	}
	return wishes[0].tag
}
