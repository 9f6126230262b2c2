package awssigv4

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/dustin/go-humanize"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// oneValue reads an option's only argument, and checks it at once if it holds
// no placeholder, so that the error has file and line.
func oneValue(d *caddyfile.Dispenser, into *string, check func(string) error) error {
	v, err := sources.OneArg(d)
	if err != nil {
		return err
	}
	if !sources.HasPlaceholder(v) {
		if err := check(v); err != nil {
			return d.WrapErr(err)
		}
	}
	*into = v
	return nil
}

// size reads an option's only argument as a number of bytes.
func size(d *caddyfile.Dispenser) (int64, error) {
	v, err := sources.OneArg(d)
	if err != nil {
		return 0, err
	}
	n, err := humanize.ParseBytes(v)
	if err != nil || n == 0 || n > 1<<62 {
		return 0, d.Errf("%q is not a size: write a number of bytes, or one such as 10MiB", v)
	}
	return int64(n), nil
}

// list reads an option's arguments, of which there must be one at least.
func list(d *caddyfile.Dispenser, into *[]string, check func([]string) error) error {
	option := d.Val()
	*into = d.RemainingArgs()
	if len(*into) == 0 {
		return d.Errf("%s needs at least one value", option)
	}
	if err := check(*into); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func each(check func(string) error) func([]string) error {
	return func(values []string) error {
		for _, v := range values {
			if err := check(v); err != nil {
				return err
			}
		}
		return nil
	}
}

// knownCredentials reports a name that the global option does not define,
// while file and line are still known.
func knownCredentials(h httpcaddyfile.Helper, d *caddyfile.Dispenser, targets ...*Target) error {
	app := new(App)
	if opt, ok := h.Option(appName).(httpcaddyfile.App); ok {
		if err := json.Unmarshal(opt.Value, app); err != nil {
			return err
		}
	}
	for _, t := range targets {
		if _, ok := app.CredentialsRaw[t.CredentialsName]; !ok && t.CredentialsName != "" {
			directive := *d
			directive.Reset()
			return whereWritten(directive, "credentials", t.CredentialsName).WrapErr(unknownCredentials(t.CredentialsName, slices.Sorted(maps.Keys(app.CredentialsRaw))))
		}
	}
	return nil
}

// whereWritten returns the dispenser where an option follows, with these values at its beginning, so that
// an error has its line; where it is not found, the dispenser as it is.
func whereWritten(d caddyfile.Dispenser, option string, values ...string) *caddyfile.Dispenser {
	for at := d; at.Next(); {
		if at.Val() != option {
			continue
		}
		if args := at.RemainingArgs(); len(args) >= len(values) && slices.Equal(args[:len(values)], values) {
			return &at
		}
	}
	return &d
}

// noLoneSemicolons refuses `;`, which looks like the end of an option and is
// an argument. It looks at everything that the dispenser still holds.
func noLoneSemicolons(d *caddyfile.Dispenser) error {
	ahead := *d
	for ahead.Next() {
		if ahead.Val() == ";" {
			return ahead.Err("`;` does not separate options in a Caddyfile: write each option on a line of its own")
		}
	}
	return nil
}
