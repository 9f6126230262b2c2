package connect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// rebinding returns a resolver that leads every name to 127.0.0.1, and after bind to another address.
func rebinding(t *testing.T) (resolver *net.Resolver, bind func(address string)) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var to atomic.Pointer[string]
	bind = func(address string) { to.Store(&address) }
	bind("127.0.0.1")
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class},
					Body:   &dnsmessage.AResource{A: [4]byte(net.ParseIP(*to.Load()).To4())},
				}}
			}
			if packed, err := m.Pack(); err == nil {
				if _, err := conn.WriteTo(packed, from); err != nil {
					return
				}
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}, bind
}

// TestTemplatesOfNamesThatRebind: what counts is where a name leads to when it is connected to, and not
// where it led to before.
func TestTemplatesOfNamesThatRebind(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, roleTemplate) }))
	defer server.Close()
	server.Config.SetKeepAlivesEnabled(false)
	resolver, bind := rebinding(t)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	v := newVendor(t, vendorOptions{
		integration: func(i *Integration) {
			i.Templates = []Template{ofURL("https://templates.example.com:" + port + "/role.yaml")}
		},
		service: func(o *ServiceOptions) {
			policy := dialPolicy(o.Integrations, nil)
			policy.Resolver = resolver
			roots := x509.NewCertPool()
			roots.AddCert(server.Certificate())
			o.HTTPClient = &http.Client{Transport: policy.NewTransport(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})}
		},
	})
	if err := v.CheckTemplates(t.Context()); err != nil {
		t.Fatalf("where the operator has it: %v", err)
	}
	for n, address := range []string{"169.254.169.254", "0.0.0.0"} {
		bind(address)
		v.clock.pass(10 * time.Minute)
		if err := v.CheckTemplates(t.Context()); err != nil {
			t.Errorf("what was read before counts no more: %v", err)
		}
		until(t, func() bool { v.mu.Lock(); defer v.mu.Unlock(); return len(v.reports) == n+1 })
		if got := v.reports[n].Error(); !strings.Contains(got, "templates.example.com:"+port+" is at "+address) || !strings.Contains(got, "nothing is ever sent there") && !strings.Contains(got, "unspecified") {
			t.Errorf("%s", got)
		}
	}
}
