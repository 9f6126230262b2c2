package credentials

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

// helperError explains itself, as the errors of other sources may.
type helperError struct{}

func (helperError) Error() string { return "the helper says no" }
func (helperError) Explain() sts.Explanation {
	return sts.Explanation{Code: "forbidden", Causes: []sts.Cause{{Why: "why", Remedy: "remedy"}}}
}

func TestExplain(t *testing.T) {
	_, denied := NewRole(sts.NewClient(sts.Config{}), &Identity{RoleARN: "arn:aws:iam::111122223333:role/Hub"}, "hub", sts.AssumeRoleInput{
		RoleARN: "arn:aws:iam::123456789012:role/R", SessionName: "session", Duration: sts.MaxChainedDuration, Endpoint: stsDenying(t),
	}).Fetch(t.Context(), aCredential())
	for name, tc := range map[string]struct {
		err              error
		code, why, label string
	}{
		"STS":      {denied, "AccessDenied", "does not trust the broker", "role"},
		"timeout":  {&timeoutError{1, denied}, "AccessDenied", "does not trust the broker", "role"},
		"broker":   {&Error{Key: "key of broker", Label: "broker", Err: denied}, "AccessDenied", "does not trust the broker", "broker"},
		"helper":   {fmt.Errorf("calling: %w", helperError{}), "forbidden", "why", "role"},
		"anything": {errors.New("set the variable"), "", "", "role"},
	} {
		e := &Error{Key: "key of role", Label: "role", Err: tc.err}
		x := e.Explain()
		if x.Code != tc.code || !strings.Contains(x.Likeliest().Why, tc.why) || (tc.why == "") != (len(x.Causes) == 0) || e.Failing() != tc.label || e.FailingKey() != "key of "+tc.label {
			t.Errorf("%s: got %+v of %s", name, x, e.Failing())
		}
	}
	if x := (&Error{Err: errors.New("set the variable")}).Explain(); x.Message != "set the variable" {
		t.Errorf("got %+v", x)
	}
}
