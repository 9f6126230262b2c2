package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// process is a proxy that runs.
type process struct {
	cmd    *exec.Cmd
	addr   string
	admin  string
	output bytes.Buffer
	ended  chan struct{} // closed once it has ended
}

// start runs a variant and waits until it answers as it should.
func (b *bench) start(ctx context.Context, v *variant, withAdmin bool) (*process, error) {
	var err error
	for range 3 { // Another program may have taken the port since.
		var p *process
		if p, err = b.tryStart(ctx, v, withAdmin); err == nil {
			return p, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return nil, err
}

func (b *bench) tryStart(ctx context.Context, v *variant, withAdmin bool) (*process, error) {
	p := &process{admin: "off", ended: make(chan struct{})}
	var err error
	if p.addr, err = freeAddress(); err != nil {
		return nil, err
	}
	if withAdmin {
		if p.admin, err = freeAddress(); err != nil {
			return nil, err
		}
	}
	if p.cmd, err = b.command(v, p.addr, p.admin); err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // However it ends, its output tells why.
		close(p.ended)
	}()
	if err := p.ready(ctx, v); err != nil {
		p.stop()
		return nil, fmt.Errorf("%w; its output:\n%s", err, p.output.Bytes())
	}
	return p, nil
}

// ready waits until the proxy answers, and checks that it signs, or doesn't.
func (p *process) ready(ctx context.Context, v *variant) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		authorization, err := get(ctx, "http://"+p.addr+probePath)
		if err == nil {
			return checkProbe(v, authorization)
		}
		select {
		case <-p.ended:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func checkProbe(v *variant, authorization string) error {
	signed := strings.HasPrefix(authorization, "AWS4-HMAC-SHA256 Credential="+accessKeyID+"/") &&
		strings.Contains(authorization, "/"+signedRegion+"/"+signedService+"/aws4_request") &&
		strings.Contains(authorization, "x-amz-security-token") && strings.Contains(authorization, "Signature=")
	if want := v.signs || v.constant; signed != want {
		return fmt.Errorf("the upstream got Authorization %q, but that there is one should be %t", authorization, want)
	}
	return nil
}

// get returns the body of a 200.
func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %.200s", url, res.Status, body)
	}
	return string(body), err
}

// stop ends the process and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// freeAddress returns a loopback HOST:PORT where nobody listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// cpuTime returns the CPU time, user's and system's, that the process has used
// so far, to 10 ms. ok is false where the system has no /proc as Linux has
// (proc_pid_stat(5)): rusage, the portable way, is only known once a process
// has ended, start and warm-up included.
func (p *process) cpuTime() (used time.Duration, ok bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, false
	}
	return parseStat(string(stat))
}

// parseStat reads utime and stime, fields 14 and 15, in the 1/100 s in which
// Linux reports them to programs on all of Go's platforms.
func parseStat(stat string) (used time.Duration, ok bool) {
	// Field 2 is the program's name in parentheses, and may hold any of both.
	end := strings.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, false
	}
	fields := strings.Fields(stat[end+1:])
	if len(fields) < 13 {
		return 0, false
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, false
	}
	return time.Duration(user+system) * 10 * time.Millisecond, true
}
