package awssigv4

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// parseGlobalOption reads the global option. Syntax:
//
//	aws_sigv4 {
//	    credentials <name> <source> [<args...>] {
//	        ...
//	    }
//	    spool_dir   <path>
//	    spool_limit <size>
//	    connections {
//	        ...
//	    }
//	    integration <key> {
//	        ...
//	    }
//	    runtime_integrations {
//	        ...
//	    }
//	}
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		return nil, d.Err("the global option aws_sigv4 is there twice: put everything into one block")
	}
	d.Next() // consume the option's name
	if err := noLoneSemicolons(d); err != nil {
		return nil, err
	}
	if d.NextArg() {
		return nil, d.Errf("the global option aws_sigv4 takes a block and no arguments, but got %q", d.Val())
	}
	app := App{CredentialsRaw: make(map[string]json.RawMessage)}
	definitions := make(map[string]caddyfile.Dispenser)
	seen := make(map[string]bool)
	integrations := make(map[string]caddyfile.Dispenser)
	var runtime *caddyfile.Dispenser
	for d.NextBlock(0) {
		if d.Val() == "integration" {
			at := *d
			if err := app.unmarshalIntegration(d); err != nil {
				return nil, err
			}
			at.NextArg()
			integrations[at.Val()] = at
			continue
		}
		if d.Val() == "runtime_integrations" {
			at := *d
			runtime = &at
		}
		if d.Val() != "credentials" {
			if err := app.unmarshalOption(d, seen); err != nil {
				return nil, err
			}
			continue
		}
		if !d.NextArg() {
			return nil, d.Err("credentials need a name and a source: credentials NAME SOURCE")
		}
		name := d.Val()
		if err := checkCredentialsName(name); err != nil {
			return nil, d.WrapErr(err)
		}
		if _, ok := app.CredentialsRaw[name]; ok {
			return nil, d.Errf("credentials %q are defined twice", name)
		}
		if !d.NextArg() {
			return nil, d.Errf("credentials %s need a source: write one of %v after the name", name, sources.Names())
		}
		definitions[name] = *d
		raw, err := sources.UnmarshalSource(d, d.Val())
		if err != nil {
			return nil, err
		}
		app.CredentialsRaw[name] = raw
	}
	for _, name := range slices.Sorted(maps.Keys(definitions)) {
		if err := app.checkFrom(name); err != nil {
			return nil, whereWritten(definitions[name], "from").WrapErr(err)
		}
	}
	if err := app.checkIntegrations(integrations); err != nil {
		return nil, err
	}
	if err := app.checkRuntime(runtime); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: appName, Value: caddyconfig.JSON(app, nil)}, nil
}

// unmarshalOption reads an option of the app that is not credentials.
func (a *App) unmarshalOption(d *caddyfile.Dispenser, seen map[string]bool) error {
	if err := sources.Once(d, seen); err != nil {
		return err
	}
	var err error
	switch d.Val() {
	case "spool_dir":
		a.SpoolDir, err = sources.OneArg(d)
	case "spool_limit":
		a.SpoolLimit, err = size(d)
	case "connections":
		a.Connections = new(Connections)
		err = a.Connections.unmarshal(d)
	case "runtime_integrations":
		a.RuntimeIntegrations = new(RuntimeIntegrations)
		err = a.RuntimeIntegrations.unmarshal(d)
	default:
		err = sources.Unknown(d, "credentials", "spool_dir", "spool_limit", "connections", "integration", "runtime_integrations")
	}
	return err
}

// checkFrom reports credentials that stand on a name that is not defined, while
// file and line are known.
func (a *App) checkFrom(name string) error {
	var chained struct {
		From string `json:"from"`
	}
	if err := json.Unmarshal(a.CredentialsRaw[name], &chained); err != nil {
		return err
	}
	_, ok := a.CredentialsRaw[chained.From]
	if ok || chained.From == "" || sources.IsSource(chained.From) {
		return nil
	}
	return fmt.Errorf("credentials %s: from: %w", name, unknownCredentials(chained.From, slices.Sorted(maps.Keys(a.CredentialsRaw))))
}
