package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	awssigv4 "github.com/caddy-aws-sigv4/caddy-aws-sigv4"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/bench/constant"
)

// What the benchmarks' Caddy listens on and dials. Nothing does either.
const (
	benchSite     = "127.0.0.1:8080"
	benchUpstream = "127.0.0.1:8081"
)

// BenchmarkRoundTrip compares the RoundTrip of Caddy's HTTP transport with that
// of the transport aws_sigv4, for the request that `reverse_proxy` hands over
// and with nothing behind: the difference is all that signing adds to an
// attempt. Between them, headers that are always the same.
func BenchmarkRoundTrip(b *testing.B) {
	for _, tc := range []struct{ name, variant string }{
		{"plain", "plain reverse_proxy"},
		{"constant", "plain with constant headers"},
		{"transport", "transport aws_sigv4"},
	} {
		b.Run(tc.name, func(b *testing.B) {
			c := newInProcess(b, tc.variant)
			requests := c.handedOver(b)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.roundTrip(b, requests[i%len(requests)])
			}
			b.ReportMetric(roundTripAllocations(b, tc.variant)-roundTripAllocations(b, variants[0].name), "added-allocs/op")
		})
	}
}

// BenchmarkServe compares all of Caddy's server from the parsed request on,
// with nothing behind the upstream's transport.
func BenchmarkServe(b *testing.B) {
	for i := range variants {
		v := &variants[i]
		if v.site == "" {
			continue
		}
		b.Run(strings.ReplaceAll(v.name, " ", "_"), func(b *testing.B) {
			c := newInProcess(b, v.name)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.serve(b, i)
			}
		})
	}
}

// TestRoundTripAllocates bounds what signing adds to an attempt for the garbage
// collector.
func TestRoundTripAllocates(t *testing.T) {
	plain, ours := roundTripAllocations(t, "plain reverse_proxy"), roundTripAllocations(t, "transport aws_sigv4")
	t.Logf("%v allocations, %v of them plain", ours, plain)
	if added := ours - plain; added < 1 || added > 20 {
		t.Errorf("%v allocations added, want at most 20", added)
	}
}

// TestServeAllocates bounds what each way to sign adds to all of Caddy's server.
// The bounds leave room above what is measured, see README.md, for the race
// detector, which makes pools forget.
func TestServeAllocates(t *testing.T) {
	most := map[string]float64{"transport aws_sigv4": 20, "handler aws_sigv4": 40, "short form": 40}
	allocations := func(variant string) float64 {
		c := newInProcess(t, variant)
		n := 0
		return testing.AllocsPerRun(1000, func() {
			n++
			c.serve(t, n)
		})
	}
	plain := allocations("plain reverse_proxy")
	for variant, most := range most {
		ours := allocations(variant)
		t.Logf("%s: %v allocations, %v of them plain", variant, ours, plain)
		if added := ours - plain; added < 1 || added > most {
			t.Errorf("%s: %v allocations added, want at most %v", variant, added, most)
		}
	}
}

// roundTripAllocations returns how often the RoundTrip of a variant's transport
// allocates.
func roundTripAllocations(tb testing.TB, variant string) float64 {
	c := newInProcess(tb, variant)
	requests := c.handedOver(tb)
	n := 0
	return testing.AllocsPerRun(1000, func() {
		n++
		c.roundTrip(tb, requests[n%len(requests)])
	})
}

// inProcess is a Caddy that was set up from a variant's Caddyfile and not
// started, with a transport that ends before the network.
type inProcess struct {
	server    http.Handler
	proxy     *reverseproxy.Handler
	transport http.RoundTripper
	requests  []*http.Request
}

func newInProcess(tb testing.TB, name string) *inProcess {
	tb.Helper()
	var v *variant
	for i := range variants {
		if variants[i].name == name {
			v = &variants[i]
		}
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(v.caddyfile(benchSite, benchUpstream, "off")), nil)
	if err != nil {
		tb.Fatal(err)
	}
	var cfg caddy.Config
	if err := caddy.StrictUnmarshalJSON(config, &cfg); err != nil {
		tb.Fatal(err)
	}
	ctx, err := caddy.ProvisionContext(&cfg)
	if err != nil {
		tb.Fatal(err)
	}
	if v.signs {
		// Credentials are to be had once the app that keeps them has started.
		// What serves HTTP isn't started.
		app, err := ctx.App("aws_sigv4")
		if err != nil {
			tb.Fatal(err)
		}
		if err := app.(caddy.App).Start(); err != nil {
			tb.Fatal(err)
		}
	}
	app, err := ctx.App("http")
	if err != nil {
		tb.Fatal(err)
	}
	c := new(inProcess)
	for _, server := range app.(*caddyhttp.App).Servers {
		c.server = server
		c.cut(tb, server.Routes)
	}
	if c.transport == nil {
		tb.Fatal("the configuration has no reverse_proxy")
	}
	for i := range differentRequests {
		c.requests = append(c.requests, received(tb, i))
	}
	return c
}

