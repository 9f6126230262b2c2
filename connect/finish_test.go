package connect

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

func TestSessionsSucceedOnce(t *testing.T) {
	clock := newClock()
	s := openStore(t, &storetest.Memory{}, clock)
	n := NewSession{
		Integration: "acme-s3", Organization: Organization{ID: "o1", DisplayName: "Org"}, EndUser: EndUser{ID: "u1"},
		Tags: map[string]string{"team": "search"},
	}
	token, session := mustCreate(t, s, n)
	v := verified(mustExternalID(t, s, session), role1)
	c, created, err := s.FinishSession(t.Context(), token, v)
	if err != nil || !created {
		t.Fatal(err)
	}
	want := Connection{
		ID: session.ConnectionID, Integration: "acme-s3", RoleARN: role1, ExternalID: v.ExternalID, Account: "111111111111", Region: "eu-west-1",
		EndUser: n.EndUser, Organization: n.Organization, Tags: n.Tags, Created: clock.now(), Updated: clock.now(), Verified: clock.now(), Probe: sts.Proven,
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v, want %+v", c, want)
	}
	if got, err := s.Connection(t.Context(), c.ID); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}

	if _, _, err := s.FinishSession(t.Context(), token, v); !errors.Is(err, ErrUsed) {
		t.Errorf("again: %v", err)
	}
	if _, err := s.RenewSession(t.Context(), token); !errors.Is(err, ErrUsed) {
		t.Errorf("renewing: %v", err)
	}
	got, err := s.Session(t.Context(), token)
	if err != nil || got.Succeeded != c.ID {
		t.Errorf("the page of success: %+v, %v", got, err)
	}
	clock.pass(30 * time.Minute)
	if _, err := s.Session(t.Context(), token); !errors.Is(err, ErrExpired) {
		t.Errorf("the page of success, later: %v", err)
	}
}

func TestFinishSessionRefusesWhatItIsNotFor(t *testing.T) {
	s := openStore(t, &storetest.Memory{}, newClock())
	other := mustConnect(t, s, forOrganization("o2"), role2)
	for name, tt := range map[string]struct {
		prefill Prefill
		change  func(*Verified)
	}{
		"another customer's External ID": {change: func(v *Verified) { v.ExternalID = other.ExternalID }},
		"no External ID":                 {change: func(v *Verified) { v.ExternalID = "" }},
		"no role":                        {change: func(v *Verified) { v.RoleARN = "" }},
		"a user":                         {change: func(v *Verified) { v.RoleARN = "arn:aws:iam::111111111111:user/x" }},
		"another account":                {change: func(v *Verified) { v.Account = "222222222222" }},
		"no region":                      {change: func(v *Verified) { v.Region = "" }},
		"a region that is a host":        {change: func(v *Verified) { v.Region = "169.254.169.254#" }},
		"another partition's region":     {change: func(v *Verified) { v.Region = "cn-north-1" }},
		"another role than is fixed":     {prefill: Prefill{RoleARN: Value{Text: role1 + "2", Fixed: true}}},
		"another region than is fixed":   {prefill: Prefill{Region: Value{Text: "us-east-1", Fixed: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			n := forOrganization("o1")
			n.Prefill = tt.prefill
			token, session := mustCreate(t, s, n)
			v := verified(mustExternalID(t, s, session), role1)
			if tt.change != nil {
				tt.change(&v)
			}
			if _, _, err := s.FinishSession(t.Context(), token, v); !errors.Is(err, ErrInvalid) {
				t.Errorf("%v, want ErrInvalid", err)
			}
			if _, err := s.Connection(t.Context(), session.ConnectionID); !errors.Is(err, ErrNotFound) {
				t.Errorf("the connection: %v", err)
			}
		})
	}
	n := forOrganization("o1")
	n.Prefill = Prefill{RoleARN: Value{Text: role1 + "2"}, Region: Value{Text: "us-east-1"}}
	mustConnect(t, s, n, role1) // Suggestions may be ignored.
}

func TestReconnect(t *testing.T) {
	clock := newClock()
	s := openStore(t, &storetest.Memory{}, clock)
	old := mustConnect(t, s, forOrganization("o1"), role1)
	_, err := s.UpdateConnection(t.Context(), old.ID, func(c *Connection) error {
		c.Metadata = map[string]json.RawMessage{"folder": json.RawMessage(`"a"`)}
		c.Tags = map[string]string{"team": "search"}
		c.LastError = &Failure{Code: "access_denied", Text: "…", At: clock.now()}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	clock.pass(time.Hour)

	for name, tt := range map[string]struct {
		id   string
		n    NewSession
		want error
	}{
		"another integration's":  {old.ID, NewSession{Integration: "acme-sqs"}, ErrNotFound},
		"one that is not":        {newUUID(), NewSession{Integration: "acme-s3"}, ErrNotFound},
		"a path":                 {"../" + old.ID, NewSession{Integration: "acme-s3"}, ErrNotFound},
		"another organization's": {old.ID, forOrganization("o2"), ErrInvalid},
		"an end user's":          {old.ID, NewSession{Integration: "acme-s3", EndUser: EndUser{ID: "u9"}}, ErrInvalid},
		"another External ID":    {old.ID, NewSession{Integration: "acme-s3", Prefill: Prefill{ExternalID: Value{Text: "mine"}}}, ErrConflict},
	} {
		if _, _, err := s.CreateReconnectSession(t.Context(), tt.id, tt.n); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}

	token, session, err := s.CreateReconnectSession(t.Context(), old.ID, NewSession{Integration: "acme-s3"})
	if err != nil {
		t.Fatal(err)
	}
	want := Prefill{ExternalID: Value{old.ExternalID, true}, RoleARN: Value{role1, false}, Region: Value{"eu-west-1", true}}
	if !session.Reconnect || session.ConnectionID != old.ID || session.Organization.ID != "o1" || session.Prefill != want {
		t.Errorf("%+v", session)
	}
	if id := mustExternalID(t, s, session); id != old.ExternalID {
		t.Errorf("External ID %s, want %s", id, old.ExternalID)
	}
	elsewhere := verified(old.ExternalID, role1)
	elsewhere.Region = "us-east-1"
	if _, _, err := s.FinishSession(t.Context(), token, elsewhere); !errors.Is(err, ErrInvalid) {
		t.Errorf("another region: %v", err)
	}
	if _, _, err := s.FinishSession(t.Context(), token, verified(old.ExternalID, role2)); !errors.Is(err, ErrWrongAccount) {
		t.Errorf("another account: %v", err)
	}
	c, created, err := s.FinishSession(t.Context(), token, verified(old.ExternalID, role1+"New"))
	if err != nil || created || c.ID != old.ID || c.RoleARN != role1+"New" || !c.Created.Equal(old.Created) || !c.Verified.Equal(clock.now()) {
		t.Errorf("%+v, %v", c, err)
	}
	if string(c.Metadata["folder"]) != `"a"` || c.Tags["team"] != "search" || c.LastError != nil {
		t.Errorf("what is kept and what is not: %+v", c)
	}

	token, session, err = s.CreateReconnectSession(t.Context(), old.ID, NewSession{Integration: "acme-s3"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteConnection(t.Context(), old.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ExternalIDFor(t.Context(), session); !errors.Is(err, ErrNotFound) {
		t.Errorf("the External ID of a deleted connection: %v", err)
	}
	if _, _, err := s.FinishSession(t.Context(), token, verified(old.ExternalID, role1)); !errors.Is(err, ErrNotFound) {
		t.Errorf("renewing a deleted connection: %v", err)
	}
}
