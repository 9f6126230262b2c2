// Package awssigv4 puts Caddy in front of AWS: a client that knows nothing of
// AWS sends a plain HTTP request; Caddy decides whose AWS identity to use, has
// fresh temporary credentials for it, signs the request with AWS Signature
// Version 4, and reverse_proxy forwards it.
//
// In a Caddyfile, the directive `aws_sigv4` with upstreams does all of it:
//
//	s3.example.com {
//	    aws_sigv4 https://my-bucket.s3.eu-west-1.amazonaws.com
//	}
//
// It stands for three parts, which can also be used by themselves: the handler
// that chooses and checks (Handler), the transport that signs what is really
// sent (Transport), and the app that holds named credentials and keeps them
// fresh (App).
package awssigv4

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	// One import path registers everything, so that a build with this plugin
	// never lacks a source.
	_ "github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

func init() {
	caddy.RegisterModule(new(App))
	caddy.RegisterModule(Handler{})
	caddy.RegisterModule(Transport{})
	caddy.RegisterModule(PlannedUpstream{})
	caddy.RegisterModule(SignatureAuth{})
	caddy.RegisterModule(AdminAPI{})
	caddy.RegisterModule(new(STSHelper))
	caddy.RegisterModule(new(Connect))
	caddy.RegisterModule(new(ConnectAdmin))

	httpcaddyfile.RegisterGlobalOption(appName, parseGlobalOption)
	httpcaddyfile.RegisterDirective("aws_sigv4", parseDirective)
	httpcaddyfile.RegisterHandlerDirective("aws_sigv4_auth", parseAuthDirective)
	httpcaddyfile.RegisterHandlerDirective("aws_sts_helper", parseHelperDirective)
	httpcaddyfile.RegisterHandlerDirective("aws_connect", parseConnectDirective)
	httpcaddyfile.RegisterHandlerDirective("aws_connect_admin", parseConnectAdminDirective)

	// Beside basic_auth, and so before request_header, which could change the
	// headers that a client signed.
	httpcaddyfile.RegisterDirectiveOrder("aws_sigv4_auth", httpcaddyfile.After, "basic_auth")
	// They answer everything that `handle` and `respond` have left.
	httpcaddyfile.RegisterDirectiveOrder("aws_sts_helper", httpcaddyfile.Before, "reverse_proxy")
	httpcaddyfile.RegisterDirectiveOrder("aws_connect", httpcaddyfile.Before, "reverse_proxy")
	httpcaddyfile.RegisterDirectiveOrder("aws_connect_admin", httpcaddyfile.Before, "reverse_proxy")
	// Each directive that is registered before reverse_proxy is put right in
	// front of it: what signs comes last.
	httpcaddyfile.RegisterDirectiveOrder("aws_sigv4", httpcaddyfile.Before, "reverse_proxy")
}
