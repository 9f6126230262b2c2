package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
)

// fault is something between the proxy and STS that goes wrong. Toxiproxy brings it about.
type fault struct {
	toxics []string // in Toxiproxy's JSON; none closes its port
	noDNS  bool
	says   string // of the cause
	benign bool   // so that it is never noticed
}

var faults = map[string]fault{
	"slow":      {toxics: []string{`{"type":"latency","stream":"downstream","attributes":{"latency":1000}}`}, benign: true},
	"latency":   {toxics: []string{`{"type":"latency","stream":"downstream","attributes":{"latency":60000}}`}, says: "can't be reached"},
	"reset":     {toxics: []string{`{"type":"reset_peer","stream":"upstream","attributes":{"timeout":0}}`}, says: "can't be reached"},
	"half-open": {toxics: []string{`{"type":"timeout","stream":"upstream","attributes":{"timeout":0}}`, `{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`}, says: "can't be reached"},
	"cut":       {toxics: []string{`{"type":"limit_data","stream":"downstream","attributes":{"bytes":150}}`}, says: "can't be reached"},
	"refused":   {says: "can't be reached"},
	"no DNS":    {noDNS: true, says: "can't be resolved"},
}

// between is a Toxiproxy in front of STS.
type between struct {
	*toxiproxy.Proxy
	listens string
}

func startBetween(t *testing.T, name, upstream string) *between {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	p := toxiproxy.NewProxy(server, name, "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return &between{p, p.Listen}
}

// begin has the fault begin, end has it end.
func (p *between) begin(t *testing.T, f fault) {
	t.Helper()
	if len(f.toxics) == 0 {
		p.Stop()
	}
	for i, toxic := range f.toxics {
		toxic = strings.Replace(toxic, "{", fmt.Sprintf(`{"name":"toxic%d",`, i), 1)
		if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *between) end(t *testing.T, f fault) {
	t.Helper()
	if len(f.toxics) > 0 {
		p.Toxics.ResetToxics(context.Background())
		return
	}
	p.Listen = p.listens
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
}

// nameServer answers for every name that it is at 127.0.0.1, while it is not silent.
type nameServer struct {
	net.PacketConn
	silent atomic.Bool
	asked  atomic.Int64
}

// startNameServer has this process ask it, until the test ends.
func startNameServer(t *testing.T) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{PacketConn: conn}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.serve()
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		conn.Close()
		<-done
	})
	return s
}

func (s *nameServer) serve() {
	packet := make([]byte, 1500)
	for {
		n, from, err := s.ReadFrom(packet)
		if err != nil {
			return
		}
		s.asked.Add(1)
		var m dnsmessage.Message
		if s.silent.Load() || m.Unpack(packet[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		m.Response, m.Additionals = true, nil
		if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
			}}
		}
		if answer, err := m.Pack(); err == nil {
			_, _ = s.WriteTo(answer, from) // Who asked asks again.
		}
	}
}

