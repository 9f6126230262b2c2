package sources

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	sts_helper <url> {
//	    role_arn           <arn>
//	    external_id        <id>
//	    region             <region>
//	    service            <name>
//	    api_key            <key> [header <name>]
//	    basic              <user> <password>
//	    bearer             <token>
//	    client_certificate <file> <key_file>
//	    ca                 <file>
//	    timeout            <duration>
//	    insecure
//	}
func (h *STSHelper) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	var err error
	if h.URL, err = OneArg(d); err != nil {
		return err
	}
	if err := h.checkWritten(); err != nil {
		return d.WrapErr(err)
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		if err := h.unmarshalOption(d, seen); err != nil {
			return err
		}
		// Here, the error has the option's line.
		if err := h.checkWritten(); err != nil {
			return d.WrapErr(err)
		}
	}
	v, err := h.helperValues(unresolved)
	if err == nil {
		err = h.checkComplete(v)
	}
	if err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (h *STSHelper) unmarshalOption(d *caddyfile.Dispenser, seen map[string]bool) error {
	into := map[string]*string{"role_arn": &h.RoleARN, "external_id": &h.ExternalID, "region": &h.Region, "service": &h.Service}[d.Val()]
	if into == nil {
		return h.UnmarshalOption(d, seen, "role_arn", "external_id", "region", "service")
	}
	option := d.Val()
	if err := Once(d, seen); err != nil {
		return err
	}
	var err error
	if *into, err = OneArg(d); err == nil && *into == "" {
		err = d.Errf("%s is empty: write a value, or leave the option out", option)
	}
	return err
}

// UnmarshalOption reads one of the options of an endpoint from Caddyfile tokens:
//
//	api_key            <key> [header <name>]
//	basic              <user> <password>
//	bearer             <token>
//	client_certificate <file> <key_file>
//	ca                 <file>
//	timeout            <duration>
//	insecure
//
// What others there are beside them goes into the error about an unknown one. An error has the option's
// line.
func (h *HelperEndpoint) UnmarshalOption(d *caddyfile.Dispenser, seen map[string]bool, others ...string) error {
	into := map[string][]*string{
		"api_key": {&h.APIKey}, "basic": {&h.BasicUser, &h.BasicPassword}, "bearer": {&h.BearerToken},
		"client_certificate": {&h.ClientCertificate, &h.ClientKey}, "ca": {&h.CA}, "timeout": {new(string)}, "insecure": {},
	}
	option := d.Val()
	values, ok := into[option]
	if !ok {
		return Unknown(d, append(others, "api_key", "basic", "bearer", "client_certificate", "ca", "timeout", "insecure")...)
	}
	if err := Once(d, seen); err != nil {
		return err
	}
	most := len(values)
	if option == "api_key" {
		most = 3
	}
	args, err := Args(d, len(values), most)
	if err != nil {
		return err
	}
	if len(args) > len(values) {
		if len(args) != 3 || args[1] != "header" {
			return d.Err("api_key takes a key, and may be followed by the word header and a header's name: write `api_key {env.NAME} header x-api-key`")
		}
		h.APIKeyHeader, args = args[2], args[:1]
		if h.APIKeyHeader == "" {
			return d.Err("the header's name is empty: write one, or leave `header` out")
		}
	}
	for i, a := range args {
		if a == "" && values[i] != &h.BasicUser {
			return d.Errf("%s is empty: write a value, or leave the option out", option)
		}
		*values[i] = a
	}
	switch option {
	case "insecure":
		h.Insecure = true
	case "timeout":
		timeout, err := caddy.ParseDuration(args[0])
		if err != nil || timeout <= 0 {
			return d.Errf("timeout %q: write up to 15s, with the unit", args[0])
		}
		h.Timeout = caddy.Duration(timeout)
	}
	if err := h.CheckWritten(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// checkWritten checks a Caddyfile that is being read: all placeholders are still open, and options may
// follow.
func (h *STSHelper) checkWritten() error {
	if err := h.checkFixedFields(); err != nil {
		return err
	}
	v, err := h.helperValues(unresolved)
	if err != nil {
		return err
	}
	return h.check(v)
}

// CheckWritten checks an endpoint in a Caddyfile that is being read: all placeholders are still open, and
// options may follow.
func (h *HelperEndpoint) CheckWritten() error {
	var v endpointValues
	if err := checkFilled(h.fields(&v)); err != nil {
		return err
	}
	v, err := h.values(unresolved)
	if err != nil {
		return err
	}
	if _, err := v.auth(); err != nil && !v.anyAuthIsOpen() {
		return err
	}
	return h.check(v)
}

// CheckAllWritten is CheckWritten when no options follow.
func (h *HelperEndpoint) CheckAllWritten() error {
	if err := h.CheckWritten(); err != nil {
		return err
	}
	v, err := h.values(unresolved)
	if err != nil {
		return err
	}
	return h.checkComplete(v)
}

// anyAuthIsOpen says whether what the helper knows this caller by is not known before placeholders are
// resolved.
func (v endpointValues) anyAuthIsOpen() bool {
	for _, t := range []template{v.apiKey, v.apiKeyHeader, v.basicUser, v.basicPassword, v.bearerToken} {
		if t.perRequest() {
			return true
		}
	}
	return false
}
