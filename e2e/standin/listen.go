package standin

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"sync"
)

// silent keeps the noise of clients that hang up off the terminal.
var silent = log.New(io.Discard, "", 0)

func listen(address string, encrypted bool, cert tls.Certificate) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", address, err)
	}
	if encrypted {
		l = tls.NewListener(l, &tls.Config{
			MinVersion:   tls.VersionTLS12,
			Certificates: []tls.Certificate{cert},
			NextProtos:   []string{"http/1.1"}, // As S3 and STS.
		})
	}
	return l, nil
}

// relay passes the bytes of each connection on to a server on a Unix socket, and back. It is how one versitygw listens
// on plain HTTP and on TLS, on ports that the system chooses.
type relay struct {
	listener net.Listener
	socket   string

	wg     sync.WaitGroup
	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
}

func startRelay(l net.Listener, socket string) *relay {
	r := &relay{listener: l, socket: socket, conns: make(map[net.Conn]struct{})}
	r.wg.Go(r.accept)
	return r
}

// close ends the relay and cuts its connections.
func (r *relay) close() error {
	err := r.listener.Close()
	r.mu.Lock()
	r.closed = true
	for c := range r.conns {
		c.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
	return err
}

func (r *relay) accept() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.wg.Go(func() { r.pass(c) })
	}
}

func (r *relay) pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", r.socket)
	if err != nil {
		return
	}
	defer server.Close()
	if !r.keep(client, server) {
		return
	}
	defer r.forget(client, server)

	done := make(chan struct{})
	go func() {
		defer close(done)
		copyHalf(server, client)
	}()
	copyHalf(client, server)
	// The server has closed: whatever the client still sends, nobody reads.
	client.Close()
	<-done
}

// copyHalf copies until the source ends, and ends the destination's half of its connection.
func copyHalf(dst, src net.Conn) {
	_, _ = io.Copy(dst, src)
	if half, ok := dst.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

func (r *relay) keep(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		r.conns[c] = struct{}{}
	}
	return !r.closed
}

func (r *relay) forget(conns ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		delete(r.conns, c)
	}
}
