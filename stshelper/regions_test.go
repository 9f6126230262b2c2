package stshelper_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

// TestLongRegionIsRefused: what is longer than a label of a host name is no region, and is kept nowhere.
func TestLongRegionIsRefused(t *testing.T) {
	b := newBed(t, nil)
	for _, n := range []int{64, 60_000} {
		region := "us-" + strings.Repeat("a", n-5) + "-1"
		r := b.assume(acmeSecret, acmeRole, "acme:1", `,"region":"`+region+`"`)
		r.expect(t, 400, map[string]string{"field": "region", "message": "~not the name of an AWS region"})
		if e := b.lastAudited(); len(r.text) > 500 || len(fmt.Sprintf("%+v", e)) > 1000 {
			t.Errorf("%d bytes are answered, and %d audited", len(r.text), len(fmt.Sprintf("%+v", e)))
		}
	}
	b.assume(acmeSecret, acmeRole, "acme:1", `,"region":"us-`+strings.Repeat("a", 58)+`-1"`).issued(t)
	if n := len(b.sts.Calls()); n != 1 {
		t.Errorf("STS was called %d times", n)
	}
}

// TestRegionsWithoutSTSDontCount: a key that asks for regions that don't exist can still ask for one that does.
func TestRegionsWithoutSTSDontCount(t *testing.T) {
	b := newBed(t, nil)
	b.sts.Answer(func(c ststest.Call) ststest.Answer {
		if strings.HasPrefix(c.Region, "us-x-") {
			return ststest.Answer{Status: 404, Body: "<html>not here</html>"}
		}
		return ststest.Answer{}
	})
	for i := range 70 {
		b.assume(acmeSecret, acmeRole, "acme:1", fmt.Sprintf(`,"region":"us-x-%d"`, i)).expect(t, 502, nil)
	}
	b.assume(acmeSecret, acmeRole, "acme:1", `,"region":"eu-west-1"`).issued(t)
}
