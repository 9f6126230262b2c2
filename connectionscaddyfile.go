package awssigv4

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/seal"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// unmarshal reads a part of the global option. Syntax:
//
//	connections {
//	    key              <key>
//	    old_key          <keys...>
//	    session_life     <duration>
//	    propagation_wait <duration>|off
//	    recheck_every    <duration>|off
//	    max_stale        <duration>
//	    exhausted_after  <days>|off
//	    webhook          <url>|override {
//	        secret <secret> [<secret>]
//	        events <events...>
//	    }
//	}
//
// old_key and webhook may be given several times.
func (c *Connections) unmarshal(d *caddyfile.Dispenser) error {
	if _, err := sources.Args(d, 0, 0); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if option == "old_key" {
			if err := appendValues(d, &c.OldKeys, checkSealKey); err != nil {
				return err
			}
			continue
		}
		if option == "webhook" {
			if err := c.unmarshalWebhook(d); err != nil {
				return err
			}
			continue
		}
		if err := sources.Once(d, seen); err != nil {
			return err
		}
		var err error
		switch option {
		case "key":
			err = oneValue(d, &c.Key, checkSealKey)
		case "session_life":
			c.SessionLife, err = aDuration(d, "write 1m to 8h")
		case "propagation_wait":
			c.PropagationWait, err = durationOrOff(d, "write 1s to 10m, or off")
		case "recheck_every":
			c.RecheckEvery, err = durationOrOff(d, "write 1m or more, or off")
		case "max_stale":
			c.MaxStale, err = aDuration(d, "write 10s to 24h")
		case "exhausted_after":
			c.ExhaustedAfter, err = daysOrOff(d)
		default:
			err = sources.Unknown(d, "key", "old_key", "session_life", "propagation_wait", "recheck_every", "max_stale", "exhausted_after", "webhook")
		}
		if err != nil {
			return err
		}
		if err := c.checkTimes(); err != nil {
			return d.WrapErr(err)
		}
	}
	if c.Key == "" {
		return d.Err("connections has no key to seal them with: write `key {file./run/secrets/seal-key}`; `openssl rand -base64 32` makes one")
	}
	return nil
}

func checkSealKey(text string) error {
	_, err := seal.ParseKey(text)
	return err
}

// aDuration reads an option's only argument as a duration above zero.
func aDuration(d *caddyfile.Dispenser, remedy string) (caddy.Duration, error) {
	option := d.Val()
	text, err := sources.OneArg(d)
	if err != nil {
		return 0, err
	}
	duration, err := caddy.ParseDuration(text)
	if err != nil || duration <= 0 {
		return 0, d.Errf("%s %q: %s", option, text, remedy)
	}
	return caddy.Duration(duration), nil
}

// durationOrOff is aDuration for options that may be off, which is a negative duration.
func durationOrOff(d *caddyfile.Dispenser, remedy string) (caddy.Duration, error) {
	ahead := *d
	if ahead.NextArg() && ahead.Val() == "off" {
		_, err := sources.OneArg(d)
		return -1, err
	}
	return aDuration(d, remedy)
}
