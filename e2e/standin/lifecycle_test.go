package standin

import (
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestLeavesNothingBehind starts and closes stand-ins one after the other: at once, and with connections open.
func TestLeavesNothingBehind(t *testing.T) {
	http.DefaultClient.CloseIdleConnections()
	round := func() string {
		s, err := Start(Config{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Start(Config{}); err == nil || !strings.Contains(err.Error(), "only one instance") {
			t.Errorf("a second one beside it: %v", err)
		}
		client := &http.Client{Transport: &http.Transport{}}
		for _, url := range []string{s.S3(), s.STS()} {
			res, err := client.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusForbidden && res.StatusCode != http.StatusBadRequest {
				t.Errorf("%s answered an unsigned request with %s", url, res.Status)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
		client.CloseIdleConnections()
		return s.dir
	}
	for range 10 {
		s, err := Start(Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("closed at once: %v", err)
		}
	}
	dir := round()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("its directory is still there: %v", err)
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left := ours()
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("still running:\n%s", strings.Join(left, "\n\n"))
		}
	}
}

// ours returns the goroutines, but for the test's own, that run code of the stand-in or of versitygw. A sleeping one of
// fasthttp's ends by itself after ten seconds.
func ours() []string {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var found []string
	for g := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(g, "testing.") {
			continue
		}
		if strings.Contains(g, "/standin.") || strings.Contains(g, "/versitygw/") {
			found = append(found, g)
		}
	}
	return found
}
