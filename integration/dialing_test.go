package integration_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers every question for an IPv4 address with one of the
// addresses, in turn, and returns where it listens.
func nameServer(t *testing.T, addresses ...string) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		asked := 0
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class},
					Body:   &dnsmessage.AResource{A: [4]byte(net.ParseIP(addresses[asked%len(addresses)]).To4())},
				}}
				asked++
			}
			packed, err := m.Pack()
			if err != nil {
				continue
			}
			if _, err := conn.WriteTo(packed, from); err != nil {
				return
			}
		}
	}()
	return conn.LocalAddr().String()
}

// eavesdropper counts the bytes that a listener receives.
type eavesdropper struct {
	port  string
	bytes atomic.Int64
}

func newEavesdropper(t *testing.T) *eavesdropper {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w := &eavesdropper{port: strconv.Itoa(l.Addr().(*net.TCPAddr).Port)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 1024)
				for {
					n, err := c.Read(buf)
					w.bytes.Add(int64(n))
					if err != nil {
						return
					}
				}
			}()
		}
	}()
	return w
}

// TestWhereUpstreamsMayBe: whom the name of an upstream really leads to is
// checked, by whoever chose the name.
func TestWhereUpstreamsMayBe(t *testing.T) {
	up := newEndpoint(t, newKeyring(), nil)
	port := portOf(up)
	up.host = "files.example:" + port
	inside, metadata := nameServer(t, "127.0.0.1"), nameServer(t, "169.254.169.254")
	chosen := func(allow, resolver string) string {
		return site(setup{}, fmt.Sprintf("aws_sigv4 {\n%s\nhost {header.X-To}\nallow_hosts %s\n}\n"+
			"reverse_proxy {\ndynamic aws_sigv4\ntransport aws_sigv4 {\nresolvers %s\n}\n}", signFor("s3"), allow, resolver))
	}
	for name, tc := range map[string]struct {
		caddyfile string
		status    int
		log       string
	}{
		"the operator's name, inside": {
			site(setup{}, fmt.Sprintf("reverse_proxy files.example:%s {\ntransport aws_sigv4 {\n%s\nresolvers %s\n}\n}", port, signFor("s3"), inside)),
			200, "",
		},
		"the operator's name, metadata": {
			site(setup{}, fmt.Sprintf("reverse_proxy files.example:%s {\ntransport aws_sigv4 {\n%s\nresolvers %s\n}\n}", port, signFor("s3"), metadata)),
			502, "files.example:" + port + " is at 169.254.169.254, a link-local address, where metadata services are: nothing is ever sent there",
		},
		"the operator's name by an A record, metadata": {
			site(setup{}, fmt.Sprintf("reverse_proxy {\ndynamic a files.example %s {\nresolvers %s\n}\ntransport aws_sigv4 {\n%s\n}\n}", port, metadata, signFor("s3"))),
			502, "169.254.169.254:" + port + " is a link-local address",
		},
		"the request's choice, allowed in full": {chosen("files.example", inside), 200, ""},
		"the request's choice, allowed by a pattern": {
			chosen("*.example", inside),
			502, "files.example:" + port + " is at 127.0.0.1, a loopback address: a pattern such as *.example.com permits no loopback address",
		},
		"the request's choice, metadata": {chosen("files.example", metadata), 502, "files.example:" + port + " is at 169.254.169.254"},
		"the handler's fixed host": {
			site(setup{}, fmt.Sprintf("aws_sigv4 {\n%s\nhost files.example:%s\n}\nreverse_proxy {\ndynamic aws_sigv4\ntransport aws_sigv4 {\nresolvers %s\n}\n}",
				signFor("s3"), port, inside)),
			200, "",
		},
		"an upstream from a header, allowed by a pattern": {
			site(setup{}, fmt.Sprintf("reverse_proxy {header.X-To} {\ntransport aws_sigv4 {\n%s\nallow_hosts *.example\nresolvers %s\n}\n}", signFor("s3"), inside)),
			502, "a pattern such as *.example.com permits no loopback address",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := startCaddy(t, tc.caddyfile)
			before := len(up.Requests())
			s.get("/a", "X-To: files.example:"+port).expect(t, tc.status)
			if sent := len(up.Requests()) > before; sent != (tc.status == 200) {
				t.Errorf("sent: %v", sent)
			}
			if tc.log != "" && !strings.Contains(s.logged(), tc.log) {
				t.Errorf("the log has no %q", tc.log)
			}
		})
	}
}

