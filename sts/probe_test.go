package sts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

// Messages as AWS words them.
const (
	notAuthorized = "User: arn:aws:sts::111122223333:assumed-role/Broker/caddy is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/Customer"
	rightID       = "customer-4711"
)

func denies(message string) ststest.Answer {
	return ststest.Answer{Status: http.StatusForbidden, Code: "AccessDenied", Message: message}
}

var (
	grants    = ststest.Answer{}
	byTrust   = denies(notAuthorized)
	throttles = ststest.Answer{Status: http.StatusBadRequest, Code: "Throttling", Message: "Rate exceeded"}
)

func TestProbe(t *testing.T) {
	for name, tc := range map[string]struct {
		// right, wrong, none and again are the answers to the calls of the probe, in this order.
		right, wrong, none, again ststest.Answer
		want                      Outcome
		reason                    string
		steps                     string
	}{
		"the trust policy asks for it": {
			right: grants, wrong: byTrust, none: byTrust, again: grants,
			want: Proven, reason: "only the right External ID was accepted", steps: "right granted, wrong denied, none denied, right again granted",
		},
		"a trust policy that says why": {
			right: grants, wrong: denies(notAuthorized + " because no role trust policy allows the sts:AssumeRole action"),
			none: denies(notAuthorized + " with an explicit deny in the role trust policy"), again: grants,
			want: Proven, steps: "right granted, wrong denied, none denied, right again granted",
		},
		"a resource-based policy says no": {
			right: grants, wrong: denies(notAuthorized + " because no resource-based policy allows the sts:AssumeRole action"), none: byTrust, again: grants,
			want: Proven, steps: "right granted, wrong denied, none denied, right again granted",
		},
		"any ID is accepted":    {right: grants, wrong: grants, want: Open, reason: "assumed with a wrong External ID", steps: "right granted, wrong granted"},
		"no ID is accepted":     {right: grants, wrong: byTrust, none: grants, want: Open, reason: "assumed without an External ID", steps: "right granted, wrong denied, none granted"},
		"open although unclear": {right: grants, wrong: throttles, none: grants, want: Open, reason: "assumed without an External ID", steps: "right granted, wrong unclear, none granted"},
		"the right one is denied": {
			right: byTrust, want: Unproven, reason: "can't be assumed with the right External ID: AssumeRole: AccessDenied", steps: "right denied",
		},
		"throttled at first":      {right: throttles, want: Unproven, reason: "Rate exceeded", steps: "right unclear"},
		"throttled in the middle": {right: grants, wrong: throttles, none: byTrust, want: Unproven, reason: "with a wrong External ID, something else", steps: "right granted, wrong unclear, none denied"},
		"throttled later":         {right: grants, wrong: byTrust, none: throttles, want: Unproven, reason: "without an External ID, something else", steps: "right granted, wrong denied, none unclear"},
		"throttled at last":       {right: grants, wrong: byTrust, none: byTrust, again: throttles, want: Unproven, reason: "was changed meanwhile", steps: "right granted, wrong denied, none denied, right again unclear"},
		"the role was deleted":    {right: grants, wrong: byTrust, none: byTrust, again: byTrust, want: Unproven, reason: "was changed meanwhile", steps: "right granted, wrong denied, none denied, right again denied"},
		"a service control policy": {
			right: grants, wrong: denies(notAuthorized + " with an explicit deny in a service control policy"), none: byTrust,
			want: Unproven, reason: "service control policy", steps: "right granted, wrong unclear, none denied",
		},
		"a resource control policy": {
			right: grants, wrong: byTrust, none: denies(notAuthorized + " with an explicit deny in a resource control policy: arn:aws:organizations::1:policy/o-1/resource_control_policy/p-1"),
			want: Unproven, reason: "without an External ID, something else", steps: "right granted, wrong denied, none unclear",
		},
		"the broker's own policy": {
			// It may be this that compares the External ID, and the role may trust any.
			right: grants, wrong: denies(notAuthorized + " because no identity-based policy allows the sts:AssumeRole action"), none: byTrust,
			want: Unproven, reason: "identity-based policy", steps: "right granted, wrong unclear, none denied",
		},
		"a permissions boundary": {
			right: grants, wrong: denies(notAuthorized + " because no permissions boundary allows the sts:AssumeRole action"), none: byTrust,
			want: Unproven, steps: "right granted, wrong unclear, none denied",
		},
		"an explicit deny of somewhere": {
			right: grants, wrong: denies(notAuthorized + " with an explicit deny"), none: byTrust, want: Unproven, steps: "right granted, wrong unclear, none denied",
		},
		"another action": {
			right: grants, wrong: denies(strings.Replace(notAuthorized, "sts:AssumeRole", "sts:TagSession", 1)), none: byTrust,
			want: Unproven, steps: "right granted, wrong unclear, none denied",
		},
		"not in AWS's words": {right: grants, wrong: denies("Access Denied."), none: denies("Access Denied."), want: Unproven, steps: "right granted, wrong unclear, none unclear"},
		"another status":     {right: grants, wrong: ststest.Answer{Status: 400, Code: "AccessDenied", Message: notAuthorized}, none: byTrust, want: Unproven, steps: "right granted, wrong unclear, none denied"},
		"another code":       {right: grants, wrong: ststest.Answer{Status: 403, Code: "Forbidden", Message: notAuthorized}, none: byTrust, want: Unproven, steps: "right granted, wrong unclear, none denied"},
		"a proxy's page":     {right: grants, wrong: ststest.Answer{Status: 403, Body: "<html>AccessDenied " + notAuthorized + "</html>"}, none: byTrust, want: Unproven, steps: "right granted, wrong unclear, none denied"},
		"expired meanwhile":  {right: grants, wrong: ststest.Answer{Status: 403, Code: "ExpiredToken", Message: "expired"}, none: ststest.Answer{Status: 403, Code: "ExpiredToken", Message: "expired"}, want: Unproven, steps: "right granted, wrong unclear, none unclear"},
	} {
		t.Run(name, func(t *testing.T) {
			server := ststest.New(t, brokerKey)
			seen := map[string]bool{}
			server.Answer(func(c ststest.Call) ststest.Answer {
				id := c.Form.Get("ExternalId")
				_, sent := c.Form["ExternalId"]
				switch {
				case id == rightID && !seen["wrong"]:
					return tc.right
				case id == rightID:
					return tc.again
				case sent:
					seen["wrong"] = true
					return tc.wrong
				}
				return tc.none
			})
			cleanEnvironment(t, server.URL)
			in := input("Customer")
			in.ExternalID, in.Region, in.PolicyARNs = rightID, "eu-west-1", []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}
			got := Probe(context.Background(), NewClient(Config{}).Assumer(broker, in), rightID)

			if got.Outcome != tc.want || !strings.Contains(got.Reason, tc.reason) {
				t.Errorf("got %s (%s), want %s (%s)", got.Outcome, got.Reason, tc.want, tc.reason)
			}
			var steps []string
			for _, s := range got.Steps {
				steps = append(steps, s.Sent+" "+s.Answer)
			}
			if s := strings.Join(steps, ", "); s != tc.steps {
				t.Errorf("got %s, want %s", s, tc.steps)
			}
			if text := fmt.Sprintf("%+v", got); strings.Contains(text, rightID) || strings.Contains(text, brokerKey.Secret) {
				t.Errorf("a secret in %s", text)
			}
			for _, c := range server.Calls() {
				if c.Form.Get("RoleSessionName") != "external-id-check" || c.Form.Get("DurationSeconds") != "900" || c.Region != "eu-west-1" ||
					c.Key.ID != brokerKey.ID || c.Form.Get("PolicyArns.member.1.arn") != in.PolicyARNs[0] {
					t.Errorf("called %v in %s by %s", c.Form, c.Region, c.Key.ID)
				}
			}
		})
	}
}

