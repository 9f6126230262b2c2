// Package standin plays AWS on one machine, for tests and for people without an AWS account: an S3 and an STS that
// refuse what AWS refuses, and answer with AWS's own error codes.
//
// The S3 is versitygw, which verifies signatures more strictly than any other server that can be had. The STS is of this
// package's own: it verifies signed calls by its own arithmetic, holds roles to their trust policies, and issues
// temporary credentials, which the S3 takes as long as they have neither expired nor been revoked. It shares no code
// with the plugin's signer nor with the AWS SDK.
//
// Expiry, revocation and failures are the test's to command. Both servers listen on plain HTTP and on TLS.
package standin

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/internal/wireverify"
)

// Config says where the stand-in listens and what it is. The zero value has all defaults.
type Config struct {
	// Region is the one region there is. Default: eu-west-1, which no client takes by itself.
	Region string

	// S3Address, S3TLSAddress, STSAddress and STSTLSAddress are where to listen. Default: 127.0.0.1, on ports that are
	// free.
	S3Address, S3TLSAddress, STSAddress, STSTLSAddress string

	// OnCall, if not nil, is told of each call to STS before it is answered.
	OnCall func(Call)
}

// Standin is a running stand-in. All its methods may be called at any time.
type Standin struct {
	region    string
	directory *directory
	ca        []byte
	dir       string // holds all that the stand-in writes

	s3    *gateway
	ports struct{ s3, s3TLS, sts, stsTLS net.Addr }
	sts   *stsServer

	closing sync.Once
	cleanup []func() error // in the order in which things were made
	failure error
}

// Start starts a stand-in. There can be one at a time in a process, since there can be one versitygw.
func Start(cfg Config) (_ *Standin, err error) {
	if cfg.Region == "" {
		cfg.Region = "eu-west-1"
	}
	for _, address := range []*string{&cfg.S3Address, &cfg.S3TLSAddress, &cfg.STSAddress, &cfg.STSTLSAddress} {
		if *address == "" {
			*address = "127.0.0.1:0"
		}
	}
	s := &Standin{region: cfg.Region, directory: newDirectory()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()

	if s.dir, err = os.MkdirTemp("", "aws-standin-"); err != nil {
		return nil, err
	}
	s.onClose(func() error { return os.RemoveAll(s.dir) })

	cert, certPEM, _, err := wireverify.NewCertificate("127.0.0.1", "::1", "localhost", "*.localhost")
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	s.ca = certPEM

	if s.s3, err = startGateway(filepath.Join(s.dir, "s3"), cfg.Region, s.directory); err != nil {
		return nil, err
	}
	s.onClose(s.s3.close)

	s.sts = &stsServer{region: cfg.Region, directory: s.directory, onCall: cfg.OnCall}
	for _, door := range []struct {
		address string
		open    func(net.Listener) func() error
		tls     bool
		port    *net.Addr
	}{
		{cfg.S3Address, s.s3.serve, false, &s.ports.s3},
		{cfg.S3TLSAddress, s.s3.serve, true, &s.ports.s3TLS},
		{cfg.STSAddress, s.sts.serve, false, &s.ports.sts},
		{cfg.STSTLSAddress, s.sts.serve, true, &s.ports.stsTLS},
	} {
		l, err := listen(door.address, door.tls, cert)
		if err != nil {
			return nil, err
		}
		*door.port = l.Addr()
		s.onClose(door.open(l))
	}
	return s, nil
}

// Close ends the stand-in and removes what it stored.
func (s *Standin) Close() error {
	s.closing.Do(func() {
		var errs []error
		for _, f := range slices.Backward(s.cleanup) {
			errs = append(errs, f())
		}
		s.failure = errors.Join(errs...)
	})
	return s.failure
}

func (s *Standin) onClose(f func() error) { s.cleanup = append(s.cleanup, f) }

// Region returns the region that S3 and STS are in.
func (s *Standin) Region() string { return s.region }

// S3 returns the URL of S3 over plain HTTP, without a slash at the end. Buckets are in the path, or in a Host such as
// BUCKET.s3.REGION.amazonaws.com.
func (s *Standin) S3() string { return "http://" + s.ports.s3.String() }

// S3TLS returns the URL of the same S3 over TLS.
func (s *Standin) S3TLS() string { return "https://" + s.ports.s3TLS.String() }

// STS returns the URL of STS over plain HTTP, without a slash at the end.
func (s *Standin) STS() string { return "http://" + s.ports.sts.String() }

// STSTLS returns the URL of the same STS over TLS.
func (s *Standin) STSTLS() string { return "https://" + s.ports.stsTLS.String() }

// CA returns the certificate, in PEM, that clients of S3TLS and STSTLS have to trust.
func (s *Standin) CA() []byte { return s.ca }

// CreateBucket makes an empty bucket.
func (s *Standin) CreateBucket(name string) error { return s.s3.createBucket(name) }

// PutObject puts an object into a bucket, as its owner would.
func (s *Standin) PutObject(bucket, key, body string) error { return s.s3.putObject(bucket, key, body) }

// serveHTTP serves a listener and returns what ends that.
func serveHTTP(l net.Listener, h http.Handler) func() error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: silent}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l) // Always an error: that it was closed.
	}()
	return func() error {
		err := srv.Close()
		<-done
		return err
	}
}
