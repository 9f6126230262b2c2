package integration_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// attack is what a client sends to get something signed that it should not, or
// to get something through unsigned. Where it writes FORGED, no endpoint may
// see it.
type attack struct {
	name string
	// raw is all that it sends; in it, <host> stands for the site.
	raw string
	// want is the answer's status; 0 is any status, or none.
	want int
}

func forge(lines ...string) string {
	return "GET /attack HTTP/1.1\r\nHost: <host>\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
}

func forgeTarget(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: <host>\r\n\r\n" }

const forgedCredential = "AWS4-HMAC-SHA256 Credential=FORGED/20261122/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=FORGED"

var attacks = []attack{
	{"Authorization", forge("Authorization: " + forgedCredential), 200},
	{"Authorization twice", forge("Authorization: Bearer FORGED", "authorization: "+forgedCredential), 200},
	{"Proxy-Authorization", forge("Proxy-Authorization: Basic FORGED"), 200},
	{"dates", forge("X-Amz-Date: 20000101T000000ZFORGED", "Date: FORGED", "x-amz-date: FORGED"), 200},
	{"session token", forge("X-Amz-Security-Token: FORGED", "X-AMZ-SECURITY-TOKEN: FORGED"), 200},
	{"S3 session token", forge("X-Amz-S3session-Token: FORGED", "x-amz-s3session-token: FORGED"), 200},
	{"region set", forge("X-Amz-Region-Set: FORGED"), 200},
	{"payload hash", forge("X-Amz-Content-Sha256: FORGED"), 200},
	{"payload hash twice", forge("X-Amz-Content-Sha256: FORGED", "x-amz-content-sha256: UNSIGNED-PAYLOAD"), 200},
	{
		"payload not hashed",
		"PUT /attack HTTP/1.1\r\nHost: <host>\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\nContent-Length: 2\r\n\r\nhi", 200,
	},
	{"almost x-amz", forge("X_Amz_Date: 1", "X-Amzn-Date: 1", "X-Amz: 1", "X-Amz-: 1"), 200},

	{"Connection names all that is signed", forge("Connection: X-Amz-Date, Authorization, Host, X-Amz-Security-Token, X-Amz-Content-Sha256, Content-Type",
		"Content-Type: text/plain"), 200},
	{"Connection in lower case, twice", forge("connection: x-amz-date", "Connection: authorization,,x-amz-content-sha256"), 200},
	{"Connection: close and more", forge("Connection: close, Authorization"), 200},
	{"Proxy-Connection and Keep-Alive", forge("Proxy-Connection: X-Amz-Date", "Keep-Alive: Authorization"), 200},
	{"Connection: Upgrade and more", forge("Connection: Upgrade, Authorization, X-Amz-Date", "Upgrade: websocket"), 200},
	{"Upgrade to h2c", forge("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"), 200},
	{"Te, Trailer", forge("Te: trailers", "Trailer: Authorization"), 200},

	{"presigned", forgeTarget("/?X-Amz-Algorithm=FORGED&X-Amz-Credential=FORGED&X-Amz-Date=FORGED&X-Amz-Expires=FORGED" +
		"&X-Amz-SignedHeaders=FORGED&X-Amz-Signature=FORGED&X-Amz-Security-Token=FORGED"), 200},
	{"presigned, in lower case", forgeTarget("/?x-amz-signature=FORGED&x-AMZ-date=FORGED&keep=1"), 200},
	{"presigned, escaped", forgeTarget("/?X%2DAmz-Signature=FORGED&%58-amz-%64ate=FORGED&X-Amz-Securit%79-Token"), 200},
	{"presigned, escaped entirely", forgeTarget("/?%58%2d%41%6d%7a%2d%53%69%67%6e%61%74%75%72%65=FORGED"), 200},
	{"presigned for S3 Express", forgeTarget("/?X-Amz-S3session-Token=FORGED&X-Amz-Region-Set=FORGED"), 200},
	{"presigned, valueless", forgeTarget("/?X-Amz-Signature&X-Amz-Date="), 200},
	{"presigned behind a semicolon", forgeTarget("/?a=1;X-Amz-Signature=1"), 200},
	{"presigned, escaped twice", forgeTarget("/?X%252DAmz-Signature=1"), 200},
	{"presigned with a plus", forgeTarget("/?X+Amz-Signature=1&+X-Amz-Date=1"), 200},
	{"presigned with a bad escape", forgeTarget("/?X-Amz-Signature=%zzFORGED"), 0},
	{"presigned in an absolute form", forgeTarget("http://any.example/?X-Amz-Signature=FORGED"), 200},

	{"another Host", "GET / HTTP/1.1\r\nHost: any.example\r\n\r\n", 200},
	{"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
	{"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
	{"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
	{"a bad Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
	{"the Host in the target", "GET http://any.example/ HTTP/1.1\r\nHost: <host>\r\n\r\n", 200},
	{"user and password in the target", "GET http://FORGED:FORGED@any.example/ HTTP/1.1\r\nHost: <host>\r\n\r\n", 200},

	{"dots", forgeTarget("/../../../../etc/passwd"), 200},
	{"escaped dots", forgeTarget("/%2e%2e/%2e%2e%2fetc/..%2fpasswd"), 200},
	{"backslashes", forgeTarget("/..\\..\\x"), 200},
	{"NUL", forgeTarget("/%00?%00=%00"), 200},
	{"bad UTF-8", forgeTarget("/\xff\xfe?\xc3\x28=\xa0"), 200},
	{"escaped bad UTF-8", forgeTarget("/%ff%fe%c0%af"), 200},
	{"broken escape in the path", forgeTarget("/%"), 400},
	{"broken escape in the query", forgeTarget("/?%u0041"), 400},
	{"line ends in the path", forgeTarget("/%0d%0aAuthorization:%20x%0d%0a"), 200},
	{"raw NUL in the path", forgeTarget("/\x00"), 400},
	{"raw tab in the path", forgeTarget("/\t"), 400},
	{"fragment", forgeTarget("/a#b"), 200},
	{"authority as a path", forgeTarget("//user@any.example:1/"), 200},
	{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: <host>\r\n\r\n", 0},
	{"CONNECT", "CONNECT any.example:443 HTTP/1.1\r\nHost: any.example:443\r\n\r\n", 0},
	{"CONNECT with a path", "CONNECT /x HTTP/1.1\r\nHost: <host>\r\n\r\n", 0},
	{"TRACE", "TRACE / HTTP/1.1\r\nHost: <host>\r\n\r\n", 0},
	{"odd method", "GE%T / HTTP/1.1\r\nHost: <host>\r\n\r\n", 200},
	{"lower-case method", "get / HTTP/1.1\r\nHost: <host>\r\n\r\n", 200},
	{"bad method", "G(T / HTTP/1.1\r\nHost: <host>\r\n\r\n", 400},
	{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", 200},
	{"HTTP/0.9", "GET /long-enough-to-be-no-preface\r\n\r\n", 400},

	{"Content-Length and chunked", "PUT / HTTP/1.1\r\nHost: <host>\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX", 0},
	{"two Content-Lengths", "PUT / HTTP/1.1\r\nHost: <host>\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", 400},
	{"Content-Length list", "PUT / HTTP/1.1\r\nHost: <host>\r\nContent-Length: 2, 2\r\n\r\nab", 400},
	{"signed Content-Length", "PUT / HTTP/1.1\r\nHost: <host>\r\nContent-Length: +2\r\n\r\nab", 400},
	{"negative Content-Length", "PUT / HTTP/1.1\r\nHost: <host>\r\nContent-Length: -1\r\n\r\n", 400},
	{"huge Content-Length", "PUT / HTTP/1.1\r\nHost: <host>\r\nContent-Length: 9223372036854775807\r\n\r\n" + strings.Repeat("x", 300_000), 413},
	{"Content-Length on GET", "GET / HTTP/1.1\r\nHost: <host>\r\nContent-Length: 2\r\n\r\nab", 200},
	{"odd transfer coding", "PUT / HTTP/1.1\r\nHost: <host>\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
	{"disguised chunked", "PUT / HTTP/1.1\r\nHost: <host>\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 0},
	{"blank before the colon", "PUT / HTTP/1.1\r\nHost: <host>\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
	{"chunk extensions", "PUT / HTTP/1.1\r\nHost: <host>\r\nTransfer-Encoding: chunked\r\n\r\n2;x=\"y\"\r\nab\r\n0\r\n\r\n", 200},
	{"bad chunk size", "PUT / HTTP/1.1\r\nHost: <host>\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n", 0},
	{"endless chunk size", "PUT / HTTP/1.1\r\nHost: <host>\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffffff\r\n", 0},
	{"trailers", "PUT / HTTP/1.1\r\nHost: <host>\r\nTransfer-Encoding: chunked\r\nTrailer: X-Amz-Date\r\n\r\n0\r\nX-Amz-Date: FORGED\r\n\r\n", 400},
	{"unannounced trailers", "PUT / HTTP/1.1\r\nHost: <host>\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: FORGED\r\n\r\n", 200},
	{"Expect something else", forge("Expect: FORGED"), 417},

	{"folded header", forge("X-Amz-Meta-A: a\r\n b"), 200},
	{"header without a name", forge(": FORGED"), 400},
	{"NUL in a header", forge("X-Amz-Meta-A: a\x00b"), 400},
	{"CR in a header", forge("X-Amz-Meta-A: a\rX-Amz-Date: FORGED"), 400},
	{"raw bytes in a header", forge("X-Amz-Meta-A: \xff\xfe\x80"), 200},
	{"odd header name", forge("X-Amz-Meta-\xc3\xa9: 1"), 400},
	{"bare line feeds", "GET /attack HTTP/1.1\nHost: <host>\nX-Amz-Date: FORGED\n\n", 0},
	{"long header", forge("X-Amz-Meta-A: " + strings.Repeat("a", 15_000)), 200},
	{"too long a header", forge("X-Amz-Meta-A: " + strings.Repeat("a", 2<<20)), 431},
	{"many headers", forge(strings.TrimSuffix(strings.Repeat("X-Amz-Meta-A: a\r\n", 500), "\r\n")), 200},
	{"long path", forgeTarget("/" + strings.Repeat("a/", 5_000)), 200},
	{"long query", forgeTarget("/?" + strings.Repeat("b&a=%2f&", 1_000)), 200},

	{"STREAMING-", forge("X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), 501},
	{"streaming-, in lower case", forge("x-amz-content-sha256: streaming-unsigned-payload-trailer"), 501},
	{"STREAMING- as the second", forge("X-Amz-Content-Sha256: UNSIGNED-PAYLOAD", "X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), 501},
	{"aws-chunked", forge("Content-Encoding: gzip , AWS-Chunked"), 501},
	{
		"aws-chunked body", "PUT /attack HTTP/1.1\r\nHost: <host>\r\nContent-Encoding: aws-chunked\r\nX-Amz-Decoded-Content-Length: 2\r\n" +
			"Content-Length: 7\r\n\r\n2\r\nab\r\n", 501,
	},
}

// TestAttacks: nothing unsigned and nothing wrongly signed reaches an endpoint,
// whatever clients send; and Caddy goes on.
func TestAttacks(t *testing.T) {
	for style, configure := range styles {
		for _, service := range []string{"s3", "execute-api"} {
			t.Run(style+"/"+service, func(t *testing.T) {
				up := newEndpoint(t, newKeyring(), nil)
				s := startCaddy(t, configure(up.Addr(), setup{options: signFor(service), proxy: "fail_duration 10s"}))
				seen := 0
				for _, a := range attacks {
					raw := strings.ReplaceAll(a.raw, "<host>", s.addr())
					r, err := tryExchange(s.addr(), raw)
					switch {
					case a.want != 0 && err != nil:
						t.Errorf("%s: no answer: %v", a.name, err)
					case a.want != 0 && r.status != a.want:
						t.Errorf("%s: answered %v, want status %d", a.name, r, a.want)
					case err == nil && r.status == 500, r.status == 502:
						t.Errorf("%s: answered %v", a.name, r)
					}
					requests := up.Requests()
					for _, got := range requests[seen:] {
						if _, err := up.verify(got); err != nil {
							t.Errorf("%s: arrived and is refused: %v", a.name, err)
						}
						if text := wire(got); strings.Contains(text, "FORGED") {
							t.Errorf("%s: arrived with what the client forged:\n%s", a.name, text)
						}
					}
					if len(requests) > seen && err == nil && r.status >= 400 {
						t.Errorf("%s: answered %v, and the endpoint received %q", a.name, r, requests[len(requests)-1].Line)
					}
					seen = len(requests)
					if broken := up.Malformed(); len(broken) > 0 {
						t.Fatalf("%s: what is no request arrived: %v", a.name, broken)
					}
				}
				s.get("/good").expect(t, 200)
			})
		}
	}
}

// TestSmuggledRequestIsOneOfItsOwn: what follows a body that ends where its
// chunks say is another request of the client, and is signed as such; the
// endpoint never has to decide where one ends.
func TestSmuggledRequestIsOneOfItsOwn(t *testing.T) {
	up := newEndpoint(t, newKeyring(), nil)
	s := startCaddy(t, styles["short form"](up.Addr(), setup{options: signFor("s3")}))
	c, err := net.Dial("tcp", s.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "PUT /first HTTP/1.1\r\nHost: any.example\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: any.example\r\nAuthorization: "+forgedCredential+"\r\n\r\n")
	br := bufio.NewReader(c)
	for range 2 {
		r, err := readReply(br, "GET")
		if err != nil {
			t.Fatal(err)
		}
		r.expect(t, 200)
	}
	requests := up.all(2)
	if requests[0].Chunked || requests[0].Length != 0 || requests[1].Target != "/smuggled" || strings.Contains(wire(requests[1]), "FORGED") {
		t.Errorf("arrived:\n%s\n%s", wire(requests[0]), wire(requests[1]))
	}
}

// TestAttacksOnAKeptConnection: no attack leaves bytes behind for the next
// request on a connection between Caddy and the endpoint.
func TestAttacksOnAKeptConnection(t *testing.T) {
	up := newEndpoint(t, newKeyring(), nil)
	s := startCaddy(t, styles["short form"](up.Addr(), setup{options: signFor("s3"), http: "keepalive_idle_conns 1\nmax_conns_per_host 1"}))
	for _, a := range attacks {
		_, _ = tryExchange(s.addr(), strings.ReplaceAll(a.raw, "<host>", s.addr()))
		before := len(up.Requests())
		s.get("/good").expect(t, 200)
		requests := up.Requests()
		if len(requests) != before+1 || requests[before].Target != "/good" || len(requests[before].Body) != 0 {
			t.Fatalf("after %s: %d requests arrived, the last one %q", a.name, len(requests)-before, up.last().Line)
		}
	}
	if broken := up.Malformed(); len(broken) > 0 {
		t.Fatalf("what is no request arrived: %v", broken)
	}
}

// wire returns a request as it came, but for its framing.
func wire(r *wireverify.Request) string {
	var b strings.Builder
	b.WriteString(r.Line + "\n")
	for _, h := range append(r.Headers, r.Trailers...) {
		b.WriteString(h.Name + ": " + h.Value + "\n")
	}
	return b.String() + "\n" + string(r.Body)
}
