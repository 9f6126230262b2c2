package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
)

const storedSecret = "stored-secret-access-key-0123456789abcd"

// runtimeVendor is a vendor whose integrations may be written at run time. Their brokers are told apart
// by the name of their credentials or their access key, and all are the vendor's own in AWS.
func runtimeVendor(t testing.TB, o vendorOptions) *vendor {
	t.Helper()
	more := o.service
	o.service = func(so *ServiceOptions) {
		so.Runtime = &Runtime{
			Credentials: []string{"broker", "other"}, Hosts: []string{"sts.internal", "*.lan"},
			Mode: func(_ *Integration, a *Assume) (Mode, error) {
				return testMode(t, o.aws, a)
			},
		}
		if more != nil {
			more(so)
		}
	}
	if o.aws == nil {
		o.aws = newAWS(t)
	}
	return newVendor(t, o)
}

func testMode(t testing.TB, aws *fakeAWS, a *Assume) (Mode, error) {
	if a.Helper != nil {
		client, err := sts.NewHelperClient(sts.HelperConfig{URL: a.Helper.URL, OperatorHosts: []string{}})
		if err != nil {
			return nil, err
		}
		return NewHelperMode(HelperOptions{Client: client, Principal: a.Helper.Principal})
	}
	cache := credentials.NewCache(credentials.Options{})
	t.Cleanup(cache.Close)
	name := a.Credentials + a.AccessKeyID
	return NewBrokerMode(BrokerOptions{
		Client: sts.NewClient(sts.Config{AttemptTimeout: 2 * time.Second}), Cache: cache, Name: name,
		STS: sts.Where{Region: "us-east-1", Endpoint: aws.URL},
		Broker: credentials.Identity{
			Key: credentials.NewKey(name, credentials.Sealed(a.SecretAccessKey)), Label: name, Local: true,
			Fetch: func(context.Context, *credentials.Credentials) (*credentials.Credentials, error) {
				return credentials.New(sigv4.Credentials{AccessKeyID: "AKIABROKER", SecretAccessKey: brokerSecret}, time.Time{}, time.Now()), nil
			},
		},
	})
}

// written is an integration as it may be written.
func writtenIntegration(key string) Stored {
	return Stored{
		Integration: Integration{Key: key, Service: "s3", Region: "eu-west-1"},
		Assume:      Assume{Credentials: "broker"},
	}
}

func (v *vendor) mustWrite(i Stored) *Configured {
	v.t.Helper()
	c, err := v.CreateIntegration(v.t.Context(), i)
	if err != nil {
		v.t.Fatal(err)
	}
	return c
}

