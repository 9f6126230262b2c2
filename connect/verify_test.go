package connect

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/credentials"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sts/ststest"
)

func TestARoleBecomesAConnection(t *testing.T) {
	v := newVendor(t, vendorOptions{integration: func(i *Integration) {
		i.Tags, i.Policy, i.Duration = map[string]string{"team": "search", "env": "prod"}, `{"Version":"2012-10-17","Statement":[]}`, 2*time.Hour
	}})
	token, id := v.customer(forOrganization("o1"))
	if got, err := v.Verification(t.Context(), token); err != nil || got.State != StateNone {
		t.Errorf("before: %+v, %v", got, err)
	}
	v.aws.role(role1, fakeRole{externalID: id})
	got := v.submit(token, " "+role1+"\n", " ")
	want := Verification{
		State: StateSucceeded, Step: StepSaving, Attempt: 1, RoleARN: role1, Region: "eu-west-1", Account: "111111111111",
		ConnectionID: got.ConnectionID, Probe: sts.Proven, Started: got.Started, Ended: got.Ended,
	}
	if !equalVerification(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	c, err := v.store.Connection(t.Context(), got.ConnectionID)
	if err != nil || c.RoleARN != role1 || c.ExternalID != id || c.Probe != sts.Proven || c.Region != "eu-west-1" || c.Account != "111111111111" || c.Verified.IsZero() {
		t.Errorf("%+v, %v", c, err)
	}
	v.wantKinds(AuditSessionCreated, AuditVerificationStarted, AuditConnectionCreated, AuditVerificationSucceeded)

	form := v.aws.Calls()[1].Form // After the broker's GetCallerIdentity.
	for name, want := range map[string]string{
		"RoleArn": role1, "ExternalId": id, "RoleSessionName": "connect-" + c.ID, "DurationSeconds": "7200",
		"Tags.member.1.Key": "env", "Tags.member.2.Key": "team", "Policy": `{"Version":"2012-10-17","Statement":[]}`,
	} {
		if form.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, form.Get(name), want)
		}
	}

	// Again, and seen by another instance: it has succeeded, and that's it.
	calls := v.aws.calls()
	if again, err := v.Submit(t.Context(), token, role2, ""); err != nil || again.ConnectionID != c.ID {
		t.Errorf("again: %+v, %v", again, err)
	}
	if v.aws.calls() != calls {
		t.Error("a session that succeeded still asks AWS")
	}
	other := newVendor(t, vendorOptions{aws: v.aws, clock: v.clock, storage: storageOf(v)})
	if seen, err := other.Verification(t.Context(), token); err != nil || seen.State != StateSucceeded || seen.ConnectionID != c.ID || seen.Account != "111111111111" {
		t.Errorf("elsewhere: %+v, %v", seen, err)
	}
	v.tellsNothing([]any{got}, id, token)
}

