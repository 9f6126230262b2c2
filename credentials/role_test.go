package credentials

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

// TestEveryFieldOfARoleIsInItsKey changes every field, and moves what is in one list to the next.
func TestEveryFieldOfARoleIsInItsKey(t *testing.T) {
	input := func(change func(*sts.AssumeRoleInput)) sts.AssumeRoleInput {
		in := sts.AssumeRoleInput{RoleARN: "arn:aws:iam::123456789012:role/R", SessionName: "session", Duration: time.Hour}
		change(&in)
		return in
	}
	changes := map[string]func(*sts.AssumeRoleInput){
		"nothing":           func(*sts.AssumeRoleInput) {},
		"RoleARN":           func(in *sts.AssumeRoleInput) { in.RoleARN += "2" },
		"ExternalID":        func(in *sts.AssumeRoleInput) { in.ExternalID = "aa" },
		"SessionName":       func(in *sts.AssumeRoleInput) { in.SessionName = "aa" },
		"Duration":          func(in *sts.AssumeRoleInput) { in.Duration = 2 * time.Hour },
		"Policy":            func(in *sts.AssumeRoleInput) { in.Policy = "aa" },
		"PolicyARNs":        func(in *sts.AssumeRoleInput) { in.PolicyARNs = []string{"aa"} },
		"Tags":              func(in *sts.AssumeRoleInput) { in.Tags = []sts.Tag{{Key: "aa"}} },
		"TransitiveTagKeys": func(in *sts.AssumeRoleInput) { in.TransitiveTagKeys = []string{"aa"} },
		"SourceIdentity":    func(in *sts.AssumeRoleInput) { in.SourceIdentity = "aa" },
		"MFA":               func(in *sts.AssumeRoleInput) { in.MFA = &sts.MFA{Serial: "aa"} },
		"Region":            func(in *sts.AssumeRoleInput) { in.Region = "aa" },
		"Endpoint":          func(in *sts.AssumeRoleInput) { in.Endpoint = "aa" },
		"FIPS":              func(in *sts.AssumeRoleInput) { in.FIPS = true },

		"another policy":         func(in *sts.AssumeRoleInput) { in.Policy = "ab" },
		"two policies":           func(in *sts.AssumeRoleInput) { in.PolicyARNs = []string{"aa", "aa"} },
		"a longer ARN":           func(in *sts.AssumeRoleInput) { in.PolicyARNs = []string{"aaaa"} },
		"a value":                func(in *sts.AssumeRoleInput) { in.Tags = []sts.Tag{{Value: "aa"}} },
		"a policy's ARN and tag": func(in *sts.AssumeRoleInput) { in.PolicyARNs, in.Tags = []string{"aa"}, []sts.Tag{{Key: "aa"}} },
		"two transitive":         func(in *sts.AssumeRoleInput) { in.TransitiveTagKeys = []string{"aa", "aa"} },
		"two tags":               func(in *sts.AssumeRoleInput) { in.Tags = []sts.Tag{{Key: "aa"}, {Key: "aa"}} },
		"an empty device":        func(in *sts.AssumeRoleInput) { in.MFA = &sts.MFA{} },
		"another code":           func(in *sts.AssumeRoleInput) { in.MFA = &sts.MFA{Key: "aa"} },
	}
	seen := map[string]string{}
	broker := &Identity{Key: "broker"}
	for name, change := range changes {
		id := NewRole(nil, broker, "broker", input(change))
		if other, ok := seen[id.Key]; ok {
			t.Errorf("%s and %s have one key", name, other)
		}
		seen[id.Key] = name
		if again := NewRole(nil, broker, "other name", input(change)); again.Key != id.Key {
			t.Errorf("%s has another key the second time", name)
		}
	}
	if id := NewRole(nil, &Identity{Key: "other"}, "broker", input(changes["nothing"])); seen[id.Key] != "" {
		t.Error("the broker is not in the key")
	}
	// A field that is added to the input has to be added here, and to the key.
	for f := range reflect.TypeFor[sts.AssumeRoleInput]().Fields() {
		if changes[f.Name] == nil {
			t.Errorf("is %s in the key?", f.Name)
		}
	}
}

func TestFailedRoleKnowsItsBroker(t *testing.T) {
	server := stsDenying(t)
	broker := &Identity{Key: "broker", RoleARN: "arn:aws:iam::111122223333:role/Hub"}
	id := NewRole(sts.NewClient(sts.Config{}), broker, "hub", sts.AssumeRoleInput{
		RoleARN: "arn:aws:iam::123456789012:role/R", SessionName: "session", Duration: time.Hour, Endpoint: server,
	})
	_, err := id.Fetch(context.Background(), aCredential())
	e, ok := errors.AsType[*sts.Error](err)
	if !ok || e.Known.BrokerARN != broker.RoleARN || e.Known.RoleARN != id.RoleARN || !e.Known.Temporary {
		t.Errorf("got %v, which knows %+v", err, e)
	}
}

// stsDenying returns the URL of an STS that denies everything.
func stsDenying(t *testing.T) string {
	t.Helper()
	key := aCredential().Value
	server := ststest.New(t, ststest.Key{ID: key.AccessKeyID, Secret: key.SecretAccessKey, Token: key.SessionToken})
	server.Answer(func(ststest.Call) ststest.Answer {
		return ststest.Answer{Status: 403, Code: "AccessDenied", Message: "no"}
	})
	return server.URL
}

func aCredential() *Credentials {
	return New(sigv4.Credentials{AccessKeyID: "ASIAHUB", SecretAccessKey: "secret", SessionToken: "token"}, time.Time{}, time.Now())
}
