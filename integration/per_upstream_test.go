package integration_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// perUpstream are the styles in which upstreams can have roles of their own.
var perUpstream = map[string]func(upstreams, blocks, proxy string) string{
	"transport": func(upstreams, blocks, proxy string) string {
		return fmt.Sprintf("reverse_proxy %s {\n%s\ntransport aws_sigv4 {\nservice es\nregion eu-west-1\n%s\nupstream_only\n}\n}", upstreams, proxy, blocks)
	},
	"short form": func(upstreams, blocks, proxy string) string {
		return fmt.Sprintf("aws_sigv4 %s {\n%s\nservice es\nregion eu-west-1\n%s\nupstream_only\n}", upstreams, proxy, blocks)
	},
	"handler and transport": func(upstreams, blocks, proxy string) string {
		return fmt.Sprintf("aws_sigv4 {\nservice es\nregion eu-west-1\ncredentials other\n}\n"+
			"reverse_proxy %s {\n%s\ntransport aws_sigv4 {\nservice es\nregion eu-west-1\n%s\nupstream_only\n}\n}", upstreams, proxy, blocks)
	},
}

// twoRoles are two endpoints, each of which knows the keys of one role only.
type twoRoles struct {
	sts    *fakeSTS
	first  *endpoint
	second *endpoint
}

func newTwoRoles(t *testing.T) *twoRoles {
	t.Helper()
	sts := newSTS(t)
	return &twoRoles{sts: sts, first: newEndpoint(t, sts.keys("First"), nil), second: newEndpoint(t, sts.keys("Second"), nil)}
}

// start runs Caddy before both, with firstAddr in the first one's place.
func (two *twoRoles) start(t *testing.T, style, firstAddr, proxy string) *server {
	t.Helper()
	blocks := fmt.Sprintf("upstream %s {\ncredentials First\n}\nupstream %s {\ncredentials Second\n}", firstAddr, two.second.Addr())
	return startCaddy(t, site(setup{global: brokerAnd("First", "Second", "other")},
		perUpstream[style](firstAddr+" "+two.second.Addr(), blocks, proxy)))
}

// TestEachUpstreamSeesItsOwnRole: neither ever sees a key of the other.
func TestEachUpstreamSeesItsOwnRole(t *testing.T) {
	for style := range perUpstream {
		t.Run(style, func(t *testing.T) {
			two := newTwoRoles(t)
			s := two.start(t, style, two.first.Addr(), "lb_policy round_robin")
			for range 6 {
				s.get("/a").expect(t, 200)
				s.do("PUT", "/b", "body").expect(t, 200)
			}
			two.first.all(6)
			two.second.all(6)
			for _, name := range []string{"First", "Second"} {
				calls := two.sts.callsFor(name)
				if len(calls) != 1 || calls[0].by != "AKIDBROKER" || calls[0].form.Get("ExternalId") != "id-of-"+name {
					t.Errorf("STS was called for %s: %+v", name, calls)
				}
			}
		})
	}
}

// TestRetriesSignAnew: what went to the first upstream in vain goes to the
// second one with the second one's key.
func TestRetriesSignAnew(t *testing.T) {
	for style := range perUpstream {
		t.Run(style+", nobody listens", func(t *testing.T) {
			two := newTwoRoles(t)
			s := two.start(t, style, deadAddress(), "lb_policy first\nlb_retries 2\nfail_duration 10s")
			s.do("PUT", "/key", "hello").expect(t, 200, "ASIASECOND")
			bodyIs("hello")(t, two.second.all(1)[0])
		})
		t.Run(style+", the first dies", func(t *testing.T) {
			two := newTwoRoles(t)
			two.first.decide = func(*wireverify.Request) (wireverify.Action, bool) { return wireverify.Action{Die: true}, true }
			s := two.start(t, style, two.first.Addr(), "lb_policy first\nlb_retries 2\nfail_duration 10s")
			s.get("/a").expect(t, 200, "ASIASECOND")
			two.second.all(1)
			for _, r := range two.first.Requests() {
				r.Complete = true // It has no body.
				if _, err := two.first.verify(r); err != nil {
					t.Errorf("the first upstream saw: %v", err)
				}
			}
		})
	}
}