// cut puts the dead end behind each reverse_proxy's transport.
func (c *inProcess) cut(tb testing.TB, routes caddyhttp.RouteList) {
	tb.Helper()
	for _, route := range routes {
		for _, handler := range route.Handlers {
			switch h := handler.(type) {
			case *caddyhttp.Subroute:
				c.cut(tb, h.Routes)
			case *reverseproxy.Handler:
				c.proxy, c.transport = h, h.Transport
				switch t := h.Transport.(type) {
				case *reverseproxy.HTTPTransport:
					t.Transport.RegisterProtocol("http", deadEnd{})
				case *constant.Transport:
					t.Transport.RegisterProtocol("http", deadEnd{})
				case *awssigv4.Transport:
					t.Transport.RegisterProtocol("http", deadEnd{})
				default:
					tb.Fatalf("unexpected transport %T", t)
				}
			}
		}
	}
}

// received is a request as net/http's server makes it.
func received(tb testing.TB, i int) *http.Request {
	tb.Helper()
	u, err := url.ParseRequestURI(requestTarget(i))
	if err != nil {
		tb.Fatal(err)
	}
	r := &http.Request{
		Method: http.MethodGet, URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Body: http.NoBody, Host: benchSite, RemoteAddr: "127.0.0.1:4711", RequestURI: requestTarget(i),
	}
	for line := range strings.SplitSeq(strings.TrimSpace(requestTail), "\r\n") {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	return r
}

// serve lets Caddy's server answer the i-th request.
func (c *inProcess) serve(tb testing.TB, i int) {
	w := &discard{header: make(http.Header, 4)}
	r := *c.requests[i%len(c.requests)]
	u := *r.URL
	r.URL = &u
	c.server.ServeHTTP(w, &r)
	if w.status != http.StatusOK {
		tb.Fatalf("answer %d", w.status)
	}
}

// roundTrip hands a request to the transport, as a request of its own: with
// variables in which a transport may remember what became of its body.
func (c *inProcess) roundTrip(tb testing.TB, r *http.Request) {
	ctx := context.WithValue(r.Context(), caddyhttp.VarsCtxKey, make(map[string]any))
	res, err := c.transport.RoundTrip(r.WithContext(ctx))
	if err != nil || res.StatusCode != http.StatusOK {
		tb.Fatal(res, err)
	}
}

// handedOver returns the requests as reverse_proxy hands them to its transport,
// with all that it puts into their contexts.
func (c *inProcess) handedOver(tb testing.TB) []*http.Request {
	tb.Helper()
	capture := new(capture)
	c.proxy.Transport = capture
	for i := range c.requests {
		c.serve(tb, i)
	}
	c.proxy.Transport = c.transport
	return capture.requests
}

// deadEnd answers what it gets.
type deadEnd struct{}

var answerBody = []byte(upstreamBody)

func (deadEnd) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/json"}},
		Body:          io.NopCloser(bytes.NewReader(answerBody)),
		ContentLength: int64(len(answerBody)),
		Request:       r,
	}, nil
}

// capture keeps what it gets.
type capture struct {
	deadEnd
	requests []*http.Request
}

func (c *capture) RoundTrip(r *http.Request) (*http.Response, error) {
	kept := *r
	kept.Header = r.Header.Clone()
	u := *r.URL
	kept.URL = &u
	c.requests = append(c.requests, &kept)
	return c.deadEnd.RoundTrip(r)
}

// discard is a ResponseWriter that keeps the status alone.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header { return d.header }

func (d *discard) WriteHeader(status int) { d.status = status }

func (d *discard) Write(p []byte) (int, error) {
	if d.status == 0 {
		d.status = http.StatusOK
	}
	return len(p), nil
}
