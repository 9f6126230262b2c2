package integration_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestWebSocketOverHTTP2 runs this test binary once more, since Go's HTTP/2
// server only takes extended CONNECT, RFC 8441, if a setting says so when the
// program starts.
func TestWebSocketOverHTTP2(t *testing.T) {
	if strings.Contains(os.Getenv("GODEBUG"), "http2xconnect=1") {
		testWebSocketOverHTTP2(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestWebSocketOverHTTP2$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), "GODEBUG=http2xconnect=1")
	out, err := cmd.CombinedOutput()
	if err != nil || bytes.Count(out, []byte("--- PASS: TestWebSocketOverHTTP2/")) != len(styles) {
		t.Errorf("%v:\n%s", err, out)
	}
}

func testWebSocketOverHTTP2(t *testing.T) {
	for style, configure := range styles {
		t.Run(style, func(t *testing.T) {
			up := newEndpoint(t, newKeyring(), echoUpgrades)
			s := startCaddy(t, configure(up.Addr(), setup{options: signFor("execute-api"), tls: certificate(t)}))
			s.h2WebSocket("/socket", "ping")
			if r := up.all(1)[0]; r.Method != http.MethodGet || r.Target != "/socket" || !strings.EqualFold(r.Get("Upgrade"), "websocket") {
				t.Errorf("%q arrived with %v", r.Line, r.Headers)
			}
		})
	}
}

// h2WebSocket opens a WebSocket by extended CONNECT in frames of its own, which
// no client of the standard library sends.
func (s *server) h2WebSocket(target, text string) {
	s.t.Helper()
	config := clientTLS(s.t)
	config.NextProtos = []string{"h2"}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", s.addr())
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.WriteSettings()

	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range [][2]string{
		{":method", "CONNECT"},
		{":protocol", "websocket"},
		{":scheme", "https"},
		{":path", target},
		{":authority", "localhost"},
		{"sec-websocket-version", "13"},
	} {
		encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	framer.WriteData(1, true, []byte(text))

	status, echo, ended := "", "", false
	decoder := hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == ":status" {
			status = f.Value
		}
	})
	for !ended {
		frame, err := framer.ReadFrame()
		if err != nil {
			s.t.Fatalf("status %q, echo %q: %v", status, echo, err)
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				framer.WriteSettingsAck()
			}
		case *http2.HeadersFrame:
			if _, err := decoder.Write(f.HeaderBlockFragment()); err != nil {
				s.t.Fatal(err)
			}
			if f.StreamEnded() {
				s.t.Fatalf("status %s and no stream", status)
			}
		case *http2.DataFrame:
			echo += string(f.Data())
			ended = f.StreamEnded()
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			s.t.Fatalf("status %q, then %v", status, f)
		}
	}
	if status != "200" || echo != text {
		s.t.Errorf("status %s, echo %q", status, echo)
	}
	// The stream is ended, and its end awaited: when Caddy stops, it says
	// goodbye on tunnels that are open, while they may still be written to.
	framer.WriteData(1, true, nil)
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			s.t.Fatalf("waiting for the end of the stream: %v", err)
		}
		if _, reset := frame.(*http2.RSTStreamFrame); reset || frame.Header().StreamID == 1 && frame.Header().Flags.Has(http2.FlagDataEndStream) {
			return
		}
	}
}
