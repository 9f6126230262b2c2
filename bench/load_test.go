package main

import (
	"bufio"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestReadAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		answer, rest string
		wantErr      string
	}{
		"leaves what follows": {answer: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcnext", rest: "next"},
		"any spelling":        {answer: "HTTP/1.1 200 OK\r\ncontent-LENGTH:0\r\nX: y\r\n\r\n"},
		"another status":      {answer: "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", wantErr: "503"},
		"no length":           {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", wantErr: "without Content-Length"},
		"a bad length":        {answer: "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", wantErr: `Content-Length " x"`},
		"cut off in the body": {answer: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na", wantErr: "EOF"},
		"cut off in the head": {answer: "HTTP/1.1 200 OK\r\nContent-", wantErr: "EOF"},
		"nothing":             {wantErr: "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			r := bufio.NewReader(strings.NewReader(tc.answer))
			err := readAnswer(r)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("error %v, want %s", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if rest, _ := io.ReadAll(r); string(rest) != tc.rest {
				t.Errorf("left %q, want %q", rest, tc.rest)
			}
		})
	}
}

// countingServer counts the URLs that it is asked for.
func countingServer(t *testing.T, delay time.Duration) (addr string, count func() (requests, urls int)) {
	t.Helper()
	var mu sync.Mutex
	seen, n := make(map[string]bool), 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.RequestURI] = true
		n++
		mu.Unlock()
		time.Sleep(delay)
		_, _ = io.WriteString(w, "body")
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		return n, len(seen)
	}
}

func TestSaturateIsBounded(t *testing.T) {
	addr, count := countingServer(t, 0)
	l, err := newLoad(addr, 8)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	s, err := l.saturate(t.Context(), answerTimeout, 400)
	if err != nil {
		t.Fatal(err)
	}
	if n, urls := count(); s.requests != 400 || n != 400 || urls < 100 {
		t.Errorf("%d requests counted, %d received with %d URLs; want 400 with many", s.requests, n, urls)
	}
	s, err = l.saturate(t.Context(), 50*time.Millisecond, 1<<62)
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := count(); int64(n) != 400+s.requests || s.elapsed < 50*time.Millisecond {
		t.Errorf("%d requests counted in %v, %d received", s.requests, s.elapsed, n-400)
	}
}

// TestPaceCountsWaiting: an upstream that takes longer than a request is due
// has all later ones wait, which a generator that only measures what it sends
// would hide.
func TestPaceCountsWaiting(t *testing.T) {
	const delay = 20 * time.Millisecond
	addr, count := countingServer(t, delay)
	l, err := newLoad(addr, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	latencies, err := l.pace(t.Context(), 100, 300*time.Millisecond) // One every 10 ms.
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := count(); n != 30 || len(latencies) != 30 {
		t.Fatalf("%d requests received and %d timed, want 30", n, len(latencies))
	}
	// The last is due at 290 ms and can't be answered before 600 ms.
	if least, last := percentile(latencies, 0), latencies[29]; least < delay || last < 300*time.Millisecond {
		t.Errorf("from %v, the last took %v: the wait was not counted", least, last)
	}
}

func TestLoadReportsErrors(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1))
			conn.Close()
		}
	}()
	for name, send := range map[string]func(*load) error{
		"saturate": func(l *load) error { _, err := l.saturate(t.Context(), time.Second, 10); return err },
		"pace":     func(l *load) error { _, err := l.pace(t.Context(), 10, time.Second); return err },
	} {
		l, err := newLoad(listener.Addr().String(), 2)
		if err != nil {
			t.Fatal(err)
		}
		if err := send(l); err == nil {
			t.Errorf("%s: no error although connections break", name)
		}
		l.close()
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[99-i] = i + 1
	}
	for _, tc := range []struct {
		values []int
		p      float64
		want   int
	}{
		{hundred, 0.99, 99},
		{hundred, 0.50, 50},
		{hundred, 1, 100},
		{hundred, 0, 1},
		{[]int{7}, 0.99, 7},
		{[]int{3, 1, 2}, 0.5, 2},
	} {
		if got := percentile(tc.values, tc.p); got != tc.want {
			t.Errorf("%v of %d values: %d, want %d", tc.p, len(tc.values), got, tc.want)
		}
	}
}

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{2: {3, 1, 2}, 2.5: {4, 1, 2, 3}, 5: {5}} {
		if got := median(values); got != want {
			t.Errorf("median of %v: %v, want %v", values, got, want)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing: %v", got)
	}
}

func TestParseStat(t *testing.T) {
	used, ok := parseStat("4711 (a) (b) S 1 4711 4711 0 -1 4194560 100 0 0 0 250 31 0 0 20 0 8 0 12345 1 2 3")
	if !ok || used != 2810*time.Millisecond {
		t.Errorf("%v, %t; want 2.81s", used, ok)
	}
	for _, bad := range []string{"", "4711 (a", "4711 (a) S 1 2", "1 (a) S 1 1 1 0 -1 1 1 0 0 0 x 1 0 0 20"} {
		if used, ok := parseStat(bad); ok {
			t.Errorf("%q: %v", bad, used)
		}
	}
	if text, err := os.ReadFile("/proc/self/stat"); err == nil {
		if _, ok := parseStat(string(text)); !ok {
			t.Errorf("this system's own line can't be read: %s", text)
		}
	}
}