// TestRebindingUpstreams: a name that leads to another address at every look-up
// never gets a byte to this machine.
func TestRebindingUpstreams(t *testing.T) {
	w := newEavesdropper(t)
	resolver := nameServer(t, "169.254.169.254", "127.0.0.1", "0.0.0.0")
	s := startCaddy(t, site(setup{}, fmt.Sprintf("aws_sigv4 {\n%s\nhost {header.X-To}\nallow_hosts *.example\n}\n"+
		"reverse_proxy {\ndynamic aws_sigv4\nlb_retries 3\ntransport aws_sigv4 {\nresolvers %s\n}\n}", signFor("s3"), resolver)))
	for range 6 {
		s.get("/a", "X-To: a.example:"+w.port).expect(t, 502)
	}
	if n := w.bytes.Load(); n != 0 {
		t.Errorf("%d bytes arrived", n)
	}
}

// TestNothingIsSentBeforeTheCheck: where Caddy itself does more with a new
// connection than open it, as with TLS after the PROXY protocol, that comes too
// late.
func TestNothingIsSentBeforeTheCheck(t *testing.T) {
	w := newEavesdropper(t)
	resolver := nameServer(t, "127.0.0.1")
	for _, version := range []string{"v1", "v2"} {
		for _, tls := range []string{"", "tls_insecure_skip_verify"} {
			s := startCaddy(t, site(setup{}, fmt.Sprintf("aws_sigv4 {\n%s\nhost {header.X-To}\nallow_hosts *.example\n}\n"+
				"reverse_proxy {\ndynamic aws_sigv4\ntransport aws_sigv4 {\nproxy_protocol %s\n%s\nresolvers %s\n}\n}", signFor("s3"), version, tls, resolver)))
			s.get("/a", "X-To: a.example:"+w.port).expect(t, 502)
			s.waitForLog("a.example:"+w.port+" is at 127.0.0.1, a loopback address", 1, patience)
		}
	}
	if n := w.bytes.Load(); n != 0 {
		t.Errorf("%d bytes arrived", n)
	}
}

// TestThroughAProxy: a proxy of the operator's may be anywhere but at a metadata
// service. It is asked for hosts that the operator wrote in some way, and not
// for addresses that they may not have.
func TestThroughAProxy(t *testing.T) {
	up := newEndpoint(t, newKeyring(), nil)
	port := portOf(up)
	up.host = "files.example:" + port
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		conn, err := net.Dial("tcp", up.Addr())
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		out := r.Clone(r.Context())
		out.Header.Del("Proxy-Connection")
		out.URL = &url.URL{Path: r.URL.Path}
		if err := out.Write(conn); err != nil {
			t.Error(err)
		}
		client, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer client.Close()
		conn.(*net.TCPConn).CloseWrite()
		io.Copy(client, conn)
	}))
	t.Cleanup(proxy.Close)
	for name, tc := range map[string]struct {
		upstream, allow string
		status          int
		log             string
	}{
		"static":       {"files.example:" + port, "", 200, ""},
		"chosen":       {"{header.X-To}", "allow_hosts files.example", 200, ""},
		"by a pattern": {"{header.X-To}", "allow_hosts *.example", 200, ""},
		"loopback":     {"{header.X-Loopback}", "allow_hosts 127.0.0.2", 200, ""},
		"metadata":     {"{header.X-Metadata}", "allow_hosts 169.254.169.254", 502, "169.254.169.254:" + port + " is a link-local address"},
	} {
		t.Run(name, func(t *testing.T) {
			up.host = "files.example:" + port
			if name == "loopback" {
				up.host = "127.0.0.2:" + port
			}
			s := startCaddy(t, site(setup{}, fmt.Sprintf("reverse_proxy %s {\ntransport aws_sigv4 {\n%s\n%s\nnetwork_proxy url %s\n}\n}",
				tc.upstream, signFor("s3"), tc.allow, proxy.URL)))
			before := asked.Load()
			s.get("/a", "X-To: files.example:"+port, "X-Loopback: 127.0.0.2:"+port, "X-Metadata: 169.254.169.254:"+port).expect(t, tc.status)
			if was := asked.Load() > before; was != (tc.status == 200) {
				t.Errorf("the proxy was asked: %v", was)
			}
			if tc.log != "" && !strings.Contains(s.logged(), tc.log) {
				t.Errorf("the log has no %q", tc.log)
			}
		})
	}
	metadata := startCaddy(t, site(setup{}, "reverse_proxy files.example:80 {\ntransport aws_sigv4 {\n"+signFor("s3")+"\nnetwork_proxy url http://169.254.169.254:3128\n}\n}"))
	metadata.get("/a").expect(t, 502)
	metadata.waitForLog("169.254.169.254:3128 is a link-local address", 1, patience)
}

