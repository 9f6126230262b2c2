package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// explained is an error route that shows everything that is known of an error.
const explained = "handle_errors {\nrespond \"code={http.aws_sigv4.error.code} id={http.aws_sigv4.error.request_id} identity={http.aws_sigv4.error.identity} " +
	"message={http.aws_sigv4.error.message} cause={http.aws_sigv4.error.cause} remedy={http.aws_sigv4.error.remedy}.\" {err.status_code}\n}\n"

// TestErrorsAreExplained: in error routes and in the log, for each way to sign.
func TestErrorsAreExplained(t *testing.T) {
	const denied = "User: arn:aws:sts::111122223333:assumed-role/Broker/caddy is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/Role"
	tests := []struct {
		name    string
		options string
		sts     map[string]func(r *role)
		status  int
		want    []string // in the error route
		log     []string
	}{
		{
			name: "denied", options: "credentials Role", sts: map[string]func(*role){"Role": func(r *role) { r.code, r.says = "AccessDenied", denied }}, status: 502,
			want: []string{
				"code=AccessDenied id=r identity=assume_role " + arn("Role") + " (from broker) message=" + denied,
				"cause=the role's trust policy does not accept this broker with this External ID",
				"remedy=compare sts:ExternalId in the trust policy with external_id, letter by letter, and let Principal name arn:aws:iam::111122223333:role/Broker",
			},
			log: []string{`"code":"AccessDenied"`, `"request_id":"r"`, `"cause":"the role's trust policy does not accept`, `"other_causes":["there is no such role`},
		},
		{
			name: "the broker's role is denied", options: "credentials Spoke",
			sts: map[string]func(*role){"Role": func(r *role) {
				r.code, r.says = "AccessDenied", denied+" with an explicit deny in a service control policy"
			}}, status: 502,
			want: []string{
				"identity=assume_role " + arn("Role") + " (from broker)", "cause=a service control policy of the broker's organization denies sts:AssumeRole on " + arn("Role"),
			},
		},
		{
			name: "too long", options: "credentials Role",
			sts: map[string]func(*role){"Role": func(r *role) {
				r.code, r.says = "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
			}}, status: 502,
			want: []string{"code=ValidationError", "cause=the role does not allow sessions of 1h0m0s", "remedy=write a shorter duration"},
		},
		{
			name: "down", options: "credentials Role", sts: map[string]func(*role){"Role": func(r *role) { r.code = "ServiceUnavailable" }}, status: 503,
			want: []string{"code=ServiceUnavailable id=r", "cause=AWS STS itself failed"},
		},
		{
			name: "not of STS", options: "credentials env", status: 502,
			want: []string{"code= id= identity=env message=the environment variable AWS_ACCESS_KEY_ID is not set: set it for the process of Caddy cause= remedy=."},
		},
		{
			name: "not about credentials", options: "credentials assume_role " + arn("Role") + " {\nfrom broker\nsession_name {header.X-User}\n}", status: 403,
			want: []string{"code= id= identity= message=credentials: session_name: ", " cause= remedy=."},
		},
	}
	for _, tt := range tests {
		for style, configure := range styles {
			if tt.status == 403 && style == "transport" {
				continue // What a transport refuses it answers itself.
			}
			t.Run(tt.name+"/"+style, func(t *testing.T) {
				sts := newSTS(t)
				for name, change := range tt.sts {
					sts.set(name, change)
				}
				up := newEndpoint(t, newKeyring(), nil)
				global := strings.TrimSuffix(brokerAnd("Role"), "}\n") + "credentials Spoke assume_role " + arn("Spoke") + " {\nfrom Role\n}\n}\n"
				s := startCaddy(t, strings.Replace(withErrorRoutes(configure(up.Addr(), setup{
					options: "service s3\nregion eu-west-1\n" + tt.options, global: global,
				})), sorry, explained, 1))
				s.get("/").expect(t, tt.status, tt.want...)
				for _, text := range tt.log {
					s.waitForLog(text, 1, patience)
				}
				for _, secret := range []string{"id-of-Role", "id-of-Spoke", "broker/secret+key"} {
					if strings.Contains(s.logged(), secret) {
						t.Errorf("%q was logged", secret)
					}
				}
				up.nothing()
			})
		}
	}
}

