package awssigv4

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// parseConnectAdminDirective reads the directive aws_connect_admin.
func parseConnectAdminDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	c := new(ConnectAdmin)
	if err := c.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	app := new(App)
	if opt, ok := h.Option(appName).(httpcaddyfile.App); ok {
		if err := json.Unmarshal(opt.Value, app); err != nil {
			return nil, err
		}
	}
	if app.Connections == nil {
		return nil, h.WrapErr(errNoIntegrations)
	}
	return c, nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	aws_connect_admin [<matcher>] {
//	    connect_url <url>
//	}
//
// The block may be left out.
func (c *ConnectAdmin) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	if err := noLoneSemicolons(d); err != nil {
		return err
	}
	if d.NextArg() {
		return d.Errf("aws_connect_admin takes a block and no arguments, but got %q", d.Val())
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		if d.Val() != "connect_url" {
			return sources.Unknown(d, "connect_url")
		}
		if err := sources.Once(d, seen); err != nil {
			return err
		}
		if err := oneValue(d, &c.ConnectURL, checkBaseURL); err != nil {
			return err
		}
	}
	return nil
}

var _ caddyfile.Unmarshaler = (*ConnectAdmin)(nil)
