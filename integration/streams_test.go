package integration_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestAnswersAreStreamed: what an endpoint sends piece by piece arrives so, for
// event streams of the web and of AWS.
func TestAnswersAreStreamed(t *testing.T) {
	for _, kind := range []string{"text/event-stream", "application/vnd.amazon.eventstream"} {
		for style, configure := range styles {
			t.Run(kind+", "+style, func(t *testing.T) {
				goOn := make(chan struct{})
				up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", kind)
					fmt.Fprint(w, "first\n")
					_ = http.NewResponseController(w).Flush()
					<-goOn
					fmt.Fprint(w, "second\n")
				}))
				defer up.Close()
				defer close(goOn)
				s := startCaddy(t, configure(strings.TrimPrefix(up.URL, "http://"), setup{options: signFor("bedrock")}))
				c, err := net.Dial("tcp", s.addr())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				fmt.Fprint(c, requestText("POST", "/model/x/invoke-with-response-stream", s.addr(), "{}"))
				// The second event waits for the first to have arrived.
				_ = c.SetReadDeadline(time.Now().Add(patience))
				res, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatal(err)
				}
				events := bufio.NewReader(res.Body)
				if line, err := events.ReadString('\n'); line != "first\n" {
					t.Fatalf("got %q, %v", line, err)
				}
				goOn <- struct{}{}
				if line, err := events.ReadString('\n'); line != "second\n" {
					t.Errorf("got %q, %v", line, err)
				}
			})
		}
	}
}

// TestMetadataNamesArriveAsS3SendsThem: clients show the names of an object's
// metadata as they arrive.
func TestMetadataNamesArriveAsS3SendsThem(t *testing.T) {
	for style, configure := range styles {
		t.Run(style, func(t *testing.T) {
			up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header()["x-amz-meta-foo"] = []string{"1"}
				w.Header()["x-amz-request-id"] = []string{"2"}
				w.Header().Set("ETag", `"3"`)
				w.Header().Set("Content-Range", "bytes 0-1/9")
				w.WriteHeader(http.StatusPartialContent)
				fmt.Fprint(w, "ok")
			}))
			defer up.Close()
			s := startCaddy(t, configure(strings.TrimPrefix(up.URL, "http://"), setup{options: signFor("s3")}))
			c, err := net.Dial("tcp", s.addr())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fmt.Fprint(c, strings.Replace(requestText("GET", "/key", s.addr(), ""), "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
			_ = c.SetReadDeadline(time.Now().Add(patience))
			var head strings.Builder
			for lines := bufio.NewReader(c); ; {
				line, err := lines.ReadString('\n')
				if err != nil || line == "\r\n" {
					break
				}
				head.WriteString(line)
			}
			want := "\nx-amz-meta-foo: 1\r\n"
			if style == "transport" {
				// No handler of ours is there, and reverse_proxy writes names in
				// Go's canonical form.
				want = "\nX-Amz-Meta-Foo: 1\r\n"
			}
			for _, text := range []string{want, "HTTP/1.1 206 ", "\nX-Amz-Request-Id: 2\r\n", "\nEtag: \"3\"\r\n", "\nContent-Range: bytes 0-1/9\r\n"} {
				if !strings.Contains(head.String(), text) {
					t.Errorf("%q is not in\n%s", text, head.String())
				}
			}
		})
	}
}
