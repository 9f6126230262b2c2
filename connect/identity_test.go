package connect

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
)

func TestCredentialsOfAConnection(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	c, d := v.connect("o1", role1), v.connect("o2", role2)
	cache := credentials.NewCache(credentials.Options{})
	defer cache.Close()
	id, err := v.Identity(c)
	if err != nil {
		t.Fatal(err)
	}
	creds, err := cache.Get(t.Context(), id)
	if err != nil || !strings.HasPrefix(creds.Value.AccessKeyID, "ASIACUSTOMER") {
		t.Fatalf("%v, %v", creds, err)
	}
	if roles := id.Roles(); len(roles) != 1 || roles[0] != role1 {
		t.Errorf("%v", roles)
	}
	calls := v.aws.calls()
	same, err := v.Identity(c)
	if again, getErr := cache.Get(t.Context(), same); err != nil || getErr != nil || again != creds || v.aws.calls() != calls {
		t.Errorf("%v, %v, %d calls", err, getErr, v.aws.calls()-calls)
	}
	other, err := v.Identity(d)
	if err != nil || other.Key == id.Key {
		t.Errorf("%v, %v", other.Key == id.Key, err)
	}
	twin := c
	twin.ID = newUUID()
	if other, err := v.Identity(twin); err != nil || other.Key == id.Key {
		t.Errorf("two connections with one role share credentials: %v", err)
	}

	// Paused, it is refused, and not refreshed either.
	paused, err := v.UpdateConnection(t.Context(), c.ID, func(c *Connection) error { c.Paused = true; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Identity(paused); !errors.Is(err, ErrPaused) {
		t.Errorf("%v", err)
	}
	if _, err := cache.Refresh(t.Context(), id); !errors.Is(err, ErrPaused) {
		t.Errorf("%v", err)
	} else if e, ok := errors.AsType[*credentials.Error](err); !ok || e.Temporary() {
		t.Errorf("%v is taken for temporary", err)
	}

	// Deleted, renewed with another role, or of an integration that is gone.
	if err := v.DeleteConnection(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.Refresh(t.Context(), id); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	const newer = "arn:aws:iam::222222222222:role/Newer"
	token, _, err := v.CreateReconnectSession(t.Context(), d.ID, NewSession{Integration: "acme-s3"})
	if err != nil {
		t.Fatal(err)
	}
	v.aws.role(newer, fakeRole{externalID: d.ExternalID})
	v.submit(token, newer, "")
	calls = v.aws.calls()
	if _, err := cache.Get(t.Context(), other); err == nil {
		t.Error("the old role is still assumed")
	}
	d.Integration = "gone"
	if _, err := v.Identity(d); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	if v.aws.calls() != calls {
		t.Errorf("%d calls for connections that can't be used", v.aws.calls()-calls)
	}
	v.tellsNothing([]any{id.Key, id.Label}, c.ExternalID)
}

// TestAccountsThatAreDeniedLater: the operator's lists are for connections that are there already, too.
func TestAccountsThatAreDeniedLater(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	c := v.connect("o1", role1)
	id, err := v.Identity(c)
	if err != nil {
		t.Fatal(err)
	}
	calls := v.aws.calls()
	for name, change := range map[string]func(*Integration){
		"denied":             func(i *Integration) { i.DenyAccounts = []string{c.Account} },
		"not allowed":        func(i *Integration) { i.AllowAccounts = []string{"999999999999"} },
		"both":               func(i *Integration) { i.AllowAccounts, i.DenyAccounts = []string{c.Account}, []string{c.Account} },
		"the vendor's own":   func(*Integration) { v.principals["acme-s3"] = Principal{Account: c.Account, ARN: vendorARN} },
		"allowed by name":    func(i *Integration) { i.AllowAccounts = []string{c.Account} },
		"as it was at first": func(*Integration) {},
	} {
		before, principal := *v.integration, v.knownPrincipal("acme-s3")
		change(&v.integration.Integration)
		_, err := v.Identity(c)
		if strings.HasPrefix(name, "a") {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), c.Account) {
			t.Errorf("%s: %v", name, err)
		} else if _, err := id.Fetch(t.Context(), nil); !errors.Is(err, ErrDenied) {
			t.Errorf("%s: fetching: %v", name, err)
		}
		v.integration.Integration, v.principals["acme-s3"] = before.Integration, principal
	}
	v.integration.DenyAccounts = []string{c.Account}
	v.clock.pass(25 * time.Hour)
	if p, err := v.recheck(t.Context(), c.ID); err != nil || p == nil || p.code != CodeAccountNotAllowed {
		t.Errorf("looked after: %+v, %v", p, err)
	}
	if now, err := v.Recheck(t.Context(), c.ID); err != nil || now.LastError == nil || now.LastError.Code != CodeAccountNotAllowed {
		t.Errorf("asked for: %+v, %v", now.LastError, err)
	}
	if v.aws.calls() != calls {
		t.Errorf("AWS was asked %d times", v.aws.calls()-calls)
	}
}

// TestCredentialsWhileTheStorageIsAway are asked for again: that is not the connection's fault.
func TestCredentialsWhileTheStorageIsAway(t *testing.T) {
	memory := &storetest.Memory{}
	v := newVendor(t, vendorOptions{storage: memory})
	c := v.connect("o1", role1)
	away := newVendor(t, vendorOptions{storage: storetest.NewProcess(memory, 1, storetest.Dies), aws: v.aws})
	id, err := away.Identity(c)
	if err != nil {
		t.Fatal(err)
	}
	cache := credentials.NewCache(credentials.Options{})
	defer cache.Close()
	_, err = cache.Get(t.Context(), id)
	e, ok := errors.AsType[*credentials.Error](err)
	if !ok || !e.Temporary() || !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
}
