package wireverify

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Response is what the server answers.
type Response struct {
	// Status is the status code. Default: 200.
	Status int
	// Headers are added to Content-Length. Content-Type is text/plain unless they
	// have another.
	Headers []Header
	// Body is sent with its Content-Length.
	Body string
}

// Action is what the server does with a request once it has its head. Its zero
// value answers an empty 200.
type Action struct {
	// Respond gives the answer once the body was read.
	Respond func(r *Request) Response
	// Die closes the connection after BodyBytes bytes of the body, without an
	// answer.
	Die       bool
	BodyBytes int64
	// Hang reads the body and never answers.
	Hang bool
	// Echo answers 101 and from then on sends back what it receives.
	Echo bool
}

// Server is an HTTP/1.1 server on a socket of its own, which keeps every
// request that it received.
type Server struct {
	listener net.Listener
	decide   func(head *Request) Action
	tls      bool
	wg       sync.WaitGroup

	mu       sync.Mutex
	changed  *sync.Cond
	requests []*Request
	broken   []error
	conns    map[net.Conn]struct{}
	accepted int
	closed   bool
}

// Listen starts a server on a TCP address such as "127.0.0.1:0", or on a Unix
// socket, "unix//run/x.sock", with TLS if config is not nil. decide says what to
// do with a request by its head.
func Listen(address string, config *tls.Config, decide func(head *Request) Action) (*Server, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix/"); ok {
		network, address = "unix", path
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	s := &Server{listener: l, decide: decide, tls: config != nil, conns: make(map[net.Conn]struct{})}
	if s.tls {
		s.listener = tls.NewListener(l, config)
	}
	s.changed = sync.NewCond(&s.mu)
	s.wg.Go(s.accept)
	return s, nil
}

// Addr returns HOST:PORT of the server.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Requests returns the requests so far, in the order in which they were read.
// One whose body did not arrive completely is there too.
func (s *Server) Requests() []*Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Malformed returns why requests were no requests at all.
func (s *Server) Malformed() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.broken)
}

// Wait waits until there are n requests, or the time is over, and returns those
// that there are.
func (s *Server) Wait(n int, limit time.Duration) []*Request {
	timer := time.AfterFunc(limit, s.changed.Broadcast)
	defer timer.Stop()
	end := time.Now().Add(limit)
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.requests) < n && time.Now().Before(end) {
		s.changed.Wait()
	}
	return slices.Clone(s.requests)
}

// Close ends the server and all its connections.
func (s *Server) Close() {
	s.listener.Close()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			c.Close()
			return
		}
		s.accepted++
		number := s.accepted
		s.conns[c] = struct{}{}
		s.mu.Unlock()
		s.wg.Go(func() {
			s.serve(c, number)
			c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}

// serve answers the requests of one connection.
func (s *Server) serve(c net.Conn, number int) {
	br := bufio.NewReaderSize(c, 64<<10)
	for {
		r, err := ReadHead(br)
		if errors.Is(err, ErrNoRequest) || errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.keepBroken(err)
			_ = send(c, Response{Status: 400, Body: err.Error()})
			return
		}
		r.TLS, r.Connection = s.tls, number
		if !s.handle(c, br, r) {
			return
		}
	}
}

// handle does with one request what was decided, and tells whether the
// connection goes on.
func (s *Server) handle(c net.Conn, br *bufio.Reader, r *Request) bool {
	do := s.decide(r)
	if do.Die {
		if do.BodyBytes > 0 {
			_ = r.ReadBody(br, do.BodyBytes)
		}
		r.Complete = false
		s.keep(r)
		return false
	}
	if strings.EqualFold(r.Get("Expect"), "100-continue") {
		fmt.Fprint(c, "HTTP/1.1 100 Continue\r\n\r\n")
	}
	err := r.ReadBody(br, -1)
	s.keep(r)
	switch {
	case err != nil:
		return false
	case do.Hang:
		_, _ = br.ReadByte() // Until the other side gives up.
		return false
	case do.Echo:
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Get("Upgrade"))
		_, _ = br.WriteTo(c)
		return false
	}
	var answer Response
	if do.Respond != nil {
		answer = do.Respond(r)
	}
	if r.Method == "HEAD" {
		answer.Body = ""
	}
	return send(c, answer) == nil
}

func (s *Server) keep(r *Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
	s.changed.Broadcast()
}

func (s *Server) keepBroken(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = append(s.broken, err)
}

func send(c net.Conn, r Response) error {
	if r.Status == 0 {
		r.Status = 200
	}
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d status\r\nContent-Length: %d\r\n", r.Status, len(r.Body))
	if !slices.ContainsFunc(r.Headers, func(h Header) bool { return strings.EqualFold(h.Name, "Content-Type") }) {
		b.WriteString("Content-Type: text/plain\r\n")
	}
	for _, h := range r.Headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h.Name, h.Value)
	}
	b.WriteString("\r\n" + r.Body)
	_, err := c.Write([]byte(b.String()))
	return err
}
