package sts

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// answer returns what a helper says in place of credentials. Only members that usually hold an error are
// read, and no text that is not JSON or an error of AWS's in XML: anything else may hold anything.
func (t *teller) answer(res *http.Response, body []byte) *HelperError {
	e := &HelperError{Status: res.StatusCode}
	var requestID string
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	var x xmlRefusal
	if members, err := parseObject(body); err == nil {
		r := &spoken{t: t}
		r.hear(members)
		e.Code, e.Message, requestID = r.code, strings.Join(r.texts, ": "), r.requestID
		e.awsCode = r.awsCode
	} else if bytes.HasPrefix(body, []byte("<")) && xml.Unmarshal(body, &x) == nil {
		e.Code, e.Message, requestID = t.word(x.Error.Code), t.clean(x.Error.Message, 300), x.RequestID
		if isAWSCode(e.Code) {
			e.awsCode = e.Code
		}
	}
	for _, h := range []string{"X-Amzn-Requestid", "X-Amz-Request-Id", "X-Request-Id"} {
		if requestID == "" {
			requestID = res.Header.Get(h)
		}
	}
	e.RequestID = t.word(requestID)
	return e
}

// spoken collects what a JSON answer says of an error.
type spoken struct {
	t               *teller
	code, requestID string
	awsCode         string // the first word that is one of AWS's
	texts           []string
}

// hear goes through an object, and through what it says of the error in objects of its own: a code and
// a message, or a list of problems for each field.
func (s *spoken) hear(members []member) {
	for _, m := range members {
		text := ""
		switch v := m.value.(type) {
		case string:
			text = v
		case json.Number:
			text = v.String()
		}
		name := fold(m.name)
		if m.name == "__type" {
			name = "code" // In the JSON protocols of AWS.
		}
		switch inner, _ := m.value.([]member); name {
		case "code", "errorcode":
			s.hearCode(text)
		case "error":
			if s.t.word(text) != "" {
				s.hearCode(text)
			} else {
				s.hearText(text)
			}
			s.hear(inner)
		case "message", "errormessage", "errordescription", "detail", "reason", "title":
			s.hearText(text)
		case "field":
			if f := s.t.word(text); f != "" {
				s.hearText("field " + f)
			}
		case "fielderrors":
			var fields []string
			for _, f := range inner {
				if w := s.t.word(f.name); w != "" && !slices.Contains(fields, w) {
					fields = append(fields, w)
				}
			}
			if len(fields) > 0 {
				s.hearText("wrong: " + strings.Join(fields, ", "))
			}
		case "requestid", "awsrequestid":
			if s.requestID == "" {
				s.requestID = text
			}
		}
	}
}

// hearCode keeps the first code as such, and a second one, such as AWS's beside the helper's, as text.
func (s *spoken) hearCode(code string) {
	code = s.t.word(code)
	if s.awsCode == "" && isAWSCode(code) {
		s.awsCode = code
	}
	switch {
	case code == "" || code == s.code:
	case s.code == "":
		s.code = code
	default:
		s.hearText(code)
	}
}

func (s *spoken) hearText(text string) {
	if text = s.t.clean(text, 300); text != "" && len(s.texts) < 4 && !slices.Contains(s.texts, text) {
		s.texts = append(s.texts, text)
	}
}

var wordText = regexp.MustCompile(`^[A-Za-z0-9_.:/=+-]{1,64}$`)

// word returns a code, an ID or a name as it is, or nothing if it is none.
func (t *teller) word(s string) string {
	if wordText.MatchString(s) && t.clean(s, 64) == s {
		return s
	}
	return ""
}
