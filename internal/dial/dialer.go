package dial

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Func is the type of net.Dialer.DialContext and of the like fields of http.Transport.
type Func = func(ctx context.Context, network, address string) (net.Conn, error)

const connectTimeout = 5 * time.Second

// DialContext connects to HOST:PORT over TCP, within 5 seconds, if the policy permits it. Of several
// addresses of the host those that it does not permit are left out. The error of a connection that
// was refused is or wraps an *Error.
func (p *Policy) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, fmt.Errorf("%s: connections are TCP here, not %s", address, network)
	}
	var refused refusal
	d := net.Dialer{
		Timeout:  connectTimeout,
		Resolver: p.Resolver,
		// It is called with the very address that the kernel then connects to.
		ControlContext: func(_ context.Context, _, resolved string, _ syscall.RawConn) error {
			return refused.note(p.checkText(address, resolved))
		},
	}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, refused.explain(err)
	}
	return conn, nil
}

// Wrap returns a function that connects as next does, and gives up what the policy does not permit. The
// host is that of the address that it is called with.
func (p *Policy) Wrap(next Func) Func {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return p.Guard(ctx, address, func(ctx context.Context) (net.Conn, error) { return next(ctx, network, address) })
	}
}

// Guard connects to a host by a function of somebody else's, which may have its own resolver, and gives
// up what the policy does not permit. If that function uses a net.Dialer with the context that it is
// given, it is stopped before it sends anything, a TLS handshake say, over a connection that is not
// permitted; in any case the address that it did connect to is checked before anybody else has the
// connection. A connection that has no address, such as a Unix domain socket, is only for hosts that
// the operator wrote.
func (p *Policy) Guard(ctx context.Context, host string, connect func(context.Context) (net.Conn, error)) (net.Conn, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var refused refusal
	// The net package calls this with each address that it is about to connect to, but not for the
	// look-up of names.
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{ConnectStart: func(network, resolved string) {
		if isTCP(network) && refused.note(p.checkText(host, resolved)) != nil {
			stop()
		}
	}})
	conn, err := connect(ctx)
	if err == nil {
		if err = refused.note(p.checkConn(host, conn)); err != nil {
			conn.Close()
		}
	}
	if err != nil {
		return nil, refused.explain(err)
	}
	return conn, nil
}

func isTCP(network string) bool { return network == "tcp" || network == "tcp4" || network == "tcp6" }

// checkText checks an address as the net package writes it, IP:PORT.
func (p *Policy) checkText(host, resolved string) error {
	ap, err := netip.ParseAddrPort(resolved)
	if err != nil {
		return p.Check(host, netip.Addr{})
	}
	return p.Check(host, ap.Addr())
}

func (p *Policy) checkConn(host string, conn net.Conn) error {
	switch remote := conn.RemoteAddr().(type) {
	case *net.TCPAddr:
		return p.Check(host, remote.AddrPort().Addr())
	case *net.UnixAddr:
		if p.written(host) == inFull {
			return nil
		}
	}
	return p.Check(host, netip.Addr{})
}

// refusal remembers the first connection that was refused: what the net package makes of it is a
// failure among others.
type refusal struct {
	mu  sync.Mutex
	err *Error
}

func (r *refusal) note(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.err == nil {
			r.err = e
		}
	}
	return err
}

// explain returns the refusal, if there was one, in place of what came of it.
func (r *refusal) explain(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	return err
}

// NewTransport returns a transport for clients of a few servers, which connects as the policy permits.
// It asks no proxy: one that the environment names (HTTPS_PROXY) would connect in its place, to
// addresses that can't be checked here.
func (p *Policy) NewTransport(config *tls.Config) *http.Transport {
	return &http.Transport{
		DialContext:            p.DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    connectTimeout,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    4,
		// Servers close idle connections, some after five seconds, and a request may cross with
		// that.
		IdleConnTimeout: 4 * time.Second,
	}
}
