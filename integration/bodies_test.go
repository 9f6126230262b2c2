package integration_test

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// TestRetriedBodiesAreWhole: a body that was read once reads as empty the
// second time, and would be signed and stored as an empty object.
func TestRetriedBodiesAreWhole(t *testing.T) {
	t.Run("in memory", func(t *testing.T) { testRetriedBodies(t, signFor("s3")) })
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Run("in a file", func(t *testing.T) { testRetriedBodies(t, signFor("s3")+"\nbody_memory 1KiB") })
	if files, _ := filepath.Glob(filepath.Join(dir, "*.body")); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
}

func testRetriedBodies(t *testing.T, options string) {
	body := strings.Repeat("body", 25_000)
	for style, configure := range styles {
		for _, framing := range []string{"Content-Length", "chunked"} {
			t.Run(style+", nobody listens, "+framing, func(t *testing.T) {
				up := newEndpoint(t, newKeyring(), nil)
				s := startCaddy(t, configure(deadAddress()+" "+up.Addr(), setup{
					options: options, host: up.Addr(),
					proxy: "lb_policy round_robin\nlb_retries 5",
				}))
				for range 8 {
					s.exchange(putText(s, framing, body)).expect(t, 200)
				}
				for _, r := range up.all(8) {
					bodyIs(body)(t, r)
				}
			})
			for _, after := range []int64{0, 1000, 50_000} {
				t.Run(fmt.Sprintf("%s, dies after %d bytes, %s", style, after, framing), func(t *testing.T) {
					// This one dies as soon as it has seen so much of a body.
					dying := newEndpoint(t, newKeyring(), func(*wireverify.Request) (wireverify.Action, bool) {
						return wireverify.Action{Die: true, BodyBytes: after}, true
					})
					up := newEndpoint(t, newKeyring(), nil)
					s := startCaddy(t, configure(dying.Addr()+" "+up.Addr(), setup{
						options: options, host: up.Addr(),
						proxy: "lb_policy first\nlb_retries 3\nfail_duration 10s\nlb_retry_match {\nmethod PUT\n}",
					}))
					r := s.exchange(putText(s, framing, body))
					if len(dying.Requests()) == 0 {
						t.Error("the first upstream was not asked")
					}
					if style == "handler alone" {
						// reverse_proxy has nothing to send a second time.
						if r.status == 200 {
							bodyIs(body)(t, up.all(1)[0])
						}
						intact(t, up, body)
						return
					}
					r.expect(t, 200)
					bodyIs(body)(t, up.all(1)[0])
				})
			}
		}
	}
}

// TestStreamedBodiesAreNotSentTwice: what is not held can't be sent again, and
// what is left of it must not be sent as if it were all. VPC Lattice takes a
// body of unknown length, in which nobody else would notice.
func TestStreamedBodiesAreNotSentTwice(t *testing.T) {
	body := strings.Repeat("body", 500_000)
	for style, configure := range styles {
		for _, service := range []string{"s3", "vpc-lattice-svcs"} {
			for _, buffers := range []string{"", "request_buffers 4MiB"} {
				for _, after := range []int64{1000, int64(len(body))} {
					t.Run(fmt.Sprintf("%s, %s, %d bytes %s", style, service, after, buffers), func(t *testing.T) {
						dying := newTLSEndpoint(t, newKeyring(), func(*wireverify.Request) (wireverify.Action, bool) {
							return wireverify.Action{Die: true, BodyBytes: after}, true
						})
						up := newTLSEndpoint(t, newKeyring(), nil)
						s := startCaddy(t, configure("https://"+dying.Addr()+" https://"+up.Addr(), setup{
							options: signFor(service) + "\npayload unsigned", host: up.Addr(), http: "tls_insecure_skip_verify",
							proxy: buffers + "\nlb_policy first\nlb_retries 3\nfail_duration 10s\nlb_retry_match {\nmethod PUT\n}",
						}))
						framing := "Content-Length"
						if service != "s3" {
							framing = "chunked"
						}
						r := s.exchange(putText(s, framing, body))
						if len(dying.Requests()) == 0 {
							t.Error("the first upstream was not asked")
						}
						intact(t, up, body)
						if buffers != "" {
							r.expect(t, 200)
						} else {
							r.expect(t, 502)
						}
					})
				}
			}
		}
	}
}

// intact fails the test if an endpoint received another body, whole.
func intact(t *testing.T, up *endpoint, body string) {
	t.Helper()
	for _, r := range up.Requests() {
		if r.Complete && string(r.Body) != body {
			t.Errorf("%s arrived with a body of %d bytes, want %d", r.Line, len(r.Body), len(body))
		}
	}
}

func putText(s *server, framing, body string, lines ...string) string {
	if framing == "chunked" {
		return requestText("PUT", "/key", s.addr(), "", append(lines, "Transfer-Encoding: chunked")...) +
			chunked(body[:len(body)/3], body[len(body)/3:])
	}
	return requestText("PUT", "/key", s.addr(), body, lines...)
}

