package stshelper

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// FuzzParseQuestion: whatever is accepted is valid JSON that a reader of another make, encoding/json into a
// map, understands in the same way; and no error repeats more than is good.
func FuzzParseQuestion(f *testing.F) {
	for _, seed := range []string{
		`{"role_arn":"arn:aws:iam::123456789012:role/a","external_id":"ab","region":"eu-west-1","service":"s3"}`,
		`{"role_arn":"a","role_arn":"b"}`, `{"Role_ARN":"a","role_arn":"b"}`, `{"role_arn":null}`, `{"x":{"role_arn":"a"},"role_arn":"b"}`,
		`{"role_arn":"\u0061\ud800"}`, `{"role\u005farn":"a"}`, `[]`, `{}`, `{"role_arn":"a"}x`, "\ufeff{}", `{"role_arn":[[[[]]]]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		q, err := parseQuestion(body)
		if err != nil {
			bad, ok := errors.AsType[*fieldError](err)
			if !ok || bad.message == "" || len(err.Error()) > 300 {
				t.Fatalf("%q: %v", body, err)
			}
			if _, known := q.fields()[bad.name]; !known && bad.name != "" {
				t.Fatalf("%q: the field %q is none", body, bad.name)
			}
			return
		}
		var m map[string]any
		if err := json.Unmarshal(body, &m); err != nil {
			t.Fatalf("%q was accepted: %v", body, err)
		}
		for name, got := range q.fields() {
			want, _ := m[name].(string)
			if *got != want {
				t.Fatalf("%q: %s is %q, want %q", body, name, *got, want)
			}
		}
		if q.roleARN == "" {
			t.Fatalf("%q: no role", body)
		}
	})
}

// FuzzExternalIDPattern: a pattern without wildcards matches itself alone, and no wildcard crosses a colon or
// a slash.
func FuzzExternalIDPattern(f *testing.F) {
	f.Add("acme:*", "acme:1")
	f.Add("a*b?c/*", "axbyc/z")
	f.Add("**", "ab")
	f.Fuzz(func(t *testing.T, pattern, id string) {
		if CheckExternalIDPattern(pattern) != nil || sts.CheckExternalID(id) != nil {
			return
		}
		got := matchExternalID(pattern, id)
		if !strings.ContainsAny(pattern, "*?") && got != (pattern == id) {
			t.Fatalf("%q matches %q: %v", pattern, id, got)
		}
		separators := func(s string) string {
			return strings.Map(func(r rune) rune {
				if r == ':' || r == '/' {
					return r
				}
				return -1
			}, s)
		}
		if got && separators(pattern) != separators(id) {
			t.Fatalf("%q matches %q across a separator", pattern, id)
		}
	})
}
