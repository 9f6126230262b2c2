package main

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// caddyCommand runs this test's binary as Caddy, see TestMain.
func caddyCommand(t *testing.T) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	env, err := filepath.Abs("/usr/bin/env")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(env); err != nil {
		t.Skipf("SKIPPED: there is no %s to start Caddy with", env)
	}
	return []string{env, roleVariable + "=caddy", self}
}

// TestShortRun is the whole benchmark, short: all proxies start, answer and
// sign or don't, and the figures are figures. It says nothing of how large they
// are.
func TestShortRun(t *testing.T) {
	o := defaultOptions()
	o.shorten()
	o.caddy, o.hasConstant = caddyCommand(t), true
	o.progress = testWriter{t}
	r, err := run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range variants {
		w, ok := r.row(v.name)
		if v.site == "" {
			if ok {
				t.Errorf("%s was measured without a binary", v.name)
			}
			continue
		}
		if !ok || len(r.turns[v.name]) != o.rounds {
			t.Fatalf("%s: %d turns, want %d", v.name, len(r.turns[v.name]), o.rounds)
		}
		for name, value := range map[string]float64{"requests/s": w.rate, "ratio": w.ratio, "half": w.half, "p50": w.p50, "p99": w.p99} {
			if !(value > 0) || math.IsInf(value, 0) {
				t.Errorf("%s: %s is %v", v.name, name, value)
			}
		}
		if w.p50 > w.p99 || w.low > w.ratio || w.ratio > w.high {
			t.Errorf("%s: figures out of order: %+v", v.name, w)
		}
		if _, err := os.Stat("/proc/self/stat"); err == nil && !(w.cpu > 0) {
			t.Errorf("%s: %v µs of CPU time for each request", v.name, w.cpu)
		}
	}
	var text strings.Builder
	if err := r.write(&text); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", text.String())
	if n := strings.Count(text.String(), "\n| "); n != 1+len(variants) {
		t.Errorf("the table has %d lines, want a title and %d", n, len(variants))
	}
	if !strings.Contains(text.String(), "| awslabs/aws-sigv4-proxy | not measured |") {
		t.Error("the table does not say that awslabs/aws-sigv4-proxy was not measured")
	}
}

// TestVariantsSign has a verifier that shares no code with the signer look at
// what each Caddy sends under load: a benchmark of wrong signatures would be
// worth nothing.
func TestVariantsSign(t *testing.T) {
	o := defaultOptions()
	o.caddy, o.hasConstant = caddyCommand(t), true
	server, err := wireverify.Listen("127.0.0.1:0", nil, func(*wireverify.Request) wireverify.Action {
		return wireverify.Action{Respond: func(r *wireverify.Request) wireverify.Response {
			return wireverify.Response{Body: r.Get("Authorization")}
		}}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	b := &bench{options: o, dir: t.TempDir(), upstream: server.Addr()}
	verifier := &wireverify.Verifier{Key: func(id string) (wireverify.Key, bool) {
		return wireverify.Key{Secret: secretAccessKey, Token: sessionToken}, id == accessKeyID
	}}
	for i := range variants {
		v := &variants[i]
		if v.site == "" || v.constant {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			p, err := b.start(t.Context(), v, false)
			if err != nil {
				t.Fatal(err)
			}
			defer p.stop()
			load, err := newLoad(p.addr, 4)
			if err != nil {
				t.Fatal(err)
			}
			defer load.close()
			before := len(server.Requests())
			if _, err := load.saturate(t.Context(), answerTimeout, 100); err != nil {
				t.Fatal(err)
			}
			requests := server.Requests()[before:]
			if len(requests) != 100 {
				t.Errorf("%d requests arrived, want 100", len(requests))
			}
			for _, r := range requests {
				s, err := verifier.Verify(r)
				switch {
				case !v.signs && r.Get("Authorization") != "":
					t.Fatal("plain reverse_proxy sends an Authorization")
				case v.signs && err != nil:
					t.Fatal(err)
				case v.signs && (s.Service != signedService || s.Region != signedRegion || r.Get("Host") != signedHost):
					t.Fatalf("signed for %s in %s, Host %s", s.Service, s.Region, r.Get("Host"))
				}
			}
		})
	}
	for _, err := range server.Malformed() {
		t.Error(err)
	}
}

func TestFlagsAreChecked(t *testing.T) {
	for _, args := range [][]string{
		{"-rounds", "0"},
		{"-connections", "0"},
		{"-time", "0s"},
		{"surplus"},
		{"-unknown"},
	} {
		if err := runCommand(context.Background(), args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}
