package standin

import (
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestLeavesNothingBehind starts and closes stand-ins one after the other, with connections open.
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
	round() // What starts once in a process has started then.
	before := runtime.NumGoroutine()
	dir := round()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("its directory is still there: %v", err)
	}
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
		}
	}
}