func TestIntegrationsThatAreWrittenAtRunTime(t *testing.T) {
	storage := &storetest.Memory{}
	v := runtimeVendor(t, vendorOptions{storage: storage})
	i := writtenIntegration("reports")
	i.Assume = Assume{AccessKeyID: "AKIASTORED", SecretAccessKey: storedSecret}
	c := v.mustWrite(i)
	if c.Stored == nil || c.Problem != "" || c.Mode == nil || c.Stored.Created.IsZero() || c.Stored.Revision == "" {
		t.Fatalf("got %+v", c)
	}
	if got, ok := v.Integration("reports"); !ok || got != c {
		t.Errorf("got %v, %t", got, ok)
	}
	for name, value := range storage.Values() {
		if strings.Contains(string(value), storedSecret) || strings.Contains(string(value), "reports") || strings.Contains(name, "reports") {
			t.Errorf("%s tells what is stored", name)
		}
	}
	if all, err := v.Integrations(); err != nil || len(all) != 2 || all[0].Key != "acme-s3" || all[1].Key != "reports" {
		t.Errorf("got %v, %v", all, err)
	}
	// The one of the configuration can't be overridden, nor changed.
	for _, err := range []error{
		ignore(v.CreateIntegration(t.Context(), writtenIntegration("acme-s3"))),
		ignore(v.UpdateIntegration(t.Context(), "acme-s3", func(*Stored) error { return nil })),
		v.DeleteIntegration(t.Context(), "acme-s3"),
	} {
		if !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), "the integration acme-s3 is part of the server's configuration") {
			t.Errorf("got %v", err)
		}
	}
	if _, err := v.CreateIntegration(t.Context(), i); !errors.Is(err, ErrConflict) {
		t.Errorf("twice: %v", err)
	}
	// What was written is known to another instance, also to one that was there before.
	other := runtimeVendor(t, vendorOptions{storage: storage, aws: v.aws, clock: v.clock})
	if got, ok := other.Integration("reports"); !ok || got.Stored.Assume.SecretAccessKey != storedSecret {
		t.Fatalf("got %+v, %t", got, ok)
	}
	changed, err := v.UpdateIntegration(t.Context(), "reports", func(s *Stored) error {
		s.DisplayName = "Reports"
		return nil
	})
	if err != nil || changed.Stored.Revision != c.Stored.Revision || changed.Mode != c.Mode {
		t.Errorf("a name changed the revision, or who assumes roles: %v", err)
	}
	if _, err := other.readStored(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _ := other.Integration("reports"); got.DisplayName != "Reports" {
		t.Errorf("got %+v", got)
	}
	if err := v.DeleteIntegration(t.Context(), "reports"); err != nil {
		t.Fatal(err)
	}
	if _, ok := v.Integration("reports"); ok {
		t.Error("it is still there")
	}
	if err := v.DeleteIntegration(t.Context(), "reports"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	v.wantKinds(AuditIntegrationCreated, AuditIntegrationChanged, AuditIntegrationDeleted)
	v.tellsNothing(nil, storedSecret)
}

func ignore(_ *Configured, err error) error { return err }

func TestIntegrationsThatMayNotBeWritten(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	if _, err := v.CreateIntegration(t.Context(), writtenIntegration("reports")); !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), "runtime_integrations") {
		t.Errorf("got %v", err)
	}
	v = runtimeVendor(t, vendorOptions{})
	for name, tc := range map[string]struct {
		change func(*Stored)
		want   string
	}{
		"key":                          {func(s *Stored) { s.Key = "a/b" }, "no key of an integration"},
		"nobody":                       {func(s *Stored) { s.Assume = Assume{} }, "here are 0"},
		"two":                          {func(s *Stored) { s.Assume.AccessKeyID = "A" }, "here are 2"},
		"other credentials":            {func(s *Stored) { s.Assume.Credentials = "root" }, `credentials "root" may not be used here (allowed: broker, other)`},
		"no secret":                    {func(s *Stored) { s.Assume = Assume{AccessKeyID: "AKIA"} }, "secret_access_key is missing"},
		"no access key":                {func(s *Stored) { s.Assume = Assume{SecretAccessKey: storedSecret} }, "access_key_id is missing"},
		"mask":                         {func(s *Stored) { s.Assume = Assume{AccessKeyID: "AKIA", SecretAccessKey: SecretMask} }, "none yet that could be kept"},
		"a file of the server":         {func(s *Stored) { s.Templates = []Template{{ID: "t", File: "/etc/passwd", ExternalIDParameter: "E"}} }, "a file can be named in the server's configuration only"},
		"template without External ID": {func(s *Stored) { s.Templates = []Template{{ID: "t", URL: "https://t.example.com/"}} }, "external_id_parameter is missing"},
		"test call elsewhere": {
			func(s *Stored) {
				s.TestCall = &TestCall{Method: "GET", URL: "https://evil.example.com/{account}", Status: 200}
			}, "test_call: evil.example.com is no host of AWS's",
		},
		"base URL elsewhere":  {func(s *Stored) { s.BaseURL = "https://evil.example.com" }, "base_url: evil.example.com is no host of AWS's"},
		"base URL alike":      {func(s *Stored) { s.BaseURL = "https://s3.amazonaws.com.evil.example" }, "is no host of AWS's"},
		"helper without name": {func(s *Stored) { s.Assume = Assume{Helper: &AssumeHelper{URL: "https://h.example.com/"}} }, "principal is missing"},
		"helper over http": {
			func(s *Stored) {
				s.Assume = Assume{Helper: &AssumeHelper{URL: "http://localhost:1/", Principal: "111122223333"}}
			}, "localhost:1 is not https",
		},
		"helper with both": {func(s *Stored) {
			s.Assume = Assume{Helper: &AssumeHelper{URL: "https://h.example.com/", Principal: "111122223333", APIKey: "k", BasicPassword: "p"}}
		}, "api_key and basic_password are both there"},
		"helper without proof": {func(s *Stored) {
			s.Assume = Assume{Helper: &AssumeHelper{URL: "https://h.example.com/", Principal: "111122223333"}}
		}, "external_id_probe warn"},
		"helper's sessions": {func(s *Stored) {
			s.Policy = `{"Version":"2012-10-17","Statement":[]}`
			s.Assume = Assume{Helper: &AssumeHelper{URL: "https://h.example.com/", Principal: "111122223333", Probe: true}}
		}, "the helper's business"},
		"helper with a bad principal": {func(s *Stored) {
			s.Assume = Assume{Helper: &AssumeHelper{URL: "https://h.example.com/", Principal: "me", Probe: true}}
		}, "me"},
		"STS region": {func(s *Stored) { s.Assume.Region = "evil.example.com/" }, "is not the name of an AWS region"},
	} {
		t.Run(name, func(t *testing.T) {
			i := writtenIntegration("reports")
			tc.change(&i)
			_, err := v.CreateIntegration(t.Context(), i)
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), storedSecret) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
	if all, err := v.Integrations(); err != nil || len(all) != 1 {
		t.Errorf("%d, %v", len(all), err)
	}
}

