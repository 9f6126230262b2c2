package dial

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers every question for an address with what its function says, and counts them.
type nameServer struct {
	addr    string
	asked   atomic.Int32
	answers func(n int32) []netip.Addr
}

func newNameServer(t *testing.T, answers func(n int32) []netip.Addr) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &nameServer{addr: conn.LocalAddr().String(), answers: answers}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := s.answer(buf[:n]); answer != nil {
				conn.WriteTo(answer, from)
			}
		}
	}()
	return s
}

func (s *nameServer) answer(query []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	header := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 0}
	if q.Type == dnsmessage.TypeA { // Answers to the other question come with it, and none is asked for alone.
		n := s.asked.Add(1)
		for _, a := range s.answers(n) {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
		}
	}
	packed, err := m.Pack()
	if err != nil {
		return nil
	}
	return packed
}

func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", s.addr)
	}}
}

func always(addrs ...string) func(int32) []netip.Addr {
	var parsed []netip.Addr
	for _, a := range addrs {
		parsed = append(parsed, netip.MustParseAddr(a))
	}
	return func(int32) []netip.Addr { return parsed }
}

// listen returns the port of a listener at 127.0.0.1 that counts connections and what is sent over them.
func listen(t *testing.T) (port string, conns, sent *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	conns, sent = new(atomic.Int32), new(atomic.Int32)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			go func() {
				n, _ := io.Copy(io.Discard, c)
				sent.Add(int32(n))
				c.Close()
			}()
		}
	}()
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, conns, sent
}

func wantRefusal(t *testing.T, err error, want string) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || !strings.Contains(err.Error(), want) || e.Retryable() {
		t.Errorf("got %v, want a refusal with %q", err, want)
	}
}

func TestDialContext(t *testing.T) {
	port, conns, _ := listen(t)
	inside := newNameServer(t, always("127.0.0.1")).resolver()
	for name, tc := range map[string]struct {
		policy *Policy
		host   string
		want   string
	}{
		"a name that points inside":  {&Policy{Resolver: inside}, "evil.example", "evil.example:" + port + " is at 127.0.0.1, a loopback address"},
		"an address":                 {&Policy{}, "127.0.0.1", "127.0.0.1:" + port + " is a loopback address"},
		"localhost":                  {&Policy{}, "localhost", "a loopback address"},
		"an IPv4-mapped address":     {&Policy{}, "[::ffff:127.0.0.1]", "a loopback address"},
		"another name is written":    {&Policy{Resolver: inside, Operator: []string{"helper.example"}}, "evil.example", "a loopback address"},
		"AWS may not be at loopback": {&Policy{Resolver: inside, AWS: isAWS}, "b.s3.eu-west-1.amazonaws.com", "a loopback address"},
		"metadata, written":          {&Policy{Operator: []string{"169.254.169.254"}}, "169.254.169.254", "nothing is ever sent there"},
		"a written name at metadata": {&Policy{Resolver: newNameServer(t, always("169.254.169.254")).resolver(), Operator: []string{"helper.example"}}, "helper.example", "helper.example:" + port + " is at 169.254.169.254"},
		"unspecified":                {&Policy{Operator: []string{"0.0.0.0"}}, "0.0.0.0", "an unspecified address"},

		"a written name":    {&Policy{Resolver: inside, Operator: []string{"helper.example"}}, "helper.example", ""},
		"a written address": {&Policy{Operator: []string{"127.0.0.1:" + port}}, "127.0.0.1", ""},
	} {
		before := conns.Load()
		conn, err := tc.policy.DialContext(t.Context(), "tcp", tc.host+":"+port)
		if tc.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			conn.Close()
			// It is counted once it is accepted, and must not count for the next case.
			for deadline := time.Now().Add(10 * time.Second); conns.Load() == before && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			continue
		}
		t.Run(name, func(t *testing.T) { wantRefusal(t, err, tc.want) })
		if conns.Load() != before {
			t.Errorf("%s: connected", name)
		}
	}
	for _, network := range []string{"udp", "unix", "ip", ""} {
		if _, err := (&Policy{Operator: []string{"127.0.0.1"}}).DialContext(t.Context(), network, "127.0.0.1:"+port); err == nil {
			t.Errorf("%q: connected", network)
		}
	}
}

