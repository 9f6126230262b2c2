package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// load is the load generator: some keep-alive connections, each of which sends
// one request after the other. It works with bytes that were made before, so
// that as little as possible of the machine's time is its own.
type load struct {
	clients  []*client
	requests [][]byte
}

// differentRequests is how many requests there are, each with a URL of its own,
// so that nobody can remember what was signed.
const differentRequests = 1024

// requestTail is what follows the Host header: six more, three of them for AWS.
const requestTail = "Accept: application/json\r\n" +
	"Content-Type: application/json\r\n" +
	"User-Agent: benchmark/1.0\r\n" +
	"X-Amz-Meta-A: first\r\n" +
	"X-Amz-Target: Service_20200101.Operation\r\n" +
	"X-Request-Id: 0123456789abcdef\r\n\r\n"

// requestTarget returns the path and query of the i-th request.
func requestTarget(i int) string {
	n := strconv.Itoa(i % differentRequests)
	return "/index-" + n + "/_doc/some%20document?size=" + n + "&from=0&sort=a%2Fb"
}

func newLoad(addr string, connections int) (*load, error) {
	l := &load{requests: make([][]byte, differentRequests)}
	for i := range l.requests {
		l.requests[i] = []byte("GET " + requestTarget(i) + " HTTP/1.1\r\nHost: " + addr + "\r\n" + requestTail)
	}
	for range connections {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			l.close()
			return nil, err
		}
		l.clients = append(l.clients, &client{conn: conn, r: bufio.NewReader(conn)})
	}
	return l, nil
}

func (l *load) close() {
	for _, c := range l.clients {
		c.conn.Close()
	}
}

// request returns the n-th request of a client; no two clients send the same
// one at a time.
func (l *load) request(client, n int) []byte {
	return l.requests[(client*differentRequests/len(l.clients)+n)%differentRequests]
}

// saturation is how much came through.
type saturation struct {
	requests int64
	elapsed  time.Duration
}

// saturate sends as fast as the answers come, for a time and at most limit
// requests.
func (l *load) saturate(ctx context.Context, d time.Duration, limit int64) (saturation, error) {
	var sent, answered atomic.Int64
	start := time.Now()
	end := start.Add(d)
	err := l.each(func(i int, c *client) error {
		if err := c.conn.SetDeadline(end.Add(answerTimeout)); err != nil {
			return err
		}
		for n := 0; time.Now().Before(end) && ctx.Err() == nil && sent.Add(1) <= limit; n++ {
			if err := c.do(l.request(i, n)); err != nil {
				return err
			}
			answered.Add(1)
		}
		return nil
	})
	s := saturation{answered.Load(), time.Since(start)}
	switch {
	case err != nil:
		return s, err
	case ctx.Err() != nil:
		return s, ctx.Err()
	case s.requests == 0:
		return s, errors.New("no request was answered in the time given")
	}
	return s, nil
}

// pace sends at a fixed rate, whether or not the answers keep up, and returns
// how long each took. If a connection is still busy when a request is due, the
// wait counts; if this program was late by itself, because a timer was, that
// doesn't.
func (l *load) pace(ctx context.Context, rate float64, d time.Duration) ([]time.Duration, error) {
	interval := time.Duration(float64(len(l.clients)) / rate * float64(time.Second))
	start := time.Now()
	end := start.Add(d)
	all := make([][]time.Duration, len(l.clients))
	err := l.each(func(i int, c *client) error {
		if err := c.conn.SetDeadline(end.Add(answerTimeout)); err != nil {
			return err
		}
		due := start.Add(interval * time.Duration(i) / time.Duration(len(l.clients)))
		for n := 0; due.Before(end) && ctx.Err() == nil; n++ {
			from := due
			if wait := time.Until(due); wait > 0 {
				time.Sleep(wait)
				from = time.Now()
			}
			if err := c.do(l.request(i, n)); err != nil {
				return err
			}
			all[i] = append(all[i], time.Since(from))
			due = due.Add(interval)
		}
		return nil
	})
	var latencies []time.Duration
	for _, some := range all {
		latencies = append(latencies, some...)
	}
	switch {
	case err != nil:
		return nil, err
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case len(latencies) == 0:
		return nil, errors.New("no request was due in the time given")
	}
	return latencies, nil
}

// answerTimeout is how long after the end an answer may still come.
const answerTimeout = 10 * time.Second

// each runs f for all clients at once and returns the first of their
// errors.
func (l *load) each(f func(i int, c *client) error) error {
	errs := make(chan error, len(l.clients))
	for i, c := range l.clients {
		go func() { errs <- f(i, c) }()
	}
	var first error
	for range l.clients {
		if err := <-errs; first == nil {
			first = err
		}
	}
	return first
}

// client is one connection to a proxy.
type client struct {
	conn net.Conn
	r    *bufio.Reader
}

// do sends a request and reads its answer, which must be a 200.
func (c *client) do(request []byte) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	return readAnswer(c.r)
}

// readAnswer reads an HTTP/1.1 answer with a Content-Length, as all the proxies
// give here.
func readAnswer(r *bufio.Reader) error {
	status, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("the proxy answers %q, not 200", strings.TrimSpace(string(status)))
	}
	length := -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return fmt.Errorf("the proxy answers Content-Length %q", value)
			}
		}
	}
	if length < 0 {
		return errors.New("the proxy answers without Content-Length")
	}
	_, err = r.Discard(length)
	return err
}
