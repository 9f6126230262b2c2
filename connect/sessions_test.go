package connect

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
)

func TestSessionIsWhatItWasCreatedAs(t *testing.T) {
	clock := newClock()
	m := &storetest.Memory{}
	s := openStore(t, m, clock)
	returns, err := ParseReturnList([]string{"https://app.example.com/"})
	if err != nil {
		t.Fatal(err)
	}
	token, created := mustCreate(t, s, NewSession{
		Integration:    "acme-s3",
		EndUser:        EndUser{ID: "u1", Email: "u1@example.com", DisplayName: "Ünal", Tags: map[string]string{"plan": "pro"}},
		Organization:   Organization{ID: "o1", DisplayName: "Org"},
		Prefill:        Prefill{RoleARN: Value{Text: role1}, Region: Value{Text: "eu-west-1", Fixed: true}},
		ReturnURLs:     ReturnURLs{Success: "https://app.example.com/done?x=1", Error: "https://app.example.com/failed"},
		AllowedReturns: returns,
		Tags:           map[string]string{"team": "search"},
	})
	if !IsToken(token) || !strings.HasPrefix(token, "aws_connect_session_") || len(token) != len("aws_connect_session_")+64 {
		t.Errorf("%q is no token", token)
	}
	got, err := openStore(t, m, clock).Session(t.Context(), token)
	if err != nil || !reflect.DeepEqual(got, created) {
		t.Errorf("%+v, %v, want %+v", got, err, created)
	}
	if want := clock.now().Add(30 * time.Minute); !got.Expires.Equal(want) {
		t.Errorf("it expires at %v, want %v", got.Expires, want)
	}
	if got.ID == "" || strings.Contains(token, got.ID) || !uuid.MatchString(got.ConnectionID) || got.Reconnect {
		t.Errorf("%+v", got)
	}
	if u := got.ErrorURL("access denied"); u != "https://app.example.com/failed?error=access+denied" {
		t.Error(u)
	}
	got.Succeeded = "c1"
	if u := got.SuccessURL(); u != "https://app.example.com/done?connection_id=c1&x=1" {
		t.Error(u)
	}
}

func TestUnknownTokens(t *testing.T) {
	s := openStore(t, &storetest.Memory{}, newClock())
	token, _ := mustCreate(t, s, forOrganization("o1"))
	for _, bad := range []string{
		"", "x", strings.ToUpper(token), token[:len(token)-1], token + "0", token + "\n", " " + token,
		strings.TrimPrefix(token, tokenPrefix), tokenPrefix + strings.Repeat("0", 64),
		tokenPrefix + "../../../../" + strings.Repeat("0", 52), newToken(),
	} {
		if _, err := s.Session(t.Context(), bad); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", bad, err)
		}
		if _, err := s.RenewSession(t.Context(), bad); !errors.Is(err, ErrNotFound) {
			t.Errorf("renewing %q: %v", bad, err)
		}
		if err := s.RevokeSession(t.Context(), bad); !errors.Is(err, ErrNotFound) {
			t.Errorf("revoking %q: %v", bad, err)
		}
		_, _, err := s.FinishSession(t.Context(), bad, Verified{})
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("finishing %q: %v", bad, err)
		}
		if bad != "" && err != nil && len(bad) > 20 && strings.Contains(err.Error(), bad) {
			t.Errorf("the error holds the token: %v", err)
		}
	}
}

