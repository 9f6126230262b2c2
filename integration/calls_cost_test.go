package integration_test

import (
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	awssigv4 "github.com/caddy-aws-sigv4/caddy-aws-sigv4"
)

// TestCostOfCalls bounds what a call by connection costs beside a request that a named role signs: all of Caddy's
// server from the parsed request on, with nothing behind the transport. With -bench it measures the time, too:
//
//	go test ./integration -run TestCostOfCalls -bench . -v
func TestCostOfCalls(t *testing.T) {
	b := newCallBed(t, nil)
	b.level = "WARN"
	config := strings.NewReplacer("debug\n", "", "servers {\ntrace\n}\n", "", "log {\nlevel DEBUG\n}\n", "").Replace(b.config(callParts{http: "tls_insecure_skip_verify\nversions 1.1"}))
	config = strings.Replace(config, "handle /proxy*", "handle /role/* {\naws_sigv4 https://"+b.up.Addr()+" {\nstrip_prefix /role\nservice s3\nregion eu-west-1\n"+
		"credentials assume_role "+customerRole+" {\nfrom broker\nexternal_id {env.COST_EXTERNAL_ID}\n}\ntransport aws_sigv4 {\ntls_insecure_skip_verify\nversions 1.1\n}\n}\n}\nhandle /proxy*", 1)
	t.Setenv("COST_EXTERNAL_ID", "not-known-yet")
	b.level = "INFO" // The log tells the connection's ID.
	b.start(config)
	id := b.connected("globex", customerRole)
	b.mu.Lock()
	t.Setenv("COST_EXTERNAL_ID", b.roles[customerRole])
	b.mu.Unlock()
	b.reload(config + "# with the External ID\n")

	serve := servesWithoutNetwork(t)
	request := func(path string) func() {
		return func() {
			r := httptest.NewRequest("GET", path, http.NoBody)
			for _, line := range as(id, "Accept: */*", "User-Agent: x") {
				name, value, _ := strings.Cut(line, ": ")
				r.Header.Set(name, value)
			}
			r.Host, r.RemoteAddr = b.addr(), "127.0.0.1:4711"
			w := httptest.NewRecorder()
			serve.ServeHTTP(w, r)
			if w.Code != 200 || w.Header().Get("X-Path") != "/bucket/key" || !strings.Contains(w.Header().Get("X-Signed"), "Credential=ASIAACME") {
				t.Fatalf("%s: %d %v %s", path, w.Code, w.Header(), w.Body)
			}
		}
	}
	role, connection := request("/role/bucket/key"), request("/proxy/bucket/key")
	role()
	connection()
	byRole, byConnection := testing.AllocsPerRun(200, role), testing.AllocsPerRun(200, connection)
	t.Logf("allocations: %v by role, %v by connection", byRole, byConnection)
	if byConnection > byRole+120 {
		t.Errorf("a call by connection allocates %v times, a request by role %v", byConnection, byRole)
	}
	if f := flag.Lookup("test.bench"); f != nil && f.Value.String() != "" {
		measure := func(f func()) float64 {
			r := testing.Benchmark(func(b *testing.B) {
				for b.Loop() {
					f()
				}
			})
			return float64(r.NsPerOp()) / 1000
		}
		for range 3 {
			a, c := measure(role), measure(connection)
			t.Logf("%.1f µs by role, %.1f µs by connection, %.2f times as long", a, c, c/a)
		}
	}
	b.settle()
}

// servesWithoutNetwork is the running Caddy's server, with an end behind each transport that answers 200.
func servesWithoutNetwork(t *testing.T) http.Handler {
	t.Helper()
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		t.Fatal(err)
	}
	var cut func(caddyhttp.RouteList)
	cut = func(routes caddyhttp.RouteList) {
		for _, route := range routes {
			for _, handler := range route.Handlers {
				switch h := handler.(type) {
				case *caddyhttp.Subroute:
					cut(h.Routes)
				case *reverseproxy.Handler:
					transport := h.Transport.(*awssigv4.Transport).Transport
					transport.RegisterProtocol("https", answersAtOnce{})
				}
			}
		}
	}
	var serves http.Handler
	for _, s := range app.(*caddyhttp.App).Servers {
		cut(s.Routes)
		serves = s
	}
	return serves
}

type answersAtOnce struct{}

func (answersAtOnce) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		Status: "200 OK", StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"X-Path": {r.URL.Path}, "X-Signed": r.Header["Authorization"]},
		Body: io.NopCloser(strings.NewReader("")), Request: r,
	}, nil
}
