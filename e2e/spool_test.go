package e2e_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// spoolIn adds options about files for bodies to the global option.
func spoolIn(caddyfile, options string) string {
	return strings.Replace(caddyfile, "aws_sigv4 {\n", "aws_sigv4 {\n"+options+"\n", 1)
}

// beginPut sends the head of a PUT and so much of its body.
func (b *bed) beginPut(t *testing.T, key string, size, sent int) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", b.site)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "PUT /bucket/%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", key, b.site, size, strings.Repeat("x", sent)); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestKilledInTheMiddleOfABody kills Caddy while it holds bodies in files: one that is half there, and one that is whole and
// waits for its upstream. No file is left, and nothing is stored.
func TestKilledInTheMiddleOfABody(t *testing.T) {
	needProc(t)
	stuck, err := net.Listen("tcp", "127.0.0.1:0") // Connections are made, and nobody reads.
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	for name, routes := range map[string]string{
		"half there":            styles["short form"],
		"whole":                 strings.ReplaceAll(styles["short form"], "<s3>", stuck.Addr().String()),
		"half there, transport": styles["transport"],
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			spool := filepath.Join(b.dir, "spool")
			if err := os.Mkdir(spool, 0o700); err != nil {
				t.Fatal(err)
			}
			caddyfile := spoolIn(sites(routes), "spool_dir "+spool)
			p := b.startProcess(t, caddyfile)
			const size = 16 * mebi
			sent := size / 2
			if name == "whole" {
				sent = size
			}
			b.beginPut(t, "k", size, sent)
			file := waitSpooled(t, p.cmd.Process.Pid, int64(sent))
			if mode := file.Mode().Perm(); mode != 0o600 {
				t.Errorf("the file's mode is %v: others may read it", mode)
			}
			expectEmpty(t, spool, "while the body is held")
			p.kill()
			expectEmpty(t, spool, "after the kill")
			if b.stored("k") != "" {
				t.Error("S3 has something of it")
			}

			b.startProcess(t, spoolIn(sites(styles["short form"]), "spool_dir "+spool))
			body := strings.Repeat("y", 2*mebi)
			b.do("PUT", "/bucket/after", body).expect(t, "afterwards", 200)
			if b.stored("after") != hashOf(strings.NewReader(body)) {
				t.Error("afterwards: S3 has something else")
			}
			expectEmpty(t, spool, "at the end")
		})
	}
}

func expectEmpty(t *testing.T, dir, when string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("%s, %s holds %v, %v", when, dir, entries, err)
	}
}

// TestBodiesInFilesAreBoundedTogether has no room for a second body as long as there is a first one.
func TestBodiesInFilesAreBoundedTogether(t *testing.T) {
	needProc(t)
	b := newBed(t)
	b.runCaddy(spoolIn(sites(styles["short form"]), "spool_limit 4MiB"))
	const size = 3 * mebi
	body := strings.Repeat("x", size)
	for range 2 {
		first := b.beginPut(t, "first", size, size-1)
		waitSpooled(t, os.Getpid(), size-1)
		b.do("PUT", "/bucket/second", body).expect(t, "a second body", 503)
		b.do("PUT", "/bucket/small", "hello").expect(t, "one that is held in memory", 200)
		if _, err := io.WriteString(first, "x"); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 12)
		if _, err := io.ReadFull(first, answer); err != nil || string(answer) != "HTTP/1.1 200" {
			t.Fatalf("the first: %q, %v", answer, err)
		}
		if b.stored("first") != hashOf(strings.NewReader(body)) {
			t.Error("the first: S3 has something else")
		}
		waitFor(t, patience, "room", func() bool { return b.do("PUT", "/bucket/second", body).status == 200 })
	}
	// What breaks off gives its room back, too.
	for range 3 {
		b.beginPut(t, "broken", size, size-1).Close()
	}
	waitFor(t, patience, "room after uploads that broke off", func() bool { return b.do("PUT", "/bucket/second", body).status == 200 })
	if b.stored("broken") != "" {
		t.Error("S3 has something of what broke off")
	}
}
