package e2e_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// reply is what a client got.
type reply struct {
	status int
	header http.Header
	body   string
	head   string // as it came over the wire
}

func (r reply) String() string { return fmt.Sprintf("%d %.600q", r.status, r.body) }

// chunked is the header line of a body whose length is not known before it ends.
const chunked = "Transfer-Encoding: chunked"

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
// own idea of how a path is written. With chunked among the lines, that is how the body is sent.
func send(addr, method, target, body string, lines ...string) (reply, error) {
	r, err := sendOnce(addr, method, target, body, lines...)
	for err != nil && time.Since(time.Unix(0, lastLoad.Load())) < 2*time.Second {
		// Caddy closes connections that come in while it reloads.
		time.Sleep(10 * time.Millisecond)
		r, err = sendOnce(addr, method, target, body, lines...)
	}
	return r, err
}

func sendOnce(addr, method, target, body string, lines ...string) (reply, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return reply{}, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return reply{}, err
	}
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, target, addr)
	switch {
	case slices.Contains(lines, chunked) && body != "":
		// In two chunks, of which a server that forgets one stores half.
		first, second := body[:(len(body)+1)/2], body[(len(body)+1)/2:]
		body = fmt.Sprintf("%x\r\n%s\r\n", len(first), first)
		if second != "" {
			body += fmt.Sprintf("%x\r\n%s\r\n", len(second), second)
		}
		body += "0\r\n\r\n"
	case slices.Contains(lines, chunked):
		body = "0\r\n\r\n"
	case body != "" || method == http.MethodPut:
		head += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	for _, line := range lines {
		head += line + "\r\n"
	}
	// A server that has answered may close before it has read everything.
	go func() { _, _ = io.WriteString(c, head+"\r\n"+body) }()
	var wire bytes.Buffer
	res, err := http.ReadResponse(bufio.NewReader(io.TeeReader(c, &wire)), &http.Request{Method: method})
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	answered, _, _ := strings.Cut(wire.String(), "\r\n\r\n")
	got, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(got), answered}, err
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
