package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// peer is an STS helper of somebody else's: it knows one key, and hands out a
// session for every role, with which endpoints verify.
type peer struct {
	*httptest.Server
	keys *keyring

	mu     sync.Mutex
	asked  []map[string]string
	status int // to answer instead; 0 answers sessions
}

const peerKey = "peer-key-0123456789abcdef"

func newPeer(t *testing.T) *peer {
	t.Helper()
	p := &peer{keys: newKeyring()}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/assume-role" {
			http.NotFound(w, r)
			return
		}
		if r.Header.Get("X-Api-Key") != peerKey {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"error":"invalid_api_key"}`)
			return
		}
		var q map[string]string
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || len(q) != 4 {
			t.Errorf("asked %v, %v", q, err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked = append(p.asked, q)
		if p.status != 0 {
			w.WriteHeader(p.status)
			fmt.Fprintf(w, `{"error":"assume_role_failed"}`)
			return
		}
		_, name, _ := strings.Cut(q["role_arn"], "role/")
		id := fmt.Sprintf("ASIA%s%d", strings.ToUpper(name), len(p.asked))
		key := wireverify.Key{Secret: "secret/of+" + id, Token: "token/of+" + id + "=="}
		p.keys.add(id, key)
		fmt.Fprintf(w, `{"accessKeyId":%q,"secretAccessKey":%q,"sessionToken":%q,"expiresAt":%q}`, id, key.Secret, key.Token, time.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05.000Z"))
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *peer) questions() []map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func (p *peer) answer(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
}

func (p *peer) source(role, options string) string {
	return "sts_helper " + p.URL + "/assume-role {\nrole_arn " + role + "\n" + options + "\n}"
}

// TestSessionsFromAnSTSHelper: what comes from a helper signs, in every style
// of configuration, fetched once.
func TestSessionsFromAnSTSHelper(t *testing.T) {
	for name, configure := range styles {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t)
			up := newEndpoint(t, p.keys, nil)
			s := startCaddy(t, configure(up.Addr(), setup{
				options: "service s3\nregion eu-west-1\ncredentials acme",
				host:    up.Addr(),
				global:  "aws_sigv4 {\ncredentials acme " + p.source(arn("Acme"), "external_id acme:1\nregion eu-west-1\nservice s3\napi_key "+peerKey) + "\n}\n",
			}))
			for range 3 {
				s.do("PUT", "/a//b", "body").expect(t, 200, "ASIAACME1 signed for s3 in eu-west-1")
			}
			up.all(3)
			asked := p.questions()
			if len(asked) != 1 || fmt.Sprint(asked[0]) != fmt.Sprint(map[string]string{"role_arn": arn("Acme"), "external_id": "acme:1", "region": "eu-west-1", "service": "s3"}) {
				t.Errorf("asked %v", asked)
			}
		})
	}
}

// TestRolesThatARequestNamesToAnSTSHelper: allow_roles decides before the helper
// is asked.
func TestRolesThatARequestNamesToAnSTSHelper(t *testing.T) {
	p := newPeer(t)
	up := newEndpoint(t, p.keys, nil)
	config := func(allow string) string {
		return site(setup{}, "aws_sigv4 "+up.Addr()+" {\nservice s3\nregion eu-west-1\ncredentials "+p.source(arn("{header.X-Role}"), "api_key "+peerKey)+"\n"+allow+"\n}")
	}
	wantError(t, validate(t, strings.ReplaceAll(config(""), "<port>", ":80")), "is filled from the request: say with allow_roles which roles it may name")
	s := startCaddy(t, config("allow_roles "+arn("Team*")))
	s.get("/", "X-Role: TeamA").expect(t, 200, "ASIATEAMA1")
	s.get("/", "X-Role: TeamB").expect(t, 200, "ASIATEAMB2")
	s.get("/", "X-Role: TeamA").expect(t, 200, "ASIATEAMA1")
	s.get("/", "X-Role: Admin").expect(t, 403)
	s.get("/", "X-Role: Team/Admin").expect(t, 403)
	s.get("/", "X-Role: a b").expect(t, 403)
	s.get("/").expect(t, 403)
	if n := len(p.questions()); n != 2 {
		t.Errorf("asked %d times", n)
	}
	up.all(3)
}

// TestFailuresOfAnSTSHelper: nothing is forwarded, clients learn nothing, and the
// log has what to do and no secret.
func TestFailuresOfAnSTSHelper(t *testing.T) {
	p := newPeer(t)
	up := newEndpoint(t, p.keys, nil)
	gone := httptest.NewServer(nil)
	gone.Close()
	host := strings.TrimPrefix(p.URL, "http://")
	for name, tc := range map[string]struct {
		source string
		answer int
		status int
		log    string
	}{
		"wrong key":  {p.source(arn("Acme"), "api_key top-secret-key"), 0, 502, "STS helper " + host + ": HTTP 401: invalid_api_key: write the key, password or token that it knows"},
		"no key":     {p.source(arn("Acme"), ""), 0, 502, "HTTP 401: invalid_api_key: nothing was sent to authenticate"},
		"wrong path": {"sts_helper " + p.URL + "/ {\nrole_arn " + arn("Acme") + "\n}", 0, 502, "HTTP 404: write the full URL; with many helpers its path is /assume-role"},
		"fails":      {p.source(arn("Acme"), "api_key "+peerKey), 500, 503, "HTTP 500: assume_role_failed"},
		"denied":     {p.source(arn("Acme"), "api_key "+peerKey), 403, 502, "HTTP 403: assume_role_failed: it, or AWS, does not permit this role"},
		"gone":       {"sts_helper " + gone.URL + "/assume-role {\nrole_arn " + arn("Acme") + "\napi_key top-secret-key\n}", 0, 503, "connection refused"},
		"metadata":   {"sts_helper http://169.254.169.254/assume-role {\nrole_arn " + arn("Acme") + "\ninsecure\n}", 0, 502, "169.254.169.254:80 is a link-local address, where metadata services are: nothing is ever sent there"},
	} {
		t.Run(name, func(t *testing.T) {
			p.answer(tc.answer)
			s := startCaddy(t, site(setup{}, "aws_sigv4 "+up.Addr()+" {\nservice s3\nregion eu-west-1\ncredentials "+tc.source+"\n}"))
			r := s.get("/a")
			r.expect(t, tc.status)
			if strings.Contains(r.body, "helper") {
				t.Errorf("the client is told %q", r.body)
			}
			s.waitForLog(tc.log, 1, patience)
			if log := s.logged(); strings.Contains(log, "top-secret-key\"") && !strings.Contains(log, "stands literally") || strings.Contains(log, peerKey) {
				t.Error("a secret is in the log")
			}
		})
	}
	up.nothing()
}

// TestOurHelperAndOurClient: a Caddy that asks a helper which is the same Caddy, and
// STS at its end.
func TestOurHelperAndOurClient(t *testing.T) {
	sts := newSTS(t)
	up := newEndpoint(t, sts.keys("Acme"), nil)
	s := startCaddy(t, "{\naws_sigv4 {\ncredentials broker "+brokerSource+"\n}\n}\n"+
		"http://<site2> {\naws_sts_helper {\ncredentials broker\n"+acmeKey+"\n}\n}\n"+
		"http://<site> {\naws_sigv4 "+up.Addr()+" {\nservice s3\nregion eu-west-1\ncredentials sts_helper http://<site2>/assume-role {\n"+
		"role_arn "+arn("{header.X-Role}")+"\nexternal_id acme:1\nbearer "+helperKey+"\n}\nallow_roles "+arn("*")+"\n}\n}\n")
	s.do("PUT", "/a", "body", "X-Role: Acme").expect(t, 200, "ASIAACME0 signed for s3")
	s.get("/a", "X-Role: Acme").expect(t, 200, "ASIAACME0")
	up.all(2)
	if calls := sts.callsFor("Acme"); len(calls) != 1 || calls[0].form.Get("ExternalId") != "acme:1" {
		t.Errorf("STS was called with %+v", calls)
	}
	s.get("/a", "X-Role: Other").expect(t, 502)
	s.waitForLog("field role_arn", 1, patience)
	sts.set("AcmeDenied", func(r *role) { r.code = "AccessDenied" })
	s.get("/a", "X-Role: AcmeDenied").expect(t, 502)
	s.waitForLog("HTTP 403: assume_role_failed: AccessDenied: said the fake STS (request ID r)", 1, patience)
}

// TestRolesThatAreAssumedFromAnSTSHelper: a helper's session may be the broker of a
// role, with a role's limits.
func TestRolesThatAreAssumedFromAnSTSHelper(t *testing.T) {
	sts, p := newSTS(t), newPeer(t)
	p.keys = sts.brokers
	up := newEndpoint(t, sts.keys("Acme"), nil)
	config := func(duration string) string {
		return site(setup{global: "aws_sigv4 {\ncredentials hub " + p.source(arn("Hub"), "api_key "+peerKey) + "\n" +
			"credentials acme assume_role " + arn("Acme") + " {\nfrom hub\nduration " + duration + "\n}\n}\n"},
			"aws_sigv4 "+up.Addr()+" {\nservice s3\nregion eu-west-1\ncredentials acme\n}")
	}
	wantError(t, validate(t, strings.ReplaceAll(config("2h"), "<port>", ":80")), "AWS limits a role that is assumed with another role's credentials to 1h")
	s := startCaddy(t, config("1h"))
	s.get("/").expect(t, 200, "ASIAACME0")
	if calls := sts.callsFor("Acme"); len(calls) != 1 || calls[0].by != "ASIAHUB1" {
		t.Errorf("STS was called with %+v", calls)
	}
}

// TestReloadsKeepSessionsOfAnSTSHelper: what is configured the same is not fetched
// again, and another key is.
func TestReloadsKeepSessionsOfAnSTSHelper(t *testing.T) {
	p := newPeer(t)
	up := newEndpoint(t, p.keys, nil)
	config := func(options string) string {
		return site(setup{global: "aws_sigv4 {\ncredentials acme " + p.source(arn("Acme"), options) + "\n}\n"},
			"aws_sigv4 "+up.Addr()+" {\nservice s3\nregion eu-west-1\ncredentials acme\n}")
	}
	t.Setenv("TEST_HELPER_KEY", peerKey)
	s := startCaddy(t, config("api_key {env.TEST_HELPER_KEY}"))
	s.get("/").expect(t, 200, "ASIAACME1")
	for range 3 {
		s.reload(config("api_key {env.TEST_HELPER_KEY}"))
		s.get("/").expect(t, 200, "ASIAACME1")
	}
	s.reload(config("api_key " + peerKey)) // The same key from another place.
	s.get("/").expect(t, 200, "ASIAACME1")
	s.reload(config("timeout 5s\napi_key {env.TEST_HELPER_KEY}"))
	s.get("/").expect(t, 200, "ASIAACME2")
	t.Setenv("TEST_HELPER_KEY", "another")
	s.reload(config("api_key {env.TEST_HELPER_KEY}"))
	s.get("/").expect(t, 502)
}
