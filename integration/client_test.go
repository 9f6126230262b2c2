package integration_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// reply is what a client got.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) String() string { return fmt.Sprintf("%d %q", r.status, r.body) }

// patience is how long a client waits for an answer: much longer than anything
// here takes, even with the race detector on a busy machine.
const patience = 20 * time.Second

// get sends a GET with a request target, byte for byte, and header lines.
func (s *server) get(target string, lines ...string) reply {
	s.t.Helper()
	return s.do("GET", target, "", lines...)
}

// do sends one request with a Content-Length if it has a body. A Host among
// the lines replaces the one of the site.
func (s *server) do(method, target, body string, lines ...string) reply {
	s.t.Helper()
	return s.exchange(requestText(method, target, s.addr(), body, lines...))
}

func requestText(method, target, host, body string, lines ...string) string {
	var b strings.Builder
	b.WriteString(method + " " + target + " HTTP/1.1\r\n")
	hasHost := false
	for _, line := range lines {
		hasHost = hasHost || strings.HasPrefix(strings.ToLower(line), "host:")
	}
	if !hasHost {
		lines = append([]string{"Host: " + host}, lines...)
	}
	if body != "" {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\n" + body)
	return b.String()
}

// exchange sends bytes over a connection of their own and reads one answer.
func (s *server) exchange(raw string) reply {
	s.t.Helper()
	return s.exchangeAt(s.addr(), raw)
}

// exchangeAt is exchange with another site of the server's.
func (s *server) exchangeAt(addr, raw string) reply {
	s.t.Helper()
	r, err := tryExchange(addr, raw)
	for err != nil && time.Since(s.loaded) < 2*time.Second {
		// Caddy resets connections that come in while it reloads.
		time.Sleep(10 * time.Millisecond)
		r, err = tryExchange(addr, raw)
	}
	if err != nil {
		s.t.Fatalf("no answer to %q: %v", raw[:min(len(raw), 300)], err)
	}
	return r
}

func tryExchange(addr, raw string) (reply, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return reply{}, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	// A server that has answered may close before it has read everything.
	go func() { _, _ = io.WriteString(c, raw) }()
	method, _, _ := strings.Cut(raw, " ")
	return readReply(bufio.NewReader(c), method)
}

func readReply(br *bufio.Reader, method string) (reply, error) {
	for {
		res, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			return reply{}, err
		}
		if res.StatusCode == http.StatusContinue {
			continue
		}
		if res.StatusCode == http.StatusSwitchingProtocols {
			return reply{status: res.StatusCode, header: res.Header}, nil
		}
		if res.StatusCode >= 400 && res.ContentLength < 0 && res.Close {
			// Go's server says so of what is no request, and closes late.
			return reply{res.StatusCode, res.Header, ""}, nil
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		return reply{res.StatusCode, res.Header, string(body)}, err
	}
}

// chunked frames a body.
func chunked(parts ...string) string {
	var b bytes.Buffer
	for _, p := range parts {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(p), p)
	}
	b.WriteString("0\r\n\r\n")
	return b.String()
}

// expect fails the test if a reply has another status, or lacks a text.
func (r reply) expect(t *testing.T, status int, texts ...string) {
	t.Helper()
	if r.status != status {
		t.Errorf("answered %v, want status %d", r, status)
		return
	}
	for _, text := range texts {
		if !strings.Contains(r.body, text) {
			t.Errorf("answered %v, want %q in it", r, text)
		}
	}
}
