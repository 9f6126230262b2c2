// Command aws-standin plays AWS on this machine, so that everything can be tried without an AWS account:
//
//	go run -C e2e ./cmd/aws-standin
//
// It prints its endpoints, a key pair of a broker, a role that the broker may assume with an External ID, a Caddyfile
// that does so, and what to curl. It runs until it is interrupted, and then forgets everything.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/standin"
)

// These are the same each time, so that what was pasted once still works. They open nothing but this program.
const (
	brokerARN    = "arn:aws:iam::111122223333:user/broker"
	brokerKeyID  = "AKIASTANDINBROKER000"
	brokerSecret = "stand-in+secret/that-opens-nothing-else0"
	roleARN      = "arn:aws:iam::123456789012:role/Proxy"
	externalID   = "9d6bd0e5-3f0c-4d7e-8b52-1f2f0c7f5a11"
	bucket       = "demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "aws-standin:", err)
		os.Exit(1)
	}
}

// run starts the stand-in, prints what to know of it, and ends with the context.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	var cfg standin.Config
	flags := flag.NewFlagSet("aws-standin", flag.ContinueOnError)
	flags.StringVar(&cfg.S3Address, "s3", "127.0.0.1:9000", "`address` of S3 over HTTP")
	flags.StringVar(&cfg.STSAddress, "sts", "127.0.0.1:9001", "`address` of STS over HTTP")
	flags.StringVar(&cfg.S3TLSAddress, "s3-tls", "127.0.0.1:9443", "`address` of S3 over TLS")
	flags.StringVar(&cfg.STSTLSAddress, "sts-tls", "127.0.0.1:9444", "`address` of STS over TLS")
	flags.StringVar(&cfg.Region, "region", "eu-west-1", "the one `region` that there is")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q: there are no arguments, only flags: see -help", flags.Arg(0))
	}
	cfg.OnCall = func(c standin.Call) { report(out, c) }

	s, err := standin.Start(cfg)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: choose others with -s3, -s3-tls, -sts and -sts-tls", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := furnish(s); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "aws-standin-ca-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, s.CA(), 0o600); err != nil {
		return err
	}
	introduce(out, s, ca)
	<-ctx.Done()
	return nil
}

// furnish makes the broker, the role and the bucket.
func furnish(s *standin.Standin) error {
	if _, err := s.AddUser(standin.User{ARN: brokerARN, AccessKeyID: brokerKeyID, SecretAccessKey: brokerSecret}); err != nil {
		return err
	}
	if err := s.PutRole(standin.Role{ARN: roleARN, TrustPolicy: `{
  "Version": "2012-10-17",
  "Statement": [{
    "Effect": "Allow",
    "Principal": {"AWS": "` + brokerARN + `"},
    "Action": ["sts:AssumeRole", "sts:TagSession"],
    "Condition": {"StringEquals": {"sts:ExternalId": "` + externalID + `"}}
  }]
}`}); err != nil {
		return err
	}
	if err := s.CreateBucket(bucket); err != nil {
		return err
	}
	return s.PutObject(bucket, "hello.txt", "hello from the customer's bucket\n")
}

// introduction is what a person has to know. The Caddyfile in it stands between two lines of hyphens.
const introduction = `S3            <s3>  and  <s3-tls>
STS           <sts>  and  <sts-tls>
certificate   <ca>
region        <region>
bucket        <bucket>

broker        <broker>
key ID        <key>
secret key    <secret>

role          <role>
              trusts the broker with the External ID <external-id>

A Caddyfile:
----------------------------------------------------------------
{
	persist_config off
	aws_sigv4 {
		credentials broker static <key> <secret>
		credentials role assume_role <role> {
			from broker
			external_id <external-id>
		}
	}
}

http://localhost:8081 {
	bind 127.0.0.1
	aws_sigv4 <s3> {
		service s3
		region <region>
		credentials role
	}
}
----------------------------------------------------------------

Save it as Caddyfile.standin, and in the repository's directory:

	AWS_REGION=<region> AWS_ENDPOINT_URL_STS=<sts> go run ./cmd/caddy run --adapter caddyfile --config Caddyfile.standin

Then, in a third terminal:

	curl -T README.md http://localhost:8081/<bucket>/hello.txt
	curl http://localhost:8081/<bucket>/hello.txt
	curl 'http://localhost:8081/<bucket>?list-type=2'

The calls to STS are told below. Interrupt to end.
`

func introduce(out io.Writer, s *standin.Standin, ca string) {
	_, _ = strings.NewReplacer(
		"<s3>", s.S3(), "<s3-tls>", s.S3TLS(), "<sts>", s.STS(), "<sts-tls>", s.STSTLS(), "<ca>", ca,
		"<region>", s.Region(), "<bucket>", bucket, "<broker>", brokerARN, "<key>", brokerKeyID, "<secret>", brokerSecret,
		"<role>", roleARN, "<external-id>", externalID,
	).WriteString(out, introduction)
}

// report tells of a call to STS.
func report(out io.Writer, c standin.Call) {
	what := c.Action
	if c.RoleARN != "" {
		what += " " + c.RoleARN + whichExternalID(c.Form)
	}
	by := c.By
	if by == "" {
		by = "nobody known"
	}
	outcome := "answered"
	switch {
	case c.Code != "":
		outcome = "refused: " + c.Code
	case c.Issued != "":
		outcome = "granted: " + c.Issued
	}
	fmt.Fprintf(out, "%s  %s by %s: %s\n", c.Time.Format("15:04:05"), what, by, outcome)
}

// whichExternalID says it without the External ID, which is nobody else's business.
func whichExternalID(form url.Values) string {
	switch {
	case !form.Has("ExternalId"):
		return " without External ID"
	case form.Get("ExternalId") == externalID:
		return " with the External ID"
	default:
		return " with another External ID"
	}
}