// TestOneRolesSTSIsDown: the other upstream goes on, and takes over.
func TestOneRolesSTSIsDown(t *testing.T) {
	for _, code := range []string{"AccessDenied", "ServiceUnavailable"} {
		for style := range perUpstream {
			t.Run(style+", "+code, func(t *testing.T) {
				two := newTwoRoles(t)
				two.sts.set("First", func(r *role) { r.code = code })
				s := two.start(t, style, two.first.Addr(), "lb_policy first\nlb_retries 2\nfail_duration 10s")
				for range 3 {
					s.do("PUT", "/key", "hello").expect(t, 200, "ASIASECOND")
				}
				two.first.nothing()
				for _, r := range two.second.all(3) {
					bodyIs("hello")(t, r)
				}
			})
		}
	}
}

// TestHealthChecksHaveTheUpstreamsRole: nobody else asked, so the keys are
// those of the health checks.
func TestHealthChecksHaveTheUpstreamsRole(t *testing.T) {
	for style := range perUpstream {
		t.Run(style, func(t *testing.T) {
			two := newTwoRoles(t)
			two.start(t, style, two.first.Addr(), "health_uri /health\nhealth_interval 20ms")
			for _, up := range []*endpoint{two.first, two.second} {
				up.Wait(3, patience)
				for _, r := range up.all(len(up.Wait(3, patience))) {
					if r.Target != "/health" {
						t.Errorf("%q arrived", r.Line)
					}
				}
			}
		})
	}
}

