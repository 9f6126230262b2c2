package integration_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// sorry shows that an error went through Caddy's error routes.
const sorry = "handle_errors {\nrespond \"sorry, {err.status_code}\" {err.status_code}\n}\n"

func withErrorRoutes(caddyfile string) string {
	return strings.TrimSuffix(strings.TrimSpace(caddyfile), "}") + sorry + "}\n"
}

// TestNoCredentials: nothing is forwarded, and the answer is Caddy's.
func TestNoCredentials(t *testing.T) {
	tests := map[string]struct {
		options string // credentials
		sts     func(r *role)
		want    int
	}{
		"STS refuses":          {"credentials Role", func(r *role) { r.code = "AccessDenied" }, 502},
		"STS is down":          {"credentials Role", func(r *role) { r.code = "ServiceUnavailable" }, 503},
		"nothing in the env":   {"credentials env", nil, 502},
		"no source of default": {"credentials default", nil, 502},
		"nothing configured":   {"", nil, 502},
	}
	for name, tt := range tests {
		for style, configure := range styles {
			t.Run(name+"/"+style, func(t *testing.T) {
				sts := newSTS(t)
				if tt.sts != nil {
					sts.set("Role", tt.sts)
				}
				up := newEndpoint(t, newKeyring(), nil)
				s := startCaddy(t, withErrorRoutes(configure(up.Addr(), setup{
					options: "service s3\nregion eu-west-1\n" + tt.options, global: brokerAnd("Role"),
				})))
				want := fmt.Sprintf("sorry, %d", tt.want)
				s.get("/").expect(t, tt.want, want)
				s.do("PUT", "/key", "body").expect(t, tt.want, want)
				up.nothing()
			})
		}
	}
}

// TestNobodyListensAsSTS is a network that does not work.
func TestNobodyListensAsSTS(t *testing.T) {
	up := newEndpoint(t, newKeyring(), nil)
	t.Setenv("AWS_ENDPOINT_URL_STS", "http://"+deadAddress())
	s := startCaddy(t, withErrorRoutes(styles["short form"](up.Addr(), setup{
		options: "service s3\nregion eu-west-1\ncredentials Role", global: brokerAnd("Role"),
	})))
	s.get("/").expect(t, 503, "sorry, 503")
	up.nothing()
}

// TestMissingCredentialsDoNotHarmTheUpstream: with a handler before it, no
// upstream is asked, so none is counted as failing, and once STS works again
// requests get through at once.
func TestMissingCredentialsDoNotHarmTheUpstream(t *testing.T) {
	for _, style := range []string{"short form", "handler and transport", "handler alone"} {
		t.Run(style, func(t *testing.T) {
			sts := newSTS(t)
			sts.set("Role", func(r *role) { r.code = "AccessDenied" })
			up := newEndpoint(t, sts.keys("Role"), nil)
			s := startCaddy(t, styles[style](up.Addr(), setup{
				options: "service s3\nregion eu-west-1\ncredentials Role", global: brokerAnd("Role"),
				proxy: "fail_duration 1m\nmax_fails 1",
			}))
			s.get("/").expect(t, 502)
			sts.set("Role", func(r *role) { r.code = "" })
			waitFor(t, patience, func() bool { return s.get("/").status == 200 }, "credentials")
			up.all(1)
		})
	}
}

// TestTransportAloneCountsMissingCredentials pins what the documentation says
// of the transport without a handler: Caddy counts the failure against the
// upstream, and no request leaves.
func TestTransportAloneCountsMissingCredentials(t *testing.T) {
	sts := newSTS(t)
	sts.set("Role", func(r *role) { r.code = "AccessDenied" })
	up := newEndpoint(t, sts.keys("Role"), nil)
	s := startCaddy(t, styles["transport"](up.Addr(), setup{
		options: "service s3\nregion eu-west-1\ncredentials Role", global: brokerAnd("Role"),
		proxy: "fail_duration 1m\nmax_fails 1",
	}))
	s.get("/").expect(t, 502)
	s.get("/").expect(t, 503) // No upstream is left.
	up.nothing()
}

// TestOneRolesSTSHangs: nobody else waits for it, and neither does the end of
// the configuration.
func TestOneRolesSTSHangs(t *testing.T) {
	two := newTwoRoles(t)
	two.sts.set("First", func(r *role) { r.hang = true })
	s := startCaddy(t, site(setup{global: brokerAnd("First", "Second")}, fmt.Sprintf(
		"@first path /first\naws_sigv4 @first %s {\nservice s3\nregion eu-west-1\ncredentials First\n}\n"+
			"aws_sigv4 %s {\nservice s3\nregion eu-west-1\ncredentials Second\n}", two.first.Addr(), two.second.Addr())))
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		_, _ = tryExchange(s.addr(), requestText("GET", "/first", s.addr(), ""))
	}()
	waitFor(t, patience, func() bool { return len(two.sts.callsFor("First")) > 0 }, "the call to STS")
	began := time.Now()
	for range 3 {
		s.get("/second").expect(t, 200)
	}
	s.reload("http://<port> {\nrespond new\n}\n")
	s.get("/").expect(t, 200, "new")
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("others waited %v", d)
	}
	two.first.nothing()
	two.second.all(3)
	<-waiting
}

// TestWithoutATransportNothingIsAccepted: a handler that leaves signing to a
// transport puts something on the request that no endpoint accepts, and the
// log says what is missing.
func TestWithoutATransportNothingIsAccepted(t *testing.T) {
	up := newEndpoint(t, newKeyring(), nil)
	s := startCaddy(t, site(setup{}, "aws_sigv4 {\n"+signFor("s3")+"\n}\nreverse_proxy "+up.Addr()))
	s.get("/?X-Amz-Signature=1", "Authorization: "+forgedCredential).expect(t, 403, "the Authorization has 1 parts")
	if text := wire(up.last()); strings.Contains(text, "FORGED") || strings.Contains(text, "X-Amz-Signature") {
		t.Errorf("arrived:\n%s", text)
	}
	s.waitForLog("nothing signed this request", 1, patience)
}
