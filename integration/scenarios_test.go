package integration_test

import (
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// scenario is one thing that happens between a client and an endpoint, the
// same for all styles of configuration.
type scenario struct {
	name  string
	setup setup

	https     bool   // the upstreams
	upstreams int    // default: 1
	dead      bool   // nobody listens on the first upstream
	host      string // the Host that the endpoint serves, if it is not its address
	dial      string // before the endpoint's port, if it is not its address

	// request is what clients do. Default: one GET.
	request func(s *server) []reply

	// arrives checks what the endpoint received, besides the signature.
	arrives func(t *testing.T, r *wireverify.Request)

	// cannot says why the handler can't do it without the transport behind it;
	// "" if it can. What it can't do, endpoints have to refuse.
	cannot string
}

var bigBody = strings.Repeat("0123456789abcdef", 1<<17) // 2 MiB

var scenarios = []scenario{
	{
		name: "http upstream, odd path",
		request: func(s *server) []reply {
			return []reply{s.get("/a%2Fb/c%20d//e?b=2&a=1&z=a+b&n")}
		},
	},
	{name: "https upstream", https: true},
	{
		name:  "header_up Host",
		setup: setup{proxy: "header_up Host search.example", host: "search.example"},
		host:  "search.example",
	},
	{
		name: "header_up Host, https upstream", https: true,
		setup: setup{proxy: "header_up Host search.example:9243", host: "search.example:9243"},
		host:  "search.example:9243",
	},
	{
		name: "upstream of the request, payload unsigned", https: true,
		setup: setup{
			options: "payload unsigned\nhost search.example\nallow_hosts search.example 127.0.0.1", host: "none",
			before: "map {method} {to} {\ndefault 127.0.0.1\n}", transport: "allow_hosts search.example 127.0.0.1",
		},
		host: "search.example", dial: "{to}:",
		request: func(s *server) []reply { return []reply{s.do("PUT", "/a", "body")} },
		arrives: bodyIs("body"),
	},
	{
		name:  "option host",
		setup: setup{options: "host search.example", host: "none"},
		host:  "search.example",
	},
	{
		name: "two https upstreams", https: true, upstreams: 2,
		setup: setup{proxy: "lb_policy round_robin"},
		request: func(s *server) []reply {
			return []reply{s.get("/1"), s.get("/2"), s.get("/3"), s.get("/4")}
		},
		cannot: "it signs before an upstream is chosen",
	},
	{
		name:  "rewrite in reverse_proxy",
		setup: setup{proxy: "rewrite /in{uri}"},
		arrives: func(t *testing.T, r *wireverify.Request) {
			if r.Target != "/in/a?b=" {
				t.Errorf("%q arrived", r.Target)
			}
		},
		cannot: "reverse_proxy changes the path afterwards",
	},
	{
		name:  "method in reverse_proxy",
		setup: setup{proxy: "method PUT"},
		arrives: func(t *testing.T, r *wireverify.Request) {
			if r.Method != "PUT" {
				t.Errorf("%q arrived", r.Method)
			}
		},
		cannot: "reverse_proxy changes the method afterwards",
	},
	{
		name:    "method GET in reverse_proxy drops the body",
		setup:   setup{proxy: "method GET"},
		request: func(s *server) []reply { return []reply{s.do("PUT", "/a", "body")} },
		arrives: func(t *testing.T, r *wireverify.Request) {
			if len(r.Body) > 0 || r.Method != "GET" || len(r.Values("Content-Length")) > 0 {
				t.Errorf("%q arrived with the body %q", r.Line, r.Body)
			}
		},
		cannot: "reverse_proxy changes the method afterwards",
	},
	{
		name:  "header_up removes a signed header",
		setup: setup{proxy: "header_up -X-Amz-Meta-A"},
		request: func(s *server) []reply {
			return []reply{s.get("/", "X-Amz-Meta-A: 1", "X-Amz-Meta-B: 2")}
		},
		arrives: func(t *testing.T, r *wireverify.Request) {
			if r.Get("X-Amz-Meta-A") != "" || r.Get("X-Amz-Meta-B") != "2" {
				t.Errorf("arrived with %v", r.Headers)
			}
		},
		cannot: "reverse_proxy changes headers afterwards",
	},
	{
		name:  "header_up adds a header that must be signed",
		setup: setup{proxy: "header_up X-Amz-Meta-A {method}"},
		arrives: func(t *testing.T, r *wireverify.Request) {
			if r.Get("X-Amz-Meta-A") != "GET" {
				t.Errorf("arrived with %v", r.Headers)
			}
		},
		cannot: "reverse_proxy changes headers afterwards",
	},
	{
		name: "a client's Connection names the signature's headers",
		request: func(s *server) []reply {
			return []reply{s.get("/",
				"Connection: X-Amz-Date, Authorization", "Connection: x-amz-security-token,host , x-amz-content-sha256",
				"X-Amz-Meta-A: 1")}
		},
	},
	{
		name: "a client's Connection names a header that would be signed",
		request: func(s *server) []reply {
			return []reply{s.get("/", "Connection: x-amz-meta-a", "X-Amz-Meta-A: 1", "Content-Type: text/plain")}
		},
		arrives: func(t *testing.T, r *wireverify.Request) {
			if r.Get("X-Amz-Meta-A") != "" {
				t.Errorf("arrived with %v", r.Headers)
			}
		},
	},
	{
		name: "headers of all kinds",
		request: func(s *server) []reply {
			return []reply{s.get("/", "X-Amz-Meta-A:   two   blanks  ", "x-amz-meta-a: again", "X-AMZ-META-EMPTY:",
				"X-Amz-Meta-Utf8: é", "x-amz-tagging: a=b&c=d", "Content-Type: text/html; charset=\"utf-8\"", "X-Amzn-Trace-Id: Root=1",
				"Cookie: a=b", "Te: trailers", "Accept-Encoding: identity", "Range: bytes=0-", "If-Match: \"x\"", "X_Amz_Under: score")}
		},
	},
	{
		name:  "sign_headers",
		setup: setup{options: "sign_headers + x-api-version x-missing"},
		request: func(s *server) []reply {
			return []reply{s.get("/", "X-Api-Version: 1", "X-Api-Version:  2  3", "Content-Type: text/plain")}
		},
		arrives: func(t *testing.T, r *wireverify.Request) {
			if a := r.Get("Authorization"); !strings.Contains(a, "SignedHeaders=content-type;host;x-a") || !strings.Contains(a, ";x-api-version,") {
				t.Errorf("arrived with %s", a)
			}
		},
	},
	{
		name: "PUT",
		request: func(s *server) []reply {
			return []reply{s.do("PUT", "/key", "hello", "Content-Type: text/plain", "Content-MD5: XUFAKrxLKna5cZ2REBfFkg==")}
		},
		arrives: bodyIs("hello"),
	},
	{
		name:    "PUT of 2 MiB",
		request: func(s *server) []reply { return []reply{s.do("PUT", "/key", bigBody)} },
		arrives: bodyIs(bigBody),
	},
	{
		name: "PUT of 2 MiB, https upstream", https: true,
		request: func(s *server) []reply { return []reply{s.do("PUT", "/key", bigBody)} },
		arrives: bodyIs(bigBody),
	},
	{
		name: "PUT, payload unsigned, https upstream", https: true,
		setup:   setup{options: "payload unsigned"},
		request: func(s *server) []reply { return []reply{s.do("PUT", "/key", "hello")} },
		arrives: func(t *testing.T, r *wireverify.Request) {
			bodyIs("hello")(t, r)
			if h := r.Get("X-Amz-Content-Sha256"); h != "UNSIGNED-PAYLOAD" {
				t.Errorf("X-Amz-Content-Sha256 is %q", h)
			}
		},
	},
	{
		name: "PUT with an empty body",
		request: func(s *server) []reply {
			return []reply{s.do("PUT", "/key", "", "Content-Length: 0")}
		},
		arrives: bodyIs(""),
	},
	{
		name: "PUT, chunked",
		request: func(s *server) []reply {
			return []reply{s.exchange(requestText("PUT", "/key", s.addr(), "", "Transfer-Encoding: chunked") + chunked("hel", "lo"))}
		},
		arrives: func(t *testing.T, r *wireverify.Request) {
			bodyIs("hello")(t, r)
			if r.Chunked {
				t.Error("arrived chunked, which S3 refuses")
			}
		},
	},
	{
		name: "PUT, chunked, payload unsigned, https upstream", https: true,
		setup: setup{options: "payload unsigned"},
		request: func(s *server) []reply {
			return []reply{s.exchange(requestText("PUT", "/key", s.addr(), "", "Transfer-Encoding: chunked") + chunked("hel", "lo"))}
		},
		arrives: bodyIs("hello"),
	},
	{
		name: "PUT that waits for 100 Continue",
		request: func(s *server) []reply {
			return []reply{s.do("PUT", "/key", "hello", "Expect: 100-continue")}
		},
		arrives: bodyIs("hello"),
	},
	{
		name: "HEAD, DELETE, OPTIONS, PATCH",
		request: func(s *server) []reply {
			return []reply{s.do("HEAD", "/", ""), s.do("DELETE", "/", ""), s.do("OPTIONS", "/", ""), s.do("PATCH", "/", "{}")}
		},
	},
	{
		name: "PUT, dead upstream, retry", upstreams: 2, dead: true,
		setup:   setup{proxy: "lb_policy first\nlb_retries 2\nfail_duration 10s"},
		request: func(s *server) []reply { return []reply{s.do("PUT", "/key", "hello")} },
		arrives: bodyIs("hello"),
	},
	{
		name: "PUT, chunked, dead upstream, retry", upstreams: 2, dead: true,
		setup: setup{proxy: "lb_policy first\nlb_retries 2\nfail_duration 10s"},
		request: func(s *server) []reply {
			return []reply{s.exchange(requestText("PUT", "/key", s.addr(), "", "Transfer-Encoding: chunked") + chunked("hel", "lo"))}
		},
		arrives: bodyIs("hello"),
	},
	{
		name: "PUT, dead upstream, retry, request_buffers", upstreams: 2, dead: true,
		setup:   setup{proxy: "lb_policy first\nlb_retries 2\nfail_duration 10s\nrequest_buffers 1MiB"},
		request: func(s *server) []reply { return []reply{s.do("PUT", "/key", "hello")} },
		arrives: bodyIs("hello"),
	},
	{
		name: "PUT unsigned, dead upstream, retry", upstreams: 2, dead: true, https: true,
		setup:   setup{options: "payload unsigned", proxy: "lb_policy first\nlb_retries 2\nfail_duration 10s"},
		request: func(s *server) []reply { return []reply{s.do("PUT", "/key", "hello")} },
		arrives: bodyIs("hello"),
	},
	{
		name: "WebSocket over HTTP/1.1",
		request: func(s *server) []reply {
			return []reply{s.upgrade("/socket?b&a", "ping")}
		},
		arrives: func(t *testing.T, r *wireverify.Request) {
			if !strings.EqualFold(r.Get("Upgrade"), "websocket") || r.Get("Sec-WebSocket-Key") == "" {
				t.Errorf("arrived with %v", r.Headers)
			}
		},
	},
	{
		name:  "active health checks",
		setup: setup{proxy: "health_uri /health\nhealth_interval 20ms\nlb_try_duration 1s"},
		request: func(s *server) []reply {
			s.t.Helper()
			s.waitForChecks()
			return []reply{s.get("/a")}
		},
		cannot: "health checks pass through no handler",
	},
	{
		name:    "HTTP/3 client",
		request: func(s *server) []reply { return []reply{s.h3("GET", "/a%2Fb//c?z&a", "")} },
		setup:   setup{tls: new(testCertificate)},
	},
	{
		name:    "HTTP/3 client, PUT",
		request: func(s *server) []reply { return []reply{s.h3("PUT", "/key", "hello")} },
		setup:   setup{tls: new(testCertificate)},
		arrives: bodyIs("hello"),
	},
	{
		name: "HTTP/2 client",
		request: func(s *server) []reply {
			return []reply{s.h2("GET", "/a%2Fb//c?z&a", ""), s.h2("PUT", "/key", "hello")}
		},
		setup: setup{tls: new(testCertificate)},
	},
	{
		name:    "WebSocket over HTTP/3",
		request: func(s *server) []reply { return []reply{s.h3WebSocket("/socket", "ping")} },
		setup:   setup{tls: new(testCertificate)},
		arrives: func(t *testing.T, r *wireverify.Request) {
			if r.Method != "GET" || !strings.EqualFold(r.Get("Upgrade"), "websocket") {
				t.Errorf("%q arrived with %v", r.Line, r.Headers)
			}
		},
	},
}

func bodyIs(want string) func(*testing.T, *wireverify.Request) {
	return func(t *testing.T, r *wireverify.Request) {
		if string(r.Body) != want {
			t.Errorf("%s arrived with a body of %d bytes, want %d", r.Line, len(r.Body), len(want))
		}
	}
}

// TestScenarios plays every scenario with every style of configuration: the
// transport, with a handler before it or in the short form, gets all of them
// right; the handler alone those that it can, and what it can't is refused by
// the endpoint, never accepted with another meaning.
func TestScenarios(t *testing.T) {
	for _, sc := range scenarios {
		for style, configure := range styles {
			for _, service := range []string{"s3", "execute-api"} {
				t.Run(sc.name+"/"+style+"/"+service, func(t *testing.T) { sc.run(t, style, service, configure) })
			}
		}
	}
}

func (sc scenario) run(t *testing.T, style, service string, configure func(string, setup) string) {
	var ups []*endpoint
	var addresses []string
	scheme := ""
	set := sc.setup
	set.options = signFor(service) + "\n" + set.options
	set.transport = signFor(service) + "\n" + set.transport
	listen := newEndpoint
	if sc.https {
		listen, scheme = newTLSEndpoint, "https://"
		set.http = "tls_insecure_skip_verify"
	}
	if set.tls != nil {
		set.tls = certificate(t)
	}
	for i := range max(sc.upstreams, 1) {
		if sc.dead && i == 0 {
			addresses = append(addresses, scheme+deadAddress())
			continue
		}
		up := listen(t, newKeyring(), echoUpgrades)
		up.host = sc.host
		ups = append(ups, up)
		if sc.dial != "" {
			addresses = append(addresses, sc.dial+portOf(up))
			continue
		}
		addresses = append(addresses, scheme+up.Addr())
	}
	if set.host == "" && sc.host == "" {
		set.host = ups[0].Addr()
	}
	s := startCaddy(t, configure(strings.Join(addresses, " "), set))
	s.checks = func() int { return len(ups[0].Requests()) }
	replies := []reply{}
	if sc.request == nil {
		replies = append(replies, s.get("/a?b"))
	} else {
		replies = sc.request(s)
	}
	if sc.cannot != "" && style == "handler alone" {
		sc.refused(t, ups, replies)
		return
	}
	for _, r := range replies {
		if r.status != 200 && r.status != 101 {
			t.Errorf("answered %v", r)
		}
	}
	arrived := 0
	for _, up := range ups {
		requests := up.Requests()
		arrived += len(requests)
		for _, r := range up.all(len(requests)) {
			if sc.arrives != nil {
				sc.arrives(t, r)
			}
		}
		if len(requests) == 0 {
			t.Error("an endpoint received nothing")
		}
		if broken := up.Malformed(); len(broken) > 0 {
			t.Errorf("what is no request arrived: %v", broken)
		}
	}
	if arrived < len(replies) {
		t.Errorf("%d requests arrived, want %d", arrived, len(replies))
	}
}

// refused expects that what the handler alone can't do comes to nothing: some
// request is refused, and whatever was answered 200 was rightly signed.
func (sc scenario) refused(t *testing.T, ups []*endpoint, replies []reply) {
	t.Helper()
	failed := 0
	for _, r := range replies {
		if r.status == 403 || r.status == 503 {
			failed++
		} else if r.status != 200 {
			t.Errorf("answered %v", r)
		}
	}
	verified := 0
	for _, up := range ups {
		for _, r := range up.Requests() {
			if _, err := up.verify(r); err == nil {
				verified++
			}
		}
	}
	if failed == 0 || verified != len(replies)-failed {
		t.Errorf("%d of %d requests failed, and %d were verified, although %s", failed, len(replies), verified, sc.cannot)
	}
}

// echoUpgrades answers upgrades that are rightly signed, as all else is.
func echoUpgrades(head *wireverify.Request) (wireverify.Action, bool) {
	return wireverify.Action{Echo: true}, head.Get("Upgrade") != ""
}

// TestScenariosCoverStyles: no style may lose its rows.
func TestScenariosCoverStyles(t *testing.T) {
	cannot := 0
	for _, sc := range scenarios {
		if sc.cannot != "" {
			cannot++
		}
	}
	t.Logf("%d scenarios in %d styles; the handler alone can't do %d", len(scenarios), len(styles), cannot)
	if len(styles) != 4 {
		t.Errorf("%d styles, want 4", len(styles))
	}
}
