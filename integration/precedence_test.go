package integration_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestTransportKeepsItsOwnCredentials: a handler that names nobody does not
// replace whom the transport names by the machine's own identity.
func TestTransportKeepsItsOwnCredentials(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDMACHINE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "machine")
	up := newEndpoint(t, newKeyring(), nil)
	s := startCaddy(t, site(setup{}, fmt.Sprintf(`@admin path /admin
aws_sigv4 @admin {
	allow_services s3
}
reverse_proxy http://%s {
	transport aws_sigv4 {
		%s
	}
}`, up.Addr(), signFor("s3"))))
	for _, path := range []string{"/", "/admin"} {
		s.get(path).expect(t, 200)
		if by := up.last().Get("Authorization"); !strings.Contains(by, "AKIDALICE") {
			t.Errorf("%s: signed by %q, want the transport's own credentials", path, by)
		}
	}
}

// TestOperatorsHostCounts: a client that sends the very Host that header_up
// sets gets no other one signed.
func TestOperatorsHostCounts(t *testing.T) {
	const bucket = "my-bucket.s3.eu-west-1.amazonaws.com"
	for style, configure := range styles {
		if style == "handler alone" {
			continue // It signs its own host.
		}
		t.Run(style, func(t *testing.T) {
			up := newEndpoint(t, newKeyring(), nil)
			up.host = bucket
			s := startCaddy(t, configure("http://"+up.Addr(), setup{
				options: signFor("s3"), transport: "service s3\nregion eu-west-1", proxy: "header_up Host " + bucket,
			}))
			for _, host := range []string{"files.example.com", bucket, strings.ToUpper(bucket), bucket + ":8080"} {
				s.get("/other-bucket/key", "Host: "+host).expect(t, 200)
				if got := up.last().Get("Host"); got != bucket {
					t.Errorf("a client's Host %s: %s was sent and signed, want %s", host, got, bucket)
				}
			}
		})
	}
}

// TestRequestsInFlightSurviveAReload: an upload that began under a
// configuration ends under it.
func TestRequestsInFlightSurviveAReload(t *testing.T) {
	up := newEndpoint(t, newKeyring(), nil)
	config := func(n int) string {
		return styles["short form"]("http://"+up.Addr(), setup{options: signFor("s3"), proxy: fmt.Sprintf("header_up X-N %d", n)})
	}
	s := startCaddy(t, config(0))
	for i := range 8 {
		// That it may go on tells that the handler is reading the body: Caddy
		// resets connections that it has not taken yet when it reloads.
		var c net.Conn
		var answer *bufio.Reader
		waitFor(t, patience, func() bool {
			var err error
			if c, err = net.Dial("tcp", s.addr()); err != nil {
				return false
			}
			t.Cleanup(func() { c.Close() })
			_ = c.SetReadDeadline(time.Now().Add(patience))
			answer = bufio.NewReader(c)
			fmt.Fprintf(c, "PUT /key HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
			line, _ := answer.ReadString('\n')
			return line == "HTTP/1.1 100 Continue\r\n"
		}, "the word to go on before reload %d", i)
		_, _ = answer.ReadString('\n')
		fmt.Fprintf(c, "hello")
		s.reload(config(i + 1))
		fmt.Fprintf(c, "world")
		if line, err := answer.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 200 ") {
			t.Errorf("reload %d: answered %q, %v", i, line, err)
		}
	}
}

// TestNobodyTakesAnUpstreamDown: what a client is to blame for does not count
// against an upstream for everybody else.
func TestNobodyTakesAnUpstreamDown(t *testing.T) {
	for style, configure := range styles {
		if style == "handler alone" {
			continue
		}
		t.Run(style, func(t *testing.T) {
			up := newEndpoint(t, newKeyring(), nil)
			up.host = "my-bucket.s3.eu-west-1.amazonaws.com"
			s := startCaddy(t, configure("http://"+up.Addr(), setup{
				options: signFor("s3") + "\nhost {header.X-Host}\nallow_hosts *.s3.eu-west-1.amazonaws.com 127.0.0.1",
				proxy:   "fail_duration 30s\nmax_fails 1",
			}))
			const good = "X-Host: my-bucket.s3.eu-west-1.amazonaws.com"
			for _, bad := range []string{
				"X-Host: evil.example", "X-Host: my%.s3.eu-west-1.amazonaws.com", "X-Host: a|b.s3.eu-west-1.amazonaws.com",
				"X-Host: {system.hostname}.s3.eu-west-1.amazonaws.com", "X-None: x",
			} {
				if r := s.get("/", bad); r.status != 403 {
					t.Errorf("%s: answered %d, want 403", bad, r.status)
				}
				s.get("/", good).expect(t, 200)
			}
			if r := s.get("/?a=%zz", good); r.status != 400 {
				t.Errorf("a broken escape: answered %d, want 400", r.status)
			}
			s.get("/", good).expect(t, 200)
		})
	}
}

// TestPrivateBucketExample: the example lets reading through and nothing else.
func TestPrivateBucketExample(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "examples", "s3-private-bucket", "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	up := newEndpoint(t, newKeyring(), nil)
	caddyfile := regexp.MustCompile(`https://\{\$EXAMPLE_BUCKET_HOST[^}]*\} \{`).ReplaceAllLiteralString(string(text), "http://"+up.Addr()+" {\n"+signFor("s3"))
	caddyfile = regexp.MustCompile(`\{\$EXAMPLE_SITE[^}]*\}`).ReplaceAllLiteralString(caddyfile, "http://<port>")
	if !strings.Contains(caddyfile, up.Addr()) || !strings.Contains(caddyfile, "<port>") {
		t.Fatalf("the example has changed:\n%s", caddyfile)
	}
	s := startCaddy(t, caddyfile)
	s.get("/index.html").expect(t, 200)
	s.do("HEAD", "/index.html", "").expect(t, 200)
	up.all(2)
	for _, method := range []string{"PUT", "POST", "DELETE"} {
		if r := s.do(method, "/index.html", ""); r.status != 405 {
			t.Errorf("%s: answered %d, want 405", method, r.status)
		}
	}
	up.all(2)
}
