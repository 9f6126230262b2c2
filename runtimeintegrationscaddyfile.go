package awssigv4

import (
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// unmarshal reads a part of the global option. Syntax:
//
//	runtime_integrations {
//	    credentials      <names...>
//	    hosts            <hosts...>
//	    helper_principal <arn>|<account>
//	    sts_region       <name>
//	    sts_endpoint     <url>
//	}
//
// credentials and hosts may be given several times. The block may be left out.
func (r *RuntimeIntegrations) unmarshal(d *caddyfile.Dispenser) error {
	if _, err := sources.Args(d, 0, 0); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "credentials":
			err = appendValues(d, &r.Credentials, func(string) error { return nil })
		case "hosts":
			err = appendValues(d, &r.Hosts, checkRuntimeHost)
		case "helper_principal", "sts_region", "sts_endpoint":
			if err = sources.Once(d, seen); err != nil {
				return err
			}
			into := map[string]*string{"helper_principal": &r.HelperPrincipal, "sts_region": &r.STSRegion, "sts_endpoint": &r.STSEndpoint}[d.Val()]
			check := func(string) error { return nil }
			if into == &r.HelperPrincipal {
				check = checkPrincipal
			}
			err = oneValue(d, into, check)
		default:
			err = sources.Unknown(d, "credentials", "hosts", "helper_principal", "sts_region", "sts_endpoint")
		}
		if err != nil {
			return err
		}
		where := IntegrationSTS{Region: known(r.STSRegion, ""), Endpoint: known(r.STSEndpoint, "")}
		if _, err := where.where(); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

// checkRuntime reports, while file and line are known, a missing seal key and credentials that are not defined.
func (a *App) checkRuntime(at *caddyfile.Dispenser) error {
	if at == nil {
		return nil
	}
	if a.Connections == nil {
		return at.WrapErr(fmt.Errorf("runtime_integrations: %w", errNoSealKey))
	}
	for _, name := range a.RuntimeIntegrations.Credentials {
		if _, ok := a.CredentialsRaw[name]; !ok && !sources.IsSource(name) {
			return at.WrapErr(fmt.Errorf("runtime_integrations: %w", unknownCredentials(name, slices.Sorted(maps.Keys(a.CredentialsRaw)))))
		}
	}
	return nil
}
