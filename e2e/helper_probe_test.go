package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
)

// The keys of the helper's callers.
const (
	agentKey  = "agent-secret-of-32-letters-or-so"
	proberKey = "prober-secret-of-32-letters-or-so"
)

// helperSite is a Caddyfile with the STS helper at both sites.
const helperSite = `{
	aws_sigv4 {
		credentials broker static <broker-key> <broker-secret>
	}
}
(helper) {
	aws_sts_helper {
		credentials broker
		region <region>
		session_name helper-{key}
		api_key agent <agent-key> {
			roles arn:aws:iam::123456789012:role/customers/*
			role <reader>
			external_id <external-id>
		}
		api_key prober <prober-key> {
			roles arn:aws:iam::123456789012:role/probed/*
			probe
		}
		basic_auth basic agent <agent-password> {
			roles arn:aws:iam::123456789012:role/customers/*
			external_ids <external-id>
		}
	}
}
http://<site> {
	import helper
}
https://<tls-site> {
	tls <dir>/site.pem <dir>/site.key
	import helper
}
`

const agentPassword = "agent-password-of-32-letters-or-so"

// runHelper runs the helper until the test ends.
func (b *bed) runHelper() {
	b.t.Helper()
	b.runCaddy(strings.NewReplacer("<agent-key>", agentKey, "<prober-key>", proberKey, "<agent-password>", agentPassword).Replace(helperSite))
}

// TestProbeThroughHelper has the helper probe roles of each kind: their trust policies decide, at an STS that holds roles to
// them.
func TestProbeThroughHelper(t *testing.T) {
	b := newBed(t)
	weak, err := b.AddUser(standin.User{ARN: "arn:aws:iam::111122223333:user/weak", MayAssume: []string{"arn:aws:iam::*:role/other"}})
	if err != nil {
		t.Fatal(err)
	}
	const own = "own-external-id"
	condition := func(operator string) string {
		return fmt.Sprintf(`,"Condition":{%q:{"sts:ExternalId":%q}}`, operator, own)
	}
	statement := func(conditions ...string) string {
		var all []string
		for _, c := range conditions {
			all = append(all, fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"%s}`, c))
		}
		return strings.Join(all, ",")
	}
	const right, wrong, none, again = "right", "wrong", "none", "right again"
	for _, tt := range []struct {
		name      string
		statement string
		fault     *standin.Fault
		weak      bool
		outcome   string
		reason    string
		steps     []string
	}{
		{"Strict", statement(condition("StringEquals")), nil, false, "proven", "only the right External ID", []string{right, wrong, none, again}},
		{"StrictLike", statement(condition("StringLike")), nil, false, "proven", "", []string{right, wrong, none, again}},
		{"NoCondition", statement(""), nil, false, "open", "wrong External ID", []string{right, wrong}},
		{"IfExists", statement(condition("StringEqualsIfExists")), nil, false, "open", "without an External ID", []string{right, wrong, none}},
		{"SecondStatement", statement(condition("StringEquals"), `,"Condition":{"Null":{"sts:ExternalId":"true"}}`), nil, false, "open", "without an External ID", []string{right, wrong, none}},
		{"AnyID", statement(`,"Condition":{"StringLike":{"sts:ExternalId":"*"}}`), nil, false, "open", "wrong External ID", []string{right, wrong}},
		{"AnotherID", strings.ReplaceAll(statement(condition("StringEquals")), own, "another-id"), nil, false, "unproven", "can't be assumed with the right External ID", []string{right}},
		{"NotThere", "", nil, false, "unproven", "can't be assumed", []string{right}},
		{"Throttled", statement(condition("StringEquals")), &standin.Throttled, false, "unproven", "STS did not answer, or asked to be called less often", []string{right}},
		{"Away", statement(condition("StringEquals")), &standin.Down, false, "unproven", "", []string{right}},
		{"NotAllowed", statement(condition("StringEquals")), nil, true, "unproven", "no identity-based policy", []string{right}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.t = t
			arn := "arn:aws:iam::123456789012:role/probed/" + tt.name
			if tt.statement != "" {
				if err := b.PutRole(standin.Role{ARN: arn, TrustPolicy: `{"Version":"2012-10-17","Statement":[` + tt.statement + `]}`}); err != nil {
					t.Fatal(err)
				}
			}
			if tt.fault != nil {
				b.SetFault(arn, *tt.fault)
				defer b.ClearFaults()
			}
			if tt.weak {
				strong := b.broker
				b.broker = weak
				defer func() { b.broker = strong }()
			}
			b.runHelper()
			before := len(b.Calls())
			body := fmt.Sprintf(`{"role_arn":%q,"external_id":%q,"region":%q,"service":"s3"}`, arn, own, b.Region())
			r := b.do("POST", "/probe-external-id", body, "X-Api-Key: "+proberKey, "Content-Type: application/json")
			r.expect(t, "probe", 200)
			var got struct {
				Outcome, Reason string
				Steps           []struct{ Sent, Answer, Code, RequestID string }
			}
			if err := json.Unmarshal([]byte(r.body), &got); err != nil || got.Outcome != tt.outcome || !strings.Contains(got.Reason, tt.reason) {
				t.Fatalf("%v, %s; want %s: %s", err, r.body, tt.outcome, tt.reason)
			}
			var steps []string
			for _, s := range got.Steps {
				steps = append(steps, s.Sent)
				if s.Answer == "denied" && (s.Code != "AccessDenied" || len(s.RequestID) != 36) {
					t.Errorf("denied without AWS's words: %+v", s)
				}
			}
			if fmt.Sprint(steps) != fmt.Sprint(tt.steps) {
				t.Errorf("steps %q, want %q", steps, tt.steps)
			}
			for _, c := range b.Calls()[before:] {
				if c.Form.Get("RoleSessionName") != "external-id-check" || c.Form.Get("DurationSeconds") != "900" {
					t.Errorf("called %v", c.Form)
				}
			}
			for _, s := range b.Sessions(arn) {
				if strings.Contains(r.body, s.AccessKeyID) {
					t.Error("the answer holds an access key ID")
				}
			}
		})
	}
	b.t = t
	b.runHelper()
	before := len(b.Calls())
	for what, r := range map[string]reply{
		"a role of another key": b.do("POST", "/probe-external-id", fmt.Sprintf(`{"role_arn":%q,"external_id":%q}`, readerARN, own), "X-Api-Key: "+proberKey, "Content-Type: application/json"),
		"a key without probe":   b.do("POST", "/probe-external-id", fmt.Sprintf(`{"role_arn":%q,"external_id":%q}`, readerARN, externalID), "X-Api-Key: "+agentKey, "Content-Type: application/json"),
	} {
		r.expect(t, what, 403, "not_permitted")
	}
	if n := len(b.Calls()) - before; n != 0 {
		t.Errorf("%d calls to STS for what no key permits", n)
	}
}