// TestEachRoleRefreshesOnItsOwn: short-lived credentials of one role are
// replaced without a failing request, and the other's stay.
func TestEachRoleRefreshesOnItsOwn(t *testing.T) {
	two := newTwoRoles(t)
	two.sts.set("First", func(r *role) { r.ttl = 2 * time.Second })
	s := two.start(t, "transport", two.first.Addr(), "lb_policy round_robin")
	for end := time.Now().Add(patience); len(two.sts.callsFor("First")) < 3; time.Sleep(10 * time.Millisecond) {
		if r := s.get("/a"); r.status != 200 {
			t.Fatalf("answered %v", r)
		}
		if time.Now().After(end) {
			t.Fatal("no two refreshes were seen")
		}
	}
	keys := map[string]bool{}
	for _, r := range two.first.all(len(two.first.Requests())) {
		id, _, _ := strings.Cut(strings.TrimPrefix(r.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="), "/")
		keys[id] = true
	}
	if len(keys) < 2 {
		t.Errorf("the first upstream saw the keys %v, want two at least", keys)
	}
	two.second.all(len(two.second.Requests()))
	if calls := two.sts.callsFor("Second"); len(calls) != 1 {
		t.Errorf("STS was called %d times for the other role, want 1", len(calls))
	}
}

// TestUpstreamOnlyRefusesTheRest: an upstream without a block gets nothing.
func TestUpstreamOnlyRefusesTheRest(t *testing.T) {
	two := newTwoRoles(t)
	stranger := newEndpoint(t, newKeyring(), nil)
	s := startCaddy(t, site(setup{global: brokerAnd("First")}, fmt.Sprintf(
		"@first header X-First *\nreverse_proxy @first %s {\ntransport aws_sigv4 {\nservice es\nregion eu-west-1\nupstream %s {\ncredentials First\n}\nupstream_only\n}\n}\n"+
			"reverse_proxy {http.request.header.X-To} {\ntransport aws_sigv4 {\nservice es\nregion eu-west-1\nupstream %s {\ncredentials First\n}\nupstream_only\n}\n}",
		two.first.Addr(), two.first.Addr(), two.first.Addr())))
	s.get("/", "X-First: 1").expect(t, 200)
	s.get("/", "X-To: "+two.first.Addr()).expect(t, 200)
	s.get("/", "X-To: "+stranger.Addr()).expect(t, 403)
	stranger.nothing()
	two.first.all(2)
}

// TestUpstreamBlocksMatchTheMostExact: HOST:PORT before HOST before *.suffix.
func TestUpstreamBlocksMatchTheMostExact(t *testing.T) {
	sts := newSTS(t)
	exact, byName := newEndpoint(t, sts.keys("Exact"), nil), newEndpoint(t, sts.keys("Named"), nil)
	exact.host, byName.host = "localhost:"+portOf(exact), "localhost:"+portOf(byName)
	s := startCaddy(t, site(setup{global: brokerAnd("Exact", "Named", "Any")}, fmt.Sprintf(
		"reverse_proxy %s %s {\nlb_policy round_robin\ntransport aws_sigv4 {\nservice es\nregion eu-west-1\ncredentials Any\n"+
			"upstream LOCALHOST {\ncredentials Named\n}\nupstream %s {\ncredentials Exact\n}\n}\n}",
		exact.host, byName.host, exact.host)))
	for range 4 {
		s.get("/").expect(t, 200)
	}
	exact.all(2)
	byName.all(2)
	if calls := sts.callsFor("Any"); len(calls) > 1 {
		t.Errorf("STS was called %d times for the named credentials that nobody used, want 1 at most", len(calls))
	}
}

// TestBlocksSayAll: service, region, host and credentials may all stand in the
// blocks, and nothing beside them.
func TestBlocksSayAll(t *testing.T) {
	for style, configure := range map[string]func(upstreams, blocks string) string{
		"transport": func(upstreams, blocks string) string {
			return "reverse_proxy " + upstreams + " {\nlb_policy round_robin\ntransport aws_sigv4 {\n" + blocks + "\n}\n}"
		},
		"short form": func(upstreams, blocks string) string {
			return "aws_sigv4 " + upstreams + " {\nlb_policy round_robin\n" + blocks + "\n}"
		},
		"handler and transport": func(upstreams, blocks string) string {
			return "aws_sigv4\nreverse_proxy " + upstreams + " {\nlb_policy round_robin\ntransport aws_sigv4 {\n" + blocks + "\n}\n}"
		},
	} {
		for credentials, with := range map[string]func(name string) string{
			"with credentials":    func(name string) string { return "credentials " + name },
			"without credentials": func(string) string { return "" },
		} {
			t.Run(style+", "+credentials, func(t *testing.T) {
				t.Setenv("AWS_ACCESS_KEY_ID", "AKIDALICE")
				t.Setenv("AWS_SECRET_ACCESS_KEY", "alice/secret+access=key")
				two := newTwoRoles(t)
				if credentials == "without credentials" {
					two.first.keys, two.second.keys = newKeyring(), newKeyring()
				}
				two.second.host = "second.example"
				s := startCaddy(t, site(setup{global: brokerAnd("First", "Second")}, configure(two.first.Addr()+" "+two.second.Addr(), fmt.Sprintf(
					"upstream %s {\nservice es\nregion eu-west-1\n%s\n}\nupstream %s {\nservice s3\nregion us-east-1\nhost second.example\n%s\n}",
					two.first.Addr(), with("First"), two.second.Addr(), with("Second")))))
				for range 4 {
					s.do("PUT", "/a//b", "body").expect(t, 200)
				}
				for _, r := range two.first.all(2) {
					bodyIs("body")(t, r)
				}
				if r := two.second.all(2)[0]; !strings.Contains(r.Get("Authorization"), "/us-east-1/s3/") || r.Target != "/a//b" {
					t.Errorf("%s arrived with %s", r.Line, r.Get("Authorization"))
				}
			})
		}
	}
}

// TestSocketUpstream: a socket has no name, so the host says what is signed.
func TestSocketUpstream(t *testing.T) {
	for style, configure := range styles {
		t.Run(style, func(t *testing.T) {
			socket := filepath.Join(tempDir(t), "s")
			up := listenEndpoint(t, "unix/"+socket, nil, newKeyring(), nil)
			up.host = "minio.example"
			s := startCaddy(t, configure("unix/"+socket, setup{options: signFor("s3") + "\nhost minio.example", host: "none"}))
			s.do("PUT", "/a//b", "body").expect(t, 200)
			up.all(1)
		})
	}
}

func portOf(e *endpoint) string { return e.Addr()[strings.LastIndexByte(e.Addr(), ':')+1:] }
