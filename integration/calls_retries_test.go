package integration_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// TestRetriesOfCalls: a call is sent again as often as its caller asked for, each time signed anew, if its
// body is held; Retry-After says when.
func TestRetriesOfCalls(t *testing.T) {
	var left atomic.Int32 // answers that fail
	var status atomic.Int32
	var after atomic.Value
	after.Store("0")
	b := newCallBed(t, func(head *wireverify.Request) (wireverify.Action, bool) {
		if strings.HasPrefix(head.Target, "/die") && left.Add(-1) >= 0 {
			return wireverify.Action{Die: true, BodyBytes: 1 << 20}, true
		}
		if left.Add(-1) < 0 {
			return wireverify.Action{}, false
		}
		return wireverify.Action{Respond: func(*wireverify.Request) wireverify.Response {
			return wireverify.Response{Status: int(status.Load()), Headers: []wireverify.Header{{Name: "Retry-After", Value: after.Load().(string)}}, Body: "try again"}
		}}, true
	})
	b.start(b.config(callParts{}))
	id := b.connected("globex", customerRole)
	for _, tt := range []struct {
		name, method, path, body string
		fails, status            int
		lines                    []string
		sent, want               int
	}{
		{"none asked for", "GET", "/x", "", 1, 503, nil, 1, 503},
		{"one", "GET", "/x", "", 1, 503, []string{"Retries: 1"}, 2, 200},
		{"too few", "GET", "/x", "", 3, 500, []string{"Retries: 2"}, 3, 500},
		{"at most five", "GET", "/x", "", 99, 503, []string{"Retries: 50"}, 6, 503},
		{"throttled", "POST", "/x", "body", 2, 429, []string{"Retries: 3"}, 3, 200},
		{"not found is an answer", "GET", "/x", "", 1, 404, []string{"Retries: 3"}, 1, 404},
		{"not found is to be tried again", "GET", "/x", "", 1, 404, []string{"Retries: 3", "Retry-On: 409, 404"}, 2, 200},
		{"unauthorized is an answer", "GET", "/x", "", 1, 401, []string{"Retries: 3"}, 1, 401},
		{"a held body", "PUT", "/x", "hello", 2, 503, []string{"Retries: 2"}, 3, 200},
		{"a body that breaks off", "PUT", "/die", "hello", 1, 0, []string{"Retries: 2"}, 2, 200},
		{"a large body is streamed, so it is sent once", "PUT", "/x", strings.Repeat("x", 3<<20), 1, 503, []string{"Retries: 2"}, 1, 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(b.up.Requests())
			left.Store(int32(tt.fails))
			status.Store(int32(tt.status))
			b.do(tt.method, "/proxy"+tt.path, tt.body, as(id, tt.lines...)...).expect(t, tt.want)
			left.Store(0)
			sent := b.up.Requests()[before:]
			if len(sent) != tt.sent {
				t.Fatalf("sent %d times, want %d", len(sent), tt.sent)
			}
			for _, r := range sent {
				if !r.Complete && tt.path != "/die" {
					t.Error("a body was not complete")
				}
				if r.Complete && string(r.Body) != tt.body {
					t.Errorf("the body is %.20q of %d bytes", r.Body, len(r.Body))
				}
				if _, err := b.up.verify(r); err != nil && r.Complete {
					t.Error(err)
				}
				if r.Get("Retries") != "" || r.Get("Retry-On") != "" {
					t.Errorf("AWS was told of retries: %s", wire(r))
				}
			}
		})
	}

	// Who asks for more time than there is gets the answer; who has gone is not called for again.
	after.Store("3600")
	left.Store(9)
	status.Store(503)
	before := len(b.up.Requests())
	b.get("/proxy/x", as(id, "Retries: 5")...).expect(t, 503, "try again")
	if n := len(b.up.Requests()) - before; n != 1 {
		t.Errorf("sent %d times, want 1", n)
	}
	after.Store("20")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", b.addr())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, requestText("GET", "/proxy/gone", b.addr(), "", as(id, "Retries: 5")...))
	b.up.Wait(before+2, patience)
	conn.Close()
	waitFor(t, 15*time.Second, func() bool { return strings.Contains(b.everything(), `"uri":"/proxy/gone"`) }, "the call to end before Retry-After")
	b.settle()
}

// TestRatesOfCalls: there are no more calls than the integration may have, before any is signed, and who comes
// too often is told when to come again.
func TestRatesOfCalls(t *testing.T) {
	b := newCallBed(t, nil)
	b.start(b.config(callParts{integration: "rate_limit 3 1h\nallow_methods GET"}))
	id := b.connected("globex", customerRole)
	b.do("PUT", "/proxy/x", "", as(id)...).expectError(t, 403, "not_permitted") // It does not count.
	for range 3 {
		b.get("/proxy/x", as(id)...).expect(t, 200)
	}
	r := b.get("/proxy/x", as(id)...)
	r.expectError(t, 429, "too_many_request")
	if after := r.header.Get("Retry-After"); after != "1200" && after != "1199" {
		t.Errorf("Retry-After is %q, want a third of an hour", after)
	}
	b.reload(b.config(callParts{integration: "rate_limit 3 1h"}) + "# changed\n")
	b.get("/proxy/x", as(id)...).expectError(t, 429, "too_many_request")
	b.up.all(3)
	b.settle()
}
