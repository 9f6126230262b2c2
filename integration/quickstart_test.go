package integration_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestQuickstart runs the very file that the README's first command runs, on
// other ports.
func TestQuickstart(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "examples", "quickstart", "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	caddyfile := string(text)
	for from, to := range map[string]string{":8080": "<port>", ":8081": "<port2>"} {
		if !strings.Contains(caddyfile, from) {
			t.Fatalf("the quickstart does not use %s", from)
		}
		caddyfile = strings.ReplaceAll(caddyfile, from, to)
	}
	s := startCaddy(t, caddyfile)
	_, port, _ := net.SplitHostPort(s.addr())
	s.get("/hello", "Host: localhost:"+port).expect(t, 200, "GET /hello was signed by AKIDQUICKSTART for execute-api in eu-west-1")
	s.do("PUT", "/a%2Fb//c?z&a=1+2", "body", "Host: localhost:"+port).expect(t, 200, "was signed by AKIDQUICKSTART")

	// What is not signed, or not by that key, is refused by the second site.
	r, err := tryExchange(s.ports["<site2>"], requestText("GET", "/hello", s.ports["<site2>"], ""))
	if err != nil {
		t.Fatal(err)
	}
	r.expect(t, 401)

	// The terminal says what to type.
	s.waitForLog("curl http://localhost:"+port+"/", 1, patience)
}
