package integration_test

import (
	"strings"
	"testing"
)

// TestNamesOfFailingCredentials: several names of one role are told apart where they fail.
func TestNamesOfFailingCredentials(t *testing.T) {
	sts := newSTS(t)
	sts.set("Role", func(r *role) { r.code = "AccessDenied" })
	up := newEndpoint(t, sts.keys("Role"), nil)
	tenant := func(name string) string {
		return "credentials " + name + " assume_role " + arn("Role") + " {\nfrom broker\nexternal_id id-of-" + name + "\n}\n"
	}
	chained := "credentials chained assume_role " + arn("Spoke") + " {\nfrom tenant-b\n}\n"
	signing := func(matcher, credentials string) string {
		return "aws_sigv4 " + matcher + up.Addr() + " {\nservice s3\nregion eu-west-1\ncredentials " + credentials + "\n}\n"
	}
	const shown = "\nhandle_errors {\nrespond \"{http.aws_sigv4.error.name}|{http.aws_sigv4.error.identity}\" {err.status_code}\n}\nroute {"
	s := startCaddy(t, strings.Replace(site(setup{global: "aws_sigv4 {\ncredentials broker " + brokerSource + "\n" + tenant("tenant-a") + tenant("tenant-b") + chained + "}\n"},
		"@chained header X-Chained *\n"+signing("@chained ", "chained")+
			"@user header X-User *\n"+signing("@user ", "assume_role "+arn("Role")+" {\nfrom broker\nsession_name {header.X-User}\n}")+
			signing("", "tenant-a")), "\nroute {", shown, 1))
	for header, want := range map[string]string{
		"X-None: x":    "tenant-a|assume_role " + arn("Role") + " (from broker)",
		"X-Chained: x": "tenant-b|assume_role " + arn("Role") + " (from broker)",
		"X-User: jane": "|assume_role " + arn("Role") + " (from broker), session jane",
	} {
		if r := s.get("/", header); r.status != 502 || r.body != want {
			t.Errorf("%s: answered %v, want %s", header, r, want)
		}
	}
	s.waitForLog("fetching credentials", 3, patience)
	for _, want := range []string{`"name":"broker"`, `"name":"tenant-a"`, `"name":"tenant-b"`, "session jane"} {
		if !strings.Contains(s.logged(), want) {
			t.Errorf("no %s in the log", want)
		}
	}
}

// TestRefusalsOfAnSTSHelperAreExplained: in error routes and in the log, as what STS says is.
func TestRefusalsOfAnSTSHelperAreExplained(t *testing.T) {
	sts := newSTS(t)
	sts.set("Denied", func(r *role) { r.code, r.says = "AccessDenied", "not authorized" })
	up := newEndpoint(t, sts.keys("Denied"), nil)
	t.Setenv("HELPER_TEST_KEY", "acme-0123456789abcdef")
	helper := "http://<site2> {\naws_sts_helper {\ncredentials broker\nrequire_external_id off\napi_key acme {env.HELPER_TEST_KEY} {\nroles arn:aws:iam::*:role/Denied\n}\n}\n}\n"
	for name, tc := range map[string]struct {
		role, key string
		want      []string
	}{
		"wrong key":     {"Denied", "another", []string{"code=invalid_api_key", "cause=the helper does not know the key"}},
		"not permitted": {"Other", "{env.HELPER_TEST_KEY}", []string{"code=not_permitted", "cause=the helper's own rules do not permit this", "AWS was not asked"}},
		"denied":        {"Denied", "{env.HELPER_TEST_KEY}", []string{"code=AccessDenied id=r", "cause=the role's trust policy does not trust the broker"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := startCaddy(t, "{\n"+brokerAnd()+"}\n"+helper+"http://<site> {\n"+explained+"aws_sigv4 "+up.Addr()+" {\nservice s3\nregion eu-west-1\n"+
				"credentials sts_helper http://<site2>/assume-role {\nrole_arn "+arn(tc.role)+"\napi_key "+tc.key+"\n}\n}\n}\n")
			r := s.get("/")
			for _, want := range tc.want {
				if r.status != 502 || !strings.Contains(r.body, want) {
					t.Errorf("answered %v, want %s", r, want)
				}
			}
			s.waitForLog("fetching credentials", 1, patience)
			if !strings.Contains(s.logged(), `"remedy":`) {
				t.Errorf("no remedy in the log")
			}
		})
	}
}
