// Command proxy is the Caddy that the benchmark measures: cmd/caddy and a
// transport for comparison.
package main

import (
	_ "time/tzdata"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-aws-sigv4/caddy-aws-sigv4"
	_ "github.com/caddy-aws-sigv4/caddy-aws-sigv4/bench/constant"
)

func main() { caddycmd.Main() }
