package integration_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// clientTLS trusts the certificate of the tests' sites.
func clientTLS(t *testing.T) *tls.Config {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate(t).pem)
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

// h2 sends a request over HTTP/2.
func (s *server) h2(method, target, body string) reply {
	s.t.Helper()
	tr := &http.Transport{TLSClientConfig: clientTLS(s.t), ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	return s.roundTrip(tr, "HTTP/2.0", method, target, body)
}

// h3 sends a request over HTTP/3.
func (s *server) h3(method, target, body string) reply {
	s.t.Helper()
	tr := &http3.Transport{TLSClientConfig: clientTLS(s.t)}
	defer tr.Close()
	return s.roundTrip(tr, "HTTP/3.0", method, target, body)
}

func (s *server) roundTrip(tr http.RoundTripper, proto, method, target, body string) reply {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, "https://"+s.addr()+target, content)
	if err != nil {
		s.t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(s.addr())
	req.Host = "localhost:" + port
	res, err := tr.RoundTrip(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, target, err)
	}
	defer res.Body.Close()
	if res.Proto != proto {
		s.t.Errorf("%s was spoken, want %s", res.Proto, proto)
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(text)}
}

// upgrade opens a WebSocket over HTTP/1.1, sends a text, and expects it back.
func (s *server) upgrade(target, text string) reply {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr())
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, requestText("GET", target, s.addr(), "", "Connection: keep-alive, Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
	br := bufio.NewReader(c)
	r, err := readReply(br, "GET")
	if err != nil {
		s.t.Fatal(err)
	}
	if r.status != 101 {
		return r
	}
	io.WriteString(c, text)
	s.expectEcho(br, text)
	c.(*net.TCPConn).CloseWrite()
	s.expectEnd(br)
	return r
}

func (s *server) expectEcho(from io.Reader, text string) {
	s.t.Helper()
	echo := make([]byte, len(text))
	if _, err := io.ReadFull(from, echo); err != nil || string(echo) != text {
		s.t.Errorf("the socket echoed %q, %v; want %q", echo, err, text)
	}
}

// expectEnd waits until the other side has ended a socket, too: Caddy writes to
// one that is open while it stops, and races with itself.
func (s *server) expectEnd(from io.Reader) {
	s.t.Helper()
	if rest, err := io.ReadAll(from); err != nil || len(rest) > 0 {
		s.t.Errorf("the socket ended with %q, %v", rest, err)
	}
}

// h3WebSocket opens a WebSocket by extended CONNECT over HTTP/3, RFC 9220.
func (s *server) h3WebSocket(target, text string) reply {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	config := clientTLS(s.t)
	config.NextProtos = []string{http3.NextProtoH3}
	conn, err := quic.DialAddr(ctx, s.addr(), config, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.CloseWithError(0, "")
	client := (&http3.Transport{}).NewClientConn(conn)
	stream, err := client.OpenRequestStream(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodConnect, "https://localhost"+target, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Proto = "websocket"
	req.Header.Set("Sec-WebSocket-Version", "13")
	if err := stream.SendRequestHeader(req); err != nil {
		s.t.Fatal(err)
	}
	res, err := stream.ReadResponse()
	if err != nil {
		s.t.Fatal(err)
	}
	r := reply{status: res.StatusCode, header: res.Header}
	if res.StatusCode != 200 {
		b, _ := io.ReadAll(res.Body)
		r.body = string(b)
		return r
	}
	if _, err := stream.Write([]byte(text)); err != nil {
		s.t.Fatal(err)
	}
	s.expectEcho(res.Body, text)
	stream.Close()
	s.expectEnd(res.Body)
	return r
}
