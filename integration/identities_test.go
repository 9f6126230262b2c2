package integration_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestIdentityPerUser: what selects an identity may come from a request, and
// then each has credentials of its own.
func TestIdentityPerUser(t *testing.T) {
	for _, style := range []string{"transport", "short form", "handler and transport", "handler alone"} {
		t.Run(style, func(t *testing.T) {
			sts := newSTS(t)
			up := newEndpoint(t, sts.keys("Role"), nil)
			s := startCaddy(t, styles[style](up.Addr(), setup{
				options: "service s3\nregion eu-west-1\ncredentials assume_role " + arn("Role") + " {\nfrom broker\n" +
					"session_name {http.request.header.X-User}\ntag user {http.request.header.X-User}\n}",
				global: "aws_sigv4 {\ncredentials broker " + brokerSource + "\n}\n",
			}))
			keys := map[string]string{}
			for range 3 {
				for _, user := range []string{"alice", "bob"} {
					r := s.get("/", "X-User: "+user)
					r.expect(t, 200)
					id, _, _ := strings.Cut(r.body, " ")
					if keys[user] != "" && keys[user] != id {
						t.Errorf("%s signed with %s, then with %s", user, keys[user], id)
					}
					keys[user] = id
				}
			}
			if keys["alice"] == keys["bob"] {
				t.Errorf("both sign with %s", keys["bob"])
			}
			calls := sts.callsFor("Role")
			if len(calls) != 2 {
				t.Fatalf("STS was called %d times, want 2", len(calls))
			}
			for _, c := range calls {
				user := c.form.Get("RoleSessionName")
				if keys[user] != c.issued || c.form.Get("Tags.member.1.Key") != "user" || c.form.Get("Tags.member.1.Value") != user {
					t.Errorf("STS was called with %v, and %q signs with %s", c.form, user, keys[user])
				}
			}

			// What a request fills in is data: checked, and not expanded again.
			t.Setenv("SOME_SECRET", "expanded")
			for _, user := range []string{"{env.SOME_SECRET}", "a b", "x", "a/b", "", strings.Repeat("a", 65), "é", "a,b{http.request.uuid}"} {
				if r := s.get("/", "X-User: "+user); r.status != 403 {
					t.Errorf("user %q: answered %v, want 403", user, r)
				}
			}
			s.get("/").expect(t, 403)
			if calls := sts.callsFor("Role"); len(calls) != 2 {
				t.Errorf("STS was called: %v", calls[2:])
			}
			up.all(6)
		})
	}
}

// TestRoleChain: a role may stand on a role, and each call is signed by the one
// before.
func TestRoleChain(t *testing.T) {
	sts := newSTS(t)
	up := newEndpoint(t, sts.keys("Third"), nil)
	s := startCaddy(t, styles["short form"](up.Addr(), setup{
		options: "service s3\nregion eu-west-1\ncredentials third",
		global: "aws_sigv4 {\ncredentials broker " + brokerSource + "\n" +
			"credentials first assume_role " + arn("First") + " {\nfrom broker\n}\n" +
			"credentials second assume_role " + arn("Second") + " {\nfrom first\n}\n" +
			"credentials third assume_role " + arn("Third") + " {\nfrom second\n}\n}\n",
	}))
	s.get("/").expect(t, 200, "ASIATHIRD")
	by := "AKIDBROKER"
	for _, name := range []string{"First", "Second", "Third"} {
		calls := sts.callsFor(name)
		if len(calls) != 1 || calls[0].by != by {
			t.Fatalf("calls for %s: %+v, want one by %s", name, calls, by)
		}
		by = calls[0].issued
	}
	up.all(1)
}

// TestDynamicUpstream: the handler chooses where to, request by request.
func TestDynamicUpstream(t *testing.T) {
	one, two, other := newTLSEndpoint(t, newKeyring(), nil), newTLSEndpoint(t, newKeyring(), nil), newTLSEndpoint(t, newKeyring(), nil)
	const proxy = "reverse_proxy {\ndynamic aws_sigv4\ntransport aws_sigv4 {\ntls_insecure_skip_verify\n}\n}\n"
	s := startCaddy(t, site(setup{}, fmt.Sprintf(
		"@to header X-To *\nhandle @to {\naws_sigv4 {\n%s\nhost {header.X-To}\nallow_hosts %s %s\n}\n%s}\n"+
			"handle /nohost {\naws_sigv4 {\n%s\n}\n%s}\nhandle {\n%s}",
		signFor("s3"), one.Addr(), two.Addr(), proxy, signFor("s3"), proxy, proxy)))
	for range 2 {
		s.get("/a", "X-To: "+one.Addr()).expect(t, 200)
		s.do("PUT", "/b", "body", "X-To: "+two.Addr()).expect(t, 200)
	}
	one.all(2)
	two.all(2)
	s.get("/c", "X-To: "+other.Addr()).expect(t, 403)
	s.get("/nohost").expect(t, 503)
	s.get("/nohandler").expect(t, 503)
	other.nothing()
}
