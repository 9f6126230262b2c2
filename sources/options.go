package sources

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// This file has what parsers of Caddyfile blocks have in common, here and in the package that uses
// the sources. The current token of the dispenser is always the option's name.

// OneArg returns the only argument of an option, and an error if there is none or another one.
func OneArg(d *caddyfile.Dispenser) (string, error) {
	args, err := Args(d, 1, 1)
	if err != nil {
		return "", err
	}
	return args[0], nil
}

// Args returns the arguments of an option, which must be least to most. Errors do not repeat them, as
// they may be secret.
func Args(d *caddyfile.Dispenser, least, most int) ([]string, error) {
	option := d.Val()
	args := d.RemainingArgs()
	if slices.Contains(args, ";") {
		return nil, semicolon(d)
	}
	switch n := len(args); {
	case most == 0 && n > 0:
		return nil, d.Errf("%s takes no value, and has %d: remove what follows it", option, n)
	case n < least && least == 1:
		return nil, d.Errf("%s has no value: write it on the same line", option)
	case n < least:
		return nil, d.Errf("%s has %d of %d values: write them on the same line", option, n, least)
	case n > most:
		return nil, d.Errf("%s has %d values, and takes %d: write each without spaces", option, n, most)
	}
	return args, nil
}

// Once notes that an option is given, and returns an error if it was given before.
func Once(d *caddyfile.Dispenser, seen map[string]bool) error {
	option := d.Val()
	if seen[option] {
		return d.Errf("%s is given twice: keep one", option)
	}
	seen[option] = true
	return nil
}

// Unknown returns the error for an option that is none of the known ones.
func Unknown(d *caddyfile.Dispenser, known ...string) error {
	switch d.Val() {
	case ";":
		return semicolon(d)
	case "{":
		return d.Err("the option before `{` has no block: remove the braces")
	}
	if len(known) == 0 {
		return d.Errf("there are no options here, and %q looks like one: remove it", d.Val())
	}
	return d.Errf("unknown option %q: write one of %s", d.Val(), strings.Join(known, ", "))
}

func semicolon(d *caddyfile.Dispenser) error {
	return d.Err("`;` is not a separator in a Caddyfile: put each option on a line of its own")
}

// noArgs reads a source that has neither arguments nor options.
func noArgs(d *caddyfile.Dispenser) error {
	d.Next()
	if _, err := Args(d, 0, 0); err != nil {
		return err
	}
	for d.NextBlock(0) {
		return Unknown(d)
	}
	return nil
}