func TestEachProbeSendsAnotherWrongID(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		id := wrongExternalID()
		if seen[id] || CheckExternalID(id) != nil {
			t.Fatalf("%q is used twice, or can't be sent", id)
		}
		seen[id] = true
	}
}

func TestProbeWithoutAnExternalID(t *testing.T) {
	for _, id := range []string{"", "x", "a b"} {
		got := Probe(context.Background(), func(context.Context, string) error { t.Error("called"); return nil }, id)
		if got.Outcome != Unproven || len(got.Steps) > 0 {
			t.Errorf("%q: got %+v", id, got)
		}
	}
}

// TestRefusalsOfOthersProveNothing: what an STS helper says of a wrong External ID is its own rule.
func TestRefusalsOfOthersProveNothing(t *testing.T) {
	for name, refusal := range map[string]error{
		"words of AWS":     errors.New("AssumeRole: AccessDenied: " + notAuthorized),
		"an error made up": &Error{Operation: "AssumeRole", Code: "AccessDenied", Message: notAuthorized, Status: 403, RequestID: "r"},
		"another call": func() error {
			e := &Error{Operation: "AssumeRoleWithWebIdentity", Code: "AccessDenied", Message: notAuthorized, Status: 403, RequestID: "r"}
			e.answered = true
			return e
		}(),
	} {
		got := Probe(context.Background(), func(_ context.Context, id string) error {
			if id == rightID {
				return nil
			}
			return refusal
		}, rightID)
		if got.Outcome != Unproven {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestProbeGivesUpWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	server := ststest.New(t, brokerKey)
	server.Answer(func(c ststest.Call) ststest.Answer {
		if c.Form.Get("ExternalId") != rightID {
			cancel()
			return byTrust
		}
		return grants
	})
	cleanEnvironment(t, server.URL)
	in := input("Customer")
	if got := Probe(ctx, NewClient(Config{}).Assumer(broker, in), rightID); got.Outcome != Unproven {
		t.Errorf("got %+v", got)
	}
}

func FuzzDenial(f *testing.F) {
	f.Add(notAuthorized)
	f.Add(notAuthorized + " because no identity-based policy allows the sts:AssumeRole action")
	f.Fuzz(func(t *testing.T, message string) {
		e := &Error{Operation: "AssumeRole", Code: "AccessDenied", Status: 403, Message: message, answered: true}
		d, ok := e.denial()
		if ok && d.byTrust() && (!strings.Contains(message, "not authorized to perform: sts:AssumeRole") || strings.Contains(message, "service control polic") && d.policy == "") {
			t.Errorf("%q was taken for a refusal of the trust policy's: %+v", message, d)
		}
	})
}
