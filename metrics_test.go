package awssigv4

import (
	"errors"
	"fmt"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// TestLabelsOfFailedCalls: whatever is answered, there is a bounded number of labels.
func TestLabelsOfFailedCalls(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{&sts.Error{Operation: "AssumeRole", Code: "AccessDenied", Status: 403}, "AccessDenied"},
		{&sts.Error{Operation: "AssumeRole", Code: "SomethingNew", Status: 400}, "other"},
		{&sts.Error{Operation: "AssumeRole"}, "no_answer"},
		{&sts.Error{Operation: "GetToken"}, ""},
		{&sts.HelperError{Code: "invalid_api_key", Status: 401}, "invalid_api_key"},
		{fmt.Errorf("x: %w", &sts.HelperError{Code: "not_permitted", Status: 403}), "not_permitted"},
		{&sts.HelperError{Code: "ExpiredToken", Status: 502}, "ExpiredToken"},
		{&sts.HelperError{Code: "word-of-its-own", Status: 403}, "other"},
		{&sts.HelperError{Status: 404}, "other"},
		{&sts.HelperError{Message: "connection refused"}, "no_answer"},
		{errors.New("no key"), ""},
	} {
		if got := stsErrorLabel(tc.err); got != tc.want {
			t.Errorf("%v: got %q, want %q", tc.err, got, tc.want)
		}
	}
}