// TestForwardProxyThatARequestChooses is found when the configuration is loaded.
func TestForwardProxyThatARequestChooses(t *testing.T) {
	t.Setenv("TEST_PROXY", "http://proxy.example:3128")
	for option, want := range map[string]string{
		"network_proxy url {header.X-Proxy}":                      "network_proxy: a request would choose the proxy",
		"network_proxy url http://{http.vars.proxy}.example:3128": "network_proxy: a request would choose the proxy",
		"forward_proxy_url {http.request.header.X-Proxy}":         "network_proxy: a request would choose the proxy",
		"forward_proxy_url http://proxy.example:3128":             "",
		"network_proxy url {env.TEST_PROXY}":                      "",
		"network_proxy none":                                      "",
	} {
		for upstream, placed := range map[string]string{
			"reverse_proxy": "reverse_proxy https://b.s3.eu-west-1.amazonaws.com {\ntransport aws_sigv4 {\n" + option + "\n}\n}",
			"short form":    "aws_sigv4 https://b.s3.eu-west-1.amazonaws.com {\ntransport aws_sigv4 {\n" + option + "\n}\n}",
		} {
			err := validate(t, strings.ReplaceAll(site(setup{}, placed), "<port>", ":80"))
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s, %s: got %v, want %q", upstream, option, err, want)
			}
		}
	}
	err := validateJSON(t, []byte(`{"apps": {"http": {"servers": {"s": {"listen": [":80"], "routes": [{"handle": [{"handler": "reverse_proxy",
		"upstreams": [{"dial": "b.s3.eu-west-1.amazonaws.com:443"}], "transport": {"protocol": "aws_sigv4", "tls": {}, "forward_proxy_url": "{http.request.header.X-Proxy}"}}]}]}}}}}`))
	if err == nil || !strings.Contains(err.Error(), "forward_proxy_url: a request would choose the proxy") {
		t.Errorf("forward_proxy_url in JSON: got %v", err)
	}
}

// TestUpstreamsThatCanNeverBe are found when the configuration is loaded.
func TestUpstreamsThatCanNeverBe(t *testing.T) {
	const transport = "transport aws_sigv4 {\n%s\n}\n"
	for name, tc := range map[string]struct{ caddyfile, want string }{
		"metadata":    {"reverse_proxy 169.254.169.254:80 {\n" + fmt.Sprintf(transport, signFor("s3")) + "}", "upstreams[0].dial: 169.254.169.254 is a link-local address"},
		"short form":  {"aws_sigv4 http://[fd00:ec2::254] {\n" + signFor("s3") + "\n}", "fd00:ec2::254 is the address of a metadata service"},
		"unspecified": {"aws_sigv4 http://0.0.0.0:9000 {\n" + signFor("s3") + "\n}", "0.0.0.0 is an unspecified address"},
		"HTTP/3": {
			"reverse_proxy {header.X-To} {\n" + fmt.Sprintf(transport, "versions 3\ntls\nallow_hosts files.example\n"+signFor("s3")) + "}",
			"versions: over HTTP/3 the address of an upstream that a request chooses can't be checked: write 1.1 and 2",
		},
	} {
		if err := validate(t, strings.ReplaceAll(site(setup{}, tc.caddyfile), "<port>", ":80")); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}