func TestSessionsExpireAndAreRenewedUpToTheirLimit(t *testing.T) {
	clock := newClock()
	s := openStore(t, &storetest.Memory{}, clock)
	token, session := mustCreate(t, s, forOrganization("o1"))

	clock.pass(30*time.Minute - time.Millisecond)
	if _, err := s.Session(t.Context(), token); err != nil {
		t.Errorf("just before its end: %v", err)
	}
	for clock.now().Before(session.Limit.Add(-30 * time.Minute)) {
		renewed, err := s.RenewSession(t.Context(), token)
		if err != nil || !renewed.Expires.Equal(clock.now().Add(30*time.Minute)) {
			t.Fatalf("renewed to %v, %v", renewed.Expires, err)
		}
		clock.pass(20 * time.Minute)
	}
	renewed, err := s.RenewSession(t.Context(), token)
	if err != nil || !renewed.Expires.Equal(session.Limit) || session.Limit.Sub(session.Created) != 8*time.Hour {
		t.Fatalf("renewed to %v, %v, limit %v", renewed.Expires, err, session.Limit)
	}
	clock.pass(session.Limit.Sub(clock.now()))
	got, err := s.Session(t.Context(), token)
	if !errors.Is(err, ErrExpired) || got.Integration != "acme-s3" {
		t.Errorf("at its limit: %v, %v", got, err)
	}
	if _, err := s.RenewSession(t.Context(), token); !errors.Is(err, ErrExpired) {
		t.Errorf("renewing at its limit: %v", err)
	}
	if _, err := s.RememberTyped(t.Context(), token, Typed{}); !errors.Is(err, ErrExpired) {
		t.Errorf("typing at its limit: %v", err)
	}
	_, _, err = s.FinishSession(t.Context(), token, verified(mustExternalID(t, s, session), role1))
	if !errors.Is(err, ErrExpired) {
		t.Errorf("finishing at its limit: %v", err)
	}
	if err := s.RevokeSession(t.Context(), token); err != nil {
		t.Errorf("revoking at its limit: %v", err)
	}
}

func TestRenewalsThatGainLittleAreNotWritten(t *testing.T) {
	clock := newClock()
	m := &storetest.Memory{}
	s := openStore(t, m, clock)
	token, session := mustCreate(t, s, forOrganization("o1"))
	clock.pass(time.Minute)
	before := m.Values()
	renewed, err := s.RenewSession(t.Context(), token)
	if err != nil || !renewed.Expires.Equal(session.Expires) || !reflect.DeepEqual(m.Values(), before) {
		t.Errorf("%v, %v", renewed.Expires, err)
	}
}

