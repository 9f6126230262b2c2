package awssigv4

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/sources"
)

// unmarshalTemplate reads `template ID { … }`.
func (i *Integration) unmarshalTemplate(d *caddyfile.Dispenser, key string) error {
	id, err := sources.OneArg(d)
	if err != nil {
		return err
	}
	i.Templates = append(i.Templates, connect.Template{ID: id})
	t := &i.Templates[len(i.Templates)-1]
	if err := i.checkWritten(key); err != nil {
		return d.WrapErr(err)
	}
	into := map[string]*string{
		"label": &t.Label, "description": &t.Description, "url": &t.URL, "file": &t.File, "stack_name": &t.StackName,
		"external_id_parameter": &t.ExternalIDParameter, "account_parameter": &t.AccountParameter, "principal_parameter": &t.PrincipalParameter,
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() == "parameter" {
			if err := keyAndValue(d, &t.Parameters); err != nil {
				return err
			}
			continue
		}
		field, ok := into[d.Val()]
		if !ok {
			return sources.Unknown(d, "label", "description", "url", "file", "stack_name", "parameter", "external_id_parameter", "account_parameter", "principal_parameter")
		}
		if err := sources.Once(d, seen); err != nil {
			return err
		}
		if *field, err = someText(d); err != nil {
			return err
		}
		if err := i.checkWritten(key); err != nil {
			return d.WrapErr(err)
		}
	}
	switch {
	case t.URL == "" && t.File == "":
		return d.Errf("template %s is nowhere: write `url https://…` or `file PATH` in its block", t.ID)
	case t.ExternalIDParameter == "":
		return d.Errf("template %s has no external_id_parameter: write the name of its parameter that takes the customer's External ID", t.ID)
	}
	return nil
}

// unmarshalInstructions reads `instructions { … }`.
func (i *Integration) unmarshalInstructions(d *caddyfile.Dispenser) error {
	if _, err := sources.Args(d, 0, 0); err != nil {
		return err
	}
	var in connect.Instruction
	into := map[string]*string{"label": &in.Label, "url": &in.URL, "description": &in.Description}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		field, ok := into[d.Val()]
		if !ok {
			return sources.Unknown(d, "label", "url", "description")
		}
		if err := sources.Once(d, seen); err != nil {
			return err
		}
		var err error
		if *field, err = someText(d); err != nil {
			return err
		}
	}
	if in.URL == "" {
		return d.Err("instructions have no url: write where the guide is")
	}
	i.Instructions = append(i.Instructions, in)
	return nil
}
