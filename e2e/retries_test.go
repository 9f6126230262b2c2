package e2e_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// halfDead is an upstream before S3 that breaks each connection in its own way.
type halfDead struct {
	// reads is how many bytes of a request's body it reads before it ends the connection; -1: all of them.
	reads int64
	// answers is what it says before that.
	answers string
	// passes lets so many requests of each connection through to S3 first.
	passes int
}

var halfDeadUpstreams = map[string]halfDead{
	"ends at once":                       {},
	"ends in the first block":            {reads: 1000},
	"ends in the middle":                 {reads: 70_000},
	"ends after the body":                {reads: -1},
	"begins an answer and ends":          {reads: 1000, answers: "HTTP/1.1 200 OK\r\nContent-Le"},
	"answers what is no HTTP":            {reads: 1000, answers: "SSH-2.0-OpenSSH\r\n"},
	"ends a connection that was used":    {passes: 1, reads: 1000},
	"ends a connection at its next head": {passes: 1},
}

// listen starts the upstream, with TLS if there is a configuration, and returns its address and how many requests met their
// end.
func (h halfDead) listen(t *testing.T, config *tls.Config, to string) (addr string, died *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	var wg sync.WaitGroup
	ended := make(chan struct{})
	t.Cleanup(func() { l.Close(); close(ended); wg.Wait() })
	died = new(atomic.Int64)
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			done := make(chan struct{})
			wg.Go(func() { // Caddy keeps idle connections for two minutes.
				select {
				case <-ended:
				case <-done:
				}
				c.Close()
			})
			wg.Go(func() {
				defer close(done)
				requests := bufio.NewReader(c)
				for n := 0; ; n++ {
					req, err := http.ReadRequest(requests)
					if err != nil {
						return
					}
					if n < h.passes {
						if err := forward(c, req, to); err != nil {
							t.Logf("the upstream: %v", err) // The proxy gave up in the middle.
							return
						}
						continue
					}
					died.Add(1)
					if h.reads < 0 {
						_, _ = io.Copy(io.Discard, req.Body)
					} else {
						_, _ = io.CopyN(io.Discard, req.Body, h.reads)
					}
					_, _ = io.WriteString(c, h.answers)
					return
				}
			})
		}
	})
	return l.Addr().String(), died
}

// forward passes one request on, and its answer back.
func forward(c net.Conn, req *http.Request, to string) error {
	s3, err := net.Dial("tcp", to)
	if err != nil {
		return err
	}
	defer s3.Close()
	if err := req.Write(s3); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReader(s3), req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return res.Write(c)
}