// TestAddressesThatAreNotPermittedAreLeftOut: the first address is refused, the second one serves.
func TestAddressesThatAreNotPermittedAreLeftOut(t *testing.T) {
	port, _, _ := listen(t)
	p := &Policy{Resolver: newNameServer(t, always("169.254.169.254", "127.0.0.1")).resolver(), Operator: []string{"helper.example"}}
	conn, err := p.DialContext(t.Context(), "tcp", "helper.example:"+port)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// TestRebinding: whoever looks a name up to check it, and then has it connected to, is told two things. The
// name server gives a public address first and this machine ever after.
func TestRebinding(t *testing.T) {
	port, conns, _ := listen(t)
	s := newNameServer(t, func(n int32) []netip.Addr {
		if n == 1 {
			return always("8.8.8.8")(n)
		}
		return always("127.0.0.1")(n)
	})
	p := &Policy{Resolver: s.resolver()}
	addrs, err := p.Resolver.LookupNetIP(t.Context(), "ip4", "evil.example")
	if err != nil || p.Check("evil.example", addrs[0]) != nil {
		t.Fatalf("the first look-up: got %v, %v, want a public address", addrs, err)
	}
	_, err = p.DialContext(t.Context(), "tcp", "evil.example:"+port)
	wantRefusal(t, err, "evil.example:"+port+" is at 127.0.0.1, a loopback address")
	if s.asked.Load() < 2 || conns.Load() != 0 {
		t.Errorf("%d look-ups and %d connections", s.asked.Load(), conns.Load())
	}
}

// TestWrap wraps a dialer with a resolver of its own, as that of somebody's transport, which sends
// something as soon as it is connected.
func TestWrap(t *testing.T) {
	port, _, sent := listen(t)
	d := &net.Dialer{Resolver: newNameServer(t, always("127.0.0.1")).resolver()}
	next := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		_, err = conn.Write([]byte("hello"))
		return conn, err
	}
	_, err := (&Policy{}).Wrap(next)(t.Context(), "tcp", "evil.example:"+port)
	wantRefusal(t, err, "evil.example:"+port+" is at 127.0.0.1, a loopback address")
	time.Sleep(50 * time.Millisecond)
	if sent.Load() != 0 {
		t.Errorf("%d bytes were sent to an address that is not permitted", sent.Load())
	}
	conn, err := (&Policy{Operator: []string{"helper.example"}}).Wrap(next)(t.Context(), "tcp", "helper.example:"+port)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// TestGuardChecksTheConnection gives it a function that pays no heed to the context.
func TestGuardChecksTheConnection(t *testing.T) {
	port, _, _ := listen(t)
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pipe, _ := net.Pipe()
	deaf := func(network, address string) func(context.Context) (net.Conn, error) {
		return func(context.Context) (net.Conn, error) { return net.Dial(network, address) }
	}
	for name, tc := range map[string]struct {
		connect  func(context.Context) (net.Conn, error)
		operator string
		want     string
	}{
		"TCP":             {deaf("tcp", "127.0.0.1:"+port), "x", "a loopback address"},
		"TCP, permitted":  {deaf("tcp", "127.0.0.1:"+port), "host", ""},
		"Unix":            {deaf("unix", socket), "x", "no address"},
		"Unix, permitted": {deaf("unix", socket), "host", ""},
		"no network":      {func(context.Context) (net.Conn, error) { return pipe, nil }, "host", "no address"},
	} {
		conn, err := (&Policy{Operator: []string{tc.operator}}).Guard(t.Context(), "host", tc.connect)
		if tc.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			conn.Close()
			continue
		}
		t.Run(name, func(t *testing.T) { wantRefusal(t, err, tc.want) })
	}
	if _, err := pipe.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the connection is still open: %v", err)
	}
}

// TestOtherErrorsStayWhatTheyAre: only a refusal is one.
func TestOtherErrorsStayWhatTheyAre(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	p := &Policy{Operator: []string{"127.0.0.1"}}
	for name, dial := range map[string]Func{"DialContext": p.DialContext, "Wrap": p.Wrap(new(net.Dialer).DialContext)} {
		_, err := dial(t.Context(), "tcp", addr)
		if _, ok := errors.AsType[*net.OpError](err); !ok {
			t.Errorf("%s: got %v", name, err)
		}
		if _, ok := errors.AsType[*Error](err); ok {
			t.Errorf("%s: a refusal: %v", name, err)
		}
	}
}

// TestTransportAsksNoProxy: whatever the environment says, the client connects by itself.
func TestTransportAsksNoProxy(t *testing.T) {
	var proxied atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { proxied.Add(1) }))
	defer proxy.Close()
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	p := &Policy{Resolver: newNameServer(t, always("127.0.0.1")).resolver()}
	client := &http.Client{Transport: p.NewTransport(nil)}
	_, err := client.Get("http://evil.example/")
	wantRefusal(t, err, "a loopback address")
	if proxied.Load() != 0 {
		t.Error("the proxy was asked")
	}
}
