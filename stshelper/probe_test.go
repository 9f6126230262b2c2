package stshelper_test

import (
	"sync/atomic"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/stshelper"
)

// TestProbe: who may, finds out whether a role asks for its External ID, for its own roles and External IDs.
func TestProbe(t *testing.T) {
	b := newBed(t, func(o *stshelper.Options) { o.Keys[0].Probe = true })
	ask := func(secret, role, id string) reply {
		return b.do("POST", "/probe-external-id", `{"role_arn":"`+role+`","external_id":"`+id+`","region":"eu-west-1"}`, isJSON, "X-Api-Key: "+secret)
	}
	ask("nobody's-0123456789", acmeRole, "acme:1").expect(t, 401, nil)
	ask(roSecret, acmeRole, "acme:1").expect(t, 403, map[string]string{"error": "not_permitted"})
	ask(acmeSecret, umbRole, "acme:1").expect(t, 403, map[string]string{"field": "role_arn"})
	ask(acmeSecret, acmeRole, "other").expect(t, 403, map[string]string{"field": "external_id"})
	ask(acmeSecret, acmeRole, "").expect(t, 400, map[string]string{"field": "external_id"})
	if n := len(b.sts.Calls()); n != 0 {
		t.Errorf("STS was called %d times", n)
	}

	denied := ststest.Answer{Status: 403, Code: "AccessDenied", Message: "User: arn:aws:iam::111111111111:user/b is not authorized to perform: sts:AssumeRole on resource: " + acmeRole}
	for want, answer := range map[string]func(string) ststest.Answer{
		"open": func(string) ststest.Answer { return ststest.Answer{} },
		"proven": func(id string) ststest.Answer {
			if id != "acme:1" {
				return denied
			}
			return ststest.Answer{}
		},
		"unproven": func(string) ststest.Answer { return ststest.Answer{Status: 400, Code: "Throttling", Message: "slow"} },
	} {
		b.sts.Answer(func(c ststest.Call) ststest.Answer { return answer(c.Form.Get("ExternalId")) })
		before := len(b.sts.Calls())
		r := ask(acmeSecret, acmeRole, "acme:1")
		r.expect(t, 200, map[string]string{"outcome": want})
		if steps, _ := r.json["steps"].([]any); len(steps) == 0 || r.json["reason"] == "" {
			t.Errorf("got %s", r.text)
		}
		if e := b.lastAudited(); e.Outcome != stshelper.Probed || e.Probe != want || e.RoleARN != acmeRole || e.Message == "" {
			t.Errorf("audited %+v", e)
		}
		for _, call := range b.sts.Calls()[before:] {
			if call.Form.Get("RoleSessionName") != sts.ProbeSessionName || call.Region != "eu-west-1" {
				t.Errorf("STS was called with %v in %s", call.Form, call.Region)
			}
		}
	}
}

// TestOneProbeAtATime: a key can't have many going.
func TestOneProbeAtATime(t *testing.T) {
	b := newBed(t, func(o *stshelper.Options) { o.Keys[0].Probe = true })
	began, goOn := make(chan bool, 8), make(chan bool)
	var first atomic.Bool
	b.sts.Answer(func(ststest.Call) ststest.Answer {
		if first.CompareAndSwap(false, true) {
			began <- true
			<-goOn
		}
		return ststest.Answer{}
	})
	ask := func() reply {
		return b.do("POST", "/probe-external-id", `{"role_arn":"`+acmeRole+`","external_id":"acme:1"}`, isJSON, "X-Api-Key: "+acmeSecret)
	}
	answer := make(chan reply)
	go func() { answer <- ask() }()
	<-began
	busy := ask()
	busy.expect(t, 429, map[string]string{"error": "busy"})
	if busy.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	close(goOn)
	(<-answer).expect(t, 200, map[string]string{"outcome": "open"})
}