// TestBodyLimit: 413 before anything is sent.
func TestBodyLimit(t *testing.T) {
	for style, configure := range styles {
		for _, payload := range []string{"signed", "unsigned", "auto"} {
			t.Run(style+", payload "+payload, func(t *testing.T) {
				up := newTLSEndpoint(t, newKeyring(), nil)
				s := startCaddy(t, configure("https://"+up.Addr(), setup{
					options: signFor("s3") + "\npayload " + payload + "\nbody_limit 1KiB", host: up.Addr(),
					http: "tls_insecure_skip_verify", proxy: "fail_duration 10s",
				}))
				for _, framing := range []string{"Content-Length", "chunked"} {
					s.exchange(putText(s, framing, strings.Repeat("x", 1025))).expect(t, 413)
					s.exchange(putText(s, framing, strings.Repeat("x", 100_000))).expect(t, 413)
					up.all(0)
				}
				for _, framing := range []string{"Content-Length", "chunked"} {
					s.exchange(putText(s, framing, strings.Repeat("x", 1024))).expect(t, 200)
				}
				up.all(2)
			})
		}
	}
}

// TestBodyLimitOfStreams: VPC Lattice takes a body of unknown length, which is
// cut off where it gets too long.
func TestBodyLimitOfStreams(t *testing.T) {
	for style, configure := range styles {
		t.Run(style, func(t *testing.T) {
			up := newTLSEndpoint(t, newKeyring(), nil)
			s := startCaddy(t, configure("https://"+up.Addr(), setup{
				options: signFor("vpc-lattice-svcs") + "\nbody_limit 1KiB", host: up.Addr(), http: "tls_insecure_skip_verify",
				proxy: "fail_duration 10s",
			}))
			s.exchange(putText(s, "chunked", strings.Repeat("x", 1024))).expect(t, 200)
			s.exchange(putText(s, "Content-Length", strings.Repeat("x", 1025))).expect(t, 413)
			s.exchange(putText(s, "chunked", strings.Repeat("x", 100_000))).expect(t, 413)
			if style != "handler alone" { // There, any failure is the upstream's.
				s.get("/good").expect(t, 200)
			}
			for _, r := range up.Requests() {
				if r.Complete && r.Method == "PUT" && len(r.Body) != 1024 {
					t.Errorf("a body of %d bytes arrived", len(r.Body))
				}
			}
		})
	}
}

// TestClientsCannotMakeAnUpstreamUnhealthy: what is the client's fault is
// answered, and the next request of another client gets through.
func TestClientsCannotMakeAnUpstreamUnhealthy(t *testing.T) {
	for style, configure := range styles {
		t.Run(style, func(t *testing.T) {
			up := newEndpoint(t, newKeyring(), nil)
			options := "service s3\nregion {header.X-Region}\nallow_regions eu-west-1\nbody_limit 1KiB\n" + alice
			s := startCaddy(t, configure(up.Addr(), setup{options: options, proxy: "fail_duration 10s\nmax_fails 1"}))
			const here = "X-Region: eu-west-1"
			for want, r := range map[int]reply{
				400: s.get("/?%zz", here),
				413: s.do("PUT", "/", strings.Repeat("x", 2000), here),
				403: s.get("/", "X-Region: us-east-1"),
				501: s.do("PUT", "/", "0;chunk-signature=1\r\n\r\n", here, "X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
			} {
				r.expect(t, want)
			}
			s.get("/", "X-Region: eu/west/1").expect(t, 403)
			s.get("/").expect(t, 403)
			s.exchange(requestText("PUT", "/", s.addr(), "", here, "Transfer-Encoding: chunked", "Trailer: X-T")+
				"1\r\nx\r\n0\r\nX-T: t\r\n\r\n").expect(t, 400)
			up.nothing()
			s.get("/good", here).expect(t, 200)
			up.all(1)
		})
	}
}

// TestClientThatGoesAway: a body that did not arrive is not sent.
func TestClientThatGoesAway(t *testing.T) {
	for style, configure := range styles {
		for _, payload := range []string{"signed", "unsigned"} {
			t.Run(style+", payload "+payload, func(t *testing.T) {
				up := newTLSEndpoint(t, newKeyring(), nil)
				s := startCaddy(t, configure("https://"+up.Addr(), setup{
					options: signFor("s3") + "\npayload " + payload, host: up.Addr(), http: "tls_insecure_skip_verify",
				}))
				for _, raw := range []string{
					requestText("PUT", "/key", s.addr(), "", "Content-Length: 100000") + "only this",
					requestText("PUT", "/key", s.addr(), "", "Transfer-Encoding: chunked") + "9\r\nonly this\r\n",
				} {
					c, err := net.Dial("tcp", s.addr())
					if err != nil {
						t.Fatal(err)
					}
					io.WriteString(c, raw)
					time.Sleep(20 * time.Millisecond)
					c.Close()
				}
				s.get("/good").expect(t, 200)
				for _, r := range up.Requests() {
					if r.Complete && r.Method == "PUT" {
						t.Errorf("%s arrived with a body of %d bytes", r.Line, len(r.Body))
					}
				}
			})
		}
	}
}