func TestRevokedSessionsAreOver(t *testing.T) {
	s := openStore(t, &storetest.Memory{}, newClock())
	token, session := mustCreate(t, s, forOrganization("o1"))
	for range 2 {
		if err := s.RevokeSession(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Session(t.Context(), token)
	if !errors.Is(err, ErrRevoked) || got.ConnectionID != session.ConnectionID {
		t.Errorf("%+v, %v", got, err)
	}
	_, _, err = s.FinishSession(t.Context(), token, verified(mustExternalID(t, s, session), role1))
	if !errors.Is(err, ErrRevoked) {
		t.Errorf("finishing: %v", err)
	}
	if _, err := s.RenewSession(t.Context(), token); !errors.Is(err, ErrRevoked) {
		t.Errorf("renewing: %v", err)
	}
}

func TestTypedValuesSurvive(t *testing.T) {
	m := &storetest.Memory{}
	clock := newClock()
	s := openStore(t, m, clock)
	token, _ := mustCreate(t, s, forOrganization("o1"))
	typed := Typed{RoleARN: "arn:aws:iam::<script>", Region: "eu-wset-1"}
	if _, err := s.RememberTyped(t.Context(), token, typed); err != nil {
		t.Fatal(err)
	}
	got, err := openStore(t, m, clock).Session(t.Context(), token)
	if err != nil || got.Typed != typed {
		t.Errorf("%+v, %v", got.Typed, err)
	}
	for _, bad := range []Typed{{RoleARN: strings.Repeat("a", 2049)}, {Region: strings.Repeat("a", 65)}, {RoleARN: "\xff"}, {Region: "a\x00"}} {
		if _, err := s.RememberTyped(t.Context(), token, bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%d bytes: %v", len(bad.RoleARN), err)
		}
	}
}

func TestCreateSessionRefuses(t *testing.T) {
	m := &storetest.Memory{}
	s := openStore(t, m, newClock())
	many := make(map[string]string)
	for _, r := range "abcdefghijk" {
		many[string(r)] = "x"
	}
	for name, change := range map[string]func(*NewSession){
		"no integration":               func(n *NewSession) { n.Integration = "" },
		"an integration that climbs":   func(n *NewSession) { n.Integration = "../x" },
		"an email without an ID":       func(n *NewSession) { n.EndUser = EndUser{Email: "a@example.com"} },
		"a long ID":                    func(n *NewSession) { n.EndUser.ID = strings.Repeat("a", 256) },
		"an ID with a line feed":       func(n *NewSession) { n.Organization.ID = "a\nb" },
		"a name without an ID":         func(n *NewSession) { n.Organization = Organization{DisplayName: "x"} },
		"a wrong External ID":          func(n *NewSession) { n.Prefill.ExternalID.Text = "a b" },
		"an empty fixed role":          func(n *NewSession) { n.Prefill.RoleARN.Fixed = true },
		"a role that is a user":        func(n *NewSession) { n.Prefill.RoleARN.Text = "arn:aws:iam::111111111111:user/x" },
		"a region that is a host":      func(n *NewSession) { n.Prefill.Region.Text = "us-east-1/@evil" },
		"a return URL not on the list": func(n *NewSession) { n.ReturnURLs.Success = "https://evil.example/" },
		"an upper case tag":            func(n *NewSession) { n.Tags = map[string]string{"Team": "x"} },
		"an empty tag":                 func(n *NewSession) { n.EndUser = EndUser{ID: "u", Tags: map[string]string{"team": ""}} },
		"too many tags":                func(n *NewSession) { n.Tags = many },
	} {
		t.Run(name, func(t *testing.T) {
			n := forOrganization("o1")
			change(&n)
			if _, _, err := s.CreateSession(t.Context(), n); !errors.Is(err, ErrInvalid) {
				t.Errorf("%v, want ErrInvalid", err)
			}
		})
	}
	if len(m.Values()) != 0 {
		t.Error("a session that was refused is stored")
	}
}

func TestSweepRemovesWhatExpired(t *testing.T) {
	clock := newClock()
	m := &storetest.Memory{}
	s := openStore(t, m, clock)
	var old []string
	for range 5 {
		token, _ := mustCreate(t, s, NewSession{Integration: "acme-s3"}) // With an External ID of its own.
		old = append(old, token)
	}
	connected := mustConnect(t, s, NewSession{Integration: "acme-s3"}, role1)
	oldOrg, _ := mustCreate(t, s, forOrganization("o1"))
	clock.pass(time.Hour)
	fresh, freshSession := mustCreate(t, s, NewSession{Integration: "acme-s3"})
	freshID := mustExternalID(t, s, freshSession)
	clock.pass(31 * time.Minute)

	removed := 0
	for range 4 { // Two at a time: nine sessions need not be looked at in one call.
		n, err := s.Sweep(t.Context(), 2)
		if err != nil || n > 2 {
			t.Fatalf("%d, %v", n, err)
		}
		removed += n
	}
	if removed != 7 {
		t.Errorf("%d sessions were removed, want 7", removed)
	}
	for _, token := range append(old, oldOrg) {
		if _, err := s.Session(t.Context(), token); !errors.Is(err, ErrNotFound) {
			t.Errorf("an old session: %v", err)
		}
	}
	if _, err := s.Session(t.Context(), fresh); !errors.Is(err, ErrExpired) || mustExternalID(t, s, freshSession) != freshID {
		t.Errorf("a session that expired a moment ago: %v", err)
	}
	// What must remain: the index key, the session, two customers, and the External IDs of the fresh
	// session, of the organization and of the connection, the connection, and the log of changes in its list.
	if n := len(m.Values()); n != 10 {
		t.Errorf("%d records remain, want 10", n)
	}
	if account, err := s.BoundAccount(t.Context(), connected.ExternalID); err != nil || account != "111111111111" {
		t.Errorf("the External ID of a connection is bound to %q, %v", account, err)
	}
	n := forOrganization("another")
	n.Prefill.ExternalID.Text = connected.ExternalID
	if _, _, err := s.CreateSession(t.Context(), n); !errors.Is(err, ErrConflict) {
		t.Errorf("taking a connection's External ID: %v", err)
	}
}
