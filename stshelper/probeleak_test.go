package stshelper_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/stshelper"
)

// TestProbeTellsNothingOfTheBroker: of the broker and the network a caller learns what POST /assume-role would
// tell it; the log has the rest. What AWS says of the role is for the caller.
func TestProbeTellsNothingOfTheBroker(t *testing.T) {
	b := newBed(t, func(o *stshelper.Options) { o.Keys[0].Probe = true })
	ask := func() reply {
		return b.do("POST", "/probe-external-id", `{"role_arn":"`+acmeRole+`","external_id":"acme:1","region":"eu-west-1"}`, isJSON, "X-Api-Key: "+acmeSecret)
	}
	answer := func(status int, code, message string) {
		b.sts.Answer(func(ststest.Call) ststest.Answer { return ststest.Answer{Status: status, Code: code, Message: message} })
	}
	for _, tc := range []struct {
		name     string
		before   func()
		told     string
		withheld string
	}{
		{"the broker is unknown", func() { answer(403, "InvalidClientTokenId", "detail of the broker") }, "AWS does not accept the helper's broker", "detail of the broker"},
		{"the role denies", func() { answer(403, "AccessDenied", "said of the role") }, "said of the role", ""},
		{"nobody there", func() { t.Setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9/internal-path") }, "STS did not answer", "127.0.0.1"},
	} {
		tc.before()
		r := ask()
		r.expect(t, 200, map[string]string{"outcome": "unproven", "reason": "~" + tc.told})
		e := b.lastAudited()
		logged := e.Message + fmt.Sprint(e.Err)
		if tc.withheld != "" && (strings.Contains(r.text, tc.withheld) || !strings.Contains(logged, tc.withheld)) {
			t.Errorf("%s: answered %s, logged %s", tc.name, r.text, logged)
		}
		if !strings.Contains(r.text, "the role can't be assumed with the right External ID") {
			t.Errorf("%s: %s does not say at which step", tc.name, r.text)
		}
	}
}
