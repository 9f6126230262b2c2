package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// roleVariable tells a process that this program started what it is to be.
const roleVariable = "AWS_SIGV4_BENCH_ROLE"

func isUpstream() bool { return os.Getenv(roleVariable) == "upstream" }

// upstreamBody is what the upstream answers.
const upstreamBody = `{"_index":"index","_id":"some document","found":true,"_source":{"title":"a small document"}}`

// probePath is answered with the Authorization header that arrived.
const probePath = "/probe"

// serveUpstream is the fixed upstream, in a process of its own: it prints where
// it listens and answers until its standard input ends, that is, until the
// benchmark does, however that happens.
func serveUpstream(in io.Reader, out io.Writer) int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "upstream:", err)
		return 1
	}
	fmt.Fprintln(out, listener.Addr())
	body := []byte(upstreamBody)
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = []string{"application/json"}
			if r.URL.Path == probePath {
				_, _ = io.WriteString(w, r.Header.Get("Authorization")) // #nosec G705 -- The benchmark alone reads it.
				return
			}
			_, _ = w.Write(body)
		}),
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, "upstream:", err)
		return 1
	}
	return 0
}

// upstream is the process that serveUpstream runs in.
type upstream struct {
	cmd   *exec.Cmd
	stdin io.Closer
	addr  string
}

func startUpstream(ctx context.Context) (*upstream, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self) // #nosec G204 -- It is this program.
	cmd.Env = append(os.Environ(), roleVariable+"=upstream")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	u := &upstream{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		u.stop()
		return nil, fmt.Errorf("the upstream did not start: %w", err)
	}
	u.addr = strings.TrimSpace(line)
	return u, nil
}

func (u *upstream) stop() {
	u.stdin.Close()
	_ = u.cmd.Wait()
}