// TestEverythingIsSentToSTS: the options of assume_role through the adapter, and on the wire.
func TestEverythingIsSentToSTS(t *testing.T) {
	sts := newSTS(t)
	up := newEndpoint(t, sts.keys("Spoke"), nil)
	t.Setenv("TEST_TOTP", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
	s := startCaddy(t, site(setup{
		global: "aws_sigv4 {\ncredentials broker " + brokerSource + "\n" +
			"credentials hub assume_role " + arn("Hub") + " {\nfrom broker\nduration 12h\nmfa_serial arn:aws:iam::111122223333:mfa/everything\nmfa_secret {env.TEST_TOTP}\n" +
			"tag team search\ntag cost-center 4711\ntransitive_tags team\nsource_identity caddy\nsts_endpoint http://" + sts.Addr() + "\nsts_region eu-west-3\n}\n}\n",
		before: "vars tenant acme",
	}, "aws_sigv4 http://"+up.Addr()+" {\nservice s3\nregion eu-west-1\ncredentials assume_role "+arn("Spoke")+" {\nfrom hub\nexternal_id id-4711\nsession_name {header.X-User}\n"+
		"policy `{\"Version\": \"2012-10-17\", \"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"s3:Get*\", \"Resource\": \"arn:aws:s3:::b/{vars.tenant}/${aws:PrincipalTag/team}/*\"}]}`\n"+
		"policy_arns arn:aws:iam::aws:policy/ReadOnlyAccess arn:aws:iam::123456789012:policy/Spoke\nsource_identity caddy\n}\n}\n"))
	s.get("/key", "X-User: alice").expect(t, 200)

	hub, spoke := sts.callsFor("Hub"), sts.callsFor("Spoke")
	if len(hub) != 1 || len(spoke) != 1 || spoke[0].by != hub[0].issued {
		t.Fatalf("STS was called %d and %d times", len(hub), len(spoke))
	}
	if code := hub[0].form.Get("TokenCode"); len(code) != 6 {
		t.Errorf("the code is %q", code)
	}
	for name, tc := range map[string]struct {
		call stsCall
		want map[string]string
	}{
		"hub": {hub[0], map[string]string{
			"RoleArn": arn("Hub"), "DurationSeconds": "43200", "SerialNumber": "arn:aws:iam::111122223333:mfa/everything", "SourceIdentity": "caddy",
			"Tags.member.1.Key": "cost-center", "Tags.member.1.Value": "4711", "Tags.member.2.Key": "team", "Tags.member.2.Value": "search",
			"TransitiveTagKeys.member.1": "team", "ExternalId": "", "Policy": "",
		}},
		"spoke": {spoke[0], map[string]string{
			"RoleArn": arn("Spoke"), "DurationSeconds": "3600", "ExternalId": "id-4711", "RoleSessionName": "alice", "SourceIdentity": "caddy",
			"Policy":                  `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::b/acme/${aws:PrincipalTag/team}/*"}]}`,
			"PolicyArns.member.1.arn": "arn:aws:iam::aws:policy/ReadOnlyAccess", "PolicyArns.member.2.arn": "arn:aws:iam::123456789012:policy/Spoke",
			"SerialNumber": "", "TokenCode": "", "Tags.member.1.Key": "",
		}},
	} {
		for k, want := range tc.want {
			if got := tc.call.form.Get(k); got != want {
				t.Errorf("%s: %s is %q, want %q", name, k, got, want)
			}
		}
	}
	up.all(1)
}

// TestPolicyOfARequestIsData: what a request fills into a policy can't change what the policy says.
func TestPolicyOfARequestIsData(t *testing.T) {
	sts := newSTS(t)
	up := newEndpoint(t, sts.keys("Role"), nil)
	s := startCaddy(t, site(setup{
		global: "aws_sigv4 {\ncredentials broker " + brokerSource + "\n}\n",
		before: "vars user {header.X-User}",
	}, "aws_sigv4 http://"+up.Addr()+" {\nservice s3\nregion eu-west-1\ncredentials assume_role "+arn("Role")+" {\nfrom broker\n"+
		"policy `{\"Statement\": [{\"Resource\": \"arn:aws:s3:::b/{vars.user}/*\"}]}`\n}\n}\n"))
	t.Setenv("SOME_SECRET", "expanded")
	for _, evil := range []string{"*", "a/b", `"`, `","*`, "${aws:username}", "{env.SOME_SECRET}", "", "a b"} {
		s.get("/", "X-User: "+evil).expect(t, 403)
	}
	if calls := sts.callsFor("Role"); len(calls) > 0 {
		t.Errorf("STS was called with %v", calls[0].form)
	}
	for i, user := range []string{"alice", "bob", "alice"} {
		s.get("/", "X-User: "+user).expect(t, 200)
		calls := sts.callsFor("Role")
		if want := fmt.Sprintf(`{"Statement":[{"Resource":"arn:aws:s3:::b/%s/*"}]}`, user); i < 2 && calls[i].form.Get("Policy") != want {
			t.Errorf("the policy is %s, want %s", calls[i].form.Get("Policy"), want)
		}
	}
	if n := len(sts.callsFor("Role")); n != 2 {
		t.Errorf("STS was called %d times, want once for each user", n)
	}
	up.all(3)
}

// TestErrorTextInAPage: the message repeats what a client sent, and a page
// escapes it as the documentation says.
func TestErrorTextInAPage(t *testing.T) {
	sts := newSTS(t)
	up := newEndpoint(t, sts.keys("Role"), nil)
	page := filepath.Join(tempDir(t), "error.html")
	if err := os.WriteFile(page, []byte(`<p>{{placeholder "http.aws_sigv4.error.message" | html}}</p>`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startCaddy(t, strings.Replace(styles["short form"](up.Addr(), setup{
		options: "service s3\nregion eu-west-1\ncredentials assume_role " + arn("Role") + " {\nfrom broker\nsession_name {http.request.header.X-User}\n}",
		global:  brokerAnd(),
	}), "\nroute {", "\nhandle_errors {\nroot "+filepath.Dir(page)+"\nrewrite /error.html\ntemplates\nfile_server\n}\nroute {", 1))
	r := s.get("/", "X-User: <script>alert(1)</script>")
	if r.status != 403 || strings.Contains(r.body, "<script>") || !strings.Contains(r.body, "&lt;script&gt;") {
		t.Errorf("answered %v", r)
	}
}
