package sts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/clip"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
)

// helperCredentials is what an answer says of credentials, wherever it says it.
type helperCredentials struct {
	id, secret, token toldText
	expires           toldTime
	lasts             toldText // how long, from now on
	problem           error
}

// toldText is a value with the name that it has in the answer; an empty name if it is not there.
type toldText struct{ name, value string }

// toldTime is a point in time, likewise.
type toldTime struct {
	name string
	at   time.Time
}

// helperWrappers are the objects in which credentials may lie, as names are compared.
var helperWrappers = []string{
	"credentials", "data", "result", "response",
	"assumeroleresponse", "assumeroleresult",
	"assumerolewithwebidentityresponse", "assumerolewithwebidentityresult",
	"assumerolewithsamlresponse", "assumerolewithsamlresult",
}

// parseHelperAnswer takes credentials, and when they expire, out of an answer. It may be JSON, flat or
// wrapped, with names in any common style, or AWS's own XML. What is there twice must be the same
// twice. No error repeats a value.
func parseHelperAnswer(body []byte, now time.Time) (sigv4.Credentials, time.Time, error) {
	c := &helperCredentials{}
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	var err error
	switch {
	case len(body) == 0:
		err = errors.New("the answer is empty")
	case body[0] == '<':
		err = c.readXML(body)
	default:
		err = c.readJSON(body)
	}
	if err == nil {
		err = c.problem
	}
	if err != nil {
		return sigv4.Credentials{}, time.Time{}, err
	}
	for _, f := range []struct {
		told toldText
		name string
	}{{c.id, "access key ID"}, {c.secret, "secret access key"}, {c.token, "session token"}} {
		if f.told.name == "" {
			return sigv4.Credentials{}, time.Time{}, fmt.Errorf("the answer has no %s", f.name)
		}
	}
	expires, err := c.expiry(now)
	if err != nil {
		return sigv4.Credentials{}, time.Time{}, err
	}
	return sigv4.Credentials{AccessKeyID: c.id.value, SecretAccessKey: c.secret.value, SessionToken: c.token.value}, expires, nil
}

// member is one of an object, in the order of the answer: encoding/json's maps hide what is there
// twice.
type member struct {
	name  string
	value any // string, json.Number, bool, nil, []member or array
}

// array stands for one, whose elements nobody asks for.
type array struct{}

// maxHelperDepth is more than any answer needs.
const maxHelperDepth = 8

var errNoJSON = errors.New("the answer is not JSON")

func (c *helperCredentials) readJSON(body []byte) error {
	members, err := parseObject(body)
	if err != nil {
		return err
	}
	c.take(members)
	return nil
}

// parseObject reads a JSON object and nothing after it.
func parseObject(body []byte) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	v, err := decodeValue(dec, 0)
	switch {
	case errors.Is(err, errTooDeep):
		return nil, err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("the answer is JSON that breaks off")
	case err != nil:
		return nil, errNoJSON
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON in the answer")
	}
	members, ok := v.([]member)
	if !ok {
		return nil, fmt.Errorf("the answer is %s, not a JSON object", kindOf(v))
	}
	return members, nil
}

var errTooDeep = fmt.Errorf("the answer has objects more than %d levels deep", maxHelperDepth)

func decodeValue(dec *json.Decoder, depth int) (any, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth == maxHelperDepth {
		return nil, errTooDeep
	}
	members := []member{}
	for dec.More() {
		var m member
		if delim == '{' {
			name, err := dec.Token()
			if err != nil {
				return nil, err
			}
			m.name, _ = name.(string)
		}
		if m.value, err = decodeValue(dec, depth+1); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if delim == '[' {
		return array{}, nil
	}
	return members, nil
}

func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case bool:
		return "true or false"
	case array:
		return "an array"
	case []member:
		return "an object"
	}
	return "null"
}

// fold makes one of the styles that names come in: accessKeyId, access_key_id, AccessKeyId.
func fold(name string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name))
}

// take notes what an object, and those that it wraps, say of credentials.
func (c *helperCredentials) take(members []member) {
	for _, m := range members {
		if m.value == nil {
			continue // null is as good as nothing.
		}
		name := fold(m.name)
		m.name = clip.Text(m.name) // Hyphens make no difference, however many.
		switch name {
		case "accesskeyid":
			c.takeText(&c.id, m)
		case "secretaccesskey":
			c.takeText(&c.secret, m)
		case "sessiontoken", "token", "securitytoken":
			c.takeText(&c.token, m)
		case "expiration", "expiresat", "expires", "expiry":
			c.takeTime(m)
		case "expiresin":
			c.takeLife(m)
		default:
			if inner, ok := m.value.([]member); ok && slices.Contains(helperWrappers, name) {
				c.take(inner)
			}
		}
	}
}

func (c *helperCredentials) fail(format string, args ...any) {
	if c.problem == nil {
		c.problem = fmt.Errorf(format, args...)
	}
}

func (c *helperCredentials) takeText(into *toldText, m member) {
	s, ok := m.value.(string)
	switch {
	case !ok:
		c.fail("%s in the answer is %s, not a string", m.name, kindOf(m.value))
	case s == "":
		c.fail("%s in the answer is empty", m.name)
	case !consistsOf(s, isPathByte):
		c.fail("%s in the answer holds characters that no key has", m.name)
	case into.name != "" && into.value != s:
		c.fail("the answer has %s and %s, and they differ", into.name, m.name)
	default:
		*into = toldText{m.name, s}
	}
}
