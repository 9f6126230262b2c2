package wireverify

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func listen(t *testing.T, config *tls.Config, decide func(*Request) Action) *Server {
	t.Helper()
	s, err := Listen("127.0.0.1:0", config, decide)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// exchange sends bytes over a connection of its own and returns all that comes
// back until the server closes it, or for a moment.
func exchange(t *testing.T, s *Server, raw string) string {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, raw)
	c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	answer, _ := io.ReadAll(c)
	return string(answer)
}

func TestServerKeepsBytesAsTheyCame(t *testing.T) {
	s := listen(t, nil, func(*Request) Action {
		return Action{Respond: func(r *Request) Response {
			return Response{Status: 201, Headers: []Header{{"x-One", "1"}}, Body: string(r.Body)}
		}}
	})
	answer := exchange(t, s, "PUT /%2f?b&a HTTP/1.1\r\nhoST: h\r\nX-A:  v \r\nTransfer-Encoding: chunked\r\n\r\n"+
		"3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: t\r\n\r\n"+
		"HEAD / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
	if !strings.HasPrefix(answer, "HTTP/1.1 201 status\r\nContent-Length: 5\r\n") || !strings.Contains(answer, "x-One: 1\r\n\r\nabcdeHTTP/1.1 201") {
		t.Errorf("answered %q", answer)
	}
	requests := s.Wait(2, time.Second)
	if len(requests) != 2 {
		t.Fatalf("%d requests, want 2", len(requests))
	}
	first, second := requests[0], requests[1]
	if first.Line != "PUT /%2f?b&a HTTP/1.1" || string(first.Body) != "abcde" || !first.Chunked || !first.Complete ||
		!slices.Equal(first.Headers[:2], []Header{{"hoST", "h"}, {"X-A", "v"}}) || !slices.Equal(first.Trailers, []Header{{"X-T", "t"}}) {
		t.Errorf("first request: %+v", first)
	}
	if second.Method != "HEAD" || string(second.Body) != "hi" || second.Connection != first.Connection {
		t.Errorf("second request: %+v", second)
	}
}

func TestServerDiesAndHangs(t *testing.T) {
	for name, tt := range map[string]struct {
		do       Action
		body     string
		complete bool
	}{
		"before the body":  {Action{Die: true}, "", false},
		"within the body":  {Action{Die: true, BodyBytes: 2}, "he", false},
		"instead of reply": {Action{Hang: true}, "hello", true},
	} {
		for framing, body := range map[string]string{
			"Content-Length: 5":          "hello",
			"Transfer-Encoding: chunked": "5\r\nhello\r\n0\r\n\r\n",
		} {
			t.Run(name+", "+framing, func(t *testing.T) {
				s := listen(t, nil, func(*Request) Action { return tt.do })
				if answer := exchange(t, s, "PUT / HTTP/1.1\r\nHost: h\r\n"+framing+"\r\n\r\n"+body); answer != "" {
					t.Errorf("answered %q", answer)
				}
				requests := s.Wait(1, time.Second)
				if len(requests) != 1 || string(requests[0].Body) != tt.body || requests[0].Complete != tt.complete {
					t.Errorf("requests: %+v", requests)
				}
			})
		}
	}
}

func TestServerEchoes(t *testing.T) {
	s := listen(t, nil, func(*Request) Action { return Action{Echo: true} })
	answer := exchange(t, s, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nping")
	if !strings.HasPrefix(answer, "HTTP/1.1 101 ") || !strings.HasSuffix(answer, "Upgrade: websocket\r\n\r\nping") {
		t.Errorf("answered %q", answer)
	}
}

func TestServerRefusesWhatIsNoRequest(t *testing.T) {
	s := listen(t, nil, func(*Request) Action { t.Error("asked"); return Action{} })
	if answer := exchange(t, s, "GET  / HTTP/1.1\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
		t.Errorf("answered %q", answer)
	}
	if broken := s.Malformed(); len(broken) != 1 || len(s.Requests()) != 0 {
		t.Errorf("malformed: %v, requests: %v", broken, s.Requests())
	}
}

func TestServerWithTLS(t *testing.T) {
	cert, certPEM, _, err := NewCertificate("endpoint.test", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	s := listen(t, &tls.Config{Certificates: []tls.Certificate{cert}}, func(*Request) Action { return Action{} })
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer client.CloseIdleConnections()
	res, err := client.Get("https://" + s.Addr() + "/x")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if r := s.Requests(); len(r) != 1 || !r[0].TLS || r[0].Target != "/x" {
		t.Errorf("requests: %+v", r)
	}
}
