package stshelper_test

import (
	"context"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/stshelper"
)

// TestProbe: who may, gets the outcome, for its own roles and External IDs; one at a time.
func TestProbe(t *testing.T) {
	began, goOn := make(chan sts.AssumeRoleInput, 1), make(chan struct{})
	b := newBed(t, func(o *stshelper.Options) {
		o.Keys[0].Probe = true
		o.Probe = func(_ context.Context, from sigv4.Credentials, in sts.AssumeRoleInput) (string, string) {
			if from.AccessKeyID != "AKIDBROKER" {
				t.Errorf("probed with %s", from.AccessKeyID)
			}
			began <- in
			<-goOn
			return "open", "a wrong External ID was accepted"
		}
	})
	ask := func(secret, role, id string) reply {
		return b.do("POST", "/probe-external-id", `{"role_arn":"`+role+`","external_id":"`+id+`","region":"eu-west-1"}`, isJSON, "X-Api-Key: "+secret)
	}
	ask("nobody's-0123456789", acmeRole, "acme:1").expect(t, 401, nil)
	ask(roSecret, acmeRole, "acme:1").expect(t, 403, map[string]string{"error": "not_permitted"})
	ask(acmeSecret, umbRole, "acme:1").expect(t, 403, map[string]string{"field": "role_arn"})
	ask(acmeSecret, acmeRole, "other").expect(t, 403, map[string]string{"field": "external_id"})
	ask(acmeSecret, acmeRole, "").expect(t, 400, map[string]string{"field": "external_id"})

	first := make(chan reply)
	go func() { first <- ask(acmeSecret, acmeRole, "acme:1") }()
	if in := <-began; in.RoleARN != acmeRole || in.ExternalID != "acme:1" || in.Region != "eu-west-1" {
		t.Errorf("probed %+v", in)
	}
	second := ask(acmeSecret, acmeRole, "acme:2")
	second.expect(t, 429, map[string]string{"error": "busy"})
	close(goOn)
	(<-first).expect(t, 200, map[string]string{"outcome": "open", "reason": "a wrong External ID was accepted"})
	if e := b.lastAudited(); e.Outcome != stshelper.Probed || e.Probe != "open" || e.RoleARN != acmeRole {
		t.Errorf("audited %+v", e)
	}
	if len(b.sts.Calls()) != 0 {
		t.Error("the helper itself called STS")
	}
}