func TestSecretsThatAreKept(t *testing.T) {
	v := runtimeVendor(t, vendorOptions{})
	i := writtenIntegration("reports")
	i.ExternalIDProbe = ProbeWarn
	i.Assume = Assume{Helper: &AssumeHelper{URL: "https://h.example.com/assume", Principal: "111122223333", APIKey: storedSecret, APIKeyHeader: "x-key"}}
	c := v.mustWrite(i)
	if masked, _ := json.Marshal(c.Stored.Assume.HidesSecrets()); strings.Contains(string(masked), storedSecret) || c.Stored.Assume.Helper.APIKey != storedSecret {
		t.Fatalf("got %s", masked)
	}
	change := func(to func(*AssumeHelper)) (*AssumeHelper, error) {
		c, err := v.UpdateIntegration(t.Context(), "reports", func(s *Stored) error {
			to(s.Assume.Helper)
			return nil
		})
		if err != nil {
			return nil, err
		}
		return c.Stored.Assume.Helper, nil
	}
	for _, blank := range []string{"", SecretMask} {
		if h, err := change(func(h *AssumeHelper) { h.APIKey, h.URL = blank, "https://h.example.com/v2"+blank }); err != nil || h.APIKey != storedSecret {
			t.Errorf("%q: %v, %v", blank, h, err)
		}
		// Whoever may write an integration does not learn its secret by naming another host.
		for _, to := range []string{"https://evil.example.com/assume", "https://h.example.com:444/assume"} {
			if _, err := change(func(h *AssumeHelper) { h.APIKey, h.URL = blank, to }); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "it was written for https://h.example.com: write it again") {
				t.Errorf("%q, %s: %v", blank, to, err)
			}
		}
	}
	if h, err := change(func(h *AssumeHelper) { h.APIKey, h.APIKeyHeader = "", "" }); err != nil || h.APIKey != "" {
		t.Errorf("%v, %v", h, err)
	}
}

// TestIntegrationsThatChangeWhileRolesAreVerified: a verification counts for what it was made with only.
func TestIntegrationsThatChangeWhileRolesAreVerified(t *testing.T) {
	for name, tc := range map[string]struct {
		meanwhile func(*vendor) error
		code      Code
	}{
		"a name":      {func(v *vendor) error { return v.rewrite(func(s *Stored) { s.DisplayName = "R" }) }, ""},
		"the broker":  {func(v *vendor) error { return v.rewrite(func(s *Stored) { s.Assume.Credentials = "other" }) }, CodeInterrupted},
		"the service": {func(v *vendor) error { return v.rewrite(func(s *Stored) { s.Service = "sqs" }) }, CodeInterrupted},
		"it is gone":  {func(v *vendor) error { return v.DeleteIntegration(v.t.Context(), "reports") }, CodeInterrupted},
	} {
		t.Run(name, func(t *testing.T) {
			v := runtimeVendor(t, vendorOptions{})
			v.mustWrite(writtenIntegration("reports"))
			token, session, err := v.CreateSession(t.Context(), NewSession{Integration: "reports", Organization: Organization{ID: "o"}})
			if err != nil {
				t.Fatal(err)
			}
			id := mustExternalID(t, v.Store(), session)
			c, _ := v.Integration("reports")
			if err := tc.meanwhile(v); err != nil {
				t.Fatal(err)
			}
			made := verified(id, role1)
			made.Revision = c.revision()
			_, _, err = v.Store().FinishSession(t.Context(), token, made)
			code := Code("")
			if err != nil {
				code = storeProblem(err).code
			}
			if code != tc.code {
				t.Errorf("%v: got %q, want %q", err, code, tc.code)
			}
			if all, _, err := v.Store().Connections(t.Context(), Filter{}, "", 10); err != nil || len(all) != map[Code]int{"": 1}[code] {
				t.Errorf("%d connections, %v", len(all), err)
			}
		})
	}
}

