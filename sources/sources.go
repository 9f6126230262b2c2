// Package sources holds the ways to get AWS credentials that come with the plugin: the Caddy modules
// aws_sigv4.credentials.*, one file each.
//
// A source is configuration. It says which identity it stands for; fetching and keeping credentials
// is done by package credentials. Sources do not touch the network before their first fetch.
package sources

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Namespace is the namespace of the Caddy modules that are sources. Others may add their own.
const Namespace = "aws_sigv4.credentials"

func init() {
	caddy.RegisterModule(Default{})
	caddy.RegisterModule(Env{})
	caddy.RegisterModule(Static{})
	caddy.RegisterModule(new(AssumeRole))
	caddy.RegisterModule(new(STSHelper))
}

// Names returns the names of all sources, sorted.
func Names() []string {
	modules := caddy.GetModules(Namespace)
	names := make([]string, len(modules))
	for i, m := range modules {
		names[i] = m.ID.Name()
	}
	slices.Sort(names)
	return names
}

// IsSource says whether name is the name of a source.
func IsSource(name string) bool {
	if name == "" || strings.Contains(name, ".") {
		return false
	}
	_, err := caddy.GetModule(Namespace + "." + name)
	return err == nil
}

// UnmarshalSource reads the source of that name from Caddyfile tokens, of which the source's name is
// the current one, and returns its JSON with the name as "source". It consumes the rest of the line
// and the block that it may open.
func UnmarshalSource(d *caddyfile.Dispenser, name string) (json.RawMessage, error) {
	if !IsSource(name) {
		return nil, d.Errf("there is no source of credentials %q: write one of %s", name, strings.Join(Names(), ", "))
	}
	mod, err := caddyfile.UnmarshalModule(d, Namespace+"."+name)
	if err != nil {
		return nil, err
	}
	var warnings []caddyconfig.Warning
	raw := caddyconfig.JSONModuleObject(mod, "source", name, &warnings)
	if len(warnings) > 0 {
		return nil, d.Errf("writing %s as JSON: %s", name, warnings[0].Message)
	}
	return raw, nil
}
