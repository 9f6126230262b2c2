package storages

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// client is a client of Redis, as simple as it gets: https://redis.io/docs/latest/develop/reference/protocol-spec/.
type client struct {
	address string
	idle    chan *connection
}

type connection struct {
	net.Conn
	r *bufio.Reader
}

// replyError is an error that Redis answers with.
type replyError string

func (e replyError) Error() string { return "redis: " + string(e) }

func newClient(address string) *client {
	return &client{address: address, idle: make(chan *connection, 16)}
}

// do sends commands at once, and returns their answers: nil, int64, string or []any.
func (c *client) do(ctx context.Context, commands ...[]string) ([]any, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	answers, err := conn.do(ctx, commands)
	if err != nil {
		conn.Close() // What is still to be read is not known.
		return nil, err
	}
	select {
	case c.idle <- conn:
	default:
		conn.Close()
	}
	for _, a := range answers {
		if e, ok := a.(replyError); ok {
			return nil, e
		}
	}
	return answers, nil
}

func (c *client) connect(ctx context.Context) (*connection, error) {
	select {
	case conn := <-c.idle:
		return conn, nil
	default:
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return nil, err
	}
	return &connection{conn, bufio.NewReader(conn)}, nil
}

func (c *connection) do(ctx context.Context, commands [][]string) ([]any, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(10 * time.Second)
	}
	if err := c.SetDeadline(deadline); err != nil {
		return nil, err
	}
	var out strings.Builder
	for _, words := range commands {
		fmt.Fprintf(&out, "*%d\r\n", len(words))
		for _, w := range words {
			fmt.Fprintf(&out, "$%d\r\n%s\r\n", len(w), w)
		}
	}
	if _, err := io.WriteString(c, out.String()); err != nil {
		return nil, err
	}
	answers := make([]any, len(commands))
	for i := range commands {
		var err error
		if answers[i], err = c.answer(); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

func (c *connection) answer() (any, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" {
		return nil, errors.New("redis: an empty line")
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case '+':
		return rest, nil
	case '-':
		return replyError(rest), nil
	}
	n, err := strconv.ParseInt(rest, 10, 64)
	switch {
	case err != nil:
		return nil, fmt.Errorf("redis: %q: %w", line, err)
	case kind == ':':
		return n, nil
	case n < 0:
		return nil, nil
	case kind == '$':
		b := make([]byte, n+2)
		if _, err := io.ReadFull(c.r, b); err != nil {
			return nil, err
		}
		return string(b[:n]), nil
	case kind == '*':
		list := make([]any, n)
		for i := range list {
			if list[i], err = c.answer(); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return nil, fmt.Errorf("redis: what is %q?", line)
}