// TestFaultsOnTheWayToSTS has the way to STS fail in each way as soon as there are credentials, for a role each. As long as
// they last, no request fails and none waits. After that, errors are fast and say whose credentials are missing and why;
// once the way is free again, so are the answers, without a restart.
func TestFaultsOnTheWayToSTS(t *testing.T) {
	names := startNameServer(t) // Before anything that dials, and so reads what it sets.
	b := newBed(t)
	t.Setenv("AWS_CA_BUNDLE", filepath.Join(b.dir, "ca.pem"))
	sts, err := url.Parse(b.STS())
	if err != nil {
		t.Fatal(err)
	}
	stsTLS, err := url.Parse(b.STSTLS())
	if err != nil {
		t.Fatal(err)
	}
	const life = 12 * time.Second
	var named, routes strings.Builder
	ways := map[string]*between{}
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		word := strings.ReplaceAll(name, " ", "-")
		arn := "arn:aws:iam::123456789012:role/" + word
		b.putRole(standin.Role{ARN: arn, Lifetime: life})
		if err := b.CreateBucket(strings.ToLower(word)); err != nil {
			t.Fatal(err)
		}
		var endpoint string
		if faults[name].noDNS {
			ways[name] = startBetween(t, name, stsTLS.Host)
			_, port, _ := net.SplitHostPort(ways[name].listens)
			endpoint = "https://sts.localhost:" + port
		} else {
			ways[name] = startBetween(t, name, sts.Host)
			endpoint = "http://" + ways[name].listens
		}
		fmt.Fprintf(&named, "credentials %s assume_role %s {\nfrom broker\nexternal_id <external-id>\nsts_endpoint %s\nsts_region <region>\n}\n", word, arn, endpoint)
		fmt.Fprintf(&routes, "handle /%s/* {\naws_sigv4 <s3> {\nservice s3\nregion <region>\ncredentials %s\n}\n}\n", strings.ToLower(word), word)
	}
	b.runCaddy(`{
	aws_sigv4 {
		credentials broker static <broker-key> <broker-secret>
		` + named.String() + `
	}
}
http://<site> {
	` + routes.String() + `
	handle_errors 502 503 {
		respond "{http.aws_sigv4.error.identity}|{http.aws_sigv4.error.message}|{http.aws_sigv4.error.cause}|{http.aws_sigv4.error.remedy}"
	}
}
`)
	for name := range faults {
		b.do("PUT", "/"+strings.ToLower(strings.ReplaceAll(name, " ", "-"))+"/k", name).expect(t, name, 200)
	}
	fetched := time.Now()
	for name, f := range faults {
		if f.noDNS {
			// It has a connection that needs no name.
			ways[name].Stop()
			ways[name].end(t, fault{})
			names.silent.Store(true)
		} else {
			ways[name].begin(t, f)
		}
	}

	var wg sync.WaitGroup
	for name, f := range faults {
		key := "/" + strings.ToLower(strings.ReplaceAll(name, " ", "-")) + "/k"
		arn := "arn:aws:iam::123456789012:role/" + strings.ReplaceAll(name, " ", "-")
		wg.Go(func() {
			read := func() (reply, time.Duration) {
				began := time.Now()
				r, err := send(b.site, "GET", key, "")
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				return r, time.Since(began)
			}
			// The cache serves credentials for seven eighths of so short a life.
			requests, slowest := 0, time.Duration(0)
			for lasts := life * 7 / 8; time.Since(fetched) < lasts-500*time.Millisecond || f.benign && time.Since(fetched) < 2*life; requests++ {
				r, took := read()
				if r.status != 200 {
					t.Errorf("%s: after %v: %v", name, time.Since(fetched), r)
					return
				}
				slowest = max(slowest, took)
				time.Sleep(20 * time.Millisecond)
			}
			t.Logf("%s: %d requests while the credentials lasted, the slowest took %v", name, requests, slowest.Round(time.Millisecond))
			if slowest > 2*time.Second || requests < 50 {
				t.Errorf("%s: %d requests, the slowest took %v", name, requests, slowest)
			}
			if f.benign {
				if n := len(b.Sessions(arn)); n < 3 {
					t.Errorf("%s: %d sessions", name, n)
				}
				return
			}

			// Whoever comes now may have to wait until the first attempt has failed.
			time.Sleep(time.Until(fetched.Add(life)))
			r, first := read()
			slowest = 0
			for range 5 {
				var took time.Duration
				if r, took = read(); r.status != 503 {
					t.Errorf("%s: without credentials: %v", name, r)
				}
				slowest = max(slowest, took)
				time.Sleep(200 * time.Millisecond)
			}
			t.Logf("%s: the first error took %v, the slowest after it %v: %s", name, first.Round(time.Millisecond), slowest.Round(time.Millisecond), r.body)
			if first > 16*time.Second || slowest > 3*time.Second {
				t.Errorf("%s: errors took %v and %v", name, first, slowest)
			}
			fields := strings.Split(r.body, "|")
			if len(fields) != 4 || !strings.Contains(fields[0], arn) || !strings.Contains(fields[2], f.says) || fields[3] == "" || strings.Contains(r.body, externalID) {
				t.Errorf("%s: identity, message, cause and remedy: %q", name, fields)
			}

			if f.noDNS {
				names.silent.Store(false)
			} else {
				ways[name].end(t, f)
			}
			back := time.Now()
			for {
				r, _ := read()
				if r.status == 200 {
					break
				}
				if time.Since(back) > 70*time.Second {
					t.Errorf("%s: still %v after %v", name, r, time.Since(back))
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
			t.Logf("%s: back after %v", name, time.Since(back).Round(time.Millisecond))
		})
	}
	wg.Wait()
	if names.asked.Load() == 0 {
		t.Error("no name was asked for")
	}
}