// TestRetriesAreWhole has S3 behind an upstream that is dead, and behind each that is half dead. What is retried is stored
// whole, or not at all; and what is answered 200 is stored.
func TestRetriesAreWhole(t *testing.T) {
	const balance = `lb_policy first
		lb_retries 3
		fail_duration 1ms
		lb_retry_match {
			method PUT
		}
		`
	for style, routes := range withTLS() {
		t.Run(style, func(t *testing.T) {
			b := newBed(t)
			s3Address := strings.TrimPrefix(b.S3(), "http://")
			scheme, behind := "", s3Address
			var config *tls.Config
			if style == "short form over TLS" {
				scheme, behind = "https://", strings.TrimPrefix(b.S3TLS(), "https://")
				routes = strings.Replace(strings.Replace(routes, "<s3-tls>", "<s3>", 1), "<dir>/ca.pem", "<dir>/ca.pem <dir>/site.pem", 1)
				cert, err := tls.LoadX509KeyPair(filepath.Join(b.dir, "site.pem"), filepath.Join(b.dir, "site.key"))
				if err != nil {
					t.Fatal(err)
				}
				config = &tls.Config{Certificates: []tls.Certificate{cert}}
			}
			addresses := map[string]string{"nobody listens": freePort(t, "127.0.0.1")}
			died := map[string]*atomic.Int64{}
			for name, h := range halfDeadUpstreams {
				addresses[name], died[name] = h.listen(t, config, s3Address)
			}
			// Each has a route of its own, by the key's first part.
			var all strings.Builder
			for name, addr := range addresses {
				one := strings.ReplaceAll(routes, "<s3>", scheme+addr+" "+scheme+behind)
				one = strings.ReplaceAll(one, "<target>", "<target>\nbody_memory 64KiB")
				switch style {
				case "short form", "short form over TLS":
					one = strings.Replace(one, "{\n", "{\nhost "+behind+"\n"+balance, 1)
				case "transport":
					one = strings.Replace(one, "{\n", "{\n"+balance, 1)
					one = strings.Replace(one, "<target>", "host "+behind+"\n<target>", 1)
				default:
					one += " {\n" + balance + "\nheader_up Host " + behind + "\n}"
				}
				fmt.Fprintf(&all, "@%[1]s path /bucket/%[1]s/*\nhandle @%[1]s {\n%[2]s\n}\n", word(name), one)
			}
			b.runCaddy(sites(all.String()))
			for name := range addresses {
				for _, size := range []int{0, 5, 60_000, 200_000, 3 * mebi} {
					for _, framing := range []string{"", chunked} {
						key := fmt.Sprintf("%s/%d%s", word(name), size, framing[:min(len(framing), 2)])
						body := strings.Repeat("retries", size/7+1)[:size]
						var lines []string
						if framing != "" {
							lines = append(lines, framing)
						}
						r := b.do("PUT", "/bucket/"+key, body, lines...)
						stored := b.stored(key)
						whole := stored == hashOf(strings.NewReader(body))
						switch {
						case stored != "" && !whole:
							t.Errorf("%s: answered %v, and S3 has something else", key, r)
						case r.status == 200 && !whole:
							t.Errorf("%s: answered %v, and S3 has nothing", key, r)
						case r.status == 200:
						case style == "handler":
							// By itself a handler has nothing to send again.
						case config != nil && size > 64<<10 && framing == "":
							// These are streamed, and not held.
						default:
							t.Errorf("%s: answered %v", key, r)
						}
					}
				}
			}
			for name, n := range died {
				if n.Load() == 0 {
					t.Errorf("%s: it was never asked", name)
				}
			}
		})
	}
}

func word(name string) string { return strings.ReplaceAll(name, " ", "-") }

// TestTrailers sends fields after the body, where no signature covers them: declared ones are refused, and of others
// nothing arrives.
func TestTrailers(t *testing.T) {
	for style, routes := range withTLS() {
		t.Run(style, func(t *testing.T) {
			b := newBed(t)
			b.runCaddy(sites(routes))
			for _, size := range []int{5, 2 * mebi} {
				body := strings.Repeat("x", size)
				for name, declared := range map[string]string{"declared": "Trailer: X-Amz-Meta-Sum\r\n", "not declared": ""} {
					key := strconv.Itoa(size) + strings.ReplaceAll(name, " ", "-")
					text := fmt.Sprintf("PUT /bucket/%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s%s\r\n\r\n%x\r\n%s\r\n0\r\nX-Amz-Meta-Sum: forged\r\n\r\n",
						key, b.site, declared, chunked, size, body)
					c, err := net.Dial("tcp", b.site)
					if err != nil {
						t.Fatal(err)
					}
					go func() { _, _ = io.WriteString(c, text) }()
					res, err := http.ReadResponse(bufio.NewReader(c), nil)
					if err != nil {
						t.Fatal(err)
					}
					answer, _ := io.ReadAll(res.Body)
					c.Close()
					head, err := b.direct.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("bucket"), Key: &key})
					if declared != "" {
						if res.StatusCode != 400 || !strings.Contains(string(answer), "trailers") || err == nil {
							t.Errorf("%s: %s %s, %v", key, res.Status, answer, err)
						}
						continue
					}
					if res.StatusCode != 200 || err != nil || len(head.Metadata) > 0 || b.stored(key) != hashOf(strings.NewReader(body)) {
						t.Errorf("%s: %s %s, %v; or S3 has something else", key, res.Status, answer, err)
					}
				}
			}
		})
	}
}