func (v *vendor) rewrite(to func(*Stored)) error {
	return ignore(v.UpdateIntegration(v.t.Context(), "reports", func(s *Stored) error {
		to(s)
		return nil
	}))
}

func TestIntegrationsWithConnections(t *testing.T) {
	v := runtimeVendor(t, vendorOptions{storage: &certmagic.FileStorage{Path: t.TempDir()}})
	v.mustWrite(writtenIntegration("reports"))
	token, session, err := v.CreateSession(t.Context(), NewSession{Integration: "reports", Organization: Organization{ID: "o"}})
	if err != nil {
		t.Fatal(err)
	}
	v.aws.role(role1, fakeRole{externalID: mustExternalID(t, v.Store(), session)})
	if _, err := v.Submit(t.Context(), token, role1, ""); err != nil {
		t.Fatal(err)
	}
	done := v.wait(token)
	if done.State != StateSucceeded {
		t.Fatalf("got %+v", done)
	}
	if err := v.DeleteIntegration(t.Context(), "reports"); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "has connections, and can't be deleted") {
		t.Errorf("got %v", err)
	}
	if err := v.rewrite(func(s *Stored) { s.Key = "other" }); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "renamed") {
		t.Errorf("got %v", err)
	}
	// Whoever asks for credentials gets them by the integration as it is now.
	c, err := v.Lookup(t.Context(), done.ConnectionID)
	if err != nil {
		t.Fatal(err)
	}
	before, err := v.Identity(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.rewrite(func(s *Stored) { s.Assume = Assume{AccessKeyID: "AKIASTORED", SecretAccessKey: storedSecret} }); err != nil {
		t.Fatal(err)
	}
	second, err := v.Identity(c)
	if err != nil || second.Key == before.Key {
		t.Errorf("another broker has the same key: %v", err)
	}
	if _, err := before.Fetch(t.Context(), nil); !errors.Is(err, ErrIntegrationChanged) {
		t.Errorf("got %v", err)
	}
	if err := v.rewrite(func(s *Stored) { s.Assume.SecretAccessKey = storedSecret + "2" }); err != nil {
		t.Fatal(err)
	}
	if third, err := v.Identity(c); err != nil || third.Key == second.Key {
		t.Errorf("another secret has the same key: %v", err)
	}
	if err := v.DeleteConnection(t.Context(), done.ConnectionID); err != nil {
		t.Fatal(err)
	}
	// A session is for the integration that it was made for, not for another that has its key.
	token, _, err = v.CreateSession(t.Context(), NewSession{Integration: "reports", Organization: Organization{ID: "o"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.rewrite(func(s *Stored) { s.Key = "other" }); err != nil {
		t.Fatal(err)
	}
	v.mustWrite(writtenIntegration("reports"))
	if _, err := v.Submit(t.Context(), token, role1, ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if p, err := v.Page(t.Context(), token); !errors.Is(err, ErrNotFound) || p.Integration != nil {
		t.Errorf("got %v", err)
	}
}

// TestDeletionsAndNewConnectionsAtOnce: an integration is never deleted under a connection that is being
// made, though two instances do the two.
func TestDeletionsAndNewConnectionsAtOnce(t *testing.T) {
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	v := runtimeVendor(t, vendorOptions{storage: storage})
	other := runtimeVendor(t, vendorOptions{storage: storage, aws: v.aws, clock: v.clock})
	for n := range 4 {
		key := fmt.Sprint("reports", n)
		c := v.mustWrite(writtenIntegration(key))
		token, session, err := v.CreateSession(t.Context(), NewSession{Integration: key, Organization: Organization{ID: "o"}})
		if err != nil {
			t.Fatal(err)
		}
		made := verified(mustExternalID(t, v.Store(), session), role1)
		made.Revision = c.revision()
		errs := make([]error, 2)
		atOnce(2, func(i int) {
			if i == 0 {
				_, _, errs[i] = v.Store().FinishSession(t.Context(), token, made)
			} else {
				errs[i] = other.DeleteIntegration(t.Context(), key)
			}
		})
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("made: %v; deleted: %v", errs[0], errs[1])
		}
	}
}

// awayStorage is a storage that can be away.
type awayStorage struct {
	certmagic.Storage
	away atomic.Bool
}

func (s *awayStorage) Load(ctx context.Context, key string) ([]byte, error) {
	if s.away.Load() {
		return nil, errors.New("the storage is away")
	}
	return s.Storage.Load(ctx, key)
}

// TestStoredIntegrationsWithoutStorage: what is known goes on, what was never read is not taken for missing.
func TestStoredIntegrationsWithoutStorage(t *testing.T) {
	storage := &awayStorage{Storage: &storetest.Memory{}}
	v := runtimeVendor(t, vendorOptions{storage: storage})
	v.mustWrite(writtenIntegration("reports"))
	fresh := runtimeVendor(t, vendorOptions{storage: storage, aws: v.aws, clock: v.clock})
	storage.away.Store(true)
	if _, err := v.readStored(t.Context()); err == nil {
		t.Error("it was read")
	}
	if _, ok := v.Integration("reports"); !ok {
		t.Error("it is forgotten")
	}
	if _, err := fresh.integrationOf("reports"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if _, err := fresh.integrationOf("acme-s3"); err != nil {
		t.Error(err)
	}
}

// TestCredentialsThatAreNotAllowedAnyMore: the integration is shown, with the reason, and nobody else
// assumes its roles.
func TestCredentialsThatAreNotAllowedAnyMore(t *testing.T) {
	storage := &storetest.Memory{}
	v := runtimeVendor(t, vendorOptions{storage: storage})
	v.mustWrite(writtenIntegration("reports"))
	later := runtimeVendor(t, vendorOptions{storage: storage, aws: v.aws, clock: v.clock, service: func(o *ServiceOptions) { o.Runtime.Credentials = []string{"other"} }})
	c, ok := later.Integration("reports")
	if !ok || !strings.Contains(c.Problem, `credentials "broker" may not be used here (allowed: other)`) {
		t.Fatalf("got %+v", c)
	}
	if _, _, err := c.Mode.AssumeRole(t.Context(), sts.AssumeRoleInput{RoleARN: role1}); err == nil {
		t.Error("a role was assumed")
	}
	if _, err := c.Mode.Principal(t.Context()); err == nil {
		t.Error("there is a principal")
	}
	if _, err := c.Mode.Identity(sts.AssumeRoleInput{RoleARN: role1}).Fetch(t.Context(), nil); err == nil {
		t.Error("credentials were fetched")
	}
}

// TestCrashesWhileIntegrationsAreWritten: whatever goes wrong at whichever operation of the storage, the
// integration is afterwards as it was before or as it was to be, and can be written.
func TestCrashesWhileIntegrationsAreWritten(t *testing.T) {
	for name, fault := range storetest.Faults {
		t.Run(name, func(t *testing.T) {
			for at := 1; ; at++ {
				storage := &storetest.Memory{}
				v := runtimeVendor(t, vendorOptions{storage: storage})
				v.mustWrite(writtenIntegration("reports"))
				dying := storetest.NewProcess(storage, at, fault)
				other := runtimeVendor(t, vendorOptions{storage: dying, aws: v.aws, clock: v.clock})
				err := other.rewrite(func(s *Stored) { s.Key, s.Service = "renamed", "sqs" })
				if dying.Count() < at {
					if err != nil || at < 4 {
						t.Fatalf("%d operations, %v", at, err)
					}
					break
				}
				storage.BreakLocks()
				later := runtimeVendor(t, vendorOptions{storage: storage, aws: v.aws, clock: v.clock})
				was, before := later.Integration("reports")
				is, after := later.Integration("renamed")
				switch {
				case before == after, before && was.Service != "s3", after && is.Service != "sqs", err == nil && before:
					t.Fatalf("at %d: %v; before %t, after %t", at, err, before, after)
				case before:
					err = later.rewrite(func(s *Stored) { s.Key, s.Service = "renamed", "sqs" })
				case after:
					err = later.DeleteIntegration(t.Context(), "renamed")
				}
				if err != nil {
					t.Fatalf("at %d: then %v", at, err)
				}
			}
		})
	}
}

// TestOtherInstancesLearnOfIntegrations: without anybody asking for it.
func TestOtherInstancesLearnOfIntegrations(t *testing.T) {
	t.Parallel()
	storage := &storetest.Memory{}
	v := runtimeVendor(t, vendorOptions{storage: storage})
	other := runtimeVendor(t, vendorOptions{storage: storage, aws: v.aws, clock: v.clock})
	if _, ok := other.Integration("reports"); ok {
		t.Fatal("it is there already")
	}
	other.spawn(func() { other.watchStored(other.ctx) })
	v.mustWrite(writtenIntegration("reports"))
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if _, ok := other.Integration("reports"); ok {
			return
		}
		if time.Since(began) > 20*time.Second {
			t.Fatal("it is not known")
		}
	}
}
