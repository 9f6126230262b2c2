package e2e_test

import (
	"bufio"
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

func (r reply) String() string { return fmt.Sprintf("%d %.600q", r.status, r.body) }

// patience is how long a client waits for an answer: much longer than anything here takes, even with the race detector
// on a busy machine.
const patience = 30 * time.Second

// do sends one request to the site, with a target that is written as it stands, and header lines.
func (b *bed) do(method, target, body string, lines ...string) reply {
	b.t.Helper()
	r, err := send(b.site, method, target, body, lines...)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, target, err)
	}
	return r
}

// send sends one request over a connection of its own. It writes the bytes itself, since every client library has its
// own idea of how a path is written.
func send(addr, method, target, body string, lines ...string) (reply, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return reply{}, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return reply{}, err
	}
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, target, addr)
	if body != "" || method == http.MethodPut {
		head += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	for _, line := range lines {
		head += line + "\r\n"
	}
	// A server that has answered may close before it has read everything.
	go func() { _, _ = io.WriteString(c, head+"\r\n"+body) }()
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(got)}, err
}

// expect fails the test if a reply has another status, or lacks a text.
func (r reply) expect(t *testing.T, what string, status int, texts ...string) {
	t.Helper()
	if r.status != status {
		t.Errorf("%s: answered %v, want status %d", what, r, status)
		return
	}
	for _, text := range texts {
		if !strings.Contains(r.body, text) {
			t.Errorf("%s: answered %v, want %q in it", what, r, text)
		}
	}
}
