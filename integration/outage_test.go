package integration_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// TestOutageOfSTS lives through an outage with real time and a session of some
// seconds: nothing is noticed while the session is valid, then errors are fast
// and say who and why, and when STS is back, requests get through again.
func TestOutageOfSTS(t *testing.T) {
	const ttl = 4 * time.Second // Of which seven eighths are served.
	for name, tc := range map[string]struct {
		breakIt func(r *role)
		why     string
	}{
		"down":       {func(r *role) { r.code = "ServiceUnavailable" }, "ServiceUnavailable"},
		"throttling": {func(r *role) { r.code = "Throttling" }, "Throttling"},
		"hung":       {func(r *role) { r.hang = true }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			sts := newSTS(t)
			sts.set("Role", func(r *role) { r.ttl = ttl })
			up := newEndpoint(t, sts.keys("Role"), nil)
			s := startCaddy(t, styles["short form"](up.Addr(), setup{
				global:  "events {\non aws_sigv4.credentials_failed aws_sigv4_test\non aws_sigv4.credentials_recovered aws_sigv4_test\n}\n" + brokerAnd("Role"),
				options: "service s3\nregion eu-west-1\ncredentials Role",
			}))
			heard.reset()
			s.get("/").expect(t, 200)
			fetched := time.Now()
			sts.set("Role", tc.breakIt)
			requests, slowest := 0, time.Duration(0)
			for time.Since(fetched) < ttl-ttl/8-500*time.Millisecond {
				began := time.Now()
				s.get("/").expect(t, 200)
				slowest = max(slowest, time.Since(began))
				requests++
				time.Sleep(10 * time.Millisecond)
			}
			t.Logf("%d requests during the outage, the slowest took %v", requests, slowest)
			if slowest > 2*time.Second {
				t.Errorf("a request took %v", slowest)
			}
			if name == "hung" {
				// It takes longer than the session lives until the refresh is given up; package
				// credentials tests what comes after, with sessions as long as AWS's.
				return
			}
			time.Sleep(time.Until(fetched.Add(ttl)))
			for range 5 {
				began := time.Now()
				s.get("/").expect(t, 503)
				if d := time.Since(began); d > 3*time.Second {
					t.Errorf("an error took %v", d)
				}
			}
			s.waitForLog("credentials of assume_role "+arn("Role")+" (from broker)", 1, patience)
			s.waitForLog(tc.why, 1, patience)
			sts.set("Role", func(r *role) { r.hang, r.code = false, "" })
			waitFor(t, 2*patience, func() bool {
				time.Sleep(200 * time.Millisecond)
				return s.get("/").status == 200
			}, "the recovery")
			waitFor(t, patience, func() bool { return len(heard.all()) == 2 }, "two events")
			events := heard.all()
			failed, recovered := events[0], events[1]
			if failed.Name() != "aws_sigv4.credentials_failed" || failed.Data["name"] != "Role" ||
				!strings.Contains(fmt.Sprint(failed.Data["error"]), tc.why) || failed.Data["valid_until"] == nil {
				t.Errorf("the first event is %s %v", failed.Name(), failed.Data)
			}
			if recovered.Name() != "aws_sigv4.credentials_recovered" || recovered.Data["name"] != "Role" ||
				recovered.Data["identity"] != "assume_role "+arn("Role")+" (from broker)" {
				t.Errorf("the second event is %s %v", recovered.Name(), recovered.Data)
			}
		})
	}
}

// TestNoGoroutineIsLeft: the cache ends with the last configuration, also while
// a fetch hangs.
func TestNoGoroutineIsLeft(t *testing.T) {
	sts := newSTS(t)
	sts.set("Hangs", func(r *role) { r.hang = true })
	up := newEndpoint(t, sts.keys("Role"), nil)
	s := startCaddy(t, reloadable(up, 0, "Role", "Hangs"))
	s.get("/").expect(t, 200)
	s.reload(reloadable(up, 1, "Role", "Hangs"))
	s.get("/").expect(t, 200)
	if ours() == "" {
		t.Error("no goroutine of the cache was found while it runs: this test finds nothing")
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, patience, func() bool { return ours() == "" }, "the end of all goroutines: %s", ours())
}

// ours returns the stacks of all goroutines that the cache started.
func ours() string {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var found strings.Builder
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "caddy-aws-sigv4/credentials.(*Cache)") {
			found.WriteString(stack + "\n\n")
		}
	}
	return found.String()
}

// eventRecorder is a handler of Caddy's events that keeps them.
type eventRecorder struct{}

var heard eventList

type eventList struct {
	mu     sync.Mutex
	events []caddy.Event
}

func (l *eventList) all() []caddy.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]caddy.Event(nil), l.events...)
}

func (l *eventList) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = nil
}

func init() { caddy.RegisterModule(eventRecorder{}) }

func (eventRecorder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.aws_sigv4_test", New: func() caddy.Module { return new(eventRecorder) }}
}

func (*eventRecorder) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

func (*eventRecorder) Handle(_ context.Context, e caddy.Event) error {
	heard.mu.Lock()
	defer heard.mu.Unlock()
	heard.events = append(heard.events, e)
	return nil
}
