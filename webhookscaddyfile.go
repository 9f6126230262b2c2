package awssigv4

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/webhook"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// unmarshalWebhook reads a part of connections. Syntax:
//
//	webhook <url>|override {
//	    secret <secret> [<secret>]
//	    events <events...>
//	}
//
// Errors do not repeat secrets.
func (c *Connections) unmarshalWebhook(d *caddyfile.Dispenser) error {
	args, err := sources.Args(d, 1, 1)
	if err != nil {
		return err
	}
	h := Webhook{URL: args[0]}
	if err := h.checkURL(); err != nil {
		return d.WrapErr(err)
	}
	for _, other := range c.Webhooks {
		if other.URL == h.URL {
			return d.Err("there are two webhooks with this URL: give one of them all the events")
		}
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if err := sources.Once(d, seen); err != nil {
			return err
		}
		switch option {
		case "secret":
			if h.Secrets, err = sources.Args(d, 1, 2); err != nil {
				return d.Err("secret has one value, or two while receivers change over")
			}
			for _, text := range h.Secrets {
				if sources.HasPlaceholder(text) {
					continue
				}
				if _, err := webhook.ParseSecret(text); err != nil {
					return d.WrapErr(err)
				}
			}
		case "events":
			for _, e := range d.RemainingArgs() {
				if !slices.Contains(webhook.Events, webhook.Event(e)) {
					return d.WrapErr(fmt.Errorf("%q is no event: write any of %v", e, webhook.Events))
				}
				h.Events = append(h.Events, webhook.Event(e))
			}
			if len(h.Events) == 0 {
				return d.Errf("events needs at least one value: any of %v", webhook.Events)
			}
		default:
			return sources.Unknown(d, "secret", "events")
		}
	}
	if len(h.Secrets) == 0 {
		return d.Err("the webhook has no secret to sign with: write `secret {env.WEBHOOK_SECRET}` in its block; `echo whsec_$(openssl rand -base64 32)` makes one")
	}
	c.Webhooks = append(c.Webhooks, h)
	return nil
}

// daysOrOff reads an option's only argument as a number of days, off as a negative one.
func daysOrOff(d *caddyfile.Dispenser) (int, error) {
	option := d.Val()
	text, err := sources.OneArg(d)
	if err != nil || text == "off" {
		return -1, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxExhaustedAfter {
		return 0, d.Errf("%s %q: write a number of days from 1 to %d, or off", option, text, maxExhaustedAfter)
	}
	return n, nil
}
