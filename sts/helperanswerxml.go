package sts

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

var errPage = errors.New("the answer is a page in HTML or XML, and no credentials: is this the URL of an STS helper?")

// readXML reads what AWS's own STS answers, which some helpers hand on: <AssumeRoleResponse> with a
// result in it, and in that <Credentials>.
func (c *helperCredentials) readXML(body []byte) error {
	dec := xml.NewDecoder(bytes.NewReader(body))
	var path []string
	var text strings.Builder
	for {
		t, err := dec.Token()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			if len(path) > 0 && isAssumeRole(path[0], "Response") {
				return errors.New("the answer is XML that breaks off, or is not well-formed")
			}
			return errPage
		}
		switch t := t.(type) {
		case xml.StartElement:
			if len(path) == 0 && !isAssumeRole(t.Name.Local, "Response") {
				return errPage
			}
			path = append(path, t.Name.Local)
			text.Reset()
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			if len(path) == 4 && isAssumeRole(path[1], "Result") && path[2] == "Credentials" {
				c.take([]member{{path[3], strings.TrimSpace(text.String())}})
			}
			path = path[:len(path)-1]
			text.Reset()
		}
	}
}

func isAssumeRole(name, suffix string) bool {
	return strings.HasPrefix(name, "AssumeRole") && strings.HasSuffix(name, suffix)
}

// xmlRefusal is an error of AWS's STS, which some helpers hand on.
type xmlRefusal struct {
	XMLName xml.Name `xml:"ErrorResponse"`
	Error   struct {
		Code    string
		Message string
	}
	RequestID string `xml:"RequestId"`
}
