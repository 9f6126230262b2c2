package awssigv4

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/web"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// parseConnectDirective reads the directive aws_connect.
func parseConnectDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	c := new(Connect)
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
	integrations := make(map[string][]string)
	for _, k := range c.Keys {
		integrations["api_key "+k.Name] = k.Integrations
	}
	for _, k := range c.PublicKeys {
		integrations["public_key "+k.ID] = k.Integrations
	}
	for _, key := range slices.Sorted(maps.Keys(integrations)) {
		for _, i := range integrations[key] {
			if _, ok := app.Integrations[i]; !ok && !sources.HasPlaceholder(i) && app.RuntimeIntegrations == nil {
				return nil, h.WrapErr(fmt.Errorf("%s: there is no integration %q: define it in the global option aws_sigv4 (defined: %s)",
					key, i, strings.Join(slices.Sorted(maps.Keys(app.Integrations)), ", ")))
			}
		}
	}
	return c, nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	aws_connect [<matcher>] {
//	    api_key         <name> <secrets...> {
//	        scopes       <scopes...>
//	        integrations <keys...>
//	    }
//	    public_key      <uuid> {
//	        hmac_key     <secrets...>
//	        integrations <keys...>
//	    }
//	    allow_origins   <origins...>
//	    return_urls     <urls...>
//	    frame_ancestors <origins...>
//	    base_url        <url>
//	}
//
// api_key and public_key may be given several times.
func (c *Connect) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	if err := noLoneSemicolons(d); err != nil {
		return err
	}
	if d.NextArg() {
		return d.Errf("aws_connect takes a block and no arguments, but got %q", d.Val())
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		var err error
		switch d.Val() {
		case "api_key":
			err = c.unmarshalKey(d)
		case "public_key":
			err = c.unmarshalPublicKey(d)
		case "allow_origins":
			err = appendValues(d, &c.AllowOrigins, web.CheckOrigin)
		case "return_urls":
			err = appendValues(d, &c.ReturnURLs, checkReturnURL)
		case "frame_ancestors":
			err = appendValues(d, &c.FrameAncestors, web.CheckOrigin)
		case "base_url":
			if err = sources.Once(d, seen); err == nil {
				err = oneValue(d, &c.BaseURL, checkBaseURL)
			}
		default:
			err = sources.Unknown(d, "api_key", "public_key", "allow_origins", "return_urls", "frame_ancestors", "base_url")
		}
		if err != nil {
			return err
		}
	}
	if len(c.Keys) == 0 {
		return d.Err("aws_connect has no key, so nobody could make a connect session: write `api_key NAME SECRET` in its block")
	}
	return nil
}

func checkReturnURL(text string) error {
	_, err := connect.ParseReturnList([]string{text})
	return err
}

func checkBaseURL(text string) error {
	_, err := web.ParseBaseURL(text)
	return err
}

// unmarshalKey reads an api_key with its block. Errors do not repeat secrets.
func (c *Connect) unmarshalKey(d *caddyfile.Dispenser) error {
	values := d.RemainingArgs()
	if len(values) < 2 {
		return d.Err("api_key has a name and a secret: api_key NAME SECRET")
	}
	k := ConnectKey{Name: values[0], Secrets: values[1:]}
	for _, other := range c.Keys {
		if other.Name == k.Name {
			return d.Errf("there are two keys %q: give each a name of its own, or one key two secrets", k.Name)
		}
	}
	if err := k.checkWritten(); err != nil {
		return d.WrapErr(err)
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "scopes":
			for _, s := range d.RemainingArgs() {
				k.Scopes = append(k.Scopes, web.Scope(s))
			}
			if len(k.Scopes) == 0 {
				err = d.Errf("scopes needs at least one value: any of %s", web.ScopeNames())
			}
		case "integrations":
			err = appendValues(d, &k.Integrations, connect.CheckIntegrationKey)
		default:
			err = sources.Unknown(d, "scopes", "integrations")
		}
		if err != nil {
			return err
		}
		if err := k.checkWritten(); err != nil {
			return d.WrapErr(err)
		}
	}
	c.Keys = append(c.Keys, k)
	return nil
}

// unmarshalPublicKey reads a public_key with its block. Errors do not repeat secrets.
func (c *Connect) unmarshalPublicKey(d *caddyfile.Dispenser) error {
	values := d.RemainingArgs()
	if len(values) != 1 {
		return d.Err("public_key has one value: public_key UUID, and a block with hmac_key")
	}
	k := ConnectPublicKey{ID: values[0]}
	for _, other := range c.PublicKeys {
		if strings.EqualFold(other.ID, k.ID) {
			return d.Errf("there are two public keys %q: write it once", k.ID)
		}
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "hmac_key":
			secrets := d.RemainingArgs()
			if len(secrets) == 0 {
				err = d.Err("hmac_key has a value: hmac_key SECRET")
			}
			k.HMACKeys = append(k.HMACKeys, secrets...)
		case "integrations":
			err = appendValues(d, &k.Integrations, connect.CheckIntegrationKey)
		default:
			err = sources.Unknown(d, "hmac_key", "integrations")
		}
		if err != nil {
			return err
		}
	}
	if err := k.checkWritten(); err != nil {
		return d.WrapErr(err)
	}
	c.PublicKeys = append(c.PublicKeys, k)
	return nil
}

// checkWritten checks what is known before placeholders are resolved.
func (k *ConnectPublicKey) checkWritten() error {
	known := web.PublicKey{ID: k.ID, HMACKeys: allKnown(k.HMACKeys), Integrations: allKnown(k.Integrations)}
	if sources.HasPlaceholder(k.ID) {
		known.ID = "00000000-0000-0000-0000-000000000000" // The real one is not known yet.
	}
	if len(k.HMACKeys) > 0 && len(known.HMACKeys) == 0 {
		known.HMACKeys = []string{"0123456789abcdef"}
	}
	return known.Check()
}

// checkWritten checks what is known before placeholders are resolved.
func (k *ConnectKey) checkWritten() error {
	secrets := allKnown(k.Secrets)
	if len(secrets) == 0 {
		secrets = []string{"0123456789abcdef"} // The real ones are not known yet.
	}
	known := web.Key{Name: k.Name, Secrets: secrets, Scopes: k.Scopes, Integrations: allKnown(k.Integrations)}
	return known.Check()
}

var _ caddyfile.Unmarshaler = (*Connect)(nil)
