package stshelper_test

import (
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/stshelper"
)

// TestRegionThatThePinnedSTSDoesNotServe: whoever chose the region is told so, and nobody blames the broker.
func TestRegionThatThePinnedSTSDoesNotServe(t *testing.T) {
	scoped := func(c ststest.Call) ststest.Answer {
		if c.Region == "us-east-1" {
			return ststest.Answer{}
		}
		return ststest.Answer{Status: 403, Code: "SignatureDoesNotMatch", Message: "Credential should be scoped to a valid region. "}
	}
	b := newBed(t, nil)
	b.sts.Answer(scoped)
	b.assume(acmeSecret, acmeRole, "acme:1", `,"region":"eu-west-1"`).expect(t, 400, map[string]string{
		"error": "assume_role_failed", "field": "region", "code": "SignatureDoesNotMatch", "message": "~serves another region than eu-west-1",
	})
	if e := b.lastAudited(); e.Outcome != stshelper.Denied || e.Status != 400 {
		t.Errorf("audited %+v", e)
	}
	b.assume(acmeSecret, acmeRole, "acme:1", `,"region":"us-east-1"`).issued(t)

	own := newBed(t, func(o *stshelper.Options) { o.Region, o.IgnoreRegion = "eu-central-1", true })
	own.sts.Answer(scoped)
	own.assume(acmeSecret, acmeRole, "acme:1", `,"region":"us-east-1"`).expect(t, 502, map[string]string{"error": "assume_role_failed", "field": ""})
}
