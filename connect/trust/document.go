package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
)

// A document is a policy as it is written: an object, whose members keep their order, a list
// ([]any), a string, a json.Number, a bool or nil.
type object []member

type member struct {
	key   string
	value any
}

const step = "  "

// asJSON returns a document as JSON, indented as the IAM console does it.
func asJSON(document any) string {
	var b strings.Builder
	writeJSON(&b, document, "\n")
	return b.String()
}

// writeJSON writes value behind a line break and indentation of newline.
func writeJSON(b *strings.Builder, value any, newline string) {
	separator := ""
	switch v := value.(type) {
	case object:
		b.WriteByte('{')
		for _, m := range v {
			b.WriteString(separator + newline + step + quoteJSON(m.key) + ": ")
			writeJSON(b, m.value, newline+step)
			separator = ","
		}
		closing(b, len(v), newline, "}")
	case []any:
		b.WriteByte('[')
		for _, element := range v {
			b.WriteString(separator + newline + step)
			writeJSON(b, element, newline+step)
			separator = ","
		}
		closing(b, len(v), newline, "]")
	case string:
		b.WriteString(quoteJSON(v))
	default:
		writeBare(b, v)
	}
}

// asHCL returns a document as an expression of Terraform's language, as `terraform fmt` writes it,
// whose lines after the first are indented by indent.
func asHCL(document any, indent string) string {
	var b strings.Builder
	writeHCL(&b, document, "\n"+indent)
	return b.String()
}

func writeHCL(b *strings.Builder, value any, newline string) {
	switch v := value.(type) {
	case object:
		b.WriteByte('{')
		for i, m := range v {
			key := hclKey(m.key)
			b.WriteString(newline + step + key + strings.Repeat(" ", alignment(v, i)-len(key)) + " = ")
			writeHCL(b, m.value, newline+step)
		}
		closing(b, len(v), newline, "}")
	case []any:
		b.WriteByte('[')
		for i, element := range v {
			switch {
			case isMultiline(v):
				b.WriteString(newline + step)
				writeHCL(b, element, newline+step)
				b.WriteByte(',')
			case i > 0:
				b.WriteString(", ")
				fallthrough
			default:
				writeHCL(b, element, newline)
			}
		}
		if isMultiline(v) {
			b.WriteString(newline)
		}
		b.WriteByte(']')
	case string:
		b.WriteString(QuoteHCL(v))
	default:
		writeBare(b, v)
	}
}

// alignment is the width of the keys around member i: `terraform fmt` aligns the equals signs of
// adjacent members that have a line each.
func alignment(o object, i int) int {
	width := len(hclKey(o[i].key))
	if isMultiline(o[i].value) {
		return width
	}
	for j := i + 1; j < len(o) && !isMultiline(o[j].value); j++ {
		width = max(width, len(hclKey(o[j].key)))
	}
	for j := i - 1; j >= 0 && !isMultiline(o[j].value); j-- {
		width = max(width, len(hclKey(o[j].key)))
	}
	return width
}

// isMultiline says whether writeHCL needs several lines for value: objects do, and lists of them.
func isMultiline(value any) bool {
	switch v := value.(type) {
	case object:
		return len(v) > 0
	case []any:
		return slices.ContainsFunc(v, isMultiline)
	}
	return false
}

func closing(b *strings.Builder, members int, newline, bracket string) {
	if members > 0 {
		b.WriteString(newline)
	}
	b.WriteString(bracket)
}

// writeBare writes what JSON and Terraform write alike.
func writeBare(b *strings.Builder, value any) {
	if value == nil {
		b.WriteString("null")
		return
	}
	fmt.Fprint(b, value)
}

func quoteJSON(text string) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	// Strings always encode; what is not UTF-8 in them is replaced.
	_ = encoder.Encode(text)
	return strings.TrimSuffix(b.String(), "\n")
}

var bareKey = regexp.MustCompile(`^[A-Z][A-Za-z]*$`)

// hclKey returns a key of an object expression: bare only where it can't be a keyword.
func hclKey(key string) string {
	if bareKey.MatchString(key) {
		return key
	}
	return QuoteHCL(key)
}

// QuoteHCL returns text as a quoted string of HashiCorp's configuration language, in which nothing
// is interpolated. The $ and % that would begin a template are written as \u0024 and \u0025: the
// doubling that HCL has for them means something else after another $ or %. See
// https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md#template-expressions.
func QuoteHCL(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case (r == '$' || r == '%') && strings.HasPrefix(text[i+1:], "{"), r < 0x20 || r >= 0x7f && r < 0xa0:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// parseJSON reads a document. A member that comes twice is an error: readers differ in which counts.
func parseJSON(text string) (any, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	value, err := parseValue(decoder, maxDepth)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows its end")
	}
	return value, nil
}

// maxDepth bounds how deep a policy document is nested. IAM needs six levels.
const maxDepth = 20

func parseValue(decoder *json.Decoder, depth int) (any, error) {
	if depth == 0 {
		return nil, fmt.Errorf("it is nested deeper than %d levels", maxDepth)
	}
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		members := object{}
		seen := map[string]bool{}
		for decoder.More() {
			key, err := decoder.Token()
			if err != nil {
				return nil, err
			}
			name, _ := key.(string)
			if seen[name] {
				return nil, fmt.Errorf("%q comes twice", clip.Text(name))
			}
			seen[name] = true
			value, err := parseValue(decoder, depth-1)
			if err != nil {
				return nil, err
			}
			members = append(members, member{name, value})
		}
		_, err := decoder.Token()
		return members, err
	case json.Delim('['):
		list := []any{}
		for decoder.More() {
			value, err := parseValue(decoder, depth-1)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err := decoder.Token()
		return list, err
	}
	return token, nil
}
