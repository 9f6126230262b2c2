// Command bench measures what signing costs a proxy. It sends the same requests
// in turns through Caddy's plain `reverse_proxy`, through this plugin's
// transport, handler and short form, and through awslabs/aws-sigv4-proxy if its
// binary is given, to the same upstream, and prints a table in Markdown:
//
//	go run ./bench
//	go run ./bench -short
//	go run ./bench -awslabs PATH/TO/aws-sigv4-proxy
//
// Figures of different runs or machines don't compare; the ratios within one
// run do. See README.md beside this file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"
)

// options is what a run is told.
type options struct {
	caddy       []string // the command that runs Caddy; empty: build ./bench/proxy
	hasConstant bool     // whether that Caddy has the transport constant_headers
	awslabs     string   // the path of aws-sigv4-proxy; "": not measured
	connections int
	rounds      int
	requests    int64         // the most requests that a round sends to a proxy as fast as it can
	warm        time.Duration // what a new process gets before it is measured
	saturated   time.Duration // how long a round sends to a proxy as fast as it can
	paced       time.Duration // how long it then sends at half that rate
	profiles    string        // the directory that CPU profiles go to; "": none
	progress    io.Writer
}

// defaultOptions take less than three minutes with all six proxies.
func defaultOptions() options {
	return options{
		connections: 32, // As many idle connections as Caddy keeps for an upstream.
		rounds:      7,
		requests:    1_000_000,
		warm:        500 * time.Millisecond,
		saturated:   2 * time.Second,
		paced:       time.Second,
		progress:    os.Stderr,
	}
}

// shorten makes a run that takes about ten seconds. Its figures say only that
// everything works.
func (o *options) shorten() {
	o.rounds, o.requests = 2, 20_000
	o.warm, o.saturated, o.paced = 100*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
}

func main() {
	if isUpstream() {
		os.Exit(serveUpstream(os.Stdin, os.Stdout))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := runCommand(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// runCommand reads the flags, measures and prints.
func runCommand(ctx context.Context, args []string) error {
	o := defaultOptions()
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	short := flags.Bool("short", false, "take ten seconds: it shows that all proxies answer, and measures nothing")
	caddy := flags.String("caddy", "", "the `path` of a Caddy with this plugin (default: build ./bench/proxy, which is cmd/caddy and a transport for comparison)")
	flags.StringVar(&o.awslabs, "awslabs", "", "the `path` of an aws-sigv4-proxy to measure too")
	flags.IntVar(&o.connections, "connections", o.connections, "keep-alive connections of the load generator")
	flags.IntVar(&o.rounds, "rounds", o.rounds, "how often all proxies are started and measured")
	flags.DurationVar(&o.saturated, "time", o.saturated, "how long a round sends to each proxy as fast as it can")
	flags.DurationVar(&o.paced, "paced-time", o.paced, "how long a round then sends at half that rate")
	flags.Int64Var(&o.requests, "requests", o.requests, "the most requests that a round sends to each proxy as fast as it can")
	flags.StringVar(&o.profiles, "profile", "", "also write a CPU profile of each Caddy into this `directory`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %q: there are only flags, see -help", flags.Arg(0))
	}
	if *short {
		o.shorten()
	}
	if *caddy != "" {
		o.caddy = []string{*caddy}
	}
	r, err := run(ctx, o)
	if err != nil {
		return err
	}
	return r.write(os.Stdout)
}

// run measures all variants in turns.
func run(ctx context.Context, o options) (*report, error) {
	if o.connections < 1 || o.rounds < 1 || o.requests < 1 || o.saturated <= 0 || o.paced <= 0 {
		return nil, errors.New("connections, rounds, requests, time and paced-time must be more than 0")
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if len(o.caddy) == 0 {
		fmt.Fprintln(o.progress, "building Caddy (some minutes the first time)")
		path, err := buildCaddy(ctx, dir)
		if err != nil {
			return nil, err
		}
		o.caddy, o.hasConstant = []string{path}, true
	}
	up, err := startUpstream(ctx)
	if err != nil {
		return nil, err
	}
	defer up.stop()
	b := &bench{options: o, dir: dir, upstream: up.addr}

	r := newReport(ctx, o, variants)
	for round := range o.rounds {
		fmt.Fprintf(o.progress, "round %d of %d\n", round+1, o.rounds)
		measured, err := b.round(ctx, round)
		if err != nil {
			return nil, err
		}
		for name, f := range measured {
			r.add(name, f)
		}
	}
	r.end()
	if o.profiles != "" {
		if err := b.profileAll(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// buildCaddy builds the benchmark's Caddy as releases are built, without cgo.
func buildCaddy(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "caddy")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/caddy-aws-sigv4/caddy-aws-sigv4/bench/proxy") // #nosec G204 -- Only the directory varies.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building ./bench/proxy (run this from the repository, or give -caddy): %w\n%s", err, out)
	}
	return path, nil
}