func TestWhyAVerificationFails(t *testing.T) {
	t.Parallel()
	const inOwnAccount = "arn:aws:iam::" + vendorAccount + ":role/Internal"
	aws := func(status int, code, message string) ststest.Answer {
		return ststest.Answer{Status: status, Code: code, Message: message}
	}
	for name, tt := range map[string]struct {
		role        string // default: role1
		region      string
		fake        *fakeRole // default: one that asks for its External ID
		integration func(*Integration)
		prefill     Prefill
		identity    ststest.Answer
		mode        func(Mode) Mode

		code  Code
		step  Step
		field string
		text  string // a part of text, remedy or causes
		most  int    // calls of AssumeRole
	}{
		"no ARN":             {role: "MyRole", code: CodeInvalidRoleARN, step: StepInput, field: "role_arn", text: "it has 6 characters"},
		"a user's":           {role: "arn:aws:iam::111111111111:user/Me", code: CodeInvalidRoleARN, step: StepInput, field: "role_arn"},
		"a session's":        {role: "arn:aws:sts::111111111111:assumed-role/A/b", code: CodeInvalidRoleARN, step: StepInput, field: "role_arn"},
		"China":              {role: "arn:aws-cn:iam::111111111111:role/A", code: CodePartitionMismatch, step: StepInput, field: "role_arn"},
		"a region in China":  {region: "cn-north-1", code: CodePartitionMismatch, step: StepInput, field: "region"},
		"no region":          {region: "us-east-1/", code: CodeInvalidRegion, step: StepInput, field: "region"},
		"a metadata service": {region: "169.254.169.254#", code: CodeInvalidRegion, step: StepInput, field: "region"},
		"a user in a region": {region: "foo@evil.com", code: CodeInvalidRegion, step: StepInput, field: "region"},
		"capitals":           {region: "US-EAST-1", code: CodeInvalidRegion, step: StepInput, field: "region"},
		"not ASCII":          {region: "us-eаst-1", code: CodeInvalidRegion, step: StepInput, field: "region"},
		"another region": {
			region: "eu-west-3", integration: func(i *Integration) { i.Regions = []string{"eu-west-1", "eu-west-2"} },
			code: CodeRegionNotAllowed, step: StepInput, field: "region", text: "eu-west-1, eu-west-2",
		},
		"an account that is denied": {
			integration: func(i *Integration) {
				i.DenyAccounts, i.AllowAccounts = []string{"111111111111"}, []string{"111111111111"}
			},
			code: CodeAccountNotAllowed, step: StepInput, field: "role_arn",
		},
		"an account that is not allowed": {
			integration: func(i *Integration) { i.AllowAccounts = []string{"222222222222"} },
			code:        CodeAccountNotAllowed, step: StepInput, field: "role_arn",
		},
		"the vendor's own account": {role: inOwnAccount, code: CodeAccountNotAllowed, step: StepInput, field: "role_arn"},
		"another role than the vendor wants": {
			prefill: Prefill{RoleARN: Value{Text: role2, Fixed: true}}, code: CodePrefillMismatch, step: StepInput, field: "role_arn",
		},
		"another region than the vendor wants": {
			region: "eu-west-1", prefill: Prefill{Region: Value{Text: "eu-west-2", Fixed: true}}, code: CodePrefillMismatch, step: StepInput, field: "region",
		},

		"a wrong External ID": {
			fake: &fakeRole{externalID: "some-other-id"}, code: CodeAssumeRoleDenied, step: StepAssumeRole, field: "role_arn",
			text: "compare sts:ExternalId", most: 20,
		},
		"no such role": {role: role2, code: CodeAssumeRoleDenied, step: StepAssumeRole, field: "role_arn", text: "there is no such role", most: 20},
		"a service control policy": {
			fake: &fakeRole{answer: aws(403, "AccessDenied", denied(role1).Message+" with an explicit deny in a service control policy")},
			code: CodeAssumeRoleDenied, step: StepAssumeRole, field: "role_arn", text: "service control policy", most: 1,
		},
		"tags": {
			fake: &fakeRole{answer: aws(403, "AccessDenied", strings.Replace(denied(role1).Message, "sts:AssumeRole", "sts:TagSession", 1))},
			code: CodeTagSessionDenied, step: StepAssumeRole, field: "role_arn", text: `"sts:TagSession"`, most: 20,
		},
		"too long": {
			fake: &fakeRole{answer: aws(400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")},
			code: CodeDurationTooLong, step: StepAssumeRole, field: "role_arn", text: "1h0m0s", most: 1,
		},
		"a broker of a role, too long": {
			fake: &fakeRole{answer: aws(400, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")},
			code: CodeDurationTooLong, step: StepAssumeRole, field: "role_arn", text: "on their side", most: 1,
		},
		"a broker that AWS does not know": {
			fake: &fakeRole{answer: aws(403, "InvalidClientTokenId", "The security token included in the request is invalid.")},
			code: CodeBrokerUnavailable, step: StepAssumeRole, text: "on their side", most: 1,
		},
		"a region that is off": {
			fake: &fakeRole{answer: aws(403, "RegionDisabledException", "STS is not activated in this region for account:111122223333.")},
			code: CodeSTSUnavailable, step: StepAssumeRole, field: "region", text: "another region", most: 1,
		},
		"throttled": {
			fake: &fakeRole{answer: aws(400, "Throttling", "Rate exceeded")},
			code: CodeSTSUnavailable, step: StepAssumeRole, most: 30,
		},
		"something else than AWS": {
			fake: &fakeRole{answer: ststest.Answer{Status: 200, Body: "<html>Sign in</html>"}},
			code: CodeSTSUnavailable, step: StepAssumeRole, most: 1,
		},
		"another account's role of the same name": {
			identity: ststest.Answer{Body: callerIdentity("222222222222", "arn:aws:sts::222222222222:assumed-role/Customer/s")},
			code:     CodeWrongAccount, step: StepIdentity, most: 1,
		},
		"another role": {
			identity: ststest.Answer{Body: callerIdentity("111111111111", "arn:aws:sts::111111111111:assumed-role/Other/Customer")},
			code:     CodeIdentityMismatch, step: StepIdentity, most: 1,
		},
		"nobody says who it is": {
			identity: aws(500, "InternalFailure", "oops"), code: CodeSTSUnavailable, step: StepIdentity, most: 1,
		},
		"any External ID": {
			fake: &fakeRole{open: "wrong"}, code: CodeExternalIDNotEnforced, step: StepExternalID, field: "role_arn", text: "StringEquals on sts:ExternalId", most: 3,
		},
		"no External ID": {
			fake: &fakeRole{open: "none"}, code: CodeExternalIDNotEnforced, step: StepExternalID, field: "role_arn", most: 4,
		},
		"it can't be told": {
			fake: &fakeRole{probed: aws(403, "AccessDenied", denied(role1).Message+" with an explicit deny in a resource control policy")},
			code: CodeExternalIDUnproven, step: StepExternalID, field: "role_arn", most: 4,
		},
		"a broker without credentials": {
			mode: func(m Mode) Mode {
				b := m.(*BrokerMode)
				if _, err := b.Principal(t.Context()); err != nil {
					t.Fatal(err)
				}
				b.options.Broker.Key = "gone"
				b.options.Broker.Fetch = func(context.Context, *credentials.Credentials) (*credentials.Credentials, error) {
					return nil, http.ErrNoCookie
				}
				return b
			},
			code: CodeBrokerUnavailable, step: StepAssumeRole, text: "on their side",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // Some wait for the SDK's own retries.
			v := newVendor(t, vendorOptions{integration: tt.integration, mode: tt.mode})
			token, id := v.customer(NewSession{Integration: "acme-s3", Organization: Organization{ID: "o1"}, Prefill: tt.prefill})
			fake := fakeRole{externalID: id}
			if tt.fake != nil {
				fake = *tt.fake
				if fake.externalID == "" {
					fake.externalID = id
				}
			}
			v.aws.role(role1, fake)
			v.aws.identity = tt.identity
			if tt.role == "" {
				tt.role = role1
			}
			got := v.submit(token, tt.role, tt.region)
			all := got.Text + " " + got.Remedy
			for _, c := range got.Causes {
				all += " " + c.String()
			}
			if got.State != StateFailed || got.Code != tt.code || got.Step != tt.step || got.Field != tt.field || got.Text == "" || !strings.Contains(all, tt.text) {
				t.Errorf("%+v, want %s at %s, field %q, and %q", got, tt.code, tt.step, tt.field, tt.text)
			}
			if got.Ended.IsZero() || tt.step == StepInput && len(got.Fields) == 0 && tt.code != CodeWrongAccount {
				t.Errorf("%+v", got)
			}
			if n := v.aws.calls(); n > tt.most {
				t.Errorf("%d calls of AssumeRole, want at most %d", n, tt.most)
			}
			if all, _, err := v.store.Connections(t.Context(), Filter{}, "", 10); err != nil || len(all) > 0 {
				t.Errorf("%d connections, %v", len(all), err)
			}
			// Another instance, and a page that is loaded again, say the same.
			other := newVendor(t, vendorOptions{aws: v.aws, clock: v.clock, storage: storageOf(v)})
			seen, err := other.Verification(t.Context(), token)
			if err != nil || !equalVerification(seen, got) {
				t.Errorf("elsewhere: %+v, %v", seen, err)
			}
			page, err := v.Page(t.Context(), token)
			if err != nil || page.RoleARN != tt.role && !tt.prefill.RoleARN.Fixed || page.Verification.Code != tt.code {
				t.Errorf("page: %+v, %v", page, err)
			}
			v.tellsNothing([]any{got, page.Verification}, id, token)
		})
	}
}

func callerIdentity(account, arn string) string {
	return `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>` + arn +
		`</Arn><UserId>AROA:s</UserId><Account>` + account + `</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`
}

func TestTheVendorsOwnAccountMustBeAllowedByName(t *testing.T) {
	const role = "arn:aws:iam::" + vendorAccount + ":role/Internal"
	v := newVendor(t, vendorOptions{integration: func(i *Integration) { i.AllowAccounts = []string{vendorAccount} }})
	token, id := v.customer(forOrganization("o1"))
	v.aws.role(role, fakeRole{externalID: id})
	if got := v.submit(token, role, ""); got.State != StateSucceeded {
		t.Errorf("%+v", got)
	}
}

func TestProbeModes(t *testing.T) {
	unclear := ststest.Answer{Status: 403, Code: "AccessDenied", Message: "no"}
	unclear.Message = denied(role1).Message + " with an explicit deny in a resource control policy"
	for name, tt := range map[string]struct {
		mode ProbeMode
		fake fakeRole
		want sts.Outcome
	}{
		"warned of":   {ProbeWarn, fakeRole{open: "none"}, sts.Open},
		"warned of 2": {ProbeWarn, fakeRole{probed: unclear}, sts.Unproven},
		"warn, fine":  {ProbeWarn, fakeRole{}, sts.Proven},
		"off":         {ProbeOff, fakeRole{open: "none"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t, vendorOptions{integration: func(i *Integration) { i.ExternalIDProbe = tt.mode }})
			token, id := v.customer(forOrganization("o1"))
			tt.fake.externalID = id
			v.aws.role(role1, tt.fake)
			got := v.submit(token, role1, "")
			if got.State != StateSucceeded || got.Probe != tt.want || got.Code != "" || got.Text != "" {
				t.Errorf("%+v", got)
			}
			if c, err := v.store.Connection(t.Context(), got.ConnectionID); err != nil || c.Probe != tt.want {
				t.Errorf("%+v, %v", c, err)
			}
			if tt.mode == ProbeOff && v.aws.calls() != 1 {
				t.Errorf("%d calls", v.aws.calls())
			}
		})
	}
}

func TestARoleThatWasJustMadeIsTriedAgain(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	token, id := v.customer(forOrganization("o1"))
	v.aws.role(role1, fakeRole{externalID: id, notBefore: 5})
	begun := v.clock.now()
	got := v.submit(token, role1, "")
	if got.State != StateSucceeded || got.Attempt != 6 || got.Code != "" {
		t.Errorf("%+v", got)
	}
	if took := v.clock.now().Sub(begun); took < 10*time.Second || took > time.Minute {
		t.Errorf("it took %v", took)
	}

	// While it is waited for, the page says so.
	token, id = v.customer(forOrganization("o2"))
	v.aws.role(role2, fakeRole{externalID: id, notBefore: 1})
	v.mu.Lock()
	v.hold = true
	v.mu.Unlock()
	if _, err := v.Submit(t.Context(), token, role2, ""); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool {
		got, err := v.Verification(t.Context(), token)
		return err == nil && got.State == StateRunning && got.Step == StepAssumeRole && got.Attempt == 1 && got.Code == CodeRoleNotReady && got.Text != ""
	})
}

// TestARoleThatFlickers is refused once after it was granted, as replicas of IAM have it.
func TestARoleThatFlickers(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	token, id := v.customer(forOrganization("o1"))
	v.aws.role(role1, fakeRole{externalID: id})
	n := 0
	v.aws.Answer(func(c ststest.Call) ststest.Answer {
		if c.Form.Get("Action") == "AssumeRole" {
			if n++; n == 2 { // The probe's first.
				return denied(role1)
			}
		}
		return v.aws.answer(c)
	})
	if got := v.submit(token, role1, ""); got.State != StateSucceeded || got.Probe != sts.Proven {
		t.Errorf("%+v", got)
	}
}

func TestAnExternalIDStaysWithItsAccount(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	c := v.connect("o1", role1)
	token, _ := v.customer(forOrganization("o1"))
	v.aws.role(role2, fakeRole{externalID: c.ExternalID})
	calls := v.aws.calls()
	got := v.submit(token, role2, "")
	if got.Code != CodeWrongAccount || got.Field != FieldRoleARN || !strings.Contains(got.Text, "111111111111") {
		t.Errorf("%+v", got)
	}
	if v.aws.calls() != calls {
		t.Error("AWS was asked about a role that can't be connected anyway")
	}
}

func TestReconnectRenewsAConnection(t *testing.T) {
	v := newVendor(t, vendorOptions{})
	c := v.connect("o1", role1)
	const newer = "arn:aws:iam::111111111111:role/Newer"
	token, session, err := v.CreateReconnectSession(t.Context(), c.ID, NewSession{Integration: "acme-s3"})
	if err != nil {
		t.Fatal(err)
	}
	if id := mustExternalID(t, v.store, session); id != c.ExternalID {
		t.Errorf("External ID %s", id)
	}
	v.aws.role(newer, fakeRole{externalID: c.ExternalID})
	if got := v.submit(token, newer, ""); got.State != StateSucceeded || got.ConnectionID != c.ID {
		t.Errorf("%+v", got)
	}
	if kinds := v.kinds(); !slices.Contains(kinds, AuditConnectionRenewed) {
		t.Errorf("%v", kinds)
	}
}
