package cfn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
)

// maxDepth bounds how deep a template is nested. Real ones stay under twenty levels.
const maxDepth = 64

// read reads a template's text, whichever of the two languages it is in.
func read(data []byte) (n *node, format string, err error) {
	switch {
	case len(data) > MaxSize:
		return nil, "", fmt.Errorf("the template has %d bytes, and CloudFormation takes %d", len(data), MaxSize)
	case !utf8.Valid(data):
		return nil, "", errors.New("the template is not UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		n, err = readJSON(data)
		return n, "json", err
	}
	n, err = readYAML(data)
	return n, "yaml", err
}

// jsonReader reads JSON with what the nodes need: order, numbers as they are written, lines.
type jsonReader struct {
	decoder *json.Decoder
	data    []byte
	counted int64 // how far lines have been counted
	line    int
}

func readJSON(data []byte) (*node, error) {
	r := &jsonReader{decoder: json.NewDecoder(bytes.NewReader(data)), data: data, line: 1}
	r.decoder.UseNumber()
	n, err := r.value(0)
	if err == nil {
		if _, end := r.decoder.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("something follows the template's end")
		}
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the template ends too early")
		}
		return nil, fmt.Errorf("line %d: %w", r.where(), err)
	}
	return n, nil
}

// where returns the line that was read last.
func (r *jsonReader) where() int {
	offset := min(r.decoder.InputOffset(), int64(len(r.data)))
	r.line += bytes.Count(r.data[r.counted:offset], []byte("\n"))
	r.counted = offset
	return r.line
}

func (r *jsonReader) value(depth int) (*node, error) {
	token, err := r.decoder.Token()
	if err != nil {
		return nil, err
	}
	n := &node{line: r.where()}
	switch t := token.(type) {
	case nil:
	case bool, json.Number, string:
		n.kind, n.text = scalar, fmt.Sprint(t)
	case json.Delim:
		if depth >= maxDepth {
			return nil, tooDeep()
		}
		if t == '[' {
			return r.list(n, depth)
		}
		return r.mapping(n, depth)
	}
	return n, nil
}

func (r *jsonReader) list(n *node, depth int) (*node, error) {
	n.kind = list
	for r.decoder.More() {
		item, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		n.items = append(n.items, item)
	}
	_, err := r.decoder.Token()
	return n, err
}

func (r *jsonReader) mapping(n *node, depth int) (*node, error) {
	n.kind = mapping
	seen := map[string]bool{}
	for r.decoder.More() {
		token, err := r.decoder.Token()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string)
		if seen[key] {
			return nil, twice(key)
		}
		seen[key] = true
		value, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		n.fields = append(n.fields, field{key, value})
	}
	_, err := r.decoder.Token()
	return n, err
}

func tooDeep() error { return fmt.Errorf("the template is nested deeper than %d levels", maxDepth) }

// Readers differ in which of two values counts, so that what is shown might not be what is made.
func twice(key string) error { return fmt.Errorf("the key %q comes twice", clip.Text(key)) }

// shortTags are the functions that have a short form in YAML, with their long form.
var shortTags = func() map[string]string {
	tags := map[string]string{"!Ref": "Ref", "!Condition": "Condition"}
	for name := range strings.FieldsSeq(`And Base64 Cidr Contains EachMemberEquals EachMemberIn Equals FindInMap GetAtt GetAZs If
		ImportValue Join Length Not Or RefAll Select Split Sub ToJsonString Transform ValueOf ValueOfAll`) {
		tags["!"+name] = "Fn::" + name
	}
	return tags
}()

func readYAML(data []byte) (n *node, err error) {
	// The text may come from elsewhere: a mistake of the library's must not stop the server.
	defer func() {
		if r := recover(); r != nil {
			n, err = nil, errors.New("the template is no YAML that can be read")
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	if err := decoder.Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the template is empty")
		}
		return nil, fmt.Errorf("the template is no YAML: %q", clip.Text(strings.TrimPrefix(err.Error(), "yaml: ")))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("the template has more than one YAML document")
	}
	if len(document.Content) != 1 {
		return nil, errors.New("the template is empty")
	}
	return fromYAML(document.Content[0], 0)
}

func fromYAML(y *yaml.Node, depth int) (*node, error) {
	bad := func(format string, args ...any) (*node, error) {
		return nil, fmt.Errorf("line %d: %w", y.Line, fmt.Errorf(format, args...))
	}
	if depth > maxDepth {
		return bad("%w", tooDeep())
	}
	n := &node{line: y.Line}
	switch y.Kind {
	case yaml.AliasNode:
		return bad("CloudFormation takes no YAML alias: write out what *%.40q stands for", y.Value)
	case yaml.ScalarNode:
		if y.ShortTag() != "!!null" {
			n.kind, n.text = scalar, plainText(y)
		}
	case yaml.SequenceNode:
		n.kind = list
		for _, item := range y.Content {
			value, err := fromYAML(item, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, value)
		}
	case yaml.MappingNode:
		n.kind = mapping
		seen := map[string]bool{}
		for i := 0; i+1 < len(y.Content); i += 2 {
			key := y.Content[i]
			switch {
			case key.Kind != yaml.ScalarNode || !isStandard(key):
				return bad("a key must be a string")
			case key.ShortTag() == "!!merge":
				return bad("CloudFormation takes no YAML merge key <<")
			case seen[key.Value]:
				return bad("%w", twice(key.Value))
			}
			seen[key.Value] = true
			value, err := fromYAML(y.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			n.fields = append(n.fields, field{key.Value, value})
		}
	default:
		return bad("the template is no YAML that can be read")
	}
	if isStandard(y) {
		return n, nil
	}
	long, ok := shortTags[y.Tag]
	if !ok {
		return bad("%.40q is no function of CloudFormation", y.Tag)
	}
	if n.kind == null { // A function without an argument, as !Ref alone, is called with the empty string.
		n.kind = scalar
	}
	if name, attribute, ok := strings.Cut(n.text, "."); ok && long == "Fn::GetAtt" && n.kind == scalar {
		n = &node{kind: list, line: n.line, items: []*node{
			{kind: scalar, text: name, line: n.line},
			{kind: scalar, text: attribute, line: n.line},
		}}
	}
	return &node{kind: mapping, line: y.Line, fields: []field{{long, n}}}, nil
}

// plainText returns a scalar's text. Words that YAML 1.1 takes for booleans arrive in CloudFormation
// as true and false, unless they are quoted; numbers and dates are kept as they are written.
func plainText(y *yaml.Node) string {
	if y.Style == 0 {
		switch y.Value {
		case "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE":
			return "true"
		case "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE":
			return "false"
		}
	}
	return y.Value
}

// isStandard says whether a node has one of the tags that YAML itself gives values, explicitly or
// not, and that CloudFormation takes.
func isStandard(y *yaml.Node) bool {
	switch y.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!seq", "!!map", "!!merge":
		return true
	case "!!timestamp": // A date without quotes, which CloudFormation takes for a string.
		return y.Style&yaml.TaggedStyle == 0
	}
	return false
}
