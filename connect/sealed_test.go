package connect

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
)

func TestNothingIsStoredInClear(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, &certmagic.FileStorage{Path: dir}, newClock())
	n := NewSession{
		Integration:  "acme-s3",
		EndUser:      EndUser{ID: "user-4711", Email: "someone@example.com", DisplayName: "Some One"},
		Organization: Organization{ID: "organization-4711"},
		Prefill:      Prefill{ExternalID: Value{Text: "acme:external:4711"}},
		Tags:         map[string]string{"team": "search-team"},
	}
	token, session := mustCreate(t, s, n)
	if _, err := s.RememberTyped(t.Context(), token, Typed{RoleARN: role2}); err != nil {
		t.Fatal(err)
	}
	c, _, err := s.FinishSession(t.Context(), token, verified("acme:external:4711", role1))
	if err != nil {
		t.Fatal(err)
	}
	other := mustExternalID(t, s, func() Session { _, s := mustCreate(t, s, forOrganization("o2")); return s }())

	words := []string{
		token, strings.TrimPrefix(token, tokenPrefix), role1, role2, "arn:aws", "111111111111", "Customer", "acme", "external:4711", other,
		"eu-west-1", "user-4711", "someone", "Some One", "organization-4711", "search-team", "role_arn",
	}
	files := 0
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(p)
		for _, w := range words {
			if strings.Contains(strings.TrimPrefix(p, dir), w) || strings.Contains(string(content), w) {
				t.Errorf("%s holds %q in clear", p, w)
			}
		}
		return err
	})
	if err != nil || files < 8 {
		t.Errorf("%d files, %v", files, err)
	}
	if session.ConnectionID != c.ID {
		t.Errorf("%s and %s", session.ConnectionID, c.ID)
	}
}

// TestRecordsThatAreSwappedAreFoundOut: whoever can write to the storage can't give one customer's
// connection to another.
func TestRecordsThatAreSwappedAreFoundOut(t *testing.T) {
	m := &storetest.Memory{}
	s := openStore(t, m, newClock())
	a, b := mustConnect(t, s, forOrganization("o1"), role1), mustConnect(t, s, forOrganization("o2"), role2)
	token, session := mustCreate(t, s, forOrganization("o1"))

	values := m.Values()
	for k := range values {
		for other := range values {
			if strings.Split(k, "/")[2] == strings.Split(other, "/")[2] && k < other {
				m.Set(k, values[other])
				m.Set(other, values[k])
				break
			}
		}
	}
	for _, c := range []Connection{a, b} {
		if got, err := s.Connection(t.Context(), c.ID); !errors.Is(err, ErrDamaged) || got.ID != "" {
			t.Errorf("%+v, %v", got, err)
		}
		if err := s.DeleteConnection(t.Context(), c.ID); !errors.Is(err, ErrDamaged) {
			t.Errorf("deleting: %v", err)
		}
	}
	damaged := 0
	if _, err := s.Session(t.Context(), token); errors.Is(err, ErrDamaged) {
		damaged++
	}
	if _, err := s.ExternalIDFor(t.Context(), session); errors.Is(err, ErrDamaged) {
		damaged++
	} else if err == nil {
		t.Error("an External ID out of swapped records")
	}
	if damaged == 0 {
		t.Error("neither the session nor its External ID is damaged")
	}
}

func TestKeysAreRotated(t *testing.T) {
	m := &storetest.Memory{}
	clock := newClock()
	open := func(keys ...byte) *Store {
		s, err := Open(m, testRing(t, keys...), Options{Clock: clock.now})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	old := open(1)
	c := mustConnect(t, old, forOrganization("o1"), role1)
	token, session := mustCreate(t, old, forOrganization("o2"))
	id := mustExternalID(t, old, session)

	if _, err := open(2).Connection(t.Context(), c.ID); !errors.Is(err, ErrDamaged) {
		t.Errorf("with another key only: %v", err)
	}
	if _, _, err := open(2).CreateSession(t.Context(), forOrganization("o1")); !errors.Is(err, ErrDamaged) {
		t.Errorf("with another key only, no new External ID: %v", err)
	}

	both := open(2, 1)
	total := 0
	for calls := 1; ; calls++ {
		n, done, err := both.Reseal(t.Context(), 1)
		if err != nil || n > 1 || calls > 100 {
			t.Fatalf("%d, %v, %d calls", n, err, calls)
		}
		total += n
		if done {
			break
		}
	}
	if total != 8 { // Two sessions, a connection, two customers, two External IDs, the list of the logs of changes.
		t.Errorf("%d records were sealed anew, want 8", total)
	}
	last := open(2)
	if got, err := last.Connection(t.Context(), c.ID); err != nil || got.RoleARN != role1 {
		t.Errorf("%+v, %v", got, err)
	}
	if got := mustExternalID(t, last, session); got != id {
		t.Errorf("External ID %s, want %s", got, id)
	}
	if _, _, err := last.FinishSession(t.Context(), token, verified(id, role2)); err != nil {
		t.Error(err)
	}
	if n, done, err := last.Reseal(t.Context(), 1000); n != 0 || done || err != nil {
		t.Errorf("%d, %t, %v", n, done, err)
	}
}

func TestOpenNeedsAKey(t *testing.T) {
	if _, err := Open(&storetest.Memory{}, nil, Options{}); err == nil {
		t.Error("a store without a key")
	}
}

func TestErrorsTellTheStorageFromWhatIsNotThere(t *testing.T) {
	m := &storetest.Memory{}
	clock := newClock()
	s := openStore(t, m, clock)
	token, session := mustCreate(t, s, forOrganization("o1"))
	c := mustConnect(t, s, forOrganization("o1"), role1)
	away := openStore(t, storetest.NewProcess(m, 2, storetest.Dies), clock)
	if _, err := away.sessionKey(t.Context(), token); err != nil { // It reads the index key while it can.
		t.Fatal(err)
	}
	for name, f := range map[string]func() error{
		"Session":          func() error { _, err := away.Session(t.Context(), token); return err },
		"RenewSession":     func() error { _, err := away.RenewSession(t.Context(), token); return err },
		"RevokeSession":    func() error { return away.RevokeSession(t.Context(), token) },
		"ExternalIDFor":    func() error { _, err := away.ExternalIDFor(t.Context(), session); return err },
		"BoundAccount":     func() error { _, err := away.BoundAccount(t.Context(), c.ExternalID); return err },
		"Connection":       func() error { _, err := away.Connection(t.Context(), c.ID); return err },
		"Connections":      func() error { _, _, err := away.Connections(t.Context(), Filter{}, "", 1); return err },
		"DeleteConnection": func() error { return away.DeleteConnection(t.Context(), c.ID) },
		"Sweep":            func() error { _, err := away.Sweep(t.Context(), 1); return err },
		"Reseal":           func() error { _, _, err := away.Reseal(t.Context(), 1); return err },
		"CreateSession":    func() error { _, _, err := away.CreateSession(t.Context(), forOrganization("o1")); return err },
		"FinishSession": func() error {
			_, _, err := away.FinishSession(t.Context(), token, verified(c.ExternalID, role1))
			return err
		},
	} {
		if err := f(); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNotFound) || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
