package webhook

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/store/storetest"
)

// names returns a resolver that leads every name to the next of some addresses, and in the end to the last.
func names(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var asked atomic.Int32
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
				at := min(int(asked.Add(1)), len(addresses)) - 1
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(addresses[at]).As4()},
				}}
			}
			if packed, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func TestAConnectionsOwnURLLeadsNowhereInside(t *testing.T) {
	b, r := newSimpleBed(t, nil)
	u, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{
		"https://hooks.example/x":                  "",
		"https://8.8.8.8/":                         "",
		r.URL + "/other":                           "", // It is the operator's.
		"http://" + u.Host + "/other":              "",
		"http://hooks.example/":                    "not https",
		"http://127.0.0.1:1/":                      "loopback",
		"http://localhost:1/":                      "loopback",
		"https://localhost/":                       "loopback",
		"https://a.localhost./":                    "loopback",
		"https://[::1]/":                           "loopback",
		"https://10.0.0.1/":                        "private",
		"https://169.254.169.254/latest/meta-data": "metadata",
		"https://[::ffff:169.254.169.254]/":        "metadata",
		"https://[fd00:ec2::254]/":                 "metadata",
		"https://0.0.0.0/":                         "unspecified",
		"https://u:p@hooks.example/":               "names a user",
		"file:///etc/passwd":                       "",
	} {
		err := b.CheckURL(to)
		if to == "file:///etc/passwd" {
			want = "is no URL"
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", to, err, want)
		}
	}
	none := newBed(t, &storetest.Memory{}, newClock(), nil)
	if err := none.CheckURL("https://hooks.example/"); err == nil || !strings.Contains(err.Error(), "no webhooks are sent here") {
		t.Errorf("%v", err)
	}
}

// TestNamesThatLeadInside: a name tells nothing when it is set, and is looked up when it is called, by whom it is
// connected to.
func TestNamesThatLeadInside(t *testing.T) {
	for name, addresses := range map[string][]string{
		"to this machine": {"127.0.0.1"}, "to the network": {"10.0.0.1"}, "to a metadata service": {"169.254.169.254"},
		"there, later": {"8.8.8.8", "127.0.0.1"}, // Who would check first sees the first.
	} {
		t.Run(name, func(t *testing.T) {
			resolver := names(t, addresses...)
			b, r := newSimpleBed(t, func(o *Options) { o.Resolver = resolver })
			u, err := url.Parse(r.URL)
			if err != nil {
				t.Fatal(err)
			}
			if len(addresses) > 1 {
				if found, err := resolver.LookupNetIP(t.Context(), "ip4", "evil.example"); err != nil || !found[0].IsGlobalUnicast() {
					t.Fatalf("%v, %v", found, err)
				}
			}
			n := b.session("globex")
			n.WebhookURL = "https://evil.example:" + u.Port() + "/"
			b.connectWith(n)
			b.run()
			if got := b.outcomes(); len(got) != 1 || !strings.HasPrefix(got[0], "creation dropped: evil.example:"+u.Port()+" is at ") {
				t.Errorf("%q", got)
			}
			if n := len(r.all()); n != 0 || b.QueueLength() != 0 {
				t.Errorf("%d requests, and %d wait", n, b.QueueLength())
			}
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	b, r := newSimpleBed(t, nil)
	for _, code := range []int{301, 302, 303, 307, 308} {
		r.answers(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://169.254.169.254/latest/meta-data")
			w.WriteHeader(code)
		})
		b.connect(fmt.Sprint("o", code))
		b.run()
		if n := len(r.take()); n != 1 {
			t.Errorf("%d: %d requests", code, n)
		}
		if got := b.outcomes(); !strings.HasSuffix(got[len(got)-1], fmt.Sprintf("answered %d, and redirects are not followed", code)) {
			t.Errorf("%q", got)
		}
	}
}

// TestNothingSecretIsTold looks at all that is said of deliveries that fail in every way, and at the storage.
func TestNothingSecretIsTold(t *testing.T) {
	m, r := &storetest.Memory{}, newReceiver(t)
	r.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, "receiver-secret")
	})
	gone := newReceiver(t)
	gone.Close()
	b := newBed(t, m, newClock(), trusting(r, nil),
		Endpoint{URL: r.URL + "/url-secret?key=url-secret", Secrets: secrets(t, testSecret)}, Endpoint{URL: gone.URL + "/url-secret", Secrets: secrets(t, oldSecret)})
	c := b.connect("globex")
	n := b.session("evil")
	n.WebhookURL = "https://no-such-host.invalid/url-secret"
	b.connectWith(n)
	b.run()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.deliveries) != 3 {
		t.Errorf("%+v", b.deliveries)
	}
	said := fmt.Sprintf("%+v %v", b.deliveries, b.reports)
	kept := ""
	for k, v := range m.Values() {
		kept += k + string(v)
	}
	for _, secret := range []string{"url-secret", "receiver-secret", "MfKQ9r8", oldSecret, c.ExternalID} {
		if strings.Contains(said, secret) || strings.Contains(kept, secret) {
			t.Errorf("%q is told", secret)
		}
	}
	if strings.Contains(kept, roleARN) {
		t.Error("the storage holds a body in clear")
	}
}

func TestEndpointsAreChecked(t *testing.T) {
	one, three := secrets(t, testSecret), secrets(t, testSecret, oldSecret, testSecret+"AAAA")
	store := openStore(t, &storetest.Memory{}, newClock())
	for want, endpoints := range map[string][]Endpoint{
		"":                               {{URL: "https://a.example", Secrets: one}, {URL: "http://127.0.0.1:80/", Secrets: one}, {Secrets: one, Events: Events}},
		"is not https":                   {{URL: "http://a.example", Secrets: one}},
		"is no URL":                      {{URL: "a.example", Secrets: one}},
		"has 0 secrets":                  {{URL: "https://a.example"}},
		"has 3 secrets":                  {{URL: "https://a.example", Secrets: three}},
		`"creations" is no event`:        {{URL: "https://a.example", Secrets: one, Events: []Event{"creations"}}},
		"it is there twice":              {{URL: "https://a.example", Secrets: one}, {URL: "https://a.example", Secrets: one}},
		"webhook override has 0 secrets": {{}},
	} {
		_, err := New(Options{Store: store, Endpoints: endpoints})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("a sender without a store")
	}
}
