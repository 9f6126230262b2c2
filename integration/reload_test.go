package integration_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func reloadable(up *endpoint, version int, roles ...string) string {
	return site(setup{global: brokerAnd(roles...)}, fmt.Sprintf(
		"respond /version %d\naws_sigv4 %s {\nservice es\nregion eu-west-1\ncredentials %s\n}", version, up.Addr(), roles[0]))
}

// TestCredentialsSurviveReloads: three reloads fetch nothing again, and after
// them credentials are still refreshed, though no request asks for them.
func TestCredentialsSurviveReloads(t *testing.T) {
	sts := newSTS(t)
	sts.set("Role", func(r *role) { r.ttl = 4 * time.Second })
	up := newEndpoint(t, sts.keys("Role"), nil)
	s := startCaddy(t, reloadable(up, 0, "Role"))
	s.get("/").expect(t, 200)
	for version := 1; version <= 3; version++ {
		s.reload(reloadable(up, version, "Role"))
		s.get("/version").expect(t, 200, fmt.Sprint(version))
		s.get("/").expect(t, 200, "ASIAROLE0")
	}
	if calls := sts.callsFor("Role"); len(calls) != 1 {
		t.Errorf("STS was called %d times during three reloads, want 1", len(calls))
	}
	waitFor(t, patience, func() bool { return len(sts.callsFor("Role")) >= 3 }, "two refreshes")
	if r := s.get("/"); r.status != 200 || strings.Contains(r.body, "ASIAROLE0") {
		t.Errorf("after two refreshes: %v", r)
	}
	up.all(5)
	// Each fetch is told once, by the configuration that runs.
	s.waitForLog(`"credentials fetched"`, 3, patience)
	if n, calls := strings.Count(s.logged(), `"credentials fetched"`), len(sts.callsFor("Role")); n > calls+1 {
		t.Errorf("%d lines tell of %d fetches", n, calls+1)
	}
}

// TestBrokenReloadsLeaveNothingBehind: whatever fails while a configuration is
// loaded, the old one goes on with its credentials; and when Caddy stops, so
// does the cache.
func TestBrokenReloadsLeaveNothingBehind(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())

	sts := newSTS(t)
	up := newEndpoint(t, sts.keys("Role"), nil)
	s := startCaddy(t, reloadable(up, 0, "Role"))
	s.get("/").expect(t, 200)
	broken := map[string]string{
		"the app":          strings.Replace(reloadable(up, 1, "Role"), "from broker", "from Role", 1),
		"a handler":        reloadable(up, 1, "Role") + "http://other.example {\naws_sigv4 {\nhost search.internal\n}\n}\n",
		"a transport":      reloadable(up, 1, "Role") + "http://other.example {\nreverse_proxy search.internal {\ntransport aws_sigv4\n}\n}\n",
		"a later module":   reloadable(up, 1, "Role") + "http://other.example {\n@x header_regexp A (\nrespond @x y\n}\n",
		"authentication":   reloadable(up, 1, "Role") + "http://other.example {\naws_sigv4_auth {\nkey A {env.AWS_TEST_NOT_SET}\n}\n}\n",
		"its start":        reloadable(up, 1, "Role") + "http://:" + port + " {\nrespond x\n}\n",
		"one that is none": "{\nnonsense\n}\n",
	}
	for range 2 {
		for what, config := range broken {
			if err := s.load(config); err == nil {
				t.Fatalf("%s is broken and was loaded", what)
			}
			s.get("/version").expect(t, 200, "0")
			s.get("/").expect(t, 200, "ASIAROLE0")
		}
	}
	s.reload(reloadable(up, 2, "Role"))
	s.get("/version").expect(t, 200, "2")
	s.get("/").expect(t, 200, "ASIAROLE0")
	if calls := sts.callsFor("Role"); len(calls) != 1 {
		t.Errorf("STS was called %d times, want 1", len(calls))
	}

	// The last configuration takes the cache with it: its successor fetches.
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	s.reload(reloadable(up, 3, "Role"))
	s.get("/").expect(t, 200, "ASIAROLE1")
}

// TestBrokenFirstConfiguration: failing before anything ran is no reason to
// fail later.
func TestBrokenFirstConfiguration(t *testing.T) {
	sts := newSTS(t)
	up := newEndpoint(t, sts.keys("Role"), nil)
	for range 3 {
		if err := validate(t, strings.Replace(reloadable(up, 1, "Role"), "service es", "", 1)); err == nil {
			t.Fatal("a broken configuration was loaded")
		}
		if err := validate(t, reloadable(up, 1, "Role")); err != nil {
			t.Fatal(err)
		}
	}
	if calls := sts.callsFor("Role"); len(calls) != 0 {
		t.Errorf("validating called STS %d times", len(calls))
	}
	s := startCaddy(t, reloadable(up, 0, "Role"))
	s.get("/").expect(t, 200)
}

// TestRemovedCredentialsAreNotRefreshed: what no configuration names any more
// is let go, and what one changes is fetched anew.
func TestRemovedCredentialsAreNotRefreshed(t *testing.T) {
	sts := newSTS(t)
	sts.set("Gone", func(r *role) { r.ttl = 2 * time.Second })
	up := newEndpoint(t, sts.keys("Stays"), nil)
	s := startCaddy(t, reloadable(up, 0, "Stays", "Gone"))
	waitFor(t, patience, func() bool { return len(sts.callsFor("Gone")) == 1 }, "the first fetch")
	s.reload(strings.Replace(reloadable(up, 1, "Stays"), "id-of-Stays", "another-id", 1))
	s.get("/").expect(t, 200)
	before := len(sts.callsFor("Gone")) // One may have been under way.
	time.Sleep(2 * time.Second)
	if calls := sts.callsFor("Gone"); len(calls) > before {
		t.Errorf("STS was called %d times for credentials that were removed, want %d", len(calls), before)
	}
	calls := sts.callsFor("Stays")
	if len(calls) != 2 || calls[1].form.Get("ExternalId") != "another-id" {
		t.Errorf("STS was called for the changed credentials: %+v", calls)
	}
}
