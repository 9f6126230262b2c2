// Command caddy is Caddy with its standard modules and this plugin:
// `go run ./cmd/caddy run --config examples/quickstart/Caddyfile`.
package main

import (
	_ "time/tzdata"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-aws-sigv4/caddy-aws-sigv4"
)

func main() { caddycmd.Main() }
