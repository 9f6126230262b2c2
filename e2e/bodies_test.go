package e2e_test

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
)

// noise returns n bytes that look random, the same each time.
func noise(n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1}), n)
}

// stored returns the SHA-256 of what S3 itself has under a key, or "" if it has nothing.
func (b *bed) stored(key string) string {
	b.t.Helper()
	out, err := b.direct.GetObject(b.t.Context(), &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: &key})
	if err != nil {
		return ""
	}
	defer out.Body.Close()
	h := sha256.New()
	if _, err := io.Copy(h, out.Body); err != nil {
		b.t.Error(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func hashOf(r io.Reader) string {
	h := sha256.New()
	_, _ = io.Copy(h, r)
	return fmt.Sprintf("%x", h.Sum(nil))
}

// overTLS sends everything to S3 over TLS, where large bodies are streamed.
const overTLS = `aws_sigv4 <s3-tls> {
		<target>
		transport aws_sigv4 {
			tls_trust_pool file <dir>/ca.pem
		}
	}`

// TestBodies puts bodies of many sizes, of known and unknown length, to S3 over HTTP and over TLS.
func TestBodies(t *testing.T) {
	for name, tt := range map[string]struct {
		routes  string
		largest int64
	}{
		"over HTTP": {styles["short form"], 40 * mebi},
		"over TLS":  {overTLS, 100 * mebi},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.runCaddy(sites(tt.routes))
			for _, size := range []int64{0, 1, 4095, 4097, mebi - 1, mebi, mebi + 1, 20 * mebi, tt.largest} {
				want := hashOf(noise(size))
				for _, length := range []string{"known", "unknown"} {
					key := fmt.Sprintf("%d-%s", size, length)
					req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+b.site+"/bucket/"+key, struct{ io.Reader }{noise(size)})
					if err != nil {
						t.Fatal(err)
					}
					req.ContentLength = size
					if length == "unknown" {
						req.ContentLength = -1
					} else if size == 0 {
						req.Body = http.NoBody
					}
					res, err := http.DefaultClient.Do(req)
					if err != nil {
						t.Fatalf("%s: %v", key, err)
					}
					answer, _ := io.ReadAll(res.Body)
					res.Body.Close()
					if res.StatusCode != 200 || b.stored(key) != want {
						t.Errorf("%s: %s %s; or S3 has other bytes", key, res.Status, answer)
						continue
					}
					res, err = http.Get("http://" + b.site + "/bucket/" + key)
					if err != nil {
						t.Fatal(err)
					}
					if got := hashOf(res.Body); got != want || res.ContentLength != size {
						t.Errorf("%s: got %d bytes, or other ones", key, res.ContentLength)
					}
					res.Body.Close()
				}
			}
		})
	}
}

// TestUploadsThatBreakOff ends connections in the middle of a body. S3 must keep nothing of it.
func TestUploadsThatBreakOff(t *testing.T) {
	for name, routes := range map[string]string{"over HTTP": styles["short form"], "over TLS": overTLS} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.runCaddy(sites(routes))
			for key, upload := range map[string]string{
				"length":  "Content-Length: 3000000\r\n\r\n" + strings.Repeat("x", 2000000),
				"chunked": "Transfer-Encoding: chunked\r\n\r\n10000\r\n" + strings.Repeat("x", 0x10000) + "\r\n10000\r\nxxx",
			} {
				c, err := net.Dial("tcp", b.site)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := fmt.Fprintf(c, "PUT /bucket/%s HTTP/1.1\r\nHost: %s\r\n%s", key, b.site, upload); err != nil {
					t.Fatal(err)
				}
				time.Sleep(100 * time.Millisecond)
				c.Close()
			}
			time.Sleep(200 * time.Millisecond)
			left, err := b.direct.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("bucket")})
			if err != nil || len(left.Contents) > 0 {
				t.Errorf("S3 has %d objects, %v: want none", len(left.Contents), err)
			}
			b.do("PUT", "/bucket/after", "hello").expect(t, "afterwards", 200)
		})
	}
}

// TestRefusedBeforeTheBody asks before it sends a body that nobody will take. The answer must not wait for the body: the
// client waits for the answer, and botocore waits for ever.
func TestRefusedBeforeTheBody(t *testing.T) {
	for name, routes := range map[string]string{
		"short form":            styles["short form"],
		"handler":               styles["handler"],
		"transport":             styles["transport"],
		"aws_sigv4_auth":        "aws_sigv4_auth {\nkey AKIDCLIENT client-secret\n}\n" + styles["short form"],
		"with an error route":   styles["short form"] + "\nhandle_errors {\nrespond refused {err.status_code}\n}",
		"too large, as it says": strings.Replace(styles["short form"], "<target>", "<target>\nbody_limit 1MiB", 1),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			want, framings := http.StatusServiceUnavailable, []string{"Content-Length: 5000000", "Content-Length: 5", "Transfer-Encoding: chunked"}
			switch name {
			case "too large, as it says":
				want, framings = http.StatusRequestEntityTooLarge, framings[:1:1]
			case "aws_sigv4_auth":
				want = http.StatusUnauthorized
			default:
				b.SetFault("", standin.Unavailable)
			}
			b.runCaddy(sites(routes))
			for _, framing := range framings {
				c, err := net.Dial("tcp", b.site)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(c, "PUT /bucket/k HTTP/1.1\r\nHost: %s\r\n%s\r\nExpect: 100-continue\r\n\r\n", b.site, framing)
				br := bufio.NewReader(c)
				res, err := http.ReadResponse(br, nil)
				if name == "transport" && err == nil && res.StatusCode == http.StatusContinue {
					// By itself a transport can't answer earlier, but it has the client go on.
					body := strings.Repeat("x", 5000000)
					switch framing {
					case "Content-Length: 5":
						body = "hello"
					case "Transfer-Encoding: chunked":
						body = "5\r\nhello\r\n0\r\n\r\n"
					}
					go func() { _, _ = io.WriteString(c, body) }()
					res, err = http.ReadResponse(br, nil)
				}
				if err != nil {
					t.Errorf("%s: no answer: %v", framing, err)
					continue
				}
				if res.StatusCode != want {
					t.Errorf("%s: %s, want %d", framing, res.Status, want)
				}
			}
			if b.stored("k") != "" {
				t.Error("S3 has an object")
			}
		})
	}
}

// TestExpectContinue asks before it sends a body, as many clients do.
func TestExpectContinue(t *testing.T) {
	for name, routes := range map[string]string{"over HTTP": styles["short form"], "over TLS": overTLS} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.runCaddy(sites(routes))
			c, err := net.Dial("tcp", b.site)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(c, "PUT /bucket/k HTTP/1.1\r\nHost: %s\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", b.site)
			br := bufio.NewReader(c)
			res, err := http.ReadResponse(br, nil)
			if err != nil || res.StatusCode != http.StatusContinue {
				t.Fatalf("%+v, %v: want 100", res, err)
			}
			fmt.Fprint(c, "hello")
			if res, err = http.ReadResponse(br, nil); err != nil || res.StatusCode != http.StatusOK {
				t.Fatalf("%+v, %v: want 200", res, err)
			}
			if b.stored("k") != hashOf(strings.NewReader("hello")) {
				t.Error("S3 has something else")
			}
		})
	}
}
