package integration_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// TestSecretsAreNotLogged turns on all that Caddy can log, lets everything go
// right and wrong, and looks for secrets.
func TestSecretsAreNotLogged(t *testing.T) {
	for style, configure := range styles {
		t.Run(style, func(t *testing.T) {
			sts := newSTS(t)
			up := newEndpoint(t, sts.keys("Role"), func(head *wireverify.Request) (wireverify.Action, bool) {
				return wireverify.Action{Die: true}, head.Target == "/die"
			})
			global := "debug\nservers {\ntrace\n}\nlog {\nlevel DEBUG\n}\n" + brokerAnd("Role", "Down")
			config := configure(up.Addr(), setup{
				options: "service s3\nregion eu-west-1\ncredentials Role",
				global:  global,
			})
			config = strings.Replace(config, "route {", "log\nroute {\naws_sigv4_auth /auth/* {\nkey AKIDCLIENT client/secret+key\n}\n"+
				"aws_sigv4 /static/* "+up.Addr()+" {\nservice s3\nregion eu-west-1\n"+alice+"\n}\n"+
				"aws_sigv4 /down/* "+up.Addr()+" {\nservice s3\nregion eu-west-1\ncredentials Down\n}\n"+
				"aws_sigv4 /token/* "+up.Addr()+" {\nservice s3\nregion eu-west-1\ncredentials static AKIDTOKEN token/secret+key token/of+the/static==\n}\n", 1)
			sts.set("Down", func(r *role) { r.code = "AccessDenied" })
			s := startCaddyAt(t, "DEBUG", config)

			s.get("/a?b").expect(t, 200)
			s.do("PUT", "/key", "body of the request").expect(t, 200)
			s.get("/?%zz").expect(t, 400)
			s.get("/die").expect(t, 502)
			s.get("/static/x").expect(t, 403) // The endpoint does not know that key.
			s.get("/token/x").expect(t, 403)
			s.get("/auth/x").expect(t, 401)
			s.get("/down/x").expect(t, 502)
			up.Close()
			s.get("/gone").expect(t, 502)
			s.reload(config)

			log := s.logged()
			for _, line := range []string{"upstream roundtrip", "handled request", `"logger":"http.log.trace"`, `"credentials fetched"`, "AKIDALICE"} {
				if !strings.Contains(log, line) {
					t.Errorf("%q is not in the log, so this test sees too little", line)
				}
			}
			secrets := []string{"alice/secret+access=key", "broker/secret+key", "client/secret+key", "token/secret+key"}
			tokens := []string{"token/of+the/static=="}
			for _, call := range append(sts.callsFor("Role"), sts.callsFor("Down")...) {
				if call.issued != "" {
					secrets = append(secrets, "secret/of+"+call.issued)
					tokens = append(tokens, "token/of+"+call.issued+"==")
				}
			}
			if style == "handler alone" {
				// Caddy itself prints what such a handler signed. It is told.
				if !strings.Contains(log, "debug logging is on") {
					t.Error("nothing warns of Caddy's debug line")
				}
				if !strings.Contains(log, "token/of+ASIAROLE") {
					t.Error("Caddy's debug line no longer prints the token: the warning and the documentation are out of date")
				}
			} else {
				secrets = append(secrets, tokens...)
			}
			for _, secret := range secrets {
				for _, spelled := range spellings(secret) {
					if at := strings.Index(log, spelled); at >= 0 {
						t.Errorf("the log holds %q: %s", spelled, log[max(0, at-300):min(len(log), at+100)])
					}
				}
			}
		})
	}
}

// spellings are the ways in which a log may write a value.
func spellings(v string) []string {
	escaped := strings.NewReplacer("/", "%2F", "+", "%2B", "=", "%3D").Replace(v)
	return []string{v, escaped, fmt.Sprintf("%q", v), strings.ReplaceAll(v, "/", `\/`)}
}
