package stshelper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// question is the body of POST /assume-role and of POST /probe-external-id.
type question struct {
	roleARN    string
	externalID string
	region     string
	service    string // what the caller will call; nothing depends on it
}

// fields are the known members of the body; others are ignored, as callers may send more than this
// version knows.
func (q *question) fields() map[string]*string {
	return map[string]*string{
		"role_arn":    &q.roleARN,
		"external_id": &q.externalID,
		"region":      &q.region,
		"service":     &q.service,
	}
}

// fieldError is a member of the body that is wrong; of the whole body if name is empty.
type fieldError struct {
	name    string
	message string
}

func (e *fieldError) Error() string {
	if e.name == "" {
		return e.message
	}
	return e.name + ": " + e.message
}

// parseQuestion reads a body. It is stricter than encoding/json: names are case-sensitive, and one that
// is known may be there once, so that no two readers of one body see different things.
func parseQuestion(body []byte) (question, error) {
	var q question
	notObject := &fieldError{"", `the body is not a JSON object: send {"role_arn":"arn:aws:iam::123456789012:role/NAME","external_id":"…"}`}
	if !json.Valid(body) {
		return q, notObject
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return q, notObject
	}
	fields := q.fields()
	seen := make(map[string]bool)
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return q, notObject
		}
		name, _ := token.(string)
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return q, notObject
		}
		into, known := fields[name]
		if !known {
			continue
		}
		if seen[name] {
			return q, &fieldError{name, "it is there twice: send it once"}
		}
		seen[name] = true
		var value *string // nil for null, which is as good as nothing
		if err := json.Unmarshal(raw, &value); err != nil {
			return q, &fieldError{name, "it is not a string: send it in quotes"}
		}
		if value != nil {
			*into = *value
		}
	}
	if q.roleARN == "" {
		return q, &fieldError{"role_arn", "it is missing: send the ARN of the role"}
	}
	return q, nil
}

// readQuestion reads and checks the body of a request from a caller that is known.
func (h *Handler) readQuestion(w http.ResponseWriter, r *http.Request) (question, *failure) {
	// Only a script of an allowed origin can make a browser send this type, whatever passwords
	// the browser has saved.
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return question{}, &failure{
			status: http.StatusUnsupportedMediaType, word: "unsupported_media_type", outcome: Invalid,
			message: "send the body as JSON, with Content-Type: application/json",
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.opts.BodyLimit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return question{}, &failure{
			status: http.StatusRequestEntityTooLarge, word: "body_too_large", outcome: Invalid,
			message: fmt.Sprintf("the body has more than %d bytes", h.opts.BodyLimit),
		}
	} else if err != nil {
		return question{}, invalid("", errors.New("the body broke off"))
	}
	q, err := parseQuestion(body)
	if err != nil {
		name := ""
		if bad, ok := errors.AsType[*fieldError](err); ok {
			name = bad.name
		}
		return question{}, invalid(name, err)
	}
	return q, h.checkQuestion(q)
}

// checkQuestion finds what AWS would refuse in any case.
func (h *Handler) checkQuestion(q question) *failure {
	if err := sts.CheckRoleARN(q.roleARN); err != nil {
		return invalid("role_arn", fmt.Errorf("role_arn: %w", err))
	}
	if err := h.checkPartition(q.roleARN, ""); err != nil {
		return invalid("role_arn", fmt.Errorf("role_arn: %w", err))
	}
	if q.externalID != "" {
		if err := sts.CheckExternalID(q.externalID); err != nil {
			return invalid("external_id", fmt.Errorf("external_id: %w", err))
		}
	} else if !h.opts.OptionalExternalID {
		return invalid("external_id", errNoExternalID)
	}
	if q.region != "" {
		if err := sts.CheckPartitions(q.roleARN, q.region); err != nil {
			return invalid("region", fmt.Errorf("region: %w", err))
		}
	}
	return nil
}

var errNoExternalID = errors.New("external_id: it is missing: send the one that the role's trust policy names")

func invalid(field string, err error) *failure {
	return &failure{status: http.StatusBadRequest, word: "invalid_request", field: field, outcome: Invalid, message: err.Error()}
}
